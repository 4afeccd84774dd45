"""Every way in which an exchange can end, and what is recorded of it."""

from __future__ import annotations

import io
import shutil
import socket
import ssl
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import requests

from recorder import Player, Recorder, RecordingEnded
from recorder.core.events import Event
from recorder.transports import guard
from tests.loopback import Script, serve
from tests.recorded import ask, end, only, streams, types, until
from tests.wire import Got, certificate, chunked, reply, server_tls, wire


def _recorded(store: str, act: Callable[[requests.Session], object]) -> tuple[list[Event], BaseException | None]:
    """Return the events of the one exchange that *act* makes, and what it raised; replay raises the same."""
    raised: BaseException | None = None
    with Recorder(store) as recorder, recorder.mount(requests.Session()) as session:
        try:
            act(session)
        except requests.RequestException as error:
            raised = error
    with Player(store) as player, player.mount(requests.Session()) as session:
        again: BaseException | None = None
        try:
            act(session)
        except requests.RequestException as error:
            again = error
    assert type(again) is type(raised)
    return only(store), raised


def _get(url: str, **options: object) -> Callable[[requests.Session], object]:
    return lambda session: session.get(url, timeout=0.3, **options).content  # type: ignore[arg-type]


def test_complete(sqlite_url: str) -> None:
    with wire(lambda _: chunked(b"a", b"b", trailers="X-Cost: 7\r\n")) as server:
        events, raised = _recorded(sqlite_url, _get(server.url))
    assert raised is None
    assert types(events) == [
        "request_sent",
        "response_started",
        "chunk_received",
        "trailers_received",
        "response_completed",
    ]
    sent = events[0].facts
    assert sent["client"].startswith("requests/")
    assert (sent["method"], sent["url"], sent["attempt"]) == ("GET", server.url + "/", 1)
    assert (events[0].body or b"").startswith(b"GET / HTTP/1.1\r\nHost: 127.0.0.1")


def test_truncated(sqlite_url: str) -> None:
    def cut(request: Got) -> None:
        request.connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")

    with wire(cut) as server:
        events, raised = _recorded(sqlite_url, _get(server.url))
    assert isinstance(raised, requests.exceptions.ChunkedEncodingError)
    assert end(events).type == "response_truncated"
    assert end(events).facts == {"received": 4, "expected": 10}


def test_reset(sqlite_url: str) -> None:
    def reset(request: Got) -> None:
        request.connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        time.sleep(0.05)  # so that it is read before the reset throws it away
        request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with wire(reset) as server:
        events, raised = _recorded(sqlite_url, _get(server.url))
    assert isinstance(raised, requests.exceptions.ChunkedEncodingError)
    failed = end(events)
    assert failed.type == "response_failed"
    assert (failed.facts["kind"], failed.facts["phase"]) == ("reset", "body")
    assert failed.facts["error"]["type"] == "builtins.ConnectionResetError"


def test_timeout_in_the_body(sqlite_url: str) -> None:
    def stall(request: Got) -> bytes:
        request.connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        time.sleep(1.0)
        return b""

    with wire(stall) as server:
        events, raised = _recorded(sqlite_url, _get(server.url))
    assert isinstance(raised, requests.exceptions.ConnectionError)
    assert (end(events).type, end(events).facts["kind"]) == ("response_failed", "timeout")


def test_timeout_before_the_answer(sqlite_url: str) -> None:
    def stall(request: Got) -> None:
        time.sleep(1.0)

    with wire(stall) as server:
        events, raised = _recorded(sqlite_url, _get(server.url))
    assert isinstance(raised, requests.exceptions.ReadTimeout)
    assert types(events) == ["request_sent", "request_failed"]
    assert (end(events).facts["kind"], end(events).facts["phase"]) == ("timeout", "head")


@pytest.mark.parametrize(
    ("answer", "ended", "kind"),
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\nzz\r\nb\r\n", "response_failed", "malformed"),
        (b"SSH-2.0-nothing to see\r\n\r\n", "response_failed", "malformed"),
    ],
)
def test_malformed(answer: bytes, ended: str, kind: str, sqlite_url: str) -> None:
    def send(request: Got) -> None:
        request.connection.sendall(answer)

    with wire(send) as server:
        events, raised = _recorded(sqlite_url, _get(server.url))
    assert raised is not None
    assert (end(events).type, end(events).facts["kind"]) == (ended, kind)


@pytest.mark.parametrize(
    "head",
    [
        b"204 No Content\r\nContent-Length: 5\r\n",
        b"304 Not Modified\r\n",
        b"200 OK\r\nContent-Length: 0\r\n",
    ],
)
def test_what_comes_with_the_head_of_an_answer_without_a_body_is_kept(head: bytes, sqlite_url: str) -> None:
    def send(request: Got) -> None:
        request.connection.sendall(b"HTTP/1.1 " + head + b"\r\nSet-Cookie: s3cret\r\nhello")

    def all_below(session: requests.Session, url: str) -> bytes:
        with session.get(url, stream=True) as response:
            return bytes(response.raw._fp.fp.peek())

    with wire(send) as server:
        with Recorder(sqlite_url) as recorder:
            seen = all_below(recorder.mount(requests.Session()), server.url)
        with Player(sqlite_url) as player:
            again = all_below(player.mount(requests.Session()), server.url)
    assert seen.endswith(b"hello")
    assert b"s3cret" not in again
    assert again.endswith(b"hello")
    events = only(sqlite_url)
    assert types(events)[-1] == "response_completed"
    assert end(events).body == again


READING: dict[str, Callable[[requests.Response], object]] = {
    "iter_content": lambda response: list(response.iter_content(None)),
    "raw.read": lambda response: response.raw.read(),
    "raw.read(3)": lambda response: list(iter(lambda: response.raw.read(3), b"")),
    "raw.read1": lambda response: list(iter(lambda: response.raw.read1(100), b"")),
    "raw.stream": lambda response: list(response.raw.stream(64)),
    "raw.readinto": lambda response: list(iter(lambda: response.raw.readinto(bytearray(9)), 0)),
    "copyfileobj": lambda response: shutil.copyfileobj(response.raw, io.BytesIO()),
    "_fp.read": lambda response: response.raw._fp.read(),
    "_fp.read1": lambda response: list(iter(response.raw._fp.read1, b"")),
    "_fp.readline": lambda response: list(iter(response.raw._fp.readline, b"")),
    "_fp.peek": lambda response: response.raw._fp.peek(),
    "_fp.fp.read": lambda response: response.raw._fp.fp.read(),
}


@pytest.mark.parametrize("body", [b"zz\r\nhello\r\n", b"1\r\na\r\n<html>\r\n", b"-5\r\nhello\r\n"])
@pytest.mark.parametrize("reads", READING.values(), ids=READING)
def test_malformed_however_it_is_read(
    reads: Callable[[requests.Response], object], body: bytes, sqlite_url: str
) -> None:
    def send(request: Got) -> None:
        request.connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body)

    with wire(send) as server, Recorder(sqlite_url) as recorder:
        response = recorder.mount(requests.Session()).get(server.url, stream=True)
        with suppress(Exception):
            reads(response)
        response.close()
        assert recorder.flush()
        events = only(sqlite_url)
    assert (end(events).type, end(events).facts["kind"]) == ("response_failed", "malformed")


def test_disconnected_before_the_answer(sqlite_url: str) -> None:
    with wire(lambda _: None) as server:
        events, raised = _recorded(sqlite_url, _get(server.url))
    assert isinstance(raised, requests.exceptions.ConnectionError)
    assert types(events) == ["request_sent", "request_failed"]
    assert end(events).facts["kind"] == "disconnected"


def test_refused(sqlite_url: str) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        events, raised = _recorded(sqlite_url, _get(f"http://127.0.0.1:{nobody.getsockname()[1]}/"))
    assert isinstance(raised, requests.exceptions.ConnectionError)
    assert types(events) == ["request_sent", "request_failed"]
    assert (end(events).facts["kind"], end(events).facts["phase"]) == ("refused", "connect")


def test_a_name_that_does_not_resolve(sqlite_url: str) -> None:
    events, raised = _recorded(sqlite_url, _get("http://no-such-host.invalid/"))
    assert isinstance(raised, requests.exceptions.ConnectionError)
    assert (end(events).facts["kind"], end(events).facts["phase"]) == ("dns", "connect")


def test_a_certificate_that_nobody_trusts(sqlite_url: str, tmp_path: Path) -> None:
    with wire(lambda _: reply(), server_tls(certificate(tmp_path))) as server:
        events, raised = _recorded(sqlite_url, _get(server.url))
    assert isinstance(raised, requests.exceptions.SSLError)
    assert types(events) == ["request_sent", "request_failed"]
    assert end(events).facts["kind"] == "tls"
    assert events[0].facts["unsent"] is True
    assert end(events).facts["error"]["type"] == "ssl.SSLCertVerificationError"


def test_a_certificate_that_is_trusted(sqlite_url: str, tmp_path: Path) -> None:
    pem = certificate(tmp_path)
    with wire(lambda _: chunked(b"over", b" TLS"), server_tls(pem)) as server:
        events, raised = _recorded(sqlite_url, _get(server.url, verify=str(pem)))
        assert raised is None
        assert ssl.OPENSSL_VERSION_INFO >= (1, 1)
    assert end(events).type == "response_completed"


def test_a_connection_that_takes_too_long(sqlite_url: str) -> None:
    # A listener whose queue is full lets nobody in.
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        address = full.getsockname()
        waiting = []
        for _ in range(3):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(address)
            waiting.append(one)
        events, raised = _recorded(sqlite_url, _get(f"http://127.0.0.1:{address[1]}/"))
        for one in waiting:
            one.close()
    assert isinstance(raised, requests.exceptions.ConnectTimeout)
    assert (end(events).facts["kind"], end(events).facts["phase"]) == ("timeout", "connect")


def test_the_recorder_is_closed_in_the_middle(sqlite_url: str, caplog: pytest.LogCaptureFixture) -> None:
    script = Script(chunks=20, gap=0.02)
    with serve(script) as server:
        recorder = Recorder(sqlite_url)
        session = recorder.mount(requests.Session())
        response = ask(session, server.url, "open")
        pieces = response.iter_content(None)
        got = next(pieces)
        recorder.close()
        recorder.close()
        assert got + b"".join(pieces) == script.body("open")
        assert ask(session, server.url, "after").content == script.body("after")
        assert ask(session, server.url, "after that").content == script.body("after that")
    events = only(sqlite_url)
    assert end(events).type == "recorder_closed"
    assert end(events).facts["received"] >= len(got)
    assert events[-1] is end(events)
    assert caplog.text.count("goes on, unrecorded") == 1
    with pytest.raises(RecordingEnded):
        with Player(sqlite_url) as player, player.mount(requests.Session()) as session:
            assert ask(session, server.url, "open").content


@pytest.fixture
def ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the tests put in the place of recorder's code counts as such, not as the program's."""
    monkeypatch.setattr(guard, "_OURS", guard._OURS | {"tests"})


@pytest.mark.usefixtures("ours")
def test_a_defect_of_ours_does_not_reach_the_program(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from recorder.core.deframing import Deframer

    fed = Deframer.feed

    def broken(self: Deframer, data: bytes) -> object:
        if b"[d 7]" in data:
            raise KeyError(data)  # a message that quotes what must not be in a log
        return fed(self, data)

    monkeypatch.setattr(Deframer, "feed", broken)
    script = Script(chunks=20, gap=0.005)
    with serve(script) as server, Recorder(sqlite_url) as recorder:
        session = recorder.mount(requests.Session())
        assert ask(session, server.url, "d").content == script.body("d")
        assert ask(session, server.url, "e").content == script.body("e")
        assert recorder.health().ok is False
        assert recorder.health().lost_events == 1
    first, second = streams(sqlite_url).values()
    assert types(first)[-2:] == ["gap_recorded", "recorder_closed"]
    assert first[-2].facts["reason"] == "a defect of recorder: KeyError"
    assert end(second).type == "response_completed"
    assert "a defect" in caplog.text
    assert "in broken" in caplog.text  # the stack
    assert "[d 7]" not in caplog.text.replace('b"[d 7]" in data', "")


@pytest.mark.usefixtures("ours")
@pytest.mark.parametrize("where", ["request_sent", "open_tap", "head_done", "connect"])
def test_a_defect_anywhere_at_the_border(where: str, sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from recorder.recording.tap import ExchangeTap
    from recorder.transports.recording_connection import ConnectionState
    from recorder.transports.requests_recording import RequestsRecording
    from recorder.transports.socket_file import Tee

    def broken(*_: object, **__: object) -> None:
        raise AttributeError("a defect")

    owner = {
        "request_sent": ExchangeTap,
        "open_tap": RequestsRecording,
        "head_done": Tee,
        "connect": ConnectionState,
    }
    monkeypatch.setattr(owner[where], {"connect": "connect_failed"}.get(where, where), broken)
    script = Script(chunks=3)
    with serve(script) as server, Recorder(sqlite_url) as recorder:
        session = recorder.mount(requests.Session())
        assert ask(session, server.url, "x").content == script.body("x")
        with pytest.raises(requests.ConnectionError):
            session.get("http://127.0.0.1:1/")


@pytest.mark.usefixtures("ours")
def test_a_defect_stops_who_must_not_act_unrecorded(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from recorder import RecordingError
    from recorder.core.redaction import Redaction

    def broken(*_: object) -> bytes:
        raise IndexError

    with serve(Script(chunks=3)) as server, Recorder(sqlite_url, on_failure="raise") as recorder:
        session = recorder.mount(requests.Session())
        with monkeypatch.context() as patch:
            patch.setattr(Redaction, "head", broken)
            with pytest.raises(RecordingError, match="a defect of recorder"):
                ask(session, server.url, "x")
        assert server.visits() == []
        assert ask(session, server.url, "y").status_code == 200


def test_a_defect_in_the_drainer_keeps_events_in_the_spool(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import recorder.recording.batches as batches

    script = Script(chunks=3)
    with serve(script) as server, Recorder(sqlite_url) as recorder:
        session = recorder.mount(requests.Session())
        with monkeypatch.context() as patch:
            patch.setattr(batches, "decode_batch", lambda _: 1 // 0)
            assert ask(session, server.url, "x").content == script.body("x")
            until(lambda: recorder.health().store_error is not None)
            assert recorder.health().store_error == "a defect of recorder: ZeroDivisionError"
        until(lambda: recorder.health().ok)
    assert end(only(sqlite_url)).type == "response_completed"
