"""Which messages of a history that is sent back are pieces of one answer (:mod:`recorder.core.answer_pieces`).

Those whose parts add up to an answer that was recorded. Where none of them, by itself or with others, is one, and
there was an answer to what was asked before them, they are that answer, changed: it is told as one edit. Answers that
were given one after the other, each of them whole, stay apart.

Pieces that call, each with its results after it, are one answer where their ids are those of the calls of one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from recorder.core.answer_pieces import call_ids, joined, result_ids, runs
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
        self._calls: Recent[str, frozenset[str]] = Recent()  # by the id of a call: those of its answer
        self._asked: Recent[bytes, None] = Recent()  # the last message, but instructions, before an answer

    def remember(self, telling: Telling) -> None:
        """Remember an answer; not where the program began it, as both are one message."""
        if not telling.begun:
            answer = telling.lines[-1].message
            self._given[message_key(answer, answer=True)] = None
            self._starts[answer.text.strip()[:_START]] = None
            self._asked[last_said(telling.lines[:-1])] = None
            calls = frozenset(call.id for call in answer.tool_calls if call.id)
            for identity in calls:
                self._calls[identity] = calls

    def together(self, messages: Sequence[Message]) -> Sequence[Message]:
        """Return the messages of a request with the calls of each answer in one message, and their results after it."""
        found, at = list[Message](), 0
        while at < len(messages):
            pieces, results, end = self._called(messages, at)
            if len(pieces) > 1 and not self._are_answers(pieces):
                found += [joined(pieces), *results]
            else:
                found += messages[at:end]
            at = end
        return found if len(found) < len(messages) else messages

    def _called(self, messages: Sequence[Message], first: int) -> tuple[list[Message], list[Message], int]:
        """The pieces of one answer that begin at a place, the results between and after them, and where they end."""
        pieces, results, end = [messages[first]], list[Message](), first + 1
        seen = set(call_ids(messages[first]))
        calls = self._calls.get(next(iter(seen), ""), frozenset())
        if not (seen < calls):
            return pieces, results, end
        waiting = list[Message]()  # results that are of the answer where another piece comes after them
        for at in range(first + 1, len(messages)):
            ids = call_ids(messages[at])
            if ids and calls.issuperset(ids) and seen.isdisjoint(ids):
                pieces, results, end = [*pieces, messages[at]], [*results, *waiting], at + 1
                seen.update(ids)
                waiting = []
            elif (of := result_ids(messages[at])) and seen.issuperset(of):
                waiting.append(messages[at])
            else:
                break
        return pieces, results, end

    def _are_answers(self, pieces: Sequence[Message]) -> bool:
        """Whether each of them was an answer, and all of them together were none: servers may count ids anew."""
        whole = message_key(joined(pieces)) in self._given
        return not whole and all(message_key(piece) in self._given for piece in pieces)

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
