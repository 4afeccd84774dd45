"""The audit of all event streams, range by range of their ids: here, or in several processes at once.

Streams depend on nothing of each other, so their ids are parted into ranges that have about as many streams each. A
process reads its range in a snapshot of its own. What a snapshot sees later than the journals were read is more than
they say, never less: that is looked at once more at the end.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from itertools import islice, pairwise
from multiprocessing.connection import wait
from typing import Final, NamedTuple

from recorder.errors import CorruptRecording
from recorder.ledger.audit_said import Said
from recorder.ledger.audit_streams import StreamsAudit, missing_streams
from recorder.ledger.tally import Tally
from recorder.store import open_store
from recorder.store.sql import SqlStore
from recorder.store.walked import ids_of_streams, walked

_RANGES_A_JOB: Final = 8  # so that one process with large streams does not keep all others waiting at the end
_LEAST_STREAMS: Final = 4
_EVENTS_A_JOB: Final = 50_000  # another process takes as long to begin as these take to be checked


class Range(NamedTuple):
    """Ids of event streams from *start* on and before *end*; None: there is no such bound."""

    start: bytes | None = None
    end: bytes | None = None


class Task(NamedTuple):
    """What an audit of a range needs.

    :ivar said: what is said elsewhere of the streams of the range.
    :ivar size: of the ledger, when what is said was read.
    :ivar apart: streams that are passed over: they are looked at elsewhere.
    """

    range: Range
    said: Said
    size: int
    apart: frozenset[bytes] = frozenset()


def fitting(events: int) -> int:
    """Return how many processes pay for so many events: at most one for each core."""
    return max(min(os.cpu_count() or 1, events // _EVENTS_A_JOB), 1)


def ranges(store: SqlStore, streams: int, jobs: int) -> list[Range]:
    """Part the ids of a store's streams; every id that there can be is in one range.

    :param streams: how many streams there are.
    :param jobs: how many processes there are.
    """
    each = max(-(-streams // (jobs * _RANGES_A_JOB)), _LEAST_STREAMS)
    cuts: list[bytes | None] = [None, *islice(ids_of_streams(store), each, None, each), None]
    return [Range(start, end) for start, end in pairwise(cuts)]


def audit_range(store: SqlStore, task: Task) -> Tally:
    """Check the streams of a range."""
    audit = StreamsAudit(Tally(), task.said)
    met = set(task.apart)
    try:
        for one in walked(store, *task.range, size=task.size):
            if one.stream not in task.apart:
                met.add(one.stream)
                audit.take(one)
        missing_streams(audit, met)
    except CorruptRecording as error:
        audit.tally.incomplete = True
        audit.tally.find(audit.current, None, "page", "storage", f"{error}; what follows was not read")
    return audit.end()


@contextmanager
def auditing(url: str, store: SqlStore, jobs: int) -> Iterator[Callable[[Sequence[Task]], Iterator[Tally]]]:
    """Yield a function that begins to check ranges, and returns an iterator of the tallies in their order.

    :param url: of the store, which other processes open.
    :param store: the same, open.
    :param jobs: processes, this one among them; with 1, each range is checked here when its tally is asked for.
    """
    if jobs == 1:
        yield lambda tasks: (audit_range(store, task) for task in tasks)
        return
    # Not forked: a fork would inherit connections, and threads that do not run in it.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs - 1, mp_context=context, initializer=_open, initargs=(url,)) as executor:

        def begun(tasks: Sequence[Task]) -> Iterator[Tally]:
            return _results(store, tasks, [executor.submit(_audit, task) for task in tasks])

        try:
            yield begun
        except BaseException:  # an interrupt too: nobody waits for what is not wanted any more
            executor.shutdown(wait=False, cancel_futures=True)
            raise


def _results(store: SqlStore, tasks: Sequence[Task], futures: Sequence[Future[Tally]]) -> Iterator[Tally]:
    """Yield the tallies in their order; while one is waited for, this process does what nobody has begun."""
    here: dict[int, Tally] = {}
    left = len(tasks)
    for number, future in enumerate(futures):
        while number not in here and not future.done():
            left = next((at for at in reversed(range(number, left)) if futures[at].cancel()), -1)
            if left < 0:
                break
            here[left] = audit_range(store, tasks[left])
        yield here.pop(number) if number in here else future.result()


_opened: list[SqlStore] = []  # in a process of its own: the store


def _open(url: str) -> None:
    threading.Thread(target=_end_with_parent, name="recorder-parent", daemon=True).start()
    _opened.append(open_store(url, write=False))


def _end_with_parent() -> None:
    """End this process when the one that began it is gone, however that was ended.

    Of a pool whose owner was killed nobody is told: its processes wait for work for ever, each with a session.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _audit(task: Task) -> Tally:
    return audit_range(_opened[0], task)
