"""JSON Lines of OpenAI: examples for fine-tuning, and results of the Batch API.

https://platform.openai.com/docs/guides/supervised-fine-tuning and …/guides/batch. An example is no exchange: its last
message becomes the answer, what stands before it the request, both written again, and ``missing`` says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from recorder.core.json_text import parse_json
from recorder.formats.importing.base import UNTIMED, WHOLE, Foreign, Recording, Refused
from recorder.formats.importing.source import Source
from recorder.formats.importing.values import EntryError, json_bytes, mapping, numbered_lines, refuse_empty, status_of

_LACKS: Final = ("http_version", *UNTIMED, *WHOLE)


class OpenAIJsonl:
    """OpenAI's JSON Lines."""

    name = "openai-jsonl"
    help = "OpenAI's JSON Lines: training examples, results of batches"
    order = 50

    def recognises(self, source: Source) -> bool:
        """A line with messages, or with the result of a request of a batch."""
        line = source.first_line
        return (
            isinstance(line, dict)
            and (isinstance(line.get("messages"), list) or {"custom_id", "response"} <= line.keys())
            and "evidence" not in line
        )

    def read(self, source: Source) -> Recording:
        """Return the recording."""
        return Recording(self.name, _entries(source.data))


def _entries(data: bytes) -> Iterator[Foreign | Refused]:
    number = 0
    for number, place, line in numbered_lines(data):
        yield _entry(number, place, line.strip())
    refuse_empty(number > 0, "lines")


def _entry(number: int, place: int, line: bytes) -> Foreign | Refused:
    try:
        value = mapping(parse_json(line), "line")
        return _result(number, value) if "custom_id" in value else _example(number, value)
    except EntryError as error:
        return Refused(number, f"{error} (line {place})")
    except ValueError as error:
        return Refused(number, f"line {place} is no JSON ({error})")


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


def _result(number: int, value: dict[str, Any]) -> Foreign:
    response = value.get("response")
    if not isinstance(response, dict):
        raise EntryError("it is a request of a batch, or one that failed, without a response")
    return Foreign(
        number,
        status=status_of(response.get("status_code")),
        body=json_bytes(response.get("body")),
        missing=("request", "response_bytes", *_LACKS),
    )


IMPORTER = OpenAIJsonl()
