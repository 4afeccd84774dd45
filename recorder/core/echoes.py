"""Credentials of a request that its own answer repeats: a server that shows what it was asked with.

Heads are redacted, so that a credential goes from them wherever it stands. Bodies are kept byte for byte, and a
credential may lie across the boundary of two chunks: there it is only found, and told of. While it is recorded, the
value itself is looked for; afterwards only its fingerprint is known, and every word of an answer is compared with it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from recorder.core.content_coding import undo
from recorder.core.exchange import Exchange, Request
from recorder.core.redaction import MARKER

#: Shorter values stand in answers by chance.
SHORTEST: Final = 8
_LONGEST: Final = 4096
_WORD: Final = re.compile(r"[^\s\"'<>,;&(){}\[\]\\]{8,4096}")
_INNER: Final = re.compile("[=:]")
_AROUND: Final = ".,:!?`"


class Echo:
    """Looks for values in a body that comes in pieces.

    :param secrets: what was redacted in the request; what is too short is not looked for.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        wanted = {secret for secret in secrets if SHORTEST <= len(secret) <= _LONGEST and not MARKER.search(secret)}
        self._wanted = [secret.encode("utf-8", "surrogateescape") for secret in wanted]
        self._kept = max(map(len, self._wanted), default=1) - 1
        self._before = b""

    def __bool__(self) -> bool:
        """Whether there is anything to look for."""
        return bool(self._wanted)

    def stands_in(self, data: bytes) -> bool:
        """Whether one of the values ends in the next piece."""
        seen = self._before + data
        self._before = seen[-self._kept :] if self._kept else b""
        return any(secret in seen for secret in self._wanted)


def echoed_in(exchange: Exchange, fingerprint: Callable[[str], str]) -> list[str]:
    """Return which credentials of a recorded request stand in its answer, each once, as the kind in its marker.

    :param fingerprint: of a value, by the key of the machine that recorded; by another one nothing is found.
    """
    request, response = exchange.request, exchange.response
    marks = {} if request is None else dict(_marks(request))
    if response is None or not marks:
        return []
    body = undo(exchange.body, response.header("content-encoding")).body.decode("utf-8", "replace")
    words = set(_words(body))
    for _, value in response.headers:
        words.update(_words(value))
    return sorted({marks[mark] for word in words if (mark := fingerprint(word)) in marks})


def _marks(request: Request) -> Iterator[tuple[str, str]]:
    """Yield the fingerprint and the kind of each marker of a request."""
    texts = [request.url, request.payload.decode("latin-1"), *(value for _, value in request.headers)]
    for text in texts:
        for marker in MARKER.findall(text):
            _, _, kind, mark, _ = marker.split("~")
            yield mark, kind


def _words(text: str) -> Iterator[str]:
    """Yield whatever may be a credential in a text, with and without what stands around it."""
    for word in set(_WORD.findall(text)):
        yield word
        yield word.strip(_AROUND)
        for sign in _INNER.finditer(word):
            yield word[sign.end() :].strip(_AROUND)
            yield word[: sign.start()]
