"""Projections on both engines: dropped and built again they are identical; nothing is missed or done twice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from recorder.projections.rows import exchange_row, listed, turn_of_row
from recorder.projections.runner import NAME, project, rebuild_all, unprojected
from recorder.store import open_store
from recorder.store.projected import SqlProjected
from recorder.store.sql import SqlStore
from recorder.store.tables import messages
from tests.building import ExchangeBuilder, delta, identity
from tests.commands import answered


@pytest.fixture
def store(store_url: str) -> Iterator[SqlStore]:
    opened = open_store(store_url, write=True)
    yield opened
    opened.close()


def question(number: int, text: str, opening: int | None = None) -> ExchangeBuilder:
    facts = {} if opening is None else {"conversation": _text(opening), "name": "desk"}
    builder = ExchangeBuilder(number).request(
        {"model": "m", "messages": [{"role": "user", "content": text}]}, call=f"call-{number}", **facts
    )
    return builder.response().sse(delta(role="assistant", content="yes"), delta(finish="stop")).completed()


def opening(number: int, name: str, **tags: str) -> ExchangeBuilder:
    return ExchangeBuilder(number).event("conversation_named", {"name": name}).event("tags_set", {"tags": tags})


def _text(number: int) -> str:
    import uuid

    return str(uuid.UUID(bytes=identity(number)))


def fill(store: SqlStore, *builders: ExchangeBuilder) -> None:
    for builder in builders:
        store.append([builder.opened], builder.events)


def rows(store: SqlStore) -> tuple[list[object], list[object]]:
    projected = SqlProjected(store)
    return list(projected.exchanges()), list(projected.openings())


def test_dropped_and_built_again_they_are_identical(store: SqlStore) -> None:
    fill(store, question(1, "a"), opening(2, "desk", bot="elion"), question(3, "b", opening=2), question(4, "nul \0"))
    projected = SqlProjected(store)
    assert project(store, projected)
    before = rows(store)
    assert len(before[0]) == 3
    assert len(before[1]) == 1
    rebuild_all(store, projected)
    assert rows(store) == before
    projected.drop_all()
    assert rows(store) == ([], [])
    fresh = unprojected(store, projected)
    assert sorted(fresh.exchanges.values(), key=lambda row: row.id, reverse=True) == before[0]
    assert list(fresh.openings.values()) == before[1]


def test_projecting_piece_by_piece_gives_what_projecting_at_once_gives(store: SqlStore) -> None:
    builder = question(1, "a")
    projected = SqlProjected(store)
    store.append([builder.opened], builder.events[:2])
    project(store, projected)
    (partial,) = projected.exchanges()
    assert (partial.verdict, partial.last_version) == ("unknown", 2)
    store.append([], builder.events[2:])
    project(store, projected)
    (whole,) = projected.exchanges()
    assert whole == exchange_row(builder.events)
    assert whole.verdict == "complete"


def test_nothing_new_changes_nothing(store: SqlStore) -> None:
    fill(store, question(1, "a"))
    projected = SqlProjected(store)
    project(store, projected)
    checkpoint = projected.checkpoint(NAME)
    assert project(store, projected)
    assert projected.checkpoint(NAME) == checkpoint
    assert unprojected(store, projected).exchanges == {}


def test_told_to_stop_it_stops_before_the_next_batch(store: SqlStore) -> None:
    fill(store, question(1, "a"))
    projected = SqlProjected(store)
    assert not project(store, projected, go_on=lambda: False)
    assert list(projected.exchanges()) == []
    assert len(unprojected(store, projected).exchanges) == 1


@pytest.mark.parametrize(
    ("at_once", "most_bytes", "most_messages", "expected"),
    [(4096, 1, 9, 3), (2, 1 << 20, 9, 10), (2, 1, 9, 10), (4096, 1 << 20, 1, 3), (4096, 1 << 20, 3, 2)],
)
def test_batches_are_bounded_by_what_is_in_them(
    store: SqlStore,
    monkeypatch: pytest.MonkeyPatch,
    at_once: int,
    most_bytes: int,
    most_messages: int,
    expected: int,
) -> None:
    monkeypatch.setattr("recorder.projections.runner._MOST_MESSAGES", most_messages)
    talk = [("user", "One?"), ("assistant", "Two."), ("user", "Three?")]
    fill(store, *(answered(number, *talk[:number]) for number in (1, 2, 3)))
    projected, folded, batches = SqlProjected(store), list[bytes](), list[int]()
    found_events, commit = store.found_events, projected.commit
    monkeypatch.setattr(store, "found_events", lambda stream: folded.append(stream) or found_events(stream))

    def counted(*args: Any, **rows: Any) -> bool:
        batches.append(len(rows["exchanges"]))
        return commit(*args, **rows)

    monkeypatch.setattr(projected, "commit", counted)
    assert project(store, projected, at_once=at_once, most_bytes=most_bytes)
    assert len(batches) >= expected if at_once == 2 else len(batches) == expected
    assert sorted(folded) == [identity(1), identity(2), identity(3)]  # each once, though it is in many batches
    assert sum(batches) == 3
    before = rows(store), said(store)
    rebuild_all(store, projected)
    assert (rows(store), said(store)) == before
    assert len(before[1]) == 6  # three that were sent, three answers


def test_a_stream_goes_on_while_another_process_projects(store: SqlStore) -> None:
    builder, projected = question(1, "a"), SqlProjected(store)
    store.append([builder.opened], builder.events[:2])
    assert not project(store, projected, most_bytes=1, go_on=iter([True, False]).__next__)
    store.append([], builder.events[2:])
    rebuild_all(store, SqlProjected(store))
    assert project(store, projected, most_bytes=1)
    assert list(projected.exchanges()) == [exchange_row(builder.events)]


def said(store: SqlStore) -> list[tuple[object, ...]]:
    with store.reading() as connection:
        return [tuple(row) for row in connection.execute(messages.select().order_by(messages.c.key))]


def test_a_row_holds_what_lists_and_threads_need() -> None:
    row = exchange_row(question(1, "a", opening=2).events)
    assert listed(row)["verdict"] == "complete"
    assert row.opening == identity(2)
    turn = turn_of_row(row, "x")
    assert (len(turn.keys), len(turn.answers), turn.call, turn.name) == (1, 1, "call-1", "desk")


def test_text_that_a_column_cannot_hold_is_replaced() -> None:
    builder = (
        ExchangeBuilder(1).request({"model": "m\0", "messages": []}, url="http://h/\0").response().sse().completed()
    )
    row = exchange_row(builder.events)
    assert (row.url, row.model) == ("http://h/�", "m�")


def test_a_conversation_that_is_no_id_belongs_to_none() -> None:
    assert exchange_row(ExchangeBuilder(1).request({}, conversation="no id").events).opening is None


def test_an_exchange_without_events_has_no_row() -> None:
    with pytest.raises(ValueError, match="without events"):
        exchange_row([])
