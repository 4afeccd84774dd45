"""GenAI attributes: providers, operations, parameters, usage."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest

from recorder.core.messages import RequestReading, TokenCounts
from recorder.core.rebuilt import Rebuilt
from recorder.formats.genai_attributes import genai_attributes
from tests.building import URL
from tests.unit.formats.made import said, told


def attributes(one: Rebuilt, url: str = URL) -> dict[str, Any]:
    found = [(key, value) for key, value in genai_attributes(one, urlsplit(url)) if value is not None]
    assert len(dict(found)) == len(found)
    return dict(found)


def with_payload(payload: dict[str, Any], **fields: Any) -> Rebuilt:
    return told([said("user", "q")], said("assistant", "a"), payload=payload, **fields)


@pytest.mark.parametrize(
    ("url", "dialect", "provider"),
    [
        ("https://api.openai.com/v1/responses", "openai_responses", "openai"),
        ("https://me.openai.azure.com/openai/deployments/x/chat/completions", "openai_chat", "azure.ai.openai"),
        ("https://us-central1-aiplatform.googleapis.com/v1/x", "gemini", "gcp.vertex_ai"),
        ("https://generativelanguage.googleapis.com/v1beta/x", "gemini", "gcp.gemini"),
        ("https://bedrock-runtime.us-east-1.amazonaws.com/model/x/converse", "bedrock_converse", "aws.bedrock"),
        ("https://files.amazonaws.com/x", "openai_chat", "openai"),
        ("https://api.x.ai/v1/chat/completions", "openai_chat", "x_ai"),
        ("https://gateway.example.test/v1/messages", "anthropic_messages", "anthropic"),
        ("https://gateway.example.test/v1", "gemini", "gcp.gen_ai"),
        ("http://127.0.0.1:11434/api/chat", "ollama", "ollama"),
    ],
)
def test_the_provider_is_known_by_the_host_else_by_how_it_speaks(url: str, dialect: str, provider: str) -> None:
    assert attributes(with_payload({}, dialect=dialect), url)["gen_ai.provider.name"] == provider


def test_where_no_answer_came_the_request_tells_the_dialect() -> None:
    one = told([said("user", "q")], dialect="opaque", reading=RequestReading("anthropic_messages"))
    assert attributes(one)["gen_ai.provider.name"] == "anthropic"


@pytest.mark.parametrize(
    ("path", "operation"),
    [
        ("/v1/chat/completions/", "chat"),
        ("/v1/completions", "text_completion"),
        ("/v1beta/models/g:streamGenerateContent", "generate_content"),
        ("/v1/messages", "chat"),
    ],
)
def test_operations(path: str, operation: str) -> None:
    assert attributes(with_payload({}), f"https://h.example.test{path}?alt=sse")["gen_ai.operation.name"] == operation


def test_parameters_under_every_providers_names() -> None:
    openai = attributes(
        with_payload({"temperature": 0, "top_p": 0.5, "max_completion_tokens": 7, "stop": "x", "seed": 1})
    )
    assert {
        key: value for key, value in openai.items() if key.startswith("gen_ai.request.") and "model" not in key
    } == {
        "gen_ai.request.temperature": 0.0,
        "gen_ai.request.top_p": 0.5,
        "gen_ai.request.max_tokens": 7,
        "gen_ai.request.stop_sequences": ["x"],
        "gen_ai.request.seed": 1,
    }
    gemini = attributes(with_payload({"generationConfig": {"topK": 40, "maxOutputTokens": 9, "stopSequences": ["a"]}}))
    assert gemini["gen_ai.request.top_k"] == 40
    assert gemini["gen_ai.request.max_tokens"] == 9
    assert gemini["gen_ai.request.stop_sequences"] == ["a"]
    one = with_payload({}, reading=RequestReading("openai_chat", (), None, 3))
    assert attributes(one)["gen_ai.request.choice.count"] == 3


def test_the_input_counts_cached_tokens_wherever_the_provider_counts_them() -> None:
    counts = TokenCounts(input=10, output=5, cached=3, cache_written=2)
    for dialect, total in (("openai_chat", 10), ("anthropic_messages", 15), ("bedrock_converse", 15)):
        one = with_payload({}, dialect=dialect)
        found = attributes(replace(one, answer=replace(one.answer, tokens=counts)))
        assert found["gen_ai.usage.input_tokens"] == total
        assert found["gen_ai.usage.cache_read.input_tokens"] == 3
        assert found["gen_ai.usage.cache_write.input_tokens"] == 2
    one = with_payload({}, dialect="anthropic_messages")
    found = attributes(replace(one, answer=replace(one.answer, tokens=TokenCounts(cached=3))))
    assert "gen_ai.usage.input_tokens" not in found


def test_instructions_that_are_sent_apart_have_their_own_attribute() -> None:
    messages = [said("system", "brief"), said("user", "q")]
    apart = attributes(told(messages, said("assistant", "a"), dialect="anthropic_messages"))
    assert json.loads(apart["gen_ai.system_instructions"]) == [{"type": "text", "content": "brief"}]
    assert [message["role"] for message in json.loads(apart["gen_ai.input.messages"])] == ["user"]
    among = attributes(told(messages, said("assistant", "a"), dialect="openai_chat"))
    assert "gen_ai.system_instructions" not in among
    assert [message["role"] for message in json.loads(among["gen_ai.input.messages"])] == ["system", "user"]


def test_tools_that_were_offered() -> None:
    found = attributes(with_payload({"tools": [{"name": "f", "input_schema": {"type": "object"}}]}))
    assert json.loads(found["gen_ai.tool.definitions"]) == [
        {"type": "function", "name": "f", "parameters": {"type": "object"}}
    ]
