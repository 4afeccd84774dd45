"""Bundles from a store: what belongs to a selection, and the file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import replace as replaced
from itertools import islice
from pathlib import Path
from typing import Any, Final, TypedDict

from recorder.api.bundle_period import settled
from recorder.api.exporting import Compared, of_ids
from recorder.api.foreign_files import is_part_of
from recorder.api.led_to import led_to, links_to, with_erased
from recorder.api.linking import links_of, with_links
from recorder.api.redacting import Standing, in_force
from recorder.api.sealing import kind_and_id
from recorder.api.sent import in_sent_order
from recorder.api.store import Store
from recorder.api.vouching import ERASED, told
from recorder.clock import id_bytes, id_text
from recorder.core.linked import Linked
from recorder.core.rebuilt import Rebuilt
from recorder.errors import ConfigurationError, NotFound
from recorder.formats.base import render
from recorder.ledger import keys
from recorder.ledger.bundle import LedgerKeys, write_bundle
from recorder.ledger.bundle_cover import Counted, cover
from recorder.ledger.bundle_journals import elsewhere_and_lost
from recorder.ledger.bundle_plan import Plan, Wanted, planned
from recorder.ledger.bundle_range import Range
from recorder.ledger.own_keys import chain_here, require_own, rotated_away, told_chain
from recorder.ledger.standalone.verify import verify_bundle
from recorder.locations import sqlite_path
from recorder.store.erased import acts_of_types, streams_with
from recorder.store.sql import SqlStore

_LAST_NS: Final = 2**63 - 1
#: Takes how many exchanges will be read, returns what is told of each.
Begin = Callable[[int], Callable[[int], None]]
_FORMATS: Final = {"transcript.html": "html", "transcript.md": "markdown", "transcript.json": "json"}


class BundleSelection(TypedDict, total=False):
    """What a bundle is of; exactly one of these, but for the two ends of a time.

    ``order`` is the id of an order, ``link`` is ``KIND:ID`` of anything that was linked: the exchanges that led to it.
    ``exchange`` and ``conversation`` are ids or names; ``since_ns`` (begun at or after) and ``until_ns`` (before) UTC
    nanoseconds: everything that was begun in that time.
    """

    order: str | None
    link: str | None
    exchange: str | None
    conversation: str | None
    since_ns: int | None
    until_ns: int | None


@dataclass(frozen=True, slots=True)
class Bundled:
    """What was written.

    :ivar exchanges: how many; ``events``: of all event streams in it.
    :ivar signed: whether the ledger's key signed it; False: authenticity cannot be proved of all of it.
    :ivar sealed: whether the store has a ledger; without one only the hash chains can be checked.
    :ivar size: bytes of the file.
    :ivar redactions: how many were applied to the transcripts; the events hold what was recorded.
    :ivar unsealed_links: of its exchanges, which are not in it since they are not sealed yet.
    :ivar findings: what whoever verifies it will find, as its ``--json`` has it: the store is not as it was written.
    """

    exchanges: int
    events: int
    signed: bool
    sealed: bool
    size: int
    redactions: int = 0
    findings: tuple[Mapping[str, Any], ...] = ()
    unsealed_links: int = 0


class Selecting:
    """Finds what belongs to a bundle.

    :param store: an open store.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def link(self, kind: str, identity: str) -> Wanted:
        """Return the exchanges that led to something outside, an order for example.

        Those of the conversation up to the one that a link names, as ``recorder trace`` shows them: erased ones, too.

        :raises NotFound: nothing was linked to it.
        """
        rows = links_to(self._store, kind, identity)
        if not rows:
            raise NotFound(f"nothing is linked to {kind}:{identity}: see `recorder list`")
        chain = [one for row in rows for one in led_to(self._store, row).exchanges]
        wanted = self._wanted({"link": {"kind": kind, "id": identity}}, chain)
        return Wanted(wanted.selection, wanted.exchanges, wanted.openings, tuple(row.stream for row in rows))

    def exchange(self, identity: str) -> Wanted:
        """Return one exchange.

        :raises NotFound: there is none by that id, or several.
        """
        found = self._store.resolve(identity)
        if found.kind != "exchange":
            raise NotFound(f"{identity} is a conversation, not an exchange: give --conversation")
        return self._wanted({"exchange": found.id}, [found.id])

    def conversation(self, identity: str) -> Wanted:
        """Return the exchanges of a conversation, with those that were erased.

        :raises NotFound: there is none, or several.
        """
        found = self._store.resolve(identity)
        home = found.id if found.kind == "conversation" else self._store.conversation_of(found.id)[0]
        thread = self._store.threaded.conversation(home)
        named = {} if thread.name is None else {"name": thread.name}
        return self._wanted({"conversation": {"id": home, **named}}, with_erased(self._store, (home,)))

    def period(self, since_ns: int | None, until_ns: int | None) -> Wanted:
        """Return every exchange that was begun in a time, from one moment to before another (UTC nanoseconds).

        A moment at which an exchange is just beginning is moved before that.
        """
        since_ns, until_ns = (None if one is None else settled(self._store, one) for one in (since_ns, until_ns))
        since, until = max(since_ns or 0, 0), _LAST_NS if until_ns is None else until_ns
        rows = self._store.selected(since_ns=since_ns, until_ns=until_ns)
        began = {id_text(row.id): row.started_ns for row in sorted(rows, key=lambda row: (row.started_ns, row.id))}
        if not began:
            raise NotFound("nothing was begun in that time: see `recorder list`")
        wanted = self._wanted({"period": [since, until]}, in_sent_order(self._store.reader, began))
        return Wanted(wanted.selection, wanted.exchanges, wanted.openings, period=(since, until))

    def _wanted(self, selection: dict[str, Any], exchanges: Iterable[str]) -> Wanted:
        ids = tuple(dict.fromkeys(id_bytes(one) for one in exchanges))
        named = {row.opening for row in map(self._store.reader.exchange, ids) if row is not None}
        openings = self._store.reader.openings_by("id", [one for one in named if one is not None])
        return Wanted(selection, ids, tuple(sorted(openings)))


def select(store: Store, selection: BundleSelection) -> Wanted:
    """Return what belongs to a bundle.

    :raises ConfigurationError: not exactly one selection is given.
    """
    given = {name: value for name, value in selection.items() if value is not None}
    times = {name: given.pop(name) for name in ("since_ns", "until_ns") if name in given}
    if len(given) + bool(times) != 1:
        raise ConfigurationError("give exactly one of order, link, exchange, conversation, or a time (since, until)")
    selecting = Selecting(store)
    if times:
        return selecting.period(selection.get("since_ns"), selection.get("until_ns"))
    ((name, value),) = given.items()
    if name in ("exchange", "conversation"):
        return selecting.exchange(str(value)) if name == "exchange" else selecting.conversation(str(value))
    return selecting.link(*kind_and_id(f"order:{value}" if name == "order" else str(value)))


def make_bundle(
    store: Store,
    out: Path,
    wanted: Wanted,
    *,
    withhold: Sequence[str] = (),
    replace: bool = False,
    begin: Begin = lambda _: lambda _: None,
) -> Bundled:
    """Write a bundle, and verify it as whoever gets it will.

    A store that was changed has a bundle all the same: what was changed is evidence too.

    :param wanted: what :class:`Selecting` found.
    :param withhold: exchanges, or conversations, of which no payload is given.
    :param replace: overwrite the file where it exists.
    :param begin: is told how many exchanges will be read; what it returns is told of those that were.
    :raises ConfigurationError: the file is there already, cannot be written, or something is not sealed yet.
    :raises LedgerConflict: the store was put back to an older state.
    """
    _check_out(store, out, replace=replace)
    require_own(store.reader.store)
    hidden = frozenset(store.members(withhold)) if withhold else frozenset[bytes]()
    if not hidden <= set(wanted.exchanges):
        raise ConfigurationError("what is to be withheld is not among what is selected: name exchanges of the bundle")
    sql = store.reader.store
    plan, unsealed = _planned(store, replaced(wanted, withheld=hidden))
    ledger_keys = LedgerKeys(()) if plan.within is None else _keys(sql, plan.within)
    standing = Standing(store, in_force(store))
    partial = out.with_name(f".{out.name}.{os.getpid()}.partial")
    try:
        counts = write_bundle(partial, sql, plan, ledger_keys, dict(_documents(store, plan, standing, begin, unsealed)))
        findings = tuple(verify_bundle(partial)["findings"])
        partial.replace(out.resolve())
    except OSError as error:
        raise ConfigurationError(f"{out} cannot be written ({error.strerror}): give another file") from error
    finally:
        partial.unlink(missing_ok=True)
    signed = ledger_keys.signer is not None
    exchanges, size = len(plan.wanted.exchanges), out.stat().st_size
    sealed, redactions = plan.within is not None, len(standing.applied)
    return Bundled(exchanges, counts["events"], signed, sealed, size, redactions, findings, unsealed)


def _planned(store: Store, asked: Wanted) -> tuple[Plan, int]:
    """Return the plan of a bundle, and how many links of its exchanges are not sealed yet."""
    wanted, unsealed = with_links(store, asked)
    plan = planned(store.reader.store, wanted)
    if plan.wanted.exchanges != asked.exchanges:  # with what journals alone tell of, whose links belong to it too
        wanted, unsealed = with_links(store, replaced(asked, exchanges=plan.wanted.exchanges))
        plan = planned(store.reader.store, wanted)
    return plan, unsealed


def _check_out(store: Store, out: Path, *, replace: bool) -> None:
    if out.exists() and not replace:
        raise ConfigurationError(f"{out} exists already: give --force to replace it, or another file")
    if out.exists() and not out.is_file():
        raise ConfigurationError(f"{out} is no file: give the name of a file")
    if is_part_of(out, sqlite_path(store.reader.url)):
        raise ConfigurationError(f"{out} is the store itself, or lies beside it for it: give another file")


def _documents(
    store: Store, plan: Plan, standing: Standing, begin: Begin, unsealed: int
) -> Iterator[tuple[str, Iterable[bytes]]]:
    times = {stream: row.started_ns for stream in plan.wanted.exchanges if (row := store.reader.exchange(stream))}
    erased = {part.opened.stream for part in plan.parts if part.erased} - plan.taken_away
    told = [part.opened.stream for part in plan.parts if part.kind == "exchange" and not part.withheld]
    told = [stream for stream in told if stream not in erased]
    hidden = sum(bool(standing.of(id_text(one))) for one in told) if standing.hides else 0
    counted = replaced(_counted(store.reader.store, plan, hidden), unsealed_links=unsealed)
    links = links_of(store, plan)
    yield "COVER.html", cover(plan, times, counted, _erasures(store, plan), links)
    resting: dict[str, list[Linked]] = {}
    for one in links:
        resting.setdefault(one.exchange, []).append(one)
    chosen, advance = of_ids(store, told), begin(len(told) * len(_FORMATS))

    def read(rebuilt: Rebuilt) -> Rebuilt:
        advance(1)
        return replaced(standing.redacted(rebuilt), links=tuple(resting.get(rebuilt.id, ())))

    for name, form in _FORMATS.items():
        pieces = render(form, Compared(store, chosen, read, standing.redacted))
        yield name, (piece if isinstance(piece, bytes) else piece.encode() for piece in pieces)


def _erasures(store: Store, plan: Plan) -> list[str]:
    """Return the records of what was erased of a bundle's event streams, in words."""
    erased = {id_text(part.opened.stream) for part in plan.parts if part.erased}
    if not erased:
        return []
    return [told(one) for one in acts_of_types(store.reader.store, (ERASED,)) if one.facts.get("exchange") in erased]


def _counted(store: SqlStore, plan: Plan, redacted: int) -> Counted:
    """Count what the cover tells: what is elsewhere, and what is lost."""
    exchanges = frozenset(plan.wanted.exchanges)
    here = frozenset(part.opened.stream for part in plan.parts)
    elsewhere = dropped = 0
    for part in plan.parts:
        if part.kind == "journal":
            events = islice(store.events(part.opened.stream, after=part.first - 1), part.last - part.first + 1)
            others, lost = elsewhere_and_lost(events, exchanges, here)
            elsewhere, dropped = elsewhere + others, dropped + lost
    gaps = len(streams_with(store, "gap_recorded", plan.wanted.exchanges))
    return Counted(redacted, elsewhere, gaps, dropped)


def _keys(store: SqlStore, within: Range) -> LedgerKeys:
    """Return the ledger's keys: those that count here; where none is known, what journals tell."""
    signing = keys.load(within.origin)
    if signing is not None and rotated_away(store, signing.public) is not None:
        signing = None  # its word counts no more
    known = chain_here(store, within.origin)
    if not known.keys:
        known = told_chain(store, within.origin)
    if not known.keys:
        raise ConfigurationError(
            f"no public key of the ledger {within.origin} is known here: copy its .vkeys file from where it is signed"
        )
    return LedgerKeys(
        (*known.keys, *known.former), None if signing is None else (signing.public, signing.sign), known.retired
    )
