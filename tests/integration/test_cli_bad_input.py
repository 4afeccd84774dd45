"""Bad input: one clear line, the right exit code, nothing lost, no traceback."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import socket
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests

from recorder import ConfigurationError, Player, Recorder, Store
from recorder.clock import id_bytes
from tests.building import ExchangeBuilder
from tests.commands import answered, fill, identity_of, json_lines, process, run, told

READING = (["list"], ["show", "x"], ["events", "x"], ["export", "x"], ["replay", "x"], ["verify"], ["db", "status"])
WRITING = (["recover"], ["db", "upgrade"], ["demo"])
FIRST, SECOND = answered(1, ("user", "one")), answered(2, ("user", "two"), text="Sell at once")
LARGE = answered(2, ("user", "two"), text="word " * 3000)  # the second one, over many pages of the store


@pytest.fixture
def url(sqlite_url: str) -> str:
    fill(sqlite_url, FIRST, SECOND)
    return sqlite_url


@pytest.fixture
def large_url(sqlite_url: str) -> str:
    fill(sqlite_url, FIRST, LARGE)
    return sqlite_url


def file_of(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///"))


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@pytest.mark.parametrize("command", [*READING, *WRITING], ids=" ".join)
def test_a_server_that_does_not_answer(command: list[str]) -> None:
    line = told(run(*command, "--store", f"postgresql://me:my-word@127.0.0.1:{closed_port()}/x"), 3)
    assert "cannot be reached" in line
    assert "my-word" not in line


@pytest.mark.parametrize("command", [*READING, *WRITING], ids=" ".join)
@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ("nonsense", "not a store URL"),
        ("trades.db", "'trades.db' is a path, not a store URL: write sqlite:///trades.db"),
        ("mysql://host/x", "unknown store scheme 'mysql'"),
        ("sqlite://", "file"),
        ("sqlite:///:memory:", "file"),
        ("sqlite:///x.db?mode=ro", "named by its file alone"),
        ("sqlite:///ü?.db", "named by its file alone"),
        ("sqlite:/x.db", "not a store URL"),
        ("sqlite:///a\0b", "holds a NUL"),
        ("", "--store names nothing"),
        ("postgresql://h:99999/d", "postgresql"),
    ],
)
def test_a_wrong_url(command: list[str], bad: str, says: str) -> None:
    result = run(*command, "--store", bad)
    assert says in told(result, 2)
    assert result.stdout == ""


@pytest.mark.parametrize("command", [["list"], ["recover"]], ids=" ".join)
def test_a_missing_driver(command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    find: Callable[..., Any] = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *at: None if name == "psycopg" else find(name, *at))
    assert "pip install" in told(run(*command, "--store", "postgresql://h/x"), 2)


@pytest.mark.parametrize("command", [["db", "upgrade"], ["demo"]], ids=" ".join)
def test_a_path_that_cannot_be_written(command: list[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    told(run(*command, "--store", f"sqlite:///{tmp_path}/file/store.db"), 3)
    assert (tmp_path / "file").read_text() == "in the way"


@pytest.mark.parametrize("command", [*READING, WRITING[0]], ids=" ".join)
def test_a_store_that_is_not_there_is_not_made(command: list[str], tmp_path: Path) -> None:
    assert "does not exist" in told(run(*command, "--store", f"sqlite:///{tmp_path}/none.db"), 3)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", [*READING, ["recover"], ["db", "rebuild"], ["db", "check"]], ids=" ".join)
def test_an_empty_file_becomes_a_store_only_where_one_is_to_be_made(command: list[str], tmp_path: Path) -> None:
    """``mktemp`` makes such files, to be filled; there is nothing in them to recover or to build again."""
    file = tmp_path / "new.db"
    file.touch()
    assert "is empty, not yet a recorder store" in told(run(*command, "--store", f"sqlite:///{file}"), 2)
    assert file.stat().st_size == 0
    assert run("db", "upgrade", "--store", f"sqlite:///{file}").exit_code == 0
    assert run("list", "--store", f"sqlite:///{file}").exit_code == 0


def test_no_store_is_made_by_python_of_an_empty_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for made in (Recorder, Store, Player):
        with pytest.raises(ConfigurationError, match="not a store URL"):
            made("")
    assert list(tmp_path.iterdir()) == []


def test_python_is_told_what_to_write_for_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for made in (Recorder, Store, Player):
        with pytest.raises(ConfigurationError, match="is a path, not a store URL: write sqlite:///trades"):
            made("trades.db")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", [*READING, *WRITING], ids=" ".join)
@pytest.mark.parametrize("content", [b"hello world " * 100, b"SQLite format 3\0" + b"\0" * 4000])
def test_a_file_that_is_not_a_store_is_left_alone(command: list[str], content: bytes, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_bytes(content)
    told(run(*command, "--store", f"sqlite:///{tmp_path}/notes.txt"), 2)
    assert (tmp_path / "notes.txt").read_bytes() == content
    assert [file.name for file in tmp_path.iterdir()] == ["notes.txt"]  # neither a lock nor a spool beside it


@pytest.mark.parametrize("command", [*READING, *WRITING, ["db", "check"], ["db", "rebuild"]], ids=" ".join)
def test_a_named_pipe_is_not_waited_for(command: list[str], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    line = told(run(*command, "--store", f"sqlite:///{tmp_path}/pipe"), 2)
    assert "is a named pipe, not a recorder store: give another file" in line
    assert [file.name for file in tmp_path.iterdir()] == ["pipe"]


@pytest.mark.parametrize("command", [*READING, *WRITING], ids=" ".join)
def test_a_newer_schema(command: list[str], url: str) -> None:
    with closing(sqlite3.connect(file_of(url))) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    assert "upgrade recorder" in told(run(*command, "--store", url), 2)


def test_a_postgres_without_the_schema_names_the_command(empty_postgres_url: str) -> None:
    for command in (["list"], ["demo"], ["recover"]):
        assert "recorder db upgrade" in told(run(*command, "--store", empty_postgres_url), 2)
    assert run("db", "upgrade", "--store", empty_postgres_url).exit_code == 0
    assert run("list", "--store", empty_postgres_url).exit_code == 0


def damage(url: str) -> None:
    """Overwrite the pages in the middle of the store, where the chunks of the second exchange lie."""
    file = file_of(url)
    with file.open("r+b") as data:
        size = file.stat().st_size
        data.seek(size // 2 // 8192 * 8192)
        data.write(b"\xa5" * 8192 * 3)


def test_a_corrupt_page_is_a_finding(large_url: str) -> None:
    damage(large_url)
    report = run("verify", "--json", "--store", large_url)
    assert report.exit_code == 1
    assert report.stderr == ""
    assert '"storage"' in report.stdout
    human = run("verify", "--store", large_url)
    assert (human.exit_code, human.stderr) == (1, "")
    assert "damaged" in human.stdout
    assert run("db", "check", "--store", large_url).exit_code == 1


def lose_entries_of_an_index(url: str) -> None:
    """Have the index by which streams are read forget its last entries, as a torn checkpoint may."""
    with closing(sqlite3.connect(file_of(url))) as connection:
        sql = "SELECT rootpage FROM sqlite_master WHERE name = 'sqlite_autoindex_events_1'"
        page = connection.execute(sql).fetchone()[0]
    data = bytearray(file_of(url).read_bytes())
    while data[(page - 1) * 8192] == 2:  # an inner page: on to its last child, https://sqlite.org/fileformat2.html
        page = int.from_bytes(data[(page - 1) * 8192 + 8 : (page - 1) * 8192 + 12], "big")
    cells = (page - 1) * 8192 + 3
    left = int.from_bytes(data[cells : cells + 2], "big") - 3
    data[cells : cells + 2] = left.to_bytes(2, "big")
    file_of(url).write_bytes(data)


def test_what_an_index_has_lost_is_not_missed_in_silence(large_url: str) -> None:
    lose_entries_of_an_index(large_url)
    report = run("verify", "--json", "--store", large_url)
    assert (report.exit_code, report.stderr) == (1, "")
    shown = json.loads(report.stdout)
    assert (shown["verdicts"]["unmodified"], shown["verdicts"]["complete_in_range"]) == ("no", "no")
    assert {finding["kind"] for finding in shown["findings"]} == {"storage"}
    assert "missing from index" in report.stdout
    assert run("db", "check", "--store", large_url).exit_code == 1


def test_a_rebuild_that_cannot_read_everything_drops_nothing(large_url: str) -> None:
    assert run("recover", "--store", large_url).exit_code == 0
    before = run("list", "--json", "--store", large_url).stdout
    damage(large_url)
    assert "damaged" in told(run("db", "rebuild", "--store", large_url), 1)
    assert run("list", "--json", "--store", large_url).stdout == before


def test_a_corrupt_page_hides_nothing_else(large_url: str) -> None:
    damage(large_url)
    rows = json_lines(run("events", identity_of(FIRST), "--json", "--store", large_url), "events")
    assert len(rows) == len(FIRST.events)
    line = told(run("events", identity_of(SECOND), "--store", large_url), 1)
    assert "damaged" in line


def with_unknown_type(url: str) -> None:
    stream = id_bytes(identity_of(FIRST))
    with closing(sqlite3.connect(file_of(url))) as connection, connection:
        connection.execute(
            "INSERT INTO events (stream, version, type, wall_ns, mono_ns, flags, hash) VALUES (?, ?, 99, 1, 1, 0, ?)",
            (stream, len(FIRST.events) + 1, b"h" * 32),
        )


@pytest.mark.parametrize("command", ["show", "events", "export", "replay"])
def test_an_event_of_an_unknown_type(url: str, command: str) -> None:
    with_unknown_type(url)
    result = run(command, identity_of(FIRST), "--store", url)
    assert result.exit_code == 1
    assert "unknown event type 99" in result.stderr
    assert len([line for line in result.stderr.splitlines() if line.startswith("error: ")]) == 1


def test_an_event_of_an_unknown_type_hides_no_other_exchange(url: str) -> None:
    with_unknown_type(url)
    for _ in range(2):  # before the views are brought up to date, and after
        rows = {row["id"]: row["verdict"] for row in json_lines(run("list", "--json", "--store", url), "list")}
        assert rows == {identity_of(FIRST): "unknown", identity_of(SECOND): "complete"}
        for command in ("show", "events", "export", "replay", "verify"):
            assert run(command, identity_of(SECOND), "--store", url).exit_code == 0, command
        assert identity_of(FIRST) in told(run("show", identity_of(FIRST), "--store", url), 1)
        assert run("recover", "--store", url).exit_code == 0
    assert run("db", "rebuild", "--store", url).exit_code == 0
    check = run("db", "check", "--store", url)
    assert check.exit_code == 1
    told_of = [line for line in check.stdout.splitlines() if not line.startswith("ok")]
    assert [line.split()[1] for line in told_of] == ["types"]
    assert "1 event of 1 event stream with code 99: upgrade recorder" in told_of[0]
    with Player(url) as player, player.mount(requests.Session()) as session:
        request = Store(url).exchange(identity_of(SECOND)).exchange.request
        assert request is not None
        assert session.post(request.url, data=request.payload).status_code == 200


@pytest.mark.parametrize("named", [[], [identity_of(FIRST)]])
def test_an_event_of_an_unknown_type_is_a_finding(url: str, named: list[str]) -> None:
    with_unknown_type(url)
    result = run("verify", *named, "--json", "--store", url)
    assert (result.exit_code, result.stderr) == (1, "")
    assert '"kind": "type"' in result.stdout


@pytest.mark.parametrize("named", [[], [identity_of(FIRST)]])
def test_a_flipped_byte_is_found_and_named(url: str, named: list[str]) -> None:
    body = FIRST.events[3].body
    assert body is not None
    data = file_of(url).read_bytes()
    assert data.count(body) == 1
    at = data.index(body) + len(body) // 2
    file_of(url).write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    result = run("verify", *named, "--store", url)
    assert result.exit_code == 1
    assert "version 4: hash (hash)" in result.stdout
    assert re.search("^  no +every event is the one that was written$", result.stdout, re.MULTILINE)
    assert run("list", "--store", url).exit_code == 0


def test_more_findings_than_a_screen_holds_are_counted(url: str) -> None:
    stream = id_bytes(identity_of(FIRST))
    with closing(sqlite3.connect(file_of(url))) as connection, connection:
        rows = [(stream, 1000 + 2 * number, b"h" * 32) for number in range(30)]
        sql = "INSERT INTO events (stream, version, type, wall_ns, mono_ns, flags, hash) VALUES (?, ?, 5, 1, 1, 0, ?)"
        connection.executemany(sql, rows)
    result = run("verify", "--store", url)
    assert result.exit_code == 1
    assert "more findings: see --json" in result.stdout


@pytest.mark.parametrize(
    ("change", "commands", "place"),
    [
        (
            "exchange_rows SET summary = 'x' || substr(summary, 2)",
            ["list", "list --json", "show desk"],
            "exchange_rows (summary)",
        ),
        (
            "exchange_rows SET summary = replace(summary, 'list', 'lisp')",
            ["list", "list --json"],
            "exchange_rows (summary)",
        ),
        ("exchange_rows SET summary = replace(summary, 'verdict', 'Verdict')", ["list"], "exchange_rows (summary)"),
        ("exchange_rows SET summary = '[]'", ["list", "show desk", "replay desk"], "exchange_rows (summary)"),
        ("exchange_rows SET match_places = '[x'", ["replay desk"], "exchange_rows (match_places)"),
        ("exchange_rows SET id = substr(id, 2)", ["list", "show desk"], "exchange_rows (id)"),
        ("openings SET tags = 'x' || substr(tags, 2)", ["show desk"], "openings (tags)"),
        ("openings SET tags = '7'", ["show desk"], "openings (tags)"),
        ("openings SET id = x'00'", ["list", "show desk"], "openings (id)"),
    ],
)
def test_a_damaged_row_of_the_views_is_named_with_its_cure(
    sqlite_url: str, change: str, commands: list[str], place: str
) -> None:
    desk = ExchangeBuilder(1).event("conversation_named", {"name": "desk"}).event("tags_set", {"tags": {"bot": "b"}})
    facts = {"conversation": identity_of(desk), "name": "desk", "redacted": ["header:authorization"]}
    fill(sqlite_url, desk, answered(2, ("user", "one"), **facts))
    assert run("db", "rebuild", "--store", sqlite_url).exit_code == 0
    with closing(sqlite3.connect(file_of(sqlite_url))) as connection, connection:
        assert connection.execute(f"UPDATE {change}").rowcount == 1
    for command in commands:
        line = told(run(*command.split(), "--store", sqlite_url), 1)
        assert f"in {place.replace(' ', ' is damaged ')}: run `recorder db rebuild`" in line
    assert run("verify", "--store", sqlite_url).exit_code == 0
    assert run("db", "rebuild", "--store", sqlite_url).exit_code == 0
    for command in commands:
        assert run(*command.split(), "--store", sqlite_url).exit_code == 0


@pytest.mark.parametrize("command", ["show", "events", "export", "replay", "verify"])
def test_an_ambiguous_id_names_the_candidates(url: str, command: str) -> None:
    line = told(run(command, "0000", "--store", url), 1)
    assert identity_of(FIRST) in line
    assert identity_of(SECOND) in line
    assert "give more digits" in line


@pytest.mark.parametrize("name", ["nobody", "ffffffff", identity_of(answered(77))])
def test_a_name_that_nothing_goes_by(url: str, name: str) -> None:
    assert "recorder list" in told(run("show", name, "--store", url), 1)
    assert "recorder list" in told(run("list", "--conversation", name, "--store", url), 1)


@pytest.mark.parametrize(
    "wrong",
    [
        ["list", "-n", "0"],
        ["list", "--verdict", "fine"],
        ["list", "--status", "abc"],
        ["list", "--colour"],
        ["show"],
        ["nonsense"],
        ["export", "x", "--format", "pdf"],
        ["replay", "x", "--pace", "-1"],
        ["db", "vacuum"],
        ["--stor", "x"],
        *(["chat", "x", "--timeout", seconds] for seconds in ("nan", "inf", "1e300", "0", "x")),
    ],
)
def test_wrong_usage_points_to_the_help(wrong: list[str]) -> None:
    assert "--help`" in told(run(*wrong), 2)


def test_a_misspelt_option_is_guessed() -> None:
    line = told(run("show", "x", "--jsn"), 2)
    assert "--jsn" in line
    assert "did you mean" in line.lower()
    assert "? See `" in line
    assert line.endswith(" show --help`")


def test_an_output_that_cannot_be_written(url: str, tmp_path: Path) -> None:
    line = told(run("export", identity_of(FIRST), "-o", str(tmp_path / "none" / "out"), "--store", url), 2)
    assert "cannot be written" in line


def test_a_backup_never_replaces_a_file(url: str, tmp_path: Path) -> None:
    assert run("db", "backup", str(tmp_path / "copy.db"), "--store", url).exit_code == 0
    assert "exists already" in told(run("db", "backup", str(tmp_path / "copy.db"), "--store", url), 2)
    assert "has no file name" in told(run("db", "backup", "", "--store", url), 2)
    copied = json_lines(run("list", "--json", "--store", f"sqlite:///{tmp_path}/copy.db"), "list")
    assert len(copied) == 2


@pytest.mark.parametrize(
    ("command", "code"),
    [(["list", "--store", "nonsense"], 2), (["show", "0000"], 1), (["list", "--store", "sqlite:///none.db"], 3)],
)
def test_a_process_ends_the_same_way(url: str, tmp_path: Path, command: list[str], code: int) -> None:
    started = process(*command, env={"RECORDER_STORE": url}, cwd=tmp_path)
    out, err = started.communicate(timeout=60)
    assert (started.returncode, out) == (code, b"")
    assert err.startswith(b"error: ")
    assert err.count(b"\n") == 1
