"""Of the recordings that one request matches, those that had the same values at the masked places.

A marker equals any value when requests are compared: a machine with another fingerprint key, as in CI, has to find its
answers too. Where the key is the one that recorded, the fingerprints tell which recording is meant. They only order
what matches already: where no fingerprint is equal, the first that is left is taken.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from contextlib import suppress
from typing import Final
from urllib.parse import unquote_plus

from recorder.core.exchange import Request
from recorder.core.json_value import MISSING, json_of, parsed
from recorder.core.matching import USERINFO
from recorder.core.redaction import MARKER, Redacted, Redaction

_WHOLE: Final = "body:/"  # a rule that selects no field that a place names: what is unreadable is replaced whole


class Marking:
    """Says which values a request has at the places that a recording has redacted.

    :param key: the fingerprint key of this machine; None where live requests come with their markers.
    """

    def __init__(self, key: bytes | None) -> None:
        self._key = key
        self._redactions: dict[tuple[str, ...], Redaction] = {}

    def live(self, request: Request, places: tuple[str, ...]) -> bytes:
        """Return what :func:`marked` does for a live request, redacted as a recording with these *places* was."""
        url, payload = request.url, request.payload
        if self._key is not None:
            redaction = self._redactions.get(places)
            if redaction is None:
                redaction = self._redactions[places] = Redaction(self._key, _rules(places))
            seen = Redacted()
            url, payload = redaction.url(url, seen), redaction.body(payload, seen)
        return marked(url, payload if in_payload(places) else b"")


def in_payload(places: Iterable[str]) -> bool:
    """Whether one of *places* is in a payload."""
    return any(place.startswith("body:") for place in places)


def marked(url: str, payload: bytes) -> bytes:
    """Return the markers of a request as one fingerprint, but for those of userinfo: it is no part of a match."""
    found = MARKER.findall(USERINFO.sub("//", url.partition("#")[0], count=1))
    if payload:
        value, text = parsed(payload), payload.decode("latin-1")
        if value is not MISSING:
            with suppress(RecursionError):  # nested too deeply: as it is written
                text = json_of(value)
        found += MARKER.findall(text)
    return hashlib.sha256("".join(found).encode("ascii")).digest() if found else b""


def _rules(places: Iterable[str]) -> list[str]:
    rules = []
    for place in places:
        where, _, what = place.partition(":")
        if where == "body":
            rules.append(place if what else _WHOLE)
        elif where == "url" and any(letter.isalnum() for letter in unquote_plus(what)):
            rules.append(f"query:{unquote_plus(what)}")
    return rules
