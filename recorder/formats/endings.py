"""How an exchange began and ended, and what its answers are headed by, in words that several formats share."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Final

from recorder.core.exchange import Exchange
from recorder.core.json_text import plain, rfc3339
from recorder.core.messages import Choice
from recorder.core.verdict import Evidence

#: What a reader must know before an answer that is not complete.
WARNINGS: Final = {
    "truncated": "The answer was cut off before it was finished.",
    "aborted_by_client": "The client stopped reading before the answer was finished.",
    "errored": "The exchange failed.",
    "unknown": "It is not known whether this answer is whole.",
}
_FAILED_ENDS: Final = ("request_failed", "response_failed", "response_truncated")


def started(exchange: Exchange) -> str:
    """Return when it was sent; of an imported one of which nothing tells that, when it was imported."""
    if exchange.lacks("started_at"):
        return f"imported {rfc3339(exchange.imported_ns or 0)}"
    return rfc3339(exchange.started_ns)


def titled(choices: Sequence[Choice]) -> Iterator[tuple[str, Choice]]:
    """Yield the choices of an answer, each with its title: its role, and of several its index."""
    for choice in choices:
        role = choice.message.role or "answer, role not sent"
        yield f"{role} (choice {choice.index})" if len(choices) > 1 else role, choice


def error_text(evidence: Evidence) -> str | None:
    """Return what went wrong, on one line: how the transport failed, then the errors in the body; else None.

    A status of 400 or above and a client that stopped reading are told elsewhere, and no errors here.
    """
    told = []
    if evidence.transport_end in _FAILED_ENDS:
        facts = evidence.failure or {}
        words = [evidence.transport_end, *(str(facts[key]) for key in ("kind", "phase") if facts.get(key))]
        error = facts.get("error")
        message = error.get("message") if isinstance(error, dict) else None
        told.append(" ".join(words) + (f": {message}" if isinstance(message, str) and message else ""))
    told += [json.dumps(plain(frame), ensure_ascii=False, allow_nan=False) for frame in evidence.error_frames]
    return " ".join(plain("; ".join(told)).split()) or None
