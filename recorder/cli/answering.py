"""The answer of a chat as it arrives: its text, and whether it came to its end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import requests

from recorder.cli.failures import UNREACHABLE, Failed
from recorder.cli.output import clean
from recorder.cli.reading import FAILURES, pieces, told
from recorder.cli.upstream import message_of
from recorder.core.json_text import parse_json, whole_text
from recorder.core.sse import ServerSentEvent, SSEParser
from recorder.dialects.folding import reason_text

_ORDINARY: Final = frozenset({"stop", "length", "tool_calls", "function_call"})
_AGAIN = "what came is recorded; ask again"


def texts(response: requests.Response, token: str = "", notes: list[str] | None = None) -> Iterator[str]:
    """Yield the text of an answer as it arrives.

    :param token: taken out of what the upstream says of an error.
    :param notes: gets what there is to say of the answer besides its text, once it came to its end.
    :raises Failed: the answer broke off, is an error, or is not a chat completion.
    """
    streamed = "text/event-stream" in response.headers.get("Content-Type", "").lower()
    answer = _Answer(token)
    body = bytearray()
    try:
        for piece in pieces(response, decode=True):
            if streamed:
                yield from answer.feed(piece)
            else:
                body += piece
        yield from answer.document(bytes(body)) if not streamed else answer.close()
    except FAILURES as error:
        raise Failed(f"the answer broke off, {told(error)}: {_AGAIN}", UNREACHABLE) from error
    answer.check(response.headers.get("Content-Type", ""))
    if notes is not None:
        notes += answer.notes()


class _Answer:
    def __init__(self, token: str) -> None:
        self._token = token
        self._parser = SSEParser()
        self._held = ""  # half of a surrogate pair, whose other half is in the next delta
        self._finished = False
        self._completions = 0
        self._unreadable = 0
        self._error: str | None = None
        self._said = False
        self._tools: list[str] = []
        self._reasons: dict[str, None] = {}

    def feed(self, piece: bytes) -> Iterator[str]:
        for event in self._parser.feed(piece):
            yield from self._event(event)

    def close(self) -> Iterator[str]:
        for event in self._parser.close():
            yield from self._event(event)
        if self._held:
            yield whole_text(self._held)

    def document(self, body: bytes) -> Iterator[str]:
        """Take a body that is not said to be a stream: one JSON document, or a stream all the same."""
        if body.lstrip()[:1] == b"{":
            yield from self._value(body.decode("utf-8", "replace"), "message")
            self._finished = True
        else:
            yield from self.feed(body)
            yield from self.close()

    def _event(self, event: ServerSentEvent) -> Iterator[str]:
        if event.data == "[DONE]":
            self._finished = True
            return
        if event.event == "error":
            self._error = self._error or clean(" ".join(event.data.split()))[:200]
        yield from self._value(event.data, "delta")

    def _value(self, text: str, field: str) -> Iterator[str]:
        try:
            value = parse_json(text)
        except ValueError:
            self._unreadable += 1
            return
        if not isinstance(value, dict):
            self._unreadable += 1
            return
        if value.get("error"):
            self._error = message_of(value, self._token) or "no reason was given"
        choices = value.get("choices")
        if not isinstance(choices, list):
            return
        self._completions += 1
        for choice in choices:
            if isinstance(choice, dict):
                yield from self._choice(choice, field)

    def _choice(self, choice: dict[str, Any], field: str) -> Iterator[str]:
        reason = reason_text(choice.get("finish_reason"))
        if reason is not None:
            self._finished = True
            self._reasons[reason] = None
        said = choice.get(field)
        if not isinstance(said, dict):
            return
        self._tools += _tools(said)
        for key in ("content", "refusal"):
            text = said.get(key)
            if isinstance(text, str) and text:
                self._said = True
                text, self._held = self._held + text, ""
                if "\ud800" <= text[-1] <= "\udbff":
                    text, self._held = text[:-1], text[-1]
                if text:
                    yield whole_text(text)

    def check(self, content_type: str) -> None:
        """Refuse an answer that is none, or that has not come to its end.

        :raises Failed: with what to do.
        """
        if self._error is not None:
            raise Failed(f"the upstream broke off with an error ({self._error}): {_AGAIN}", UNREACHABLE)
        if not self._completions and "text/event-stream" in content_type.lower() and not self._unreadable:
            raise Failed("the upstream ended its stream before it sent anything of an answer: ask again", UNREACHABLE)
        if not self._completions:
            kind = clean(content_type) or "a body of no type"
            raise Failed(
                f"the upstream answered with {kind}, which is no chat completion: check AI_API_URL", UNREACHABLE
            )
        if self._unreadable:
            raise Failed(f"parts of the answer are no JSON: {_AGAIN}, or see it with `recorder show`", UNREACHABLE)
        if not self._finished:
            raise Failed(f"the answer broke off, the upstream ended it before it was finished: {_AGAIN}", UNREACHABLE)

    def notes(self) -> list[str]:
        """Return what there is to say besides the text."""
        told = []
        if self._tools:
            told.append(f"the answer calls {', '.join(self._tools)}")
        if "length" in self._reasons:
            told.append("the answer is cut off at the upstream's limit of length")
        others = [reason for reason in self._reasons if reason not in _ORDINARY]
        if others:
            told.append(f"the upstream ended the answer with {', '.join(others)}")
        return [clean(line) for line in told] or ([] if self._said else ["the answer has no text"])


def _tools(said: dict[str, Any]) -> Iterator[str]:
    """Yield the names of the functions that a message, or a delta of it, begins to call."""
    calls = said.get("tool_calls")
    for call in [*(calls if isinstance(calls, list) else ()), {"function": said.get("function_call")}]:
        function = call.get("function") if isinstance(call, dict) else None
        name = function.get("name") if isinstance(function, dict) else None
        if isinstance(name, str) and name:
            yield name
