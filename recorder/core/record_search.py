"""Records behind damage, found by how one begins.

What is no record is looked through for places where one begins and has its checksum. Such a place may lie in the
payload of a damaged record, and a payload is what somebody else sent: it may be made so that very many places look
like records. So whatever can be told without reading a whole record is asked first, and the bytes that are read for
nothing are counted: however the data are made, the time is in proportion to their size.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from recorder.core.codec import ABSENT, EVENT, FRAME, KIND_EVENT, KIND_OPENED, OPENED, SIZES, decode_record
from recorder.core.events import Event, StreamOpened
from recorder.errors import CorruptRecording

#: How many times the size of the data may be checksummed for what turns out to be no record.
FUTILE: Final = 4
_KIND_AT: Final = FRAME.size - 1
_FORMAT: Final = b"\x00[\x01\x02]"  # of both formats
_SIZES_AT: Final = FRAME.size + EVENT.size - SIZES.size


class FoundRecord(NamedTuple):
    """A record and the offsets at which it begins and ends."""

    record: Event | StreamOpened
    start: int
    end: int


class RecordSearch:
    """Every record that can be read from a place on, whatever stands between them; iterate over it once.

    Whether what is found was written by whom it says is for the caller to find out
    (:func:`~recorder.core.chain.link`).

    :param data: what to look through.
    :param offset: where to begin.
    :param instance: find only records of this recorder process, 16 bytes; None: of any. Who makes a payload does
        not know this id: with it, there are no places that look like records and are none.
    :ivar futile: bytes that were checksummed for places that turned out to be no records. At most :data:`FUTILE`
        times what is looked through: a place for which more would be needed is passed over.
    :ivar exhausted: whether such a place was passed over.
    """

    def __init__(self, data: bytes, offset: int = 0, instance: bytes | None = None) -> None:
        self._data = data
        self._offset = offset
        self._room = FUTILE * (len(data) - offset)
        opened, event = b"", b""
        if instance is not None:  # it stands at a fixed distance from the kind, in both
            opened, event = b".{16}" + re.escape(instance), b".{42}" + re.escape(instance)
        pattern = b"%b%b%b|%b%b%b" % (
            *(re.escape(bytes((KIND_OPENED,))), _FORMAT, opened),
            *(re.escape(bytes((KIND_EVENT,))), _FORMAT, event),
        )
        self._beginning = re.compile(pattern, re.DOTALL)
        self.futile = 0
        self.exhausted = False

    def __iter__(self) -> Iterator[FoundRecord]:
        data, search, at = self._data, self._beginning.search, self._offset
        while (found := search(data, at + _KIND_AT)) is not None:
            at = found.start() - _KIND_AT
            size = self._size_at(at)
            if size is not None:
                try:
                    record, end = decode_record(data, at)
                except CorruptRecording:
                    self.futile += size
                else:
                    yield FoundRecord(record, at, end)
                    at = end
                    continue
            at += 1

    def _size_at(self, at: int) -> int | None:
        """Return the size of a record that begins at *at*, if its sizes say so and there is room to try it."""
        size, _, kind = FRAME.unpack_from(self._data, at)
        whole: int = _KIND_AT + size
        if at + whole > len(self._data) or whole != self._size_inside(at, kind):
            return None
        if self.futile + whole > self._room:
            self.exhausted = True
            return None
        return whole

    def _size_inside(self, at: int, kind: int) -> int | None:
        """Return the size that a record has by what is in it; None where there is too little of it."""
        if kind == KIND_OPENED:
            return FRAME.size + OPENED.size
        if at + FRAME.size + EVENT.size > len(self._data):
            return None
        sizes: tuple[int, ...] = SIZES.unpack_from(self._data, at + _SIZES_AT)
        return FRAME.size + EVENT.size + sizes[0] + sum(size for size in sizes[1:] if size != ABSENT)
