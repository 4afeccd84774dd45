"""AWS event-stream frames from bytes, incrementally (``application/vnd.amazon.eventstream``).

Source: the AWS documentation's "Event stream encoding". A frame is, big-endian: its length and the length of its
headers (4 bytes each), the CRC-32 of these eight, the headers, the payload, and the CRC-32 of all before it. A header
is the length of its name (1 byte), the name, its type (1 byte) and its value. The limits are botocore's: 128 KiB of
headers, 24 MiB of payload.

Any partition of the bytes gives the same frames: those of all ``feed`` calls and of ``close``, one after the other.
What is damaged or cut is a fact (:attr:`FrameParser.anomalies`), never an exception. A frame whose checksum differs is
left out and the next one is read where it ends, because the checksum of its lengths vouches for them. Where they are
damaged themselves, reading goes on at the next eight bytes with the right checksum.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from typing import Final, NamedTuple

from recorder.core.messages import Anomaly

_PRELUDE: Final = 12
_LEAST: Final = 16
_MOST_HEADERS: Final = 128 * 1024
_MOST_PAYLOAD: Final = 24 * 1024 * 1024
#: Lengths within the limits begin so; it spares a checksum at every byte.
_CANDIDATE: Final = re.compile(rb"(?=[\x00\x01]...\x00[\x00-\x02])", re.DOTALL)
#: Types of header values: integers and their sizes; texts and bytes say their length.
_INTEGERS: Final = {2: 1, 3: 2, 4: 4, 5: 8, 8: 8}
_BYTES: Final = 6
_TEXT: Final = 7
_UUID: Final = 9

HeaderValue = bool | int | bytes | str


class Frame(NamedTuple):
    """One frame whose checksums are right.

    :ivar headers: booleans, integers (timestamps in milliseconds since 1970), bytes (UUIDs too) and texts.
    :ivar start: offset of its first byte in the body.
    :ivar end: offset after its last byte.
    """

    headers: Mapping[str, HeaderValue]
    payload: bytes
    start: int
    end: int


class FrameParser:
    """Feed it the body's bytes in any pieces, then close it.

    :ivar anomalies: what was unusual, in order: ``frame_damaged``, ``headers_damaged``, ``header_repeated``,
        ``unparsed_tail``.
    :ivar lost: where bytes between frames are lost: what the frames say is not all that was said.
    :ivar tail_bytes: after :meth:`close`: bytes at the end that made no frame.
    """

    def __init__(self) -> None:
        self.anomalies: list[Anomaly] = []
        self.lost: list[tuple[int, int]] = []
        self.tail_bytes = 0
        self._buffer = bytearray()
        self._offset = 0  # of the buffer in the body
        self._lost = -1  # where what cannot be read begins in the body; -1 where nothing is lost

    def feed(self, chunk: bytes) -> list[Frame]:
        """Take the next bytes and return the frames that they complete."""
        buffer = self._buffer
        buffer += chunk
        frames: list[Frame] = []
        at = 0
        while True:
            if self._lost >= 0:
                at = self._search(at)
            if self._lost >= 0 or len(buffer) - at < _PRELUDE:
                break
            size = self._size(at)
            if not size:
                self._lost = self._offset + at
                at += 1
                continue
            if len(buffer) - at < size:
                break
            self._frame(bytes(buffer[at : at + size]), self._offset + at, frames)
            at += size
        del buffer[:at]
        self._offset += at
        return frames

    def close(self) -> list[Frame]:
        """Take the end of the body; it completes no frame."""
        end = self._offset + len(self._buffer)
        if self._lost >= 0:
            self.tail_bytes = end - self._lost
            self._damage("what follows is no frame", self._lost, end)
        elif self._buffer:
            self.tail_bytes = len(self._buffer)
            size = self._size(0) if len(self._buffer) >= _PRELUDE else 0
            told = f"a frame of {size} bytes is" if size else "the lengths of a frame are"
            self.anomalies.append(Anomaly("unparsed_tail", f"{told} cut after {self.tail_bytes}", self._offset, end))
        self._buffer.clear()
        self._offset, self._lost = end, -1
        return []

    def _size(self, at: int) -> int:
        """The length of the frame that begins at *at*, 0 where none can."""
        prelude = bytes(self._buffer[at : at + _PRELUDE])
        size, headers = int.from_bytes(prelude[:4], "big"), int.from_bytes(prelude[4:8], "big")
        possible = headers <= _MOST_HEADERS and 0 <= size - headers - _LEAST <= _MOST_PAYLOAD
        return size if possible and zlib.crc32(prelude[:8]) == int.from_bytes(prelude[8:], "big") else 0

    def _search(self, at: int) -> int:
        """Look for the next frame from *at* on; return where it begins, or where to look on."""
        last = len(self._buffer) - _PRELUDE
        for found in _CANDIDATE.finditer(self._buffer, at):
            if found.start() > last:
                break
            if self._size(found.start()):
                start = self._offset + found.start()
                self._damage("no frame begins here", self._lost, start)
                self._lost = -1
                return found.start()
        return max(at, last + 1)

    def _damage(self, detail: str, start: int, end: int) -> None:
        self.lost.append((start, end))
        self.anomalies.append(Anomaly("frame_damaged", detail, start, end))

    def _frame(self, frame: bytes, start: int, frames: list[Frame]) -> None:
        end = start + len(frame)
        if zlib.crc32(frame[:-4]) != int.from_bytes(frame[-4:], "big"):
            self._damage("the checksum of a frame differs", start, end)
            return
        after = _PRELUDE + int.from_bytes(frame[4:8], "big")
        headers: dict[str, HeaderValue] = {}
        at = _PRELUDE
        while at < after:
            read = _header(frame, at, after)
            if read is None:
                self.anomalies.append(Anomaly("headers_damaged", "a header cannot be read", start, end))
                break
            name, value, at = read
            if name in headers:
                self.anomalies.append(Anomaly("header_repeated", f"{name!r} came again", start, end))
            else:
                headers[name] = value
        frames.append(Frame(headers, frame[after:-4], start, end))


def _header(frame: bytes, at: int, end: int) -> tuple[str, HeaderValue, int] | None:
    """Return the header at *at*, and where the next one begins; None where it cannot be read before *end*."""
    kind_at = at + 1 + frame[at]
    if kind_at >= end:
        return None
    kind, value_at = frame[kind_at], kind_at + 1
    value: HeaderValue
    try:
        name = frame[at + 1 : kind_at].decode("utf-8")
        if kind <= 1:
            return name, kind == 0, value_at
        if kind in _INTEGERS:
            after = value_at + _INTEGERS[kind]
            value = int.from_bytes(frame[value_at:after], "big", signed=True)
        elif kind == _UUID:
            after = value_at + 16
            value = frame[value_at:after]
        elif kind in (_BYTES, _TEXT):
            after = value_at + 2 + int.from_bytes(frame[value_at : value_at + 2], "big")
            value = frame[value_at + 2 : after]
            if kind == _TEXT:
                value = value.decode("utf-8")
        else:
            return None
    except UnicodeDecodeError:
        return None
    return (name, value, after) if after <= end else None
