"""``recorder db rebuild`` and ``recorder db check``: the views, made again and looked at."""

from __future__ import annotations

import json
import os
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from recorder.locations import spool_directory
from recorder.projections.runner import project
from recorder.recording.spool_file import HEADER_SIZE, MAGIC
from recorder.store import open_store
from recorder.store.projected import SqlProjected
from tests.building import ExchangeBuilder
from tests.commands import answered, fill, identity_of, run, told

DESK = ExchangeBuilder(9).event("conversation_named", {"name": "desk"})


def spoilt(url: str, sql: str) -> None:
    with closing(open_store(url, write=True)) as store:
        project(store, SqlProjected(store))
        with store.writing() as connection:
            connection.exec_driver_sql(sql)


def test_a_spoilt_row_is_found_by_the_check_and_mended_by_a_rebuild(store_url: str) -> None:
    first = answered(1, ("user", "a"))
    fill(store_url, first, answered(2, ("user", "b")), DESK)
    lie = "model = 'gpt-9', summary = replace(summary, 'm-1', 'gpt-9')"
    spoilt(store_url, f"UPDATE exchange_rows SET {lie} WHERE started_ns = (SELECT min(started_ns) FROM exchange_rows)")
    assert "gpt-9" in run("list", "--store", store_url).stdout
    checked = run("db", "check", "--store", store_url)
    assert checked.exit_code == 1
    [row, advice] = [line for line in checked.stdout.splitlines() if line.startswith("!!")]
    assert (
        row.split()
        == f"!! views {identity_of(first)}: in exchange_rows, model and summary are not what the events say".split()
    )
    assert "1 row to be made again" in advice
    assert "`recorder db rebuild`" in advice

    done = run("db", "rebuild", "--store", store_url)
    assert done.exit_code == 0
    assert done.stdout.endswith(": 2 exchanges and 1 opening of conversations built again from the events\n")
    assert len(done.stdout.splitlines()) == 1
    assert "gpt-9" not in run("list", "--store", store_url).stdout
    checked = run("db", "check", "--store", store_url)
    assert checked.exit_code == 0
    assert "7 rows compared, each is what the events say" in checked.stdout


def test_a_rebuild_for_programs(store_url: str) -> None:
    fill(store_url, answered(1, ("user", "a")), DESK)
    done = run("db", "rebuild", "--json", "--store", store_url)
    assert done.exit_code == 0
    found = json.loads(done.stdout)
    assert (found.pop("exchanges"), found.pop("openings")) == (1, 1)
    assert list(found) == ["store"]
    assert found["store"].startswith(store_url.partition(":")[0])


def test_what_is_not_projected_yet_is_told_and_is_no_finding(sqlite_url: str) -> None:
    fill(sqlite_url, answered(1, ("user", "a")))
    checked = run("db", "check", "--store", sqlite_url)
    assert checked.exit_code == 0
    assert "1 event stream not projected whole yet" in checked.stdout


def test_an_empty_store_has_nothing_to_rebuild(store_url: str) -> None:
    fill(store_url)
    assert run("db", "rebuild", "--store", store_url).stdout.endswith(
        ": 0 exchanges and 0 openings of conversations built again from the events\n"
    )


def test_a_store_that_is_not_there_is_not_made(absent_url: str, tmp_path: Path) -> None:
    assert "does not exist" in told(run("db", "rebuild", "--store", absent_url), 3)
    assert list(tmp_path.glob("store.db*")) == []


def test_what_is_no_store_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_text("something else")
    assert "is not a recorder store" in told(run("db", "rebuild", "--store", f"sqlite:///{tmp_path}/x.db"), 2)
    assert (tmp_path / "x.db").read_text() == "something else"


def test_a_database_without_schema_is_refused(empty_postgres_url: str) -> None:
    assert "run `recorder db upgrade" in told(run("db", "rebuild", "--store", empty_postgres_url), 2)


def test_a_database_that_can_only_be_read_is_refused_and_stays_as_it_is(postgres_url: str) -> None:
    fill(postgres_url, answered(1, ("user", "a")))
    with closing(open_store(postgres_url, write=True)) as store:
        project(store, SqlProjected(store))
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        name = connection.info.dbname
        connection.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')  # as on a standby
    assert "refused to write" in told(run("db", "rebuild", "--store", postgres_url), 3)
    assert "3 rows compared" in run("db", "check", "--store", postgres_url).stdout


def test_a_file_that_can_only_be_read_is_refused(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(sqlite_url, answered(1, ("user", "a")))
    # What anybody but root gets for mode 0400.
    monkeypatch.setattr(os, "access", lambda path, mode, **_: mode & os.W_OK == 0)
    assert "cannot be written: Permission denied" in told(run("db", "rebuild", "--store", sqlite_url), 3)


def test_a_spool_of_which_more_was_drained_than_there_is(sqlite_url: str) -> None:
    """What its program appends next would count as drained, and never reach the store."""
    fill(sqlite_url, answered(1, ("user", "a")))
    spool = bytes(range(16))
    folder = spool_directory(sqlite_url)
    folder.mkdir()
    (folder / f"{spool.hex()}-0.spool").write_bytes(MAGIC + spool + b"i" * 16)
    for drained, code in ((HEADER_SIZE, 0), (HEADER_SIZE + 1, 1)):
        with closing(open_store(sqlite_url, write=True)) as store, store.writing() as connection:
            connection.exec_driver_sql("INSERT OR REPLACE INTO spools VALUES (?, ?)", (spool, drained))
        check = run("db", "check", "--store", sqlite_url)
        assert check.exit_code == code, check.stdout
    assert f"has {HEADER_SIZE} bytes, and the store says that {HEADER_SIZE + 1} were drained" in check.stdout
