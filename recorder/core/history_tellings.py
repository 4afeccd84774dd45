"""What is remembered of the exchanges of a conversation: each request and answer as it would be sent back.

A call without arguments is sent back with an empty object, and that is the same message. But where the answer was cut
before the arguments of a call came, nobody knows what they would have been, and the model never said that there are
none. So such an answer has a key of its own, which only what is sent back as it came has, too, after the same message.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeVar

from recorder.core.answer_pieces import repeats
from recorder.core.conversation import message_key
from recorder.core.history_alignment import Line
from recorder.core.message_identity import can_be_sent_back
from recorder.core.messages import Choice, Message, RefusalPart, TextPart
from recorder.core.rebuilt import Rebuilt

#: What the program saw of an answer with these verdicts was not all; with another one, nobody knows what it saw.
_CUT: Final = frozenset({"truncated", "aborted_by_client", "errored"})
#: Finishes after which more would have come.
_CUTTING: Final = frozenset({"length", "content_filter", "paused", "cancelled", "error"})
#: Exchanges of one conversation of which it is known that something goes on from them exactly; of older ones it is not.
_REMEMBERED: Final = 32_768

_K = TypeVar("_K")
_V = TypeVar("_V")


class Recent(dict[_K, _V]):
    """The last that were set, so that what is remembered of a conversation does not grow with it for ever."""

    def __setitem__(self, key: _K, value: _V) -> None:
        self.pop(key, None)
        super().__setitem__(key, value)
        if len(self) > _REMEMBERED:
            del self[next(iter(self))]


@dataclass(frozen=True, slots=True)
class Telling:
    """A request and one of its answers, as they would be sent back.

    :ivar id: of the exchange.
    :ivar lines: request and answer; where the program began the answer, both are one line, or the answer alone
        where that repeats what it was begun with.
    :ivar answered: there is an answer to send back.
    :ivar request: the request alone.
    :ivar complete: the answer was.
    :ivar sent_ns: wall time at which the request was sent, where it is known.
    :ivar cut: it was cut before the arguments of its last call came: it has the key of :func:`key_of_cut`.
    """

    id: str
    lines: tuple[Line, ...]
    answered: bool
    request: tuple[Line, ...]
    complete: bool
    sent_ns: int | None = None
    cut: bool = False

    @property
    def begun(self) -> bool:
        """The program began the answer."""
        return self.answered and len(self.lines) == len(self.request)


class Known(NamedTuple):
    """What is remembered of an exchange, and of a telling for longer than it is kept.

    :ivar number: the how manieth it is.
    :ivar answered: the answer was complete; of a telling, there is one to send back.
    :ivar cut: of a telling, the answer was not complete.
    """

    number: int
    id: str
    answered: bool
    cut: bool = False

    def fetched_for(self, asked: Known | None) -> Known:
        """Return what is known of who *asked*, whose answer was only fetched here."""
        return self if asked is None else asked._replace(answered=self.answered)


class Chains(NamedTuple):
    """Of every prefix of a request, what is the same for the same messages.

    :ivar all: of all messages; *said* of those without instructions.
    :ivar places: how many messages of the request each of *said* takes.
    """

    all: Sequence[bytes]
    said: Sequence[bytes]
    places: Sequence[int]

    @property
    def asks(self) -> bytes:
        """The same for the same request."""
        return self.all[-1] if self.all else b""

    def said_in(self, count: int) -> int:
        """How many of so many messages of the request are no instructions."""
        return bisect_right(self.places, count)


def tellings_of(rebuilt: Rebuilt, lines: tuple[Line, ...]) -> Iterator[Telling]:
    """Yield what may be sent back of an exchange: its request with each of its answers.

    :param lines: of the request.
    """

    def telling(told: tuple[Line, ...], *, answered: bool, cut: bool = False) -> Telling:
        return Telling(rebuilt.id, told, answered, lines, rebuilt.verdict == "complete", sent_ns(rebuilt), cut)

    def line(answer: Message, key: bytes, *, cut: bool, silent: bool = False) -> Line:
        return Line(key_of_cut(key) if cut else key, answer, rebuilt.id, silent)

    if not rebuilt.answer.choices:
        yield telling(lines, answered=False)
    for choice in rebuilt.answer.choices:
        answer, cut = choice.message, _cut_before_arguments(choice, rebuilt.verdict)
        said = can_be_sent_back(answer)
        if said and lines[-1].answered:  # the program began the answer: both are sent back as one message
            whole = Message(lines[-1].message.role, (*lines[-1].message.parts, *answer.parts))
            yield telling((*lines[:-1], line(whole, message_key(whole), cut=cut)), answered=True, cut=cut)
        told = line(answer, message_key(answer, answer=True), cut=cut, silent=not said)
        if said and lines[-1].answered and lines[-1].by is None and repeats(lines[-1].message, answer):
            yield telling((*lines[:-1], told), answered=True, cut=cut)
        yield telling((*lines, told), answered=said, cut=cut)
        refusal = "" if said else "".join(part.text for part in answer.parts if isinstance(part, RefusalPart))
        if refusal.strip():  # which clients send back as a text
            text = Message(answer.role or "assistant", (TextPart(refusal),))
            yield telling((*lines, Line(message_key(text), text, rebuilt.id, silent=True)), answered=True)


def sent_ns(rebuilt: Rebuilt) -> int | None:
    """Return the wall time at which an exchange was sent; None where it is not known."""
    return None if rebuilt.exchange.lacks("started_at") else rebuilt.exchange.started_ns


def ends_without_arguments(message: Message) -> bool:
    """Tell whether the last call of a message has no arguments, and nothing says that it is to have none."""
    call = message.tool_calls[-1] if message.tool_calls else None
    return call is not None and not call.complete and not call.arguments_text.strip()


def key_of_cut(key: bytes) -> bytes:
    """Return the key of a message that was cut before the arguments of its last call came.

    :param key: of the same message with a call that has no arguments.
    """
    return hashlib.blake2b(key, digest_size=16, person=b"cut").digest()


def _cut_before_arguments(choice: Choice, verdict: str) -> bool:
    if not ends_without_arguments(choice.message):
        return False
    told = choice.message.tool_calls[-1].told
    return choice.finish in _CUTTING or (told.end is None and verdict in _CUT)


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


def keep_whole(known: Recent[bytes, Known], key: bytes, told: Known) -> None:
    """Remember what says the same last, but no answer that was cut in the place of a complete one."""
    before = known.get(key)
    if not told.cut or before is None or before.cut:
        known[key] = told


def last_said(lines: Sequence[Line]) -> bytes:
    """The key of the last message but instructions."""
    return next((line.key for line in reversed(lines) if line.kind != "system"), b"")


def longest(known: Mapping[bytes, object], chains: Sequence[bytes]) -> int:
    """The size of the longest prefix, but the whole, that is known; 0 where none is."""
    return next((size for size in range(len(chains) - 1, 0, -1) if chains[size - 1] in known), 0)
