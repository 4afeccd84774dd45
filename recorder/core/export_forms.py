"""Whether a redacted exchange is still what it was, but for what was left out: nothing in it was lost on the way.

The rules change values and let the words of a protocol stay (:mod:`recorder.core.export_words`). This is the second
line of defence, for words that are not known there: whatever was read from the request, the answer and the end is read
from them still, as often, in the same order and of the same kind. Only texts may say less.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, Final

from recorder.core.export_rules import MARKER
from recorder.core.json_pieces import COPIES
from recorder.core.messages import MediaPart, Message, ReasoningPart, RefusalPart, TextPart, ToolCallPart
from recorder.core.rebuilt import Rebuilt

#: Parts that may have become fewer: of those that made a secret together, all but the first may be empty now.
_TEXTS: Final = (TextPart, ReasoningPart, RefusalPart)
#: Where something is, what goes with a text that it repeats, and what is made of other fields.
_PASSED_OVER: Final = frozenset({"ranges", "told", "holes", "anomalies", "logprobs", "tokens", "parts"})
#: Words and counts that have to be the very same.
_EXACT: Final = frozenset(
    {
        *("dialect", "shape", "understood", "whole", "sentinel_seen", "events", "pending"),
        *("index", "finish_reasons", "finish", "failed", "role", "complete", "legacy", "kind"),
    }
)
#: Lists in which equal values are kept once: values that differed may be equal now.
_KEPT_ONCE: Final = frozenset({"models", "ids", "usage_reports"})
#: What a picture is known by: a text that was found in its base64 is a part of it.
_OF_MEDIA: Final = frozenset({"size", "sha256"})
_OF_UNREAD: Final = frozenset({"undecodable", "encoded_sha256"})


def same_form(before: Rebuilt, after: Rebuilt) -> bool:
    """Whether all that was read from an exchange is read from it still.

    :param before: the exchange.
    :param after: the same, with what some rules found left out.
    """
    asked = before.exchange.request and before.exchange.request.json
    asked_now = after.exchange.request and after.exchange.request.json
    return (
        before.verdict == after.verdict
        and _same(before.answer, after.answer)
        and (before.reading is None or _same(before.reading, after.reading))
        and (asked is None or _same(asked, asked_now))  # below a content coding there is one only afterwards
    )


def _same(before: Any, after: Any) -> bool:
    """Whether a value is another one, but for texts, and for numbers and words that have become the marker."""
    if before == after:
        return True
    if isinstance(before, Message):
        return isinstance(after, Message) and _same_fields(before, after) and _same_parts(before, after)
    if isinstance(before, ToolCallPart) and not before.complete:
        return type(before) is type(after) and _same_fields(before, after, {"arguments"})
    if isinstance(before, MediaPart):
        return type(before) is type(after) and _same_fields(_read(before), _read(after), _OF_MEDIA)
    if is_dataclass(before):
        return type(before) is type(after) and _same_fields(before, after)
    if isinstance(before, Mapping):
        return isinstance(after, Mapping) and _same_mapping(before, after)
    if isinstance(before, list | tuple):
        return isinstance(after, list | tuple) and len(before) == len(after) and all(map(_same, before, after))
    if isinstance(before, str):
        return isinstance(after, str)
    return repr(before) == repr(after) or (before is not None and after == MARKER)  # NaN is not equal to itself


def _read(media: MediaPart) -> MediaPart:
    """Return media without what is told of bytes that cannot be read, as those are in which a marker stands."""
    return replace(media, extras={name: one for name, one in media.extras.items() if name not in _OF_UNREAD})


def _same_fields(before: Any, after: Any, but: Collection[str] = ()) -> bool:
    for name in (each.name for each in fields(before)):
        was, now = getattr(before, name), getattr(after, name)
        if name in _PASSED_OVER or name in but:
            continue
        if name in _EXACT:
            same = was == now
        elif name == "unparsed_tail_bytes":  # a text in it may be shorter
            same = bool(was) == bool(now)
        elif name in _KEPT_ONCE:
            same = _same_values(was, now)
        elif name == "extras":
            same = _same_mapping(was, now, _same_values)
        else:
            same = _same(was, now)
        if not same:
            return False
    return True


def _same_values(before: Any, after: Any) -> bool:
    """The same of what came one by one: of values that differed, and are equal now, some are kept once."""
    if isinstance(before, list | tuple) and isinstance(after, list | tuple) and len(after) < len(before):
        return bool(after)
    return _same(before, after)


def _same_mapping(
    before: Mapping[Any, Any], after: Mapping[Any, Any], same: Callable[[Any, Any], bool] = _same
) -> bool:
    """Whether an object has as many names in the same order, each the same or with a part left out.

    What repeats a text as tokens may be null, or not there.
    """
    gone = {name for name in COPIES if name in before and after.get(name) is None}
    was, now = ([(name, held) for name, held in one.items() if name not in gone] for one in (before, after))
    return len(was) == len(now) and all(
        (name == name_now or MARKER in name_now) and same(held, held_now)
        for (name, held), (name_now, held_now) in zip(was, now, strict=True)
    )


def _same_parts(before: Message, after: Message) -> bool:
    others = [[part for part in message.parts if not isinstance(part, _TEXTS)] for message in (before, after)]
    return _same(*others) and _told(before) == _told(after)


def _told(message: Message) -> list[bool]:
    """What of its texts is there."""
    thoughts = [part for part in message.parts if isinstance(part, ReasoningPart)]
    return [
        *(any(part.text for part in message.parts if isinstance(part, kind)) for kind in _TEXTS),
        *(any(getattr(part, name) for part in thoughts) for name in ("signature", "encrypted", "details")),
    ]
