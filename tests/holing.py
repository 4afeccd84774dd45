"""Answers with a hole: one of their events, lines or frames made unreadable, or not recorded."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator

from recorder.core.eventstream import FrameParser
from recorder.core.exchange import fold
from recorder.core.rebuilt import Rebuilt
from recorder.dialects.rebuild import rebuild
from tests.building import ExchangeBuilder

LOST = {"events": 1, "bytes": 120, "from_ns": 1, "to_ns": 2, "reason": "disk full"}
_SEPARATORS = {"sse": re.compile(rb"\r?\n\r?\n"), "ndjson": re.compile(rb"\n")}
_OBJECT = re.compile(rb"(?m)^(data: ?|)\{")


def units_of(body: bytes, shape: str) -> list[tuple[int, int]]:
    """Return where the events, lines or frames of a body are that hold an object; none of another shape."""
    if shape == "eventstream":
        return [(frame.start, frame.end) for frame in FrameParser().feed(body)]
    found, at = [], 0
    for end in _SEPARATORS[shape].finditer(body) if shape in _SEPARATORS else ():
        if _OBJECT.search(body, at, end.end()):
            found.append((at, end.end()))
        at = end.end()
    return found


def broken(raw: bytes, shape: str) -> bytes:
    """Return an event, a line or a frame that cannot be read."""
    return raw[:-1] + bytes([raw[-1] ^ 1]) if shape == "eventstream" else _OBJECT.sub(rb"\1{{", raw)


def holed(body: bytes, start: int, end: int, shape: str) -> Iterator[list[bytes | None]]:
    """Yield a body with what is at a place made unreadable, and not recorded: the pieces, None where there is a gap."""
    yield [body[:start] + broken(body[start:end], shape) + body[end:]]
    yield [body[:start], None, body[end:]]


def recorded(
    pieces: Iterable[bytes | None], url: str, headers: Iterable[tuple[str, str]], *, imported: bool = False
) -> Rebuilt:
    """Return an exchange of such pieces, rebuilt."""
    built = ExchangeBuilder()
    if imported:
        built.event("imported", {"missing": []})
    built.request({"messages": []}, url=url).response(headers=headers)
    for piece in pieces:
        if piece is None:
            built.event("gap_recorded", LOST)
        else:
            built.chunks(piece)
    exchange = fold(built.completed().events)
    assert exchange is not None
    return rebuild(exchange)


def whole_calls(rebuilt: Rebuilt) -> set[tuple[str | None, str | None, str]]:
    """Return the calls that are shown as complete."""
    calls = (call for message in rebuilt.answer_messages for call in message.tool_calls if call.complete)
    return {(call.id, call.name, json.dumps(call.arguments, sort_keys=True)) for call in calls}
