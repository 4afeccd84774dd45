"""What the scripted server does: one :class:`Behaviour` a row of the fidelity matrix.

A behaviour is data: replies made of steps. The server sends each :class:`Send` as one segment and
goes on when the client has taken it from its socket (see server.py), so where a read ends is part
of the script and not an accident of timing.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from requests.adapters import HTTPAdapter
from requests.auth import AuthBase, HTTPDigestAuth
from urllib3.util import Retry


@dataclass(frozen=True)
class Send:
    """Send these bytes as one segment."""

    data: bytes


@dataclass(frozen=True)
class Close:
    """Close the connection (FIN)."""


@dataclass(frozen=True)
class Reset:
    """Abort the connection (RST)."""


@dataclass(frozen=True)
class Stall:
    """Send nothing until the client goes away."""


Step = Send | Close | Reset | Stall
Reply = tuple[Step, ...]


@dataclass(frozen=True)
class Behaviour:
    """One way in which a server answers.

    :ivar name: row of the matrix.
    :ivar replies: the nth request of a case gets the nth reply; the last one repeats.
    :ivar method: method of the request.
    :ivar read_timeout: seconds the client waits for bytes.
    :ivar auth: makes the request's auth object.
    :ivar adapter: makes an adapter that the session mounts on ``http://`` before anything else.
    :ivar listening: False sends the request to a port where nobody listens.
    """

    name: str
    replies: tuple[Reply, ...] = ()
    method: str = "POST"
    read_timeout: float = 20.0
    auth: Callable[[], AuthBase] | None = None
    adapter: Callable[[], HTTPAdapter] | None = None
    listening: bool = True
    request_headers: dict[str, str] = field(default_factory=dict)


_TEXTS: Final = ("Buy", " or", " hold", "? 1,07 €", " – naïve", " 你好", "\\u2028x\u2028y\u0085z", " done")


def _event(number: int, text: str) -> bytes:
    chunk = {"id": "c-1", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": text}}]}
    body = json.dumps(chunk | {"created": 1700000000 + number}, ensure_ascii=False, separators=(",", ":"))
    return f"data: {body}\n\n".encode()


EVENTS: Final = (*(_event(n, text) for n, text in enumerate(_TEXTS)), b": keep-alive\n\n", b"data: [DONE]\n\n")
STREAM: Final = b"".join(EVENTS)
ANSWER: Final = json.dumps(
    {"id": "c-2", "choices": [{"message": {"role": "assistant", "content": "Hold €"}, "finish_reason": "stop"}]},
    ensure_ascii=False,
).encode()
_LARGE: Final = b"".join(_event(n, f"{n * 2654435761 % 2**32:08x}" * 4) for n in range(2000))[:300_000]

_SSE: Final = ("Content-Type: text/event-stream; charset=utf-8",)
_JSON: Final = ("Content-Type: application/json",)
_CHUNKED: Final = (*_SSE, "Transfer-Encoding: chunked")
_GZIP: Final = "Content-Encoding: gzip"
LAST: Final = b"0\r\n\r\n"


def head(status: str, *headers: str, version: str = "1.1") -> bytes:
    """Return a status line and a header block with a fixed date."""
    lines = [f"HTTP/{version} {status}", "Date: Tue, 14 Nov 2023 22:13:20 GMT", "Server: scripted", *headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def frame(data: bytes) -> bytes:
    """Return one chunk frame (RFC 9112 §7.1)."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def _sends(pieces: Iterable[bytes]) -> Reply:
    return tuple(Send(piece) for piece in pieces if piece)


def _pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


def _chunked(*frames: bytes, headers: tuple[str, ...] = _CHUNKED, status: str = "200 OK") -> Reply:
    return _sends([head(status, *headers), *(frame(data) for data in frames), LAST])


def _sized(body: bytes, *headers: str, pieces: Iterable[bytes] | None = None, status: str = "200 OK") -> Reply:
    opening = head(status, *headers, f"Content-Length: {len(body)}")
    return _sends([opening, *([body] if pieces is None else pieces)])


def _gzip_flushed(events: Iterable[bytes]) -> list[bytes]:
    packer = zlib.compressobj(wbits=31)
    flushed = [packer.compress(event) + packer.flush(zlib.Z_SYNC_FLUSH) for event in events]
    return [*flushed, packer.flush()]


def _gzip(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


def _frames_cut(cuts: tuple[int, ...]) -> Reply:
    """Each frame over several segments, cut in the size line, in the data and in the closing CRLF."""
    segments = [head("200 OK", *_CHUNKED)]
    for framed in (*(frame(event) for event in EVENTS), LAST):
        edges = sorted({0, len(framed), *(cut % len(framed) for cut in cuts)})
        segments += [framed[a:b] for a, b in pairwise(edges)]
    return _sends(segments)


def _crlf_events() -> list[bytes]:
    """Events with CRLF line ends, cut between CR and LF."""
    joined = STREAM.replace(b"\n", b"\r\n")
    edges = [at + 1 for at in range(len(joined)) if joined[at : at + 2] == b"\r\n"]
    return [joined[a:b] for a, b in zip([0, *edges], [*edges, len(joined)], strict=True)]


def _unavailable() -> Reply:
    return _sized(b'{"error":"busy"}', *_JSON, status="503 Service Unavailable")


def _challenge() -> Reply:
    challenge = 'WWW-Authenticate: Digest realm="desk", nonce="6e6f6e6365", qop="auth", algorithm=MD5'
    return _sized(b"who?", "Content-Type: text/plain", challenge, status="401 Unauthorized")


def _retrying() -> HTTPAdapter:
    return HTTPAdapter(max_retries=Retry(total=3, status_forcelist=[503], allowed_methods=None, backoff_factor=0))


def _framing() -> Iterator[Behaviour]:
    yield Behaviour("event_per_frame", (_chunked(*EVENTS),))
    yield Behaviour("one_segment", (_sends([b"".join(s.data for s in _chunked(*EVENTS) if isinstance(s, Send))]),))
    yield Behaviour("events_per_frame", (_chunked(b"".join(EVENTS[:3]), b"".join(EVENTS[3:6]), b"".join(EVENTS[6:])),))
    framed = [frame(event) for event in EVENTS]
    groups = [b"".join(framed[:2]), b"".join(framed[2:7]), b"".join(framed[7:]) + LAST]
    yield Behaviour("frames_per_segment", (_sends([head("200 OK", *_CHUNKED), *groups]),))
    yield Behaviour("frame_over_segments", (_frames_cut((1, 30, -1)),))
    yield Behaviour("frame_cut_in_its_edges", (_frames_cut((2, 3, 4, -2, -5)),))
    extended = [b"%x;part=%d\r\n%s\r\n" % (len(e), n, e) for n, e in enumerate(EVENTS)]
    trailers = b"0;last\r\nX-Checksum: 1f\r\nX-Usage: 3\r\n\r\n"
    yield Behaviour(
        "extensions_and_trailers",
        (_sends([head("200 OK", *_CHUNKED, "Trailer: X-Checksum, X-Usage"), *extended, trailers]),),
    )
    odd = [b"%04X\r\n%s\r\n" % (len(e), e) for e in EVENTS]
    yield Behaviour("odd_chunk_sizes", (_sends([head("200 OK", *_CHUNKED), *odd, b"0000\r\n\r\n"]),))
    yield Behaviour("head_with_first_event", (_sends([head("200 OK", *_CHUNKED) + framed[0], *framed[1:], LAST]),))
    yield Behaviour(
        "last_frame_with_last_event", (_sends([head("200 OK", *_CHUNKED), *framed[:-1], framed[-1] + LAST]),)
    )
    yield Behaviour("head_over_segments", (_sends([*_pieces(head("200 OK", *_CHUNKED), 40), *framed, LAST]),))
    yield Behaviour("byte_by_byte", (_sends(_pieces(head("200 OK", *_CHUNKED) + framed[3] + framed[-1] + LAST, 1)),))
    yield Behaviour("crlf_split", (_chunked(*_crlf_events()),))
    yield Behaviour("split_utf8", (_chunked(*_pieces(b"".join(EVENTS[3:7]), 7)),))
    yield Behaviour("no_frames", (_chunked(),))


def _delimiting() -> Iterator[Behaviour]:
    yield Behaviour("content_length", (_sized(STREAM, *_SSE, pieces=EVENTS),))
    yield Behaviour("content_length_zero", (_sized(b"", *_SSE),))
    yield Behaviour("close_delimited", ((*_sends([head("200 OK", *_SSE, "Connection: close"), *EVENTS]), Close()),))
    yield Behaviour("http_1_0", ((*_sends([head("200 OK", *_SSE, version="1.0"), *EVENTS]), Close()),))
    yield Behaviour("created_201", (_chunked(*EVENTS, status="201 Created"),))
    yield Behaviour("surplus_after_body", (_sends([head("200 OK", *_JSON, "Content-Length: 2") + b"{}surplus"]),))
    yield Behaviour("closes_idle_connection", ((*_chunked(*EVENTS), Close()),))
    yield Behaviour("announces_close", ((*_chunked(*EVENTS, headers=(*_CHUNKED, "Connection: close")), Close()),))


def _encodings() -> Iterator[Behaviour]:
    headers = (*_CHUNKED, _GZIP)
    flushed = _gzip_flushed(EVENTS)
    whole = _gzip(STREAM)
    yield Behaviour("gzip_flushed", (_chunked(*flushed, headers=headers),))
    yield Behaviour("gzip_unflushed", (_chunked(whole[:10], whole[10:], headers=headers),))
    yield Behaviour("gzip_content_length", (_sized(whole, *_SSE, _GZIP, pieces=_pieces(whole, 100)),))
    closing = head("200 OK", *_SSE, _GZIP, "Connection: close")
    yield Behaviour("gzip_close_delimited", ((*_sends([closing, *flushed]), Close()),))
    large = _gzip(_LARGE)
    segments = [head("200 OK", *headers), *(frame(piece) for piece in _pieces(large, 12_000)), LAST]
    yield Behaviour("gzip_large", (_sends(segments),))
    broken = flushed[4][:6] + b"\xff" * 20 + flushed[4][26:]
    yield Behaviour("bad_gzip", (_chunked(*flushed[:4], broken, *flushed[5:], headers=headers),))
    yield Behaviour("gzip_two_members", (_chunked(_gzip(EVENTS[0]), _gzip(EVENTS[1]) + b"\0\0", headers=headers),))
    yield Behaviour("json_gzip", (_sized(_gzip(ANSWER), *_JSON, _GZIP),))


def _large() -> Iterator[Behaviour]:
    framed = frame(_LARGE) + frame(_LARGE[:9_000]) + LAST
    yield Behaviour("large_frames", (_sends([head("200 OK", *_CHUNKED), *_pieces(framed, 16_000)]),))
    yield Behaviour("large_content_length", (_sized(_LARGE, *_SSE, pieces=_pieces(_LARGE, 30_000)),))


def _broken() -> Iterator[Behaviour]:
    opening, framed = Send(head("200 OK", *_CHUNKED)), [frame(event) for event in EVENTS]
    some = _sends(framed[:4])
    yield Behaviour("truncated_in_frame", ((opening, *some, Send(framed[4][:40]), Close()),))
    yield Behaviour("truncated_in_frame_size", ((opening, *some, Send(framed[4][:1]), Close()),))
    yield Behaviour("no_last_frame", ((opening, *_sends(framed), Close()),))
    yield Behaviour("reset", ((opening, *some, Reset()),))
    yield Behaviour("reset_in_frame", ((opening, *some, Send(framed[4][:40]), Reset()),))
    yield Behaviour("short_content_length", ((*_sized(STREAM, *_SSE, pieces=EVENTS[:4]), Close()),))
    yield Behaviour("bad_chunk_size", ((opening, *some, Send(b"zz\r\n" + EVENTS[4] + b"\r\n"), Close()),))
    yield Behaviour("bad_frame_end", ((opening, *some, Send(framed[4][:-2] + b"!!"), *_sends(framed[5:]), Close()),))
    yield Behaviour("stall", ((opening, *some, Stall()),), read_timeout=0.4)
    yield Behaviour("stall_in_frame", ((opening, *some, Send(framed[4][:40]), Stall()),), read_timeout=0.4)
    yield Behaviour("stall_before_any_byte", ((Stall(),),), read_timeout=0.4)
    yield Behaviour("refused", listening=False)
    yield Behaviour("garbage_status_line", ((Send(b"what is this?\r\n\r\n"), Close()),))
    yield Behaviour("closes_before_any_byte", ((Close(),),))
    yield Behaviour("resets_before_any_byte", ((Reset(),),))
    yield Behaviour("closes_in_head", ((Send(head("200 OK", *_CHUNKED)[:60]), Close()),))


def _statuses() -> Iterator[Behaviour]:
    stream = _chunked(*EVENTS)
    yield Behaviour("continue_100", ((Send(b"HTTP/1.1 100 Continue\r\n\r\n"), *stream),))
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"
    whole = b"".join(step.data for step in stream if isinstance(step, Send))
    yield Behaviour("early_hints_103", ((Send(hints + whole),),))
    yield Behaviour("early_hints_103_apart", ((Send(hints), *stream),))
    yield Behaviour("no_content_204", (_sends([head("204 No Content")]),))
    yield Behaviour("not_modified_304", (_sends([head("304 Not Modified", 'ETag: "1"', *_SSE)]),))
    yield Behaviour("head", (_sends([head("200 OK", *_SSE, f"Content-Length: {len(STREAM)}")]),), method="HEAD")
    yield Behaviour("json", (_sized(ANSWER, *_JSON),))
    yield Behaviour("error_429", (_sized(b'{"error":{"code":429}}', *_JSON, "Retry-After: 1", status="429 Slow Down"),))
    headers = ("X-Name: caf\xe9", "Set-Cookie: a=1; Path=/", "Set-Cookie: b=2; Path=/", "X-Two: 1", "X-Two: 2", "X-No:")
    yield Behaviour("header_quirks", (_sized(ANSWER, *_JSON, *headers, status="200 "),))
    target = "Location: ?hop=1"
    moved = _sized(b"moved", "Content-Type: text/plain", target, status="307 Temporary Redirect")
    yield Behaviour("redirect_307", (moved, stream))
    found = (*_sends([head("302 Found", target, "Transfer-Encoding: chunked"), frame(b"found"), LAST]),)
    yield Behaviour("redirect_302", (found, stream))
    yield Behaviour("unavailable_twice", (_unavailable(), _unavailable(), stream), adapter=_retrying)
    yield Behaviour("unavailable_always", (_unavailable(),), adapter=_retrying)
    yield Behaviour("set_cookie", (_chunked(*EVENTS, headers=(*_CHUNKED, "Set-Cookie: sid=s3ss10n; Path=/")),))
    yield Behaviour("digest_auth", (_challenge(), stream), auth=lambda: HTTPDigestAuth("desk", "not-a-secret"))


#: Every behaviour by its name.
BEHAVIOURS: Final[dict[str, Behaviour]] = {
    behaviour.name: behaviour
    for group in (_framing, _delimiting, _encodings, _large, _broken, _statuses)
    for behaviour in group()
}
