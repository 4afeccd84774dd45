"""Results of tools in the order of the calls that they answer, whatever the order in which they are sent.

Ids of calls are not compared, as clients rename them; but which call of its turn a result answers is what it says. So
results are told apart by the place of their call: a client may send them in another order with the right ids, and has
changed nothing, and the result of one call under the id of another one is a change.

Where a request has results with their calls in the place of the answers that called (Cohere's loop of single steps),
those answers are the ones that were given there, whatever they said beside their calls.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from recorder.core.conversation import message_key
from recorder.core.history_tellings import Telling, last_said
from recorder.core.messages import REPEATED_BY, Message, ToolResultPart


def with_answers(messages: Sequence[Message], tellings: Sequence[Telling]) -> Sequence[Message]:
    """Return the messages of a request with the answers that gave the calls which its results repeat.

    Results of several steps come after one another, each after the answer that called.

    :param tellings: of the exchanges before it, in the order in which they were sent.
    """
    at = next((at for at, message in enumerate(messages) if isinstance(message.extras.get(REPEATED_BY), tuple)), None)
    if at is None:
        return messages
    return [*messages[:at], *_steps(messages[:at], messages[at], messages[at + 1], tellings), *messages[at + 2 :]]


def _steps(
    before: Sequence[Message], repeated: Message, results: Message, tellings: Sequence[Telling]
) -> Iterator[Message]:
    """The answers and the results that a message of calls and one of as many results are made of."""
    key = next((message_key(one) for one in reversed(before) if one.role != "system"), b"")
    done, calls = 0, _keys(repeated)
    while done < len(calls) and (answer := _answer(key, calls[done:], tellings)) is not None:
        end = done + len(answer.tool_calls)
        told = replace(results, parts=results.parts[done:end])
        yield replace(repeated, parts=answer.parts)
        yield told
        key, done = message_key(told), end
    if done < len(calls):
        yield replace(repeated, parts=repeated.parts[done:])
        yield replace(results, parts=results.parts[done:])


def _answer(key: bytes, calls: Sequence[bytes], tellings: Sequence[Telling]) -> Message | None:
    """The last answer to a message that made the first of some calls, in any order."""
    for telling in reversed(tellings):
        made = _keys(telling.lines[-1].message) if telling.answered else []
        if made and Counter(made) == Counter(calls[: len(made)]) and last_said(telling.lines[:-1]) == key:
            return telling.lines[-1].message
    return None


def _keys(message: Message) -> list[bytes]:
    """Of each call of a message, what is the same for the same call."""
    return [message_key(Message(None, (call,))) for call in message.tool_calls]


def in_order_of_calls(messages: Sequence[Message]) -> Sequence[Message]:
    """Return the messages of a request with the results after each answer in the order of its calls.

    Those whose ids are not of a call right before them, or of several, stay where they are.
    """
    found, at = list[Message](), 0
    while at < len(messages):
        first = at
        while at < len(messages) and messages[at].tool_calls:
            at += 1
        calls, end = _calls(messages[first:at]), at
        while calls and end < len(messages) and _places(messages[end], calls):
            end += 1
        ordered = _ordered(messages[at:end], calls)
        if ordered is not None:
            found = found or list(messages)
            found[at:end] = ordered
        at = max(at, end, first + 1)
    return found or messages


def _calls(answers: Sequence[Message]) -> dict[str, int]:
    """The places of the calls of answers by their ids; none where there are not several, each with an id of its own."""
    ids = [call.id for answer in answers for call in answer.tool_calls]
    places = {identity: place for place, identity in enumerate(ids) if identity is not None}
    return places if 1 < len(places) == len(ids) else {}


def _places(message: Message, calls: dict[str, int]) -> list[int]:
    """The places of the calls that a message has results of; none where one is of no call, or it has none."""
    results = [part for part in message.parts if isinstance(part, ToolResultPart)]
    ids = [part.call_id for part in results] or [message.tool_call_id]
    found = [calls[identity] for identity in ids if identity is not None and identity in calls]
    return found if len(found) == len(ids) else []


def _ordered(run: Sequence[Message], calls: dict[str, int]) -> list[Message] | None:
    """Results that come one after another in the order of their calls; None where they are in it."""
    places = [place for message in run for place in _places(message, calls)]
    if places == sorted(places) or len(set(places)) < len(places):
        return None
    whole = [_sorted(message, calls) for message in run]
    return sorted(whole, key=lambda message: min(_places(message, calls)))


def _sorted(message: Message, calls: dict[str, int]) -> Message:
    results = [part for part in message.parts if isinstance(part, ToolResultPart)]
    if len(results) < 2:
        return message
    following = iter(sorted(results, key=lambda part: calls[part.call_id or ""]))
    return replace(
        message, parts=tuple(next(following) if isinstance(part, ToolResultPart) else part for part in message.parts)
    )
