"""A stranger's program, made from the page alone, verifies what recorders wrote, and finds what somebody changed."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import requests

from recorder import Recorder
from recorder.clock import SystemClock
from recorder.core.chain import genesis, link
from recorder.core.events import Event
from recorder.ledger import keys
from recorder.store import open_store
from recorder.store.schema import upgrade
from tests.commands import run
from tests.golden.make_journal import HERE
from tests.loopback import Script, serve
from tests.recorded import ask, python, until

READER = HERE / "store_reader.py"
KILLED = """
import os, sys
import requests
from recorder import Recorder
from tests.recorded import ask

recorder = Recorder(sys.argv[1])
response = ask(recorder.mount(requests.Session()), sys.argv[2], "killed")
pieces = response.iter_content(1)
next(pieces)
recorder.seal(response)
os.kill(os.getpid(), 9)
"""


def read(database: Path) -> tuple[int, str, str]:
    """Run the reader where nothing is installed; return its exit code and what it said."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", READER, database], capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A store with a ledger: an order, a cut answer, a killed program and who recovered it, an erasure."""
    folder = tmp_path_factory.mktemp("whole")
    database = folder / "whole.db"
    url = f"sqlite:///{database}"
    with pytest.MonkeyPatch.context() as environment:
        for variable in ("XDG_DATA_HOME", "XDG_STATE_HOME"):
            environment.setenv(variable, str(folder))
        keys.create("example.com/stranger", SystemClock())
        with closing(open_store(url, write=True)) as store:
            store.ledger.found("example.com/stranger")
        gone = _recorded(url)
        _erased(url, gone)
        yield database


def _recorded(url: str) -> str:
    """Record; return the exchange that is to be erased."""
    with serve(Script(chunks=6)) as server, Recorder(url) as recorder:
        session = recorder.mount(requests.Session())
        with recorder.conversation("desk", tags={"bot": "elion"}):
            gone = ask(session, server.url, "personal")
            assert gone.content
            response = ask(session, server.url, "Buy?")
            assert response.content
            receipt = recorder.seal(response)
            assert receipt is not None
            recorder.link(kind="order", id="12345", exchange=response, tag=receipt.tag, side="buy")
        erased = recorder.exchange(gone) or ""
    with serve(Script(chunks=6, cut_after=3)) as server, Recorder(url) as recorder:
        with pytest.raises(requests.RequestException):
            assert ask(recorder.mount(requests.Session()), server.url, "cut").content
    with serve(Script(chunks=100, gap=0.05)) as server:
        program = python(KILLED, url, server.url)
        assert program.wait(60) == -9, program.communicate()
        program.communicate()
        with Recorder(url):
            until(lambda: _types(url).count("process_died") == 2)
    return erased


def _types(url: str) -> list[str]:
    with closing(open_store(url, write=False)) as store:
        return [event.type for _, events in store.walk() for event in events]


def _erased(url: str, exchange: str) -> None:
    done = run("--store", url, "erase", exchange, "--ground", "Art. 17", "--yes")
    assert done.exit_code == 0, done.stderr


def test_a_store_that_recorders_wrote_is_true(whole: Path) -> None:
    code, said, found = read(whole)
    assert (code, found) == (0, "")
    with sqlite3.connect(whole) as connection:
        events, streams, leaves, erased = (
            connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("events", "event_streams", "ledger_leaves", "erased_payloads")
        )
        (newest,) = connection.execute("SELECT note FROM checkpoints ORDER BY size DESC").fetchone()
    connection.close()
    assert said.splitlines()[-1] == f"true: {events} events of {streams} event streams, {leaves} entries"
    assert said.splitlines()[-4:-1] == newest.splitlines()[:3]
    assert leaves > 10
    assert erased >= 10


@pytest.mark.parametrize("name", ["v1.db", "journal.db"])
def test_golden_stores_of_this_schema_are_true(name: str, tmp_path: Path) -> None:
    shutil.copy(HERE / name, tmp_path)
    upgrade(f"sqlite:///{tmp_path / name}")
    assert read(tmp_path / name)[0] == 0


def test_what_the_reader_reads_is_no_code_of_recorder() -> None:
    assert "recorder" not in [
        word for line in READER.read_text().splitlines() if "import" in line for word in line.split()
    ]


EXCHANGE = "(SELECT exchange FROM link_rows)"
JOURNAL = "(SELECT instance FROM event_streams WHERE stream = (SELECT exchange FROM link_rows))"
#: what somebody does to the database, and the word by which it is found
TAMPERED = {
    "a byte of an answer": (
        f"UPDATE events SET body = CAST(replace(CAST(body AS TEXT), 'data', 'date') AS BLOB) "
        f"WHERE version = 4 AND stream = {EXCHANGE}",
        "not what was written",
    ),
    "the last checkpoints": (  # the very last is of what says that the erasure was carried out
        "DELETE FROM checkpoints WHERE size >= (SELECT size FROM checkpoints ORDER BY size DESC LIMIT 1 OFFSET 1)",
        "erased without a sealed record",
    ),
    "a fact": (f"UPDATE events SET meta = replace(meta, '200', '201') WHERE stream = {EXCHANGE}", "not what was"),
    "a time": (f"UPDATE events SET wall_ns = wall_ns + 1 WHERE version = 3 AND stream = {EXCHANGE}", "not what was"),
    "a type": (f"UPDATE events SET type = 8 WHERE type = 7 AND stream = {EXCHANGE}", "not what was written"),
    "what a type is called": ("UPDATE event_types SET name = 'chunk_sent' WHERE code = 5", "not what was written"),
    "who wrote it": (f"UPDATE event_streams SET instance = stream WHERE stream = {EXCHANGE}", "not what was written"),
    "the secret": (f"UPDATE event_streams SET secret = zeroblob(32) WHERE stream = {EXCHANGE}", "not what was written"),
    "the format": (f"UPDATE event_streams SET format = 2 WHERE stream = {EXCHANGE}", "no opening that can be read"),
    "an event in the middle": (f"DELETE FROM events WHERE version = 4 AND stream = {EXCHANGE}", "not what was written"),
    "the end": (
        f"DELETE FROM events WHERE stream = {EXCHANGE} AND version = "
        f"(SELECT max(version) FROM events WHERE stream = {EXCHANGE})",
        "a journal knows more events",
    ),
    "all events": (f"DELETE FROM events WHERE stream = {EXCHANGE}", "nothing is left of"),
    "an opening": (f"DELETE FROM event_streams WHERE stream = {EXCHANGE}", "no opening that can be read"),
    "an exchange": (
        f"DELETE FROM events WHERE stream = {EXCHANGE}; DELETE FROM event_streams WHERE stream = {EXCHANGE}",
        "a journal knows more events",
    ),
    "a journal": (
        f"CREATE TABLE gone AS SELECT {JOURNAL} AS id; DELETE FROM events WHERE stream IN (SELECT id FROM gone); "
        "DELETE FROM event_streams WHERE stream IN (SELECT id FROM gone)",
        "a journal knows more events",  # the next one names it
    ),
    "the last journal's end": (
        "DELETE FROM events WHERE position = (SELECT max(position) FROM events WHERE type = 32)",
        "sealed, and not here",
    ),
    "a payload": (f"UPDATE events SET body = NULL WHERE version = 4 AND stream = {EXCHANGE}", "not what was written"),
    "a payload and who erased it": (
        "UPDATE events SET meta = NULL, body = NULL WHERE type = 27",
        "not what was written",
    ),
    "what an erased payload was": ("UPDATE erased_payloads SET size = size + 1", "not what was written"),
    "the last entry": (
        "DELETE FROM ledger_leaves WHERE number = (SELECT max(number) FROM ledger_leaves)",
        "nodes that the tree does not have",
    ),
    "the last entry and its node": (
        "DELETE FROM ledger_nodes WHERE (level, number) IN (SELECT 0, max(number) FROM ledger_leaves) OR level > 0 "
        "AND (number + 1) << level > (SELECT max(number) FROM ledger_leaves);"
        "DELETE FROM ledger_leaves WHERE number = (SELECT max(number) FROM ledger_leaves)",
        "checkpoint with another root",
    ),
    "when it was sealed": (
        "UPDATE ledger_leaves SET entry = CAST(substr(entry, 1, 113) || x'00' || substr(entry, 115) AS BLOB) "
        "WHERE number = 1",
        "wrong node of the tree",
    ),
    "an entry's column": ("UPDATE ledger_leaves SET length = length + 1 WHERE number = 1", "columns that are not"),
    "a node": ("UPDATE ledger_nodes SET hash = zeroblob(32) WHERE level = 1 AND number = 0", "wrong node of the tree"),
    "a checkpoint": (
        "UPDATE checkpoints SET note = replace(note, substr(note, instr(note, '=') - 10, 4), 'AAAA')",
        "checkpoint with another root",
    ),
    "the name of the ledger": ("UPDATE ledger SET origin = 'example.com/other'", "entry of another ledger"),
    "the whole ledger but its entries": ("DELETE FROM ledger", "entry of another ledger"),
}


def _tampered(whole: Path, copy: Path) -> sqlite3.Connection:
    with closing(sqlite3.connect(whole)) as source:
        source.execute("VACUUM INTO ?", (str(copy),))
    connection = sqlite3.connect(copy)
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        connection.execute(f"DROP TRIGGER {name}")
    connection.execute("PRAGMA foreign_keys = OFF")
    return connection


@pytest.mark.parametrize("name", TAMPERED)
def test_it_finds_what_somebody_changed(name: str, whole: Path, tmp_path: Path) -> None:
    statements, word = TAMPERED[name]
    with closing(_tampered(whole, tmp_path / "copy.db")) as connection:
        before = list(connection.iterdump())
        connection.executescript(statements)
        assert list(connection.iterdump()) != before
    code, _, found = read(tmp_path / "copy.db")
    assert code == 1
    assert found.startswith("FOUND "), found
    assert word in found


@pytest.mark.parametrize("journals", [True, False])
def test_it_finds_an_answer_whose_hashes_were_made_again(journals: bool, whole: Path, tmp_path: Path) -> None:
    """The journal knows the hash that was; where somebody made all journals anew, the ledger does."""
    copy = tmp_path / "copy.db"
    with closing(_tampered(whole, copy)) as connection:
        (exchange,) = connection.execute(f"SELECT {EXCHANGE}").fetchone()
        renamed = _hashed_again(connection, exchange, {"Buy": "Sel"})
        if journals:
            # In the order in which they began, which their ids need not tell: each knows the head of the one before.
            named = (
                "SELECT s.stream FROM event_streams s JOIN events e ON e.stream = s.stream AND e.version = 1 "
                "WHERE s.stream = s.instance ORDER BY e.position"
            )
            for (journal,) in connection.execute(named).fetchall():
                renamed |= _hashed_again(connection, journal, renamed)
        connection.commit()
    code, _, found = read(copy)
    assert code == 1
    assert ("not what was sealed" if journals else "a journal knows another head") in found


def _hashed_again(connection: sqlite3.Connection, stream: bytes, changes: dict[str, str]) -> dict[str, str]:
    """Change texts in the events of a stream, make all hashes anew; return these by those that were."""
    opening = connection.execute("SELECT secret, instance FROM event_streams WHERE stream = ?", (stream,)).fetchone()
    rows = connection.execute(
        "SELECT version, name, wall_ns, mono_ns, coalesce(instance, ?), flags, meta, body, hash FROM events "
        "JOIN event_types ON code = type WHERE stream = ? ORDER BY version",
        (opening[1], stream),
    ).fetchall()
    previous, renamed = genesis(stream), {}
    for *fixed, meta, body, was in rows:
        for old, new in changes.items():
            meta = meta and meta.replace(old, new)
            body = body and body.replace(old.encode(), new.encode())
        previous = link(previous, opening[0], Event(stream, *fixed, meta, body, was))
        renamed[was.hex()] = previous.hex()
        values = (meta, body, previous, stream, fixed[0])
        connection.execute("UPDATE events SET meta = ?, body = ?, hash = ? WHERE stream = ? AND version = ?", values)
    return renamed
