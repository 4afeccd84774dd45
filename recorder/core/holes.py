"""No tool call with a hole in it is shown as whole.

Something of an answer may be missing in its midst: an event that could not be read, a frame with a wrong checksum, a
chunk that the recorder could not keep. What is around it may fit together all the same: of ``{"qty":1``, ``0`` and
``}`` without the second there is another order, and it parses. So a call is complete only where it can be shown that
nothing of it was in a hole: that it had come to its end before, or that it began after.

A call begins where the first piece of it came, if that names it: one without a name may have begun in the hole. It
ends where the provider said so, and no earlier than its last piece; where nothing said so, with the body.

Nor is a call whole that says two things (an object of its arguments, or of what brought them, has a name twice: which
of the values a tool gets depends on who reads it), or whose arguments came as bytes that are no text.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

from recorder.core.json_text import whole
from recorder.core.messages import Anomaly, Answer, Part, ToolCallPart

#: Kind of the fact that bytes were no UTF-8: the event that they are in was read, with U+FFFD in their place.
_MISREAD: Final = "invalid_utf8"
_REPLACED: Final = "\ufffd"
_SHOWN: Final = 60
_Place = tuple[int, int]
#: A name that an object has twice, a value of it that does not count, and the one that does.
_Twice = tuple[str, Any, Any]


def without_holes(answer: Answer, missing: Iterable[_Place], body: bytes) -> Answer:
    """Return *answer* with every call that may lack a part, or that says two things, as one that is not complete.

    :param missing: where something is missing from the recording, in the decoded body; where nobody knows how much,
        both ends of a place are the same.
    :param body: the decoded body.
    """
    if not any(call.complete for choice in answer.choices for call in choice.message.tool_calls):
        return answer
    holes = (*answer.holes, *missing)
    misread = [(fact.start or 0, fact.end or 0) for fact in answer.anomalies if fact.kind == _MISREAD]
    twice: list[Anomaly] = []
    known: dict[_Place, list[_Twice]] = {}  # a document has all calls of an answer

    def named(kind: str, what: str, part: ToolCallPart, names: Iterable[str]) -> bool:
        shown = ", ".join(f"{whole(name)[:_SHOWN]!r}" for name in dict.fromkeys(names))
        if shown:
            detail = f"{what} {part.name or 'a call'} have a name twice in one object: {shown}"
            twice.append(Anomaly(kind, detail, *(part.ranges[0] if part.ranges else ())))
        return bool(shown)

    def told(part: Part) -> Part:
        if not isinstance(part, ToolCallPart) or not part.complete:
            return part
        inside = named("tool_argument_repeated", "the arguments of", part, _names_twice(part, body))
        around = named("tool_field_repeated", "the fields that brought", part, _fields_twice(part, body, known))
        if inside or around or _may_lack(part, holes) or _is_misread(part, misread):
            return replace(part, complete=False, arguments=None)
        return part

    choices = tuple(
        replace(choice, message=replace(choice.message, parts=tuple(map(told, choice.message.parts))))
        for choice in answer.choices
    )
    return replace(answer, choices=choices, anomalies=(*answer.anomalies, *twice))


def _may_lack(call: ToolCallPart, holes: Iterable[_Place]) -> bool:
    """Whether a part of a call may have been in a hole."""
    first, last = (call.ranges[0][0], call.ranges[-1][1]) if call.ranges else (0, 0)
    begin = (first if call.told.begin is None else call.told.begin) if call.name else -1
    # That a call has no arguments says nothing but its end, and that may be what is missing.
    end = max(call.told.end, last) if call.told.end is not None and call.arguments_text else None
    return any(begin < after and (end is None or end > start) for start, after in holes)


def _is_misread(call: ToolCallPart, misread: Iterable[_Place]) -> bool:
    """Whether bytes that are no text stand in what a call says."""
    if not any(_REPLACED in text for text in (call.arguments_text, call.name or "", call.id or "")):
        return False
    return any(start < last and end > first for start, end in misread for first, last in call.ranges)


def _names_twice(call: ToolCallPart, body: bytes) -> list[str]:
    """The names that an object of a call's arguments has more than once."""
    found: list[tuple[str, Any]] = []

    def paired(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) < len(pairs):
            names = [name for name, _ in pairs]
            found.append((next(name for name in names if names.count(name) > 1), made))
        return made

    if not call.told.made_here:
        _read(call.arguments_text, paired)
        return [name for name, _ in found]
    # They came as a value in pieces, in which only the last of equal names is left: what was sent is in the bytes.
    for first, last in call.ranges:
        _read_any(body[first:last], paired)
    held = list(_objects(call.arguments)) if found else []
    return [name for name, made in found if made in held]


def _fields_twice(call: ToolCallPart, body: bytes, known: dict[_Place, list[_Twice]]) -> Iterator[str]:
    """Yield the names of which what brought a call has two values, where one of them is of the call, or nothing."""
    for place in call.ranges:
        if place not in known:
            known[place] = _twice_in(body[slice(*place)])
        for name, *values in known[place]:
            if any(value in ("", None) or _is_of(call, value) for value in values):
                yield name


def _twice_in(raw: bytes) -> list[_Twice]:
    found: list[_Twice] = []

    def paired(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) < len(pairs):
            found.extend((name, value, made[name]) for name, value in pairs if value != made[name])
        return made

    _read_any(raw, paired)
    return found


def _is_of(call: ToolCallPart, value: Any) -> bool:
    """Whether a value has something of a call in it."""
    if isinstance(value, str):
        return bool(value) and (value in (call.id, call.name) or value in call.arguments_text)
    if isinstance(value, dict):
        return value == call.arguments or any(_is_of(call, inner) for inner in value.values())
    return isinstance(value, list) and any(_is_of(call, inner) for inner in value)


def _read(text: str | bytes, paired: Callable[[list[tuple[str, Any]]], Any]) -> bool:
    try:
        json.loads(text, object_pairs_hook=paired)
    except (ValueError, RecursionError):
        return False
    return True


def _read_any(raw: bytes, paired: Callable[[list[tuple[str, Any]]], Any]) -> None:
    """Read JSON that stands in some bytes: as all of them, or one value a line with words of the protocol around it."""
    if not _read(raw, paired):
        decode = json.JSONDecoder(object_pairs_hook=paired).raw_decode
        for line in raw.splitlines():
            start = line.find(b"{")
            if start >= 0:
                with suppress(ValueError, RecursionError):
                    decode(line[start:].decode("utf-8", "replace"))


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every object in a value."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    for inner in value if isinstance(value, list) else ():
        yield from _objects(inner)
