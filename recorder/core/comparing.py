"""Two conversations, or two exchanges, compared message by message and word by word. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Final, Literal

from recorder.core.message_text import message_text
from recorder.core.messages import Message

_WORD: Final = re.compile(r"\s+|\w+|[^\w\s]")
_MOST_WORDS: Final = 20_000  # of one message: longer ones are compared line by line
_ALIKE: Final = 0.3  # from here on, a message is one that was changed, not another one
_WINDOW: Final = 64  # messages of each side that are laid beside each other at once

Change = Literal["same", "removed", "added"]
_Said = tuple[str, str]  # role and text


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


def _paired(before: Sequence[_Said], now: Sequence[_Said]) -> Iterator[Difference]:
    """Messages that differ: those of one role that are alike are one that was changed, wherever they stand."""
    at = new_at = 0
    for old, new in _pairs(before, now):
        runs = tuple(words(before[old][1], now[new][1]))
        if _alike(runs) < _ALIKE:
            continue  # the same words, in another order
        yield from _unlike(before[at:old], now[new_at:new])
        yield Difference("changed", now[new][0], runs)
        at, new_at = old + 1, new + 1
    yield from _unlike(before[at:], now[new_at:])


def _unlike(before: Sequence[_Said], now: Sequence[_Said]) -> Iterator[Difference]:
    """Messages that are not alike: of as many on both sides, two of one role at the same place are one all the same."""
    if len(before) == len(now):
        for old, new in zip(before, now, strict=True):
            if old[0] == new[0]:
                yield Difference("changed", new[0], tuple(words(old[1], new[1])))
            else:
                yield from _unlike([old], [])
                yield from _unlike([], [new])
        return
    yield from (Difference("removed", role, (Run("removed", text),)) for role, text in before)
    yield from (Difference("added", role, (Run("added", text),)) for role, text in now)


def _pairs(before: Sequence[_Said], now: Sequence[_Said]) -> Iterator[tuple[int, int]]:
    """Yield the places of messages that may be one, in order: of all ways to lay both sides beside each other the best.

    The best within a window, which goes along both sides: so the work grows with their lengths, not with the product.
    """
    counted, counted_now = [_Bag.of(one) for one in before], [_Bag.of(one) for one in now]
    at = new_at = 0
    while at < len(before) and new_at < len(now):
        left, new_left = len(before) - at, len(now) - new_at
        found = _aligned(counted[at : at + _WINDOW], counted_now[new_at : new_at + _WINDOW])
        if max(left, new_left) > _WINDOW:  # what is near its end on both sides may belong to what follows
            found = [pair for pair in found if min(pair) < _WINDOW // 2]
        yield from ((at + old, new_at + new) for old, new in found)
        if max(left, new_left) <= _WINDOW:
            return
        if found:
            at, new_at = at + found[-1][0] + 1, new_at + found[-1][1] + 1
        else:  # a side whose end is in the window waits for the other one
            at += _WINDOW // 2 if left > _WINDOW else 0
            new_at += _WINDOW // 2 if new_left > _WINDOW else 0


@dataclass(frozen=True, slots=True)
class _Bag:
    """The words of a message, in no order: what is alike in them is no less than what is alike in order."""

    role: str
    size: int
    words: Counter[str]

    @classmethod
    def of(cls, said: _Said) -> _Bag:
        return cls(said[0], len(said[1]), Counter(_split(said[1])))

    def like(self, other: _Bag) -> float:
        """From 0 to 1; 0 where they are no one message."""
        whole, smaller = self.size + other.size, min(self.size, other.size)
        if self.role != other.role or not whole or 2 * smaller < _ALIKE * whole:
            return 0.0
        few, many = sorted((self.words, other.words), key=len)
        found = 2 * sum(len(word) * min(count, many[word]) for word, count in few.items() if word in many) / whole
        return found if found >= _ALIKE else 0.0


def _aligned(before: Sequence[_Bag], now: Sequence[_Bag]) -> list[tuple[int, int]]:
    """Return which messages of both sides are laid beside each other: those that are most alike, none crossing another.

    Likeness counts by its square: one message that is nearly the same tells more than two that are half so.
    """
    best = [[0.0] * (len(now) + 1) for _ in range(len(before) + 1)]  # of what is from there on
    paired = [[False] * len(now) for _ in before]
    for old in reversed(range(len(before))):
        for new in reversed(range(len(now))):
            apart = max(best[old + 1][new], best[old][new + 1])
            like = before[old].like(now[new])
            together = like * like + best[old + 1][new + 1]
            paired[old][new] = like > 0 and together >= apart
            best[old][new] = max(together, apart)
    found, old, new = [], 0, 0
    while old < len(before) and new < len(now):
        if paired[old][new]:
            found.append((old, new))
            old, new = old + 1, new + 1
        elif best[old + 1][new] >= best[old][new + 1]:
            old += 1
        else:
            new += 1
    return found


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
