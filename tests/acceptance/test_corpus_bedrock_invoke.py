"""Every InvokeModel stream of the corpus, rebuilt from its raw bytes, against botocore's frames of the same bytes.

What is inside the frames is compared with the anthropic SDK where it is Claude's, else with a plain sum of its texts.
"""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from botocore.eventstream import EventStreamBuffer

from recorder.dialects.base import Clues, choose
from tests import corpus
from tests.acceptance.corpus_rebuilt import rebuilt_of

pytestmark = corpus.needs_corpus

NAMES = corpus.names("bedrock-invoke")


def values(body: bytes) -> list[Any]:
    buffer = EventStreamBuffer()
    buffer.add_data(body)
    return [json.loads(base64.b64decode(json.loads(message.payload)["bytes"])) for message in buffer]


def by_claude(events: list[Any]) -> tuple[str, list[Any], str | None]:
    from anthropic.lib.streaming._messages import accumulate_event  # for seconds, in each worker that collects this

    snapshot, buffers = None, {}
    for event in events:
        snapshot = accumulate_event(event=event, current_snapshot=snapshot, json_bufs=buffers)
    assert snapshot is not None
    text = "".join(block.text for block in snapshot.content if block.type == "text")
    calls = [(block.id, block.name, block.input) for block in snapshot.content if block.type == "tool_use"]
    return text, calls, snapshot.stop_reason


def by_hand(events: list[Any]) -> tuple[str, list[Any], str | None]:
    text, calls, stop = "", [], None
    for event in events:
        delta = event.get("contentBlockDelta", {}).get("delta", {})
        start = event.get("contentBlockStart", {}).get("start", {}).get("toolUse")
        listed = event.get("generations", [{}])[0]
        text += event.get("outputText") or event.get("generation") or event.get("completion") or ""
        text += delta.get("text") or listed.get("text") or ""
        if start:
            calls.append([start["toolUseId"], start["name"], ""])
        if "toolUse" in delta:
            calls[-1][2] += delta["toolUse"]["input"]
        stop = event.get("messageStop", {}).get("stopReason") or listed.get("finish_reason") or stop
        stop = event.get("stop_reason") or event.get("completionReason") or stop
    return text, [(identity, name, json.loads(sent)) for identity, name, sent in calls], stop


def test_the_corpus_has_them_all() -> None:
    assert len(NAMES) == 26


@pytest.mark.parametrize("name", NAMES)
def test_says_what_is_in_the_frames(name: str) -> None:
    stream = corpus.stream(name)
    rebuilt = rebuilt_of(stream)
    answer = rebuilt.answer
    (choice,) = answer.choices
    assert (answer.dialect, rebuilt.verdict, answer.anomalies) == ("bedrock_invoke", "complete", ())
    calls = [(call.id, call.name, call.arguments) for call in choice.message.tool_calls]
    events = values(stream.body)
    claude = events[0].get("type") == "message_start"
    assert (choice.message.text, calls, choice.finish_reason) == (by_claude if claude else by_hand)(events)
    assert all(call.complete for call in choice.message.tool_calls)
    assert answer.usage == events[-1]["amazon-bedrock-invocationMetrics"]


@pytest.mark.parametrize("name", NAMES)
def test_recognised_by_the_bytes_alone(name: str) -> None:
    assert choose(Clues("", "", corpus.stream(name).body)).name == "bedrock_invoke"


@pytest.mark.parametrize("name", NAMES)
def test_the_request_is_read(name: str) -> None:
    reading = rebuilt_of(corpus.stream(name)).reading
    assert reading is not None
    assert (reading.dialect, bool(reading.model)) == ("bedrock_invoke", True)
    assert reading.messages[-1].parts
