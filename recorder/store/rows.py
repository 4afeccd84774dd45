"""Rows of queries: as events, side by side, and in pieces."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, TypeVar

from recorder.core.events import FORMAT_VERSION, SEALED_FORMAT, TYPE_NAMES, Event, StreamOpened
from recorder.core.upcasting import upcast
from recorder.errors import CorruptRecording, UnknownEventType

Value = TypeVar("Value")
Row = Sequence[Any]
_READ: Final = (FORMAT_VERSION, None, SEALED_FORMAT)  # None: there is no opening


def event_of(row: Row) -> Event:
    """Return the event of one row, upcast to the newest format; a payload that is sealed stays so.

    :raises UnknownEventType: the code of its type is not known here.
    :raises CorruptRecording: its format is not known here, or a column holds what was never written.
    """
    name = TYPE_NAMES.get(row[2])
    if row[11] not in _READ:
        return _of_other_format(row, name)
    if name is None:
        stream = uuid.UUID(bytes=row[0]) if len(row[0]) == 16 else row[0].hex()
        where = f"at position {row[10]}, version {row[1]} of {stream}"
        raise UnknownEventType(f"unknown event type {row[2]} {where}: upgrade recorder", position=row[10])
    body = row[8]
    if type(row[9]) is not bytes or not (body is None or type(body) is bytes):
        raise CorruptRecording(f"the event at position {row[10]} is damaged: run `recorder verify`", position=row[10])
    return Event(row[0], row[1], name, row[3], row[4], row[5] or b"", row[6], row[7], body, row[9], row[10])


def found_event(row: Row) -> Event:
    """Return the event of one row; where :func:`event_of` refuses it, without content and of type ``code N``.

    For those who must get past it: one such event of one exchange hides no other exchange.
    """
    try:
        return event_of(row)
    except CorruptRecording:
        return Event(row[0], row[1], f"code {row[2]}", row[3], row[4], row[5] or b"", row[6], None, None, b"", row[10])


def _of_other_format(row: Row, name: str | None) -> Event:
    written = Event(
        row[0], row[1], name or f"code {row[2]}", row[3], row[4], row[5] or b"", row[6], row[7], row[8], row[9], row[10]
    )
    return upcast(written, row[11])


def merged(
    openings: Iterator[StreamOpened], streams: Iterable[tuple[bytes, Iterator[Row]]]
) -> Iterator[tuple[StreamOpened | None, Iterator[Row]]]:
    """Join two sequences that are sorted by stream id; either side may lack one."""
    opening = next(openings, None)
    for stream, rows in streams:
        while opening is not None and opening.stream < stream:
            yield opening, iter(())
            opening = next(openings, None)
        if opening is not None and opening.stream == stream:
            yield opening, rows
            opening = next(openings, None)
        else:
            yield None, rows
    while opening is not None:
        yield opening, iter(())
        opening = next(openings, None)


def as_stored(rows: Iterable[Row], instance: bytes) -> Iterator[Event]:
    """Yield the events of rows of one stream, nothing of them changed; a type without a name here is ``code N``.

    :param instance: that of the stream's opening, which most events do not repeat.
    """
    # Event(…) calls a function written in Python, which takes as long as reading the values of the row.
    names, new = TYPE_NAMES, tuple.__new__
    for stream, version, code, wall_ns, mono_ns, own, flags, meta, body, digest, position in rows:
        name = names.get(code) or f"code {code}"
        written = instance if own is None else own  # no value stands for the opening's, an empty one for nothing
        values = (stream, version, name, wall_ns, mono_ns, written, flags, meta, body, digest, position)
        yield new(Event, values)


def batched(values: Sequence[Value], size: int) -> Iterator[Sequence[Value]]:
    """Yield *values* in pieces of up to *size*."""
    for start in range(0, len(values), size):
        yield values[start : start + size]
