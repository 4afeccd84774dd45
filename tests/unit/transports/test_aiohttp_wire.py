"""What passes a connection of aiohttp, fed whole, byte by byte and at every split."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder import ConfigurationError
from recorder.transports.aiohttp_wire import Head, Written, answered, require

GET = b"GET /v1?a=1 HTTP/1.1\r\nHost: h\r\n\r\n"
POST = b"POST /v1 HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"POST /v1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3\r\n, b\r\n0\r\n\r\n"


@pytest.mark.parametrize(("wire", "payload"), [(GET, b""), (POST, b"hello"), (CHUNKED, b"hello, b")])
@given(cuts=st.sets(st.integers(0, len(CHUNKED))))
def test_a_request_is_whole_when_its_last_byte_is_written(wire: bytes, payload: bytes, cuts: set[int]) -> None:
    written, seen = Written(), b""
    edges = sorted({0, len(wire), *(cut for cut in cuts if cut < len(wire))})
    for begins, ends in pairwise(edges):
        assert not written.whole
        seen += written.feed(wire[begins:ends])
    assert written.whole
    assert seen == payload
    assert written.head == wire[: wire.index(b"\r\n\r\n") + 4]


@pytest.mark.parametrize(
    ("head", "method", "found"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", "GET", (200, "length", 7)),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "GET", (200, "chunked", None)),
        (b"HTTP/1.1 200 OK\r\n\r\n", "POST", (200, "close", None)),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", "HEAD", (200, "none", None)),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "GET", (204, "none", None)),
        (b"HTTP/1.1 101 Switching\r\n\r\n", "GET", (101, "none", None)),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Made\r\nContent-Length: 0\r\n\r\n", "POST", (201, "length", 0)),
        (b"HTTP/1.1 103 Hints\r\nContent-Length: 3\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "POST", (200, "close", None)),
        (b"what is this?\r\n\r\n", "GET", (0, "close", None)),
    ],
)
def test_a_head_is_complete_with_its_last_byte(head: bytes, method: str, found: tuple[int, str, int | None]) -> None:
    assert answered(head + b"rest", method) == Head(len(head), *found)
    assert all(answered(head[:size], method) is None for size in range(len(head)))


def test_which_versions_will_do() -> None:
    for version in ("3.12.0", "3.14.5", "4.0.0a1"):
        require(version)
    for version in ("3.11.18", "3.9.5", "2.3.10"):
        with pytest.raises(ConfigurationError, match=r"too old: install 3\.12 or newer"):
            require(version)
