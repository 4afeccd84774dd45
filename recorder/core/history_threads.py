"""Several programs in one conversation, each with a history of its own of which it sends only the end back.

Where all of them are answered HOLD, what one of them sends back fits to the exchanges of each. Then the words of the
question and of the instructions tell whose it is: those that the exchanges of its own thread have, too. Where they tell
nothing it is the one that was answered last.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final

from recorder.core.conversation import Relation
from recorder.core.history_alignment import Line, last_turn
from recorder.core.history_tellings import Recent, Telling
from recorder.core.history_windows import fit

#: Numbers are no words: they are the prices that change from question to question.
_WORD: Final = re.compile(r"[^\W\d_]+")
_WORDS, _CHARACTERS = 64, 4096
#: Of each thread, the questions of so many of its last exchanges are compared.
_QUESTIONS: Final = 8


class Threads:
    """Which exchanges of a conversation go on from one another; memory is bounded."""

    def __init__(self) -> None:
        self._of: Recent[str, str] = Recent()  # exchange -> the one that began its thread
        self._slid: Recent[str, str] = Recent()  # thread -> its last exchange, where only the end was sent back
        self._begun = 0

    def remember(self, identity: str, relation: Relation) -> None:
        """Remember what an exchange is to those before it."""
        thread = identity if relation.of is None else self._of.get(relation.of, relation.of)
        self._begun += relation.of is None
        self._of[identity] = thread
        before = self._slid.pop(thread, None)
        if relation.kind == "continues":
            slides = any(one.kind == "older_messages_dropped" for one in relation.findings)
        else:
            slides = relation.kind != "forks" and before is not None and relation.of == before
        if slides:
            self._slid[thread] = identity

    @property
    def is_sliding(self) -> bool:
        """Some window has slid at the last exchange of its thread."""
        return bool(self._slid)

    def has_slid(self, telling: Telling) -> bool:
        """Tell whether it is the last exchange of its thread, and the window had slid there."""
        return self._slid.get(self._of.get(telling.id, "")) == telling.id

    def fitting(self, tellings: Sequence[Telling], lines: Sequence[Line], until: int, size: int) -> Telling | None:
        """Return the last one to whose complete answer all that is sent fits, in the thread that is most like it.

        :param tellings: in the order in which they were sent.
        :param until: as of :func:`~recorder.core.history_windows.fit`.
        :param size: how many messages are sent, but instructions.
        """
        found = self._fitting(tellings, lines, until, size)
        if len(found) < 2:
            return next(iter(found.values()), None)
        likeness = self._likeness(tellings, lines, set(found))
        return found[max(found, key=lambda thread: likeness[thread])]  # the first of equals is the last that was sent

    def more_like(
        self, tellings: Sequence[Telling], lines: Sequence[Line], until: int, size: int, than: Telling
    ) -> Telling | None:
        """Return what :meth:`fitting` does, where it is of a thread that is more like it *than* that of another one."""
        if self._begun < 2:
            return None
        found, thread = self._fitting(tellings, lines, until, size), self._of.get(than.id, than.id)
        likeness = self._likeness(tellings, lines, {*found, thread})
        best = max(found, key=lambda one: likeness[one], default=thread)
        return found[best] if likeness[best] > likeness[thread] else None

    def _fitting(self, tellings: Sequence[Telling], lines: Sequence[Line], until: int, size: int) -> dict[str, Telling]:
        """The last one of each thread to whose complete answer all fits; where there is one thread, of that alone."""
        found: dict[str, Telling] = {}
        for telling in reversed(tellings):
            thread = self._of.get(telling.id, telling.id)
            if thread in found or not (telling.answered and telling.complete):
                continue
            fits = fit(telling.lines, telling.request, lines, until)
            if fits is not None and fits.on and fits.size == size:
                found[thread] = telling
                if self._begun < 2:
                    break
        return found

    def _likeness(self, tellings: Sequence[Telling], lines: Sequence[Line], threads: set[str]) -> dict[str, float]:
        """How much what is asked, and the instructions, are like those of each thread, from 0 to 2."""
        asked, instructions = _words_asked(lines), _words_of(line for line in lines if line.kind == "system")
        found = dict.fromkeys(threads, 0.0)
        left = dict.fromkeys(threads, _QUESTIONS)
        for telling in reversed(tellings):
            thread = self._of.get(telling.id, telling.id)
            if left.get(thread):
                left[thread] -= 1
                theirs = _words_of(line for line in telling.request if line.kind == "system")
                alike = _alike(asked, _words_asked(telling.request)) + _alike(instructions, theirs)
                found[thread] = max(found[thread], alike)
        return found


def _words_asked(lines: Sequence[Line]) -> frozenset[str]:
    return _words_of(lines[at] for at in last_turn(lines))


def _words_of(lines: Iterable[Line]) -> frozenset[str]:
    texts = (line.message.text[:_CHARACTERS] for line in lines)
    return frozenset(islice((word.group() for text in texts for word in _WORD.finditer(text)), _WORDS))


def _alike(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / (len(one | other) or 1)
