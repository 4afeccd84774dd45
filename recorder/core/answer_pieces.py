"""Answers that are sent back in several messages, one after the other.

Who reads a stream may keep each piece of it as a message, and send all of them back as they are; others make a message
of the text and another one of the calls. No model tells them from one message with the same parts, so what comes from
the model without anything between is one answer here, where it is the one that was given.

What a program begins an answer with is a message of the model, too. Most providers answer with the rest; Mistral's
answer, and that of others that speak like it, has the beginning once more. Programs then send back the answer alone,
or the beginning and the rest, or both as they are: all of these say what the answer says.

Of an answer with several calls, some clients make a message of each call, and send its result after it. The ids of the
calls tell which of them were made together, as each result is of a call right before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from recorder.core.json_value import canonical
from recorder.core.messages import Message, TextPart, ToolResultPart

#: Roles of the model in a request, as dialects name it.
_MODEL: Final = frozenset({"assistant", "model"})
#: What JSON begins with that has an end.
_OPENING: Final = "{["
#: More calls are not made together.
_PIECES: Final = 64


def runs(messages: Sequence[Message]) -> Iterator[tuple[int, int]]:
    """Yield where several messages of the model come one after the other: the first place, and that after the last."""
    start = 0
    for at in range(len(messages) + 1):
        if at == len(messages) or messages[at].role not in _MODEL:
            if at - start > 1:
                yield start, at
            start = at + 1


def call_ids(message: Message) -> list[str]:
    """Return the ids of a message's calls; none where one of them has none, or it is not the model's."""
    calls = [call.id for call in message.tool_calls] if message.role in _MODEL else []
    ids = [identity for identity in calls if identity]
    return ids if len(ids) == len(calls) else []


def result_ids(message: Message) -> list[str]:
    """Return the ids of the calls whose results a message has; none where it has anything else."""
    if message.role in _MODEL:
        return []
    results = [part.call_id for part in message.parts if isinstance(part, ToolResultPart)]
    if not results and message.role == "tool":
        results = [message.tool_call_id]
    elif any(isinstance(part, TextPart) for part in message.parts):
        return []
    ids = [identity for identity in results if identity]
    return ids if len(ids) == len(results) else []


def called_apart(messages: Sequence[Message]) -> tuple[int, Sequence[Message]] | None:
    """Return the place of the last calls in a request that are sent one by one with results between, and these calls.

    Nobody can tell from a request alone whether they were made together. None where there are no such, or very many.
    """
    pieces, first, seen, between = list[Message](), 0, set[str](), False
    for at, message in enumerate(messages):
        ids, results = call_ids(message), result_ids(message)
        if ids and seen and seen.isdisjoint(ids) and len(message.parts) == len(message.tool_calls):
            pieces.append(message)
            between = between or bool(result_ids(messages[at - 1]))
        elif ids:
            text = at > 0 and messages[at - 1].role in _MODEL and not messages[at - 1].tool_calls
            first, pieces = (at - 1, [messages[at - 1], message]) if text else (at, [message])
            seen, between = set(), False
        elif message.role in _MODEL or (seen and results and not seen.issuperset(results)):
            pieces, seen, between = [], set(), False
        elif not results:
            seen = set()  # what comes after it was not made with them
        seen.update(ids)
    return (first, pieces) if between and len(pieces) <= _PIECES else None


def begun(messages: Sequence[Message]) -> Sequence[Message]:
    """Return the messages of the model at the end of a request, which its answer goes on from."""
    start = len(messages)
    while start and messages[start - 1].role in _MODEL:
        start -= 1
    return messages[start:]


def joined(messages: Sequence[Message]) -> Message:
    """Return one message with the parts of several.

    :param messages: at least one.
    """
    if len(messages) == 1:
        return messages[0]
    return Message(messages[0].role, tuple(part for message in messages for part in message.parts))


def together(messages: Sequence[Message]) -> Message:
    """Return what several messages say: :func:`joined`, but without those that the next one repeats and goes on from.

    :param messages: at least one.
    """
    start, text = 0, messages[0].text
    for at in range(1, len(messages)):
        if not _is_text(messages[at - 1]):
            break
        said = messages[at].text
        if _goes_on(text, said):
            start, text = at, said
        else:
            text += said
    return joined(messages[start:])


def repeats(begun: Message, answer: Message) -> bool:
    """Tell whether an answer says once more what the program had begun it with, and goes on from there."""
    return _is_text(begun) and _goes_on(begun.text, answer.text)


def _goes_on(text: str, said: str) -> bool:
    """Whether what is said begins with a text, whatever the spaces around that, and is more than it."""
    text, said = text.strip(), said.strip()
    if not 0 < len(text) < len(said) or not said.startswith(text):
        return False
    # One character comes again by chance, as in a list of lists; but what is whole with it is not begun before it.
    return len(text) > 1 or (text in _OPENING and canonical(said) is not None)


def _is_text(message: Message) -> bool:
    return all(isinstance(part, TextPart) for part in message.parts)
