"""The projections' tables, on both engines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from recorder.errors import StoreError
from recorder.store import open_store
from recorder.store.base import FeedCursor
from recorder.store.filtered import ExchangeFilter
from recorder.store.projected import ExchangeRow, OpeningRow, SqlProjected
from tests.building import identity

START = FeedCursor()


@pytest.fixture
def projected(store_url: str) -> Iterator[SqlProjected]:
    store = open_store(store_url, write=True)
    yield SqlProjected(store)
    store.close()


def row(number: int, **fields: object) -> ExchangeRow:
    made = ExchangeRow(
        id=identity(number),
        opening=None,
        opening_name=None,
        thread_key=None,
        goes_on_from=None,
        kept_as=None,
        last_item=None,
        call="c",
        attempt=1,
        started_ns=1_790_000_000_000_000_000 + number,
        method="POST",
        url="https://api.example.test/v1/chat/completions",
        status=200,
        model="m-1",
        verdict="complete",
        chunks=number,
        bytes=2**40,
        duration_ns=2**40,
        first_chunk_ns=None,
        dialect="openai-chat",
        finish="stop",
        tools=None,
        input_tokens=None,
        output_tokens=None,
        total_tokens=None,
        cached_tokens=None,
        cache_written_tokens=None,
        reasoning_tokens=None,
        match_key=b"k" * 32,
        match_places=None,
        last_version=9,
        summary="{}",
    )
    return replace(made, **fields)  # type: ignore[arg-type]


def test_rows_come_back_as_they_were(projected: SqlProjected) -> None:
    full = row(
        1, opening=identity(7), opening_name="desk", thread_key=b"t" * 16, first_chunk_ns=5, match_places='["/a"]'
    )
    full = replace(full, goes_on_from=b"g" * 16, kept_as=b"k" * 16, last_item=b"i" * 16)
    bare = row(2, call=None, status=None, model=None, duration_ns=None, match_key=None)
    assert projected.commit("p", START, FeedCursor(1, 2), exchanges=[full, bare])
    assert projected.exchange(full.id) == full
    assert projected.exchange(bare.id) == bare
    assert projected.exchange(identity(3)) is None
    assert list(projected.exchanges()) == [bare, full]
    assert list(projected.exchanges(newest_first=False, limit=1)) == [full]


def test_a_row_takes_the_place_of_the_one_before(projected: SqlProjected) -> None:
    talk = OpeningRow(identity(1), None, "{}", 1, 2)
    projected.commit("p", START, FeedCursor(1, 1), exchanges=[row(1)], openings=[talk])
    newer, longer = row(1, verdict="truncated", status=None), replace(talk, name="desk", last_ns=9)
    projected.commit("p", FeedCursor(1, 1), FeedCursor(1, 5), exchanges=[newer], openings=[longer])
    assert list(projected.exchanges()) == [newer]
    assert list(projected.openings()) == [longer]


def test_a_checkpoint_moves_only_from_where_it_was_seen(projected: SqlProjected) -> None:
    assert projected.checkpoint("p") == START
    assert projected.commit("p", START, FeedCursor(3, 4), exchanges=[row(1)])
    assert projected.checkpoint("p") == FeedCursor(3, 4)
    assert projected.checkpoint("other") == START
    assert not projected.commit("p", START, FeedCursor(9, 9), exchanges=[row(2)])
    assert not projected.commit("p", FeedCursor(3, 5), FeedCursor(9, 9), exchanges=[row(2)])
    assert projected.checkpoint("p") == FeedCursor(3, 4)
    assert projected.exchange(identity(2)) is None
    assert projected.commit("p", FeedCursor(3, 4), FeedCursor(9, 9))


@pytest.mark.parametrize(
    ("which", "numbers"),
    [
        (ExchangeFilter(), [5, 4, 3, 2, 1]),
        (ExchangeFilter(opening=identity(9)), [2]),
        (ExchangeFilter(call="d"), [4]),
        (ExchangeFilter(ids=frozenset({identity(2), identity(5), identity(8)})), [5, 2]),
        (ExchangeFilter(ids=frozenset()), []),
        (ExchangeFilter(status=500, verdict="errored"), [5]),
        (ExchangeFilter(model="m-2"), [1]),
        (ExchangeFilter(method="GET"), [1]),
        (ExchangeFilter(url="50%_off"), [2]),
        (ExchangeFilter(url="chat"), [5, 4, 3, 1]),
        (ExchangeFilter(url="CHAT"), []),
        (ExchangeFilter(url=""), [5, 4, 3, 2, 1]),
        (ExchangeFilter(since_ns=1_790_000_000_000_000_002, until_ns=1_790_000_000_000_000_004), [3, 2]),
        (ExchangeFilter(verdict="unknown"), []),
        (ExchangeFilter(finish="stop"), [5, 3, 2, 1]),
        (ExchangeFilter(finish="tool_calls"), [4]),
        (ExchangeFilter(finish="toolxcalls"), []),
        (ExchangeFilter(tool="sell"), [4]),
        (ExchangeFilter(tool="buy_%"), [5, 4]),
        (ExchangeFilter(tool="buy"), []),
        (ExchangeFilter(status=(500, 404)), [5]),
        (ExchangeFilter(status=[200, 500], model=("m-2", "m-3")), [1]),
        (ExchangeFilter(verdict=("errored", "complete")), [5, 4, 3, 2, 1]),
        (ExchangeFilter(finish=("length", "tool_calls", "nothing")), [4]),
        (ExchangeFilter(finish=("length", "stop")), [5, 4, 3, 2, 1]),
        (ExchangeFilter(tool=("sell", "buy")), [4]),
        (ExchangeFilter(tool=("sell", "buy_%"), finish=("stop",)), [5]),
        (ExchangeFilter(tool=()), []),
        (ExchangeFilter(model=()), []),
    ],
)
def test_filters(projected: SqlProjected, which: ExchangeFilter, numbers: list[int]) -> None:
    rows = [
        row(1, model="m-2", method="GET"),
        row(2, opening=identity(9), url="https://h/50%_off"),
        row(3),
        row(4, call="d", finish="tool_calls,length", tools="sell\nbuy_%\n"),
        row(5, status=500, verdict="errored", tools="buy_%\n"),
    ]
    projected.commit("p", START, FeedCursor(1, 1), exchanges=rows)
    assert [found.chunks for found in projected.exchanges(which)] == numbers
    assert [made.chunks for made in reversed(rows) if which.selects(made)] == numbers


def test_what_replay_needs_comes_in_the_order_of_ids(projected: SqlProjected) -> None:
    rows = [row(3), row(1), row(2, match_key=b"x" * 32, match_places='["url:key"]'), row(4, match_key=None)]
    projected.commit("p", START, FeedCursor(1, 1), exchanges=rows)
    expected = sorted((m.id, m.match_key, m.match_places, m.method, m.url, m.started_ns) for m in rows)
    assert list(projected.requests()) == expected


def test_an_exchange_that_is_not_there(projected: SqlProjected) -> None:
    projected.commit("p", START, FeedCursor(1, 1), exchanges=[row(1)])
    assert projected.exchange(row(1).id) == row(1)
    assert projected.exchange(identity(999)) is None


def test_openings_come_in_the_order_of_their_ids(projected: SqlProjected) -> None:
    rows = [OpeningRow(identity(n), f"desk-{n}", '{"a":"b"}', n, n * 10) for n in (2, 1)]
    projected.commit("p", START, FeedCursor(1, 1), openings=rows)
    assert list(projected.openings()) == [rows[1], rows[0]]


def test_dropping_everything(projected: SqlProjected) -> None:
    talk = OpeningRow(identity(2), None, "{}", 1, 2)
    projected.commit("p", START, FeedCursor(1, 1), exchanges=[row(1)], openings=[talk])
    projected.drop_all()
    assert list(projected.exchanges()) == list(projected.openings()) == []
    assert projected.checkpoint("p") == START


def test_a_reader_sees_but_cannot_change(projected: SqlProjected, store_url: str) -> None:
    projected.commit("p", START, FeedCursor(1, 1), exchanges=[row(1)])
    store = open_store(store_url, write=False)
    reader = SqlProjected(store)
    assert list(reader.exchanges()) == [row(1)]
    with pytest.raises(StoreError, match="reading only"):
        reader.commit("p", FeedCursor(1, 1), FeedCursor(2, 2))
    with pytest.raises(StoreError, match="reading only"):
        reader.drop_all()
    store.close()
