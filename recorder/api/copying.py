"""Copy: a store, or some of its exchanges, carried into another one, whatever the engines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, Final, Unpack, cast

from recorder.api.exporting import threads_of
from recorder.api.store import ExchangeFilters, Store
from recorder.clock import id_bytes, id_or_digits, id_text
from recorder.core.conversation import Names
from recorder.core.json_text import present
from recorder.errors import ConfigurationError, NotFound
from recorder.locations import absolute_url
from recorder.store import open_store
from recorder.store.copying import Carried, Streams, carry, chosen, compare, everything
from recorder.store.copying_ledger import LedgerCopy, carry_ledger, compare_ledgers
from recorder.store.urls import StoreUrl, parse_url

#: Told of the number of event streams that there are, and then of those that are done.
Advance = Callable[[int], None]

_IDENTITY: Final = ("host", "port", "database")


@dataclass(frozen=True, slots=True)
class CopyReport:
    """What a copy found and did.

    :ivar source: the URL of the store that was read, without its password; ``target`` that of the other.
    :ivar exchanges: how many were looked at; ``openings``: event streams that open a conversation; ``journals``: of
        recorder processes; ``links``: of exchanges to something outside.
    :ivar events: events that the target got; ``present``: those that it had.
    :ivar unfinished: ids of exchanges without an end.
    :ivar spooled: ids of exchanges of which something is only in a spool: it is not copied.
    :ivar refused: event streams that cannot be carried, or from which version on, and why.
    :ivar leaves: leaves of the ledger that the target got: it comes with a copy of everything.
    """

    source: str
    target: str
    exchanges: int
    openings: int
    journals: int
    links: int
    events: int
    present: int
    unfinished: tuple[str, ...]
    spooled: tuple[str, ...]
    refused: tuple[tuple[str, int | None, str], ...]
    leaves: int = 0

    def as_json(self) -> dict[str, Any]:
        """Return what ``db copy --json`` prints (docs/schema/copy.schema.json)."""
        return {
            "from": self.source,
            "to": self.target,
            "exchanges": self.exchanges,
            "openings": self.openings,
            "journals": self.journals,
            "links": self.links,
            "leaves": self.leaves,
            "events": self.events,
            "present": self.present,
            "unfinished": list(self.unfinished),
            "spooled": list(self.spooled),
            "refused": [
                present(stream=stream, version=version, reason=reason) for stream, version, reason in self.refused
            ],
        }


def copy(
    source: str,
    target: str,
    *,
    begin: Callable[[int], Advance] = lambda _: lambda _: None,
    **filters: Unpack[ExchangeFilters],
) -> CopyReport:
    """Carry the event streams of one store to another, bit for bit; what is there already is compared and kept.

    With the exchanges that the filters select come all openings of their conversations: names and tags. Without
    filters everything comes: journals, links, and the ledger with its checkpoints and anchors as well.

    :param source: URL of the store to read; it is not changed.
    :param target: URL of the store to write: a SQLite file is made, or brought to the schema of this version.
    :param begin: told how many event streams there are when there is something to do; what it returns is told of
        those that are done.
    :param filters: see :class:`~recorder.api.store.ExchangeFilters`.
    :raises ConfigurationError: a URL is wrong, or both name one store.
    :raises NotFound: the filters leave nothing.
    :raises VersionConflict: the target holds another event stream under an id of the source, or another ledger;
        nothing was written.
    :raises StaleSchema: a store has another schema; on Postgres that is for ``recorder db upgrade``.
    :raises StoreUnreachable: a store cannot be reached.
    """
    here, there = parse_url(source, cassettes=True), parse_url(target)
    if _are_one(here, there):
        raise ConfigurationError(f"{here.name} cannot be copied to itself: give another store to copy to")
    asked = cast("ExchangeFilters", {name: value for name, value in filters.items() if value not in (None, {})})
    with Store(source) as store:
        streams, number = _streams(store, asked)
        with closing(open_store(absolute_url(target), write=True)) as taking:
            reading = store.reader.store
            ledger = compare_ledgers(reading, taking) if not asked else LedgerCopy(None, 0)
            compare(reading, taking, streams)
            carried = carry(reading, taking, streams, begin(number))
            leaves = carry_ledger(reading, taking, ledger)
            _project(taking)
        told = report(store, here.name, there.name, carried, None if not asked else set(_flat(streams)))
        return replace(told, leaves=leaves)


def _are_one(here: StoreUrl, there: StoreUrl) -> bool:
    if here.path is not None or there.path is not None:
        return here.path == there.path
    return all(getattr(here.url, name) == getattr(there.url, name) for name in _IDENTITY) and (
        here.url.query.get("host") == there.url.query.get("host")
    )


def _streams(store: Store, filters: ExchangeFilters) -> tuple[Streams, int]:
    """The ids of the streams to copy, and how many they are."""
    reading = store.reader.store
    if not filters:
        return (lambda: everything(reading)), reading.counts()[1]
    threads = threads_of(store, filters)
    ids, opened, homes = set[bytes](), set[bytes](), set[str]()

    def selected() -> Iterator[bytes]:
        for row in store.selected(**filters):
            if row.opening is not None:
                opened.add(row.opening)  # a conversation without a name has an opening, and no events of its own
            yield row.id

    for one in threads.in_order(threads.numbers(selected())):
        ids.add(one.id)
        homes.add(one.conversation)
    if not ids:
        raise NotFound("nothing is recorded that fits, so nothing was copied: see `recorder list` with these filters")
    openings = {id_text(row.id): row.name for row in store.reader.openings().values()}
    names = Names((), openings)
    opened |= {id_bytes(one) for one in openings if names.of(one) in homes}
    ids |= {one for one in opened if reading.opening(one) is not None}
    return chosen(ids), len(ids)


def _flat(streams: Streams) -> Iterator[bytes]:
    for some in streams():
        yield from some


def _project(target: Any) -> None:
    from recorder.projections.runner import project  # what rebuilds
    from recorder.store.projected import SqlProjected

    project(target, SqlProjected(target))


def chosen_streams(store: Store, filters: ExchangeFilters, only: set[bytes] | None) -> list[bytes]:
    """Return the ids of the event streams to carry, those that opened conversations first.

    :param only: ids of exchanges; all that the filters leave where it is None.
    :raises NotFound: nothing is left.
    """
    asked = cast("ExchangeFilters", {name: value for name, value in filters.items() if value not in (None, {})})
    rows = [row for row in store.selected(**asked) if only is None or row.id in only]
    if not rows:
        raise NotFound("nothing is recorded that fits, so nothing was written: see `recorder list` with these filters")
    openings = sorted({row.opening for row in rows if row.opening is not None})
    return [*(one for one in openings if store.reader.opening(one) is not None), *sorted(row.id for row in rows)]


def report(store: Store, source: str, target: str, carried: Carried, only: set[bytes] | None) -> CopyReport:
    """Return what is told of a copy.

    :param only: ids of the event streams that were to be copied; all where it is None.
    """
    spooled = [one for one in store.reader.spooled.events if store.reader.is_spooled(one)]
    return CopyReport(
        source,
        target,
        carried.exchanges,
        carried.openings,
        carried.journals,
        carried.links,
        carried.events,
        carried.present,
        tuple(map(id_text, carried.unfinished)),
        tuple(id_text(one) for one in spooled if only is None or one in only),
        tuple((id_or_digits(one.stream), one.version, one.reason) for one in carried.refused),
    )
