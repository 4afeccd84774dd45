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

from recorder.errors import RecordingError
from recorder.recording.tap import Call, ExchangeTap
from recorder.recording.write_path import WritePath
from recorder.transports.failures import cause_of, describe, kind_of
from recorder.transports.http_library_recording import LibraryRecording
from recorder.transports.mounting import AdapterViews, came_by_a_connection
from recorder.transports.recording_connection import Sending, sending_now
from recorder.transports.sharing import SENDING, Send

_log = logging.getLogger("recorder")

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_CHALLENGES: Final = frozenset({401, 407})


class RequestsRecording(LibraryRecording):
    """Mounts recording adapters on sessions."""

    def __init__(
        self,
        path: Callable[[], WritePath | None],
        conversation: Callable[[], Mapping[str, str]],
        *,
        must_record: bool = False,
    ) -> None:
        super().__init__(path, conversation, must_record=must_record)
        self._connections = itertools.count(1)
        self._adapters = AdapterViews(self, "recorded")
        self._last = threading.local()
        self._told_of_bypass = False

    def mount(self, session: requests.Session) -> None:
        """Replace the session's HTTP adapters by recording views of them.

        :raises ConfigurationError: an adapter is not an ``HTTPAdapter``, or would go past the recording.
        """
        before = self._adapters.mount(session)
        if any(isinstance(other, RequestsRecording) and other is not self and other.is_open for other in before):
            _log.warning("recorder: a session that another recorder recorded is recorded by this one from now on")

    def next_connection(self) -> int:
        """Return a number for a connection that was just made."""
        return next(self._connections)

    def send(
        self, below: Callable[..., requests.Response], request: PreparedRequest, *args: Any, **kwargs: Any
    ) -> requests.Response:
        """Send as the adapter below does, recording every attempt."""
        token = self._begin(request)
        try:
            response = below(request, *args, **kwargs)
        except BaseException as error:
            self._end(token, None, error)
            raise
        self._end(token, response, None)
        return response

    def copied(self, adapter: HTTPAdapter) -> Any:
        """Return a copy of an adapter as it is: a copied session is not recorded until it is mounted."""
        return adapter

    def pickled(self, adapter: HTTPAdapter) -> HTTPAdapter:
        """Return the user's own adapter."""
        return adapter

    def _begin(self, request: PreparedRequest) -> Token[Send | None]:
        """Open the context of a send; an empty one where nothing is recorded (any more)."""
        sending = None
        with self.guard:
            if self._path() is not None:
                sending = Sending(self, request, self._call_of(request))
        return SENDING.set(sending)

    def begin(
        self, request: PreparedRequest
    ) -> tuple[Sending | None, Callable[[requests.Response | None, BaseException | None], None]]:
        """Return a send that is recorded, None where nothing is, and what to call with its response or its failure.

        For whoever has a context of its own meanwhile; the response is None where it came from elsewhere.
        """
        token = self._begin(request)
        return sending_now(), lambda response, error: self._end(token, response, error)

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
        return self._new_call()

    def open_tap(self) -> ExchangeTap | None:
        """Return the tap of a new exchange of the send under way; None where nothing is recorded."""
        sending, path = sending_now(), self._path()
        if sending is None or path is None:
            return None
        self._finish_attempts(sending, sending.failure)
        tap = ExchangeTap(path, sending.call)
        sending.taps.append(tap)
        sending.failure = None
        return tap

    def _end(self, token: Token[Send | None], response: requests.Response | None, error: BaseException | None) -> None:
        """Settle what is open when a send returns, and close its context."""
        sending = sending_now()
        SENDING.reset(token)
        if sending is None:
            if response is not None:
                self._ids[response] = None
            return
        with self.guard:
            self._finish_attempts(sending, sending.failure or error)
            status = response.status_code if response is not None else None
            self._last.sent = (sending.request, status, sending.call)
            self._ids[sending.request] = sending.taps[-1].id if sending.taps else None
            if response is not None:
                self._ids[response] = self._exchange_given(sending, response)
                if sending.response is not None:
                    sending.response.consumer = weakref.ref(response)

    def _exchange_given(self, sending: Sending, response: requests.Response) -> bytes | None:
        """Return the id of the exchange that a response came from; None where it came past the recording.

        One that came by no connection, from a cache perhaps, belongs to what was last asked about it.
        """
        for raw, exchange in sending.given:
            if raw is response.raw:
                return exchange
        if came_by_a_connection(response):
            if self.is_open:
                self._bypassed(response)
            return None
        return sending.taps[-1].id if sending.taps else None

    def _bypassed(self, response: requests.Response) -> None:
        """Say that an adapter has answered without its own connections.

        :raises RecordingError: what is not recorded must not happen; it has, and the program is told.
        """
        what = "an adapter answered a request by other means than its own connections: the exchange is not recorded"
        if not self._told_of_bypass:
            self._told_of_bypass = True
            _log.error("recorder: %s", what)
        if self._must_record:
            response.close()  # nobody gets it
            raise RecordingError(f"{what}: mount the adapter that sends it")

    @staticmethod
    def _finish_attempts(sending: Sending, error: BaseException | None) -> None:
        below = cause_of(error) if error is not None else None
        for tap in sending.taps:
            if not tap.started and not tap.ended:
                facts = describe(below) if below is not None else None
                tap.request_failed(kind_of(below) if below is not None else "other", "send", facts)
