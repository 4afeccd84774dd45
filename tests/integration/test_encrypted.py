"""Recording with sealed payloads: nothing in the clear on any disk, everything there for whoever has the keys."""

from __future__ import annotations

import os
import signal
import stat
from contextlib import closing
from pathlib import Path

import pytest
import requests

from recorder import Player, Recorder, Store
from recorder.api.reader import Reader
from recorder.clock import id_bytes
from recorder.core.events import SEALED_FORMAT, is_journal, stream_kind
from recorder.errors import ConfigurationError, PayloadsSealed, RecordingError
from recorder.locations import payload_keys_file, spool_directory
from recorder.store import open_store
from tests.commands import json_lines, run, told
from tests.encrypted import SAID, hide_table, record, recorded
from tests.erasing import check_proofs, verified
from tests.loopback import Script, serve
from tests.places import Place
from tests.recorded import ask, exchanges, python
from tests.searching_bytes import found_in


@pytest.mark.parametrize("drainer", ["thread", "process"])
def test_nothing_of_it_is_anywhere_in_the_clear(place: Place, tmp_path: Path, drainer: str) -> None:
    made = recorded(place.url, drainer=drainer)
    assert run("db", "rebuild", "--store", place.url).exit_code == 0
    assert verified(place.url)["findings"] == []
    if place.url.startswith("sqlite"):
        assert run("db", "backup", str(tmp_path / "backup.db"), "--store", place.url).exit_code == 0
    assert run("db", "copy", "--to", f"sqlite:///{tmp_path}/copy.db", "--store", place.url).exit_code == 0
    assert found_in([*place.files, *place.log, tmp_path], SAID) == []
    with Store(f"sqlite:///{tmp_path}/copy.db") as copy:
        assert copy.exchange(made.hers[0]).request_messages[-1].text == "Zwetschgenknoedel?"


def test_whoever_has_the_keys_reads_it_as_ever(store_url: str) -> None:
    made = recorded(store_url)
    found = exchanges(store_url)
    assert {one.verdict for one in map(_rebuilt(store_url).__getitem__, found)} == {"complete"}
    rows = json_lines(run("list", "--json", "--store", store_url), "list")
    assert {row["id"] for row in rows} == {*made.hers, made.other}
    assert {row["status"] for row in rows} == {200}
    assert run("show", "annakarenina", "--store", store_url).stdout.count("Zwetschgenknoedel") > 3
    hits = json_lines(run("search", "Zwetschgenknoedel", "--json", "--store", store_url), "search")
    assert {hit["exchange"] for hit in hits} == set(made.hers)
    assert json_lines(run("list", "--json", "--tag", "who=tagofhers", "--store", store_url), "list")
    shown = verified(store_url)
    assert (shown["findings"], shown["verdicts"]["unmodified"]) == ([], "yes")
    assert "withheld" not in shown


def _rebuilt(url: str) -> dict[str, object]:
    with Store(url) as store:
        return {str(row["id"]): store.exchange(str(row["id"])) for row in store.exchanges()}


def test_what_was_recorded_is_played(store_url: str) -> None:
    with serve(Script(chunks=3)) as server:
        with Recorder(store_url, encrypt=True) as recorder:
            first = ask(recorder.mount(requests.Session()), server.url, "again").content
        with Player(store_url) as player:
            assert ask(player.mount(requests.Session()), server.url, "again").content == first
        assert len(server.visits()) == 1


def test_every_stream_but_journals_and_links_is_sealed(store_url: str) -> None:
    recorded(store_url)
    with serve(Script(chunks=3)) as server, Recorder(store_url, encrypt=True) as recorder:
        response = ask(recorder.mount(requests.Session()), server.url, "x")
        recorder.link(kind="order", id="1", exchange=response)
    with closing(open_store(store_url, write=True)) as store:
        for opened in list(store.openings()):
            first = next(store.stored_events(opened.stream))
            clear = is_journal(opened) or stream_kind(first.type) == "link"
            assert (opened.format != SEALED_FORMAT) == clear, first.type
            assert clear or all(event.meta is None for event in store.stored_events(opened.stream))
    assert run("trace", "order:1", "--store", store_url).exit_code == 0


def test_a_killed_program_leaves_nothing_in_the_clear_and_loses_nothing(store_url: str, tmp_path: Path) -> None:
    code = f"""
import os
import signal
import requests
from recorder import Recorder
from tests.loopback import Script, serve
from tests.recorded import ask
recorder = Recorder({store_url!r}, encrypt=True)
with serve(Script(chunks=50, gap=0.01)) as server:
    session = recorder.mount(requests.Session())
    with recorder.conversation("annakarenina"):
        pieces = ask(session, server.url, "Zwetschgenknoedel?").iter_content(1)
        for _ in range(400):
            next(pieces)
        os.kill(os.getpid(), signal.SIGKILL)
"""
    with python(code) as program:
        _, errors = program.communicate()
    assert program.returncode == -signal.SIGKILL, errors
    directory = spool_directory(store_url)
    assert list(directory.iterdir())
    assert found_in([directory, tmp_path], SAID) == []
    with Store(store_url) as store:  # what a spool holds is read as well
        (row,) = store.exchanges()
        assert "Zwetschgenknoedel" in str(store.exchange(str(row["id"])).request_messages[-1].text)
    away = hide_table(tmp_path)
    left = run("recover", "--store", store_url)
    assert left.exit_code == 0, left.stderr
    assert list(directory.iterdir())  # its end needs the key: the next recovery finds it by these
    away.rename(payload_keys_file())
    assert run("recover", "--store", store_url).exit_code == 0
    assert not directory.exists()
    with Store(store_url) as store:
        (row,) = store.exchanges()
        assert store.exchange(str(row["id"])).exchange.transport_end == "process_died"
    assert verified(store_url)["findings"] == []
    assert found_in([tmp_path], SAID) == []


def test_without_the_keys_each_command_says_what_is_missing(store_url: str, tmp_path: Path) -> None:
    made = recorded(store_url)
    hide_table(tmp_path)
    for command in (["show", made.other], ["events", made.other], ["replay", made.other], ["export", made.other]):
        line = told(run(*command, "--store", store_url), 2)
        assert "is sealed, and cannot be read here: the table of keys" in line
    line = told(run("bundle", "--exchange", made.other, "-o", str(tmp_path / "b.zip"), "--store", store_url), 2)
    assert "is sealed" in line
    assert not (tmp_path / "b.zip").exists()
    listed = run("list", "--json", "--store", store_url)
    assert "some of what was said is sealed" in listed.stderr
    rows = json_lines(listed, "list")
    assert len(rows) == 3
    assert all(row["sealed"] and "url" not in row and "model" not in row for row in rows)
    assert all(row["bytes"] > 0 for row in rows)
    searched = run("search", "Zwetschgenknoedel", "--store", store_url)
    assert "is sealed" in searched.stderr
    assert "Zwetschgen" not in searched.stdout
    with Store(store_url) as store, pytest.raises(PayloadsSealed):
        store.exchange(made.other)


def test_without_the_keys_what_was_withheld_is_not_said_to_be_checked(store_url: str, tmp_path: Path) -> None:
    recorded(store_url)
    hide_table(tmp_path)
    shown = verified(store_url)
    assert shown["findings"] == []
    assert shown["verdicts"]["unmodified"] == "partly"
    assert shown["withheld"]["streams"] == 4
    assert any("sealed payloads hold" in line for line in shown["not_proved"])
    assert "withheld" in run("verify", "--store", store_url).stdout


def test_a_foreign_table_opens_nothing(store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = recorded(store_url)
    monkeypatch.setenv("RECORDER_PAYLOAD_KEYS", str(tmp_path / "other.keys"))
    record(f"sqlite:///{tmp_path}/another.db")
    assert "its key is not in" in told(run("show", made.other, "--store", store_url), 2)
    check_proofs(store_url)


def test_the_views_are_what_the_events_say_with_and_without_keys(store_url: str, tmp_path: Path) -> None:
    recorded(store_url)
    check_proofs(store_url)
    hide_table(tmp_path)
    check_proofs(store_url)


def test_a_table_that_goes_away_disturbs_nothing(sqlite_url: str, tmp_path: Path) -> None:
    with serve(Script(chunks=3)) as server, Recorder(sqlite_url, encrypt=True) as recorder:
        session = recorder.mount(requests.Session())
        away = hide_table(tmp_path)
        for number in range(8):
            assert ask(session, server.url, f"Zwetschgenknoedel {number}").content
    away.rename(payload_keys_file())
    assert found_in([tmp_path], SAID) == []
    with Store(sqlite_url) as store:
        assert len([store.exchange(str(row["id"])) for row in store.exchanges()]) == 8
        shared = {id_bytes(str(row["id"])) for row in store.exchanges()}
    with closing(open_store(sqlite_url, write=True)) as store:
        keys = [opened.secret[:16] for opened in store.sealed_among(sorted(shared)).values()]
    assert len(keys) == 8
    assert len(set(keys)) == 5  # four of their own, and the one that was kept back
    assert verified(sqlite_url)["findings"] == []


def test_what_must_be_recorded_is_refused_when_no_key_is_left(sqlite_url: str, tmp_path: Path) -> None:
    with serve(Script(chunks=3)) as server, Recorder(sqlite_url, encrypt=True, on_failure="raise") as recorder:
        session = recorder.mount(requests.Session())
        hide_table(tmp_path)
        for _ in range(4):
            assert ask(session, server.url, "x").content
        with pytest.raises(RecordingError, match="the table of keys"):
            ask(session, server.url, "x")
        assert len(server.visits()) == 4


def test_the_table_is_for_its_user_alone_and_apart(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(sqlite_url)
    assert stat.S_IMODE(payload_keys_file().stat().st_mode) == 0o600
    assert tmp_path not in payload_keys_file().parents
    monkeypatch.setenv("RECORDER_PAYLOAD_KEYS", sqlite_url)
    with pytest.raises(ConfigurationError, match="cannot be the store itself"):
        Recorder(sqlite_url, encrypt=True)
    monkeypatch.setenv("RECORDER_PAYLOAD_KEYS", str(tmp_path / "other.db"))
    Recorder(f"sqlite:///{tmp_path}/other.db").close()
    with pytest.raises(ConfigurationError, match="not a table of keys"):
        Recorder(sqlite_url, encrypt=True)
    monkeypatch.setenv("RECORDER_PAYLOAD_KEYS", "postgresql+psycopg://nowhere/keys")
    with pytest.raises(ConfigurationError, match="names no file"):
        Recorder(sqlite_url, encrypt=True)


def test_a_cassette_is_not_encrypted(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="a cassette is not encrypted"):
        Recorder(tmp_path / "c.jsonl", encrypt=True)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_takes_keys_of_its_own(sqlite_url: str) -> None:
    with serve(Script(chunks=3)) as server, Recorder(sqlite_url, encrypt=True) as recorder:
        session = recorder.mount(requests.Session())
        assert ask(session, server.url, "parent").content
        child = os.fork()
        if not child:
            ask(session, server.url, "child").content  # noqa: B018 - it is read to its end
            recorder.close()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert ask(session, server.url, "parent again").content
    with closing(Reader(sqlite_url)) as reader:
        streams = sorted(row.id for row in reader.exchanges())
        keys = {opened.secret[:16] for opened in reader.store.sealed_among(streams).values()}
        assert len(streams) == len(keys) == 3
    assert verified(sqlite_url)["findings"] == []


def test_plain_and_sealed_exchanges_stand_side_by_side(store_url: str) -> None:
    recorded(store_url)
    with serve(Script(chunks=3)) as server, Recorder(store_url) as recorder:
        assert ask(recorder.mount(requests.Session()), server.url, "plain Zwetschgenknoedel").content
    check_proofs(store_url)
    hits = json_lines(run("search", "Zwetschgenknoedel", "--json", "--store", store_url), "search")
    assert len({hit["exchange"] for hit in hits}) == 3


@pytest.mark.parametrize(
    "command", [["show"], ["export"], ["erase", "--ground", "g", "--yes"], ["hold", "place", "--ground", "g"]]
)
def test_without_the_table_a_name_is_not_said_to_be_nobodys(store_url: str, command: list[str], tmp_path: Path) -> None:
    recorded(store_url)
    hide_table(tmp_path)
    result = run(*command, "annakarenina", "--store", store_url)
    assert result.exit_code == 2, result.stderr
    assert "names are sealed, and cannot be read here: " in result.stderr.splitlines()[-1]
    unknown = run(*command, "0" * 32, "--store", store_url)
    assert unknown.exit_code == 1
    assert "no exchange or conversation has the id" in unknown.stderr
