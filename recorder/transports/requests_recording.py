"""Recording for requests: adapters that tell the write path what goes over the wire."""

from __future__ import annotations

import itertools
import logging
import threading
import weakref
from collections.abc import Callable, Mapping
from contextvars import Token
from typing import Any, Final

import requests
from requests.adapters import HTTPAdapter
from requests.models import PreparedRequest

from recorder.clock import id_text
from recorder.errors import ConfigurationError, RecordingError
from recorder.recording.tap import Call, ExchangeTap
from recorder.recording.write_path import WritePath
from recorder.transports.cloning import http_adapters, users_adapter
from recorder.transports.failures import cause_of, describe, kind_of
from recorder.transports.guard import Guard
from recorder.transports.recording_connection import SENDING, VIEWS, Sending
from recorder.transports.sharing import SharedAdapter

_log = logging.getLogger("recorder")

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_CHALLENGES: Final = frozenset({401, 407})
_OVERRIDES: Final = frozenset({"send", "get_connection", "get_connection_with_tls_context"})


class RequestsRecording:
    """Mounts recording adapters on sessions.

    :param path: where events go; None once the recorder is closed.
    :param conversation: returns the facts of the conversation that the current context is in.
    :param must_record: what cannot be recorded must not happen.
    """

    def __init__(
        self,
        path: Callable[[], WritePath | None],
        conversation: Callable[[], Mapping[str, str]],
        *,
        must_record: bool = False,
    ) -> None:
        self._path = path
        self._conversation = conversation
        self._connections = itertools.count(1)
        self._ids: weakref.WeakKeyDictionary[object, bytes | None] = weakref.WeakKeyDictionary()
        self._adapters: weakref.WeakValueDictionary[int, _RecordingAdapter] = weakref.WeakValueDictionary()
        self._last = threading.local()
        self._must_record = must_record
        self._told_of_bypass = False
        self.guard = Guard(None, must_record=must_record)

    def mount(self, session: requests.Session) -> None:
        """Replace the session's HTTP adapters by recording views of them.

        :raises ConfigurationError: an adapter is not an ``HTTPAdapter``, or would go past the recording.
        """
        found = http_adapters(session)
        before = {one.recorder_state for one in found.values() if isinstance(one, _RecordingAdapter)} - {self}
        if any(other.is_open for other in before):
            _log.warning("recorder: a session that another recorder recorded is recorded by this one from now on")
        for adapter in found.values():
            own = sorted(_OVERRIDES & users_adapter(adapter).__dict__.keys())
            if own:
                raise ConfigurationError(
                    f"an adapter of the session has a {own[0]} that was set on the object, "
                    "and what goes through it would not be recorded: override it in a class"
                )
        session.adapters.update({prefix: self._view_of(users_adapter(adapter)) for prefix, adapter in found.items()})

    def _view_of(self, adapter: HTTPAdapter) -> Any:
        """Return the view of an adapter: of one adapter there is one, as long as it is in use."""
        view = self._adapters.get(id(adapter))
        if view is None:  # id: a view keeps its adapter alive
            try:
                view = self._adapters[id(adapter)] = VIEWS.of(adapter, _RecordingAdapter, self)
            except TypeError as error:
                raise ConfigurationError(
                    f"an adapter of the session cannot be recorded, its class {type(adapter).__name__} allows no "
                    f"subclass ({error}): mount a plain HTTPAdapter there"
                ) from error
        return view

    @property
    def is_open(self) -> bool:
        """Whether anything is recorded."""
        return self._path() is not None

    def knows(self, sent: requests.Response | PreparedRequest) -> bool:
        """Whether a response, or a request, went through an adapter of this recorder."""
        return sent in self._ids

    def exchange_of(self, sent: requests.Response | PreparedRequest) -> bytes | None:
        """Return the id of the exchange that a response came from, or a request's last one; None: not recorded."""
        return self._ids.get(sent)

    def next_connection(self) -> int:
        """Return a number for a connection that was just made."""
        return next(self._connections)

    def begin(self, request: PreparedRequest) -> Token[Sending | None]:
        """Open the context of a send; an empty one where nothing is recorded (any more)."""
        sending = None
        with self.guard:
            if self._path() is not None:
                sending = Sending(self, request, self._call_of(request))
        return SENDING.set(sending)

    def _call_of(self, request: PreparedRequest) -> Call:
        """A redirect or an auth round goes on with the call that it follows from.

        requests makes such a request by copying the one before; copies share the ``hooks`` object,
        which every request that the user makes has of its own. A user may send copies too: one that answers
        no challenge, since its headers are the same, is a call of its own. One that was copied by hand and
        given other credentials cannot be told from an auth round of requests, and does what one does.
        """
        before: tuple[PreparedRequest, int | None, Call] | None = getattr(self._last, "sent", None)
        if before is not None:
            sent, status, call = before
            copied = sent.hooks is request.hooks and sent is not request
            answers = status in _CHALLENGES and request.headers != sent.headers
            if copied and (status in _REDIRECTS or answers):
                return call
        path = self._path()
        identity = path.clock.new_id() if path is not None else b""
        return Call(id_text(identity), conversation=self._conversation())

    def open_tap(self) -> ExchangeTap | None:
        """Return the tap of a new exchange of the send under way; None where nothing is recorded."""
        sending, path = SENDING.get(), self._path()
        if sending is None or path is None:
            return None
        self._finish_attempts(sending, sending.failure)
        tap = ExchangeTap(path, sending.call)
        sending.taps.append(tap)
        sending.failure = None
        return tap

    def end(
        self, token: Token[Sending | None], response: requests.Response | None, error: BaseException | None
    ) -> None:
        """Settle what is open when a send returns, and close its context."""
        sending = SENDING.get()
        SENDING.reset(token)
        if sending is None:
            if response is not None:
                self._ids[response] = None
            return
        with self.guard:
            self._finish_attempts(sending, sending.failure or error)
            status = response.status_code if response is not None else None
            self._last.sent = (sending.request, status, sending.call)
            last = sending.taps[-1].id if sending.taps else None
            if response is not None and last is None and self._path() is not None:
                self._bypassed(sending.request)
            self._ids[sending.request] = last
            if response is not None:
                self._ids[response] = last
                if sending.response is not None:
                    sending.response.consumer = weakref.ref(response)

    def _bypassed(self, request: PreparedRequest) -> None:
        """Say that an adapter has answered without its own connections.

        :raises RecordingError: what is not recorded must not happen; it has, and the program is told.
        """
        what = "an adapter answered a request by other means than its own connections: the exchange is not recorded"
        if not self._told_of_bypass:
            self._told_of_bypass = True
            _log.error("recorder: %s", what)
        if self._must_record:
            raise RecordingError(f"{what}: mount the adapter that sends it")

    @staticmethod
    def _finish_attempts(sending: Sending, error: BaseException | None) -> None:
        below = cause_of(error) if error is not None else None
        for tap in sending.taps:
            if not tap.started and not tap.ended:
                facts = describe(below) if below is not None else None
                tap.request_failed(kind_of(below) if below is not None else "other", "send", facts)


class _RecordingAdapter(SharedAdapter):
    """The mixin of a recording adapter."""

    __slots__ = ()
    recorder_state: RequestsRecording

    @property
    def send(self) -> Callable[..., requests.Response]:
        """Sends as the adapter below does, recording every attempt."""
        return self._recorded_send

    @send.setter
    def send(self, other: Any) -> None:
        """Send by other means from now on, as a program may say at any time; recorded is what comes by here."""
        self.__dict__["send"] = other

    @send.deleter
    def send(self) -> None:
        """Send as the class does again."""
        del self.__dict__["send"]

    def _recorded_send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        recording = self.recorder_state
        below = self.__dict__.get("send") or super().send  # type: ignore[misc]
        token = recording.begin(request)
        try:
            response: requests.Response = below(request, *args, **kwargs)
        except BaseException as error:
            recording.end(token, None, error)
            raise
        recording.end(token, response, None)
        return response
