"""Rows of messages on both engines: each message once, whatever the order; compared with the events; searched."""

from __future__ import annotations

import itertools
import random
import uuid
from contextlib import closing
from typing import Any

import pytest

from recorder.core.searching import parse_query
from recorder.projections.audit import audit_rows
from recorder.projections.runner import NAME, folded, project, rebuild_all
from recorder.store import open_store
from recorder.store.base import FeedCursor
from recorder.store.filtered import ExchangeFilter
from recorder.store.projected import SqlProjected
from recorder.store.searched import MessageRow
from recorder.store.sql import SqlStore
from recorder.store.tables import messages
from tests.building import ExchangeBuilder, delta, identity
from tests.commands import STREAMED, answered, asking
from tests.contract.projecting import execute, fill


def rows(store: SqlStore) -> list[tuple[Any, ...]]:
    with store.reading() as connection:
        return [tuple(row) for row in connection.execute(messages.select().order_by(messages.c.key))]


def index(store: SqlStore) -> list[tuple[Any, ...]]:
    """What the full-text index holds, without the numbers that rows have in it."""
    with store.reading() as connection:
        if connection.dialect.name == "postgresql":
            found = connection.exec_driver_sql("SELECT key::text, words::text FROM message_rows ORDER BY key")
        else:
            found = connection.exec_driver_sql(
                "SELECT m.key, f.rowid IS NOT NULL FROM message_rows m LEFT JOIN message_index f ON f.rowid = m.number "
                "ORDER BY m.key"
            )
        return [tuple(row) for row in found]


def searched(
    store: SqlStore, query: str, which: ExchangeFilter | None = None, **options: Any
) -> list[tuple[bytes, int, int]]:
    found = SqlProjected(store).search(parse_query(query), which or ExchangeFilter(), **options)
    return [(row.exchange, row.answered, row.place) for row, _ in found]


def wall_ns(number: int) -> int:
    """When the exchange with this number began."""
    return ExchangeBuilder(number).wall_ns


TALK = [
    answered(1, ("system", "Trade."), ("user", "One?"), text="Alpha"),
    answered(2, ("system", "Trade."), ("user", "One?"), ("assistant", "Alpha"), ("user", "Two?"), text="Beta"),
    answered(3, ("system", "Trade."), ("user", "Other"), text="Gamma"),
    answered(4, ("system", "Trade."), ("user", "One?"), text="Alpha"),  # asked again
]


def test_each_message_is_stored_once(store: SqlStore) -> None:
    fill(store, *TALK)
    said = sorted((row.exchange, row.answered, row.place, row.text) for row in map(as_row, rows(store)))
    one, two, three, four = (built.opened.stream for built in TALK)
    assert said == [
        *((one, 0, 0, "Trade."), (one, 0, 1, "One?"), (one, 1, 0, "Alpha")),
        *((two, 0, 2, "Alpha"), (two, 0, 3, "Two?"), (two, 1, 0, "Beta")),
        *((three, 0, 1, "Other"), (three, 1, 0, "Gamma")),
        (four, 1, 0, "Alpha"),
    ]


def as_row(values: tuple[Any, ...]) -> MessageRow:
    return MessageRow(*values)


def test_the_order_of_projecting_does_not_matter(store_url: str, store: SqlStore) -> None:
    fill(store, *TALK)
    expected, indexed = rows(store), index(store)
    for order in random.Random(7).sample(list(itertools.permutations(TALK)), 5):
        # The feed begins anew, with the exchanges in another order.
        projected = SqlProjected(store)
        projected.drop_all()
        before = FeedCursor()
        for number, built in enumerate(order, 1):
            found = folded(store, [built.opened.stream], messages=True)
            after = FeedCursor(number, number)
            assert found.messages is not None
            assert projected.commit(
                NAME,
                before,
                after,
                exchanges=list(found.exchanges.values()),
                messages=list(found.messages.values()),
            )
            before = after
        assert rows(store) == expected
        assert index(store) == indexed
        assert searched(store, "alpha") == [(TALK[3].opened.stream, 1, 0), (TALK[0].opened.stream, 1, 0)]


def test_dropped_and_built_again_they_are_identical(store: SqlStore) -> None:
    fill(store, *TALK)
    expected, indexed = rows(store), index(store)
    projected = SqlProjected(store)
    rebuild_all(store, projected)
    assert (rows(store), index(store)) == (expected, indexed)
    projected.drop_all()
    assert (rows(store), index(store), searched(store, "alpha")) == ([], [], [])


def test_an_answer_that_goes_on_takes_the_place_of_the_one_before(store: SqlStore) -> None:
    built = answered(1, ("user", "Well?"), text="Alpha beta gamma")
    store.append([built.opened], built.events[:4])
    project(store, SqlProjected(store))
    assert (searched(store, "alpha"), searched(store, "gamma")) == ([(built.opened.stream, 1, 0)], [])
    store.append([], built.events[4:])
    project(store, SqlProjected(store))
    assert len(rows(store)) == 2
    assert searched(store, '"alpha beta gamma"') == [(built.opened.stream, 1, 0)]
    assert audit_rows(store).found == 0
    again = rows(store), index(store)
    rebuild_all(store, SqlProjected(store))
    assert (rows(store), index(store)) == again


def test_an_answer_that_is_none_after_all_is_removed(store: SqlStore) -> None:
    """A body that begins as one dialect's and goes on as nobody's."""
    built = asking(1, ("user", "Well?")).response(headers=STREAMED)
    built.sse(delta(role="assistant", content="Alpha"), done=False)
    fill(store, built)
    assert searched(store, "alpha") == [(built.opened.stream, 1, 0)]
    projected = SqlProjected(store)
    (row,) = projected.exchanges()
    before = projected.checkpoint(NAME)
    assert projected.commit(NAME, before, FeedCursor(before.xid, before.position + 1), exchanges=[row])
    assert searched(store, "alpha") == []
    assert [as_row(values).answered for values in rows(store)] == [0]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("place", "9"), ("started_ns", "started_ns + 1"), ("role", "NULL"), ("text", "'other'")),
        *(("reasoning", "'x'"), ("rest", "'x'"), ("finish", "'x'"), ("answered", "0")),
        *(("follows", "NULL"), ("thread_key", "NULL")),
    ],
)
def test_a_changed_field_is_found_and_mended(store: SqlStore, field: str, value: str) -> None:
    fill(store, *TALK)
    expected, indexed = rows(store), index(store)
    audit = audit_rows(store)
    assert (audit.rows, audit.found) == (4 + 9, 0)
    execute(store, f"UPDATE message_rows SET {field} = {value} WHERE text = 'Beta'")
    audit = audit_rows(store)
    assert [finding.detail for finding in audit.findings] == [f"in message_rows, {field} is not what the events say"]
    rebuild_all(store, SqlProjected(store))
    assert (rows(store), index(store), audit_rows(store).found) == (expected, indexed, 0)


def test_a_missing_row_is_found(store: SqlStore) -> None:
    fill(store, *TALK)
    execute(store, "DELETE FROM message_rows WHERE text = 'Two?' OR text = 'Gamma'")
    assert [finding.detail for finding in audit_rows(store).findings] == ["its row in message_rows is missing"] * 2


def test_a_row_that_names_a_later_exchange_is_found(store: SqlStore) -> None:
    fill(store, *TALK)
    later = store.id_literal(identity(4))
    execute(store, f"UPDATE message_rows SET exchange = {later} WHERE text = 'One?'")
    assert {finding.detail for finding in audit_rows(store).findings} == {
        "its row in message_rows is missing",  # with the first, and with the second that is not after it
        "in message_rows, started_ns is not what the events say",
    }


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        ("UPDATE call_rows SET complete = 0", "in call_rows, complete is not what the events say"),
        ("UPDATE call_rows SET arguments = '{}'", "in call_rows, arguments is not what the events say"),
        ("DELETE FROM call_rows", "its row in call_rows is missing"),
        (
            "INSERT INTO call_rows SELECT exchange, 1, place, call_id, name, arguments, complete FROM call_rows",
            "its row in call_rows stands for no event",
        ),
    ],
)
def test_a_changed_call_is_found_and_mended(store: SqlStore, change: str, detail: str) -> None:
    built = asking(5, ("user", "Buy")).response(headers=STREAMED)
    fill(store, built.sse(delta(tool_calls=[CALL]), delta(finish="tool_calls")).completed())
    before = view(store, "SELECT * FROM tool_calls")
    assert (audit_rows(store).rows, audit_rows(store).found, len(before)) == (4, 0, 1)
    execute(store, change)
    assert [finding.detail for finding in audit_rows(store).findings] == [detail]
    rebuild_all(store, SqlProjected(store))
    assert view(store, "SELECT * FROM tool_calls") == before
    assert audit_rows(store).found == 0


def test_a_row_that_no_event_stands_behind_is_found(store: SqlStore) -> None:
    fill(store, *TALK)
    nobody, key = store.id_literal(identity(99)), store.id_literal(identity(98))
    columns = "started_ns, answered, place, role, text" + (", words" if store.name.startswith("postgresql") else "")
    execute(
        store,
        f"INSERT INTO message_rows (key, exchange, {columns}) "
        f"SELECT {key}, {nobody}, {columns} FROM message_rows WHERE text = 'Beta'",
    )
    (finding,) = audit_rows(store).findings
    assert finding.detail == "its row in message_rows stands for no event"


def test_more_messages_than_one_statement_takes(store: SqlStore) -> None:
    many = [("user" if number % 2 else "assistant", f"word{number} all") for number in range(1200)]
    fill(store, answered(1, *many, text="yes"), answered(2, *many, ("user", "more"), text="no"))
    assert len(rows(store)) == 1200 + 1 + 1 + 1
    assert searched(store, "word1199") == [(identity(1), 0, 1199)]
    assert len(searched(store, "all")) == 1200
    assert len(searched(store, "all", limit=7)) == 7
    assert audit_rows(store).found == 0


def test_frequent_words_are_found_newest_first_as_well(store: SqlStore) -> None:
    """Beyond some number the newest are looked at one by one instead of sorting all that were found."""
    for number in range(1, 5):
        many = [("user", f"{number} {place} common") for place in range(700)]
        fill(store, answered(number, *many, text="rare"))
    found = searched(store, "common", limit=701)
    assert found == [*((identity(4), 0, place) for place in range(700)), (identity(3), 0, 0)]
    assert searched(store, "common -4", limit=1) == [(identity(3), 0, 0)]
    assert searched(store, "comm*", limit=701) == found
    assert searched(store, '"0 common"', limit=2) == [(identity(4), 0, 0), (identity(3), 0, 0)]
    assert [found[0] for found in searched(store, "rare")] == [identity(number) for number in (4, 3, 2, 1)]
    between = ExchangeFilter(since_ns=wall_ns(2), until_ns=wall_ns(4))
    assert searched(store, "common", between, limit=701) == [
        *((identity(3), 0, place) for place in range(700)),
        (identity(2), 0, 0),
    ]
    assert searched(store, "common", ExchangeFilter(until_ns=wall_ns(2)), limit=1) == [(identity(1), 0, 0)]
    some = ExchangeFilter(ids=frozenset({identity(1), identity(3), identity(9)}))
    assert searched(store, "comm*", some, limit=701)[-2:] == [(identity(3), 0, 699), (identity(1), 0, 0)]
    assert searched(store, "common", ExchangeFilter(ids=frozenset())) == []
    assert searched(store, "common", ExchangeFilter(status=500)) == []
    assert len(searched(store, "common", newest_first=False)) == 2800


def test_what_a_column_cannot_hold(store: SqlStore) -> None:
    huge = " ".join(f"w{number}" for number in range(150_000)) + " " + "x" * 5000
    script = "한" * 3000  # without spaces
    fill(store, answered(1, ("user", "nul \0 and \ud800 lone"), ("user", huge), text=f"O'Reilly \\ 'quoted' {script}"))
    assert searched(store, script) == searched(store, "한한*") == [(identity(1), 1, 0)]
    assert searched(store, "nul lone") == [(identity(1), 0, 0)]
    assert searched(store, "reilly quoted") == [(identity(1), 1, 0)]
    assert searched(store, '"w16 w17"') == [(identity(1), 0, 1)]
    assert audit_rows(store).found == 0


CALL = {"index": 0, "id": "c1", "function": {"name": "buy", "arguments": '{"lots": 2}'}}
COUNTED = {"choices": [], "usage": {"prompt_tokens": 30, "completion_tokens": 6, "total_tokens": 36}}


def view(store: SqlStore, sql: str) -> list[dict[str, Any]]:
    with store.reading() as connection:
        return [dict(row._mapping) for row in connection.exec_driver_sql(sql)]


def test_the_views(store: SqlStore) -> None:
    desk = ExchangeBuilder(9).event("conversation_named", {"name": "desk"})
    called = asking(5, ("user", "Buy"), conversation=str(uuid.UUID(bytes=identity(9)))).response(headers=STREAMED)
    called.sse(delta(tool_calls=[CALL]), delta(finish="tool_calls"), COUNTED).completed()
    cut = asking(6, ("user", "Again")).response(headers=STREAMED).sse(delta(tool_calls=[CALL]), done=False)
    fill(store, *TALK, desk, called, cut.event("response_truncated", {}))
    exchanges = view(store, "SELECT * FROM exchanges ORDER BY started_ns")
    assert [row["verdict"] for row in exchanges] == ["complete"] * 5 + ["truncated"]
    assert list(exchanges[4]) == [
        *("id", "conversation", "conversation_name", "call", "attempt", "started_at", "started_ns", "method", "url"),
        *("status", "model", "verdict", "finish", "dialect", "chunks", "bytes", "duration_ms", "first_chunk_ms"),
    ]
    five = exchanges[4]
    assert (str(five["id"]), str(five["conversation"])) == tuple(
        str(uuid.UUID(bytes=identity(number))) for number in (5, 9)
    )
    assert (five["conversation_name"], five["finish"], five["started_at"]) == (
        "desk",
        "tool_calls",
        "2026-09-21T14:13:25.000000000Z",
    )
    assert float(five["duration_ms"]) == 6.0
    said = view(store, "SELECT * FROM messages ORDER BY started_at, side DESC, place")
    assert list(said[0]) == [
        *("id", "follows", "exchange", "started_at", "side", "place", "role", "text", "reasoning", "finish")
    ]
    assert [row["text"] for row in said[:4]] == [
        "Trade.",
        "One?",
        "Alpha",
        "Two?",
    ]  # what was sent back is not told again
    ids = {str(row["id"]): row["text"] for row in said}
    assert [ids.get(str(row["follows"])) for row in said[:4]] == [None, "Trade.", "One?", "Alpha"]
    calls = view(store, "SELECT * FROM tool_calls ORDER BY started_at")
    assert [(row["name"], row["arguments"], bool(row["complete"]), row["call_id"]) for row in calls] == [
        ("buy", '{"lots": 2}', True, "c1"),
        ("buy", '{"lots": 2}', False, "c1"),
    ]
    assert [(row["choice"], row["place"]) for row in calls] == [(0, 0)] * 2
    (counted,) = view(store, "SELECT * FROM usage")
    assert (str(counted["exchange"]), counted["input_tokens"], counted["output_tokens"]) == (str(five["id"]), 30, 6)
    assert (counted["total_tokens"], counted["cached_tokens"]) == (36, None)


def test_the_views_of_a_migrated_store_are_filled(store_url: str) -> None:
    with closing(open_store(store_url, write=True)) as store:
        fill(store, TALK[0])
        assert view(store, "SELECT count(*) AS n FROM messages") == [{"n": 3}]


@pytest.mark.parametrize("index", [2**31 - 1, 2**31, 2**63, 10**30, -1])
def test_an_index_that_no_column_holds_stops_nothing(store: SqlStore, index: int) -> None:
    call = {"index": 0, "id": "c", "type": "function", "function": {"name": "buy", "arguments": "{}"}}
    odd = [delta(number, content="far", tool_calls=[call]) for number in (index, index + (1 if index > 0 else -1), 0)]
    built = asking(1, ("user", "hi")).response(headers=STREAMED).sse(*odd, delta(finish="stop")).completed()
    fill(store, built, answered(2, ("user", "again"), text="ordinary"))
    projected = SqlProjected(store)
    assert len(list(projected.search(parse_query("far"), ExchangeFilter()))) == 3
    assert len(list(projected.search(parse_query("ordinary"), ExchangeFilter()))) == 1
    before = rows(store)
    rebuild_all(store, projected)
    assert rows(store) == before
