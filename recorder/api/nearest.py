"""The recording that is nearest to a request, by the rules by which a player tells of a miss."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from recorder.api.recordings import Recordings
from recorder.api.store import Store
from recorder.clock import Clock, SystemClock, id_bytes, id_text
from recorder.core.exchange import Exchange, Request
from recorder.core.marker_places import marker_places
from recorder.core.messages import Message
from recorder.core.rebuilt import Rebuilt
from recorder.core.redaction import Redacted, Redaction
from recorder.dialects.rebuild import rebuild
from recorder.errors import NotFound
from recorder.locations import fingerprint_key
from recorder.replay.nearest import nearest

_COMPARED: Final = 1024  # recordings; somebody waits for the answer, but not for seconds


@dataclass(frozen=True, slots=True)
class NearestRecording:
    """A recorded exchange, and how its request differs from the one that was asked for.

    :ivar recorded: the exchange.
    :ivar fields: the fields in which the requests differ, as ``field: recorded != asked``.
    :ivar messages: what the request says that was asked for.
    """

    recorded: Rebuilt
    fields: tuple[str, ...]
    messages: tuple[Message, ...]


def nearest_to_exchange(store: Store, asked: Rebuilt, *, within: Store | None = None) -> NearestRecording:
    """Return the recording that is nearest to the request of an exchange.

    :param within: where to look; by default among the other exchanges of *store*.
    :raises NotFound: no request is recorded of it, or there is nothing to compare it with.
    """
    request = asked.exchange.request
    if request is None:
        raise NotFound(f"no request is recorded of exchange {asked.id}: name another one")
    but = id_bytes(asked.id) if within is None else None
    found, fields = _nearest(within or store, request, but)
    return NearestRecording(found, fields, asked.request_messages)


def nearest_to_body(store: Store, body: bytes, url: str | None = None, clock: Clock | None = None) -> NearestRecording:
    """Return the recording that is nearest to a request with this body.

    The body is redacted as a live request is.

    :param url: where it would be sent, by POST; without it, method and URL do not count.
    :raises NotFound: there is nothing to compare it with.
    """
    payload = Redaction(fingerprint_key(clock or SystemClock())).body(body, Redacted())
    found, fields = _nearest(store, Request("POST", url or "", payload=payload), None, anywhere=url is None)
    like = found.exchange.request or Request("POST", "")
    request = replace(like, url=url or like.url, payload=payload)
    asked = rebuild(Exchange(bytes(16), 0, request=request))
    return NearestRecording(found, fields, asked.request_messages)


def _nearest(
    store: Store, request: Request, but: bytes | None, *, anywhere: bool = False
) -> tuple[Rebuilt, tuple[str, ...]]:
    recordings = Recordings(store.reader, None)
    entries = [entry for entry in recordings.entries() if entry.exchange != but]
    if not entries:
        raise NotFound("there is no other recording to compare it with: see `recorder list`")
    own = marker_places(request)
    masked = (own.union(entry.places) for entry in entries)
    places = [tuple(sorted(place for place in each if not place.startswith("header:"))) for each in masked]
    hidden = frozenset(place for each in places for place in each)

    def recorded(number: int) -> Request:
        found = recordings.request(entries[number].exchange)
        return replace(found, method=request.method, url=request.url) if anywhere else found

    requests = [f"{request.method} {request.url}" if anywhere else f"{one.method} {one.url}" for one in entries]
    first = nearest(request, requests, places, recorded, hidden, most=_COMPARED)[0]
    return store.rebuilt(id_text(entries[first.number].exchange)), tuple(first.differences)
