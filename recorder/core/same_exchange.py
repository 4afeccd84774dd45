"""Whether an exchange that is brought under an id is the one that is there: what differs, by name.

What the file does not tell (``missing`` of its ``imported`` event) is not compared; nor is what came in with the
import itself, and the conversation, which is a matter of the store. Two recordings of ours are compared to the byte;
what other tools recorded may have been redacted with another key, and its markers are equal but for their fingerprints.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final, NamedTuple

from recorder.core.credentials import MARKER
from recorder.core.exchange import Exchange, Request, Response
from recorder.core.messages import ERASED

#: What can differ, and how people are told of it.
DIFFERS: Final[Mapping[str, str]] = {
    "kind": "what is there is no exchange",
    "not_readable": "what is there cannot be read",
    "call": "the call that it is an attempt of",
    "request": "method or URL of the request",
    "request_headers": "headers of the request",
    "request_body": "the body of the request",
    "status": "the status of the answer",
    "response_headers": "headers of the answer",
    "response_body": "the body of the answer",
    "chunks": "where its chunks were cut",
    "times": "its times",
    "end": "how it ended",
    "redacted": "what was redacted in it",
    "gaps": "whether something is missing from its recording",
    "told": "what the file tells beside its bodies, which is not what this version reads in them",
}
_MARKED: Final = "~redacted~"
_NONE: Final = Request("", "")


class Difference(NamedTuple):
    """What two exchanges of one id differ in.

    :ivar names: of :data:`DIFFERS`, in that order.
    :ivar beginning: ``store`` where what is there had not ended and all of it begins what is brought; ``file`` where it
        is the other way round; None where neither is so.
    """

    names: tuple[str, ...]
    beginning: str | None = None


def difference(there: Exchange, brought: Exchange) -> Difference | None:
    """Return what differs; None where all that is brought is there.

    :param there: of the store.
    :param brought: of the same id, as an import makes it; with an ``imported`` event.
    """
    names = tuple(_names(there, brought))
    if not names:
        return None
    if "not_readable" in names:
        return Difference(("not_readable",))
    if there.ending is None and not any(_names(there, _cut(brought, there))):
        return Difference(names, "store")
    begins = brought.ending is None and not any(_names(_cut(there, brought), brought))
    return Difference(names, "file" if begins else None)


def _cut(long: Exchange, short: Exchange) -> Exchange:
    """Return an exchange as it was when no more of it had come than of another one, which has no end."""
    return replace(
        long,
        ending=None,
        duration_ns=None,
        body=long.body[: len(short.body)],
        chunks=long.chunks[: len(short.chunks)],
        response=None if short.response is None else long.response,
        head_ns=None if short.response is None else long.head_ns,
    )


def _names(there: Exchange, brought: Exchange) -> Iterator[str]:
    if any(fact.kind == ERASED for fact in there.anomalies):
        yield "not_readable"
        return
    marked = "before" not in (brought.imported or {})  # it is no export of ours
    if not brought.lacks("request"):
        if not marked and (there.call, there.attempt) != (brought.call, brought.attempt):
            yield "call"
        yield from _request(there.request or _NONE, brought.request or _NONE, brought.lacks, marked=marked)
    if not brought.lacks("response_head"):
        yield from _response(there.response, brought.response, marked=marked)
    if not brought.lacks("response_body") and there.body != brought.body:
        yield "response_body"
    if not brought.lacks("chunk_boundaries") and _ends(there) != _ends(brought):
        yield "chunks"
    if any(not brought.lacks(name) and times(there) != times(brought) for name, times in _TIMES.items()):
        yield "times"
    if there.transport_end != brought.transport_end or not _same_facts(there, brought):
        yield "end"
    if not marked and _redacted(there) != _redacted(brought):
        yield "redacted"
    if bool(there.gaps) != bool(brought.gaps):
        yield "gaps"


def _request(there: Request, brought: Request, lacks: Callable[[str], bool], *, marked: bool) -> Iterator[str]:
    if not lacks("request_head"):
        urls = {there.url, there.url.partition("#")[0]}  # HAR has no fragments, and they are not sent
        if there.method != brought.method or not any(_same(url, brought.url, marked=marked) for url in urls):
            yield "request"
        if not _same(there.headers, brought.headers, marked=marked):
            yield "request_headers"
    if not lacks("request_body") and not _same(there.payload, brought.payload, marked=marked):
        yield "request_body"


def _response(there: Response | None, brought: Response | None, *, marked: bool) -> Iterator[str]:
    if there is None or brought is None:
        if there is not brought:
            yield "status"
        return
    if (there.status, there.reason) != (brought.status, brought.reason):
        yield "status"
    if not _same(there.headers, brought.headers, marked=marked) or there.framing != brought.framing:
        yield "response_headers"


def _ends(exchange: Exchange) -> list[int]:
    return [one.end for one in exchange.chunks]


def _arrivals(exchange: Exchange) -> list[int]:
    return [one.mono_ns - exchange.origin_ns for one in exchange.chunks]


_TIMES: Final[Mapping[str, Callable[[Exchange], Any]]] = {
    "started_at": lambda exchange: exchange.started_ns,
    "head_time": lambda exchange: exchange.head_ns,
    "chunk_times": _arrivals,
    "end_time": lambda exchange: exchange.duration_ns,
}


def _same_facts(there: Exchange, brought: Exchange) -> bool:
    """Whether what is brought of a failure is there; not all of it leaves with an export."""
    if brought.ending is None or there.ending is None:
        return True
    return _holds(there.ending.facts, brought.ending.facts)


def _holds(there: Any, brought: Any) -> bool:
    if isinstance(brought, Mapping) and isinstance(there, Mapping):
        return all(name in there and _holds(there[name], value) for name, value in brought.items())
    return _same(there, brought, marked=True)


def _redacted(exchange: Exchange) -> tuple[set[str], set[str]]:
    request, response = exchange.request, exchange.response
    return set(request.redacted if request else ()), set(response.redacted if response else ())


def _same(there: Any, brought: Any, *, marked: bool) -> bool:
    return bool(there == brought) or (marked and _plain(there) == _plain(brought))


def _plain(value: Any) -> Any:
    """A value without the fingerprints of its markers."""
    if isinstance(value, bytes):
        return MARKER.sub(_MARKED, value.decode("latin-1"))
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return MARKER.sub(_MARKED, value) if isinstance(value, str) else value
