"""What an import brings under ids that a store has already: the same, or something else.

Events are append-only, so what is there stays as it is, whatever comes; but that something else came is no "there
already", and whoever imports is told of it. Where what is there had not ended and is the beginning of what comes, the
rest is not appended either: the stream would hold two recordings, the end of one written by another program than began
it, and a recorder may still be writing to it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import chain, groupby
from operator import attrgetter
from typing import Any, NamedTuple

from recorder.clock import id_text
from recorder.core.events import Event, stream_kind
from recorder.core.exchange import Exchange, fold
from recorder.core.json_text import present
from recorder.core.rebuilt import as_json
from recorder.core.same_exchange import Difference, difference
from recorder.core.told_digest import told_digest
from recorder.dialects.rebuild import rebuild
from recorder.recording.imports import Made
from recorder.store.base import EventLog
from recorder.store.sql import SqlStore


class Different(NamedTuple):
    """An exchange of a file that is another one than the store has under its id.

    :ivar number: its place in the file, from 1.
    :ivar exchange: its id.
    """

    number: int
    exchange: str
    what: Difference

    def as_json(self) -> dict[str, Any]:
        """Return it as ``import --json`` has it; absent is absent."""
        return present(
            entry=self.number, exchange=self.exchange, differs=list(self.what.names), beginning=self.what.beginning
        )


@dataclass(slots=True)
class Compared:
    """What was found of exchanges whose ids are there.

    :ivar same: how many are the same.
    :ivar untold: why of some of these it was not compared what the file says of them beside their recordings.
    """

    same: int = 0
    untold: Counter[str] = field(default_factory=Counter)
    different: list[Different] = field(default_factory=list)


def compared(store: EventLog, batch: Sequence[Made]) -> tuple[list[Made], Compared]:
    """Return what of a batch is new, and what was found of the rest; of one id in it, the first may be new.

    :param store: it is read, one exchange at a time.
    :raises StoreError: it failed.
    """
    found = Compared()
    made: dict[bytes, list[Made]] = {}
    for one in batch:
        made.setdefault(one.opened.stream, []).append(one)
    known = store.heads(list(made))
    with store.also_sealed() if isinstance(store, SqlStore) else nullcontext():
        for stream, there in _folded(store, [stream for stream in made if stream in known]):
            for one in made[stream]:
                _take(found, there, one)
    for stream, ones in made.items():
        if stream not in known and len(ones) > 1:
            first = fold(ones[0].events)
            for one in ones[1:]:
                _take(found, first, one)
    found.different.sort(key=attrgetter("number"))
    return [ones[0] for stream, ones in made.items() if stream not in known], found


def _folded(store: EventLog, streams: Sequence[bytes]) -> Iterator[tuple[bytes, Exchange | None]]:
    for stream, events in groupby(store.found_among(streams), attrgetter("stream")):
        yield stream, _exchange(events)


def _exchange(events: Iterator[Event]) -> Exchange | None:
    """Return what a stream holds; None where that is no exchange."""
    first = next(events)
    return fold(chain((first,), events)) if stream_kind(first.type) == "exchange" else None


def _take(found: Compared, there: Exchange | None, one: Made) -> None:
    brought = fold(one.events)
    what = Difference(("kind",)) if there is None or brought is None else difference(there, brought)
    if what is None and one.told is not None and brought is not None and one.told != _told(brought):
        what = Difference(("told",))
    if what is None:
        found.same += 1
        found.untold.update([one.untold] if one.untold is not None else ())
    else:
        found.different.append(Different(one.events[0].facts["entry"], id_text(one.opened.stream), what))


def _told(brought: Exchange) -> bytes:
    return told_digest(as_json(rebuild(brought)))
