"""Parquet: a row for each message, for data frames and SQL engines.

https://parquet.apache.org/docs/file-format/, written by pyarrow, which the extra ``parquet`` brings.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

from recorder.core.conversation import Conversation
from recorder.core.exchange import Exchange
from recorder.core.json_text import milliseconds, plain, whole
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
from recorder.core.rebuilt import Rebuilt
from recorder.errors import ConfigurationError
from recorder.formats.repeats import Repeats

#: A row group is written when it has so many rows, or so many characters of text.
_ROWS: Final = 10_000
_CHARACTERS: Final = 16 << 20
_INT64: Final = 2**63
_TYPES: Final = {"text": "string", "count": "int64", "flag": "bool_", "ms": "float64"}
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

    def render(self, exchanges: Iterable[Rebuilt], conversation: Conversation | None = None) -> Iterator[bytes]:
        """Yield the file, a row group at a time.

        :raises ConfigurationError: pyarrow is not installed.
        """
        try:
            pyarrow, parquet = (importlib.import_module(name) for name in ("pyarrow", "pyarrow.parquet"))
        except ImportError as error:
            raise ConfigurationError(
                "the format parquet needs pyarrow: run pip install 'conversation-recorder[parquet]'"
            ) from error
        types = {kind: getattr(pyarrow, name)() for kind, name in _TYPES.items()}
        types["time"] = pyarrow.timestamp("ns", tz="UTC")
        schema = pyarrow.schema([(column, types[kind]) for column, kind in COLUMNS.items()])
        sink = _Sink()
        with parquet.ParquetWriter(sink, schema, compression="zstd") as writer:
            for rows in _groups(_Rows(conversation), exchanges):
                writer.write_table(pyarrow.Table.from_pylist(rows, schema=schema))
                yield sink.taken()
        yield sink.taken()


class _Sink:
    """A file that keeps what is written until it is taken. pyarrow writes to anything with these methods."""

    closed = False

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: Any) -> int:
        """Keep a copy: the writer uses its buffer again."""
        self._pieces.append(bytes(data))
        return len(self._pieces[-1])

    def flush(self) -> None:
        """Do nothing: there is nothing behind it."""

    def close(self) -> None:
        """Do nothing: what was written is still to be taken."""

    def taken(self) -> bytes:
        """Return what was written since."""
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


def _groups(rows: _Rows, exchanges: Iterable[Rebuilt]) -> Iterator[list[dict[str, Any]]]:
    group: list[dict[str, Any]] = []
    characters = 0
    for rebuilt in exchanges:
        for row in rows.of(rebuilt):
            group.append(row)
            characters += sum(len(value) for value in row.values() if isinstance(value, str))
            if len(group) >= _ROWS or characters >= _CHARACTERS:
                yield group
                group, characters = [], 0
    if group:
        yield group


class _Rows:
    """Makes rows, and tells which messages are repeated."""

    def __init__(self, conversation: Conversation | None) -> None:
        self._conversation = conversation
        self._repeats = Repeats(conversation)

    def of(self, rebuilt: Rebuilt) -> Iterator[dict[str, Any]]:
        """Yield a row for each message."""
        parent = self._conversation.parents.get(rebuilt.id) if self._conversation else None
        known = self._repeats.take(rebuilt) if self._conversation else None
        asked = rebuilt.request_messages
        about = self._about(rebuilt, parent)
        for position, message in enumerate(asked):
            repeated = None if known is None else position < known
            yield about | {"position": position, "source": "request", "repeated": repeated} | _said(message)
        counts = rebuilt.answer.tokens
        for choice in rebuilt.answer.choices:
            yield about | {"position": len(asked)} | _answered(choice) | _counts(counts)
            counts = None

    def _about(self, rebuilt: Rebuilt, parent: str | None) -> dict[str, Any]:
        exchange, conversation = rebuilt.exchange, self._conversation
        ms = (None if ns is None else milliseconds(ns) for ns in (exchange.first_chunk_ns, exchange.duration_ns))
        return {
            "exchange": rebuilt.id,
            "conversation": _text(conversation.id if conversation else exchange.conversation),
            "conversation_name": _text(conversation.name if conversation else exchange.conversation_name),
            "parent": parent,
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
    return _said(choice.message) | {
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


def _said(message: Message) -> dict[str, Any]:
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
    return json.dumps(shown, ensure_ascii=False, allow_nan=False) if shown else None


def _text(value: Any) -> str | None:
    return None if value is None else str(plain(value))


def _count(value: int | None) -> int | None:
    return value if value is not None and -_INT64 <= value < _INT64 else None


FORMAT = ParquetMessages()
