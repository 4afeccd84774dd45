"""What the server says itself, where no recording answers: a status that no client retries, and why.

404 is what a server says of what it does not have. 408, 409, 429 and everything from 500 on are retried by the SDKs of
OpenAI, Anthropic and others, which heed ``x-should-retry`` as well. The body has the shape of their errors, so that
their exceptions show the message.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from recorder.errors import CassetteExhausted, ConfigurationError, CorruptRecording, NoMatchingExchange, RecorderError
from recorder.serving.asked import Asked

#: A header that a page of another origin cannot send without being allowed to: it guards what changes something. In an
#: answer it tells that the server says this itself, and which error it is.
HEADER: Final = "x-recorder"

_SHOWN: Final = 100  # differences: a body that is quite another one has any number of them
_SAID: Final[tuple[tuple[type[RecorderError], int, str], ...]] = (
    (CassetteExhausted, 404, "cassette_exhausted"),
    (NoMatchingExchange, 404, "no_matching_exchange"),
    (CorruptRecording, 404, "corrupt_recording"),
    (ConfigurationError, 400, "configuration_error"),
)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that was not recorded.

    :ivar why: what it says of a request that is not answered; empty for other answers.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    why: str = ""


def refusal(status: int, kind: str, message: str, **more: Any) -> Reply:
    """Return an answer that says why there is no recorded one.

    :param kind: the ``type`` and ``code`` of the error.
    :param more: further members of it.
    """
    told = {"type": "error", "error": {"message": message, "type": kind, "param": None, "code": kind, **more}}
    return replace(reply(told, status, {"x-should-retry": "false", HEADER: kind}), why=message)


def reply(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Reply:
    """Return an answer with a value as JSON."""
    body = json.dumps(value, ensure_ascii=True).encode("ascii") + b"\n"
    fixed = {"content-type": "application/json", "cache-control": "no-store", "x-content-type-options": "nosniff"}
    return Reply(status, {**fixed, **(headers or {})}, body)


def refusal_of(error: RecorderError) -> Reply:
    """Return the answer that tells of an error."""
    more: dict[str, Sequence[str]] = {}
    if isinstance(error, NoMatchingExchange) and error.nearest:
        more = {"nearest": error.nearest, "differences": error.differences[:_SHOWN]}
    status, kind = next(((s, name) for cls, s, name in _SAID if isinstance(error, cls)), (500, "recorder_error"))
    return refusal(status, kind, str(error), **more)


def not_played(asked: Asked) -> Reply | None:
    """Return the answer to a request that no recording can be the answer to, whatever is recorded; else None."""
    if asked.method == "CONNECT":
        told = "the server is no tunnel, it holds no certificates: make its address the client's base URL"
        return refusal(501, "not_a_proxy", told)
    if asked.version != "1.1":
        return refusal(
            505, "not_http_1_1", f"the client asks with HTTP/{asked.version}: recordings are played over HTTP/1.1"
        )
    return None
