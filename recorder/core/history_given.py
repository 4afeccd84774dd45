"""The answers that were given in a conversation, by which those that are sent back are known.

A message that is sent back is the answer of the exchange that gave it there, after the same message; where none did,
that of the last exchange that said the same. What stood in a request before which nothing was recorded was given by
none.
"""

from __future__ import annotations

from collections.abc import Sequence
from weakref import WeakValueDictionary

from recorder.core.conversation import message_key
from recorder.core.history_alignment import Line
from recorder.core.history_pieces import Pieces
from recorder.core.history_results import in_order_of_calls, with_answers
from recorder.core.history_tellings import Recent, Telling, ends_without_arguments, key_of_cut, last_said
from recorder.core.messages import Message
from recorder.core.rebuilt import Rebuilt


class Given:
    """The answers of a conversation; memory is bounded.

    :ivar said: ``key of an answer -> the exchange that gave it last``.
    """

    def __init__(self) -> None:
        self.said: Recent[bytes, str] = Recent()
        self._lines: WeakValueDictionary[tuple[bytes, str | None, bool], Line] = WeakValueDictionary()
        #: As answered to a message: by which exchange; by None where nothing that was recorded stood before it.
        self._answered: Recent[tuple[bytes, bytes], str | None] = Recent()
        self._cut: Recent[tuple[bytes, bytes], bool] = Recent()  # answered last to this message: a call that was cut
        self._too_long: Recent[str | None, None] = Recent()  # exchanges whose answer ended as it was too long
        self._pieces = Pieces()

    def lines(self, messages: Sequence[Message], tellings: Sequence[Telling], kept: int = 0) -> tuple[Line, ...]:
        """Return the messages of a request, each with what is known of it.

        :param tellings: of the exchanges before it, in the order in which they were sent.
        :param kept: so many messages are as the provider kept them: what is sent is no piece of those.
        """
        answered = with_answers(messages, tellings)
        together = self._pieces.together(answered[kept:])
        whole = in_order_of_calls([*answered[:kept], *together] if kept else together)
        lines: list[Line] = []
        before = b""  # the last message but instructions
        for message in [*whole[:kept], *self._pieces.joined(whole[kept:])] if kept else self._pieces.joined(whole):
            key = message_key(message)
            if ends_without_arguments(message) and self._cut.get((lines[-1].key if lines else b"", key)):
                key = key_of_cut(key)
            given = self._answered.get((before, key), "")
            by = self.said.get(key) if given == "" else given
            line = self._lines.get((key, by, given is None))
            if line is None or line.message != message:  # what is told quotes what was sent, with its ids
                line = Line(key, message, by, given=given is None, cut=by in self._too_long)
                self._lines[key, by, given is None] = line
            lines.append(line)
            before = before if line.kind == "system" else key
        return tuple(lines)

    def takes(self, lines: Sequence[Line]) -> bool:
        """Remember the answers that nobody was asked for; return whether there are such."""
        found, before = False, b""
        for line in lines:
            if line.answered and (before, line.key) not in self._answered:
                self._answered[before, line.key] = None
                found = True
            before = before if line.kind == "system" else line.key
        return found

    def remember(self, rebuilt: Rebuilt, telling: Telling) -> None:
        """Remember what an exchange answered, as it would be sent back."""
        last = telling.lines[-1]
        if any(choice.finish == "length" for choice in rebuilt.answer.choices):
            self._too_long[rebuilt.id] = None
        if ends_without_arguments(last.message):
            before = telling.lines[-2].key if len(telling.lines) > 1 else b""
            self._cut[before, message_key(last.message, answer=True)] = telling.cut
        if telling.answered:
            self._pieces.remember(telling)
            self.said[last.key] = rebuilt.id
            self._answered[last_said(telling.lines[:-1]), last.key] = rebuilt.id
