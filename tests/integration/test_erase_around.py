"""Erasing, and what is around it: programs that run, readers, spools, roles, other exchanges, somebody who cheats."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import requests

from recorder import Recorder, Store
from recorder.clock import id_bytes
from recorder.core.chain import left_of
from recorder.locations import spool_directory
from recorder.projections.erasing import erase_streams
from recorder.projections.runner import project
from recorder.store import open_store
from recorder.store.erased import erased_streams
from recorder.store.projected import SqlProjected
from recorder.store.sql import SqlStore
from tests.commands import run, told
from tests.erasing import GROUND, check_proofs, erase, recorded, told_erasures, verified
from tests.loopback import Script, serve
from tests.postgres_server import PostgresServer
from tests.recorded import ask, python, until

OPTIONS = ("--ground", GROUND, "--yes")


def sent(session: requests.Session, url: str, *texts: str) -> str:
    """Send a history of messages, by the user and the assistant in turn after that of the system; return the answer."""
    roles = ("system", *("user", "assistant") * len(texts))
    messages = [{"role": role, "content": text} for role, text in zip(roles, texts, strict=False)]
    response = session.post(url, json={"model": "m", "stream": True, "messages": messages}, stream=True, timeout=30)
    assert response.content
    return Script(chunks=3).text(texts[-1])


@pytest.fixture
def history(store_url: str) -> str:
    """A store with a conversation that is sent again with each request, and two others with the same first message."""
    with serve(Script(chunks=3)) as server, Recorder(store_url) as recorder:
        session = recorder.mount(requests.Session())
        said = ["You are terse.", "What is a Zwetschge?"]
        for question in ("And a Knoedel?", "And both?"):
            said += [sent(session, server.url, *said), question]
        sent(session, server.url, *said)
        sent(session, server.url, "You are terse.", "Something else")
        sent(session, server.url, "You are terse.", "What is a Zwetschge?", "A plum.", "Sure?")
    assert run("db", "rebuild", "--store", store_url).exit_code == 0
    return store_url


def found_for(url: str, word: str) -> list[str]:
    with Store(url) as store:
        return [str(hit["exchange"]) for hit in store.search(word)]


def in_order(url: str) -> list[str]:
    with Store(url) as store:
        return [str(row["id"]) for row in store.exchanges()][::-1]


@pytest.mark.parametrize("which", [(0,), (1,), (0, 2), (0, 1, 2), (3,), (4, 0)])
def test_what_other_exchanges_said_as_well_is_still_found_in_them(history: str, which: tuple[int, ...]) -> None:
    assert run("keys", "init", "--origin", "desk.example/ledger", "--store", history).exit_code == 0
    ids = in_order(history)
    assert len(ids) == 5
    for number in which:
        erase(history, ids[number])
        check_proofs(history)
    left = [one for number, one in enumerate(ids) if number not in which]
    assert set(found_for(history, "terse")) == {left[0]}
    kept = [one for number, one in enumerate(ids) if number not in which and number != 3]
    assert found_for(history, "Zwetschge")[-1:] == kept[:1]


def test_what_is_being_recorded_is_not_erased(store_url: str) -> None:
    with serve(Script(chunks=200, gap=0.02)) as server, Recorder(store_url) as recorder:
        with ask(recorder.mount(requests.Session()), server.url, "long") as response:
            pieces = response.iter_content(1)
            next(pieces)
            exchange = recorder.exchange(response) or ""
            recorder.flush()
            line = told(run("erase", exchange, *OPTIONS, "--store", store_url), 1)
    assert "still being recorded" in line
    assert told_erasures(store_url) == []


def test_the_conversation_of_a_program_that_runs_is_not_erased_with_its_name(store_url: str) -> None:
    with serve(Script(chunks=3)) as server, Recorder(store_url) as recorder:
        session = recorder.mount(requests.Session())
        with recorder.conversation("open"):
            response = ask(session, server.url, "hello")
            assert response.content
        exchange = recorder.exchange(response) or ""
        recorder.flush()
        assert "a program that runs" in told(run("erase", "open", *OPTIONS, "--store", store_url), 1)
        result = run("erase", exchange, *OPTIONS, "--store", store_url)
        assert result.exit_code == len([line for line in result.stderr.splitlines() if "spool" in line])
    again = run("erase", "--finish", "--store", store_url)
    assert (again.exit_code, again.stderr) == (0, "")
    with Store(store_url) as store:
        assert store.exchange(exchange).erased


def test_what_a_recovery_set_aside_is_told_of(sqlite_url: str) -> None:
    made = recorded(sqlite_url)
    directory = spool_directory(sqlite_url)
    directory.mkdir()
    kept = directory / ("0" * 32 + ".spool.damaged")
    kept.write_bytes(b"x" * 3_000_000 + id_bytes(made.hers[0]) + b"Zwetschgenknoedel")
    result = run("erase", made.hers[0], *OPTIONS, "--store", sqlite_url)
    assert result.exit_code == 1
    assert f"rm {kept}" in result.stderr
    kept.unlink()
    assert run("erase", "--finish", "--store", sqlite_url).exit_code == 0


@contextmanager
def reading(url: str) -> Iterator[SqlStore]:
    """Have the store read as it is now, until the end."""
    with closing(open_store(url, write=False)) as store, store.snapshot() as rows:
        assert list(rows("SELECT count(*) FROM events"))
        yield store


def test_a_reader_of_what_was_there_is_told_of(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recorder.store.removal._PATIENCE", 0.5)
    made = recorded(store_url)
    with reading(store_url):
        result = run("erase", made.hers[0], *OPTIONS, "--store", store_url)
        assert result.exit_code == 1
        assert "recorder erase --finish" in result.stderr
        assert "as it was" in result.stderr or "as they were" in result.stderr
    result = run("erase", "--finish", "--store", store_url)
    assert (result.exit_code, result.stderr) == (0, "")
    check_proofs(store_url)


def test_who_may_only_add_may_not_erase(own_postgres: PostgresServer) -> None:
    url = own_postgres.create_database()
    assert run("db", "upgrade", "--store", url).exit_code == 0
    made = recorded(url)
    with closing(open_store(url, write=True)) as store, store.writing() as connection:
        connection.exec_driver_sql("CREATE ROLE recording LOGIN")
        connection.exec_driver_sql("GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA public TO recording")
    as_writer = url.replace("recorder@", "recording@")
    assert "may not erase" in told(run("erase", made.hers[0], *OPTIONS, "--store", as_writer), 2)
    assert told_erasures(url) == []


def take_away(url: str, exchange: str, *more: str) -> None:
    """Take payloads away as somebody does who has the database and owns its tables."""
    with closing(open_store(url, write=True)) as store, store.writing() as connection:
        place = f"WHERE stream = {store.id_literal(id_bytes(exchange))}"
        if url.startswith("sqlite"):
            connection.exec_driver_sql("DROP TRIGGER events_no_update")
        else:
            connection.exec_driver_sql("ALTER TABLE events DISABLE TRIGGER ALL")
        connection.exec_driver_sql(f"UPDATE events SET meta = NULL, body = NULL {place}")
        for statement in more:
            connection.exec_driver_sql(f"{statement} {place}")


def test_a_payload_that_somebody_removed_is_no_erasure(store_url: str) -> None:
    made = recorded(store_url)
    take_away(store_url, made.hers[0])
    with Store(store_url) as store:
        assert store.exchange(made.hers[0]).not_as_written is not None
    assert {(one["kind"], one["exchange"]) for one in verified(store_url)["findings"]} >= {("hash", made.hers[0])}
    result = run("export", made.hers[0], "--store", store_url)
    assert "not as it was written" in result.stderr


def test_what_is_left_of_a_payload_cannot_be_made_up(store_url: str) -> None:
    made = recorded(store_url)
    take_away(store_url, made.hers[0], "INSERT INTO erased_payloads SELECT stream, version, 10, hash FROM events")
    with Store(store_url) as store:
        assert store.exchange(made.hers[0]).not_as_written is not None
    assert ("erasure", made.hers[0]) in {(one["kind"], one["exchange"]) for one in verified(store_url)["findings"]}


def test_who_leaves_the_right_commitments_still_has_to_answer_for_it(store_url: str) -> None:
    made = recorded(store_url)
    with closing(open_store(store_url, write=True)) as store:
        opened = store.opening(id_bytes(made.hers[0]))
        assert opened is not None
        events = list(store.events(opened.stream))
        left = {opened.stream: [(event.version, *left_of(opened, event)) for event in events]}
        project(store, SqlProjected(store))
        erase_streams(store, {opened.stream: [event._replace(meta=None, body=None) for event in events]}, left)
    found = verified(store_url)["findings"]
    assert [(one["kind"], one["exchange"]) for one in found] == [("erasure", made.hers[0])]
    assert "nobody answers" in found[0]["detail"]


def test_erasing_does_not_whitewash_what_was_changed(sqlite_url: str) -> None:
    made = recorded(sqlite_url)
    with closing(open_store(sqlite_url, write=True)) as store, store.writing() as connection:
        connection.exec_driver_sql("DROP TRIGGER events_no_update")
        place = f"stream = {store.id_literal(id_bytes(made.hers[0]))} AND type = 5"
        connection.exec_driver_sql(f"UPDATE events SET body = x'00' WHERE {place}")
    erase(sqlite_url, made.hers[0])
    with Store(sqlite_url) as store:
        assert store.exchange(made.hers[0]).not_as_written is not None


def test_a_copy_is_erased_as_its_store_is(store_url: str, tmp_path: Path) -> None:
    made = recorded(store_url)
    erase(store_url, "annakarenina")
    copied = f"sqlite:///{tmp_path}/copy.db"
    assert run("db", "copy", "--to", copied, "--store", store_url).exit_code == 0
    check_proofs(copied)
    with closing(open_store(copied, write=False)) as store:
        assert set(map(id_bytes, made.hers)) < erased_streams(store)


def test_bad_input(store_url: str, tmp_path: Path) -> None:
    made = recorded(store_url)
    assert "--ground" in told(run("erase", made.hers[0], "--yes", "--store", store_url), 2)
    assert "empty" in told(run("erase", made.hers[0], "--ground", " ", "--yes", "--store", store_url), 2)
    assert "give an ID" in told(run("erase", "--yes", "--store", store_url), 2)
    assert "give --yes" in told(run("erase", made.hers[0], "--ground", GROUND, "--store", store_url), 2)
    assert "nothing is called" in told(run("erase", "nobody", *OPTIONS, "--store", store_url), 1)
    assert "cassette" in told(run("erase", made.hers[0], *OPTIONS, "--store", str(tmp_path / "c.jsonl")), 2)
    missing = f"sqlite:///{tmp_path}/missing.db"
    told(run("erase", made.hers[0], *OPTIONS, "--store", missing), 3)
    assert not (tmp_path / "missing.db").exists()
    assert told_erasures(store_url) == []


def test_recording_goes_on_while_a_store_is_written_anew(store_url: str) -> None:
    made = recorded(store_url)
    with serve(Script(chunks=50, gap=0.01)) as server:
        program = python(
            "import sys, requests\nfrom recorder import Recorder\nfrom tests.recorded import ask\n"
            "with Recorder(sys.argv[1]) as recorder:\n"
            "    session = recorder.mount(requests.Session())\n"
            "    for number in range(6):\n"
            "        assert ask(session, sys.argv[2], str(number)).content\n"
            "        print(number, flush=True)\n",
            store_url,
            server.url,
        )
        assert program.stdout is not None
        assert program.stdout.readline() == "0\n"
        erase(store_url, made.hers[0])
        _, errors = program.communicate(timeout=60)
    assert (program.returncode, errors) == (0, "")
    until(lambda: len(in_order(store_url)) == 9)
    check_proofs(store_url)
