"""The answer of a chat as it arrives: its text, and whether it came to its end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import requests

from recorder.cli.failures import UNREACHABLE, Failed
from recorder.cli.output import clean
from recorder.cli.reading import FAILURES, pieces, told
from recorder.cli.upstream import message_of
from recorder.core.json_text import parse_json, whole_text
from recorder.core.sse import ServerSentEvent, SSEParser

_AGAIN = "what came is recorded; ask again"


def texts(response: requests.Response, token: str = "") -> Iterator[str]:
    """Yield the text of an answer as it arrives.

    :param token: taken out of what the upstream says of an error.
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


class _Answer:
    def __init__(self, token: str) -> None:
        self._token = token
        self._parser = SSEParser()
        self._held = ""  # half of a surrogate pair, whose other half is in the next delta
        self._finished = False
        self._completions = 0
        self._unreadable = 0
        self._error: str | None = None

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
        if choice.get("finish_reason"):
            self._finished = True
        said = choice.get(field)
        if not isinstance(said, dict):
            return
        for key in ("content", "refusal"):
            text = said.get(key)
            if isinstance(text, str) and text:
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
        if not self._completions:
            kind = clean(content_type) or "a body of no type"
            raise Failed(
                f"the upstream answered with {kind}, which is no chat completion: check AI_API_URL", UNREACHABLE
            )
        if self._unreadable:
            raise Failed(f"parts of the answer are no JSON: {_AGAIN}, or see it with `recorder show`", UNREACHABLE)
        if not self._finished:
            raise Failed(f"the answer broke off, the upstream ended it before it was finished: {_AGAIN}", UNREACHABLE)
