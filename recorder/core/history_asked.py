"""Whether a request sends something of the recorded conversation back, or only examples that its program wrote.

Examples are questions and answers, as a history is. What tells them from it is that nobody had asked these questions:
a history has a turn in it that was the last one of an earlier request, whatever was made of the answer to that. The
answers tell less: where all that is ever answered is HOLD or BUY, so are those of the examples.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Final

from recorder.core.history_alignment import Line
from recorder.core.history_tellings import Recent

#: An answer of so many words that is sent back word by word is the one that was given, and no example that is like it.
_WORDS: Final = 8
#: Of a longer turn that a window may have cut, only so many messages at its end are known by themselves.
_CUT: Final = 8


class Asked:
    """The turns that were asked in a conversation; memory is bounded."""

    def __init__(self) -> None:
        self._turns: Recent[bytes, None] = Recent()
        self._ends: Recent[bytes, None] = Recent()  # what a window may leave of a turn
        self._starts: Recent[bytes, None] = Recent()  # what a program keeps of a turn at whose end it reminds
        self._after: Recent[bytes, None] = Recent()  # an answer that was sent back, and the turn after it
        self._from_answers = False  # a history was sent back that began with an answer, as a window leaves it

    def remember(self, lines: Sequence[Line], until: int, *, begins: bool) -> None:
        """Remember what a request asks.

        :param until: how many of its messages are history, or examples.
        :param begins: they are no history of what was recorded.
        """
        turn = _keys(lines[until:])
        if not turn:
            return
        self._turns[_digest(turn)] = None
        for size in range(1, min(len(turn), _CUT + 1)):
            self._ends[_digest(turn[-size:])] = None
            if size < len(turn):
                self._starts[_digest(turn[:size])] = None
        if until and not begins:
            first = next(line for line in lines if line.kind != "system")
            self._from_answers = self._from_answers or (first.answered and first.by is not None)
            self._after[_digest([lines[until - 1].key, *turn])] = None

    def sends_back(self, lines: Sequence[Line], until: int) -> bool:
        """Tell whether something is sent back of what was asked or answered before.

        :param until: as of :meth:`remember`.
        """
        turns = list(_turns(lines[:until]))
        if any(self._was_asked(turn) for turn, _ in turns if turn) or self._is_cut(*turns[0]):
            return True
        if any(_is_told_apart(answer) for _, answer in turns):
            return True
        last = _keys(lines[until:])
        if any(_digest(last[:size]) in self._turns for size in range(1, len(last))[:_CUT]):
            return True  # only the answer to that is left out
        follows = [*(turn for turn, _ in turns[1:]), last]
        return any(
            answer.by is not None and _digest([answer.key, *turn]) in self._after
            for (_, answer), turn in zip(turns, follows, strict=True)
        )

    def first_known(self, lines: Sequence[Line], until: int) -> int:
        """Return how many messages come before the first answer to something that was asked; *until* where none is.

        :param until: as of :meth:`remember`.
        """
        turn: list[bytes] = []
        first = True
        for place, line in enumerate(lines[:until]):
            if line.answered:
                if (turn and self._was_asked(turn)) or (first and self._is_cut(turn, line)):
                    return place
                turn, first = [], False
            elif line.kind != "system":
                turn.append(line.key)
        return until

    def _was_asked(self, turn: Sequence[bytes]) -> bool:
        """Whether it is a turn that was asked, or the beginning of one, or several without the answers between."""
        if _digest(turn) in self._starts:
            return True
        if len(turn) > _CUT:
            return _digest(turn) in self._turns
        ends = [0]
        for end in range(1, len(turn) + 1):
            if any(_digest(turn[start:end]) in self._turns for start in ends):
                ends.append(end)
        return ends[-1] == len(turn)

    def _is_cut(self, turn: Sequence[bytes], answer: Line) -> bool:
        """Whether a window begins with this turn: in its midst, or with the answer, or with a summary before it."""
        if turn and _digest(turn) in self._ends:
            return True
        if not turn:
            return answer.by is not None or self._from_answers
        return answer.by is not None and any(_digest(turn[at:]) in self._turns for at in range(1, len(turn))[-_CUT:])


def _is_told_apart(answer: Line) -> bool:
    return answer.by is not None and len(answer.message.text.split()) >= _WORDS


def _turns(history: Sequence[Line]) -> Iterator[tuple[list[bytes], Line]]:
    """Yield the messages before each answer, but instructions, and the answer."""
    turn: list[bytes] = []
    for line in history:
        if line.answered:
            yield turn, line
            turn = []
        elif line.kind != "system":
            turn.append(line.key)


def _keys(lines: Sequence[Line]) -> list[bytes]:
    return [line.key for line in lines if not line.answered and line.kind != "system"]


def _digest(keys: Sequence[bytes]) -> bytes:
    return hashlib.blake2b(b"".join(keys), digest_size=16).digest()
