"""Answers that are given in several exchanges: a request that names where the one before it paused.

Gemini stops at a limit with the reason ``CONTINUATION`` and a ``continuationToken`` on the candidate. The next request
has the same contents and that token, and its answer goes on where the other one paused: Google's SDK joins them, and
sends them back as one. So what was answered before belongs to such a request as the beginning of its answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from recorder.core.history_alignment import Line
from recorder.core.history_tellings import Telling
from recorder.core.messages import Message
from recorder.core.rebuilt import Rebuilt

#: As the provider writes it, and as its JSON may be written, too.
_NAMES: Final = ("continuationToken", "continuation_token")
#: A token is base64 of bytes: clients write it in either alphabet.
_SAME: Final = str.maketrans("-_", "+/")


def token_sent(rebuilt: Rebuilt) -> str | None:
    """Return the token by which a request goes on with an answer; None where it asks for one from its beginning."""
    request = rebuilt.exchange.request
    sent = request.json if request is not None and rebuilt.reading is not None else None
    held = [sent, sent.get("request")] if isinstance(sent, dict) else []  # Code Assist wraps it once more
    return next((token for fields in held if isinstance(fields, dict) for token in _tokens(fields)), None)


def tokens_given(rebuilt: Rebuilt) -> Iterator[str]:
    """Yield the tokens by which requests can go on with the answers of an exchange."""
    for choice in rebuilt.answer.choices:
        yield from _tokens(choice.extras)


def with_beginning(telling: Telling, messages: Sequence[Message]) -> list[Message]:
    """Return the messages of a request that goes on with an answer, with what was said of that before, in one message.

    :param telling: of the exchange whose answer paused.
    """
    begun = telling.request[-1:] if telling.request and telling.request[-1].answered else ()
    said = telling.lines[-1:] if telling.begun else (*begun, *telling.lines[len(telling.request) :])
    asked = messages[:-1] if messages and Line(b"", messages[-1]).answered else messages
    return [*asked, _joined([line.message for line in said])]


def as_gone_on(telling: Telling, beginning: Line) -> list[Line]:
    """Return what was sent where an answer paused, with all that was said of it by then.

    :param telling: of the exchange whose answer paused.
    :param beginning: of the answer, as the request that goes on with it has it.
    """
    begun = bool(telling.request) and telling.request[-1].answered
    return [*telling.request[: len(telling.request) - begun], beginning]


def _joined(messages: Sequence[Message]) -> Message:
    role = next((message.role for message in messages if message.role is not None), None)
    return Message(role, tuple(part for message in messages for part in message.parts))


def _tokens(fields: Any) -> Iterable[str]:
    held = (fields.get(name) for name in _NAMES)
    return [one.translate(_SAME).rstrip("=") for one in held if isinstance(one, str) and one]
