"""Journals and links among exchanges: stored like all events, taken for exchanges by nobody."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from recorder.api.reader import Reader
from recorder.clock import id_text
from recorder.errors import UnknownEventType
from recorder.ledger.verify import verify
from recorder.projections.audit import audit_rows
from recorder.projections.runner import NAME, project, rebuild_all, unprojected
from recorder.store import open_events, open_store
from recorder.store.base import EventLog
from recorder.store.compared import compared
from recorder.store.linked import LinkRow, links_of_exchange, links_of_thing
from recorder.store.projected import SqlProjected
from recorder.store.sql import SqlStore
from tests.building import ExchangeBuilder, identity
from tests.contract.journaled import journal, link
from tests.contract.stored import exchange, unchecked


def put(store: EventLog, *built: ExchangeBuilder) -> None:
    for one in built:
        store.append([one.opened], one.events)


@pytest.fixture
def mixed(store: SqlStore) -> Iterator[SqlStore]:
    """An exchange that ended, one that runs, an opening; four journals: stopped, running, dead, begun by a loss."""
    put(store, exchange(1), journal(2, 1), exchange(3, ended=False), journal(4, 3, ended=None))
    put(store, ExchangeBuilder(5).event("conversation_named", {"name": "desk"}), link(6, 1), link(7, 3, "9", "note"))
    put(store, journal(8, ended=None).event("process_died", {"found_by": "x"}, instance=b"r" * 16))
    lossy = ExchangeBuilder(9, instance=identity(9)).event("gap_recorded", {"events": 1})
    put(store, lossy.event("instance_stopped", {}))
    return store


def test_exchanges_and_journals_without_an_end_are_two_questions(mixed: SqlStore) -> None:
    def told(found: Iterator[tuple[object, ...]]) -> list[bytes]:
        return [opened.stream for opened, _ in found]

    born = ExchangeBuilder(10, instance=identity(10))
    mixed.append([born.opened], [])
    assert told(mixed.unfinished()) == [identity(3)]
    assert told(mixed.unfinished_journals()) == [identity(4), identity(10)]
    assert told(mixed.unfinished_journals(identity(4))) == [identity(4)]
    assert told(mixed.unfinished_journals(identity(2))) == []
    assert told(mixed.unfinished(identity(4))) == []


def test_they_have_no_rows_but_those_of_links(mixed: SqlStore) -> None:
    projected = SqlProjected(mixed)
    fresh = unprojected(mixed, projected, messages=True)
    assert (set(fresh.exchanges), set(fresh.openings)) == ({identity(1), identity(3)}, {identity(5)})
    assert set(fresh.links) == {identity(6), identity(7)}
    assert project(mixed, projected, at_once=3)
    assert projected.counts() == (2, 1)
    row = LinkRow(identity(6), "order", "12345", identity(1), link(6, 1).events[0].wall_ns)
    assert list(links_of_thing(mixed, "order", "12345")) == [row] == list(links_of_exchange(mixed, identity(1)))
    assert list(links_of_thing(mixed, "note", "12345")) == []
    before = _rows(mixed)
    rebuild_all(mixed, projected)
    assert _rows(mixed) == before
    projected.drop_all()
    assert _rows(mixed) == ([], [], [])


def _rows(store: SqlStore) -> tuple[list[object], list[object], list[object]]:
    projected = SqlProjected(store)
    things = [("order", "12345"), ("note", "9")]
    found = [row for kind, name in things for row in links_of_thing(store, kind, name)]
    return list(projected.exchanges()), list(projected.openings()), list(found)


def test_rows_of_links_are_compared_with_events(mixed: SqlStore) -> None:
    project(mixed, SqlProjected(mixed))
    audit = audit_rows(mixed)
    assert (audit.found, audit.pending) == (0, 0)
    place = f"WHERE stream = {mixed.id_literal(identity(6))}"
    unchecked(mixed, f"UPDATE link_rows SET id = '99' {place}")
    [finding] = audit_rows(mixed).findings
    assert (finding.exchange, finding.field) == (id_text(identity(6)), "id")
    assert finding.detail == "in link_rows, id is not what the events say"
    unchecked(mixed, f"DELETE FROM link_rows {place}")
    assert [one.detail for one in audit_rows(mixed).findings] == ["its row in link_rows is missing"]
    journals = mixed.id_literal(identity(2))
    other = mixed.id_literal(identity(7))
    unchecked(mixed, f"INSERT INTO link_rows SELECT {journals}, kind, id, exchange, at_ns FROM link_rows")
    unchecked(mixed, f"UPDATE link_rows SET kind = 'x' WHERE stream = {other}")
    found = {one.exchange: one.detail for one in audit_rows(mixed).findings}
    assert found[id_text(identity(2))] == "its row in link_rows stands for no event"
    rebuild_all(mixed, SqlProjected(mixed))
    assert audit_rows(mixed).found == 0


def test_a_journal_is_never_held_in_memory(mixed: SqlStore) -> None:
    """It grows for as long as its process lives; what goes through all streams must not hold it."""
    held = {one.stream: len(one.rows) for one in compared(mixed, NAME)}
    assert [held[identity(number)] for number in (1, 2, 4, 8, 9)] == [6, 0, 0, 0, 0]


@pytest.mark.parametrize("facts", [{}, {"kind": 1, "id": "1", "exchange": "x"}, {"kind": "order", "id": "1"}])
def test_a_link_that_tells_nothing_has_no_row(store: SqlStore, facts: dict[str, object]) -> None:
    put(store, ExchangeBuilder(1).event("linked", facts), ExchangeBuilder(2).event("linked", meta="[1]"))
    put(store, link(3, 1, "a\0b"))
    project(store, SqlProjected(store))
    assert [row.stream for row in links_of_thing(store, "order", "a\ufffdb")] == [identity(3)]
    assert audit_rows(store).found == 0
    rebuild_all(store, SqlProjected(store))


def test_links_that_no_projection_has_yet_are_found_as_well(mixed: SqlStore, store_url: str) -> None:
    with closing(Reader(store_url)) as reader:
        assert [row.stream for row in reader.links_of_thing("order", "12345")] == [identity(6)]
        project(mixed, SqlProjected(mixed))
        put(mixed, link(11, 1))
        reader.refresh()
        assert [row.stream for row in reader.links_of_thing("order", "12345")] == [identity(6), identity(11)]
        assert [row.stream for row in reader.links_of_exchange(identity(1))] == [identity(6), identity(11)]
        assert reader.links_of_thing("order", "1") == []


def test_an_audit_checks_their_chains_and_counts_exchanges_alone(mixed: SqlStore) -> None:
    report = verify(mixed.walk())
    assert (report.findings, report.exchanges, report.unfinished) == ((), 2, 1)
    assert report.events == mixed.counts()[0]
    on = " ON events" if mixed.name.startswith("postgresql") else ""
    place = f"WHERE stream = {mixed.id_literal(identity(2))} AND version = 2"
    unchecked(mixed, f"DROP TRIGGER events_no_update{on}", f"UPDATE events SET meta = '{{}}' {place}")
    [finding] = verify(mixed.walk()).findings
    assert (finding.exchange, finding.version, finding.field) == (id_text(identity(2)), 2, "hash")


def test_a_cassette_takes_none(tmp_path: Path) -> None:
    path = tmp_path / "some.jsonl"
    with closing(open_events(str(path))) as cassette:
        put(cassette, exchange(1))
        for built in (journal(2, 1), link(3, 1)):
            with pytest.raises(UnknownEventType, match="which is for stores"):
                put(cassette, built)
        assert cassette.counts() == (6, 1)
        assert list(cassette.unfinished_journals()) == []
        assert cassette.ledger is None
    with closing(open_store(str(path), write=False)) as view:
        assert (view.counts(), view.ledger.origin()) == ((6, 1), None)
