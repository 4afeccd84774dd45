"""What a copy of a whole store brings beside exchanges: journals, links, erased payloads, the ledger."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from recorder.api.copying import copy
from recorder.clock import id_text
from recorder.core.events import Event
from recorder.errors import VersionConflict
from recorder.ledger.verify import verify
from recorder.store import open_store
from recorder.store.base import Anchored
from recorder.store.erased import acts_of_types
from recorder.store.linked import links_of_thing
from recorder.store.sql import SqlStore
from tests.building import identity
from tests.contract.journaled import journal, link
from tests.contract.sealed import NOW, ORIGIN, check_whole, head
from tests.contract.stored import exchange, unchecked, unplaced

ENGINES = ("sqlite", "postgresql")
NOTE = f"{ORIGIN}\n3\nroot\n\n— {ORIGIN} sig\n"
ANCHOR = Anchored(identity(50), 3, "file", NOW, b"evidence")


@pytest.fixture(params=[(one, other) for one in ENGINES for other in ENGINES if "sqlite" in (one, other)], ids="-".join)
def urls(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str]:
    """URLs of a store to read and one to write, of each pair of engines."""
    source, target = (
        f"sqlite:///{tmp_path}/{name}.db" if engine == "sqlite" else request.getfixturevalue("postgres_url")
        for name, engine in zip(("source", "target"), request.param, strict=True)
    )
    with closing(open_store(source, write=True)) as store:
        for built in (exchange(1), exchange(2), journal(3, 1, 2), link(4, 1)):
            store.append([built.opened], built.events)
        store.ledger.found(ORIGIN)
        store.ledger.append([head(1, 3), head(2), head(1, 6)], NOW)
        store.ledger.append(store.ledger.unsealed(10), NOW)
        store.ledger.add_checkpoint(3, NOTE, NOW)
        store.ledger.add_anchor(ANCHOR)
    return source, target


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    """URLs of two files, the first with two exchanges."""
    source, target = (f"sqlite:///{tmp_path}/{name}.db" for name in ("source", "target"))
    with closing(open_store(source, write=True)) as store:
        for built in (exchange(1), exchange(2)):
            store.append([built.opened], built.events)
    return source, target


def everything(url: str) -> tuple[object, ...]:
    with closing(open_store(url, write=False)) as store:
        walked = [(opened, unplaced(list(events))) for opened, events in store.walk()]
        ledger = store.ledger
        assert verify(store.walk()).findings == ()
        return ledger.origin(), check_whole(store), list(ledger.checkpoints()), list(ledger.anchors()), walked


def test_the_ledger_comes_with_everything(urls: tuple[str, str]) -> None:
    source, target = urls
    report = copy(source, target)
    assert (report.exchanges, report.journals, report.links, report.openings) == (2, 1, 1, 0)
    size = report.leaves
    assert size > 3
    assert everything(target) == everything(source)
    with closing(open_store(target, write=False)) as store:
        assert [row.exchange for row in links_of_thing(store, "order", "12345")] == [identity(1)]
    again = copy(source, target)
    assert (again.leaves, again.events) == (0, 0)
    with closing(open_store(source, write=True)) as store:
        store.append([exchange(9).opened], exchange(9).events)
        store.ledger.append(store.ledger.unsealed(10), NOW + 1)
        store.ledger.add_checkpoint(size + 1, "later", NOW + 1)
    assert copy(source, target).leaves == 1
    assert everything(target) == everything(source)


def test_a_part_of_a_store_comes_without_it(urls: tuple[str, str]) -> None:
    source, target = urls
    report = copy(source, target, since_ns=0)
    assert (report.exchanges, report.journals, report.links, report.leaves) == (2, 0, 0, 0)
    with closing(open_store(target, write=False)) as store:
        assert (store.ledger.origin(), store.ledger.size(), list(store.ledger.checkpoints())) == (None, 0, [])
        assert store.counts() == (12 + 4, 3)  # and a journal, which tells that both came from elsewhere
        told = [event.facts for event in acts_of_types(store, ("stream_written",))]
        assert [(one["kind"], one["length"]) for one in told] == [("copy", 6), ("copy", 6)]


def test_a_target_that_is_ahead_keeps_what_it_has(urls: tuple[str, str]) -> None:
    source, target = urls
    copy(source, target)
    with closing(open_store(target, write=True)) as store:
        [more] = store.ledger.append([head(1, 99)], NOW + 9)
    assert copy(source, target).leaves == 0
    with closing(open_store(target, write=False)) as store:
        assert check_whole(store)[-1] == more


@pytest.mark.parametrize(
    ("origin", "told"), [(ORIGIN, "another ledger of the same name"), ("other.example", r"the ledger other\.example")]
)
def test_a_target_with_another_ledger_is_refused_before_anything_is_written(
    urls: tuple[str, str], origin: str, told: str
) -> None:
    source, target = urls
    with closing(open_store(target, write=True)) as store:
        store.ledger.found(origin)
        store.ledger.append([head(7)], NOW)
    with pytest.raises(VersionConflict, match=f"holds {told}, to which .* Nothing was copied"):
        copy(source, target)
    with closing(open_store(target, write=False)) as store:
        assert (store.counts(), store.ledger.size()) == ((0, 0), 1)
    assert copy(source, target, since_ns=0).events == 12


def _erase(store: SqlStore) -> None:
    """Erase the payloads of the first exchange, as an erasure does."""
    place = f"stream = {store.id_literal(identity(1))}"
    unchecked(
        store,
        f"INSERT INTO erased_payloads SELECT stream, version, 300, hash FROM events WHERE {place}",
        f"UPDATE events SET meta = NULL, body = NULL WHERE {place}",
        f"UPDATE event_streams SET secret = zeroblob(32) WHERE {place}",
    )


def _erased(url: str) -> list[tuple[object, ...]]:
    with closing(open_store(url, write=False)) as store, store.reading() as connection:
        found = connection.exec_driver_sql("SELECT * FROM erased_payloads ORDER BY stream, version")
        return [tuple(row) for row in found]


def test_what_was_erased_comes_as_it_is(files: tuple[str, str]) -> None:
    source, target = files
    with closing(open_store(source, write=True)) as store:
        _erase(store)
    report = copy(source, target)
    assert (report.events, report.refused) == (12, ())
    assert len(_erased(target)) == 6
    assert _erased(target) == _erased(source)
    assert {event.body for event in _events(target, 1)} == {None}


def test_what_was_erased_does_not_come_without_the_journals(files: tuple[str, str]) -> None:
    source, target = files
    with closing(open_store(source, write=True)) as store:
        _erase(store)
    report = copy(source, target, since_ns=0)
    assert (report.events, report.refused, report.erased) == (6, (), (id_text(identity(1)),))
    assert (_erased(target), _events(target, 1)) == ([], [])


def test_what_was_copied_before_it_was_erased_is_still_the_same_stream(files: tuple[str, str]) -> None:
    source, target = files
    copy(source, target)
    with closing(open_store(source, write=True)) as store:
        _erase(store)
    report = copy(source, target)
    assert (report.events, report.present) == (0, 12)
    assert _erased(target) == []  # what lies there was not erased there
    assert any(event.body for event in _events(target, 1))
    assert copy(target, source).present == 12


def _events(url: str, number: int) -> list[Event]:
    with closing(open_store(url, write=False)) as store:
        return list(store.events(identity(number)))


def test_a_journal_that_runs_is_no_exchange_without_an_end(files: tuple[str, str]) -> None:
    source, target = files
    with closing(open_store(source, write=True)) as store:
        running = journal(5, ended=None)
        store.append([running.opened], running.events)
    report = copy(source, target)
    assert (report.exchanges, report.journals, report.unfinished) == (2, 1, ())
    assert id_text(identity(5)) not in str(report.as_json())
