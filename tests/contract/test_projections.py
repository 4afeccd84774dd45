"""Projections on both engines: dropped and built again they are identical; nothing is missed or done twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from sqlalchemy import event

from recorder.projections.rows import exchange_row, listed, turn_of_row
from recorder.projections.runner import NAME, project, rebuild_all, unprojected
from recorder.store import open_store
from recorder.store.projected import SqlProjected
from recorder.store.related import turns_going_on, turns_kept
from recorder.store.sql import SqlStore
from recorder.store.tables import messages
from tests.building import ExchangeBuilder, delta, identity
from tests.commands import answered
from tests.keeping import kept_exchange


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


@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4, 5), (5, 4, 3, 2, 1, 0), (2, 4, 5, 0, 3, 1)])
def test_rows_of_what_the_provider_keeps_are_the_same_in_any_order(store: SqlStore, order: tuple[int, ...]) -> None:
    """One at a time, all at once, and in batches of any size."""
    talk = [kept_exchange(1), kept_exchange(2, previous_response_id="resp_1", stream=True)]
    talk += [kept_exchange(3, previous_response_id="resp_1"), kept_exchange(4, "hi", None, conversation={"id": "c"})]
    talk.append(kept_exchange(5, "hi", previous_response_id="resp_9"))
    referring = [{"type": "item_reference", "id": "msg_1"}, {"role": "user", "content": "hi"}]
    talk.append(kept_exchange(6, referring))
    folded = sorted((exchange_row(one.events) for one in talk), key=lambda row: row.id, reverse=True)
    for number in order:
        fill(store, talk[number])
        assert project(store, SqlProjected(store), most_bytes=1 if number % 2 else 1 << 20)
    once = rows(store), said(store)
    assert once[0][0] == folded
    rebuild_all(store, SqlProjected(store))
    assert (rows(store), said(store)) == once
    SqlProjected(store).drop_all()
    assert project(store, SqlProjected(store), at_once=3, most_bytes=1)
    assert (rows(store), said(store)) == once
    keys = {row.id: (row.goes_on_from, row.kept_as, row.last_item) for row in folded}
    first, second, third, fourth, fifth, sixth = (keys[identity(number)] for number in range(1, 7))
    assert sixth[0] == first[2] is not None
    assert first[0] is fourth[1] is None
    assert second[0] == third[0] == first[1] is not None
    assert len({first[1], second[1], third[1], fourth[0], fifth[0], fifth[1]}) == 6


def test_what_is_named_is_found_by_its_index(store: SqlStore) -> None:
    """No exchange is looked at that has nothing to do with it."""
    plans: list[str] = []
    sqlite = store.name.startswith("sqlite")

    def explained(connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith("WITH RECURSIVE"):
            plan = "EXPLAIN QUERY PLAN " if sqlite else "EXPLAIN "
            with connection.connection.cursor() if not sqlite else closing(connection.connection.cursor()) as asking:
                if not sqlite:
                    asking.execute("SET LOCAL enable_seqscan = off")  # what has few rows is read faster without indexes
                asking.execute(plan + statement, parameters)
                plans.append(" ".join(map(str, asking.fetchall())))

    with store.reading() as connection:
        event.listen(connection, "before_cursor_execute", explained)
        assert list(turns_kept(connection, [identity(1)])) == list(turns_going_on(connection, [identity(1)])) == []
    for plan, columns in zip(plans, (("kept_as", "last_item"), ("goes_on_from",)), strict=True):
        assert all(plan.count(f"exchange_rows_{column}") >= 2 for column in columns), plan
        assert "SCAN exchange_rows" not in plan
        assert "Seq Scan on exchange_rows" not in plan


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
