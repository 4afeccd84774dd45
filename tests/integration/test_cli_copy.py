"""``recorder db copy``: a store handed over, whole or in part, between engines."""

from __future__ import annotations

import json
import signal
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from jsonschema import Draft202012Validator

from recorder.clock import id_text
from recorder.core.events import Event
from recorder.errors import RecorderError
from recorder.locations import prepared_spool_directory
from recorder.store import open_store
from recorder.store.schema import upgrade
from tests.building import ExchangeBuilder, identity
from tests.commands import SCHEMAS, answered, asking, fill, identity_of, process, run, terminal, told
from tests.recorded import streams
from tests.unit.recording.spooled import Recording

OPENING = ExchangeBuilder(1).event("conversation_named", {"name": "desk"})
AGAIN = ExchangeBuilder(2).event("conversation_named", {"name": "desk"}).event("tags_set", {"tags": {"bot": "elion"}})
DESK = {"conversation": identity_of(OPENING), "name": "desk"}
LATER = {"conversation": identity_of(AGAIN), "name": "desk"}
ALONE = answered(3, ("user", "one"), text="Wait.", call="c3")
FIRST = answered(4, ("user", "two"), text="Hold — 1.0850 €", call="c4", **DESK)
SECOND = answered(5, ("user", "three"), model="m-2", text="Sell", call="c5", **LATER)
CUT = asking(6, ("user", "four"), call="c6").response().sse({"x": 1}, done=False).event("response_truncated", {})
ALL = (OPENING, AGAIN, ALONE, FIRST, SECOND, CUT)
PLAIN = (("content-type", "text/plain"),)
READ = (
    ("list", "--json"),
    ("show", "desk", "--json"),
    ("export", "desk", "--format", "jsonl"),
    ("replay", "desk"),
    ("search", "hold", "--json"),
    ("stats", "--json"),
)


@pytest.fixture
def other(tmp_path: Path) -> str:
    """The URL of a SQLite store that does not exist yet."""
    return f"sqlite:///{tmp_path}/other.db"


def unplaced(url: str) -> dict[str, list[Event]]:
    return {name: [event._replace(position=None) for event in events] for name, events in streams(url).items()}


def reported(*args: str, code: int = 0) -> dict[str, Any]:
    result = run("db", "copy", "--json", *args)
    assert result.exit_code == code, result.stderr
    report: dict[str, Any] = json.loads(result.stdout)
    Draft202012Validator(json.loads((SCHEMAS / "copy.schema.json").read_text())).validate(report)
    return report


def test_a_store_is_handed_over_as_one_file_and_brought_back(store_url: str, other: str, sqlite_url: str) -> None:
    fill(store_url, *ALL)
    result = run("db", "copy", "--from", store_url, "--to", other)
    assert (result.exit_code, result.stderr) == (0, "")
    held = "4 exchanges and 2 openings of conversations"
    events = sum(len(one.events) for one in ALL)
    assert result.stdout.startswith(f"{other}: {events} events copied from ")
    assert result.stdout.endswith(f", of {held}\n")
    assert unplaced(other) == unplaced(store_url)
    assert run("verify", "--store", other).exit_code == 0
    checked = run("db", "check", "--store", other)
    assert checked.exit_code == 0, checked.stdout
    assert "not projected" not in checked.stdout
    for command in READ:
        assert run(*command, "--store", other).stdout_bytes == run(*command, "--store", store_url).stdout_bytes
    again = run("db", "copy", "--to", other, "--store", store_url)
    assert again.stdout.splitlines()[1] == f"{events} events there already, the same"


def test_a_file_comes_to_a_server(sqlite_url: str, postgres_url: str) -> None:
    fill(sqlite_url, *ALL)
    before = Path(sqlite_url.removeprefix("sqlite:///")).read_bytes()
    report = reported("--from", sqlite_url, "--to", postgres_url)
    assert (report["exchanges"], report["openings"], report["present"]) == (4, 2, 0)
    assert unplaced(postgres_url) == unplaced(sqlite_url)
    assert run("verify", "--store", postgres_url).exit_code == 0
    assert run("db", "check", "--store", postgres_url).exit_code == 0
    for command in READ:
        assert run(*command, "--store", postgres_url).stdout_bytes == run(*command, "--store", sqlite_url).stdout_bytes
    assert Path(sqlite_url.removeprefix("sqlite:///")).read_bytes() == before


@pytest.mark.parametrize(
    ("filters", "exchanges", "openings"),
    [
        (("--conversation", "desk"), [FIRST, SECOND], [OPENING, AGAIN]),
        (("--tag", "bot=elion"), [FIRST, SECOND], [OPENING, AGAIN]),
        (("--since", "2026-09-21T14:13:24.5Z", "--verdict", "complete"), [SECOND], [OPENING, AGAIN]),
        (("--verdict", "truncated"), [CUT], []),
        (("--until", "2026-09-21T14:13:24.5Z", "--status", "200"), [ALONE, FIRST], [OPENING, AGAIN]),
    ],
)
def test_what_the_filters_leave_comes_with_its_conversations(
    sqlite_url: str, other: str, filters: tuple[str, ...], exchanges: list[Any], openings: list[Any]
) -> None:
    fill(sqlite_url, *ALL)
    report = reported("--from", sqlite_url, "--to", other, *filters)
    assert (report["exchanges"], report["openings"]) == (len(exchanges), len(openings))
    assert sorted(streams(other)) == sorted(identity_of(one) for one in (*exchanges, *openings))
    assert run("verify", "--store", other).exit_code == 0
    if openings:
        line = json.loads(run("list", "--json", "-n", "1", "--store", other).stdout)
        assert (line["conversation"], line["conversation_name"]) == (DESK["conversation"], "desk")
        assert run("list", "--tag", "bot=elion", "--json", "--store", other).stdout


def test_filters_that_leave_nothing_make_no_store(sqlite_url: str, other: str, tmp_path: Path) -> None:
    fill(sqlite_url, *ALL)
    line = told(run("db", "copy", "--from", sqlite_url, "--to", other, "--model", "none"), 1)
    assert line.startswith("error: nothing is recorded that fits, so nothing was copied: see ")
    assert list(tmp_path.glob("other.db*")) == []


def test_a_file_of_an_older_schema_is_upgraded_where_it_is_written_and_refused_where_it_is_read(
    sqlite_url: str, tmp_path: Path
) -> None:
    (tmp_path / "old.db").write_bytes((Path(__file__).parents[1] / "golden/v1.db").read_bytes())
    (tmp_path / "old.db").chmod(0o600)
    old = f"sqlite:///{tmp_path}/old.db"
    fill(sqlite_url, *ALL)
    line = told(run("db", "copy", "--from", old, "--to", f"sqlite:///{tmp_path}/new.db"), 2)
    assert f"has schema 0001, not 0005: run `recorder db upgrade --store {old}`" in line
    assert not (tmp_path / "new.db").exists()
    held = sum(len(one.events) for one in ALL)
    assert reported("--from", sqlite_url, "--to", old)["events"] == held
    assert run("verify", "--store", old).exit_code == 0
    assert run("db", "check", "--store", old).exit_code == 0


def test_a_conversation_without_a_name_keeps_its_opening(sqlite_url: str, other: str) -> None:
    unnamed = ExchangeBuilder(8)
    fill(sqlite_url, unnamed, answered(9, ("user", "x"), call="c9", conversation=identity_of(unnamed)), ALONE)
    report = reported("--from", sqlite_url, "--to", other, "--since", "2026-09-21T14:13:28Z")
    assert (report["exchanges"], sorted(streams(other))) == (1, [identity_of(unnamed), id_text(identity(9))])
    assert unplaced(other)[identity_of(unnamed)] == []


def test_an_empty_store_makes_an_empty_store(sqlite_url: str, other: str) -> None:
    fill(sqlite_url)
    assert reported("--from", sqlite_url, "--to", other)["events"] == 0
    assert run("db", "check", "--store", other).exit_code == 0


def test_another_stream_under_the_same_id_is_named_and_nothing_is_copied(sqlite_url: str, other: str) -> None:
    fill(sqlite_url, *ALL)
    changed = asking(6, ("user", "four"), call="c6").response().sse({"x": 2}, done=False).completed()
    fill(other, changed)
    line = told(run("db", "copy", "--from", sqlite_url, "--to", other), 1)
    assert line == (
        f"error: {other} holds another event stream under the id {identity_of(CUT)}: version 3 is another event "
        f"there. Nothing was copied: give another store, or see `recorder verify --store {other}`"
    )
    assert list(streams(other)) == [identity_of(CUT)]


def test_what_is_still_being_written_is_named_and_comes_with_the_next_copy(sqlite_url: str, other: str) -> None:
    whole = answered(7, ("user", "five"))
    begun = ExchangeBuilder(7)
    begun.opened, begun.events = whole.opened, whole.events[:3]
    fill(sqlite_url, ALONE, begun)
    result = run("db", "copy", "--from", sqlite_url, "--to", other)
    assert result.exit_code == 0
    assert result.stderr == (
        f"warning: 1 exchange without an end yet ({identity_of(whole)[-8:]}), copied as far as they had come: copy "
        "again when they have ended, the rest is added then; where their program died, run `recorder recover --store "
        f"{sqlite_url}` before\n"
    )
    with closing(open_store(sqlite_url, write=True)) as store:
        store.append([], whole.events[3:])
    report = reported("--from", sqlite_url, "--to", other)
    assert (report["unfinished"], report["events"]) == ([], len(whole.events) - 3)
    assert unplaced(other) == unplaced(sqlite_url)


def test_what_is_only_in_a_spool_is_told(sqlite_url: str, other: str) -> None:
    """A program that was killed before its events came to the store."""
    fill(sqlite_url, ALONE)
    killed = Recording(prepared_spool_directory(sqlite_url))
    killed.exchange()
    killed.die()
    for filters in ((), ("--since", "2020-01-01")):
        result = run("db", "copy", "--from", sqlite_url, "--to", other, *filters)
        assert result.exit_code == 0
        [warning] = result.stderr.splitlines()
        assert warning.startswith("warning: 1 exchange of which something is only in a spool (")
        assert f"run `recorder recover --store {sqlite_url}` before" in warning


def test_damage_is_told_and_the_others_come(sqlite_url: str, other: str) -> None:
    fill(sqlite_url, *ALL)
    with closing(open_store(sqlite_url, write=True)) as store, store.writing() as connection:
        connection.exec_driver_sql("DROP TRIGGER events_no_update")
        connection.exec_driver_sql("UPDATE events SET type = 99 WHERE version = 2 AND stream = ?", (identity(6),))
    result = run("db", "copy", "--from", sqlite_url, "--to", other)
    assert result.exit_code == 1
    assert result.stderr == (
        f"error: the event stream {identity_of(CUT)} is not copied from version 2 on, an event of a type that this "
        "version does not know (code 99): upgrade recorder: the others are\n"
    )
    report = reported("--from", sqlite_url, "--to", other, code=1)
    assert [(one["stream"], one["version"]) for one in report["refused"]] == [(identity_of(CUT), 2)]
    assert len(streams(other)) == len(ALL)


def test_a_store_is_not_copied_to_itself(store_url: str, tmp_path: Path) -> None:
    fill(store_url, ALONE)
    assert "cannot be copied to itself" in told(run("db", "copy", "--from", store_url, "--to", store_url), 2)
    if store_url.startswith("sqlite"):
        (tmp_path / "link.db").symlink_to(tmp_path / "store.db")
        link = f"sqlite:///{tmp_path}/link.db"
        assert "cannot be copied to itself" in told(run("db", "copy", "--from", store_url, "--to", link), 2)


def test_a_server_without_the_schema_is_refused_with_the_command(sqlite_url: str, empty_postgres_url: str) -> None:
    fill(sqlite_url, ALONE)
    line = told(run("db", "copy", "--from", sqlite_url, "--to", empty_postgres_url), 2)
    assert "has no recorder schema: run `recorder db upgrade --store postgresql://" in line
    upgrade(empty_postgres_url)
    with psycopg.connect(empty_postgres_url) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
    line = told(run("db", "copy", "--from", sqlite_url, "--to", empty_postgres_url), 2)
    assert "has schema 0001, not " in line
    assert "run `recorder db upgrade --store " in line


@pytest.mark.parametrize(
    ("source", "target", "code", "line"),
    [
        ("sqlite:///nowhere.db", "sqlite:///o.db", 3, "does not exist"),
        ("x.db", "sqlite:///o.db", 2, "is a path, not a store URL: write sqlite:///x.db"),
        (None, "o.db", 2, "is a path, not a store URL: write sqlite:///o.db"),
        (None, "sqlite:///no/such/folder/o.db", 3, "there is no folder"),
        (None, "postgresql://127.0.0.1:1/none", 3, "cannot be reached"),
        (None, "sqlite:///text.db", 2, "is not a recorder store"),
    ],
)
def test_what_cannot_be_copied_is_one_line(
    sqlite_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    source: str | None,
    target: str,
    code: int,
    line: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    fill(sqlite_url, ALONE)
    (tmp_path / "text.db").write_text("something else" * 99)
    assert line in told(run("db", "copy", "--from", source or sqlite_url, "--to", target), code)
    assert not (tmp_path / "o.db").exists()


def held(url: str) -> int:
    try:
        with closing(open_store(url, write=False)) as store:
            return store.counts()[0]
    except RecorderError:  # it is not made yet
        return 0


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_a_copy_that_was_killed_goes_on_and_ends_the_same(
    sqlite_url: str, other: str, engine: str, request: pytest.FixtureRequest
) -> None:
    target = other if engine == "sqlite" else request.getfixturevalue("postgres_url")
    frames = [b"x" * 200] * 600
    built = [
        asking(number, ("user", "x"), call=str(number)).response(headers=PLAIN).chunks(*frames).completed()
        for number in range(1, 41)
    ]
    fill(sqlite_url, *built)
    events = sum(len(one.events) for one in built)
    copying = process("db", "copy", "--from", sqlite_url, "--to", target)
    try:
        deadline = time.monotonic() + 60
        while not held(target):
            assert copying.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        copying.send_signal(signal.SIGKILL)
        copying.communicate()
    before = held(target)
    assert 0 < before < events
    assert run("verify", "--store", target).exit_code == 0
    report = reported("--from", sqlite_url, "--to", target)
    assert (report["present"], report["events"], report["unfinished"]) == (before, events - before, [])
    assert unplaced(target) == unplaced(sqlite_url)
    assert run("db", "check", "--store", target).exit_code == 0


def test_a_bar_is_shown_on_a_terminal_and_nowhere_else(sqlite_url: str, other: str) -> None:
    fill(sqlite_url, *ALL)
    code, sent = terminal("db", "copy", "--from", sqlite_url, "--to", other, out=False)
    assert code == 0
    assert "copying" in sent
    assert "100%" in sent
    assert run("db", "copy", "--from", sqlite_url, "--to", other).stderr == ""


def test_an_exchange_that_goes_on_from_one_that_stays_behind_begins_a_conversation(sqlite_url: str, other: str) -> None:
    """Only what was chosen leaves the store; the history is in the request itself."""
    asked = answered(1, ("user", "one"), text="Wait.", call="c1")
    goes_on = answered(2, ("user", "one"), ("assistant", "Wait."), ("user", "now?"), model="m-2", call="c2")
    fill(sqlite_url, asked, goes_on)
    assert reported("--from", sqlite_url, "--to", other, "--since", "2026-09-21T14:13:21.5Z")["exchanges"] == 1
    [line] = [json.loads(line) for line in run("list", "--json", "--store", other).stdout.splitlines()]
    assert line["conversation"] == line["id"] == id_text(identity(2))
