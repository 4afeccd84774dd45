"""``recorder bundle`` and ``recorder verify --bundle``; the verifier alone, where nothing is installed."""

from __future__ import annotations

import json
import shutil
import sqlite3
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest

from recorder import Store
from recorder.clock import SystemClock
from recorder.errors import ConfigurationError, NotFound
from recorder.ledger import keys
from tests.bundles import members, repacked, stream_file
from tests.commands import json_lines, run
from tests.sealed import ORIGIN, Desk, Key, Stream, small, url_of


@pytest.fixture
def desk(tmp_path: Path) -> tuple[Desk, list[Stream], Stream]:
    """A store whose ledger's key lies where recorder keeps keys."""
    return small(url_of(tmp_path), Key.of(keys.create(ORIGIN, SystemClock())))


def alone(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the verifier that is in a bundle, without site packages and outside of the checkout."""
    command = [sys.executable, "-I", "-S", "verify.py", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


def unpacked_verifier(path: Path, folder: Path) -> Path:
    folder.mkdir()
    (folder / "verify.py").write_bytes(members(path)["verify.py"])
    shutil.copy(path, folder / "evidence.zip")
    return folder


def test_a_bundle_is_made_and_both_verifiers_say_the_same(
    tmp_path: Path, desk: tuple[Desk, list[Stream], Stream]
) -> None:
    made, _, _ = desk
    path = tmp_path / "evidence.zip"
    done = run("--store", made.url, "bundle", "--order", "12345", "-o", str(path))
    assert done.exit_code == 0, done.stderr
    assert "events of 3 exchanges" in done.stderr
    assert made.key is not None
    arguments = ("--key", made.key.fingerprint)
    own = run("verify", "--bundle", str(path), *arguments, "--json")
    assert json_lines(own, "bundle")
    stranger = alone(unpacked_verifier(path, tmp_path / "empty"), "evidence.zip", *arguments, "--json")
    assert stranger.returncode == 0, stranger.stderr
    assert json.loads(own.stdout) == json.loads(stranger.stdout)
    assert json.loads(own.stdout)["verdicts"]["authentic"] == "yes"
    text = alone(tmp_path / "empty", "evidence.zip", *arguments).stdout
    assert text == run("verify", "--bundle", str(path), *arguments).stdout
    assert "yes                 authentic" in text


def test_a_bundle_of_an_order_holds_what_a_trace_of_it_shows(
    tmp_path: Path, desk: tuple[Desk, list[Stream], Stream]
) -> None:
    made, exchanges, _ = desk
    apart = made.exchange("and after the order?", ["Wait"], None)
    made.link("order", "777", exchanges[1])
    made.seal()
    for order, led in (("12345", exchanges), ("777", exchanges[:2])):
        path = tmp_path / f"{order}.zip"
        assert run("--store", made.url, "bundle", "--order", order, "-o", str(path)).exit_code == 0
        here = [one["id"] for one in json.loads(run("verify", "--bundle", str(path), "--json").stdout)["exchanges"]]
        (traced,) = json_lines(run("--store", made.url, "trace", f"order:{order}", "--json"), "trace")
        assert here == [step["exchange"] for step in traced["steps"]] == [one.id for one in led]
        assert apart.id not in here


def test_a_bundle_and_its_store_are_found_changed_alike(
    tmp_path: Path, desk: tuple[Desk, list[Stream], Stream]
) -> None:
    """The same event is changed in the store and in the bundle: both verifiers name it, by stream and version."""
    made, exchanges, _ = desk
    path = tmp_path / "evidence.zip"
    assert run("--store", made.url, "bundle", "--exchange", exchanges[0].id, "-o", str(path)).exit_code == 0
    name = stream_file(path, "exchange")
    events = members(path)[name]
    changed = events.replace(b'"content": "Buy"', b'"content": "Bye"')
    assert len(changed) == len(events)
    repacked(path, tmp_path / "changed.zip", {name: _checked(changed)})
    told = json.loads(run("verify", "--bundle", str(tmp_path / "changed.zip"), "--json").stdout)["findings"]
    _change_store(made.url, exchanges[0])
    of_store = json.loads(run("--store", made.url, "verify", "--json").stdout)["findings"]
    assert [(one["stream"], one["version"], one["field"], one["kind"]) for one in told if one["kind"] == "hash"] == [
        (one["exchange"], one["version"], one["field"], one["kind"]) for one in of_store if one["kind"] == "hash"
    ]
    assert told
    assert run("verify", "--bundle", str(tmp_path / "changed.zip")).exit_code == 1


def _checked(records: bytes) -> bytes:
    """Return records with the checksums that they must have."""
    out, at = bytearray(records), 0
    while at < len(out):
        (size,) = struct.unpack_from(">I", out, at)
        struct.pack_into(">I", out, at + 4, zlib.crc32(bytes(out[at + 8 : at + 8 + size])))
        at += 8 + size
    return bytes(out)


def _change_store(url: str, exchange: Stream) -> None:
    with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
        names = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in names:
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute(
            "UPDATE events SET body = CAST(replace(CAST(body AS TEXT), '\"Buy\"', '\"Bye\"') AS BLOB) "
            "WHERE stream = ? AND version = 3",
            (exchange.opened.stream,),
        )
    connection.close()


@pytest.mark.parametrize(
    ("selection", "count"),
    [
        (["--order", "12345"], 3),
        (["--link", "order:12345"], 3),
        (["--conversation", "Wirtschaft €"], 3),
        (["--since", "2026-09-01"], 3),
        (["--until", "2027-09-01"], 3),
        (["--conversation", "Wirtschaft €", "--withhold", "EXCHANGE"], 3),
    ],
)
def test_everything_that_can_be_selected(
    tmp_path: Path, desk: tuple[Desk, list[Stream], Stream], selection: list[str], count: int
) -> None:
    made, exchanges, _ = desk
    selection = [exchanges[0].id if each == "EXCHANGE" else each for each in selection]
    path = tmp_path / "e.zip"
    done = run("--store", made.url, "bundle", *selection, "-o", str(path))
    assert done.exit_code == 0, done.stderr
    result = json.loads(run("verify", "--bundle", str(path), "--json").stdout)
    assert result["findings"] == []
    assert len(result["exchanges"]) == count
    files = members(path)
    told = files["transcript.md"].decode()
    assert ("EURUSD? 0" in told) == (count == 3 and "--withhold" not in selection)
    assert "Wirtschaft €" in files["transcript.html"].decode()
    assert json.loads(files["transcript.json"])


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--order", "99999"], 1, "nothing is linked to order:99999"),
        (["--exchange", "ffffffff"], 1, "no exchange or conversation"),
        (["--exchange", "Wirtschaft €"], 1, "is a conversation, not an exchange"),
        (["--since", "2027-01-01"], 1, "nothing was begun in that time"),
        ([], 2, "give exactly one of"),
        (["--order", "1", "--link", "order:1"], 2, "give exactly one of"),
        (["--link", "12345"], 2, "write KIND:ID"),
        (["--exchange", "LAST", "--withhold", "EXCHANGE"], 2, "not among what is selected"),
    ],
)
def test_what_cannot_be_bundled_is_one_line_and_leaves_no_file(
    tmp_path: Path, desk: tuple[Desk, list[Stream], Stream], arguments: list[str], code: int, said: str
) -> None:
    made, exchanges, _ = desk
    arguments = [{"EXCHANGE": exchanges[0].id, "LAST": exchanges[2].id}.get(each, each) for each in arguments]
    done = run("--store", made.url, "bundle", *arguments, "-o", str(tmp_path / "e.zip"))
    assert done.exit_code == code
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert [each.name for each in tmp_path.iterdir() if "zip" in each.name] == []


def test_a_file_is_replaced_only_where_that_is_said(tmp_path: Path, desk: tuple[Desk, list[Stream], Stream]) -> None:
    made, _, _ = desk
    path = tmp_path / "e.zip"
    path.write_text("mine")
    arguments = ("--store", made.url, "bundle", "--order", "12345", "-o", str(path))
    refused = run(*arguments)
    assert (refused.exit_code, path.read_text()) == (2, "mine")
    assert "exists already: give --force" in refused.stderr
    assert run(*arguments, "--force").exit_code == 0
    assert path.read_bytes()[:2] == b"PK"
    store = made.url.removeprefix("sqlite:///")
    own = run("--store", made.url, "bundle", "--order", "12345", "-o", store, "--force")
    assert own.exit_code == 2
    assert "is the store itself" in own.stderr


def test_without_the_private_key_the_events_are_proved_and_the_transcripts_are_not(
    tmp_path: Path, desk: tuple[Desk, list[Stream], Stream], own_home: Path
) -> None:
    made, _, _ = desk
    assert made.key is not None
    for private in (own_home / "recorder" / "keys").glob("*.key"):
        private.unlink()
    path = tmp_path / "e.zip"
    done = run("--store", made.url, "bundle", "--order", "12345", "-o", str(path))
    assert "nobody vouches for the transcripts" in done.stderr
    result = json.loads(run("verify", "--bundle", str(path), "--key", made.key.fingerprint, "--json").stdout)
    assert result["verdicts"]["authentic"] == "events only"
    assert result["findings"] == []


def test_without_a_ledger_a_bundle_says_what_it_does_not_prove(tmp_path: Path) -> None:
    made, exchanges, _ = small(url_of(tmp_path))
    path = tmp_path / "e.zip"
    done = run("--store", made.url, "bundle", "--exchange", exchanges[0].id, "-o", str(path))
    assert done.exit_code == 0
    assert "authenticity cannot be proved: the store has no signed checkpoints" in done.stderr
    said = run("verify", "--bundle", str(path)).stdout
    assert "authenticity: the store has no signed checkpoints" in said
    assert "the store has no signed checkpoints" in members(path)["COVER.html"].decode()


def test_bad_input_to_the_verifiers_is_one_line(tmp_path: Path, desk: tuple[Desk, list[Stream], Stream]) -> None:
    made, _, _ = desk
    path = tmp_path / "evidence.zip"
    assert run("--store", made.url, "bundle", "--order", "12345", "-o", str(path)).exit_code == 0
    empty = unpacked_verifier(path, tmp_path / "empty")
    cases: list[tuple[list[str], int]] = [
        (["missing.zip"], 2),
        (["evidence.zip", "--key", "abc"], 2),
        (["evidence.zip", "--checkpoint", "missing.note"], 2),
        (["verify.py"], 1),
        ([], 2),
    ]
    for arguments, code in cases:
        done = alone(empty, *arguments)
        assert done.returncode == code, (arguments, done.stderr)
        assert "Traceback" not in done.stderr
    for options in (["--key", "abc"], ["--checkpoint", str(tmp_path / "none")]):
        told = run("verify", "--bundle", str(path), *options)
        assert (told.exit_code, len(told.stderr.splitlines())) == (2, 1)
    assert run("verify", "--key", "abc").exit_code == 2
    assert run("verify", "abc", "--bundle", str(path)).exit_code == 2
    assert run("verify", "--bundle", str(tmp_path)).exit_code == 2


def test_from_python(tmp_path: Path, desk: tuple[Desk, list[Stream], Stream]) -> None:
    made, exchanges, _ = desk
    read: list[Any] = []
    with Store(made.url) as store:
        bundled = store.bundle(tmp_path / "e.zip", conversation="Wirtschaft €", begin=lambda size: read.append)
        assert (bundled.exchanges, bundled.signed, bundled.sealed) == (3, True, True)
        assert bundled.size == (tmp_path / "e.zip").stat().st_size
        assert len(read) == 9
        with pytest.raises(ConfigurationError, match="exists already"):
            store.bundle(tmp_path / "e.zip", exchange=exchanges[0].id)
        with pytest.raises(NotFound):
            store.bundle(tmp_path / "f.zip", order="none")
