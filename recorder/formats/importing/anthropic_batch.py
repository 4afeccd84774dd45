"""JSON Lines of Anthropic's Message Batches: the results, and the requests.

https://docs.claude.com/en/docs/build-with-claude/batch-processing. A result has the message that was answered, or the
error; which request it answers, only its ``custom_id`` tells. Neither file has any HTTP.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from recorder.formats.importing.base import UNTIMED, WHOLE, Foreign, Recording, Refused
from recorder.formats.importing.lines import line_entries
from recorder.formats.importing.source import Source
from recorder.formats.importing.values import EntryError, json_bytes, mapping, text, word

_LACKS: Final = ("response_head", "http_version", "end", *UNTIMED, *WHOLE)


class AnthropicBatch:
    """Anthropic's batches."""

    name = "anthropic-batch"
    help = "results and requests of Anthropic's Message Batches"
    order = 55

    def recognises(self, source: Source) -> bool:
        """A line with the name of a request, and its result or its parameters."""
        line = source.first_line
        return (
            isinstance(line, dict)
            and "custom_id" in line
            and (isinstance(line.get("result"), dict) or isinstance(line.get("params"), dict))
        )

    def read(self, source: Source) -> Recording:
        """Return the recording."""
        return Recording(self.name, _entries(source.data))


def _entries(data: bytes) -> Iterator[Foreign | Refused]:
    return line_entries(data, lambda number, value: (_request if "params" in value else _result)(number, value))


def _result(number: int, value: dict[str, Any]) -> Foreign:
    result = mapping(value.get("result"), "result")
    kind = word(result.get("type"))
    told = result.get("message" if kind == "succeeded" else "error")
    if not isinstance(told, dict):
        raise EntryError(f"its request has no answer: it is {kind or 'of no type'}")
    return Foreign(
        number,
        body=json_bytes(told),
        end=None,
        missing=("request", "response_bytes", *_LACKS),
        called=text(value.get("custom_id")) or None,
    )


def _request(number: int, value: dict[str, Any]) -> Foreign:
    return Foreign(
        number,
        payload=json_bytes(mapping(value.get("params"), "params")),
        end=None,
        missing=("request_head", "request_bytes", "response_body", *_LACKS),
        called=text(value.get("custom_id")) or None,
    )


IMPORTER = AnthropicBatch()
