"""Where an answer ends in a file that holds several, one after the other.

Only what the answer itself says is an end: the end marker of a dialect, or that it is a whole JSON document. Where
nothing said so, what follows belongs to the answer, so that no body is ever cut in two.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from recorder.core.json_text import parse_json
from recorder.core.sse import SSEParser

_BOM: Final = b"\xef\xbb\xbf"
_STEP: Final = 256 * 1024
_STREAM: Final = re.compile(rb"\s*(?:data|event|id|retry|):")
_OBJECT: Final = re.compile(rb"\s*+([{\[][^\n]*+)")
#: What may stand between the last event and the end of a body: nothing that says anything, or one line of data to
#: which only the empty line is missing that dispatches it, and perhaps its own end.
_REST: Final = re.compile(rb"(?:[ \t]*+\r?\n|:[^\r\n]*+\r?\n)*+(?:event:[^\r\n]*+\r?\n)?(?:data:([^\r\n]*+)(\r?\n)?)?")
#: The last event of a stream, by ``type`` or, in Cohere's first version, ``event_type``.
_LAST: Final = frozenset(
    {"message_stop", "message-end", "stream-end", "response.completed", "response.incomplete", "response.failed"}
)
#: The first one.
_FIRST: Final = frozenset({"message_start", "message-start", "stream-start", "response.created"})


def ends_of_streams(body: bytes) -> Iterator[int]:
    """Yield where each answer ends but the last, in server-sent events: where another one begins after an end marker.

    White space after an answer is its own, as it is where nothing follows it.
    """
    parser, ended, end = SSEParser(), False, 0
    pieces = (body[at : at + _STEP] for at in range(0, len(body), _STEP))
    for data, name, _, _, until in (event for piece in pieces for event in parser.feed(piece)):
        value = _value(data)
        if ended and _begins(value):
            while body[end : end + 1].isspace():
                end += 1
            yield end
            ended = False
        ended = ended or _ends(data, value, name)
        end = until


def ends_of_lines(body: bytes) -> Iterator[int]:
    """Yield where each answer ends but the last, in lines of Ollama: where one begins after a line that is ``done``."""
    ended = False
    for start, line in _lines(body):
        value = _value(line if start else line.removeprefix(_BOM))
        if ended and is_line(value):
            yield start
            ended = False
        ended = ended or _is_done(value)


def is_line(value: Any) -> bool:
    """Whether a value tells a model, whether it is the last one, and a piece of a message or of a text, as Ollama's."""
    return (
        isinstance(value, dict)
        and isinstance(value.get("model"), str)
        and isinstance(value.get("done"), bool)
        and (isinstance(value.get("message"), dict) or isinstance(value.get("response"), str))
    )


def first_whole(data: bytes, start: int, places: Iterable[int]) -> int | None:
    """Return the first of some places at which what stands before it is a whole answer; None where none is.

    :param start: where the answer begins.
    :param places: after that, in their order; at each stands a line that is none of JSON.
    """
    if _STREAM.match(data, start):
        return _first_of_stream(data, start, places)
    begun = _OBJECT.match(data, start)
    if begun is None:
        return None
    first = _value(begun[1])
    is_of_lines = is_line(first) or (isinstance(first, dict) and isinstance(first.get("event_type"), str))
    is_first = True
    for place in places:
        # What is no JSON up to the first place is none up to another; the first line of a stream is JSON, too.
        if is_first and not is_of_lines and _value(data[start:place]) is not None:
            return place
        if is_of_lines and _ends("", _line_before(data, place), ""):
            return place
        is_first = False
    return None


def _first_of_stream(data: bytes, start: int, places: Iterable[int]) -> int | None:
    parser, ended, at, end = SSEParser(), False, start, 0
    for place in places:
        for text, name, _, _, until in parser.feed(data[at:place]):
            ended, end = _is_over(ended, text, name), until
        at = place
        rest = _REST.fullmatch(data, start + end, place)
        if rest is None:
            continue
        pending = (rest[1] or b"").decode("utf-8", "replace")
        if _is_over(ended and (rest[1] is None or rest[2] is not None), pending, ""):
            return place
    return None


def _is_over(ended: bool, data: str, name: str) -> bool:
    """Whether an answer has ended with an event, or had before it and does not go on; one that failed has."""
    value = _value(data)
    kind = _kind(value)
    failed = name == "error" or (isinstance(value, dict) and bool(value.get("error")))
    goes_on = _begins(value) or kind not in (None, "ping")
    return failed or _ends(data, value, name) or (ended and not goes_on)


def _line_before(data: bytes, place: int) -> Any:
    """Return the value of the last line before a place that is not blank."""
    end = place
    while end and data[end - 1 : end].isspace():
        end -= 1
    return _value(data[data.rfind(b"\n", 0, end) + 1 : end])


def _lines(body: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(body):
        end = body.find(b"\n", at) + 1 or len(body)
        yield at, body[at:end]
        at = end


def _value(text: str | bytes) -> Any:
    try:
        return parse_json(text)
    except ValueError:
        return None


def _ends(data: str, value: Any, name: str) -> bool:
    """Whether an event is the last one of an answer."""
    if not isinstance(value, dict):
        return data.strip() == "[DONE]"
    return (_kind(value) or name) in _LAST or _is_done(value)


def _kind(value: Any) -> str | None:
    """Return what an event's value says that it is; None where it says nothing."""
    kind = value.get("type", value.get("event_type")) if isinstance(value, dict) else None
    return kind if isinstance(kind, str) else None


def _is_done(value: Any) -> bool:
    return is_line(value) and value["done"] is True


def _begins(value: Any) -> bool:
    """Whether an event begins an answer, or, where a dialect has no first event, holds a piece of one."""
    if not isinstance(value, dict):
        return False
    pieces = (value.get("choices"), value.get("candidates"), value.get("prompt_filter_results"))
    return _kind(value) in _FIRST or any(isinstance(piece, list) and piece for piece in pieces) or is_line(value)
