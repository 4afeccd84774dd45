"""Ids that programs make, as they stand in texts and in JSON: UUIDs, ULIDs, those of providers, those of tool calls.

In a text only what cannot be anything else is an id, since texts hold the names of functions and of files too: ``run_``
and ``call_`` have to be followed by as many random letters and digits as providers put there. A member whose name
says that it holds an id may hold shorter ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

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
    f"|(?:req|msg|resp|rs|run|step)_{_MADE}){_AFTER_NAME})"
)
_CALLS: Final = (
    f"(?P<call>{_BEFORE_NAME}(?:toolu_(?:[a-z]+_)?{_ALNUM}{{8,}}|chatcmpl-tool-(?:{_UUID}|{_ALNUM}{{8,}})|tooluse_[\\w-]{{22}}"
    f"|(?:call|fc)_{_MADE}){_AFTER_NAME})"
)
#: Whatever may hold an id: one begins where a word does, or after a hyphen or an underscore in it.
_WORD: Final = re.compile(r"\b[\w-]{13,}")
_SEPARATOR: Final = re.compile("[-_]")
_DIGIT: Final = re.compile("[0-9]")
_ID_NAME: Final = re.compile(r"(?:.*_)?ids?|.*[a-z0-9]Ids?")
_PLAIN_ID: Final = re.compile(
    rf"(?:req|request|msg|resp|rs|chatcmpl|cmpl|gen|run|step|sess|session|trace|evt|item)[_-]{_ALNUM}{{8,}}"
)
_CHANGES: Final = re.compile("(?<=[a-z])(?=[A-Z0-9])|(?<=[A-Z])(?=[0-9])|(?<=[0-9])(?=[A-Za-z])")


@lru_cache(maxsize=8)
def _pattern(kinds: frozenset[str]) -> re.Pattern[str] | None:
    # The calls come before the ids: an id of a call may hold a UUID.
    wanted = [pattern for kind, pattern in (("tool_call_ids", _CALLS), ("ids", _IDS)) if kind in kinds]
    return re.compile("|".join(wanted)) if wanted else None


def find_ids(text: str, kinds: frozenset[str]) -> Iterator[tuple[int, int, str]]:
    """Yield where ids are in a text: start, end, and ``id`` or ``call``.

    :param kinds: which are looked for: ``ids``, ``tool_call_ids``.
    """
    pattern = _pattern(kinds)
    if pattern is None:
        return
    for word in _WORD.finditer(text):
        at, end = word.span()
        if text[at - 1 : at] == "\\" and text[at] in "nrt":  # JSON in a text has its line ends written out
            at += 1
        while True:
            found = pattern.match(text, at)
            if found is not None and _looks_made(found.group()):
                yield found.start(), found.end(), str(found.lastgroup)
                at = found.end()
            separator = _SEPARATOR.search(text, at, end)
            if separator is None:
                break
            at = separator.end()


def names_id(name: str) -> bool:
    """Whether a member of this name holds an id, a program's own or somebody else's."""
    return _ID_NAME.fullmatch(name) is not None


def says_id(name: str, text: str) -> bool:
    """Whether a member of this name holds an id that a program made."""
    if not names_id(name) or not _PLAIN_ID.fullmatch(text):
        return False
    return bool(_DIGIT.search(text)) or len(_CHANGES.findall(text)) >= 4  # else it is rather a name


def _looks_made(text: str) -> bool:
    """Whether an id is one that a program made: letters and digits change often, and it is no constant."""
    if re.fullmatch(_UUID, text):
        return len(set(text.lower()) - {"-"}) > 1  # the nil UUID, and the one of all ones, say that there is none
    prefix, _, made = re.split("([_-])", text, maxsplit=1) if re.search("[_-]", text) else ("", "", text)
    if prefix in ("chatcmpl", "cmpl", "gen", "toolu", "tooluse", "") or len(made) != 24 or made.startswith("01"):
        return True
    return len(_CHANGES.findall(made)) >= 5
