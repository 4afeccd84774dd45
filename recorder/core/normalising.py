"""Ids, dates and the ids of tool calls, taken out of a payload: in their places stand placeholders with numbers.

A number says which one it is by where it appears first in the payload, whose members are gone through in the order of
their names. So two payloads are the same once normalised exactly where renaming the ids of one gives the other: two ids
that differ are never taken for one, and two tool calls cannot change places.

What is recognised is meant to be too little rather than too much: an id that is not recognised is a miss, which says
where; a word that is taken for an id would let one prompt have another's answer. In a text only what cannot be anything
else is an id. Names of members, and what a member says of a model or a version, are left as they are.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from functools import lru_cache
from typing import Any, Final

_MARK: Final = "\0"  # around a placeholder; a text that holds it has it doubled
PLACEHOLDER: Final = re.compile("\0(?:\0|([a-z]+ [0-9]+)\0)")

_HEX: Final = "[0-9a-fA-F]"
_UUID: Final = f"{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}"
_UUID_HEX: Final = "(?:[0-9a-f]{12}[1-8][0-9a-f]{3}[89ab][0-9a-f]{15}|[0-9A-F]{12}[1-8][0-9A-F]{3}[89AB][0-9A-F]{15})"
_ULID: Final = "0(?=[0-9]*[A-Z])[0-9A-HJKMNP-TV-Z]{25}"
_ALNUM: Final = "[0-9A-Za-z]"
#: Ids of providers in a text: of a length that they have, since ``msg_`` and ``run_`` may begin other words too.
_MADE: Final = f"(?:{_UUID}|01{_ALNUM}{{22}}|[0-9a-f]{{32,}}|{_ALNUM}{{24}})"
_BEFORE: Final = r"(?:(?<![0-9A-Za-z])|(?<=\\[nrt]))"  # JSON in a text has its line ends written out
_BEFORE_NAME: Final = r"(?:(?<![\w-])|(?<=\\[nrt]))"
_AFTER: Final = "(?![0-9A-Za-z])"
_AFTER_NAME: Final = r"(?![\w-])"

_IDS: Final = (
    f"(?P<id>{_BEFORE}(?:{_UUID}|{_UUID_HEX}|{_ULID}){_AFTER}"
    f"|{_BEFORE_NAME}(?:(?:chatcmpl|cmpl)-(?!tool-)(?:{_UUID}|{_ALNUM}{{8,}})|gen-[0-9]{{10}}-{_ALNUM}{{20}}"
    f"|(?:req|msg|resp|rs|run|step|thread)_{_MADE}){_AFTER_NAME})"
)
_CALLS: Final = (
    f"(?P<call>{_BEFORE_NAME}(?:toolu_(?:[a-z]+_)?{_ALNUM}{{8,}}|chatcmpl-tool-(?:{_UUID}|{_ALNUM}{{8,}})"
    f"|(?:call|fc)_{_MADE}){_AFTER_NAME})"
)

_YEAR: Final = "(?:19|20)[0-9]{2}"
_MM, _DD = "(?:0[1-9]|1[0-2])", "(?:0[1-9]|[12][0-9]|3[01])"
_M, _D = "(?:0?[1-9]|1[0-2])", "(?:0?[1-9]|[12][0-9]|3[01])"
_DAY: Final = "(?:(?:mon|tues|wednes|thurs|fri|satur|sun)day|mon|tue|wed|thu|fri|sat|sun)"
_MONTH: Final = (
    "(?:january|february|march|april|may|june|july|august|september|october|november|december"
    r"|(?:jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)\b\.?)"
)
_TH: Final = f"{_D}(?:st|nd|rd|th)?"
_CLOCK: Final = "(?:[01]?[0-9]|2[0-3]):[0-5][0-9](?::[0-6][0-9](?:[.,][0-9]{1,9})?)?"
_ZONE: Final = "(?:Z|UTC|GMT|[ECMP][SD]T|CES?T|BST|IST|JST|[+-][0-9]{2}:?[0-9]{2})"
_TIME: Final = rf"{_CLOCK}(?:\ ?[ap]\.?m\b\.?)?(?:\ ?{_ZONE}\b)?"
_DATES: Final = (
    r"(?P<date>(?:(?<![\w\-.@/+:])|(?<=\\[nrt]))(?i:"
    rf"{_DAY}\ {_MONTH}\ +{_D}\ {_CLOCK}(?:\ {_ZONE})?\ {_YEAR}"  # as date(1) and ctime(3) write it
    rf"|(?:{_DAY},?\ )?(?:{_YEAR}-{_MM}-{_DD}|{_YEAR}/{_MM}/{_DD}|{_MONTH}\ {_TH},?\ {_YEAR}"
    rf"|{_TH}\ (?:of\ )?{_MONTH},?\ {_YEAR}|{_DD}-(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)-{_YEAR}"
    rf"|{_M}/{_D}/{_YEAR}|{_D}/{_M}/{_YEAR}|{_DD}\.{_MM}\.{_YEAR})"
    rf"(?:(?:T|,?\ (?:at\ )?){_TIME})?(?:\ \({_DAY}\))?"
    r")(?![\w\-/@]|\.\w))"
)
_PATTERNS: Final = {"ids": _IDS, "dates": _DATES, "tool_call_ids": _CALLS}

#: Members that hold the id of a tool call, of whichever provider.
_CALL_IDS: Final = frozenset({"tool_call_id", "tool_use_id", "call_id", "toolCallId", "toolUseId", "callId"})
#: Members that hold tool calls, one or a list, and the types that say that an object is one: their ``id`` is its.
_CALLS_IN: Final = frozenset({"tool_calls", "toolCalls", "functionCall", "functionResponse"})
_CALL_TYPES: Final = frozenset({"tool_use", "server_tool_use", "mcp_tool_use", "tool-call", "function_call"})
_ID_NAME: Final = re.compile(r"(?:.*_)?ids?|.*[a-z0-9]Ids?")
_PLAIN_ID: Final = re.compile(
    rf"(?:req|request|msg|resp|rs|chatcmpl|cmpl|gen|run|step|thread|conv|sess|session|trace|evt|item)[_-]{_ALNUM}{{8,}}"
)
_TIME_NAME: Final = re.compile(
    r"(?:.*_)?(?:timestamp|ts|time|epoch|unix|created|updated|now)|.*_at|.*[a-z0-9](?:At|Time|Timestamp)"
)
_UNIX: Final = re.compile(r"[1-3][0-9]{9}(?:[0-9]{3}){0,3}(?:\.[0-9]+)?")
_FIXED: Final = frozenset({"model", "version", "deployment", "engine"})
_WORD: Final = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])")
_CHANGES: Final = re.compile("(?<=[a-z])(?=[A-Z0-9])|(?<=[A-Z])(?=[0-9])|(?<=[0-9])(?=[A-Za-z])")


def normalised(value: Any, kinds: Collection[str]) -> Any:
    """Return a parsed payload, or a text, with placeholders in the places of what varies.

    :param value: a JSON value, or the text of a payload that is no JSON.
    :param kinds: of :data:`~recorder.core.match_rules.KINDS`.
    """
    calls = frozenset(_calls_of(value)) if "tool_call_ids" in kinds else frozenset()
    return _Walk(frozenset(kinds), calls).value(value, "", {}, "")


def shown(text: str) -> str:
    """Return a normalised text for people: ``<id 1>`` in the place of a placeholder."""
    return PLACEHOLDER.sub(lambda found: f"<{found.group(1)}>" if found.group(1) else _MARK, text)


@lru_cache(maxsize=8)
def _pattern(kinds: frozenset[str]) -> re.Pattern[str]:
    # The calls come before the ids: an id of a call may hold a UUID.
    return re.compile(
        "|".join([_MARK, *(_PATTERNS[kind] for kind in ("tool_call_ids", "ids", "dates") if kind in kinds)])
    )


@lru_cache(maxsize=512)
def _is_fixed(name: str) -> bool:
    return any(word.lower() in _FIXED for word in _WORD.findall(name))


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
    return name == "id" and (within in _CALLS_IN or (isinstance(kind, str) and kind in _CALL_TYPES))


class _Walk:
    """One payload under way: what was met so far has a number each."""

    def __init__(self, kinds: frozenset[str], calls: frozenset[str]) -> None:
        self._kinds = kinds
        self._calls = calls
        self._pattern = _pattern(kinds)
        self._numbers: dict[str, int] = {}

    def value(self, value: Any, name: str, holder: dict[str, Any], within: str) -> Any:
        """Return a value normalised.

        :param name: of the member whose value it is, or in whose list it is.
        :param holder: the object with that member; *within*: the member that holds this object.
        """
        if _is_fixed(name):
            return value
        if isinstance(value, dict):
            return {key: self.value(value[key], key, value, name) for key in sorted(value)}
        if isinstance(value, list):
            return [self.value(inner, name, holder, within) for inner in value]
        if isinstance(value, str):
            return self._text(value, name, holder, within) if type(value) is str else value
        if "dates" in self._kinds and isinstance(value, int | float) and not isinstance(value, bool):
            return self._unix(value, repr(value), "unix", name)
        return value

    def _text(self, text: str, name: str, holder: dict[str, Any], within: str) -> str:
        if self._calls and (_says_call(name, holder, within) or (name == "id" and text in self._calls)):
            return self._placeholder("call", text)
        if "dates" in self._kinds and text[:1].isdigit() and (unix := self._unix(text, text, "digits", name)) != text:
            return str(unix)
        if "ids" in self._kinds and _ID_NAME.fullmatch(name) and _is_plain_id(text):
            return self._placeholder("id", text)
        return self._pattern.sub(self._replaced, text)

    def _replaced(self, found: re.Match[str]) -> str:
        text, kind = found.group(), found.lastgroup
        if kind is None:
            return _MARK * 2
        if kind != "date" and not _looks_made(text):
            return text
        if kind == "date" and ":" in text:
            kind = "time"
        return self._placeholder(kind, text)

    def _unix(self, value: Any, written: str, kind: str, name: str) -> Any:
        if _TIME_NAME.fullmatch(name) and _UNIX.fullmatch(written):
            return self._placeholder(kind, written)
        return value

    def _placeholder(self, kind: str, text: str) -> str:
        return f"{_MARK}{kind} {self._numbers.setdefault(text, len(self._numbers) + 1)}{_MARK}"


def _is_plain_id(text: str) -> bool:
    """Whether what a member says is an id is one that a program made, and no name."""
    return bool(_PLAIN_ID.fullmatch(text)) and (bool(re.search("[0-9]", text)) or len(_CHANGES.findall(text)) >= 4)


def _looks_made(text: str) -> bool:
    """Whether an id is one that a program made: letters and digits change often, and it is no constant."""
    if re.fullmatch(_UUID, text):
        return len(set(text.lower()) - {"-"}) > 1  # the nil UUID, and the one of all ones, say that there is none
    prefix, _, made = re.split("([_-])", text, maxsplit=1) if re.search("[_-]", text) else ("", "", text)
    if prefix in ("chatcmpl", "cmpl", "gen", "toolu", "") or len(made) != 24 or made.startswith("01"):
        return True
    return len(_CHANGES.findall(made)) >= 5
