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
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from recorder.core.conversation import Relation, message_key
from recorder.core.history_alignment import Line, Pairs, align, differences, goes_back, same_beginning
from recorder.core.messages import Anomaly, Message, RefusalPart, TextPart
from recorder.core.rebuilt import Rebuilt

#: How many exchanges are looked through for the one that a changed history goes on from, and how many of those are
#: compared message by message.
_LOOKED_AT: Final = 256
_ALIGNED: Final = 4


@dataclass(frozen=True, slots=True)
class _Telling:
    """A request and one of its answers, as they would be sent back.

    :ivar answered: there is an answer to send back.
    """

    rebuilt: Rebuilt
    lines: tuple[Line, ...]
    answered: bool


@dataclass(slots=True)
class _Seen:
    """What was sent and answered before.

    :ivar tellings: in the order in which they were sent.
    :ivar by_keys: the last telling that has exactly these messages, by :func:`_chain`.
    :ivar requests: the chains of whole requests.
    :ivar said: ``key of an answer -> the exchange that gave it last``.
    """

    rebuilts: list[tuple[Rebuilt, tuple[bytes, ...]]] = field(default_factory=list)
    tellings: list[_Telling] = field(default_factory=list)
    by_keys: dict[bytes, _Telling] = field(default_factory=dict)
    requests: set[bytes] = field(default_factory=set)
    said: dict[bytes, str] = field(default_factory=dict)
    followed: dict[tuple[str, bytes], tuple[bytes, ...]] = field(default_factory=dict)

    def take(self, rebuilt: Rebuilt, lines: tuple[Line, ...], chains: Sequence[bytes]) -> None:
        self.rebuilts.append((rebuilt, tuple(line.key for line in lines)))
        self.requests.update(chains[-1:])
        for telling in _tellings(rebuilt, lines) if lines else ():
            self.tellings.append(telling)
            begun = len(telling.lines) == len(lines)  # the answer goes on in the last message of the request
            before = chains[-2] if len(chains) > 1 else b""
            self.by_keys[_chain(telling.lines[-1].key, before if begun else chains[-1])] = telling
            if not telling.answered:
                self.by_keys[chains[-1]] = telling
            else:
                self.said[telling.lines[-1].key] = rebuilt.id


def relate(exchanges: Sequence[Rebuilt]) -> dict[str, Relation]:
    """Return what each exchange is to those before it, by id.

    :param exchanges: of one conversation, in the order in which they were sent.
    """
    found: dict[str, Relation] = {}
    seen = _Seen()
    for rebuilt in exchanges:
        keys = (message_key(message) for message in rebuilt.request_messages)
        lines = tuple(
            Line(key, message, seen.said.get(key)) for key, message in zip(keys, rebuilt.request_messages, strict=True)
        )
        chains = _chains(lines)
        found[rebuilt.id] = _same_request(rebuilt, lines, seen) or _going_on(lines, chains, seen) or Relation("begins")
        seen.take(rebuilt, lines, chains)
    return found


def _tellings(rebuilt: Rebuilt, lines: tuple[Line, ...]) -> Iterator[_Telling]:
    for answer in rebuilt.answer_messages or (None,):
        if answer is None:
            yield _Telling(rebuilt, lines, answered=False)
            continue
        said = bool(answer.text.strip() or answer.tool_calls)
        if said and lines[-1].answered:  # the program began the answer: both are sent back as one message
            whole = Message(lines[-1].message.role, (*lines[-1].message.parts, *answer.parts))
            yield _Telling(rebuilt, (*lines[:-1], Line(message_key(whole), whole, rebuilt.id)), answered=True)
        key = message_key(answer, answer=True)
        yield _Telling(rebuilt, (*lines, Line(key, answer, rebuilt.id, silent=not said)), answered=said)
        refusal = "" if said else "".join(part.text for part in answer.parts if isinstance(part, RefusalPart))
        if refusal.strip():  # which clients send back as a text
            text = Message(answer.role or "assistant", (TextPart(refusal),))
            yield _Telling(rebuilt, (*lines, Line(message_key(text), text, rebuilt.id, silent=True)), answered=True)


def _chain(key: bytes, before: bytes = b"") -> bytes:
    return hashlib.blake2b(before + key, digest_size=16).digest()


def _chains(lines: Sequence[Line]) -> list[bytes]:
    """Of every prefix, what is the same for the same messages."""
    found: list[bytes] = []
    for line in lines:
        found.append(_chain(line.key, found[-1] if found else b""))
    return found


def _same_request(rebuilt: Rebuilt, lines: Sequence[Line], seen: _Seen) -> Relation | None:
    call, keys = rebuilt.exchange.call, tuple(line.key for line in lines)
    for other, others in reversed(seen.rebuilts):
        if call is not None and other.exchange.call == call:
            return Relation("attempts", other.id)
        if keys and others == keys:
            again = "regenerates" if other.verdict == "complete" else "retries"
            return Relation(again, other.id)
    return None


def _going_on(lines: tuple[Line, ...], chains: Sequence[bytes], seen: _Seen) -> Relation | None:
    """The relation to the exchange whose request and answer it sends back, or sends back changed."""
    size = next((size for size in range(len(lines) - 1, 0, -1) if chains[size - 1] in seen.by_keys), 0)
    asked = next((size for size in range(len(lines) - 1, 0, -1) if chains[size - 1] in seen.requests), 0)
    exact = seen.by_keys[chains[size - 1]] if size else None
    if exact is not None and size >= asked and not any(line.answered for line in lines[size:]):
        if not exact.answered:
            return Relation("continues", exact.rebuilt.id)
        keys = tuple(line.key for line in lines)
        before = seen.followed.setdefault((exact.rebuilt.id, chains[size - 1]), keys)
        return Relation("continues" if before == keys else "forks", exact.rebuilt.id)
    return _changed(lines, exact, seen)


def _changed(lines: tuple[Line, ...], exact: _Telling | None, seen: _Seen) -> Relation | None:
    """The relation to the exchange with which it shares the most messages, where nothing fits exactly."""
    own = Counter(line.key for line in lines)
    shared: list[tuple[int, int, int, _Telling]] = []
    for at, telling in enumerate(seen.tellings[-_LOOKED_AT:]):
        count = (own & Counter(line.key for line in telling.lines)).total()
        if count:
            shared.append((count, -len(telling.lines), at, telling))
    shared.sort(key=lambda each: each[:3], reverse=True)
    candidates = [telling for *_, telling in shared[:_ALIGNED]]
    if exact is not None and exact not in candidates:
        candidates.append(exact)
    best: tuple[tuple[int, int, int], Relation | None] | None = None
    for telling in candidates:
        pairs = align(telling.lines, lines)
        back = goes_back(telling.lines, lines, pairs)
        findings = [] if back else differences(telling.lines, lines, pairs, seen.said)
        rank = (len(pairs), same_beginning(telling.lines, lines), -len(findings))
        if best is None or rank > best[0]:
            best = (rank, _relation(telling, lines, pairs, findings, back=back))
    return best[1] if best else None


def _relation(
    telling: _Telling, lines: Sequence[Line], pairs: Pairs, findings: Sequence[Anomaly], *, back: bool
) -> Relation | None:
    if back:  # where only instructions or questions are shared, it goes on from nothing
        forked = any(lines[at].answered for _, at in pairs)
        return Relation("forks", telling.rebuilt.id) if forked else None
    return Relation("continues", telling.rebuilt.id, tuple(findings))
