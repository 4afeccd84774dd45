"""Which messages of a history that is sent back are pieces of one answer (:mod:`recorder.core.answer_pieces`).

Those whose parts add up to an answer that was recorded. Where none of them, by itself or with others, is one, and
there was an answer to what was asked before them, they are that answer, changed: it is told as one edit. Answers that
were given one after the other, each of them whole, stay apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from recorder.core.answer_pieces import joined, runs
from recorder.core.conversation import message_key
from recorder.core.history_tellings import Recent, Telling, last_said
from recorder.core.messages import Message

#: In so many messages one after the other, several answers are looked for of which each may be in pieces.
_PIECES: Final = 64
#: So many characters at the beginning of a text tell most answers from others.
_START: Final = 16


class Pieces:
    """The answers that were given in a conversation; memory is bounded."""

    def __init__(self) -> None:
        self._given: Recent[bytes, None] = Recent()
        self._starts: Recent[str, None] = Recent()  # of their texts
        self._asked: Recent[bytes, None] = Recent()  # the last message, but instructions, before an answer

    def remember(self, telling: Telling) -> None:
        """Remember an answer; not where the program began it, as both are one message."""
        if not telling.begun:
            answer = telling.lines[-1].message
            self._given[message_key(answer, answer=True)] = None
            self._starts[answer.text.strip()[:_START]] = None
            self._asked[last_said(telling.lines[:-1])] = None

    def joined(self, messages: Sequence[Message]) -> Sequence[Message]:
        """Return the messages of a request with each answer in one message."""
        found, end = list[Message](), 0
        for first, after in runs(messages):
            found += [*messages[end:first], *self._answers(messages[:first], messages[first:after])]
            end = after
        return [*found, *messages[end:]] if end else messages

    def _answers(self, before: Sequence[Message], run: Sequence[Message]) -> Sequence[Message]:
        given = [message_key(message) in self._given for message in run]
        if all(given):
            return run
        whole = joined(run)
        if message_key(whole) in self._given:
            return [whole]
        found, at, calls = list[Message](), 0, bool(whole.tool_calls)
        while at < len(run) <= _PIECES:
            alone = given[at] or not (calls or self._may_begin(run, at))
            end = at + 1 if alone else self._end(run, at)
            found.append(joined(run[at:end]))
            at = end
        if any(given) or (found and len(found) < len(run)):
            return found or run
        return [whole] if self._was_asked(before) else run

    def _end(self, run: Sequence[Message], at: int) -> int:
        """Where the answer ends that begins with a piece; after that piece where none does."""
        ends = range(at + 2, len(run) + 1)
        return next((end for end in ends if message_key(joined(run[at:end])) in self._given), at + 1)

    def _may_begin(self, run: Sequence[Message], at: int) -> bool:
        """Whether a text that was given may begin there: else a history from before the recording cost too much."""
        text = ""
        while at < len(run) and len(text) < _START:
            text, at = (text + run[at].text).lstrip(), at + 1
        return any(text[:size] in self._starts for size in range(1, min(len(text), _START) + 1))

    def _was_asked(self, before: Sequence[Message]) -> bool:
        asked = next((one for one in reversed(before) if one.role not in ("system", "developer")), None)
        return asked is not None and message_key(asked) in self._asked
