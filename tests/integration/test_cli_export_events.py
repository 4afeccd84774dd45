"""recorder export --format parquet-events: every event as it was recorded, for SQL engines and data frames."""

from __future__ import annotations

import base64
import json
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet
import pytest

from recorder.store import open_store
from tests.building import ExchangeBuilder
from tests.commands import answered, fill, identity_of, run, told

OPENING = ExchangeBuilder(9).event("conversation_named", {"name": "desk"})
AGAIN = ExchangeBuilder(10).event("conversation_named", {"name": "desk"}).event("tags_set", {"tags": {"a": "b"}})
IN_DESK = answered(1, ("user", "one"), text="Hold — 1.0850 €", conversation=identity_of(OPENING), name="desk")
ALONE = answered(2, ("user", "two"), text="Wait.", call="c2")
EXPORT = ("export", "--format", "parquet-events")


@pytest.fixture
def url(store_url: str) -> str:
    fill(store_url, OPENING, AGAIN, IN_DESK, ALONE)
    return store_url


def rows(url: str, file: Path, *args: str) -> list[dict[str, Any]]:
    result = run(*EXPORT, *args, "-o", str(file), "--store", url)
    assert result.exit_code == 0, result.stderr
    found: list[dict[str, Any]] = pyarrow.parquet.read_table(file).to_pylist()
    return found


@pytest.mark.parametrize("built", [IN_DESK, ALONE, OPENING])
def test_the_rows_are_what_events_tells(url: str, tmp_path: Path, built: ExchangeBuilder) -> None:
    found = [row for row in rows(url, tmp_path / "e.parquet", "--all") if row["exchange"] == identity_of(built)]
    stored = [
        json.loads(line) for line in run("events", identity_of(IN_DESK), "--json", "--store", url).stdout.splitlines()
    ]
    assert [row["version"] for row in found] == list(range(1, len(built.events) + 1))
    for row, event in zip(found, built.events, strict=True):
        assert (row["type"], row["data"], row["hash"]) == (event.type, event.body, event.hash)
        assert (row["facts"], row["flags"]) == (event.meta, event.flags)
        assert row["elapsed_ns"] == event.mono_ns - built.events[0].mono_ns
    if built is IN_DESK:
        assert [row["position"] for row in found] == [one["position"] for one in stored]
        assert [base64.b64decode(one.get("data", "")) for one in stored] == [row["data"] or b"" for row in found]


@pytest.mark.parametrize(
    ("args", "built"),
    [
        (("--all",), [OPENING, AGAIN, IN_DESK, ALONE]),
        (("desk",), [OPENING, AGAIN, IN_DESK]),
        (("--conversation", "desk"), [OPENING, AGAIN, IN_DESK]),
        ((identity_of(ALONE),), [ALONE]),
        (("--since", "2026-09-21T14:13:21.5Z"), [ALONE]),
    ],
)
def test_the_openings_of_conversations_come_with_their_exchanges(
    url: str, tmp_path: Path, args: tuple[str, ...], built: list[ExchangeBuilder]
) -> None:
    found = rows(url, tmp_path / "e.parquet", *args)
    assert {row["exchange"] for row in found} == set(map(identity_of, built))
    assert len(found) == sum(len(one.events) for one in built)


def test_duckdb_reads_times_to_the_nanosecond_and_bytes(url: str, tmp_path: Path) -> None:
    rows(url, tmp_path / "e.parquet", "--all")
    told_by_it = duckdb.sql(
        "SELECT version, epoch_ns(wall_time), wall_time, size, data, octet_length(hash), flags "
        f"FROM '{tmp_path}/e.parquet' WHERE exchange = '{identity_of(ALONE)}' ORDER BY version"
    ).fetchall()
    for (version, ns, at, size, data, digest, flags), event in zip(told_by_it, ALONE.events, strict=True):
        assert (version, ns, data, digest, flags) == (event.version, event.wall_ns, event.body, 32, event.flags)
        assert size == (None if event.body is None else len(event.body))
        assert at.replace(tzinfo=None) == datetime.fromtimestamp(event.wall_ns / 1e9, UTC).replace(tzinfo=None)


def test_an_event_that_nobody_here_can_read_is_a_row_like_the_others(sqlite_url: str, tmp_path: Path) -> None:
    fill(sqlite_url, ALONE)
    with closing(open_store(sqlite_url, write=True)) as store, store.writing() as connection:
        connection.exec_driver_sql("DROP TRIGGER events_no_update")
        connection.exec_driver_sql("UPDATE events SET type = 99 WHERE version = 3")
    assert [row["type"] for row in rows(sqlite_url, tmp_path / "e.parquet", "--all")][2] == "code 99"


def test_nothing_can_be_left_out_of_events(url: str) -> None:
    line = told(run(*EXPORT, "--all", "--redact", "text:one", "--store", url), 2)
    assert line.startswith("error: parquet-events holds the bytes as they were recorded")


def test_without_pyarrow_one_line_says_what_to_install(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    line = told(run(*EXPORT, "--all", "--store", url), 2)
    assert line == "error: the format parquet-events needs pyarrow: run pip install 'conversation-recorder[parquet]'"
