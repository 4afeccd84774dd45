"""What is remembered of the exchanges of a conversation: each request and answer as it would be sent back."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from recorder.core.conversation import message_key
from recorder.core.history_alignment import Line
from recorder.core.messages import Message, RefusalPart, TextPart
from recorder.core.rebuilt import Rebuilt


@dataclass(frozen=True, slots=True)
class Telling:
    """A request and one of its answers, as they would be sent back.

    :ivar id: of the exchange.
    :ivar lines: request and answer; where the program began the answer, both are one line.
    :ivar answered: there is an answer to send back.
    :ivar request: the request alone.
    :ivar complete: the answer was.
    """

    id: str
    lines: tuple[Line, ...]
    answered: bool
    request: tuple[Line, ...]
    complete: bool

    @property
    def begun(self) -> bool:
        """The program began the answer."""
        return self.answered and len(self.lines) == len(self.request)


class Chains(NamedTuple):
    """Of every prefix of a request, what is the same for the same messages.

    :ivar all: of all messages; *said* of those without instructions.
    :ivar places: how many messages of the request each of *said* takes.
    """

    all: Sequence[bytes]
    said: Sequence[bytes]
    places: Sequence[int]

    def said_in(self, count: int) -> int:
        """How many of so many messages of the request are no instructions."""
        return bisect_right(self.places, count)


def tellings_of(rebuilt: Rebuilt, lines: tuple[Line, ...]) -> Iterator[Telling]:
    """Yield what may be sent back of an exchange: its request with each of its answers.

    :param lines: of the request.
    """

    def telling(told: tuple[Line, ...], *, answered: bool) -> Telling:
        return Telling(rebuilt.id, told, answered, lines, rebuilt.verdict == "complete")

    for answer in rebuilt.answer_messages or (None,):
        if answer is None:
            yield telling(lines, answered=False)
            continue
        said = bool(answer.text.strip() or answer.tool_calls)
        if said and lines[-1].answered:  # the program began the answer: both are sent back as one message
            whole = Message(lines[-1].message.role, (*lines[-1].message.parts, *answer.parts))
            yield telling((*lines[:-1], Line(message_key(whole), whole, rebuilt.id)), answered=True)
        key = message_key(answer, answer=True)
        yield telling((*lines, Line(key, answer, rebuilt.id, silent=not said)), answered=said)
        refusal = "" if said else "".join(part.text for part in answer.parts if isinstance(part, RefusalPart))
        if refusal.strip():  # which clients send back as a text
            text = Message(answer.role or "assistant", (TextPart(refusal),))
            yield telling((*lines, Line(message_key(text), text, rebuilt.id, silent=True)), answered=True)


def _chain(key: bytes, before: bytes = b"") -> bytes:
    return hashlib.blake2b(before + key, digest_size=16).digest()


def chain_after(chains: Sequence[bytes], key: bytes, *, begun: bool) -> bytes:
    """Of a request and what is said after it; where it had *begun* that, in the place of its last message."""
    return _chain(key, *chains[-2 if begun else -1 :][:1] if len(chains) > begun else ())


def chains_of(lines: Sequence[Line]) -> Chains:
    """Return the chains of a request."""
    every: list[bytes] = []
    said: list[bytes] = []
    places: list[int] = []
    for place, line in enumerate(lines, 1):
        every.append(_chain(line.key, every[-1] if every else b""))
        if line.kind != "system":
            said.append(_chain(line.key, said[-1] if said else b""))
            places.append(place)
    return Chains(every, said, places)
