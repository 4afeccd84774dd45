"""Items of answers that are sent back by their ids alone, as OpenAI's Responses allow where the provider keeps them.

An id stands for what the answer had under it: text, reasoning, a call, what a tool of the provider's did. As what the
model said is one item after the other, those in a row are one message, as in an answer. An id that no answer of the
conversation had stands for nothing that is known here: it is put in, and no edit of anything.
"""

from __future__ import annotations

from collections.abc import Sequence

from recorder.core.answer_pieces import joined
from recorder.core.history_tellings import Recent, Telling
from recorder.core.message_identity import named_item
from recorder.core.messages import Message, Part
from recorder.core.rebuilt import Rebuilt


class References:
    """The items of the answers of a conversation by their ids; memory is bounded."""

    def __init__(self) -> None:
        self._items: Recent[str, tuple[Part, ...]] = Recent()

    def remember(self, rebuilt: Rebuilt) -> None:
        """Remember the items of an answer."""
        for identity, parts in rebuilt.answer.items.items():
            self._items[identity] = parts

    def resolved(self, messages: Sequence[Message]) -> Sequence[Message]:
        """Return the messages of a request with what they name by its id in its place; the very same where none do."""
        if not self._items or not any(self._names(message) for message in messages):
            return messages
        found, named = list[Message](), False  # whether the last one that was found has something that was named
        for message in messages:
            parts = self._parts(message)
            said = message if parts is None else Message("assistant", parts)
            if found and (named or parts is not None) and found[-1].role == said.role == "assistant":
                found[-1], named = joined((found[-1], said)), True
            else:
                found.append(said)
                named = parts is not None
        return found

    def not_kept(self, messages: Sequence[Message], kept: Telling) -> Sequence[Message]:
        """Return the messages of a request without those that only name what the provider keeps before them."""
        if not any(self._names(message) for message in messages):
            return messages
        held = [part for line in kept.lines for part in line.message.parts]
        return [message for message in messages if not self._is_kept(message, held)]

    def _is_kept(self, message: Message, held: Sequence[Part]) -> bool:
        named = self._names(message) and all(map(self._named, message.parts))
        return named and all(part in held for part in self._parts(message) or ())

    def _parts(self, message: Message) -> tuple[Part, ...] | None:
        """The parts of a message with what is named in place of its name; None where nothing that is known is."""
        if not self._names(message):
            return None
        return tuple(part for one in message.parts for part in self._items.get(self._named(one) or "", (one,)))

    def _names(self, message: Message) -> bool:
        return message.role in (None, "assistant") and any(map(self._named, message.parts))

    def _named(self, part: Part) -> str | None:
        identity = named_item(part)
        return identity if identity in self._items else None
