r"""Conversations: exchanges that belong together, as a tree.

An exchange belongs to the conversation that the user had open when it was sent; openings of one name are
one conversation. Else it belongs to the exchange whose messages and answer its own request extends, and so
forks are found by themselves. Else it begins a conversation of its own.

*Extends* is decided by keys, so that it costs one look-up per message and keys can be stored::

    key(0)   = BLAKE2b-128("recorder/thread/v1\0")
    key(i+1) = BLAKE2b-128(key(i) | canonical message i)

Where several messages of the model end that come one after the other, their parts count as those of one message, after
what came before the first of them: an answer may be sent back in pieces (:mod:`recorder.core.answer_pieces`), and a
program may begin an answer that is sent back as one.

An answer's key is the key of the request's messages and then the answer, as a client would send it back:
role, text and tool calls. What clients do not send back, or not unchanged, does not count: reasoning, refusals,
ids of calls, spaces around the text, a leading ``<think>`` block, the layout of a call's arguments and how their
numbers are written, and more (:mod:`recorder.core.message_identity`); none at all are an empty object, also where the
call was cut before they came (what was made up for them belongs to the conversation, and is a finding:
:mod:`recorder.core.history_tellings`). An argument with another value, be it in the last of thirty digits, does.

The result depends on the set of exchanges only, not on the order in which they are given. An extending request
has more messages than the extended one, so there are no circles.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from recorder.core.answer_pieces import begun, joined, runs
from recorder.core.message_identity import can_be_sent_back, canonical_message
from recorder.core.messages import Anomaly, Message

_ORIGIN: Final = hashlib.blake2b(b"recorder/thread/v1\0", digest_size=16).digest()
_SHORT: Final = 4096  # bytes


def thread_keys(messages: Sequence[Message]) -> list[bytes]:
    """Return the key of every prefix of *messages*, from the first message alone to all of them; 16 bytes each.

    Several messages of the model one after the other have, where they end, the key of one message with their parts.
    """
    keys: list[bytes] = []
    key = _ORIGIN
    first = {end - 1: start for start, end in runs(messages)}
    for at, message in enumerate(messages):
        if at in first:
            start = first[at]
            key = _extended(keys[start - 1] if start else _ORIGIN, joined(messages[start : at + 1]))
        else:
            key = _extended(key, message)
        keys.append(key)
    return keys


def answer_key(request_messages: Sequence[Message], answer: Message) -> bytes | None:
    """Return the key of a request's messages and then its answer: what a request that goes on has as a prefix.

    None where the answer has neither text nor tool calls nor media: nothing is there to be sent back.
    """
    return answer_keys(request_messages, thread_keys(request_messages), [answer])[0]


def answer_keys(
    request_messages: Sequence[Message], keys: Sequence[bytes], answers: Iterable[Message]
) -> list[bytes | None]:
    """Return of each answer what :func:`answer_key` does.

    :param keys: of the request's messages.
    """
    began = begun(request_messages)
    before = len(keys) - len(began)
    key = keys[before - 1] if before else _ORIGIN
    said = ((answer, answer if answer.role else _as_assistant(answer)) for answer in answers)
    return [_extended(key, joined((*began, told))) if can_be_sent_back(answer) else None for answer, told in said]


def _as_assistant(answer: Message) -> Message:
    return Message("assistant", answer.parts)


def message_key(message: Message, *, answer: bool = False) -> bytes:
    """Return the key of one message by itself, 16 bytes; of an *answer* as a client would send it back."""
    return _extended(_ORIGIN, _as_assistant(message) if answer and not message.role else message)


def _extended(key: bytes, message: Message) -> bytes:
    return hashlib.blake2b(key + _canonical(message), digest_size=16).digest()


def _canonical(message: Message) -> bytes:
    try:
        return message.canonical
    except AttributeError:
        made = canonical_message(message)
    if len(made) <= _SHORT:  # making a long one takes no longer than its size accounts for
        object.__setattr__(message, "canonical", made)
    return made


@dataclass(frozen=True, slots=True)
class Turn:
    """What threading needs to know of an exchange.

    :ivar id: the exchange's id.
    :ivar started_ns: wall time in nanoseconds, to choose between equal candidates.
    :ivar keys: :func:`thread_keys` of its request's messages.
    :ivar answers: :func:`answer_key` of each choice that has one.
    :ivar call: the call it belongs to; its attempts stay together.
    :ivar attempt: its place in the call.
    :ivar opening: id of the conversation opening that it was sent in.
    :ivar name: the name of that opening.
    """

    id: str
    started_ns: int = 0
    keys: tuple[bytes, ...] = ()
    answers: tuple[bytes, ...] = ()
    call: str | None = None
    attempt: int = 1
    opening: str | None = None
    name: str | None = None


#: What an exchange can be to an earlier one.
RELATIONS: Final[Mapping[str, str]] = {
    "begins": "nothing before it has to do with it",
    "attempts": "another attempt of the same call: a retry of the transport, a redirect, an auth round",
    "retries": "the same question again, after one whose answer was not complete",
    "regenerates": "the same question again, although the answer was complete",
    "continues": "goes on from an answer",
    "forks": "goes on from an answer from which another exchange went on before",
}


@dataclass(frozen=True, slots=True)
class Relation:
    """What an exchange is to an earlier one.

    :ivar kind: one of :data:`RELATIONS`.
    :ivar of: id of the earlier exchange; None where it begins.
    :ivar findings: how the history that was sent differs from what had been sent and answered (of one that asks again,
        from what had been sent): ``answer_…`` and
        ``message_…``, each of them ``edited``, ``dropped``, ``moved``, ``inserted`` or ``duplicated``; and
        ``older_messages_dropped``.
    """

    kind: str
    of: str | None = None
    findings: tuple[Anomaly, ...] = ()


@dataclass(frozen=True, slots=True)
class Conversation:
    """A tree of exchanges.

    :ivar id: the smallest opening's id where the user opened it, else the id of the first exchange.
    :ivar name: as the user named it.
    :ivar exchanges: ids in the order in which they were sent.
    :ivar parents: ``exchange id -> id of the exchange that it extends``; roots are not in it.
    :ivar relations: what each exchange is to those before it, where somebody looked: see :mod:`recorder.core.history`.
    """

    id: str
    name: str | None = None
    exchanges: tuple[str, ...] = ()
    parents: Mapping[str, str] = field(default_factory=dict)
    relations: Mapping[str, Relation] = field(default_factory=dict)


def turn_of(
    exchange_id: str,
    started_ns: int,
    request_messages: Sequence[Message],
    answer_messages: Iterable[Message],
    *,
    call: str | None = None,
    attempt: int | None = None,
    opening: str | None = None,
    name: str | None = None,
) -> Turn:
    """Return the :class:`Turn` of an exchange with these messages."""
    keys = thread_keys(request_messages)
    answers = answer_keys(request_messages, keys, answer_messages) if keys else []
    return Turn(
        exchange_id,
        started_ns,
        tuple(keys),
        tuple(dict.fromkeys(key for key in answers if key is not None)),
        call,
        attempt or 1,
        opening,
        name,
    )


def group(turns: Iterable[Turn], openings: Mapping[str, str | None] | None = None) -> list[Conversation]:
    """Return the conversations that *turns* make, in the order in which they began.

    :param openings: ``opening id -> name`` of openings that hold no exchange (yet), or only some.
    """
    ordered = sorted(turns, key=lambda turn: (turn.started_ns, turn.id))
    named = Names(ordered, openings or {})
    answers: dict[bytes, list[Turn]] = {}
    for turn in ordered:
        for key in turn.answers:
            answers.setdefault(key, []).append(turn)
    first_of_call: dict[str, Turn] = {}
    for turn in sorted(ordered, key=lambda turn: (turn.attempt, turn.started_ns, turn.id)):
        if turn.call is not None:
            first_of_call.setdefault(turn.call, turn)
    home: dict[str, str] = {}
    parents: dict[str, str] = {}

    def place(turn: Turn) -> None:
        own = named.conversation(turn)
        for key in reversed(turn.keys):
            placed = [other for other in answers.get(key, ()) if other.id in home]
            found = [other for other in placed if own in (None, home[other.id])]
            if found:
                parent = _best(found, turn)
                parents[turn.id] = parent.id
                home[turn.id] = own or home[parent.id]
                return
        home[turn.id] = own or turn.id

    # Who is extended has fewer messages, so it has its place already, but where the program began the answer.
    # Requests without any come last.
    for turn in sorted(ordered, key=lambda turn: len(turn.keys) or sys.maxsize):
        first = first_of_call.get(turn.call or "", turn)
        leader = first if turn.keys in (first.keys, ()) else turn
        if leader.id not in home:
            place(leader)
        if turn.id not in home:
            home[turn.id] = named.conversation(turn) or home[leader.id]
            if leader.id in parents and home[turn.id] == home[leader.id]:
                parents[turn.id] = parents[leader.id]
    return _collected(ordered, home, parents, named)


def _best(candidates: list[Turn], turn: Turn) -> Turn:
    """Return the last candidate that was sent before *turn*, else the first: they are in that order."""
    earlier = [other for other in candidates if (other.started_ns, other.id) < (turn.started_ns, turn.id)]
    return earlier[-1] if earlier else candidates[0]


class Names:
    """Openings of one name are one conversation; its id is the smallest opening's."""

    def __init__(self, turns: Iterable[Turn], openings: Mapping[str, str | None]) -> None:
        self.openings: dict[str, str | None] = dict(openings)
        for turn in turns:
            if turn.opening is not None:
                self.openings.setdefault(turn.opening, turn.name)
        self._ids: dict[str, str] = {}
        for opening in sorted(self.openings):
            name = self.openings[opening]
            if name is not None:
                self._ids.setdefault(name, opening)

    def conversation(self, turn: Turn) -> str | None:
        """Return the id of the conversation that a turn's opening is of."""
        return None if turn.opening is None else self.of(turn.opening)

    def of(self, opening: str) -> str:
        """Return the id of the conversation that an opening is of."""
        name = self.openings[opening]
        return opening if name is None else self._ids[name]


def _collected(
    ordered: Iterable[Turn], home: Mapping[str, str], parents: Mapping[str, str], named: Names
) -> list[Conversation]:
    members: dict[str, list[str]] = {}
    for turn in ordered:
        members.setdefault(home[turn.id], []).append(turn.id)
    for opening in sorted(named.openings):
        members.setdefault(named.of(opening), [])
    return [
        Conversation(
            identity,
            named.openings.get(identity),
            tuple(exchanges),
            {exchange: parents[exchange] for exchange in exchanges if exchange in parents},
        )
        for identity, exchanges in members.items()
    ]
