"""Ids, dates and the ids of tool calls, taken out of a payload: in their places stand placeholders with numbers.

A number says which one it is by where it appears first in the payload, whose members are gone through in the order of
their names. So two payloads are the same once normalised exactly where renaming the ids of one gives the other: two ids
that differ are never taken for one, and two tool calls cannot change places. Dates are numbered from the earliest to
the latest one instead: which of two comes first is part of what was said.

What is recognised is meant to be too little rather than too much: an id that is not recognised is a miss, which says
where; a word that is taken for an id would let one prompt have another's answer. So names of members are left as they
are, URLs, what a member says of a model or a version, and what refers to something that the server keeps: a file, an
assistant, an earlier response.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from functools import lru_cache
from typing import Any, Final

from recorder.core.made_ids import find_ids, says_id
from recorder.core.moments import Moment, find_moments, unix_ns

_MARK: Final = "\0"  # around a placeholder; a text that holds it has it doubled
_PLACEHOLDER: Final = re.compile("\0(?:\0|([a-z]+) ([0-9]+)\0)")
_DATED: Final = frozenset({"date", "time", "unix", "digits"})

#: Members that hold the id of a tool call, of whichever provider.
_CALL_IDS: Final = frozenset(
    {"tool_call_id", "tool_use_id", "call_id", "toolCallId", "toolUseId", "callId", "approval_request_id"}
)
#: Members that hold tool calls, one or a list, and the types that say that an object is one: their ``id`` is its.
_CALLS_IN: Final = frozenset(
    {"tool_calls", "toolCalls", "functionCall", "functionResponse", "function_call", "function_response"}
)
_CALL_TYPES: Final = re.compile(r"(?:\w+_)?tool_use|tool-call|\w+_call|mcp_approval_request")
_TIME_NAME: Final = re.compile(
    r"(?:.*_)?(?:timestamp|ts|epoch|unix|created|updated|now)|time|.*_at|.*[a-z0-9](?:At|Timestamp)"
    r"|(?:.*_)?(?:start|end|event|current|creation|update|expiry|request)(?:_time|Time)"
)
_FIXED: Final = frozenset({"model", "version", "deployment", "engine"})
#: What an id may refer to that the server keeps.
_KEPT: Final = frozenset(
    {"assistant", "attachment", "dataset", "document", "file", "image", "response", "store", "thread"}
)
_URL: Final = re.compile(r"\b[A-Za-z][0-9A-Za-z+.-]{0,30}://[^\s\"'<>\\)\]}]+")
_WORD: Final = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])")


def normalised(value: Any, kinds: Collection[str]) -> Any:
    """Return a parsed payload, or a text, with placeholders in the places of what varies.

    :param value: a JSON value, or the text of a payload that is no JSON.
    :param kinds: of :data:`~recorder.core.match_rules.KINDS`.
    """
    calls = frozenset(_calls_of(value)) if "tool_call_ids" in kinds else frozenset()
    walk = _Walk(frozenset(kinds), calls)
    return walk.ordered(walk.value(value, "", {}, ""))


def shown(text: str) -> str:
    """Return a normalised text for people: ``<id 1>`` in the place of a placeholder."""
    return _PLACEHOLDER.sub(lambda found: f"<{found[1]} {found[2]}>" if found[1] else _MARK, text)


@lru_cache(maxsize=512)
def _is_fixed(name: str) -> bool:
    words = [word.lower() for word in _WORD.findall(name)]
    refers = words[-1:] in (["id"], ["ids"]) and not _KEPT.isdisjoint(words)
    return refers or not _FIXED.isdisjoint(words)


def _calls_of(value: Any, name: str = "") -> Iterator[str]:
    """Yield the ids that some member says are those of tool calls."""
    if isinstance(value, dict):
        for inner_name, inner in value.items():
            if isinstance(inner, str) and _says_call(inner_name, value, name):
                yield inner
            yield from _calls_of(inner, inner_name)
    elif isinstance(value, list):
        for inner in value:
            yield from _calls_of(inner, name)


def _says_call(name: str, holder: dict[str, Any], within: str) -> bool:
    if name in _CALL_IDS:
        return True
    kind = holder.get("type")
    return name == "id" and (within in _CALLS_IN or (isinstance(kind, str) and bool(_CALL_TYPES.fullmatch(kind))))


class _Walk:
    """One payload under way: what was met so far has a number each."""

    def __init__(self, kinds: frozenset[str], calls: frozenset[str]) -> None:
        self._kinds = kinds
        self._calls = calls
        self._numbers: dict[str, int] = {}
        self._moments: dict[Moment, int] = {}

    def value(self, value: Any, name: str, holder: dict[str, Any], within: str) -> Any:
        """Return a value normalised.

        :param name: of the member whose value it is, or in whose list it is.
        :param holder: the object with that member; *within*: the member that holds this object.
        """
        if _is_fixed(name) or (name == "id" and holder.get("type") == "item_reference"):
            return _mapped(value, _escaped)
        if isinstance(value, dict):
            return {key: self.value(value[key], key, value, name) for key in sorted(value)}
        if isinstance(value, list):
            return [self.value(inner, name, holder, within) for inner in value]
        if type(value) is str:
            return self._text(value, name, holder, within)
        if "dates" in self._kinds and isinstance(value, int | float) and not isinstance(value, bool):
            return self._unix(value, "unix", name)
        return value

    def _text(self, text: str, name: str, holder: dict[str, Any], within: str) -> str:
        if self._calls and (_says_call(name, holder, within) or (name == "id" and text in self._calls)):
            return self._placeholder("call", text)
        if "dates" in self._kinds and text[:1].isdigit() and (unix := self._unix(text, "digits", name)) != text:
            return str(unix)
        if "ids" in self._kinds and says_id(name, text):
            return self._placeholder("id", text)
        if _MARK in text:
            text = _escaped(text)
        text = self._replaced(text, find_ids(text, self._kinds), self._placeholder)
        return self._replaced(text, find_moments(text), self._dated) if "dates" in self._kinds else text

    def _replaced(
        self, text: str, found: Iterator[tuple[int, int, Any]], placeholder: Callable[[Any, str], str]
    ) -> str:
        """Return a text with a placeholder for each that was found in it, but in URLs."""
        pieces, done = [], 0
        urls = _URL.finditer(text) if "://" in text else iter(())
        url = next(urls, None)
        for start, end, what in found:
            while url is not None and url.end() <= start:
                url = next(urls, None)
            if url is None or start < url.start():
                pieces += [text[done:start], placeholder(what, text[start:end])]
                done = end
        return "".join([*pieces, text[done:]]) if pieces else text

    def _unix(self, value: Any, kind: str, name: str) -> Any:
        if not _TIME_NAME.fullmatch(name) or (time_ns := unix_ns(str(value))) is None:
            return value
        return self._ranked(kind, (time_ns,))

    def _placeholder(self, kind: str, text: str) -> str:
        return f"{_MARK}{kind} {self._numbers.setdefault(text, len(self._numbers) + 1)}{_MARK}"

    def _dated(self, moment: Moment, text: str) -> str:
        return self._ranked("time" if len(moment) > 3 else "date", moment)

    def _ranked(self, kind: str, moment: Moment) -> str:
        return f"{_MARK}{kind} {self._moments.setdefault(moment, len(self._moments))}{_MARK}"

    def ordered(self, value: Any) -> Any:
        """Return what :meth:`value` made, with its dates numbered from the earliest to the latest."""
        if not self._moments:
            return value
        ranks = {self._moments[moment]: rank for rank, moment in enumerate(sorted(self._moments), 1)}

        def ranked(found: re.Match[str]) -> str:
            kind = found[1]
            return f"{_MARK}{kind} {ranks[int(found[2])]}{_MARK}" if kind in _DATED else found[0]

        return _mapped(value, lambda text: _PLACEHOLDER.sub(ranked, text) if _MARK in text else text)


def _mapped(value: Any, change: Callable[[str], str]) -> Any:
    """Return a JSON value with its texts changed."""
    if isinstance(value, dict):
        return {name: _mapped(inner, change) for name, inner in value.items()}
    if isinstance(value, list):
        return [_mapped(inner, change) for inner in value]
    return change(value) if type(value) is str else value


def _escaped(text: str) -> str:
    return text.replace(_MARK, _MARK * 2)
