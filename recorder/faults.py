"""Faults on demand: what a program does when the stream of a recorded answer breaks.

::

    from recorder import Player
    from recorder.faults import cut

    with Player("sqlite:///recordings.db", fault=cut(after_events=3, how="reset")) as player:
        ...

A fault changes what is played, and nothing that is recorded. The HTTP library that reads it is the real one: it raises
what it raises when a server does that.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from recorder.errors import NotFound
from recorder.replay.fault_names import (
    ENDS,
    corrupt_gzip,
    cut,
    done_missing,
    done_twice,
    error_in_stream,
    late,
    malformed,
    one_of,
    rechunk,
    several,
    stall,
    status,
    unreachable,
)
from recorder.replay.fault_text import from_text
from recorder.replay.faults import Cut, Fault
from recorder.replay.rewriting import sample, split_events

if TYPE_CHECKING:
    from recorder.api.store import Store

__all__ = [
    "Fault",
    "corrupt_gzip",
    "cut",
    "done_missing",
    "done_twice",
    "error_in_stream",
    "every_cut",
    "from_text",
    "late",
    "malformed",
    "rechunk",
    "several",
    "stall",
    "status",
    "unreachable",
]


def every_cut(
    source: str | os.PathLike[str] | Store,
    exchange: str | None = None,
    *,
    by: str = "chunks",
    how: str = "close",
    most: int | None = None,
    seed: int = 0,
) -> list[Fault]:
    """Return every cut of a recorded stream that loses something of it, for a test to be run at each.

    Other answers that the test gets are cut there too; those that are over before stay whole.

    ::

        @pytest.mark.parametrize("fault", every_cut("sqlite:///recordings.db", "order"), ids=str)

    :param exchange: id of the exchange, or a part of it that no other has; of a conversation, its id or name, the last.
        Where it is left out, the last of all.
    :param by: ``"chunks"``, ``"events"`` or ``"bytes"``.
    :param how: as in :func:`cut`.
    :param most: so many at most, chosen at random, the same ones for the same *seed*.
    :raises ConfigurationError: *by* or *how* is not known.
    :raises NotFound: there is no such exchange.
    """
    from recorder.api.store import Store

    one_of("by", by, ("chunks", "events", "bytes"))
    one_of("how", how, ENDS)
    store = source if isinstance(source, Store) else Store(source)
    try:
        last = store.exchanges_of(store.resolve(exchange))[-1] if exchange is not None else _newest(store)
        chunks = [event.body or b"" for event in store.events(last) if event.type == "chunk_received"]
    finally:
        if store is not source:
            store.close()
    body = b"".join(chunks)
    sizes = {"chunks": len(chunks), "events": len(split_events(body)), "bytes": len(body)}
    places: Sequence[int] = range(sizes[by])
    if most is not None and most < len(places):
        places = sample(len(places), most, seed)
    return [Cut(after, by, how, lenient=True) for after in places]


def _newest(store: Store) -> str:
    newest = next(iter(store.exchanges(limit=1)), None)
    if newest is None:
        raise NotFound("the recording is empty: there is no exchange to cut")
    return str(newest["id"])
