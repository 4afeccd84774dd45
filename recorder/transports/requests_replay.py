"""Replay for requests: adapters whose connections answer from recordings and never reach a network."""

from __future__ import annotations

import ssl
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final

import requests
from requests.models import PreparedRequest
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from recorder.core.redaction import Redacted, Redaction
from recorder.replay.answers import Answer, Answers
from recorder.replay.pace import Pace
from recorder.transports.cloning import ClonedAdapter, clone_adapter, http_adapters
from recorder.transports.failures import revive
from recorder.transports.prepared import known_payload
from recorder.transports.recorded_socket import RecordedSocket

#: Place of ``proxies`` among the arguments of ``HTTPAdapter.send`` after the request.
_PROXIES: Final = 4


@dataclass(slots=True)
class _Asking:
    """One ``HTTPAdapter.send`` under way, and the answer that its next attempt gets."""

    request: PreparedRequest
    answer: Answer | None = None


_asking: ContextVar[_Asking | None] = ContextVar("recorder_asking", default=None)


class RequestsReplay:
    """Mounts replaying adapters on sessions.

    :param answers: where answers come from.
    :param redaction: applied to a live request before it is compared.
    :param pace: how fast recorded reads come back.
    """

    def __init__(self, answers: Answers, redaction: Redaction, pace: Pace) -> None:
        self._answers = answers
        self._redaction = redaction
        self.pace = pace

    def mount(self, session: requests.Session) -> None:
        """Replace the session's HTTP adapters by replaying clones; their retries stay.

        :raises ConfigurationError: an adapter is not an ``HTTPAdapter``.
        """
        for prefix, adapter in http_adapters(session).items():
            if getattr(adapter, "replay", None) is not self:
                session.adapters[prefix] = clone_adapter(adapter, _ReplayingAdapter, self._connection, replay=self)

    def _connection(self, base: type[Any]) -> type[Any]:
        names = {"__module__": base.__module__, "__qualname__": base.__qualname__}
        return type(base.__name__, (_ReplayingConnection, base), {**names, "replay": self})

    def answer(self, request: PreparedRequest, payload: bytes) -> Answer:
        """Return the recorded answer to a request.

        :raises NoMatchingExchange: there is none.
        """
        seen = Redacted()
        url = self._redaction.url(request.url or "", seen)
        return self._answers.answer(request.method or "GET", url, self._redaction.body(payload, seen))


class _ReplayingAdapter(ClonedAdapter):
    """The mixin of a replaying adapter."""

    replay: RequestsReplay

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """Send as the adapter below does; a proxy plays no part, its answers are in the recording."""
        if len(args) > _PROXIES:
            args = (*args[:_PROXIES], None, *args[_PROXIES + 1 :])
        elif "proxies" in kwargs:
            kwargs["proxies"] = None
        token = _asking.set(_Asking(request))
        try:
            sent: requests.Response = super().send(request, *args, **kwargs)  # type: ignore[misc]
            return sent
        finally:
            _asking.reset(token)


class _ReplayingConnection:
    """The mixin of a replaying connection."""

    replay: RequestsReplay
    sock: Any
    _streamed: list[bytes] | None = None

    def connect(self) -> None:
        """Connect to the recording, or fail as the recorded connection failed."""
        asking = _asking.get()
        if asking is not None and asking.answer is None and self._streamed is None:
            payload = known_payload(asking.request.body)
            if payload is not None:
                asking.answer = self.replay.answer(asking.request, payload)
        if asking is not None and asking.answer is not None:
            self._fail_as_recorded(asking, "connect")
        self.sock = RecordedSocket()
        if hasattr(self, "cert_reqs"):
            self.is_verified = self.cert_reqs not in (ssl.CERT_NONE, "CERT_NONE", "NONE")

    def _fail_as_recorded(self, asking: _Asking, phase: str) -> None:
        tape = asking.answer.tape if asking.answer is not None else None
        if tape is None or tape.end != "request_failed" or tape.facts.get("phase") != phase:
            return
        asking.answer = None
        if "error" not in tape.facts:
            return
        self.replay.pace.start().wait(tape.elapsed_ns)
        error = revive(tape.facts["error"])
        if phase != "connect" or isinstance(error, ssl.SSLError):
            raise error
        kind = tape.facts.get("kind")
        if kind == "dns":
            raise NameResolutionError(self.host, self, error) from error  # type: ignore[attr-defined, arg-type]
        if kind == "timeout":
            told = f"Connection to {self.host} timed out. (connect timeout={self.timeout})"  # type: ignore[attr-defined]
            raise ConnectTimeoutError(self, told) from error
        raise NewConnectionError(self, f"Failed to establish a new connection: {error}") from error  # type: ignore[arg-type]

    def request(self, method: str, url: str, body: Any = None, *args: Any, **kwargs: Any) -> None:
        """Send a request to the recording."""
        asking = _asking.get()
        payload = known_payload(body)
        self._streamed = [] if payload is None else None
        if asking is not None and asking.answer is None and payload is not None:
            asking.answer = self.replay.answer(asking.request, payload)
        super().request(method, url, body, *args, **kwargs)  # type: ignore[misc]
        if asking is not None and asking.answer is not None:
            self._fail_as_recorded(asking, "send")

    def send(self, data: Any) -> None:
        """Take what is sent; a payload that comes in pieces is matched once it is whole."""
        if self.sock is None:
            self.connect()
        if self._streamed is not None:
            self._streamed.append(bytes(data))

    def getresponse(self, *args: Any, **kwargs: Any) -> Any:
        """Return the recorded answer."""
        asking = _asking.get()
        if asking is not None:
            if asking.answer is None:
                asking.answer = self.replay.answer(asking.request, self._sent_payload())
            self.sock.load(asking.answer.tape, self.replay.pace.start())
            asking.answer = None
        return super().getresponse(*args, **kwargs)  # type: ignore[misc]

    def _sent_payload(self) -> bytes:
        head, *pieces = self._streamed or [b""]
        if b"\r\ntransfer-encoding: chunked\r\n" in head.lower():
            pieces = [piece[piece.find(b"\r\n") + 2 : -2] for piece in pieces]
        return b"".join(pieces)
