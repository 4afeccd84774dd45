"""HTTP/1.1 as it passes a connection of aiohttp: one request that is written, the head of its answer."""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

import aiohttp

from recorder.core.deframing import Deframer, Piece, head_end
from recorder.errors import ConfigurationError

CLIENT: Final = f"aiohttp/{aiohttp.__version__}"
_BLANK: Final = b"\r\n\r\n"
_CHUNKED: Final = re.compile(rb"(?im)^transfer-encoding:[^\r\n]*\bchunked\b")
_LENGTH: Final = re.compile(rb"(?im)^content-length:[ \t]*(\d+)")
_STATUS: Final = re.compile(rb"(?m)^HTTP/\d\.\d +(\d{3})")
_WITHOUT_BODY: Final = frozenset({101, 204, 304})


def require(version: str) -> None:
    """Refuse a version of aiohttp that cannot tell a payload before it is sent.

    :raises ConfigurationError: it is older than 3.12.
    """
    major, minor = (int(number) for number in version.split(".")[:2])
    if (major, minor) < (3, 12):
        raise ConfigurationError(f"aiohttp {version} is too old: install 3.12 or newer")


class Written:
    """A request, taken apart while it is written.

    :ivar head: the request line and the headers, with the blank line; None while they are not complete.
    """

    def __init__(self) -> None:
        self.head: bytes | None = None
        self._begun = bytearray()
        self._body: Deframer | None = None

    @property
    def whole(self) -> bool:
        """Whether the payload is complete."""
        return self._body is not None and self._body.done

    def feed(self, data: bytes) -> bytes:
        """Take what is written; return what of it is payload."""
        if self._body is not None:
            return _joined(self._body.feed(data))
        self._begun += data
        end = self._begun.find(_BLANK)
        if end < 0:
            return b""
        self.head, rest = bytes(self._begun[: end + len(_BLANK)]), bytes(self._begun[end + len(_BLANK) :])
        length = _LENGTH.search(self.head)
        if _CHUNKED.search(self.head):
            self._body = Deframer("chunked")
        elif length is not None and int(length[1]):
            self._body = Deframer("length", int(length[1]))
        else:
            self._body = Deframer("none")
            self._body.begin()
        return _joined(self._body.feed(rest)) if rest else b""


def _joined(pieces: list[Piece]) -> bytes:
    return b"".join(piece.body or b"" for piece in pieces if piece.type == "chunk_received")


class Head(NamedTuple):
    """The head of an answer: where it ends in what came, and how its body is framed."""

    end: int
    status: int
    framing: str
    length: int | None


def answered(data: bytes, method: str) -> Head | None:
    """Return the head of the answer to a request; None while it is not complete. Interim heads belong to it."""
    at = 0
    while True:
        size = head_end(data[at:])
        if size < 0:
            return None
        head = data[at : at + size]
        found = list(_STATUS.finditer(head))
        status = int(found[-1][1]) if found else 0
        at += size
        if not 100 < status < 200 or status == 101:
            break
    lines = head[found[-1].start() :] if found else head
    length = _LENGTH.search(lines)
    if method == "HEAD" or status in _WITHOUT_BODY:
        return Head(at, status, "none", None)
    if _CHUNKED.search(lines):
        return Head(at, status, "chunked", None)
    return Head(at, status, "length", int(length[1])) if length is not None else Head(at, status, "close", None)


async def known_payload(request: Any) -> bytes | None:
    """Return the payload that a request will be sent with; None where it is only known while it is sent.

    :param request: an ``aiohttp.ClientRequest``.
    """
    body = request.body
    if not body:
        return b""
    if isinstance(body, aiohttp.BytesPayload) and not request.compress:
        return await body.as_bytes()
    return None


def prepared_head(request: Any) -> bytes:
    """Return the head of a request that was not sent, as it was prepared.

    :param request: an ``aiohttp.ClientRequest``.
    """
    lines = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    return f"{request.method} {request.url.raw_path_qs} HTTP/1.1\r\n{lines}\r\n".encode("latin-1", "replace")
