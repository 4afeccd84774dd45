"""In which order exchanges of a store were sent: by what their processes, their requests and their clocks say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from recorder.api.reader import Reader
from recorder.clock import id_bytes, id_text
from recorder.core.sent_order import Sent, sent_order
from recorder.store.related import instances_of


def in_sent_order(reader: Reader, began: Mapping[str, int], follows: Iterable[tuple[str, str]] = ()) -> list[str]:
    """Return the ids of exchanges in the order in which they were sent.

    :param began: by id when each began by its own clock, UTC nanoseconds.
    :param follows: pairs of ids: the second goes on from the first.
    """
    ids = {one: id_bytes(one) for one in began}
    if len(ids) < 2:
        return list(ids)
    known = instances_of(reader.store, ids.values())
    known |= {one: opened.instance for one, opened in reader.spooled.openings.items()}
    sent = [Sent(ids[one], wall_ns, known.get(ids[one])) for one, wall_ns in began.items()]
    pairs = ((ids[before], ids[later]) for before, later in follows if before in ids and later in ids)
    return list(map(id_text, sent_order(sent, pairs)))
