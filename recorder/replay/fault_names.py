"""Faults by name: what :mod:`recorder.faults` offers, each checked as it is made."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from recorder.errors import ConfigurationError
from recorder.replay.faults import (
    CorruptGzip,
    Cut,
    Fault,
    Late,
    Malformed,
    Rewritten,
    Several,
    Stall,
    Status,
    Unreachable,
    require_fault,
)
from recorder.replay.rewriting import error_event, is_done, random_cuts, split_events, with_crlf

#: Ways in which :func:`cut` ends a stream.
ENDS: Final = ("close", "reset", "timeout")
_BOUNDARIES: Final = ("bytes", "events", "whole", "random", "crlf")


def cut(
    *,
    after_bytes: int | None = None,
    after_chunks: int | None = None,
    after_events: int | None = None,
    how: str = "close",
) -> Fault:
    """Return a fault: the stream ends early.

    :param after_bytes: of the body, before content decoding.
    :param after_chunks: as they were recorded: each ends where a read or a frame ended.
    :param after_events: server-sent events.
    :param how: ``"close"``: the connection is closed; ``"reset"``: it is reset; ``"timeout"``: nothing more
        comes, until the client's read timeout. A client that has none would wait for ever: it is told so, with
        :class:`~recorder.RecordingEnded`.
    :raises ConfigurationError: not exactly one place is given, or it is no count, or *how* is not known.
    """
    unit, after = _place("cut", after_bytes, after_chunks, after_events)
    one_of("how", how, ENDS)
    return Cut(after, unit, how)


def malformed(after_chunks: int) -> Fault:
    """Return a fault: after so many chunks comes a frame whose size is none (RFC 9112 §7.1).

    :raises ConfigurationError: it is no count.
    """
    return Malformed(_count("after_chunks", after_chunks))


def corrupt_gzip(after_bytes: int = 20) -> Fault:
    """Return a fault: the compressed body is damaged from that byte to the end of its chunk.

    :raises ConfigurationError: it is no count.
    """
    return CorruptGzip(_count("after_bytes", after_bytes))


def status(code: int, *, retry_after: float | str | None = None, body: object = None) -> Fault:
    """Return a fault: the server answers with another status, as 429, 500 or 503.

    :param retry_after: the ``Retry-After`` header: seconds, or a date as HTTP writes it.
    :param body: text or bytes, or a value that is sent as JSON; an error in the form of OpenAI's where it is left out.
    :raises ConfigurationError: the status is none of an answer, or *retry_after* nothing that a header can say, or the
        status is one without a body, and there is one.
    """
    if _count("code", code) not in range(200, 600):
        raise ConfigurationError(f"{code!r} is no status of an answer: use 200 to 599")
    if code in (204, 304):  # RFC 9110: these end with their head
        if body not in (None, "", b""):
            raise ConfigurationError(f"an answer with the status {code} has no body: leave it out")
        body = b""
    if isinstance(retry_after, int | float) and not 0 <= retry_after < float("inf"):
        raise ConfigurationError(f"retry_after={retry_after!r} is no number of seconds: use 0 or more, or a date")
    if isinstance(body, str | bytes):
        data = body if isinstance(body, bytes) else body.encode("utf-8", "surrogatepass")
        kind = "text/plain; charset=utf-8"
    else:
        value = {"error": {"message": f"a fault: {code}", "type": "fault", "code": code}} if body is None else body
        data, kind = json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass"), "application/json"
    told = None if retry_after is None else f"{retry_after:g}" if isinstance(retry_after, float) else str(retry_after)
    if told is not None and not (told.isascii() and told.isprintable()):
        raise ConfigurationError(f"retry_after={retry_after!r} is nothing that a header can say: use seconds or a date")
    return Status(code, told, data, kind)


def unreachable(how: str = "refused") -> Fault:
    """Return a fault: no connection can be made.

    :param how: ``"refused"`` or ``"timeout"``.
    :raises ConfigurationError: it is neither.
    """
    one_of("how", how, ("refused", "timeout"))
    return Unreachable(how)


def error_in_stream(after_events: int, error: object = None) -> Fault:
    """Return a fault: after so many server-sent events comes one with an error, and the stream ends well.

    :param error: the value of its ``error``; one in the form of OpenAI's where it is left out.
    :raises ConfigurationError: it is no count.
    """
    after = _count("after_events", after_events)
    told = {"message": "a fault: the server had an error", "type": "server_error"} if error is None else error

    def past(events: Sequence[bytes]) -> str | None:
        there = len(events)
        return None if after <= there else f"has {there:,} event{'' if there == 1 else 's'}: use a place among them"

    return Rewritten(
        f"error-after-{after}-events",
        lambda body: [*split_events(body)[:after], error_event(told)],
        why_not=past,
    )


def rechunk(boundaries: str, *, seed: int = 0) -> Fault:
    """Return a fault: the same body, cut elsewhere.

    :param boundaries: ``"bytes"``: one by one; ``"events"``: a server-sent event each; ``"whole"``: all in one;
        ``"random"``; ``"crlf"``: with lines that end in CRLF, cut between the two.
    :param seed: of ``"random"``: the same cuts for the same seed.
    :raises ConfigurationError: they are not known, or the seed is no number.
    """
    given: object = seed
    if not isinstance(given, int):
        raise ConfigurationError(f"seed={seed!r} is no number: use 0, 1, …")
    one_of("boundaries", boundaries, _BOUNDARIES)
    ways = {
        "bytes": lambda body: [body[at : at + 1] for at in range(len(body))],
        "events": split_events,
        "whole": lambda body: [body],
        "random": lambda body: random_cuts(body, seed),
        "crlf": with_crlf,
    }
    name = f"rechunk-{boundaries}-{seed}" if boundaries == "random" else f"rechunk-{boundaries}"
    return Rewritten(name, ways[boundaries], reads_events=boundaries in ("events", "crlf"))


def done_missing() -> Fault:
    """Return a fault: the stream ends without its ``data: [DONE]``."""
    return Rewritten(
        "done-missing",
        lambda body: [event for event in split_events(body) if not is_done(event)],
        why_not=_without_done,
    )


def done_twice() -> Fault:
    """Return a fault: the stream's ``data: [DONE]`` comes twice."""
    return Rewritten(
        "done-twice",
        lambda body: [each for event in split_events(body) for each in [event] * (1 + is_done(event))],
        why_not=_without_done,
    )


def late(seconds: float) -> Fault:
    """Return a fault: everything that is received comes so much later; with a pace of 0 nobody waits for it.

    :raises ConfigurationError: it is no number of seconds.
    """
    return Late(_seconds(seconds))


def stall(
    seconds: float,
    *,
    after_bytes: int | None = None,
    after_chunks: int | None = None,
    after_events: int | None = None,
) -> Fault:
    """Return a fault: the stream pauses so long in its middle; with a pace of 0 nobody waits for it.

    :param after_bytes: of the body, before content decoding.
    :param after_chunks: as they were recorded.
    :param after_events: server-sent events.
    :raises ConfigurationError: not exactly one place is given, or it is no count, or there is no number of seconds.
    """
    unit, after = _place("stall", after_bytes, after_chunks, after_events)
    return Stall(_seconds(seconds), after, unit)


def several(*faults: Fault) -> Fault:
    """Return a fault that is these, one after the other.

    :raises ConfigurationError: there is none, or one of them is none.
    """
    if not faults:
        raise ConfigurationError("several() names no fault: give it at least one")
    return Several(tuple(map(require_fault, faults)))


def _without_done(events: Sequence[bytes]) -> str | None:
    return None if any(map(is_done, events)) else "has no data: [DONE]"


def one_of(name: str, value: object, allowed: tuple[str, ...]) -> None:
    """Refuse a value that is none of those that are allowed.

    :raises ConfigurationError: it is none of them.
    """
    if value not in allowed:
        raise ConfigurationError(f"{name}={value!r} is not known: use {', '.join(map(repr, allowed))}")


def _place(verb: str, after_bytes: int | None, after_chunks: int | None, after_events: int | None) -> tuple[str, int]:
    """Return where something happens: a unit, and after how many of it."""
    given = {"bytes": after_bytes, "chunks": after_chunks, "events": after_events}
    places = {unit: after for unit, after in given.items() if after is not None}
    if len(places) != 1:
        raise ConfigurationError(f"say where to {verb}: one of after_bytes, after_chunks and after_events")
    ((unit, after),) = places.items()
    return unit, _count(f"after_{unit}", after)


def _seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        raise ConfigurationError(f"{value!r} is no number of seconds: use 0 or more")
    return float(value)


def _count(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ConfigurationError(f"{name}={value!r} is no count: use 0 or more")
    return value
