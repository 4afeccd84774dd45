"""The last events of the streams of a process that could not write them itself.

Its exchanges get their end, then its journal. How far each of them goes is for the journal of whoever does this.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from recorder.clock import Clock, id_bytes, id_text
from recorder.core.chain import genesis, link
from recorder.core.events import SEALED_FORMAT, Event, GapRecordedMeta, StreamOpened, meta_text
from recorder.core.journal_facts import ExchangeClosedMeta
from recorder.store.base import EventLog

if TYPE_CHECKING:
    from recorder.store.unsealing import Unsealing


@dataclass(slots=True)
class Closed:
    """What was closed.

    :ivar exchanges: ids of the exchanges that had no end.
    :ivar sealed: exchanges that could not be ended, and nothing else with them: their payloads are sealed, and the end
        needs the keys; ``fault``: why these are not here.
    :ivar facts: how far these go, and the others of which the process had not said it: of ``exchange_closed``.
    """

    exchanges: list[str] = field(default_factory=list)
    facts: list[ExchangeClosedMeta] = field(default_factory=list)
    sealed: int = 0
    fault: str | None = None


def close_streams(store: EventLog, dead: bytes, end: str, lost: str | None, clock: Clock, instance: bytes) -> Closed:
    """End the streams of a process that has not ended them; everything that it left is in the store.

    :param end: type of the event that ends its exchanges: ``process_died``, or ``recorder_closed``.
    :param lost: what was lost of it, if anything was: it is said before the end.
    :param instance: id of the process that does this, the author of the events.
    :raises StoreError: the store failed.
    """
    done, ends = Closed(), list[Event]()
    unfinished = list(store.unfinished(dead))
    unsealing = _unsealing() if any(opened.format == SEALED_FORMAT for opened, _ in unfinished) else None
    if unsealing is not None:
        unfinished = [(unsealing.opening(opened), last) for opened, last in unfinished]
        done.sealed, done.fault = sum(opened.format == SEALED_FORMAT for opened, _ in unfinished), unsealing.fault
        if done.sealed:
            return done
    for opened, last in unfinished:
        told = _ended(opened, last, end, lost, clock, instance)
        ends += told if unsealing is None else (unsealing.sealed(opened, event, clock.secret) for event in told)
        done.exchanges.append(id_text(opened.stream))
        done.facts.append(_facts(opened.stream, ends[-1]))
    for opened, last in store.unfinished_journals(dead):  # after what it tells of
        of_journal = "instance_stopped" if end == "recorder_closed" else end
        ends += _ended(opened, last, of_journal, lost, clock, instance)
    done.facts += _unsaid(store, dead, {opened.stream for opened, _ in unfinished}, lost)
    if ends:
        store.append([], ends)
    return done


def _unsealing() -> Unsealing:
    from recorder.store.unsealing import Unsealing  # with the key table: only where something is sealed

    return Unsealing()


def _facts(stream: bytes, head: Event | None) -> ExchangeClosedMeta:
    if head is None:
        return ExchangeClosedMeta(exchange=id_text(stream), length=0)
    return ExchangeClosedMeta(exchange=id_text(stream), length=head.version, head=head.hash.hex())


def _unsaid(store: EventLog, dead: bytes, ended: set[bytes], lost: str | None) -> Iterator[ExchangeClosedMeta]:
    """Yield how far the exchanges go of which a journal says that they began, and not that they ended.

    :param ended: those that are ended just now.
    """
    begun: dict[bytes, None] = {}
    for event in store.found_events(dead):
        if event.type == "exchange_opened":
            begun[id_bytes(json.loads(event.meta or "")["exchange"])] = None
        elif event.type == "exchange_closed":
            begun.pop(id_bytes(json.loads(event.meta or "")["exchange"]), None)
    rest = [stream for stream in begun if stream not in ended]
    heads = store.heads(rest)
    for stream in rest:
        if stream in heads or lost is None:  # else it may be that there was something
            yield _facts(stream, heads.get(stream))


def _ended(
    opened: StreamOpened, last: Event | None, end: str, lost: str | None, clock: Clock, instance: bytes
) -> Iterator[Event]:
    """Yield what closes a stream: its further events may have been lost, and then that is said first."""
    if lost is not None:
        now = clock.wall_ns()
        since = last.wall_ns if last is not None else now
        gap = GapRecordedMeta(events=0, bytes=0, from_ns=since, to_ns=now, reason=lost)
        last = following(opened, last, "gap_recorded", gap, clock, instance)
        yield last
    yield following(opened, last, end, {"found_by": id_text(instance)}, clock, instance)


def following(
    opened: StreamOpened, last: Event | None, kind: str, facts: Mapping[str, Any], clock: Clock, instance: bytes
) -> Event:
    """Return the event that follows on *last*, the last one of a stream; None: it has none yet."""
    version = last.version + 1 if last is not None else 1
    now = clock.wall_ns(), clock.monotonic_ns()
    event = Event(opened.stream, version, kind, *now, instance, 0, meta_text(facts), None, b"")
    return event._replace(hash=link(last.hash if last is not None else genesis(opened.stream), opened.secret, event))
