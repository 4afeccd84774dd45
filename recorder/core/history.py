"""What each exchange of a conversation is to the ones before it, and what the program changed in the history.

A program sends the whole history with every request: its own messages, and the model's answers as it chose to
keep them. All of it is laid beside what was sent and answered before, and every difference is a finding: edited,
dropped, moved, put in, sent twice. What clients never send back unchanged does not count: see
:mod:`recorder.core.conversation`.

What is compared with is the request from which it goes on, and the answer to that. So each change is told once,
where it was first sent, and not again by every request that carries it along.
"""

from __future__ import annotations

import hashlib
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeVar
from weakref import WeakValueDictionary

from recorder.core.conversation import Relation, message_key
from recorder.core.history_alignment import Line, Pairs, align, differences, goes_back, same_beginning
from recorder.core.messages import Anomaly, Message, RefusalPart, TextPart
from recorder.core.rebuilt import Rebuilt

#: How many exchanges are looked through for the one that a changed history goes on from, and how many of those are
#: compared message by message.
_LOOKED_AT: Final = 256
_ALIGNED: Final = 4
#: Exchanges of one conversation of which it is known that something goes on from them exactly; of older ones it is not.
_REMEMBERED: Final = 32_768

_K = TypeVar("_K")
_V = TypeVar("_V")


class _Known(NamedTuple):
    """What is remembered of an exchange, and of a telling for longer than it is kept.

    :ivar number: the how manieth it is.
    :ivar answered: the answer was complete; of a telling, there is one to send back.
    """

    number: int
    id: str
    answered: bool


@dataclass(frozen=True, slots=True)
class _Telling:
    """A request and one of its answers, as they would be sent back.

    :ivar id: of the exchange.
    :ivar answered: there is an answer to send back.
    """

    id: str
    lines: tuple[Line, ...]
    answered: bool


class _Recent(dict[_K, _V]):
    """The last that were set, so that what is remembered of a conversation does not grow with it for ever."""

    def __setitem__(self, key: _K, value: _V) -> None:
        self.pop(key, None)
        super().__setitem__(key, value)
        if len(self) > _REMEMBERED:
            del self[next(iter(self))]


class History:
    """The exchanges of one conversation, told one after another, and what each is to those before it.

    No exchange is kept, only the messages of the last ones, each once however often it was sent, and a few bytes for
    each of many more: memory is bounded, however long the conversation is.
    """

    def __init__(self) -> None:
        self._count = 0
        self._tellings: deque[_Telling] = deque(maxlen=_LOOKED_AT)
        self._told = 0
        self._lines: WeakValueDictionary[tuple[bytes, str | None], Line] = WeakValueDictionary()
        self._calls: _Recent[str, _Known] = _Recent()
        self._requests: _Recent[bytes, _Known] = _Recent()  # by the chain of the whole request
        self._by_keys: _Recent[bytes, _Known] = _Recent()  # the last telling that has exactly these messages
        self._said: _Recent[bytes, str] = _Recent()  # key of an answer -> the exchange that gave it last
        self._followed: _Recent[tuple[str, bytes], bytes] = _Recent()

    def take(self, rebuilt: Rebuilt) -> Relation:
        """Return what the next exchange is to those that were taken before.

        :param rebuilt: of the same conversation; they come in the order in which they were sent.
        """
        lines = tuple(map(self._line, rebuilt.request_messages))
        chains = _chains(lines)
        relation = self._same_request(rebuilt, chains) or self._going_on(lines, chains) or Relation("begins")
        self._remember(rebuilt, lines, chains)
        return relation

    def _line(self, message: Message) -> Line:
        key = message_key(message)
        by = self._said.get(key)
        line = self._lines.get((key, by))
        if line is None:
            line = self._lines[key, by] = Line(key, message, by)
        return line

    def _remember(self, rebuilt: Rebuilt, lines: tuple[Line, ...], chains: Sequence[bytes]) -> None:
        self._count += 1
        known = _Known(self._count, rebuilt.id, rebuilt.verdict == "complete")
        call = rebuilt.exchange.call
        if call is not None:
            self._calls[call] = known
        if not lines:
            return
        self._requests[chains[-1]] = known
        for telling in _tellings(rebuilt, lines):
            self._tellings.append(telling)
            self._told += 1
            told = _Known(self._told, telling.id, telling.answered)
            begun = len(telling.lines) == len(lines)  # the answer goes on in the last message of the request
            before = chains[-2] if len(chains) > 1 else b""
            self._by_keys[_chain(telling.lines[-1].key, before if begun else chains[-1])] = told
            if not telling.answered:
                self._by_keys[chains[-1]] = told
            else:
                self._said[telling.lines[-1].key] = rebuilt.id

    def _same_request(self, rebuilt: Rebuilt, chains: Sequence[bytes]) -> Relation | None:
        call = rebuilt.exchange.call
        attempt = self._calls.get(call) if call is not None else None
        same = self._requests.get(chains[-1]) if chains else None
        if attempt is not None and (same is None or attempt.number >= same.number):
            return Relation("attempts", attempt.id)
        return None if same is None else Relation("regenerates" if same.answered else "retries", same.id)

    def _going_on(self, lines: tuple[Line, ...], chains: Sequence[bytes]) -> Relation | None:
        """The relation to the exchange whose request and answer it sends back, or sends back changed."""
        size = next((size for size in range(len(lines) - 1, 0, -1) if chains[size - 1] in self._by_keys), 0)
        asked = next((size for size in range(len(lines) - 1, 0, -1) if chains[size - 1] in self._requests), 0)
        exact = self._by_keys[chains[size - 1]] if size else None
        if exact is not None and size >= asked and not any(line.answered for line in lines[size:]):
            if not exact.answered:
                return Relation("continues", exact.id)
            place = exact.id, chains[size - 1]
            if place not in self._followed:
                self._followed[place] = chains[-1]
            return Relation("continues" if self._followed[place] == chains[-1] else "forks", exact.id)
        return self._changed(lines, exact)

    def _changed(self, lines: tuple[Line, ...], exact: _Known | None) -> Relation | None:
        """The relation to the exchange with which it shares the most messages, where nothing fits exactly."""
        own = Counter(line.key for line in lines)
        first = self._told - len(self._tellings) + 1
        shared: list[tuple[int, int, int]] = []
        for number, telling in enumerate(self._tellings, first):
            count = (own & Counter(line.key for line in telling.lines)).total()
            if count:
                shared.append((count, -len(telling.lines), number))
        numbers = [number for *_, number in sorted(shared, reverse=True)[:_ALIGNED]]
        if exact is not None and exact.number >= first and exact.number not in numbers:
            numbers.append(exact.number)
        best: tuple[tuple[int, int, int], Relation | None] | None = None
        for number in numbers:
            telling = self._tellings[number - first]
            pairs = align(telling.lines, lines)
            back = goes_back(telling.lines, lines, pairs)
            findings = [] if back else differences(telling.lines, lines, pairs, self._said)
            rank = (len(pairs), same_beginning(telling.lines, lines), -len(findings))
            if best is None or rank > best[0]:
                best = (rank, _relation(telling, lines, pairs, findings, back=back))
        return best[1] if best else None


def relate(exchanges: Iterable[Rebuilt]) -> dict[str, Relation]:
    """Return what each exchange is to those before it, by id.

    :param exchanges: of one conversation, in the order in which they were sent.
    """
    history = History()
    return {rebuilt.id: history.take(rebuilt) for rebuilt in exchanges}


def _tellings(rebuilt: Rebuilt, lines: tuple[Line, ...]) -> Iterator[_Telling]:
    for answer in rebuilt.answer_messages or (None,):
        if answer is None:
            yield _Telling(rebuilt.id, lines, answered=False)
            continue
        said = bool(answer.text.strip() or answer.tool_calls)
        if said and lines[-1].answered:  # the program began the answer: both are sent back as one message
            whole = Message(lines[-1].message.role, (*lines[-1].message.parts, *answer.parts))
            yield _Telling(rebuilt.id, (*lines[:-1], Line(message_key(whole), whole, rebuilt.id)), answered=True)
        key = message_key(answer, answer=True)
        yield _Telling(rebuilt.id, (*lines, Line(key, answer, rebuilt.id, silent=not said)), answered=said)
        refusal = "" if said else "".join(part.text for part in answer.parts if isinstance(part, RefusalPart))
        if refusal.strip():  # which clients send back as a text
            text = Message(answer.role or "assistant", (TextPart(refusal),))
            yield _Telling(rebuilt.id, (*lines, Line(message_key(text), text, rebuilt.id, silent=True)), answered=True)


def _chain(key: bytes, before: bytes = b"") -> bytes:
    return hashlib.blake2b(before + key, digest_size=16).digest()


def _chains(lines: Sequence[Line]) -> list[bytes]:
    """Of every prefix, what is the same for the same messages."""
    found: list[bytes] = []
    for line in lines:
        found.append(_chain(line.key, found[-1] if found else b""))
    return found


def _relation(
    telling: _Telling, lines: Sequence[Line], pairs: Pairs, findings: Sequence[Anomaly], *, back: bool
) -> Relation | None:
    if back:  # where only instructions or questions are shared, it goes on from nothing
        forked = any(lines[at].answered for _, at in pairs)
        return Relation("forks", telling.id) if forked else None
    return Relation("continues", telling.id, tuple(findings))
