"""Two answers to one request, without what is another one each time: ids that a server makes, and the times of now.

For answers that no dialect reads. What is taken for an id or a time is what :mod:`recorder.core.normalising` takes for
one, each compared with its counterpart: their shapes have to agree. Where a member's name says that it holds an id, a
number may be another number, and a random word another one of the same form.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from recorder.core.made_ids import names_id
from recorder.core.match_rules import KINDS
from recorder.core.normalising import normalised

_DATA: Final = re.compile(r"data: ?")
_RUN: Final = re.compile("[0-9A-Za-z]+")
_MADE: Final = re.compile("(?=.*[0-9])[0-9A-Za-z]{6,}")  # a word of a model's name or of a language has less


def alike(before: str, now: str) -> tuple[str, str]:
    """Return two answers as they are compared: equal where they differ in nothing but ids and times.

    :param before: JSON, lines of JSON, server-sent events, or any other text; *now* likewise.
    """
    one, other = _documents(before), _documents(now)
    return _text(one), _text(_unified(one, other, ""))


def _documents(text: str) -> list[Any]:
    """Return the JSON value of a text, or of each of its lines; what is none stays text."""
    whole = _value(text)
    if whole is not None:
        return [whole]
    found = []
    for line in text.splitlines():
        data = _DATA.match(line)
        value = _value(line[data.end() :] if data else line)
        found.append(line if value is None else value)
    return found


def _value(text: str) -> Any:
    """Return a JSON object or array; None where the text is none."""
    if text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _text(documents: list[Any]) -> str:
    return "\n".join(one if isinstance(one, str) else json.dumps(one, ensure_ascii=False) for one in documents)


def _unified(one: Any, other: Any, name: str) -> Any:
    """Return *other* with the ids and times of *one*, where their shapes agree, and its members in that order."""
    if isinstance(one, dict) and isinstance(other, dict):
        found = {key: _unified(one[key], other[key], key) for key in one if key in other}
        return found | {key: value for key, value in other.items() if key not in one}
    if isinstance(one, list) and isinstance(other, list):
        shared = [_unified(left, right, name) for left, right in zip(one, other, strict=False)]
        return [*shared, *other[len(shared) :]]
    return one if type(one) is type(other) and _is_same(one, other, name) else other


def _is_same(one: Any, other: Any, name: str) -> bool:
    if names_id(name) and _form(one) is not None and _form(one) == _form(other):
        return True
    return bool(normalised({name: one}, KINDS) == normalised({name: other}, KINDS))


def _form(value: Any) -> str | None:
    """Return the form of what may be an id: of a text, its words that were made are left out; None where none is."""
    if isinstance(value, int) and not isinstance(value, bool):
        return "number"
    if not isinstance(value, str):
        return None
    form = _RUN.sub(lambda run: "#" if _MADE.fullmatch(run[0]) else run[0], value)
    return form if "#" in form else None
