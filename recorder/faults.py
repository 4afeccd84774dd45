"""Faults on demand: what a program does when the stream of a recorded answer breaks.

::

    from recorder import Player
    from recorder.faults import cut

    with Player("sqlite:///recordings.db", fault=cut(after_events=3, how="reset")) as player:
        ...

A fault changes what is played, and nothing that is recorded. The HTTP library that reads it is the real one: it raises
what it raises when a server does that.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from recorder.errors import ConfigurationError, NotFound
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
)
from recorder.replay.rewriting import error_event, is_done, random_cuts, sample, split_events, with_crlf

if TYPE_CHECKING:
    from recorder.api.store import Store

__all__ = [
    "Fault",
    "corrupt_gzip",
    "cut",
    "done_missing",
    "done_twice",
    "error_in_stream",
    "every_cut",
    "late",
    "malformed",
    "rechunk",
    "several",
    "stall",
    "status",
    "unreachable",
]

_ENDS: Final = ("close", "reset", "timeout")
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
    _one_of("how", how, _ENDS)
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
    :raises ConfigurationError: the status is none of an answer.
    """
    if _count("code", code) not in range(200, 600):
        raise ConfigurationError(f"{code!r} is no status of an answer: use 200 to 599")
    if isinstance(body, str | bytes):
        data, kind = body if isinstance(body, bytes) else body.encode(), "text/plain; charset=utf-8"
    else:
        value = {"error": {"message": f"a fault: {code}", "type": "fault", "code": code}} if body is None else body
        data, kind = json.dumps(value, ensure_ascii=False).encode(), "application/json"
    told = None if retry_after is None else f"{retry_after:g}" if isinstance(retry_after, float) else str(retry_after)
    return Status(code, told, data, kind)


def unreachable(how: str = "refused") -> Fault:
    """Return a fault: no connection can be made.

    :param how: ``"refused"`` or ``"timeout"``.
    :raises ConfigurationError: it is neither.
    """
    _one_of("how", how, ("refused", "timeout"))
    return Unreachable(how)


def error_in_stream(after_events: int, error: object = None) -> Fault:
    """Return a fault: after so many server-sent events comes one with an error, and the stream ends well.

    :param error: the value of its ``error``; one in the form of OpenAI's where it is left out.
    :raises ConfigurationError: it is no count.
    """
    after = _count("after_events", after_events)
    told = {"message": "a fault: the server had an error", "type": "server_error"} if error is None else error
    return Rewritten(f"error-after-{after}-events", lambda body: [*split_events(body)[:after], error_event(told)])


def rechunk(boundaries: str, *, seed: int = 0) -> Fault:
    """Return a fault: the same body, cut elsewhere.

    :param boundaries: ``"bytes"``: one by one; ``"events"``: a server-sent event each; ``"whole"``: all in one;
        ``"random"``; ``"crlf"``: with lines that end in CRLF, cut between the two.
    :param seed: of ``"random"``: the same cuts for the same seed.
    :raises ConfigurationError: they are not known.
    """
    _one_of("boundaries", boundaries, _BOUNDARIES)
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
    return Rewritten("done-missing", lambda body: [event for event in split_events(body) if not is_done(event)])


def done_twice() -> Fault:
    """Return a fault: the stream's ``data: [DONE]`` comes twice."""
    return Rewritten(
        "done-twice", lambda body: [each for event in split_events(body) for each in [event] * (1 + is_done(event))]
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
    """Return a fault that is these, one after the other."""
    return Several(faults)


def every_cut(
    source: str | os.PathLike[str] | Store,
    exchange: str | None = None,
    *,
    by: str = "chunks",
    how: str = "close",
    most: int | None = None,
    seed: int = 0,
) -> list[Fault]:
    """Return every cut of a recorded stream that loses something of it, for a test to be run at each.

    ::

        @pytest.mark.parametrize("fault", every_cut("sqlite:///recordings.db", "order"), ids=str)

    :param exchange: id of the exchange, or a part of it that no other has; of a conversation, its id or name, the last.
        Where it is left out, the last of all.
    :param by: ``"chunks"``, ``"events"`` or ``"bytes"``.
    :param how: as in :func:`cut`.
    :param most: so many at most, chosen at random, the same ones for the same *seed*.
    :raises ConfigurationError: *by* or *how* is not known.
    :raises NotFound: there is no such exchange.
    """
    from recorder.api.store import Store

    _one_of("by", by, ("chunks", "events", "bytes"))
    _one_of("how", how, _ENDS)
    store = source if isinstance(source, Store) else Store(source)
    try:
        last = store.exchanges_of(store.resolve(exchange))[-1] if exchange is not None else _newest(store)
        chunks = [event.body or b"" for event in store.events(last) if event.type == "chunk_received"]
    finally:
        if store is not source:
            store.close()
    body = b"".join(chunks)
    sizes = {"chunks": len(chunks), "events": len(split_events(body)), "bytes": len(body)}
    places: Sequence[int] = range(sizes[by])
    if most is not None and most < len(places):
        places = sample(len(places), most, seed)
    return [Cut(after, by, how) for after in places]


def _newest(store: Store) -> str:
    newest = next(iter(store.exchanges(limit=1)), None)
    if newest is None:
        raise NotFound("the recording is empty: there is no exchange to cut")
    return str(newest["id"])


def _one_of(name: str, value: object, allowed: tuple[str, ...]) -> None:
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
