"""Every Converse stream of the corpus, rebuilt from its raw bytes, against what botocore parses from the same bytes.

botocore has no accumulator: the test adds up its events itself, as plainly as can be.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.eventstream import EventStreamBuffer

from recorder.core.messages import CitationPart, ReasoningPart, TextPart, ToolCallPart, ToolResultPart
from recorder.dialects.base import Clues, choose
from tests import corpus
from tests.acceptance.corpus_rebuilt import rebuilt_of

pytestmark = corpus.needs_corpus

NAMES = corpus.names("bedrock-converse")


def grow(block: dict[str, Any], name: str, delta: Any) -> None:
    if name == "text":
        block["text"] = block.get("text", "") + delta
    elif name == "toolUse":
        block[name]["input"] += delta["input"]
    elif name == "toolResult":
        block[name]["content"] += delta
    elif name == "citation":
        block.setdefault("citations", []).append(delta)
    else:
        held = block.setdefault(name, {"text": "", "signature": None})
        held["text"] += delta.get("text", "")
        held["signature"] = delta.get("signature", held["signature"])


def by_botocore(body: bytes) -> dict[str, Any]:
    buffer = EventStreamBuffer()
    buffer.add_data(body)
    blocks: dict[int, dict[str, Any]] = {}
    said: dict[str, Any] = {"usage": None}
    for message in buffer:
        value = json.loads(message.payload)
        block = blocks.setdefault(value["contentBlockIndex"], {}) if "contentBlockIndex" in value else {}
        match message.headers[":event-type"]:
            case "messageStart":
                said["role"] = value["role"]
            case "contentBlockStart":
                for name, start in value["start"].items():
                    block[name] = {"id": start["toolUseId"], "name": start.get("name"), "input": "", "content": []}
            case "contentBlockDelta":
                for name, delta in value["delta"].items():
                    grow(block, name, delta)
            case "messageStop":
                said["stop"] = value["stopReason"]
            case "metadata":
                said["usage"] = value["usage"]
    return {**said, "content": [block for block in blocks.values() if block]}


def content(parts: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for part in parts:
        match part:
            case CitationPart(value):
                found[-1].setdefault("citations", []).append(value)
            case TextPart(text):
                found.append({"text": text})
            case ReasoningPart():
                found.append({"reasoningContent": {"text": part.text, "signature": part.signature}})
            case ToolCallPart():
                call = {"id": part.id, "name": part.name, "input": part.arguments_text, "content": []}
                found.append({"toolUse": call})
            case ToolResultPart():
                result = {"id": part.call_id, "name": None, "input": "", "content": part.value["content"]}
                found.append({"toolResult": result})
    return found


def test_the_corpus_has_them_all() -> None:
    assert len(NAMES) == 30


@pytest.mark.parametrize("name", NAMES)
def test_says_what_the_events_of_botocore_say(name: str) -> None:
    stream = corpus.stream(name)
    rebuilt = rebuilt_of(stream)
    answer = rebuilt.answer
    (choice,) = answer.choices
    assert (answer.dialect, rebuilt.verdict, answer.anomalies) == ("bedrock_converse", "complete", ())
    theirs = by_botocore(stream.body)
    assert {
        "role": choice.message.role,
        "content": content(choice.message.parts),
        "stop": choice.finish_reason,
        "usage": answer.usage,
    } == theirs
    assert all(call.complete for call in choice.message.tool_calls)


@pytest.mark.parametrize("name", NAMES)
def test_recognised_by_the_bytes_alone(name: str) -> None:
    assert choose(Clues("", "", corpus.stream(name).body)).name == "bedrock_converse"


@pytest.mark.parametrize("name", NAMES)
def test_the_request_is_read(name: str) -> None:
    reading = rebuilt_of(corpus.stream(name)).reading
    assert reading is not None
    assert (reading.dialect, bool(reading.model)) == ("bedrock_converse", True)
