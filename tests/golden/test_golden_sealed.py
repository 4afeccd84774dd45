"""What was written with sealed payloads stays readable, by recorder and by a reader made from the page alone."""

from __future__ import annotations

import base64
import json
import re
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from recorder.core.events import Event
from recorder.core.sealed_payloads import stream_keys, unsealed_event
from recorder.errors import CorruptRecording
from recorder.locations import PAYLOAD_KEYS_VARIABLE
from recorder.store.schema import upgrade
from recorder.store.unsealing import cipher_of
from tests.golden import reader, sealed_reader
from tests.golden.make import expected
from tests.golden.make_sealed import make
from tests.golden.test_golden import as_expected, without_death

HERE = Path(__file__).parent
PAGE = (Path(__file__).parents[2] / "docs" / "format.md").read_text()
EXPECTED: list[dict[str, Any]] = json.loads((HERE / "v2.json").read_text())


def test_an_independent_reader_verifies_the_spool() -> None:
    keys = sealed_reader.keys_in(HERE / "v2.keys")
    streams = reader.verify(sealed_reader.unsealed(reader.spool(HERE / "v2.spool"), keys))
    found = {stream.hex(): [as_expected(one) for one in events] for stream, events in streams.items()}
    assert found == {stream["stream"]: without_death(stream) for stream in EXPECTED}


def test_an_independent_reader_verifies_the_database() -> None:
    keys = sealed_reader.keys_in(HERE / "v2.keys")
    streams = reader.verify(sealed_reader.unsealed(reader.database(HERE / "v2.db"), keys))
    found = {stream.hex(): [as_expected(one) for one in events] for stream, events in streams.items()}
    assert found == {stream["stream"]: stream["events"] for stream in EXPECTED}


def test_recorder_reads_the_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("v2.db", "v2.keys"):
        shutil.copy(HERE / name, tmp_path / name)
    monkeypatch.setenv(PAYLOAD_KEYS_VARIABLE, str(tmp_path / "v2.keys"))
    upgrade(f"sqlite:///{tmp_path}/v2.db")
    assert expected(tmp_path / "v2.db") == EXPECTED


def test_nothing_of_it_is_in_the_clear_and_no_nonce_comes_twice() -> None:
    for stream in EXPECTED:
        for one in stream["events"]:
            body = base64.b64decode(one.get("body", ""))
            for data in ((HERE / "v2.spool").read_bytes(), (HERE / "v2.db").read_bytes()):
                assert len(body) < 5 or body not in data
    with sqlite3.connect(f"file:{HERE / 'v2.db'}?mode=ro&immutable=1", uri=True) as connection:
        rows = connection.execute("SELECT stream, substr(body, 41, 12) FROM events").fetchall()
    connection.close()
    assert len(set(rows)) == len(rows) > 40


def test_the_golden_files_are_never_made_again() -> None:
    with pytest.raises(SystemExit, match="never made again"):
        make(HERE)


def vector() -> dict[str, bytes]:
    (block,) = re.findall(r"```sealed\n(.*?)```", PAGE, re.DOTALL)
    pairs = (line.partition("=") for line in block.splitlines())
    return {name.strip(): bytes.fromhex(value) for name, _, value in pairs}


def chunk(stream: bytes, version: int, body: bytes) -> Event:
    return Event(stream, version, "chunk_received", 0, 0, bytes(16), 0, None, body, bytes(32))


def test_the_vector_of_the_page_holds_for_both_readers() -> None:
    told = vector()
    opening = {"stream": told["stream"], "secret": told["id"] + told["salt"]}
    identity = {told["id"]: told["key"]}
    assert sealed_reader.secrets_of(opening, identity) == (told["secret"], told["payload"])
    stored = {"stream": told["stream"], "version": 2, "body": told["sealed"], "meta": None}
    assert sealed_reader.opened_payload(told["payload"], stored) == (None, told["body"], told["commitment"])
    keys = stream_keys(told["key"], told["id"] + told["salt"], told["stream"], cipher_of)
    assert keys.secret == told["secret"]
    written = chunk(told["stream"], 2, told["sealed"])
    assert unsealed_event(keys, written).body == told["body"]


def test_every_flipped_bit_of_the_vector_is_noticed() -> None:
    told = vector()
    keys = stream_keys(told["key"], told["id"] + told["salt"], told["stream"], cipher_of)
    for place in range(len(told["sealed"])):
        changed = bytearray(told["sealed"])
        changed[place] ^= 1
        written = chunk(told["stream"], 2, bytes(changed))
        with pytest.raises(CorruptRecording, match="version 2 is not what was written"):
            unsealed_event(keys, written)
    elsewhere = chunk(told["stream"], 3, told["sealed"])
    with pytest.raises(CorruptRecording):
        unsealed_event(keys, elsewhere)
