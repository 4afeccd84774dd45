r"""HTTP/1.1 bodies taken apart (RFC 9112 §6, §7) without losing a byte or a boundary.

A :class:`Deframer` is fed what each read of the socket returned, after the head. It yields *pieces*:
the body bytes, cut where a read or a chunk frame ended, whichever came first, and the terminating
facts. Framing is not stored where it is the plain one and can be rebuilt; anything else (extensions,
odd sizes, reads that ended inside a size line) is kept verbatim in ``pre``, so that
:mod:`recorder.core.tape` renders the very same reads again.

The plain framing before a piece's body is::

    (CRLF if the piece before ended a frame whose CRLF did not come with it)
    (lower-case hexadecimal size of this piece, CRLF, if a frame begins here)

and before the end ``0 CRLF CRLF``. Leniency follows the readers that sit above the tap, http.client
and urllib3: a size line ends with LF, its extension is cut at ``;``, the size is what ``int(…, 16)``
accepts, and the two bytes after a frame are not looked at.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final, NamedTuple

from recorder.core.events import FRAME_CLOSED, FRAME_END, READ_END, VERBATIM, ChunkReceivedMeta, EndedMeta, meta_text

_WHOLE_FRAME: Final = FRAME_END | READ_END | FRAME_CLOSED
_CRLF: Final = b"\r\n"
_NOTHING_MORE: Final = -1
_made: Final = tuple.__new__

_SIZE, _DATA, _AFTER, _TRAILERS, _DONE, _RAW, _UNTIL_CLOSE = range(7)


class Piece(NamedTuple):
    """An event to be: type, flags, meta, body; and where its body began in the read."""

    type: str
    flags: int
    meta: str | None
    body: bytes | None
    start: int


class Deframer:
    """Takes the body of one response apart, read by read.

    :param framing: ``chunked``, ``length``, ``close``, ``none`` or ``interim`` (an early hint that the
        reader above takes for the answer: what follows is kept verbatim), as that reader decided.
    :param length: the announced length, for ``length``.
    :ivar received: body bytes so far.
    :ivar done: the end of the body has been seen, well-formed.
    """

    def __init__(self, framing: str, length: int | None = None) -> None:
        self.received = 0
        self.malformed = False
        self._expected = length if framing == "length" else None
        self._left = length or 0  # data bytes missing from the current frame, or from the whole body
        self._chunked = framing == "chunked"
        by_length = _DATA if length else _DONE
        self._phase = {"chunked": _SIZE, "close": _UNTIL_CLOSE, "length": by_length, "none": _DONE, "interim": _RAW}[
            framing
        ]
        self._interim = framing == "interim"
        self._pre = bytearray()  # framing bytes since the last piece
        self._pre_reads: list[int] = []  # where reads ended in them
        self._line = 0  # where the current size or trailer line begins in _pre
        self._begins = self._chunked  # the next piece is the first of its frame
        self._unclosed = False  # the piece before ended a frame, its CRLF had not come with it
        self._trailers = 0  # where the trailer section begins in _pre; 0 before it does
        self._ended = False

    @property
    def done(self) -> bool:
        """Whether the end of the body was seen, well-formed."""
        return self._ended

    def begin(self) -> list[Piece]:
        """Return what is known when nothing came with the head: the end, where there is no body."""
        if self._phase == _DONE:
            return [self._complete(b"", 0)]
        return []

    def feed(self, data: bytes) -> list[Piece]:
        """Take one read of the wire; return its pieces in order."""
        if self._phase == _SIZE and not self._pre and not self._unclosed:
            # The usual read: one frame with plain framing, nothing before or after it. The hot path.
            line_end = data.find(_CRLF, 0, 18)
            size = len(data) - line_end - 4
            if line_end > 0 and size > 0 and data.endswith(_CRLF) and data[:line_end] == b"%x" % size:
                self.received += size
                # Made as Piece makes itself, without the call.
                return [_made(Piece, ("chunk_received", _WHOLE_FRAME, None, data[line_end + 2 : -2], line_end + 2))]
        pieces: list[Piece] = []
        at = 0
        size = len(data)
        while at < size:
            at = self._steps[self._phase](self, data, at, pieces)
        if self._pre and not self._ended:
            self._pre_reads.append(len(self._pre))
        return pieces

    # One step per phase: takes what it can from *data* at *at*, returns where the next one begins.

    def _size_line(self, data: bytes, at: int, pieces: list[Piece]) -> int:
        end = data.find(b"\n", at)
        if end < 0:
            self._pre += data[at:]
            return len(data)
        self._pre += data[at : end + 1]
        try:
            size = int(bytes(self._pre[self._line :]).split(b";", 1)[0], 16)
        except ValueError:
            size = _NOTHING_MORE
        if size < 0:
            self.malformed = True
            self._phase = _RAW
            edges = [0, *self._pre_reads, len(self._pre)]
            for first, last in pairwise(edges):
                ends_read = last < len(self._pre) or end + 1 == len(data)
                pieces.append(self._verbatim(bytes(self._pre[first:last]), end + 1 - len(self._pre) + first, ends_read))
            self._pre.clear()
            self._pre_reads.clear()
        elif size == 0:
            self._phase = _TRAILERS
            self._line = self._trailers = len(self._pre)
        else:
            self._phase, self._left, self._begins = _DATA, size, True
        return end + 1

    def _data(self, data: bytes, at: int, pieces: list[Piece]) -> int:
        taken = min(self._left, len(data) - at)
        body = data[at : at + taken]
        end = at + taken
        self._left -= taken
        self.received += taken
        flags = 0
        if self._chunked and not self._left:
            flags = FRAME_END
            if data[end : end + 2] == _CRLF:
                flags |= FRAME_CLOSED
                end += 2
        if end == len(data):
            flags |= READ_END
        pieces.append(Piece("chunk_received", flags, self._framing(taken), body, at))
        self._unclosed = flags & (FRAME_END | FRAME_CLOSED) == FRAME_END
        self._begins = False
        if not self._left:
            if not self._chunked:
                pieces.append(self._complete(data[end:], end))
                return len(data)
            self._phase = _AFTER if self._unclosed else _SIZE
        return end

    def _after_frame(self, data: bytes, at: int, pieces: list[Piece]) -> int:
        end = at + min(2 - len(self._pre), len(data) - at)
        self._pre += data[at:end]
        if len(self._pre) == 2:
            self._phase, self._line = _SIZE, 2
        return end

    def _trailer_line(self, data: bytes, at: int, pieces: list[Piece]) -> int:
        end = data.find(b"\n", at)
        if end < 0:
            self._pre += data[at:]
            return len(data)
        self._pre += data[at : end + 1]
        line = bytes(self._pre[self._line :])
        if line.strip(_CRLF):
            self._line = len(self._pre)
            return end + 1
        trailers = bytes(self._pre[self._trailers : self._line])
        if trailers:
            before = bytes(self._pre[: self._trailers])
            plain = (_CRLF if self._unclosed else b"") + b"0\r\n"
            reads = [offset for offset in self._pre_reads if offset <= self._line]
            pieces.append(Piece("trailers_received", 0, _framing_meta(before, plain, reads), trailers, end + 1))
            self._pre_reads = [offset - self._line for offset in self._pre_reads[len(reads) :]]
            self._pre[:] = line
            self._unclosed = False
        pieces.append(self._complete(data[end + 1 :], end + 1, had_trailers=bool(trailers)))
        return len(data)

    def _no_body(self, data: bytes, at: int, pieces: list[Piece]) -> int:
        pieces.append(self._complete(data[at:], at))
        return len(data)

    def _raw(self, data: bytes, at: int, pieces: list[Piece]) -> int:
        pieces.append(self._verbatim(data[at:], at, ends_read=True))
        return len(data)

    def _until_close(self, data: bytes, at: int, pieces: list[Piece]) -> int:
        self.received += len(data) - at
        pieces.append(Piece("chunk_received", READ_END, None, data[at:], at))
        return len(data)

    _steps = (_size_line, _data, _after_frame, _trailer_line, _no_body, _raw, _until_close)

    def _verbatim(self, data: bytes, start: int, ends_read: bool) -> Piece:
        return Piece("chunk_received", VERBATIM | (READ_END if ends_read else 0), None, data, start)

    def _framing(self, size: int) -> str | None:
        """The meta of a piece: None where its framing is the plain one."""
        if not self._chunked:
            return None
        pre = bytes(self._pre)
        reads = self._pre_reads
        self._pre.clear()
        self._pre_reads = []
        self._line = 0
        plain = (_CRLF if self._unclosed else b"") + (b"%x\r\n" % size if self._begins else b"")
        return _framing_meta(pre, plain, reads)

    def _complete(self, excess: bytes, start: int, *, had_trailers: bool = False) -> Piece:
        self._ended = True
        self._phase = _RAW
        meta = None
        if self._chunked:
            plain = _CRLF if had_trailers else (_CRLF if self._unclosed else b"") + b"0\r\n\r\n"
            meta = _framing_meta(bytes(self._pre), plain, self._pre_reads)
        self._pre.clear()
        return Piece("response_completed", 0, meta, excess or None, start)

    def end_of_input(self) -> Piece:
        """Return what the end of the connection means here: the body's end, or its truncation."""
        if self._phase == _UNTIL_CLOSE or self._interim:
            return self._complete(b"", 0)
        return Piece("response_truncated", 0, meta_text(self.state()), None, 0)

    @property
    def needs_no_more(self) -> bool:
        """Whether closing here leaves nothing out that the consumer could have read."""
        return self._interim

    def state(self) -> EndedMeta:
        """Return what is known when reading stops before the end."""
        facts = EndedMeta(received=self.received)
        if self._expected is not None:
            facts["expected"] = self._expected
        if self._pre:
            facts["tail"] = bytes(self._pre).decode("latin-1")
            inner = [offset for offset in self._pre_reads if offset < len(self._pre)]
            if inner:
                facts["reads"] = inner
        return facts


def _framing_meta(pre: bytes, plain: bytes, reads: list[int]) -> str | None:
    """The meta that keeps framing: None where it is the plain one and no read ended inside it."""
    if pre == plain and not reads:
        return None
    facts = ChunkReceivedMeta(pre=pre.decode("latin-1"))
    if reads:
        facts["reads"] = reads
    return meta_text(facts)


def head_end(data: bytes | bytearray) -> int:
    """Return where the response's head ends in *data*: after the final head's blank line.

    ``100 Continue`` heads before it belong to it, as http.client reads on past them.

    :return: the offset after the head; -1 while it is not complete.
    """
    at = 0
    while True:
        line_end = data.find(b"\n", at)
        if line_end < 0:
            return -1
        status = bytes(data[at:line_end]).split(None, 2)
        at = line_end + 1
        while True:
            line_end = data.find(b"\n", at)
            if line_end < 0:
                return -1
            blank = not bytes(data[at:line_end]).strip(b"\r")
            at = line_end + 1
            if blank:
                break
        if len(status) < 2 or status[1] != b"100":
            return at
