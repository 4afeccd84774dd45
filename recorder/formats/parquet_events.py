"""Parquet: a row for each event, for data frames and SQL engines."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from typing import Any, Final

from recorder.core.events import Event
from recorder.formats.parquet_file import parquet_file

_INT64: Final = 2**63
#: ``column -> type``; the order is that of the file.
COLUMNS: Final = {
    "exchange": "text",
    "version": "count",
    "position": "count",
    "type": "text",
    "wall_time": "time",
    "elapsed_ns": "count",
    "instance": "text",
    "flags": "count",
    "facts": "text",
    "size": "count",
    "data": "bytes",
    "hash": "bytes",
}


class ParquetEvents:
    """A row for each event, as it was recorded: what ``events --json`` tells, its bytes as bytes.

    ``exchange`` is the event stream, that of a conversation's opening too. ``wall_time`` is to the nanosecond, in UTC;
    ``elapsed_ns`` is the time after the stream's first event, by the monotonic clock. ``facts`` is the JSON text that
    was hashed, ``data`` the body, ``size`` its bytes. What was not recorded is null, and so is the ``position`` of an
    event that is only in a spool. The secrets of the streams are not there: what the hashes prove is proved by a
    store, not by a table.
    """

    name = "parquet-events"
    help = "events as rows, their bytes included (needs the extra parquet)"
    is_binary = True

    def render(self, streams: Iterable[Iterable[Event]]) -> Iterator[bytes]:
        """Yield the file, a row group at a time.

        :raises ConfigurationError: pyarrow is not installed.
        """
        return parquet_file(self.name, COLUMNS, (row for events in streams for row in _rows(events)))


def _rows(events: Iterable[Event]) -> Iterator[dict[str, Any]]:
    origin: int | None = None
    for event in events:
        origin = event.mono_ns if origin is None else origin
        yield {
            "exchange": _id(event.stream),
            "version": event.version,
            "position": event.position,
            "type": event.type,
            "wall_time": event.wall_ns if event.wall_ns < _INT64 else None,
            "elapsed_ns": event.mono_ns - origin,
            "instance": _id(event.instance),
            "flags": event.flags,
            "facts": event.meta,
            "size": None if event.body is None else len(event.body),
            "data": event.body,
            "hash": event.hash,
        }


def _id(identity: bytes) -> str:
    return str(uuid.UUID(bytes=identity)) if len(identity) == 16 else identity.hex()


EVENT_FORMAT = ParquetEvents()
