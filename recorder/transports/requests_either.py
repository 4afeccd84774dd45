"""For requests: what is recorded is replayed, what is not is sent and recorded.

Each attempt of a send finds out for itself, when it asks its pool for a connection: then the request is what the
user's own adapter has made of it. It gets a connection to the recording, or one of the pool's own, recorded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from requests.models import PreparedRequest

from recorder.transports.mounting import AdapterViews
from recorder.transports.prepared import known_payload
from recorder.transports.recording_connection import Sending
from recorder.transports.requests_recording import RequestsRecording
from recorder.transports.requests_replay import Asking, RequestsReplay
from recorder.transports.sharing import SENDING, EitherWay


class RequestsEither:
    """Mounts adapters that answer from a recording, and record what is not in it.

    :param replay: answers from the recording.
    :param recording: records the rest; None where nothing is recorded: the rest is sent all the same.
    """

    def __init__(self, replay: RequestsReplay, recording: RequestsRecording | None) -> None:
        self.replay = replay
        self._recording = recording
        self._adapters = AdapterViews(self, "replayed or recorded")

    def mount(self, session: requests.Session) -> None:
        """Replace the session's HTTP adapters by views of them.

        :raises ConfigurationError: an adapter is not an ``HTTPAdapter``, or would go past the recording.
        """
        self._adapters.mount(session)

    def send(
        self, below: Callable[..., requests.Response], request: PreparedRequest, *args: Any, **kwargs: Any
    ) -> requests.Response:
        """Send as the adapter below does, over connections of either kind."""
        sending, finish = self._recording.begin(request) if self._recording is not None else (None, None)
        either = _Either(Asking(request, self.replay), sending)
        token = SENDING.set(either)
        response: requests.Response | None = None
        failure: BaseException | None = None
        try:
            response = below(request, *args, **kwargs)
            return response
        except BaseException as error:
            failure = error
            raise
        finally:
            SENDING.reset(token)
            if finish is not None:
                finish(None if either.gave(response) else response, failure)

    def copied(self, adapter: HTTPAdapter) -> Any:
        """Return a view of a copy of an adapter: a copied session is answered by the recording too."""
        return self._adapters.view_of(adapter)

    def pickled(self, adapter: HTTPAdapter) -> HTTPAdapter:
        """Refuse to pickle an adapter.

        :raises TypeError: always.
        """
        return self.replay.pickled(adapter)


class _Either(EitherWay):
    """One ``HTTPAdapter.send`` under way."""

    def __init__(self, asking: Asking, sending: Sending | None) -> None:
        self._asking = asking
        self._sending = sending

    def take(self, pool: Any, usual: Callable[[], Any]) -> Any:
        """Return a connection to the recording, where that has an answer, else one of the pool's own."""
        request = self._asking.request
        payload = _payload(request.body)
        if payload is not None:
            method, url, headers = request.method or "GET", request.url or "", request.headers.items
            self._asking.answer = self._asking.replay.known(method, url, payload, headers)
            if self._asking.answer is not None:
                self.way = self._asking
                return self._asking.take(pool, usual)
        self.way = self._sending
        return usual() if self._sending is None else self._sending.take(pool, usual)

    def gave(self, response: requests.Response | None) -> bool:
        """Whether a response came from the recording."""
        return response is not None and any(response.raw is given for given in self._asking.given)


def _payload(body: Any) -> bytes | None:
    """Return a payload before it is sent; None where that would use it up."""
    payload = known_payload(body)
    if payload is not None or not (hasattr(body, "seek") and hasattr(body, "tell") and hasattr(body, "read")):
        return payload
    at = body.tell()
    data = body.read()
    body.seek(at)
    return data.encode("utf-8") if isinstance(data, str) else bytes(data)
