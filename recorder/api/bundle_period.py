"""The ends of a time of which a bundle is made, put where no exchange is just beginning.

An exchange has two times of its beginning: its journal announces it, and then its request is sent, some microseconds
later. Whoever verifies a bundle goes by the announcement of what is not there, and by the request of what is there. An
end of the time that lies between the two of an exchange is moved before both: then it has begun by both, or by neither.
"""

from __future__ import annotations

from collections.abc import Iterator

from recorder.api.store import Store
from recorder.clock import id_bytes
from recorder.core.events import TYPE_CODES
from recorder.errors import CorruptRecording
from recorder.store.related import instances_of

_NEAR_NS = 1_000_000_000


def settled(store: Store, end_ns: int) -> int:
    """Return an end of a time, UTC nanoseconds, as it is or a little earlier: no exchange is beginning just then.

    Where the two times of an exchange are more than a second apart, it is left as it is.
    """
    while True:
        earlier = min((first for first, last in _beginnings(store, end_ns) if first < end_ns <= last), default=end_ns)
        if earlier == end_ns:
            return end_ns
        end_ns = earlier


def _beginnings(store: Store, end_ns: int) -> Iterator[tuple[int, int]]:
    """Yield both times, the earlier one first, of the exchanges that begin within a second of a moment."""
    since, until = end_ns - _NEAR_NS, end_ns + _NEAR_NS
    began = {row.id: row.started_ns for row in store.selected(since_ns=since, until_ns=until + 1)}
    log = store.reader.store
    journals = sorted(set(instances_of(log, began).values()))
    opened = f"e.type = {TYPE_CODES['exchange_opened']} AND e.wall_ns >= {since} AND e.wall_ns <= {until}"
    for journal in journals:
        for event in log.events_where(f"e.stream = {log.id_literal(journal)} AND {opened}"):
            try:
                started = began.get(id_bytes(str(event.facts.get("exchange"))))
            except (CorruptRecording, ValueError):  # which whoever verifies is told
                continue
            if started is not None:
                yield min(started, event.wall_ns), max(started, event.wall_ns)
