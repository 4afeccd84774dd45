"""How near two texts are in words: which of several prompts is most like the one that was asked.

A measure and no comparison: it counts the words, and the pairs of words side by side, that only one of two texts has.
What both begin and end with is passed over as it stands, so that long prompts cost as much as what differs in them.
Pure.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final

_WORD: Final = re.compile(r"\w+")
_LONGEST: Final = 1 << 15  # characters that are looked through of what differs


def said(value: Any) -> str:
    """Return all texts, numbers and names in a JSON value, in an order that equal values have in common.

    Nothing of one that is nested too deeply to be gone through.
    """
    try:
        return "\n".join(_said(value))
    except RecursionError:
        return ""


def _said(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name in sorted(value):
            yield name
            yield from _said(value[name])
    elif isinstance(value, list):
        for one in value:
            yield from _said(one)
    else:
        yield value if isinstance(value, str) else repr(value)


def apart(first: str, second: str) -> float:
    """Return how far apart two texts are in words: 0 where they have the same ones, 1 where they share none."""
    whole = len(first) + len(second)
    start = _shared(first, second)
    start = max(first.rfind(" ", 0, start), first.rfind("\n", 0, start)) + 1  # a word is not cut
    before, now = first[start:], second[start:]
    end = _shared(before[::-1], now[::-1])
    ends = [at for at in (before.find(" ", len(before) - end), before.find("\n", len(before) - end)) if at >= 0]
    end = len(before) - min(ends, default=len(before)) if end else 0
    one, other = (_counted(text[: len(text) - end][:_LONGEST]) for text in (before, now))
    lone = (one - other) + (other - one)
    differing = sum(len(words[0]) * count for words, count in lone.items() if len(words) == 1)
    # Pairs weigh little: they tell texts apart that have the same words in another order.
    pairs = sum(count for words, count in lone.items() if len(words) > 1)
    return (differing + pairs / 8) / whole if whole else 0.0


def _counted(text: str) -> Counter[tuple[str, ...]]:
    words = _WORD.findall(text.lower())
    return Counter([*((word,) for word in words), *pairwise(words)])


def _shared(first: str, second: str) -> int:
    """How many characters both begin with."""
    low, high = 0, min(len(first), len(second))
    while low < high:
        middle = (low + high + 1) // 2
        if first[low:middle] == second[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
