"""Erasing what was said in exchanges, so that it can be proved that nothing else was.

The order is what makes it safe to die at any point. First it is recorded, signed and sealed, what is erased, on whose
word and on what ground. Then the keys of what was encrypted are destroyed. Then every payload goes, with all that was
folded from it, in one transaction. Then the engine's files are written anew. An audit never sees a payload missing that
nothing tells of, and the same command completes what was begun.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final

from recorder.api.acts import seal_first, signing_key, who, write_down
from recorder.api.belonging import belonging
from recorder.api.holding import reasons_to_keep, require_no_reason
from recorder.api.shredding import Shredding
from recorder.api.store import Store
from recorder.api.threaded import Found
from recorder.api.vouching import ERASED, carried_out, signed, signed_records, unvouched, vouching, without_signature
from recorder.clock import Clock, id_bytes, id_text
from recorder.core.chain import left_of
from recorder.core.events import Event
from recorder.errors import ConfigurationError, ErasureRefused, NotFound, RecorderError, StoreError
from recorder.ledger.own_keys import require_own
from recorder.locations import spool_directory
from recorder.projections.erasing import erase_streams
from recorder.projections.runner import project
from recorder.recording.recovery import recover
from recorder.recording.short_journal import note_recovered
from recorder.recording.spooled_ids import files_with
from recorder.store import open_store
from recorder.store.erased import acts_of_types, recorded_erasures, streams_named
from recorder.store.erasure import require_privilege, whole_streams
from recorder.store.projected import SqlProjected
from recorder.store.removal import remove_for_good
from recorder.store.sql import SqlStore
from recorder.store.urls import parse_url

_DECIDED: Final = ("exchange", "events", "ground", "by", "approved_by", "overrides")


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be erased.

    :ivar exchanges: ids of the exchanges that are not erased yet; ``openings``: of conversations, their names and tags;
        ``links``: what the exchanges led to.
    :ivar others: ids of exchanges of the same conversation that stay, and may repeat what was said.
    :ivar overrides: what would keep them: ids of holds; ``kept``: the first of it in words.
    :ivar belongs: of each event stream where it belonged, as its record tells it.
    :ivar unvouched: records of erasures that nobody signed, and that are vouched for with it.
    """

    exchanges: tuple[str, ...]
    openings: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    kept: str | None = None
    belongs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    unvouched: tuple[Event, ...] = ()

    @property
    def streams(self) -> tuple[bytes, ...]:
        """The ids of all event streams that lose their payloads."""
        return tuple(map(id_bytes, (*self.exchanges, *self.openings, *self.links)))


@dataclass(frozen=True, slots=True)
class Ground:
    """On whose word something is erased, and why; it is recorded and stays.

    :ivar key_lost: erase what is sealed even where its key is not here to be destroyed.
    """

    ground: str
    approved_by: str | None = None
    override: bool = False
    key_lost: bool = False


@dataclass(frozen=True, slots=True)
class Erased:
    """What was erased.

    :ivar events: whose payloads went; ``bytes``: how large these were.
    :ivar left: where it may stand yet, and what to do, a sentence each.
    :ivar unsealed: why the record of it is neither signed nor sealed; None: it is, or the store has no ledger.
    """

    streams: int
    events: int
    bytes: int
    left: tuple[str, ...]
    unsealed: str | None = None


def bring_up_to_date(url: str, clock: Clock) -> None:
    """Bring to the store what dead processes left, and its projections up to date.

    :raises ConfigurationError: it is a cassette.
    :raises StoreError: the store cannot be written, or was put back to an older state.
    """
    if parse_url(url, cassettes=True).cassette is not None:
        raise ConfigurationError("a cassette has no place for what an erasure leaves: record it anew, or remove it")
    Store(url).close()  # nothing is made where there is no store
    with closing(open_store(url, write=True)) as store:
        require_privilege(store)
        require_own(store)
        instance = clock.new_id()
        done = recover(spool_directory(url), store, clock, instance)
        note_recovered(store, clock, done, instance)
        project(store, SqlProjected(store))


def plan_for(store: Store, found: Found, now_ns: int) -> Plan:
    """Return what erasing an exchange or a conversation would erase; what is erased already is left out.

    What of it is gone and nobody vouches for is vouched for with it: whoever erased it may have died before he said so.

    :raises ErasureRefused: part of it is being recorded.
    :raises NotFound: there is no such conversation.
    """
    named = store.exchanges_of(found)
    openings: list[str] = []
    if found.kind == "conversation":
        name = store.outline(found).name
        by = ("id", (id_bytes(found.id),)) if name is None else ("name", (name,))
        openings = list(map(id_text, store.reader.openings_by(*by)))
        others: tuple[str, ...] = ()
    else:
        home, _ = store.conversation_of(found.id)
        others = tuple(one for one in store.threaded.conversation(home).exchanges if one != found.id)
    rows = [row for one in named for row in store.reader.links_of_exchange(id_bytes(one))]
    plan = _plan(store, named, openings, [id_text(row.stream) for row in rows], others, now_ns)
    there = [row for row in rows if id_text(row.stream) in plan.links]
    belongs = belonging(store, plan.exchanges, plan.openings, there)
    return replace(plan, belongs=belongs, unvouched=unvouched(store.reader.store, frozenset((*named, *openings))))


def unfinished_plan(store: Store, now_ns: int) -> Plan:
    """Return what is recorded to be erased and is still there, and what nobody vouches for though the key is here.

    Whoever began the one died in the middle; whoever recorded the other had no key.
    """
    log = store.reader.store
    told = recorded_erasures(log)
    if signing_key(log)[0] is not None:  # here, what nobody signed is nobody's word: it empties nothing
        told = streams_named(signed_records(log, acts_of_types(log, (ERASED,))))
    streams = list(map(id_text, sorted(whole_streams(log, sorted(told)))))
    exchanges = [one for one in streams if store.reader.exchange(id_bytes(one)) is not None]
    openings = [one for one in streams if id_bytes(one) in store.reader.openings()]
    links = [one for one in streams if one not in {*exchanges, *openings}]
    plan = _plan(store, exchanges, openings, links, (), now_ns, True)
    return replace(plan, unvouched=unvouched(log))


def _plan(
    store: Store,
    exchanges: Sequence[str],
    openings: Sequence[str],
    links: Sequence[str],
    others: tuple[str, ...],
    now_ns: int,
    decided: bool = False,
) -> Plan:
    whole = whole_streams(store.reader.store, list(map(id_bytes, (*exchanges, *openings, *links))))

    def still(some: Sequence[str]) -> tuple[str, ...]:
        return tuple(one for one in some if id_bytes(one) in whole)

    _require_ended(store, still(exchanges), still(openings))
    overrides, kept = reasons_to_keep(store, still(exchanges), now_ns, decided=decided)
    return Plan(still(exchanges), still(openings), still(links), others, tuple(overrides), kept)


def _require_ended(store: Store, exchanges: Iterable[str], openings: Iterable[str]) -> None:
    """What is written to by a program that runs cannot be erased: what comes would not verify without its secret."""
    reader = store.reader
    for one in exchanges:
        last = reader.store.head(id_bytes(one))
        if last is None or not reader.store.is_ended(last) or reader.is_spooled(id_bytes(one)):
            raise ErasureRefused(f"{one} is still being recorded: wait for its end, or stop the program, and try again")
    for one in openings:
        opened = reader.opening(id_bytes(one))
        if opened is not None and next(reader.store.unfinished_journals(opened.instance), None) is not None:
            raise ErasureRefused(
                f"the conversation {one} is open in a program that runs, which may add to it: "
                "stop that, or erase its exchanges one by one"
            )


def carry_out(url: str, clock: Clock, plan: Plan, ground: Ground, *, again: bool = False) -> Erased:
    """Record an erasure, erase, and remove for good; where there is nothing to erase any more, only the last.

    :param again: it is recorded already, and is completed.
    :raises ConfigurationError: the ground is empty, an override says nobody who approved it, or the key of what is
        sealed cannot be destroyed.
    :raises LedgerConflict: the record cannot be sealed: the ledger does not continue what was signed before.
    :raises ErasureRefused: it has to be kept; nothing was erased.
    :raises StoreError: the store failed: the same again completes what was begun.
    """
    if not ground.ground.strip() and not again:
        raise ConfigurationError("the ground is empty: say why, in words that may stay for ever")
    if not again:
        plan = _as_of_now(url, clock, plan)  # whoever was asked may have taken his time
    require_no_reason(plan.kept, override=ground.override, approved_by=ground.approved_by)
    streams, events, size, unsealed = plan.streams, 0, 0, None
    shredding: Shredding | None = None
    if streams or plan.unvouched:
        with closing(open_store(url, write=True)) as store:
            if streams:  # before anything says that it is done
                shredding = Shredding.of(store, streams, key_lost=ground.key_lost)
            emptied: dict[bytes, list[Event]] = {}
            left: dict[bytes, list[tuple[int, int, bytes]]] = {}
            for stream in streams:
                emptied[stream], left[stream] = _read(store, stream)
            events = sum(map(len, left.values()))
            size = sum(row[1] for rows in left.values() for row in rows)
            facts = list(_facts(left, plan, ground))
            unsealed = _record(store, clock, facts, plan.unvouched, again=again)
            with _saying("nothing was emptied yet" if shredding is None else "and not completed"):
                if shredding is not None:
                    shredding.destroy(clock.wall_ns())
                if streams:
                    erase_streams(store, emptied, left)
            if streams:
                gone = {"exchange": plan.exchanges, "conversation": plan.openings, "link": plan.links}
                write_down(store, clock, "erase", signed(carried_out(gone), signing_key(store)[0]))
    remains = [*remove_for_good(url), *_told_spools(url, streams or _all_erased(url))]
    remains += shredding.left() if shredding is not None else ()
    return Erased(len(streams), events, size, tuple(remains), unsealed)


def _as_of_now(url: str, clock: Clock, plan: Plan) -> Plan:
    """Return a plan with what would keep it now."""
    with Store(url) as store:
        overrides, kept = reasons_to_keep(store, plan.exchanges, clock.wall_ns())
    return replace(plan, overrides=tuple(dict.fromkeys((*plan.overrides, *overrides))), kept=kept or plan.kept)


def _record(
    store: SqlStore,
    clock: Clock,
    facts: Sequence[tuple[str, Mapping[str, Any]]],
    unsigned: Sequence[Event],
    *,
    again: bool,
) -> str | None:
    """Record an erasure, unless it is recorded, and sign and seal the record; return why that cannot be done here.

    Nothing is emptied before: an audit calls an erasure authorised whose record is signed and sealed.
    """
    key, _ = signing_key(store)
    there = list(acts_of_types(store, (ERASED,)))
    journals = {event.stream for event in there if any(_is_of(event.facts, told) for _, told in facts)}
    deciding = there if key is None else signed_records(store, there)
    new: list[tuple[str, Mapping[str, Any]]] = [*vouching(unsigned)]
    if again:  # what overrides something is said, though the rest was
        facts = [one for told in facts for one in _overriding(told[1], there)]
    new += (one for one in facts if not any(_decides(event.facts, one[1]) for event in deciding))
    if new:
        journals.add(write_down(store, clock, "erase", signed(new, key), seal=False))
    with _saying("nothing was emptied yet"):
        return seal_first(store, clock, sorted(journals))


def _overriding(facts: Mapping[str, Any], there: Sequence[Event]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield a recorded erasure with what is overridden to complete it, and on whose word; nothing where nothing is."""
    recorded = [event.facts for event in there if _is_of(event.facts, facts)]
    if recorded and "overrides" in facts:
        decided = {name: facts[name] for name in ("by", "approved_by", "overrides") if name in facts}
        yield ERASED, {**without_signature(recorded[-1]), **decided}


@contextmanager
def _saying(so_far: str) -> Iterator[None]:
    """Have what fails say that the erasure is recorded, how far it came, and what completes it."""
    try:
        yield
    except RecorderError as error:
        completes = "the same command run again, or `recorder erase --finish`, completes it"
        error.args = (f"{error}; the erasure is recorded, {so_far}: {completes}",)
        raise


def _is_of(recorded: Mapping[str, Any], facts: Mapping[str, Any]) -> bool:
    return bool(recorded.get("exchange") == facts["exchange"])


def _decides(recorded: Mapping[str, Any], facts: Mapping[str, Any]) -> bool:
    """Whether a record says what another one would: where things belonged may not be known any more."""
    return all(recorded.get(name) == facts.get(name) for name in (*_DECIDED, *(recorded.keys() & facts.keys())))


def _read(store: SqlStore, stream: bytes) -> tuple[list[Event], list[tuple[int, int, bytes]]]:
    """Return the events of a stream without their payloads, and what is left of these; one payload is in memory."""
    opened = store.opening(stream)
    if opened is None:
        raise NotFound(f"the opening of {id_text(stream)} is missing, and with it what its hashes are made with")
    events, left = [], []
    for event in store.stored_events(stream):
        left.append((event.version, *left_of(opened, event)))
        events.append(event._replace(meta=None, body=None))
    if not events:
        raise StoreError(f"nothing is stored of {id_text(stream)}")
    return events, left


def _facts(
    left: dict[bytes, list[tuple[int, int, bytes]]], plan: Plan, ground: Ground
) -> Iterator[tuple[str, dict[str, Any]]]:
    for stream, rows in left.items():
        facts: dict[str, Any] = {"exchange": id_text(stream), "events": len(rows), "bytes": sum(row[1] for row in rows)}
        facts |= {"ground": ground.ground, "by": who()}
        if ground.approved_by is not None:
            facts["approved_by"] = ground.approved_by
        if plan.overrides:
            facts["overrides"] = list(plan.overrides)
        yield ERASED, facts | dict(plan.belongs.get(id_text(stream), {}))


def _all_erased(url: str) -> list[bytes]:
    with closing(open_store(url, write=False)) as store:
        return sorted(recorded_erasures(store))


def _told_spools(url: str, streams: Sequence[bytes]) -> Iterator[str]:
    for path, kept in files_with(spool_directory(url), streams):
        if kept:
            yield f"{path} was set aside and holds events of it: look at it, then remove it (rm {path})"
        else:
            yield f"{path} is the spool of a program that runs and holds events of it: it goes when that program ends"
