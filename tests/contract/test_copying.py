"""Copying between stores: every pair of engines, and what is in the way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from recorder.core.events import Event, StreamOpened
from recorder.errors import VersionConflict
from recorder.ledger.verify import verify
from recorder.store import copying, open_store
from recorder.store.copying import Refused, carry, chosen, compare, everything
from recorder.store.sql import SqlStore
from tests.building import ExchangeBuilder, identity
from tests.contract.stored import OTHER, exchange, unchecked, unplaced

ENGINES = ("sqlite", "postgresql")


@pytest.fixture(params=[(one, other) for one in ENGINES for other in ENGINES if "sqlite" in (one, other)], ids="-".join)
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[SqlStore, SqlStore]]:
    """A store to read and one to write, of each pair of engines."""
    urls = [
        f"sqlite:///{tmp_path}/{name}.db" if engine == "sqlite" else request.getfixturevalue("postgres_url")
        for name, engine in zip(("source", "target"), request.param, strict=True)
    ]
    with closing(open_store(urls[0], write=True)) as source, closing(open_store(urls[1], write=True)) as target:
        yield source, target


@pytest.fixture
def files(tmp_path: Path) -> Iterator[tuple[SqlStore, SqlStore]]:
    """Two SQLite stores."""
    urls = [f"sqlite:///{tmp_path}/{name}.db" for name in ("source", "target")]
    with closing(open_store(urls[0], write=True)) as source, closing(open_store(urls[1], write=True)) as target:
        yield source, target


def whole(store: SqlStore) -> list[tuple[StreamOpened | None, list[Event]]]:
    return [(opened, unplaced(list(events))) for opened, events in store.walk()]


def put(store: SqlStore, *built: ExchangeBuilder) -> None:
    for one in built:
        store.append([one.opened], one.events)


def copied(source: SqlStore, target: SqlStore, streams: copying.Streams | None = None) -> copying.Carried:
    wanted = streams or (lambda: everything(source))
    compare(source, target, wanted)
    return carry(source, target, wanted)


def rich(source: SqlStore) -> None:
    """Openings, whole and unfinished exchanges, events of another process, empty bodies, facts of every kind."""
    put(
        source, ExchangeBuilder(1).event("conversation_named", {"name": "désk"}).event("tags_set", {"tags": {"a": "b"}})
    )
    put(source, *(exchange(number, chunks=number) for number in range(2, 8)))
    put(source, exchange(8, ended=False), exchange(9).event("gap_recorded", {"events": 1, "bytes": 2}, b""))
    put(source, exchange(10, ended=False).event("process_died", {"found_by": "x"}, instance=OTHER))


def test_every_event_and_opening_is_the_same_but_for_its_position(stores: tuple[SqlStore, SqlStore]) -> None:
    source, target = stores
    rich(source)
    before = whole(source)
    done = copied(source, target)
    assert whole(target) == before == whole(source)
    assert verify(target.walk()).findings == ()
    events = sum(len(found) for _, found in before)
    assert (done.exchanges, done.openings, done.events, done.present) == (9, 1, events, 0)
    assert done.unfinished == [identity(8)]
    assert (done.refused, done.absent) == ([], [])


def test_positions_are_those_of_the_target(files: tuple[SqlStore, SqlStore]) -> None:
    source, target = files
    put(target, exchange(1))
    put(source, exchange(2), exchange(3))
    copied(source, target)
    held = [event.position for event in target.events(identity(2))]
    assert held == list(range(7, 13))


def test_again_adds_nothing_and_what_is_new_is_added(stores: tuple[SqlStore, SqlStore]) -> None:
    source, target = stores
    rich(source)
    first = copied(source, target)
    again = copied(source, target)
    assert (again.events, again.present) == (0, first.events)
    late = exchange(8)
    source.append([], late.events[len(exchange(8, ended=False).events) :])
    put(source, exchange(11))
    more = copied(source, target)
    assert (more.events, more.unfinished) == (1 + len(exchange(11).events), [])
    assert whole(target) == whole(source)


class BrokenOffError(Exception):
    """Whoever copies is interrupted."""


@pytest.mark.parametrize("at_once", [1, 4, 4096])
def test_a_copy_that_was_broken_off_goes_on(stores: tuple[SqlStore, SqlStore], at_once: int) -> None:
    source, target = stores
    rich(source)
    pieces: list[int] = []

    def advance(number: int) -> None:
        pieces.append(number)
        if len(pieces) == 2:
            raise BrokenOffError

    with pytest.raises(BrokenOffError):
        carry(source, target, lambda: everything(source, 2), advance, at_once=at_once)
    assert [len(events) for _, events in whole(target)] == [2, 5, 6, 7]
    assert verify(target.walk()).findings == ()
    done = copied(source, target)
    assert (done.present, whole(target)) == (20, whole(source))


def test_another_stream_under_the_same_id_is_refused_before_anything_is_written(
    stores: tuple[SqlStore, SqlStore],
) -> None:
    source, target = stores
    put(source, exchange(1), exchange(2), exchange(3))
    put(target, exchange(3, chunks=2, ended=False).event("response_truncated"))
    before = whole(target)
    with pytest.raises(VersionConflict, match=r"another event stream under the id 01900000-0003-.*: version 5 is"):
        copied(source, target)
    assert whole(target) == before


def test_another_opening_is_another_stream(files: tuple[SqlStore, SqlStore]) -> None:
    source, target = files
    put(source, exchange(1))
    put(target, exchange(1, instance=OTHER))
    with pytest.raises(VersionConflict, match="its opening is not the same"):
        copied(source, target)


def test_a_target_that_has_more_of_a_stream_keeps_it(files: tuple[SqlStore, SqlStore]) -> None:
    source, target = files
    put(source, exchange(1, ended=False), exchange(2))
    put(target, exchange(1))
    done = copied(source, target)
    assert (done.present, done.events) == (5, 6)
    assert len(list(target.events(identity(1)))) == 6


def test_a_target_with_a_hole_is_refused(files: tuple[SqlStore, SqlStore]) -> None:
    source, target = files
    put(source, exchange(1))
    put(target, exchange(1))
    unchecked(target, "DROP TRIGGER events_no_delete", "DELETE FROM events WHERE version = 2")
    with pytest.raises(VersionConflict, match=r"holes under the id .*: version 2 is missing from it"):
        copied(source, target)


def test_only_what_is_chosen_comes(stores: tuple[SqlStore, SqlStore]) -> None:
    source, target = stores
    rich(source)
    done = copied(source, target, chosen([identity(3), identity(5), identity(3), identity(77)]))
    assert [opened.stream for opened, _ in whole(target) if opened] == [identity(3), identity(5)]
    assert (done.exchanges, done.absent) == (2, [identity(77)])


@pytest.mark.parametrize(
    ("damage", "version", "reason"),
    [
        ("UPDATE events SET type = 99 WHERE version = 3", 3, "(code 99): upgrade recorder"),
        ("UPDATE events SET meta = 'é' WHERE version = 2", 2, "holds what was never written"),
        ("UPDATE events SET instance = x'00' WHERE version = 4", 4, "holds what was never written"),
        ("UPDATE events SET flags = 70000 WHERE version = 1", 1, "holds what was never written"),
        ("DELETE FROM event_streams WHERE stream = {}", None, "its opening is missing"),
        ("UPDATE event_streams SET secret = x'00' WHERE stream = {}", None, "its opening holds"),
    ],
)
def test_what_cannot_be_carried_is_told_and_holds_nothing_else_up(
    files: tuple[SqlStore, SqlStore], damage: str, version: int | None, reason: str
) -> None:
    source, target = files
    put(source, exchange(1), exchange(2), exchange(3))
    names = ("events_no_update", "event_streams_no_update", "event_streams_no_delete")
    place = target.id_literal(identity(2))
    where = "" if "{}" in damage else f" AND stream = {place}"
    unchecked(source, *(f"DROP TRIGGER {name}" for name in names), damage.format(place) + where)
    for _ in range(2):
        [refused] = copied(source, target).refused
        assert (refused.stream, refused.version) == (identity(2), version)
        assert reason in refused.reason
        held = {opened.stream: len(events) for opened, events in whole(target) if opened}
        assert held == {identity(1): 6, identity(3): 6} | (
            {identity(2): version - 1} if version and version > 1 else {}
        )
    assert isinstance(refused, Refused)
    assert verify(target.walk()).findings == ()


def test_a_changed_event_is_carried_as_it_is_and_found_there_too(files: tuple[SqlStore, SqlStore]) -> None:
    """A copy neither mends nor hides: what the audit says of the source, it says of the target."""
    source, target = files
    put(source, exchange(1))
    unchecked(source, "DROP TRIGGER events_no_update", "UPDATE events SET body = x'00' WHERE version = 4")
    copied(source, target)
    assert verify(target.walk()).findings == verify(source.walk()).findings != ()


def test_pieces_of_ids_cover_a_store_of_any_size(files: tuple[SqlStore, SqlStore]) -> None:
    source, target = files
    put(source, *(exchange(number, chunks=1) for number in range(1, 12)))
    assert [len(some) for some in everything(source, 3)] == [3, 3, 3, 2]
    advanced: list[int] = []
    carry(source, target, lambda: everything(source, 3), advanced.append)
    assert advanced == [3, 3, 3, 2]
    assert whole(target) == whole(source)


def test_a_stream_that_was_opened_and_has_no_event_yet_comes_as_well(files: tuple[SqlStore, SqlStore]) -> None:
    source, target = files
    source.append([exchange(1).opened], [])
    done = copied(source, target)
    assert (whole(target), done.exchanges, done.absent) == (whole(source), 0, [])
