"""What each exchange of a conversation is to the ones before it, and what the program changed in the history.

A program sends the whole history with every request: its own messages, and the model's answers as it chose to
keep them. Compared with what was really sent and answered, messages may have been edited, dropped, put in or put
elsewhere; each difference is a finding. What clients never send back unchanged does not count: see
:mod:`recorder.core.conversation`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Final

from recorder.core.conversation import Relation, message_key
from recorder.core.messages import Anomaly, Message
from recorder.core.rebuilt import Rebuilt

_SHOWN: Final = 60


@dataclass(frozen=True, slots=True)
class _Seen:
    rebuilt: Rebuilt
    keys: tuple[bytes, ...]  # of the request's messages, each by itself
    answers: tuple[bytes, ...]  # of each choice, as it would be sent back


def relate(exchanges: Sequence[Rebuilt]) -> dict[str, Relation]:
    """Return what each exchange is to those before it, by id.

    :param exchanges: of one conversation, in the order in which they were sent.
    """
    found: dict[str, Relation] = {}
    seen: list[_Seen] = []
    followed: dict[tuple[str, bytes], tuple[bytes, ...]] = {}
    for rebuilt in exchanges:
        one = _Seen(
            rebuilt,
            tuple(map(message_key, rebuilt.request_messages)),
            tuple(message_key(message, answer=True) for message in rebuilt.answer_messages),
        )
        relation = _same_request(one, seen) or _extending(one, seen, followed) or _differing(one, seen)
        found[rebuilt.id] = relation or Relation("begins")
        seen.append(one)
    return found


def _same_request(one: _Seen, seen: Sequence[_Seen]) -> Relation | None:
    call = one.rebuilt.exchange.call
    for other in reversed(seen):
        if call is not None and other.rebuilt.exchange.call == call:
            return Relation("attempts", other.rebuilt.id)
        if one.keys and other.keys == one.keys:
            again = "regenerates" if other.rebuilt.verdict == "complete" else "retries"
            return Relation(again, other.rebuilt.id)
    return None


def _extending(
    one: _Seen, seen: Sequence[_Seen], followed: dict[tuple[str, bytes], tuple[bytes, ...]]
) -> Relation | None:
    """The relation to the exchange whose whole request stands at the beginning of this one, the longest such."""
    longest = max(
        (len(other.keys) for other in seen if _begins_with(one.keys, other.keys)),
        default=0,
    )
    candidates = [other for other in seen if len(other.keys) == longest and _begins_with(one.keys, other.keys)]
    if not candidates:
        return None
    sent_back = one.keys[longest]
    told = [other for other in candidates if sent_back in other.answers]
    if not told:
        other = candidates[-1]
        return Relation("continues", other.rebuilt.id, tuple(_answer_changed(one, other, longest)))
    other = told[-1]
    before = followed.setdefault((other.rebuilt.id, sent_back), one.keys)
    return Relation("continues" if before == one.keys else "forks", other.rebuilt.id)


def _begins_with(keys: tuple[bytes, ...], other: tuple[bytes, ...]) -> bool:
    return 0 < len(other) < len(keys) and keys[: len(other)] == other


def _answer_changed(one: _Seen, other: _Seen, place: int) -> Iterator[Anomaly]:
    message = one.rebuilt.request_messages[place]
    answers = other.rebuilt.answer_messages
    said = _shown(answers[0]) if answers else "nothing"
    if message.role in ("assistant", "model"):
        detail = f"message {place + 1}: exchange {other.rebuilt.id} answered {said}, sent back as {_shown(message)}"
        yield Anomaly("answer_edited", detail)
    elif any(answer.text.strip() or answer.tool_calls for answer in answers):
        detail = f"message {place + 1}: exchange {other.rebuilt.id} answered {said}, which was not sent back"
        yield Anomaly("answer_dropped", detail)


def _differing(one: _Seen, seen: Sequence[_Seen]) -> Relation | None:
    """The relation to the last exchange with which it shares a message, where nothing fits exactly."""
    for other in reversed(seen):
        history = [*zip(other.keys, other.rebuilt.request_messages, strict=True)]
        if other.answers:
            history.append((other.answers[0], other.rebuilt.answer_messages[0]))
        matcher = SequenceMatcher(None, [key for key, _ in history], one.keys, autojunk=False)
        blocks = [block for block in matcher.get_matching_blocks() if block.size]
        if blocks:
            findings = _differences(matcher, [message for _, message in history], one.rebuilt.request_messages)
            return Relation("continues", other.rebuilt.id, tuple(findings))
    return None


def _differences(
    matcher: SequenceMatcher[bytes], before: Sequence[Message], now: Sequence[Message]
) -> Iterator[Anomaly]:
    operations = matcher.get_opcodes()
    last = max(at for at, operation in enumerate(operations) if operation[0] == "equal")
    keys = [message_key(message, answer=message.role is None) for message in before]
    taken = {message_key(message) for message in now}
    known = set(keys)
    for at, (tag, start, end, new_start, new_end) in enumerate(operations):
        if tag == "equal":
            continue
        pairs = min(end - start, new_end - new_start) if at < last else 0
        for offset in range(pairs):
            old, new = before[start + offset], now[new_start + offset]
            yield _difference("edited", old, f"message {new_start + offset + 1}: {_shown(old)} became {_shown(new)}")
        for offset in range(start + pairs, end):
            old = before[offset]
            moved = keys[offset] in taken
            yield _difference("moved" if moved else "dropped", old, f"{_shown(old)}, once message {offset + 1}")
        for offset in range(new_start + pairs, new_end if at < last else new_start):
            new = now[offset]
            if message_key(new) not in known:  # else it was moved, which is told above
                yield _difference("inserted", new, f"message {offset + 1}: {_shown(new)}")


def _difference(what: str, message: Message, detail: str) -> Anomaly:
    answered = message.role in ("assistant", "model", None) and what in ("edited", "dropped")
    return Anomaly(f"{'answer' if answered else 'message'}_{what}", detail)


def _shown(message: Message) -> str:
    text = message.text or ", ".join(f"{call.name}({call.arguments_text})" for call in message.tool_calls)
    short = text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
    return f"{message.role or 'answer'} {short!r}"
