"""What was sealed long after it says to have been recorded, of what goes into a bundle; and which journals say why.

Whoever verifies a bundle calls such events back-dated, as an audit of the store does, unless something explains them:
that an import or a copy brought them, that their process had died, or the word of whoever has the key. So the journals
that say so go into the bundle.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress

from recorder.clock import id_bytes
from recorder.core.clock_bounds import SEAL_LAG_NS
from recorder.core.events import Event
from recorder.core.heads import Leaf
from recorder.errors import CorruptRecording
from recorder.store.erased import acts_of_types
from recorder.store.sql import SqlStore

_SAYING = ("stream_written", "accessed")


def is_late(store: SqlStore, stream: bytes, leaves: Sequence[Leaf]) -> bool:
    """Return whether an event of a stream says to be older than the first leaf that seals it allows.

    :param leaves: of the stream, in order.
    """
    if not leaves:
        return False
    latest = max(leaf.sealed_ns for leaf in leaves) - SEAL_LAG_NS
    lengths = [leaf.head.length for leaf in leaves]
    query = f"SELECT version, wall_ns FROM events WHERE stream = {store.id_literal(stream)} AND wall_ns < {latest}"
    with store.snapshot() as rows:
        for version, wall_ns in rows(query):
            at = bisect_left(lengths, version)
            if at < len(leaves) and wall_ns < leaves[at].sealed_ns - SEAL_LAG_NS:
                return True
    return False


def journals_of_late(store: SqlStore, late: Collection[bytes]) -> Iterator[bytes]:
    """Yield the journals that may say why some event streams were sealed late; some of them twice."""
    for stream in late:
        opened = store.opening(stream)
        if opened is not None:
            yield opened.instance
    for event in acts_of_types(store, _SAYING) if late else ():
        if named_late(event) in late:
            yield event.stream


def named_late(event: Event) -> bytes | None:
    """Return of which event stream an event of a journal says how it came here, or why it was sealed late."""
    with suppress(CorruptRecording, ValueError, AttributeError):
        facts = event.facts
        if event.type == "stream_written":
            return id_bytes(str(facts.get("stream")))
        if event.type == "accessed" and facts.get("action") == "seal":
            return id_bytes(str(facts.get("of")))
    return None


def with_their_processes(store: SqlStore, late: Iterable[bytes]) -> frozenset[bytes]:
    """Return some event streams, and the processes that opened them."""
    openings = {stream: store.opening(stream) for stream in late}
    return frozenset([*openings, *(opened.instance for opened in openings.values() if opened is not None)])
