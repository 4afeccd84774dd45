"""Copy: a store, or some of its exchanges, carried into another one, whatever the engines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, Final, Unpack, cast

from recorder.api.acts import signing_key, write_down
from recorder.api.exporting import threads_of
from recorder.api.store import ExchangeFilters, Store
from recorder.api.vouching import signed, signed_records
from recorder.clock import SystemClock, id_bytes, id_or_digits, id_text
from recorder.core.conversation import Names
from recorder.core.journal_facts import StreamWrittenMeta
from recorder.core.json_text import present
from recorder.errors import ConfigurationError, NotFound
from recorder.ledger.outside import require_newest
from recorder.locations import absolute_url
from recorder.store import open_store
from recorder.store.copying import Carried, Streams, carry, chosen, compare, everything
from recorder.store.copying_ledger import LedgerCopy, carry_ledger, compare_ledgers, held_though_erased
from recorder.store.erased import acts_of_types, erased_streams
from recorder.store.sql import SqlStore
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
    :ivar erased: ids of exchanges, and of openings, that the filters select and that were erased: they are not copied.
    :ivar held: ids of event streams that the target holds with content that the source has erased.
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
    erased: tuple[str, ...] = ()
    held: tuple[str, ...] = ()

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
            "erased": list(self.erased),
            "held": list(self.held),
            "refused": [
                present(stream=stream, version=version, reason=reason) for stream, version, reason in self.refused
            ],
        }


def copy(
    source: str,
    target: str,
    *,
    begin: Callable[[int], Advance] = lambda _: lambda _: None,
    ledger: bool = True,
    **filters: Unpack[ExchangeFilters],
) -> CopyReport:
    """Carry the event streams of one store to another, bit for bit; what is there already is compared and kept.

    With the exchanges that the filters select come all openings of their conversations: names and tags. The journals
    of their processes do not; where the source has any, the target gets a journal of this copy instead, which tells
    what was copied. What was erased is not copied then, since the records of it are in those journals. Without
    filters everything comes: journals, links, and the ledger with its checkpoints and anchors as well.

    :param source: URL of the store to read; it is not changed.
    :param target: URL of the store to write: a SQLite file is made, or brought to the schema of this version.
    :param begin: told how many event streams there are when there is something to do; what it returns is told of
        those that are done.
    :param ledger: False leaves the ledger behind, so that another one can be founded in the target.
    :param filters: see :class:`~recorder.api.store.ExchangeFilters`.
    :raises ConfigurationError: a URL is wrong, or both name one store.
    :raises NotFound: the filters leave nothing.
    :raises VersionConflict: the target holds another event stream under an id of the source, or another ledger;
        nothing was written.
    :raises LedgerConflict: filters are given, and the target was put back to an older state; nothing was written.
    :raises StaleSchema: a store has another schema; on Postgres that is for ``recorder db upgrade``.
    :raises StoreUnreachable: a store cannot be reached.
    """
    here, there = parse_url(source, cassettes=True), parse_url(target)
    if _are_one(here, there):
        raise ConfigurationError(f"{here.name} cannot be copied to itself: give another store to copy to")
    asked = cast("ExchangeFilters", {name: value for name, value in filters.items() if value not in (None, {})})
    with Store(source) as store:
        streams, number, erased = _streams(store, asked)
        with closing(open_store(absolute_url(target), write=True)) as taking:
            reading = store.reader.store
            if asked:
                require_newest(taking.ledger)  # it gets a journal of this copy
            known = compare_ledgers(reading, taking) if ledger and not asked else LedgerCopy(None, 0)
            compare(reading, taking, streams)
            carried = carry(reading, taking, streams, begin(number))
            leaves = carry_ledger(reading, taking, known)
            if asked and next(reading.openings_where("stream = instance"), None) is not None:
                _tell_copied(taking, streams)
            _project(taking)
            held = held_though_erased(reading, taking)
        told = report(store, here.name, there.name, carried, None if not asked else set(_flat(streams)))
        return replace(told, leaves=leaves, erased=tuple(map(id_text, erased)), held=tuple(map(id_text, held)))


def _are_one(here: StoreUrl, there: StoreUrl) -> bool:
    if here.path is not None or there.path is not None:
        return here.path == there.path
    return all(getattr(here.url, name) == getattr(there.url, name) for name in _IDENTITY) and (
        here.url.query.get("host") == there.url.query.get("host")
    )


def _streams(store: Store, filters: ExchangeFilters) -> tuple[Streams, int, Sequence[bytes]]:
    """The ids of the streams to copy, how many they are, and those that the filters select and that were erased."""
    reading = store.reader.store
    if not filters:
        return (lambda: everything(reading)), reading.counts()[1], ()
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
    erased = ids & erased_streams(reading)  # the record of it is in a journal, which comes with everything alone
    if erased == ids:
        raise NotFound("all that fits was erased, so nothing was copied: a copy of everything has the records of it")
    return chosen(ids - erased), len(ids - erased), sorted(erased)


def _tell_copied(target: SqlStore, streams: Streams) -> None:
    """Write down in the target that event streams were copied whose processes keep their journals elsewhere.

    Else whoever audits it would take the journals for removed. What is told already is not told again, but signed where
    the key is, and was not.
    """
    told: dict[str, int] = {}
    key, _ = signing_key(target)
    written = acts_of_types(target, ("stream_written",))
    for event in written if key is None else signed_records(target, written):
        stream, length = str(event.facts.get("stream")), event.facts.get("length")
        told[stream] = max(told.get(stream, 0), length if isinstance(length, int) else 0)
    facts = list(_copied(target, streams, told))
    if facts:
        write_down(target, SystemClock(), "copy", signed(facts, key))


def _copied(target: SqlStore, streams: Streams, told: Mapping[str, int]) -> Iterator[tuple[str, StreamWrittenMeta]]:
    journals = {opened.stream for opened in target.openings_where("stream = instance")}
    for some in streams():
        for stream, head in target.heads(some).items():
            opened = target.opening(stream)
            if opened is None or opened.instance in journals or told.get(id_text(stream), 0) >= head.version:
                continue
            facts = StreamWrittenMeta(stream=id_text(stream), length=head.version, head=head.hash.hex(), kind="copy")
            yield "stream_written", facts


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
