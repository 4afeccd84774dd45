"""What a request sends beside a history that the provider keeps: all of it is to be new, and the program's own.

The model's answers are kept, so none has to be sent: one that is was never made, or is there twice. Nor does a result
have to be sent but of a call that was made there and has none. What names nothing but what is kept puts nothing in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from recorder.core.history_alignment import Line
from recorder.core.history_differences import put_in, shown
from recorder.core.history_resumed import as_gone_on
from recorder.core.history_tellings import Telling
from recorder.core.messages import Anomaly, Message, OtherPart, ToolCallPart, ToolResultPart

#: Fields of an item that name the call which it answers, and those by which a call may be named.
_ANSWERED, _CALLED = ("call_id", "approval_request_id"), ("call_id", "id")


def beside(lines: Sequence[Line], kept: int, said: Mapping[bytes, str], *, whole: bool) -> list[Anomaly]:
    """Return what is put in beside a history that the provider keeps.

    :param lines: of the request, with its instructions and that history before what is sent.
    :param kept: how many these are.
    :param said: as of :func:`~recorder.core.history_differences.differences`.
    :param whole: the answer that is gone on from is known whole: else it may have made calls that nobody here knows.
    """
    found, last = list[Anomaly](), len(lines) - 1
    held = {line.key for line in lines[:kept]}
    calls = Counter(call for line in lines[:kept] if line.answered for call in _made(line.message))
    made = set(calls)
    calls.subtract(call for line in lines[:kept] if not line.answered for call in _answers(line.message))
    for place in range(kept, len(lines)):
        line = lines[place]
        if line.answered and line.kind != "reference":
            found.append(put_in(line, place, said, twice=line.key in held, last=place == last))
        elif not line.answered and whole:
            answers = list(_answers(line.message))
            if any(calls[call] < 1 for call in answers):
                found.append(_result(line, place, made=made.issuperset(answers), twice=line.key in held))
            calls.subtract(answers)
    return found


def _result(line: Line, place: int, *, made: bool, twice: bool) -> Anomaly:
    why = "of a call that had its result" if made else "of a call that no recorded answer made"
    kind = "message_duplicated" if made and twice else "message_inserted"
    return Anomaly(kind, f"message {place + 1}: {shown(line.message)}, {why}")


def changed_since(telling: Telling, lines: tuple[Line, ...], sent: Sequence[Line]) -> tuple[list[Line], list[Line]]:
    """Return what was sent and answered where an answer paused, and what the request that goes on with it sends.

    :param telling: of the exchange whose answer paused.
    :param lines: of the request, with what was said of the answer before; *sent* as it was sent.
    """
    begins = bool(sent) and sent[-1].answered and not _is_said(sent[-1], telling, lines[-1])
    return as_gone_on(telling, lines[-1]), list(sent if begins else lines)


def _is_said(line: Line, telling: Telling, beginning: Line) -> bool:
    """Whether what the model is said to have begun the answer with is the beginning of it, or what it said last."""
    begun = not line.message.tool_calls and beginning.message.text.strip().startswith(line.message.text.strip())
    return begun or line.key in (beginning.key, telling.lines[-1].key)


def _made(message: Message) -> Iterator[str]:
    """The ids by which the calls of an answer can be named."""
    for part in message.parts:
        if isinstance(part, ToolCallPart):
            yield from () if part.id is None else (part.id,)
        elif isinstance(part, OtherPart):
            yield from set(_named(part, _CALLED))


def _answers(message: Message) -> Iterator[str]:
    """The ids of the calls whose results a message has."""
    for part in message.parts:
        if isinstance(part, ToolResultPart) and part.call_id is not None:
            yield part.call_id
        elif isinstance(part, OtherPart):
            yield from list(_named(part, _ANSWERED))[:1]


def _named(part: OtherPart, fields: Sequence[str]) -> Iterator[str]:
    held = part.value if isinstance(part.value, dict) else {}
    return (name for field in fields if isinstance(name := held.get(field), str))
