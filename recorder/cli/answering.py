"""The answer of a chat as it arrives: its text, and whether it came to its end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import requests

from recorder.cli.failures import UNREACHABLE, Failed
from recorder.cli.output import clean
from recorder.cli.reading import FAILURES, pieces, told
from recorder.cli.upstream import message_of
from recorder.core.messages import Answer
from recorder.dialects.openai_arriving import ArrivingChat

_ORDINARY: Final = frozenset({"stop", "length", "tool_calls", "function_call"})
_AGAIN = "what came is recorded; ask again"


def texts(response: requests.Response, token: str = "", notes: list[str] | None = None) -> Iterator[str]:
    """Yield the text of an answer as it arrives.

    :param token: taken out of what the upstream says of an error.
    :param notes: gets what there is to say of the answer besides its text, once it came to its end.
    :raises Failed: the answer broke off, is an error, or is not a chat completion.
    """
    arriving = ArrivingChat()
    said = False
    try:
        for piece in pieces(response, decode=True):
            for text in arriving.feed(piece):
                said = True
                yield text
    except FAILURES as error:
        raise Failed(f"the answer broke off, {told(error)}: {_AGAIN}", UNREACHABLE) from error
    rest, answer = arriving.close()
    yield from rest
    _check(answer, response.headers.get("Content-Type", ""), token)
    if notes is not None:
        notes += _notes(answer) or ([] if said or rest else ["the answer has no text"])


def _check(answer: Answer, content_type: str, token: str) -> None:
    """Refuse an answer that is none, or that has not come to its end.

    :raises Failed: with what to do.
    """
    if answer.errors:
        reason = next(filter(None, (message_of(error, token) for error in answer.errors)), "no reason was given")
        raise Failed(f"the upstream broke off with an error ({reason}): {_AGAIN}", UNREACHABLE)
    begun = answer.choices or answer.usage_reports
    if not begun and "text/event-stream" in content_type.lower() and answer.whole is None and not answer.holes:
        raise Failed("the upstream ended its stream before it sent anything of an answer: ask again", UNREACHABLE)
    if not begun:
        kind = clean(content_type) or "a body of no type"
        raise Failed(f"the upstream answered with {kind}, which is no chat completion: check AI_API_URL", UNREACHABLE)
    if answer.holes or not answer.understood:
        raise Failed(f"parts of the answer cannot be read: {_AGAIN}, or see it with `recorder show`", UNREACHABLE)
    finished = answer.sentinel_seen or answer.whole or any(choice.finish_reasons for choice in answer.choices)
    if not finished:
        raise Failed(f"the answer broke off, the upstream ended it before it was finished: {_AGAIN}", UNREACHABLE)


def _notes(answer: Answer) -> list[str]:
    """Return what there is to say besides the text."""
    told = []
    tools = [call.name for choice in answer.choices for call in choice.message.tool_calls if call.name]
    reasons = dict.fromkeys(reason for choice in answer.choices for reason in choice.finish_reasons)
    if tools:
        told.append(f"the answer calls {', '.join(tools)}")
    if "length" in reasons:
        told.append("the answer is cut off at the upstream's limit of length")
    others = [reason for reason in reasons if reason not in _ORDINARY]
    if others:
        told.append(f"the upstream ended the answer with {', '.join(others)}")
    return [clean(line) for line in told]
