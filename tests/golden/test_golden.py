"""What was written in event format v1 stays readable, by recorder and by a reader made from the page alone."""

from __future__ import annotations

import base64
import json
import re
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from recorder.api.cassette_changes import save
from recorder.core.cassette import read_cassette
from recorder.core.chain import ChainVerifier
from recorder.core.codec import decode_records, encode_opened, event_record
from recorder.core.events import JOURNAL_TYPES, TYPE_CODES, Event, StreamOpened
from recorder.core.tape import render
from recorder.recording.spool_file import HEADER_SIZE, read_header
from recorder.store import open_store
from recorder.store.cassette_file import Rules, Written, content
from recorder.store.schema import upgrade
from tests.golden import reader
from tests.golden.make import described, expected, make

HERE = Path(__file__).parent
PAGE = (Path(__file__).parents[2] / "docs" / "format.md").read_text()
VECTORS = reader.vectors(PAGE)
EXPECTED: list[dict[str, Any]] = json.loads((HERE / "v1.json").read_text())


def as_expected(event: dict[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {name: event[name] for name in ("version", "wall_ns", "mono_ns", "flags")}
    kept |= {"type": event["type"].decode(), "instance": event["instance"].hex(), "hash": event["hash"].hex()}
    if event["meta"] is not None:
        kept["meta"] = event["meta"].decode()
    if event["body"] is not None:
        kept["body"] = base64.b64encode(event["body"]).decode()
    return kept


def without_death(stream: dict[str, Any]) -> list[dict[str, Any]]:
    """Recovery wrote process_died into the database; the spool was copied before that."""
    return [event for event in stream["events"] if event["type"] != "process_died"]


def test_the_golden_files_hold_every_type_that_v1_writes() -> None:
    later = {"imported", "linked"} | JOURNAL_TYPES  # came to v1 when these files had been made
    assert {event["type"] for stream in EXPECTED for event in stream["events"]} == set(TYPE_CODES) - later


def test_an_independent_reader_verifies_the_spool() -> None:
    streams = reader.verify(reader.spool(HERE / "v1.spool"))
    found = {stream.hex(): [as_expected(event) for event in events] for stream, events in streams.items()}
    assert found == {stream["stream"]: without_death(stream) for stream in EXPECTED}


def test_an_independent_reader_verifies_the_database() -> None:
    streams = reader.verify(reader.database(HERE / "v1.db"))
    found = {stream.hex(): [as_expected(event) for event in events] for stream, events in streams.items()}
    assert found == {stream["stream"]: stream["events"] for stream in EXPECTED}


def test_recorder_reads_and_verifies_the_database(tmp_path: Path) -> None:
    database = tmp_path / "v1.db"
    shutil.copy(HERE / "v1.db", database)
    upgrade(f"sqlite:///{database}")
    assert expected(database) == EXPECTED
    store = open_store(f"sqlite:///{database}", write=False)
    try:
        for opened, events in store.walk():
            assert opened is not None
            verifier = ChainVerifier(opened)
            for event in events:
                verifier.feed(event)
            assert verifier.version
    finally:
        store.close()


def test_recorder_reads_the_spool_and_would_write_the_same_bytes() -> None:
    data = (HERE / "v1.spool").read_bytes()
    assert len(read_header(HERE / "v1.spool").spool) == 16
    written = b""
    streams: dict[str, list[dict[str, Any]]] = {}
    for record, _ in decode_records(data, HEADER_SIZE):
        if isinstance(record, Event):
            written += event_record(record)
            streams[record.stream.hex()].append(described(record))
        else:
            written += encode_opened(record)
            streams[record.stream.hex()] = []
    assert written == data[HEADER_SIZE:]
    assert streams == {stream["stream"]: without_death(stream) for stream in EXPECTED}


def test_an_independent_reader_verifies_the_cassette() -> None:
    streams = reader.verify(reader.cassette((HERE / "v1.jsonl").read_text(encoding="utf-8")))
    found = {stream.hex(): [as_expected(event) for event in events] for stream, events in streams.items()}
    assert found == {stream["stream"]: stream["events"] for stream in EXPECTED}


def test_recorder_reads_the_cassette_and_would_write_the_same_bytes(tmp_path: Path) -> None:
    data = (HERE / "v1.jsonl").read_bytes()
    cassette = read_cassette(data)
    assert cassette.problems == []
    told = {stream.hex(): [described(event) for event in block.events()] for stream, block in cassette.blocks.items()}
    assert told == {stream["stream"]: stream["events"] for stream in EXPECTED}
    database = tmp_path / "v1.db"
    shutil.copy(HERE / "v1.db", database)
    upgrade(f"sqlite:///{database}")
    save(f"sqlite:///{database}", tmp_path / "v1.jsonl")
    assert (tmp_path / "v1.jsonl").read_bytes() == data


def test_the_cassette_of_the_page_holds_for_both_readers() -> None:
    (text,) = re.findall(r"```cassette\n(.*?)```", PAGE, re.DOTALL)
    independent = reader.verify(reader.cassette(text))
    cassette = read_cassette(text.encode())
    assert cassette.problems == []
    for stream, block in cassette.blocks.items():
        assert [event.hash for event in block.events()] == [event["hash"] for event in independent[stream]]
        assert [event.body for event in block.events()] == [event["body"] for event in independent[stream]]
    streams = [Written(block.opening[0], block.events()) for block in cassette.blocks.values()]
    assert content(streams, Rules(cassette.match, cassette.redact)).decode() == text


def test_a_changed_byte_anywhere_in_an_event_is_found_by_the_independent_reader(tmp_path: Path) -> None:
    database = tmp_path / "v1.db"
    shutil.copy(HERE / "v1.db", database)
    connection = sqlite3.connect(database)
    connection.execute("DROP TRIGGER events_no_update")
    connection.execute("UPDATE events SET body = x'00' WHERE position = 4")
    connection.commit()
    connection.close()
    with pytest.raises(AssertionError):
        reader.verify(reader.database(database))


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_the_vectors_of_the_page_hold_for_the_independent_reader(vector: dict[str, str]) -> None:
    stream, secret = bytes.fromhex(vector["stream"]), bytes.fromhex(vector["secret"])
    ((kind, found),) = reader.records(bytes.fromhex(vector["record"]))
    if vector["name"] == "opening":
        assert kind == "opened"
        assert found["secret"] == secret
        assert reader.genesis(stream).hex() == vector["genesis"]
        return
    assert found["stream"] == stream
    assert found["version"] == int(vector["version"])
    assert found["wall_ns"] == int(vector["wall_ns"])
    assert found["mono_ns"] == int(vector["mono_ns"])
    assert found["flags"] == int(vector["flags"])
    assert found["instance"].hex() == vector["instance"]
    assert found["type"].decode() == vector["type"]
    assert found["meta"] == (vector["meta"].encode() if "meta" in vector else None)
    assert found["body"] == (bytes.fromhex(vector["body"]) if "body" in vector else None)
    assert reader.salt(secret, found["version"]).hex() == vector["salt"]
    assert reader.commitment(secret, found).hex() == vector["commitment"]
    assert reader.event_hash(bytes.fromhex(vector["previous"]), secret, found).hex() == vector["hash"]
    assert found["hash"].hex() == vector["hash"]


def test_the_vectors_of_the_page_chain_and_recorder_writes_them() -> None:
    opening, *events = sorted(VECTORS, key=lambda vector: vector.get("version", "0"))
    opened = StreamOpened(
        bytes.fromhex(opening["stream"]), bytes.fromhex(opening["instance"]), bytes.fromhex(opening["secret"])
    )
    assert encode_opened(opened).hex() == opening["record"]
    verifier = ChainVerifier(opened)
    assert verifier.head.hex() == opening["genesis"] == events[0]["previous"]
    for vector in events:
        assert verifier.head.hex() == vector["previous"]
        ((event, _),) = decode_records(bytes.fromhex(vector["record"]))
        assert isinstance(event, Event)
        assert event_record(event).hex() == vector["record"]
        verifier.feed(event)


def test_the_page_lists_the_types_with_their_numbers() -> None:
    for name, code in TYPE_CODES.items():
        assert f"| {code} | `{name}` |" in PAGE


def test_the_page_tells_how_to_rebuild_the_reads_of_the_socket() -> None:
    streams = reader.verify(reader.spool(HERE / "v1.spool"))
    rebuilt = []
    for events in streams.values():
        if all(found["type"] != b"response_started" for found in events):
            continue
        parsed = [found | {"meta": json.loads(found["meta"]) if found["meta"] else None} for found in events]
        rebuilt.append(reader.reads(parsed))
        tape = render(
            Event(
                **{name: found[name] for name in ("stream", "version", "wall_ns", "mono_ns", "instance", "flags")},
                type=found["type"].decode(),
                meta=None if found["meta"] is None else found["meta"].decode(),
                body=found["body"],
                hash=found["hash"],
            )
            for found in events
            if found["type"] in (b"response_started", b"chunk_received", b"trailers_received", b"response_completed")
        )
        head = next(found["body"] for found in events if found["type"] == b"response_started")
        assert b"".join(rebuilt[-1]) == b"".join(read.data for read in tape.reads)[len(head) :]
    assert rebuilt[0][:3] == [b"a\r\ndata: \xe2\x82\xac\n\r\n", b"6\r\n worl", b"d\r\n7;x=1\r\ndata:"]


def test_they_are_never_made_again() -> None:
    with pytest.raises(SystemExit, match="never made again"):
        make(HERE)


def test_making_them_elsewhere_gives_the_same_events(tmp_path: Path) -> None:
    """The write path of today writes what it wrote then: a difference is a change of the format."""
    make(tmp_path)
    assert json.loads((tmp_path / "v1.json").read_text()) == EXPECTED
    made, golden = ((folder / "v1.spool").read_bytes() for folder in (tmp_path, HERE))
    assert made[HEADER_SIZE:] == golden[HEADER_SIZE:]
