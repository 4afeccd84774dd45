"""Every Anthropic stream of the corpus, rebuilt from its raw bytes, against the anthropic SDK on the same bytes.

The oracle is the SDK's decoder and the accumulator behind ``messages.stream()``, except for what it is known to get
wrong: each stream on which it does is named below, and the test fails when that stream stops differing.
"""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest

from recorder.core.messages import CitationPart, OtherPart, ReasoningPart, TextPart, ToolCallPart, ToolResultPart
from recorder.core.rebuilt import Rebuilt
from recorder.dialects.base import Clues, choose
from tests import corpus
from tests.acceptance.corpus_rebuilt import rebuilt_of

pytestmark = [corpus.needs_corpus, pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")]

#: Known bugs of the SDK's accumulator, by stream: what differs, and why.
SDK_BUGS: dict[str, tuple[set[str], str]] = {
    "incomplete-partial-json-response-0-6c76dad5.sse": (
        {"content"},
        "a call that max_tokens cut has what could be parsed of its arguments for its arguments",
    ),
    "compaction-response-0-f7eb5b34.sse": (
        {"content"},
        "compaction_delta is known to the accumulator of the beta API only",
    ),
    "test-anthropic-compaction-usage-with-cache-streaming-0-e93c6f95.sse": (
        {"content"},
        "compaction_delta is known to the accumulator of the beta API only",
    ),
    "test-anthropic-mcp-servers-stream-0-ea2d1040.sse": (
        {"content"},
        "the arguments of mcp_tool_use are dropped outside the beta API",
    ),
}
_USAGE = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
_COUNTS = ("input", "output", "cached", "cache_written")


def by_recorder(stream: corpus.CorpusStream) -> tuple[dict[str, Any], Rebuilt]:
    rebuilt = rebuilt_of(stream)
    answer = rebuilt.answer
    (choice,) = answer.choices
    content: list[Any] = []
    for part in choice.message.parts:
        match part:
            case CitationPart(value):
                content[-1]["citations"].append(value)
            case TextPart(text):
                content.append({"type": "text", "text": text, "citations": []})
            case ReasoningPart(encrypted=None):
                content.append({"type": "thinking", "thinking": part.text, "signature": part.signature})
            case ReasoningPart():
                content.append({"type": "redacted_thinking", "data": part.encrypted})
            case ToolCallPart():
                held = {"type": "tool_use", "id": part.id, "name": part.name, "input": part.arguments}
                content.append(held | part.extras)
            case ToolResultPart() | OtherPart():
                content.append(part.value)
    tokens = answer.tokens
    return {
        "id": answer.ids[0],
        "model": answer.models[0],
        "role": choice.message.role,
        "content": content,
        "stop": (choice.finish_reason, choice.extras.get("stop_sequence")),
        "usage": [getattr(tokens, name) for name in _COUNTS],
    }, rebuilt


def by_sdk(body: bytes, *, beta: bool = False) -> dict[str, Any]:
    """Return what the SDK makes of *body*.

    :param beta: by the accumulator of its beta API.
    """
    from anthropic._streaming import SSEDecoder  # for seconds, in each worker that collects this
    from anthropic.lib.streaming import _beta_messages, _messages

    asked: dict[str, Any] = {"request_headers": httpx2.Headers()} if beta else {}
    accumulate: Any = (_beta_messages if beta else _messages).accumulate_event
    snapshot: Any = None
    buffers: dict[int, bytes] = {}
    for event in SSEDecoder().iter_bytes(iter([body])):
        value = json.loads(event.data)
        if event.event == "error":
            break
        if event.event != "ping":
            snapshot = accumulate(event=value, current_snapshot=snapshot, json_bufs=buffers, **asked)
    assert snapshot is not None
    content = []
    for block in snapshot.content:
        held = block.to_dict()
        if held["type"] == "text":
            held = {"type": "text", "text": held["text"], "citations": held.get("citations") or []}
        content.append(held)
    usage = snapshot.usage.to_dict()
    return {
        "id": snapshot.id,
        "model": snapshot.model,
        "role": snapshot.role,
        "content": content,
        "stop": (snapshot.stop_reason, snapshot.stop_sequence),
        "usage": [usage.get(name) for name in _USAGE],
    }


NAMES = corpus.names("anthropic-messages")


def test_the_corpus_has_them_all() -> None:
    assert len(NAMES) == 38


@pytest.mark.parametrize("name", NAMES)
def test_same_as_the_sdk_but_for_its_bugs(name: str) -> None:
    stream = corpus.stream(name)
    ours, rebuilt = by_recorder(stream)
    theirs = by_sdk(stream.body)
    assert rebuilt.answer.dialect == "anthropic_messages"
    assert rebuilt.verdict == "complete"
    known, _ = SDK_BUGS.get(name.rpartition("/")[2], (set(), ""))
    found = {key for key in ours if ours[key] != theirs[key]}
    assert found == known, {key: (ours[key], theirs[key]) for key in found ^ known}


@pytest.mark.parametrize("name", NAMES)
def test_same_as_the_accumulator_of_the_beta_api_but_for_a_call_that_was_cut(name: str) -> None:
    """It knows what the other one drops: compaction, and the arguments of tools that the provider runs."""
    stream = corpus.stream(name)
    ours, rebuilt = by_recorder(stream)
    ours["model"] = rebuilt.model  # of a fallback, the model that went on
    theirs = by_sdk(stream.body, beta=True)
    for said in (ours, theirs):
        said["content"] = [{key: held for key, held in block.items() if held is not None} for block in said["content"]]
    cut = {"content"} if name.endswith("/incomplete-partial-json-response-0-6c76dad5.sse") else set()
    assert {key for key in ours if ours[key] != theirs[key]} == cut


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_unusual_but_a_missing_last_line(name: str) -> None:
    _, rebuilt = by_recorder(corpus.stream(name))
    assert {fact.kind for fact in rebuilt.answer.anomalies} <= {"unparsed_tail"}


@pytest.mark.parametrize("name", NAMES)
def test_recognised_by_the_bytes_alone(name: str) -> None:
    assert choose(Clues("", "", corpus.stream(name).body)).name == "anthropic_messages"


@pytest.mark.parametrize("name", corpus.names("anthropic-batch-results"))
def test_batch_results_are_opaque(name: str) -> None:
    stream = corpus.stream(name)
    assert choose(Clues(stream.sidecar["request"]["url"], "", stream.body)).name == "opaque"


def test_no_bug_is_listed_for_a_stream_that_is_not_there() -> None:
    assert set(SDK_BUGS) <= {name.rpartition("/")[2] for name in NAMES}
