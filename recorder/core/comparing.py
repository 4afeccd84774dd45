"""Two conversations, or two exchanges, compared message by message and word by word. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Final, Literal

from recorder.core.message_text import message_text
from recorder.core.messages import Message

_WORD: Final = re.compile(r"\s+|\w+|[^\w\s]")
_MOST_WORDS: Final = 20_000  # of one message: longer ones are compared line by line
_ALIKE: Final = 0.3  # from here on, a message is one that was changed, not another one

Change = Literal["same", "removed", "added"]


@dataclass(frozen=True, slots=True)
class Run:
    """Words that stand in both texts, or in one of them.

    :ivar change: ``same``, ``removed`` (only in the first), or ``added`` (only in the second).
    """

    change: Change
    text: str


@dataclass(frozen=True, slots=True)
class Difference:
    """A message that both have, or only one of them.

    :ivar change: ``same``, ``changed``, ``removed`` or ``added``.
    :ivar role: the second one's, else the first one's.
    :ivar runs: its words.
    """

    change: Literal["same", "changed", "removed", "added"]
    role: str
    runs: tuple[Run, ...]


def compare(first: Sequence[Message], second: Sequence[Message]) -> list[Difference]:
    """Return how *second* differs from *first*, message by message, in order."""
    before = [(message.role or "role not sent", message_text(message)) for message in first]
    now = [(message.role or "role not sent", message_text(message)) for message in second]
    found: list[Difference] = []
    matcher = SequenceMatcher(None, before, now, autojunk=False)
    for tag, start, end, new_start, new_end in matcher.get_opcodes():
        if tag == "equal":
            found += [Difference("same", role, (Run("same", text),)) for role, text in now[new_start:new_end]]
            continue
        found += _paired(before[start:end], now[new_start:new_end])
    return found


def _paired(before: Sequence[tuple[str, str]], now: Sequence[tuple[str, str]]) -> Iterator[Difference]:
    """Messages that differ: those of one role that stand at the same place and are alike are one that was changed."""
    for at in range(max(len(before), len(now))):
        old = before[at] if at < len(before) else None
        new = now[at] if at < len(now) else None
        if old is not None and new is not None and old[0] == new[0]:
            runs = tuple(words(old[1], new[1]))
            if _alike(runs) >= _ALIKE or len(before) == len(now):
                yield Difference("changed", new[0], runs)
                continue
        if old is not None:
            yield Difference("removed", old[0], (Run("removed", old[1]),))
        if new is not None:
            yield Difference("added", new[0], (Run("added", new[1]),))


def _alike(runs: Sequence[Run]) -> float:
    whole = sum(len(run.text) * (2 if run.change == "same" else 1) for run in runs)
    return sum(2 * len(run.text) for run in runs if run.change == "same") / whole if whole else 1.0


def words(first: str, second: str) -> Iterator[Run]:
    """Yield the runs of words of two texts; joined, those that are not ``added`` are *first*, and so on."""
    before, now = _split(first), _split(second)
    for tag, start, end, new_start, new_end in SequenceMatcher(None, before, now, autojunk=False).get_opcodes():
        if tag == "equal":
            yield Run("same", "".join(before[start:end]))
            continue
        if end > start:
            yield Run("removed", "".join(before[start:end]))
        if new_end > new_start:
            yield Run("added", "".join(now[new_start:new_end]))


def _split(text: str) -> list[str]:
    found = _WORD.findall(text)
    return found if len(found) <= _MOST_WORDS else text.splitlines(keepends=True)
