"""Replay for requests: adapters whose connections answer from recordings and never reach a network."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from typing import Any, Final

import requests
from requests.adapters import HTTPAdapter
from requests.models import PreparedRequest
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NameResolutionError, NewConnectionError, ProxyError
from urllib3.util.connection import is_connection_dropped

from recorder.core.redaction import Redacted, Redaction
from recorder.errors import NoMatchingExchange
from recorder.replay.answers import Answer, Answers
from recorder.replay.pace import Pace
from recorder.transports.failures import TLS_TIMED_OUT, revive
from recorder.transports.http_library_replay import LibraryReplay
from recorder.transports.mounting import AdapterViews, came_by_a_connection
from recorder.transports.prepared import known_payload
from recorder.transports.recorded_socket import RecordedSocket
from recorder.transports.sharing import SENDING, VIEWS, Identities, View, under_way

#: Place of ``proxies`` among the arguments of ``HTTPAdapter.send`` after the request.
_PROXIES: Final = 4


#: What a request over the network fails with; other OSErrors are of files, as a missing bundle of certificates.
_NETWORK: Final = (
    *(requests.ConnectionError, requests.Timeout, HTTPError),
    *(ConnectionError, TimeoutError, socket.gaierror, ssl.SSLError),
)


class Asking:
    """One ``HTTPAdapter.send`` under way.

    :ivar answer: what its next attempt gets.
    :ivar replay: whose recording it is.
    :ivar asked: a connection of ours was asked.
    :ivar given: the responses that our connections gave.
    """

    def __init__(self, request: PreparedRequest, replay: RequestsReplay) -> None:
        self.request = request
        self.answer: Answer | None = None
        self.asked = False
        self.given: list[Any] = []
        self.replay = replay

    def take(self, pool: Any, usual: Callable[[], Any]) -> Any:
        """Return a connection that answers from the recording: none of the pool's own, which are connected."""
        self.asked = True
        try:
            connection = self.replay.idle(pool).pop()
        except IndexError:
            return VIEWS.of(pool._new_conn(), _ReplayingConnection, _Replaying(self.replay))
        if is_connection_dropped(connection):
            connection.close()
        return connection

    def put(self, pool: Any, connection: Any) -> bool:
        """Return True: what is lost was none of the pool's."""
        return True


class RequestsReplay(LibraryReplay):
    """Mounts replaying adapters on sessions."""

    def __init__(self, answers: Answers, redaction: Redaction, pace: Pace) -> None:
        super().__init__(answers, redaction, pace)
        self._adapters = AdapterViews(self, "replayed")
        self._idle = Identities[list[Any]]()

    def mount(self, session: requests.Session) -> None:
        """Replace the session's HTTP adapters by replaying views of them; their retries stay.

        :raises ConfigurationError: an adapter is not an ``HTTPAdapter``, or would go past the recording.
        """
        self._adapters.mount(session)

    def idle(self, pool: Any) -> list[Any]:
        """Return the connections to the recording that are kept for a pool."""
        return self._idle.get(pool, list)

    def send(
        self, below: Callable[..., requests.Response], request: PreparedRequest, *args: Any, **kwargs: Any
    ) -> requests.Response:
        """Send as the adapter below does; a proxy plays no part, its answers are in the recording.

        :raises NoMatchingExchange: there is no recorded answer, or the adapter went past the recording.
        """
        if len(args) > _PROXIES:
            args = (*args[:_PROXIES], None, *args[_PROXIES + 1 :])
        elif "proxies" in kwargs:
            kwargs["proxies"] = None
        asking = Asking(request, self)
        token = SENDING.set(asking)
        try:
            response = below(request, *args, **kwargs)
        except _NETWORK as error:
            if asking.asked:
                raise
            raise self._bypassed(request, error) from error
        finally:
            SENDING.reset(token)
        if came_by_a_connection(response) and not any(response.raw is given for given in asking.given):
            response.close()
            raise self._bypassed(request)
        return response

    def refusal(self, request: PreparedRequest) -> Answer | None:
        """Return the recorded failure to connect of a request whose payload is not known yet, if that comes next."""
        return self.refused(request.method or "GET", request.url or "", request.headers.items)

    def _bypassed(self, request: PreparedRequest, failure: Exception | None = None) -> NoMatchingExchange:
        url = self._redaction.url(request.url or "", Redacted())
        return self._answers.bypassed(request.method or "GET", url, failure)

    def copied(self, adapter: HTTPAdapter) -> Any:
        """Return a replaying view of a copy of an adapter: a copied session must not ask the network."""
        return self._adapters.view_of(adapter)

    def pickled(self, adapter: HTTPAdapter) -> HTTPAdapter:
        """Refuse to pickle an adapter.

        :raises TypeError: always.
        """
        raise TypeError("a session that a Player answers cannot be pickled: what is made of it would ask the network")

    def answer(self, request: PreparedRequest, payload: bytes) -> Answer:
        """Return the recorded answer to a request.

        :raises NoMatchingExchange: there is none.
        """
        return self.recorded(request.method or "GET", request.url or "", payload, request.headers.items)


class _Replaying:
    """What is known of one connection to the recording."""

    def __init__(self, replay: RequestsReplay) -> None:
        self.replay = replay
        self.payload: bytes | None = None
        self.streamed: list[bytes] | None = None

    def put(self, pool: Any, connection: Any) -> bool:
        """Keep the connection: it is none of the pool's."""
        self.replay.idle(pool).append(connection)
        return True

    def sent_payload(self) -> bytes:
        """Return the payload of the request, put together where it came in pieces."""
        if self.payload is not None:
            return self.payload
        head, *pieces = self.streamed or [b""]
        if b"\r\ntransfer-encoding: chunked\r\n" in head.lower():
            pieces = [piece[piece.find(b"\r\n") + 2 : -2] for piece in pieces]
        return b"".join(pieces)


def _asking_now() -> Asking | None:
    send = under_way()
    return send if isinstance(send, Asking) else None


class _ReplayingConnection(View):
    """The mixin of a replaying connection."""

    __slots__ = ()
    recorder_state: _Replaying
    sock: Any
    is_verified: Any

    def connect(self) -> None:
        """Connect to the recording, or fail as the recorded connection failed."""
        asking, state = _asking_now(), self.recorder_state
        if asking is not None and asking.answer is None and not state.streamed:
            payload = known_payload(asking.request.body)
            if payload is None:  # nothing of it was read where no connection could be made
                asking.answer = state.replay.refusal(asking.request)
            elif state.streamed is None:
                asking.answer = state.replay.answer(asking.request, payload)
        if asking is not None and asking.answer is not None:
            self._fail_as_recorded(asking, "connect")
        if not hasattr(self, "cert_reqs"):
            self.sock = RecordedSocket()
        else:
            self.sock = RecordedSocket(TLS_TIMED_OUT)
            self.is_verified = self.cert_reqs not in (ssl.CERT_NONE, "CERT_NONE", "NONE")

    def _fail_as_recorded(self, asking: Asking, phase: str) -> None:
        tape = asking.answer.tape if asking.answer is not None else None
        if tape is None or tape.end != "request_failed" or tape.facts.get("phase") != phase:
            return
        asking.answer = None
        if "error" not in tape.facts:
            return
        error, kind = revive(tape.facts["error"]), str(tape.facts.get("kind"))
        try:
            timeout = self._patience(phase)
            self.recorder_state.replay.pace.start().wait(tape.failed_after(timeout), timeout)
        except TimeoutError as late:
            error, kind = late, "timeout"
        if phase != "connect" or isinstance(error, ssl.SSLError):
            raise error
        failure = self._as_urllib3_says(kind, error)
        if tape.facts.get("proxy"):
            raise ProxyError("Unable to connect to proxy", failure) from failure
        raise failure from error

    def _patience(self, phase: str) -> float | None:
        """Return how long the client waits for a connection at most, in seconds."""
        timeout = getattr(self, "timeout", None)
        return timeout if phase == "connect" and isinstance(timeout, int | float) else None

    def _as_urllib3_says(self, kind: str, error: BaseException) -> HTTPError:
        """Return the failure to connect that urllib3 makes of *error*."""
        connection: Any = self
        if kind == "dns":
            return NameResolutionError(connection.host, connection, error)  # type: ignore[arg-type]
        if kind == "timeout":
            told = f"Connection to {connection.host} timed out. (connect timeout={connection.timeout})"
            return ConnectTimeoutError(connection, told)
        return NewConnectionError(connection, f"Failed to establish a new connection: {error}")

    def request(self, method: str, url: str, body: Any = None, *args: Any, **kwargs: Any) -> None:
        """Send a request to the recording."""
        asking, state = _asking_now(), self.recorder_state
        payload = state.payload = known_payload(body)
        state.streamed = [] if payload is None else None
        if asking is not None and asking.answer is None and payload is not None:
            asking.answer = state.replay.answer(asking.request, payload)
        super().request(method, url, body, *args, **kwargs)  # type: ignore[misc]
        if asking is not None and asking.answer is not None:
            self._fail_as_recorded(asking, "send")

    def send(self, data: Any) -> None:
        """Take what is sent; a payload that comes in pieces is matched once it is whole."""
        if self.sock is None:
            self.connect()
        if self.recorder_state.streamed is not None:
            self.recorder_state.streamed.append(bytes(data))

    def getresponse(self, *args: Any, **kwargs: Any) -> Any:
        """Return the recorded answer."""
        asking, state, sock = _asking_now(), self.recorder_state, self.sock
        if asking is not None:
            if asking.answer is None:
                asking.answer = state.replay.answer(asking.request, state.sent_payload())
            if sock is not None:
                sock.load(asking.answer.tape, state.replay.pace.start(), state.replay.note_ended)
            asking.answer = state.streamed = None
        response = super().getresponse(*args, **kwargs)  # type: ignore[misc]
        if (
            asking is not None and sock is not None and sock.was_opened
        ):  # else the user's connection has its answers from elsewhere
            asking.given.append(response)
        return response
