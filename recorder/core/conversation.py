r"""Conversations: exchanges that belong together, as a tree.

An exchange belongs to the conversation that the user had open when it was sent; openings of one name are
one conversation. Else it belongs to the exchange whose messages and answer its own request extends, and so
forks are found by themselves. Else it belongs to the exchange whose answer its request names, where the provider keeps
the history (:mod:`recorder.core.kept_histories`). Else it begins a conversation of its own.

*Extends* is decided by keys, so that it costs one look-up per message and keys can be stored::

    key(0)   = BLAKE2b-128("recorder/thread/v1\0")
    key(i+1) = BLAKE2b-128(key(i) | canonical message i)

Where several messages of the model end that come one after the other, their parts count as those of one message, after
what came before the first of them: an answer may be sent back in pieces (:mod:`recorder.core.answer_pieces`), and a
program may begin an answer that is sent back as one. A beginning that the answer repeats counts once. Where the last
calls of a request are sent one by one, each before its result, the key of one message with all of them counts, too, and
first: an answer that has it made them together.

An answer's key is the key of the request's messages and then the answer, as a client would send it back:
role, text and tool calls. What clients do not send back, or not unchanged, does not count: reasoning, refusals,
ids of calls, spaces around the text, a leading ``<think>`` block, the layout of a call's arguments and how their
numbers are written, and more (:mod:`recorder.core.message_identity`); none at all are an empty object, also where the
call was cut before they came (what was made up for them belongs to the conversation, and is a finding:
:mod:`recorder.core.history_tellings`). An argument with another value, be it in the last of thirty digits, does.

Where a request names what it goes on from, its messages are no beginning: their keys begin with the key of what it
names instead of ``key(0)``. Those that name an answer that nobody here gave are of one conversation, as they would be
if it had been recorded. What is added to a conversation of the provider's goes on from the last answer that was given
there before it, and is with the first that was added where there was none yet.

Where a request refers to items of answers by their ids, its messages are its history, and begin as they would without
ids; but no key is known of an answer that it does not send. So what it refers to last counts before its keys. Items
that it sends whole have ids, too: those count where no key fits, as where the program has edited what was answered.

The result depends on the set of exchanges only, not on the order in which they are given. A request that extends
has more messages than the extended one, so there are no circles, but where ids are named that were given twice; there
the first exchange of the circle extends nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from recorder.core.answer_pieces import begun, called_apart, joined, runs, together
from recorder.core.grouping import Grouping
from recorder.core.kept_histories import NOTHING_KEPT, KeptHistory
from recorder.core.message_identity import can_be_sent_back, canonical_message
from recorder.core.messages import Anomaly, Message

_ORIGIN: Final = hashlib.blake2b(b"recorder/thread/v1\0", digest_size=16).digest()
_SHORT: Final = 4096  # bytes


def thread_keys(messages: Sequence[Message], before: bytes | None = None) -> list[bytes]:
    """Return the key of every prefix of *messages*, from the first message alone to all of them; 16 bytes each.

    Several messages of the model one after the other have, where they end, the key of one message with their parts.

    :param before: the key of what a request names that it goes on from.
    """
    keys: list[bytes] = []
    key = origin = before or _ORIGIN
    first = {end - 1: start for start, end in runs(messages)}
    for at, message in enumerate(messages):
        if at in first:
            start = first[at]
            key = _extended(keys[start - 1] if start else origin, together(messages[start : at + 1]))
        else:
            key = _extended(key, message)
        keys.append(key)
    return keys


def answer_key(request_messages: Sequence[Message], answer: Message) -> bytes | None:
    """Return the key of a request's messages and then its answer: what a request that goes on has as a prefix.

    None where nothing of the answer is there to be sent back, as where it only thought or refused.
    """
    return answer_keys(request_messages, thread_keys(request_messages), [answer])[0]


def answer_keys(
    request_messages: Sequence[Message], keys: Sequence[bytes], answers: Iterable[Message], named: bytes | None = None
) -> list[bytes | None]:
    """Return of each answer what :func:`answer_key` does.

    :param keys: of the request's messages.
    :param named: the key of what the request names that it goes on from.
    """
    began = begun(request_messages)
    before = len(keys) - len(began)
    key = keys[before - 1] if before else named or _ORIGIN
    said = ((answer, answer if answer.role else _as_assistant(answer)) for answer in answers)
    return [_extended(key, together((*began, told))) if can_be_sent_back(answer) else None for answer, told in said]


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
    :ivar kept: what it has to do with a history that the provider keeps.
    """

    id: str
    started_ns: int = 0
    keys: tuple[bytes, ...] = ()
    answers: tuple[bytes, ...] = ()
    call: str | None = None
    attempt: int = 1
    opening: str | None = None
    name: str | None = None
    kept: KeptHistory = NOTHING_KEPT

    @property
    def chain(self) -> tuple[bytes, ...]:
        """All keys that an exchange which it goes on from can have given, the longest last."""
        kept = self.kept
        last = (key for key in (kept.apart, kept.refers) if key is not None)
        first = kept.named or kept.resends
        return (*(() if first is None else (first,)), *self.keys, *last)

    @property
    def given(self) -> tuple[bytes, ...]:
        """The keys by which another exchange can go on from it."""
        kept = self.kept
        # What came to nothing is no part of the provider's conversation.
        return self.answers + kept.gives + (() if kept.joins is None or not self.answers else (kept.joins,))


#: What an exchange can be to an earlier one.
RELATIONS: Final[Mapping[str, str]] = {
    "begins": "nothing before it has to do with it",
    "attempts": "another attempt of the same call: a retry of the transport, a redirect, an auth round",
    "retries": "the same question again, after one whose answer was not complete",
    "regenerates": "the same question again, although the answer was complete",
    "fetches": "asks by its id for the answer to an earlier request that is made in the background, or stops it",
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
    :ivar one_of: how many exchanges it has, where only one of these is here; None: this is all of it.
    """

    id: str
    name: str | None = None
    exchanges: tuple[str, ...] = ()
    parents: Mapping[str, str] = field(default_factory=dict)
    relations: Mapping[str, Relation] = field(default_factory=dict)
    one_of: int | None = None


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
    kept: KeptHistory = NOTHING_KEPT,
) -> Turn:
    """Return the :class:`Turn` of an exchange with these messages."""
    keys = thread_keys(request_messages, kept.named)
    answers = answer_keys(request_messages, keys, answer_messages, kept.named) if keys or kept.named else []
    apart = called_apart(request_messages)
    if apart is not None and kept.tells is None:
        first, calls = apart
        before = keys[first - 1] if first else _ORIGIN
        kept = kept._replace(apart=_extended(before, joined(calls)))
    return Turn(
        exchange_id,
        started_ns,
        tuple(keys),
        tuple(dict.fromkeys(key for key in answers if key is not None)),
        call,
        attempt or 1,
        opening,
        name,
        kept,
    )


def group(turns: Iterable[Turn], openings: Mapping[str, str | None] | None = None) -> list[Conversation]:
    """Return the conversations that *turns* make, in the order in which they began.

    :param openings: ``opening id -> name`` of openings that hold no exchange (yet), or only some.
    """
    ordered = sorted(turns, key=lambda turn: (turn.started_ns, turn.id))
    named = Names(ordered, openings or {})
    return _collected(named, Grouping(ordered, [named.conversation(turn) for turn in ordered]))


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


def _collected(named: Names, grouped: Grouping) -> list[Conversation]:
    members: dict[str, list[int]] = {}
    for place, home in enumerate(grouped.homes):
        members.setdefault(home, []).append(place)
    for opening in sorted(named.openings):
        members.setdefault(named.of(opening), [])
    ids = [turn.id for turn in grouped.turns]
    return [
        Conversation(
            identity,
            named.openings.get(identity),
            tuple(ids[place] for place in places),
            {ids[place]: ids[parent] for place in places if (parent := grouped.parent(place)) is not None},
        )
        for identity, places in members.items()
    ]
