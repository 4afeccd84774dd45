"""Attributes of an exchange by OpenTelemetry's GenAI conventions.

https://github.com/open-telemetry/semantic-conventions-genai, ``docs/gen-ai/client-inference.md`` (span
``gen_ai.client.inference``). What was not sent has no attribute.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import takewhile
from typing import Any, Final
from urllib.parse import SplitResult

from recorder.core.json_text import dumps, plain
from recorder.core.message_json import tokens_json
from recorder.core.messages import Message, TokenCounts
from recorder.core.rebuilt import Rebuilt
from recorder.core.token_counting import whole_input, whole_output
from recorder.formats.genai_messages import input_messages, instructions, output_messages
from recorder.formats.tools import offered_tools

#: ``the host's name -> gen_ai.provider.name``, well-known values.
_HOSTS: Final[Mapping[str, str]] = {
    r"api\.openai\.com": "openai",
    r".*\.openai\.azure\.com": "azure.ai.openai",
    r".*\.(?:services|models)\.ai\.azure\.com": "azure.ai.inference",
    r"api\.anthropic\.com": "anthropic",
    r"generativelanguage\.googleapis\.com": "gcp.gemini",
    r"(?:.*-)?aiplatform\.googleapis\.com": "gcp.vertex_ai",
    r"bedrock.*\.amazonaws\.com": "aws.bedrock",
    r"(?:.*\.)?cohere\.(?:com|ai)": "cohere",
    r"api\.deepseek\.com": "deepseek",
    r"api\.groq\.com": "groq",
    r".*\.ml\.cloud\.ibm\.com": "ibm.watsonx.ai",
    r"(?:.*\.)?mistral\.ai": "mistral_ai",
    r"(?:.*\.)?moonshot\.(?:ai|cn)": "moonshot_ai",
    r"api\.perplexity\.ai": "perplexity",
    r"api\.x\.ai": "x_ai",
}
#: Whose way of speaking it is, where the host tells nothing.
_FLAVOURS: Final[Mapping[str, str]] = {"gemini": "gcp.gen_ai", "bedrock": "aws.bedrock", "mistral": "mistral_ai"}
#: Dialects that send instructions apart from the messages.
_INSTRUCTED_APART: Final = frozenset({"anthropic", "gemini", "bedrock"})
_SECTIONS: Final = ("generationConfig", "generation_config", "inferenceConfig", "options")
_PARAMETERS: Final[Mapping[str, tuple[type, tuple[str, ...]]]] = {
    "temperature": (float, ("temperature",)),
    "top_p": (float, ("top_p", "topP")),
    "top_k": (int, ("top_k", "topK")),
    "max_tokens": (
        int,
        ("max_completion_tokens", "max_output_tokens", "max_tokens", "maxOutputTokens", "maxTokens", "num_predict"),
    ),
    "frequency_penalty": (float, ("frequency_penalty", "frequencyPenalty")),
    "presence_penalty": (float, ("presence_penalty", "presencePenalty")),
    "seed": (int, ("seed",)),
    "stop_sequences": (list, ("stop_sequences", "stopSequences", "stop")),
    "reasoning.level": (str, ("reasoning_effort",)),
    "previous_response.id": (str, ("previous_response_id",)),
}


def operation_of(url: SplitResult) -> str:
    """Return ``gen_ai.operation.name``."""
    path = url.path.rstrip("/")
    if path.lower().endswith("generatecontent"):
        return "generate_content"
    legacy = path.endswith("/completions") and not path.endswith("/chat/completions")
    return "text_completion" if legacy else "chat"


def genai_attributes(rebuilt: Rebuilt, url: SplitResult) -> Iterator[tuple[str, Any]]:
    """Yield names and values."""
    answer, reading, request = rebuilt.answer, rebuilt.reading, rebuilt.exchange.request
    dialect = reading.dialect if reading is not None and answer.dialect == "opaque" else answer.dialect
    flavour = dialect.partition("_")[0]
    payload = request.json if request else None
    yield "gen_ai.operation.name", operation_of(url)
    yield "gen_ai.provider.name", _provider(url.hostname or "", flavour)
    if reading is not None:
        yield "gen_ai.request.model", reading.model
        yield "gen_ai.request.choice.count", reading.choices if reading.choices != 1 else None
    yield from _parameters(payload)
    yield "gen_ai.response.id", answer.ids[-1] if answer.ids else None
    yield "gen_ai.response.model", answer.models[-1] if answer.models else None
    yield "gen_ai.response.finish_reasons", _finish_reasons(rebuilt)
    if _streams(payload) and rebuilt.exchange.first_chunk_ns is not None:
        yield "gen_ai.response.time_to_first_chunk", rebuilt.exchange.first_chunk_ns / 1e9
    if answer.tokens is not None:
        yield from _usage(answer.tokens, dialect)
    yield from _content(rebuilt, flavour, request.exact_json if request else None)


def _provider(host: str, flavour: str) -> str:
    known = (name for pattern, name in _HOSTS.items() if re.fullmatch(pattern, host))
    return next(known, _FLAVOURS.get(flavour, flavour))


def _streams(payload: Any) -> bool:
    return isinstance(payload, dict) and payload.get("stream") is True


def _parameters(payload: Any) -> Iterator[tuple[str, Any]]:
    if not isinstance(payload, dict):
        return
    yield "gen_ai.request.stream", True if _streams(payload) else None
    sections = [payload, *(section for name in _SECTIONS if isinstance(section := payload.get(name), dict))]
    for parameter, (kind, names) in _PARAMETERS.items():
        values = (section[name] for section in sections for name in names if section.get(name) is not None)
        yield f"gen_ai.request.{parameter}", _typed(next(values, None), kind)


def _typed(value: Any, kind: type) -> Any:
    """Return *value* as an attribute of that type has it; None where it is of another one."""
    if kind is float:
        return float(value) if type(value) in (int, float) and abs(value) < 1e300 else None
    if kind is list:
        listed = [value] if isinstance(value, str) else value
        return listed if isinstance(listed, list) and all(isinstance(item, str) for item in listed) else None
    return value if type(value) is kind else None


def _finish_reasons(rebuilt: Rebuilt) -> list[str] | None:
    """Return the reason of each choice, as sent; ``error`` for one that was owed and never came, as is laid down."""
    reasons = [choice.finish_reason for choice in rebuilt.answer.choices]
    if rebuilt.verdict == "complete" and None in reasons:
        return None
    return [reason if reason is not None else "error" for reason in reasons] or None


def _usage(tokens: TokenCounts, dialect: str) -> Iterator[tuple[str, int | None]]:
    """Yield counts as sent. Input and output include cached ones and reasoning by definition, also where those stand
    apart."""
    counted = tokens_json(tokens) or {}
    yield "gen_ai.usage.input_tokens", whole_input(counted, dialect)
    yield "gen_ai.usage.output_tokens", whole_output(counted, dialect)
    yield "gen_ai.usage.cache_read.input_tokens", tokens.cached
    yield "gen_ai.usage.cache_write.input_tokens", tokens.cache_written
    yield "gen_ai.usage.reasoning.output_tokens", tokens.reasoning


def _content(rebuilt: Rebuilt, flavour: str, payload: Any) -> Iterator[tuple[str, str | None]]:
    """Yield what was said, as JSON text: the conventions allow that on spans, and more readers take it."""
    messages = rebuilt.request_messages
    apart: list[Message] = []
    if flavour in _INSTRUCTED_APART:
        apart = list(takewhile(lambda message: message.role == "system", messages))
    tools = [{"type": "function", **tool["function"]} for tool in offered_tools(payload)]
    yield "gen_ai.system_instructions", _json(instructions(apart))
    yield "gen_ai.input.messages", _json(input_messages(messages[len(apart) :]))
    yield "gen_ai.output.messages", _json(output_messages(rebuilt.answer.choices))
    yield "gen_ai.tool.definitions", _json(tools)


def _json(value: list[Any]) -> str | None:
    return dumps(plain(value), ensure_ascii=False, allow_nan=False) if value else None
