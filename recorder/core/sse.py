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
_LINE_END: Final = re.compile(rb"\r\n|\n|\r")


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
        self._data: list[bytes] = []
        self._event = ""
        self._last_event_id = ""
        self._names: dict[bytes, str] = {}

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
            text = b"\n".join([*self._data, rest]).decode("utf-8", "replace")
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
        if b"\r" in region:
            at = 0
            for ending in _LINE_END.finditer(region):
                self._line(region[at : ending.start()], offset + ending.end(), events)
                at = ending.end()
            return events
        lines = region.split(b"\n")
        lines.pop()
        self._lines(lines, events)
        return events

    def _lines(self, lines: list[bytes], events: list[ServerSentEvent]) -> None:
        """Take lines that ended LF. Nearly all streams are blocks of one data line, many with the event's name before.

        Such a block is taken as a whole; all else goes the general way.
        """
        at, count, offset = 0, len(lines), self._offset
        pending = self._start >= 0
        add, made, text, names = events.append, tuple.__new__, self._text, self._names
        while at < count:
            line = lines[at]
            if not pending:
                head = line[:6]
                if head == b"data: " and at + 1 < count and not lines[at + 1]:
                    end = offset + len(line) + 2
                    add(made(ServerSentEvent, (text(line[6:], offset, end), "", self._last_event_id, offset, end)))
                    at, offset = at + 2, end
                    self._offset = end
                    continue
                if head == b"event:" and at + 2 < count and not lines[at + 2] and lines[at + 1][:6] == b"data: ":
                    data = lines[at + 1]
                    end = offset + len(line) + len(data) + 3
                    name = names.get(line) or self._named(line, offset, offset + len(line) + 1)
                    add(made(ServerSentEvent, (text(data[6:], offset, end), name, self._last_event_id, offset, end)))
                    at, offset = at + 3, end
                    self._offset = end
                    continue
            offset += len(line) + 1
            self._line(line, offset, events)
            pending = self._start >= 0
            at += 1

    def _named(self, line: bytes, start: int, end: int) -> str:
        """Return the name in an ``event:`` line; a stream has few, and they are kept."""
        name = self._text(line[6:].removeprefix(b" "), start, end)
        if len(self._names) < _MOST_NAMES and "\ufffd" not in name:  # else its anomaly would be told once only
            self._names[line] = name
        return name

    def _line(self, line: bytes, end: int, events: list[ServerSentEvent]) -> None:
        """Take one line without its end; *end* is the offset after it."""
        start, self._offset = self._offset, end
        if not line:
            if self._start >= 0:
                self._dispatch(end, events)
            return
        if self._start < 0:
            self._start = start
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
        elif not name:
            self.comments += 1
        elif name == b"event":
            self._event = self._text(value, start, end)
        elif name == b"id":
            if b"\0" in value:
                self.anomalies.append(Anomaly("nul_in_id", "an id with NUL is ignored", start, end))
            else:
                self._last_event_id = self._text(value, start, end)
        elif name == b"retry":
            if value.isdigit() and len(value) <= 18:
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
            text = self._text(b"\n".join(data), start, end)
            events.append(ServerSentEvent(text, event, self._last_event_id, start, end))
        elif event:
            self.anomalies.append(Anomaly("event_without_data", event, start, end))

    def _text(self, value: bytes, start: int, end: int) -> str:
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError as error:
            detail = f"byte {value[error.start]:#04x}: {error.reason}"
            self.anomalies.append(Anomaly("invalid_utf8", detail, start, end))
            return value.decode("utf-8", "replace")
