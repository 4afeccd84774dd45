"""Parquet: a row for each message, for data frames and SQL engines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from recorder.core.conversation import Conversation
from recorder.core.exchange import Exchange
from recorder.core.json_text import dumps, milliseconds, plain, whole
from recorder.core.message_json import part_json
from recorder.core.messages import (
    Choice,
    Message,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    TokenCounts,
    ToolCallPart,
)
from recorder.core.rebuilt import Place, Rebuilt, place_of
from recorder.formats.again import Again
from recorder.formats.parquet_file import parquet_file
from recorder.formats.repeats import Repeats

_INT64: Final = 2**63
#: ``column -> type``; the order is that of the file.
COLUMNS: Final = {
    **dict.fromkeys(("exchange", "conversation", "conversation_name", "parent"), "text"),
    "started_at": "time",
    "position": "count",
    "source": "text",
    "choice": "count",
    "repeated": "flag",
    **dict.fromkeys(("role", "name", "tool_call_id", "text", "reasoning", "refusal"), "text"),
    **dict.fromkeys(("tool_calls", "other_parts", "finish_reason", "finish", "verdict"), "text"),
    **dict.fromkeys(("model", "model_requested", "dialect", "url"), "text"),
    "status": "count",
    **dict.fromkeys(("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens"), "count"),
    **dict.fromkeys(("first_chunk_ms", "duration_ms"), "ms"),
    **dict.fromkeys(("call", "not_as_written"), "text"),
}


class ParquetMessages:
    """A row for each message of each exchange: those of the request, then one for each choice of the answer.

    What was not sent or is not known is null. ``verdict`` tells of every row whether the exchange's answer is whole,
    and each call in ``tool_calls`` whether its arguments are (``complete``). ``repeated`` marks messages that the
    exchange took over from the one that it extends; it is null where that one is not in the file. Row groups are
    written as they fill, so memory does not grow with the number of exchanges.
    """

    name = "parquet"
    help = "messages as rows, for data frames and SQL (needs the extra parquet)"
    is_binary = True

    def render(self, exchanges: Iterable[Rebuilt], conversation: Conversation | None = None) -> Iterator[bytes]:
        """Yield the file, a row group at a time.

        :raises ConfigurationError: pyarrow is not installed.
        """
        made = _Rows(conversation)
        return parquet_file(self.name, COLUMNS, (row for rebuilt in exchanges for row in made.of(rebuilt)))


class _Rows:
    """Makes rows, and tells which messages are repeated."""

    def __init__(self, conversation: Conversation | None) -> None:
        self._conversation = conversation
        self._repeats = Repeats(conversation)
        self._said = Again(_said, lambda said: sum(len(text) for text in said.values() if text is not None))

    def of(self, rebuilt: Rebuilt) -> Iterator[dict[str, Any]]:
        """Yield a row for each message."""
        place = place_of(rebuilt, self._conversation)
        known = self._repeats.take(rebuilt) if self._conversation or rebuilt.place else None
        asked = rebuilt.request_messages
        about = self._about(rebuilt, place)
        for position, message in enumerate(asked):
            repeated = None if known is None else position < known
            yield about | {"position": position, "source": "request", "repeated": repeated} | self._said(message)
        counts = rebuilt.answer.tokens
        for choice in rebuilt.answer.choices:
            yield about | {"position": len(asked)} | _answered(choice) | _counts(counts)
            counts = None

    def _about(self, rebuilt: Rebuilt, place: Place) -> dict[str, Any]:
        exchange = rebuilt.exchange
        ms = (None if ns is None else milliseconds(ns) for ns in (exchange.first_chunk_ns, exchange.duration_ns))
        return {
            "exchange": rebuilt.id,
            "conversation": _text(place.conversation),
            "conversation_name": _text(place.name),
            "parent": place.parent,
            "started_at": _started(exchange),
            "verdict": rebuilt.verdict,
            "model": _text(rebuilt.model),
            "model_requested": _text(rebuilt.reading.model if rebuilt.reading else None),
            "dialect": rebuilt.answer.dialect,
            "url": _text(exchange.request.url if exchange.request else None),
            "status": _count(exchange.response.status if exchange.response else None),
            "call": _text(exchange.call),
            "not_as_written": _text(rebuilt.not_as_written),
        } | dict(zip(("first_chunk_ms", "duration_ms"), ms, strict=True))


def _started(exchange: Exchange) -> int | None:
    known = exchange.started_ns < _INT64 and not exchange.lacks("started_at")
    return exchange.started_ns if known else None


def _answered(choice: Choice) -> dict[str, Any]:
    return {**_said(choice.message)} | {
        "source": "answer",
        "choice": _count(choice.index),
        "repeated": False,
        "finish_reason": _text(choice.finish_reason),
        "finish": choice.finish,
    }


def _counts(tokens: TokenCounts | None) -> dict[str, Any]:
    """Return the whole exchange's counts; they stand with its first choice, so that a column can be summed."""
    if tokens is None:
        return {}
    return {
        "input_tokens": _count(tokens.input),
        "output_tokens": _count(tokens.output),
        "cached_tokens": _count(tokens.cached),
        "reasoning_tokens": _count(tokens.reasoning),
    }


def _said(message: Message) -> dict[str, str | None]:
    parts = message.parts
    own = (TextPart, ReasoningPart, RefusalPart, ToolCallPart)
    return {
        "role": _text(message.role),
        "name": _text(message.name),
        "tool_call_id": _text(message.tool_call_id),
        "text": _joined(parts, TextPart),
        "reasoning": _joined(parts, ReasoningPart),
        "refusal": _joined(parts, RefusalPart),
        "tool_calls": _json(message.tool_calls),
        "other_parts": _json(part for part in parts if not isinstance(part, own)),
    }


def _joined(parts: Iterable[Part], kind: type[TextPart | ReasoningPart | RefusalPart]) -> str | None:
    texts = [part.text for part in parts if isinstance(part, kind)]
    return whole("".join(texts)) if texts else None


def _json(parts: Iterable[Part]) -> str | None:
    shown = [part_json(part) for part in parts]
    return dumps(shown, ensure_ascii=False, allow_nan=False) if shown else None


def _text(value: Any) -> str | None:
    return None if value is None else str(plain(value))


def _count(value: int | None) -> int | None:
    return value if value is not None and -_INT64 <= value < _INT64 else None


FORMAT = ParquetMessages()
