"""The tee at the socket file looks like what it stands in front of."""

from __future__ import annotations

import http.client
import io
import socket
from collections.abc import Iterator

import pytest

from recorder.errors import RecordingError
from recorder.transports.socket_file import HTTPResponse, Tee


class Seen:
    """A tap that writes down what it is told."""

    must_record = False

    def __init__(self) -> None:
        self.told: list[object] = []
        self.ended = False
        self.refuses = False
        self.files_closed = 0

    def give_up(self, reason: str) -> None:
        self.told.append(("gave up", reason))

    def response_started(self, head: bytes, status: int, framing: str, length: int | None, *, ends_read: bool) -> None:
        self.told.append(("head", status, framing, length, ends_read))

    def received(self, data: bytes) -> None:
        self.told.append(data)

    def end_of_input(self) -> None:
        self.told.append("end")

    def failed(self, kind: str, error: object) -> None:
        self.told.append(("failed", kind))

    def head_failed(self, kind: str, error: object, received: bytes) -> None:
        self.told.append(("no head", kind, received))

    def closed(self, unread: int, *, abandoned: bool) -> None:
        self.told.append(("closed", unread, abandoned))
        if self.refuses:
            raise RecordingError

    def file_closed(self) -> None:
        self.files_closed += 1


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    near, far = socket.socketpair()
    yield near, far
    near.close()
    far.close()


def test_it_has_the_attributes_of_a_socket_file_and_no_others(pair: tuple[socket.socket, socket.socket]) -> None:
    raw = socket.SocketIO(pair[0], "rb")
    tee = Tee(raw, Seen())
    assert (tee.name, tee.mode, tee._sock, tee.fileno()) == (raw.name, "rb", pair[0], pair[0].fileno())
    assert tee.readable()
    assert not tee.seekable()
    with pytest.raises(io.UnsupportedOperation):
        tee.tell()
    tee.close()
    tee.close()
    assert raw.closed


def test_a_read_that_would_block_is_nothing(pair: tuple[socket.socket, socket.socket]) -> None:
    seen = Seen()
    tee = Tee(socket.SocketIO(pair[0], "rb"), seen)
    pair[0].setblocking(False)
    assert tee.readinto(bytearray(9)) is None
    assert seen.told == []
    tee.close()


def _response(pair: tuple[socket.socket, socket.socket], data: bytes, method: str = "GET") -> tuple[HTTPResponse, Seen]:
    pair[1].sendall(data)
    seen = Seen()
    response = HTTPResponse(pair[0], method=method, tap=seen)
    response.begin()
    response.begin()  # a second time it is done already
    return response, seen


@pytest.mark.parametrize(
    ("head", "method", "framing"),
    [
        (b"Content-Length: 4\r\n", "GET", ("length", 4)),
        (b"Transfer-Encoding: chunked\r\n", "GET", ("chunked", None)),
        (b"Transfer-Encoding: gzip, chunked\r\n", "GET", ("chunked", None)),
        (b"", "GET", ("close", None)),
        (b"Content-Length: 4\r\n", "HEAD", ("none", None)),
    ],
)
def test_framing(
    head: bytes, method: str, framing: tuple[str, int | None], pair: tuple[socket.socket, socket.socket]
) -> None:
    response, seen = _response(pair, b"HTTP/1.1 200 OK\r\n" + head + b"\r\n", method)
    assert seen.told[0] == ("head", 200, *framing, True)
    assert type(response).__module__ == http.client.HTTPResponse.__module__
    response.close()


def test_what_was_not_taken_is_told_when_it_is_closed(pair: tuple[socket.socket, socket.socket]) -> None:
    response, seen = _response(pair, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1234567")
    assert response.read(3) == b"123"
    response.close()
    response.close()
    assert seen.told[1:] == [b"1234567", ("closed", 4, False)]


def test_that_http_client_closed_the_file_itself_is_told_once(pair: tuple[socket.socket, socket.socket]) -> None:
    response, seen = _response(pair, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
    with pytest.raises(http.client.IncompleteRead):
        response.read(3)
    assert response.fp is None  # so that closing the response has nothing to look at
    assert seen.files_closed == 1
    response.close()
    assert seen.told[1:] == [b"zz\r\n"]
    assert seen.files_closed == 1


def test_a_failure_to_record_the_end_comes_out_of_a_close_but_not_of_a_finalizer(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    class Consumer:
        pass

    import weakref

    for abandoned in (False, True):
        near, far = socket.socketpair()
        response, seen = _response((near, far), b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n12")
        seen.refuses = True
        consumer = Consumer()
        response.consumer = weakref.ref(consumer)
        if abandoned:
            del consumer
            response.close()
        else:
            with pytest.raises(RecordingError):
                response.close()
        assert response.isclosed()
        assert seen.told[-1] == ("closed", 2, abandoned)
        near.close()
        far.close()


def test_no_head_and_a_head_that_the_connection_cut(pair: tuple[socket.socket, socket.socket]) -> None:
    pair[1].sendall(b"nonsense\r\n\r\n")
    seen = Seen()
    with pytest.raises(http.client.BadStatusLine):
        HTTPResponse(pair[0], tap=seen).begin()
    assert seen.told == [("no head", "malformed", b"nonsense\r\n\r\n")]
    near, far = socket.socketpair()
    far.sendall(b"HTTP/1.1 200 OK\r\nA: b\r\n")
    far.shutdown(socket.SHUT_WR)
    cut = Seen()
    response = HTTPResponse(near, tap=cut)
    response.begin()
    assert cut.told == [("head", 200, "close", None, True), "end"]
    response.close()
    near.close()
    far.close()
