"""Answers that are sent back in pieces: one conversation is told as all exchanges tell it, and rows are those of any
order, on both engines.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest

from recorder.api.erasing import _read
from recorder.api.reader import Reader
from recorder.api.threaded import Threaded
from recorder.clock import id_text
from recorder.core.searching import parse_query
from recorder.projections.audit import audit_rows
from recorder.projections.erasing import erase_streams
from recorder.projections.runner import project, rebuild_all
from recorder.store import open_store
from recorder.store.filtered import ExchangeFilter
from recorder.store.projected import SqlProjected
from recorder.store.sql import SqlStore
from recorder.store.tables import messages
from tests.building import ExchangeBuilder, identity
from tests.contract.projecting import fill
from tests.pieces import exchange, exchanges, said

ASKED = [{"role": "user", "content": "Well?"}]
MORE = [{"role": "user", "content": "And?"}]
#: An answer that the program goes on from by itself: in one message, and before and after that in two.
GONE_ON = (
    exchange(1, ASKED, ["Alpha"]),
    exchange(2, [*ASKED, said("Alpha beta"), *MORE], ["Gamma"]),
    exchange(3, [*ASKED, said("Alpha"), said(" beta"), *MORE], ["Delta"]),
    exchange(4, [*ASKED, said("Al"), said("pha beta"), *MORE], ["Epsilon"]),
)


def text(number: int) -> str:
    return id_text(identity(number))


def rows(store: SqlStore) -> list[tuple[Any, ...]]:
    with store.reading() as connection:
        return [tuple(row) for row in connection.execute(messages.select().order_by(messages.c.key))]


def append(store: SqlStore, built: Sequence[ExchangeBuilder]) -> None:
    for one in built:
        store.append([one.opened], one.events)


def agree(url: str) -> None:
    """Check that each conversation, and each exchange, is told by itself as all exchanges together tell it."""
    with closing(Reader(url)) as reader:
        for home, thread in Threaded(reader).every.items():
            assert Threaded(reader).conversation(home) == thread
            last = thread.exchanges[-1]
            assert Threaded(reader).place(last) == (home, thread.parents.get(last))


def check_rows(store: SqlStore) -> None:
    """Check that the rows of messages are those that the events say, and those that they say in any order."""
    assert audit_rows(store).findings == []
    before = rows(store)
    rebuild_all(store, SqlProjected(store))
    assert rows(store) == before
    assert audit_rows(store).findings == []


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (1, 2, 0, 3), (2, 0, 3, 1)])
def test_who_goes_on_from_a_piece_is_found_whoever_has_sent_the_same_in_one(
    store_url: str, order: Iterable[int]
) -> None:
    with closing(open_store(store_url, write=True)) as store:
        fill(store, *(GONE_ON[number] for number in order))
        with closing(Reader(store_url)) as reader:
            thread = Threaded(reader).conversation(text(1))
            assert (thread.exchanges, thread.parents) == ((text(1), text(3)), {text(3): text(1)})
        agree(store_url)
        check_rows(store)
        agree(store_url)


def test_each_piece_has_a_row_of_its_own(store: SqlStore) -> None:
    fill(store, *GONE_ON)
    with store.reading() as connection:
        sent = connection.execute(messages.select().where(messages.c.answered == 0).order_by(messages.c.place)).all()
    assert sorted((row.place, row.text) for row in sent) == sorted(
        [(0, "Well?"), (1, "Alpha beta"), (1, "Alpha"), (1, "Al"), (2, "And?"), (2, " beta"), (2, "pha beta")]
    )
    (whole,) = (row.key for row in sent if row.text == "Alpha beta")
    assert {row.thread_key for row in sent if row.place == 2 and row.role == "assistant"} == {whole}
    assert {row.follows for row in sent if row.text == "And?"} == {whole}
    assert {row.thread_key for row in sent if row.place < 2 or row.text == "And?"} == {None}


@pytest.mark.parametrize("projected", [True, False])
def test_an_answer_that_is_sent_back_in_pieces_is_found_as_the_answer(store_url: str, projected: bool) -> None:
    again = exchange(5, [*ASKED, said("Alpha"), said(" beta"), *MORE], ["Gamma"])
    built = (exchange(1, ASKED, ["Alpha beta"]), again, exchange(6, [*ASKED, said("Alpha beta"), *MORE], ["Zeta"]))
    with closing(open_store(store_url, write=True)) as store:
        if projected:
            fill(store, *built)
            with store.reading() as connection:
                shown = connection.exec_driver_sql("SELECT side, text FROM messages WHERE role = 'assistant'").all()
            expected = [("answered", "Alpha beta"), ("answered", "Gamma"), ("answered", "Zeta"), ("sent", "Alpha")]
            assert sorted(map(tuple, shown)) == expected
        else:
            append(store, built)
    with closing(Reader(store_url)) as reader:
        found = [(row.exchange, row.answered) for row, _ in reader.search(parse_query("beta"), ExchangeFilter())]
    assert found == [(identity(1), 1)]


@pytest.mark.parametrize("gone", [(1,), (2,), (3,), (4,), (2, 3), (1, 2, 4)])
def test_what_others_sent_as_well_gets_its_row_with_the_next_one(store: SqlStore, gone: tuple[int, ...]) -> None:
    """Who sent the same in other pieces has other rows, whenever that was."""
    fill(store, *GONE_ON, exchange(7, [*ASKED, said("Alpha"), said(" beta"), *MORE], ["Eta"]))
    erase(store, [identity(number) for number in gone])
    check_rows(store)


def erase(store: SqlStore, streams: Sequence[bytes]) -> None:
    read = {stream: _read(store, stream) for stream in streams}
    erase_streams(
        store,
        {stream: events for stream, (events, _) in read.items()},
        {stream: left for stream, (_, left) in read.items()},
    )


@pytest.mark.parametrize("seed", range(81, 85))
def test_every_conversation_is_told_as_all_exchanges_tell_it(store_url: str, seed: int) -> None:
    """Whatever came when, in batches of any size, before and after the rows are made again."""
    chance = random.Random(seed)
    waiting = list(exchanges(chance, 16))
    with closing(open_store(store_url, write=True)) as store:
        while waiting:
            count = chance.randint(2, 8)
            append(store, waiting[:count])
            del waiting[:count]
            if chance.random() < 0.7:
                project(store, SqlProjected(store), at_once=chance.choice((3, 20, 4096)))
            agree(store_url)
        project(store, SqlProjected(store))
        check_rows(store)
        agree(store_url)


def test_several_may_project_at_once(store_url: str) -> None:
    def work(_: int) -> None:
        with closing(open_store(store_url, write=True)) as other:
            project(other, SqlProjected(other), at_once=7)

    waiting = [*GONE_ON, *(one for one in exchanges(random.Random(9), 14) if one.opened.stream > identity(7))]
    with closing(open_store(store_url, write=True)) as store, ThreadPoolExecutor(3) as threads:
        for start in range(0, len(waiting), 6):
            append(store, waiting[start : start + 6])
            list(threads.map(work, range(3)))
        agree(store_url)
        check_rows(store)


@pytest.mark.parametrize("seed", range(5, 9))
def test_whatever_is_erased_the_rows_are_those_of_what_is_left(store: SqlStore, seed: int) -> None:
    chance = random.Random(seed)
    built = list(exchanges(chance, 12))
    append(store, built)
    project(store, SqlProjected(store))
    left = [one.opened.stream for one in built]
    while len(left) > 2:
        gone = [left.pop(chance.randrange(len(left))) for _ in range(chance.choice((1, 1, 2)))]
        erase(store, gone)
        assert audit_rows(store).findings == []
    check_rows(store)
