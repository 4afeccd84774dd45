r"""Server-sent events from bytes, incrementally (WHATWG HTML, "9.2.6 Interpreting an event stream").

Lines end LF, CRLF or CR; one leading byte order mark is dropped; ``:`` begins a comment; several
``data`` lines are joined by LF; an empty line dispatches; a block without data is dropped; what is
pending at the end is dropped too. Any partition of the bytes gives the same events: the events of all
``feed`` calls and of ``close``, one after the other.

What the specification drops without a word is a fact here (:attr:`SSEParser.anomalies`): some
providers report their failures in just those places.

One deviation in time, none in result: a CR that ends a piece waits for the next byte, because the LF
after it would belong to the same line end, and the byte ranges must not depend on the partition.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from recorder.core.messages import Anomaly

_BOM: Final = b"\xef\xbb\xbf"
_MOST_NAMES: Final = 64
_LINE: Final = re.compile(r"([^\r\n]*+)(?:\r\n?|\n)")
#: What lines that end LF are cut into: a block of one data line, perhaps with the event's name before it, as nearly
#: all are; else one line. Nothing is left between two of them.
_BLOCK_OR_LINE: Final = re.compile(r"(event:.*+\n)?data: (.*+)\n\n|(.*+\n)")


class ServerSentEvent(NamedTuple):
    """One dispatched event.

    :ivar data: the data, lines joined by LF.
    :ivar event: the event's name; empty where none was given (the specification's ``message``).
    :ivar last_event_id: the last ``id`` that was sent up to here.
    :ivar start: offset in the body of the first byte of the first line of its block.
    :ivar end: offset after the empty line that dispatched it.
    """

    data: str
    event: str
    last_event_id: str
    start: int
    end: int


class SSEParser:
    """Feed it the body's bytes in any pieces, then close it.

    :ivar anomalies: what was unusual, in order: ``invalid_utf8``, ``unknown_field``, ``event_without_data``,
        ``nul_in_id``, ``bad_retry``, ``byte_order_mark``, ``unparsed_tail``.
    :ivar comments: how many comment lines came.
    :ivar retry_ms: the last reconnection time that was sent, in milliseconds.
    :ivar tail_bytes: after :meth:`close`: bytes at the end that made no event.
    """

    def __init__(self) -> None:
        self.anomalies: list[Anomaly] = []
        self.comments = 0
        self.retry_ms: int | None = None
        self.tail_bytes = 0
        self._pieces: list[bytes] = []  # the line that has not ended yet
        self._offset = 0  # where that line begins in the body
        self._start = -1  # where the current block begins; -1 between blocks
        # Lines are held with one character for each byte (Latin-1): offsets are those of bytes, and what is ASCII, as
        # most of a stream is, need not be decoded again.
        self._data: list[str] = []
        self._event = ""
        self._last_event_id = ""
        self._names = {"": ""}  # the event's name by the line before the data; a stream has few

    def feed(self, chunk: bytes) -> list[ServerSentEvent]:
        """Take the next bytes and return the events that they complete."""
        if not chunk:
            return []
        pieces = self._pieces
        if pieces and pieces[-1].endswith(b"\r"):
            chunk = b"".join(pieces) + chunk
            pieces.clear()
        cut = max(chunk.rfind(b"\n"), chunk.rfind(b"\r", 0, len(chunk) - 1)) + 1
        if not cut:
            pieces.append(chunk)
            return []
        pieces.append(chunk[:cut])
        region = b"".join(pieces) if len(pieces) > 1 else pieces[0]
        pieces.clear()
        if cut < len(chunk):
            pieces.append(chunk[cut:])
        return self._region(region)

    def close(self) -> list[ServerSentEvent]:
        """Take the end of the body; return the event that a held CR completes, if it does.

        What is left is dropped, as the specification says, and kept as the fact ``unparsed_tail``.
        """
        rest = b"".join(self._pieces)
        self._pieces.clear()
        events: list[ServerSentEvent] = []
        if rest.endswith(b"\r"):
            events = self._region(rest)
            rest = b""
        if rest or self._data or self._event:
            start = self._offset if self._start < 0 else self._start
            end = self._offset + len(rest)
            self.tail_bytes = end - start
            text = b"\n".join([*(line.encode("latin-1") for line in self._data), rest]).decode("utf-8", "replace")
            self.anomalies.append(Anomaly("unparsed_tail", text, start, end))
            self._data, self._event = [], ""
        return events

    def _region(self, region: bytes) -> list[ServerSentEvent]:
        """Take whole lines."""
        events: list[ServerSentEvent] = []
        offset = self._offset
        if offset == 0 and region.startswith(_BOM):
            self.anomalies.append(Anomaly("byte_order_mark", "the body begins with a byte order mark", 0, 3))
            region = region[3:]
            offset = self._offset = 3
        lines = region.decode("latin-1")
        if "\r" in lines:
            for found in _LINE.finditer(lines):
                self._line(found[1], offset + found.end(), events)
        else:
            self._blocks(lines, events)
        return events

    def _blocks(self, lines: str, events: list[ServerSentEvent]) -> None:
        """Take lines that ended LF: a usual block as a whole, all else line by line."""
        offset, names, add, new = self._offset, self._names, events.append, tuple.__new__
        for head, data, line in _BLOCK_OR_LINE.findall(lines):
            name = None if line or self._start >= 0 else names.get(head)
            if name is None:
                for one in (line or f"{head}data: {data}\n\n").split("\n")[:-1]:
                    self._line(one, self._offset + len(one) + 1, events)
                offset = self._offset
            else:
                end = offset + len(head) + len(data) + 8
                text = data if data.isascii() else self._text(data, offset, end)
                add(new(ServerSentEvent, (text, name, self._last_event_id, offset, end)))
                self._offset = offset = end

    def _line(self, line: str, end: int, events: list[ServerSentEvent]) -> None:
        """Take one line without its end; *end* is the offset after it."""
        start, self._offset = self._offset, end
        if not line:
            if self._start >= 0:
                self._dispatch(end, events)
            return
        if self._start < 0:
            self._start = start
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif not name:
            self.comments += 1
        elif name == "event":
            self._event = self._text(value, start, end)
            if value.isascii() and len(self._names) < _MOST_NAMES:
                self._names[line + "\n"] = value
        elif name == "id":
            if "\0" in value:
                self.anomalies.append(Anomaly("nul_in_id", "an id with NUL is ignored", start, end))
            else:
                self._last_event_id = self._text(value, start, end)
        elif name == "retry":
            if value.isascii() and value.isdigit() and len(value) <= 18:
                self.retry_ms = int(value)
            else:
                self.anomalies.append(Anomaly("bad_retry", self._text(value, start, end), start, end))
        else:
            self.anomalies.append(Anomaly("unknown_field", self._text(line, start, end), start, end))

    def _dispatch(self, end: int, events: list[ServerSentEvent]) -> None:
        start, self._start = self._start, -1
        data, self._data = self._data, []
        event, self._event = self._event, ""
        if data:
            text = self._text("\n".join(data), start, end)
            events.append(ServerSentEvent(text, event, self._last_event_id, start, end))
        elif event:
            self.anomalies.append(Anomaly("event_without_data", event, start, end))

    def _text(self, value: str, start: int, end: int) -> str:
        """Return what the bytes of *value* say in UTF-8."""
        if value.isascii():
            return value
        held = value.encode("latin-1")
        try:
            return held.decode("utf-8")
        except UnicodeDecodeError as error:
            detail = f"byte {held[error.start]:#04x}: {error.reason}"
            self.anomalies.append(Anomaly("invalid_utf8", detail, start, end))
            return held.decode("utf-8", "replace")
