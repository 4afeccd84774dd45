"""JSON Lines of OpenAI: examples for fine-tuning, and requests and results of the Batch API.

https://platform.openai.com/docs/guides/supervised-fine-tuning and …/guides/batch. An example is no exchange: its last
message becomes the answer, what stands before it the request, both written again, and ``missing`` says so. A file of
preferences (…/guides/direct-preference-optimization) has two answers to choose from, and no model need have given
either: it is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from recorder.errors import ImportRefused
from recorder.formats.importing.base import UNTIMED, WHOLE, Foreign, Recording, Refused
from recorder.formats.importing.lines import line_entries
from recorder.formats.importing.source import Source
from recorder.formats.importing.values import EntryError, json_bytes, mapping, status_of, text

_LACKS: Final = ("http_version", *UNTIMED, *WHOLE)
_PREFERENCE: Final = frozenset({"input", "preferred_output", "non_preferred_output"})
#: Beside a line with messages.
_SHAPES: Final = (_PREFERENCE, frozenset({"custom_id", "response"}), frozenset({"custom_id", "url", "body"}))


class OpenAIJsonl:
    """OpenAI's JSON Lines."""

    name = "openai-jsonl"
    help = "OpenAI's JSON Lines: training examples, requests and results of batches"
    order = 50

    def recognises(self, source: Source) -> bool:
        """A line with messages, with a request of a batch or its result, or with a preference."""
        line = source.first_line
        return (
            isinstance(line, dict)
            and (isinstance(line.get("messages"), list) or any(shape <= line.keys() for shape in _SHAPES))
            and "evidence" not in line
        )

    def read(self, source: Source) -> Recording:
        """Return the recording.

        :raises ImportRefused: it holds preferences.
        """
        line = source.first_line
        if isinstance(line, dict) and line.keys() >= _PREFERENCE:
            raise ImportRefused("it holds preferences for fine-tuning, pairs of outputs that no model need have given")
        return Recording(self.name, _entries(source.data))


def _entries(data: bytes) -> Iterator[Foreign | Refused]:
    return line_entries(data, _entry)


def _entry(number: int, value: dict[str, Any]) -> Foreign:
    if "custom_id" not in value:
        return _example(number, value)
    return _asked(number, value) if "body" in value else _result(number, value)


def _example(number: int, value: dict[str, Any]) -> Foreign:
    messages = value.get("messages")
    if not isinstance(messages, list) or not messages:
        raise EntryError("it has no messages")
    last = mapping(messages[-1], "last message")
    if last.get("role") != "assistant":
        raise EntryError("its last message is not of the assistant: nothing in it is an answer")
    return Foreign(
        number,
        payload=json_bytes({**value, "messages": messages[:-1]}),
        body=json_bytes({"object": "chat.completion", "choices": [{"index": 0, "message": last}]}),
        end=None,
        missing=("request_head", "request_bytes", "response_head", "response_bytes", *_LACKS),
    )


def _asked(number: int, value: dict[str, Any]) -> Foreign:
    return Foreign(
        number,
        method=text(value.get("method")),
        url=text(value.get("url")),
        payload=json_bytes(mapping(value.get("body"), "body")),
        end=None,
        missing=("request_head", "request_bytes", "response_head", "response_body", *_LACKS),
        called=text(value.get("custom_id")) or None,
    )


def _result(number: int, value: dict[str, Any]) -> Foreign:
    response = value.get("response")
    if not isinstance(response, dict):
        raise EntryError("its request failed without a response")
    return Foreign(
        number,
        status=status_of(response.get("status_code")),
        body=json_bytes(response.get("body")),
        missing=("request", "response_bytes", *_LACKS),
        called=text(value.get("custom_id")) or None,
    )


IMPORTER = OpenAIJsonl()
