"""Histories of which only the end is sent back.

A program with a window sends the last messages. Where it asks the same each time, the beginning of what it sends looks
like the beginning of what was asked before; so such a history is laid beside others from its end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from recorder.core.history_alignment import Line, Pairs


class Fit(NamedTuple):
    """How much of the end of what is sent fits to an exchange.

    :ivar size: messages but instructions, what is new among them; *on*: it goes on from its answer, else asks again.
    """

    size: int
    on: bool


def same_end(old: Sequence[Line], new: Sequence[Line]) -> Pairs:
    """Return which messages at the end of both are the same, as :func:`align` does; instructions are passed over.

    Passed over is also what stood between the last question of *old* and its answer, as a standing reminder does.
    """
    found: Pairs = []
    i, j = len(old) - 1, len(new) - 1
    while i >= 0 and j >= 0:
        if len(found) == 1 and old[-1].answered:
            i = _question(old, i, new[j])
        if old[i].key == new[j].key:
            found.append((i, j))
        elif "system" not in (old[i].kind, new[j].kind):
            break
        # Of instructions that differ both are passed over, else those of the one that has them there.
        one = old[i].key == new[j].key or old[i].kind == new[j].kind
        i, j = i - (one or old[i].kind == "system"), j - (one or new[j].kind == "system")
    return found[::-1]


def _question(old: Sequence[Line], last: int, question: Line) -> int:
    """The place of a question in the turn that ends there; else that end."""
    for at in range(last, -1, -1):
        if old[at].answered:
            break
        if old[at].key == question.key:
            return at
    return last


def fit(old: Sequence[Line], request: Sequence[Line], new: Sequence[Line], until: int) -> Fit | None:
    """Return how much of *new* fits to an exchange; None where the answer that it sends back last is not in that.

    :param old: request and answer; *request* alone.
    :param until: :func:`~recorder.core.history_alignment.said_until` of *new*.
    """
    rest = _said(new[until:])
    on = _count(old, same_end(old, new[:until])) if old[-1].key == new[until - 1].key else 0
    again = _count(request, same_end(request, new))
    if on and (on > 1 or on == _said(new[:until])) and on + rest >= again:
        return Fit(on + rest, on=True)
    return Fit(again, on=False) if again > rest else None


def _said(lines: Sequence[Line]) -> int:
    return sum(line.kind != "system" for line in lines)


def _count(lines: Sequence[Line], pairs: Pairs) -> int:
    return sum(lines[at].kind != "system" for at, _ in pairs)
