"""Every OpenAI-chat stream of the corpus, rebuilt from its raw bytes, against the openai SDK on the same bytes.

The SDK's own decoder and its public accumulator are the oracle, except for its bugs: each stream on which
the SDK is wrong is named below with the reason, and the test fails when that stream stops differing. What the bugs
are by themselves is in test_sdk_bugs.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest
from openai._streaming import SSEDecoder
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk

from recorder.core.content_coding import undo
from recorder.core.messages import Choice, ReasoningPart, ToolCallPart
from recorder.core.rebuilt import Rebuilt, as_json
from recorder.dialects.base import Clues, choose
from tests import corpus
from tests.acceptance.corpus_rebuilt import rebuilt_of
from tests.building import URL

pytestmark = [corpus.needs_corpus, pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")]

#: The dialect that reads streams of a dialect of the manifest; others are opaque.
DIALECTS = {
    "anthropic-messages": "anthropic_messages",
    "bedrock-converse": "bedrock_converse",
    "bedrock-invoke": "bedrock_invoke",
    "cohere-v1": "cohere_v1",
    "cohere-v2": "cohere_v2",
    "gemini": "gemini",
    "ollama": "ollama",
    "openai-chat": "openai_chat",
    "openai-completions": "openai_completions",
    "openai-responses": "openai_responses",
}
#: Known bugs of the SDK's accumulator, by stream: what differs, and why.
SDK_BUGS: dict[str, tuple[set[str], str]] = {
    "chat-mistral-hybrid-reasoning-streams-thinking-separately-fr-0-c0b004ae.sse": (
        {"text"},
        "content that comes as a list of parts is dropped, and with it the first text",
    ),
    "test-groq-model-web-search-tool-stream-0-1f53e9bc.sse": (
        {"usage"},
        "usage under x_groq is not read",
    ),
    "test-openai-moderation-stream-0-04ce4a6c.sse": (
        {"usage"},
        "usage is lost when a chunk without usage follows",
    ),
    "test-openrouter-stream-error-0-43921fba.sse": (
        {"usage"},
        "reading stops at a chunk with an error; the same chunk carries the usage",
    ),
    "test-openrouter-web-search-annotations-stream-0-bc973e09.sse": (
        {"RuntimeError"},
        "a list of objects without an index (annotations) that comes twice raises",
    ),
    "test-tools-streaming-variant-a-0-5c6d7ff5.sse": (
        {"calls"},
        "an id and a name that are repeated are concatenated",
    ),
}


#: What reasoning is called where it comes as text beside the content.
REASONING = ("reasoning_content", "reasoning")


@dataclass
class Said:
    """What can be compared: the first id and model, usage, and all that a message has, per choice."""

    id: str = ""
    model: str = ""
    role: dict[int, str | None] = field(default_factory=dict)
    text: dict[int, str] = field(default_factory=dict)
    reasoning: dict[int, list[str]] = field(default_factory=dict)
    refusal: dict[int, str] = field(default_factory=dict)
    calls: dict[int, list[tuple[str, str, str]]] = field(default_factory=dict)
    logprobs: dict[int, Any] = field(default_factory=dict)
    finish: dict[int, str | None] = field(default_factory=dict)
    usage: Any = None

    def differences(self, other: Said) -> set[str]:
        return {name for name in vars(self) if getattr(self, name) != getattr(other, name)}


def by_recorder(stream: corpus.CorpusStream) -> tuple[Said, Rebuilt]:
    rebuilt = rebuilt_of(stream, url=URL)
    return said_by(rebuilt), rebuilt


def said_by(rebuilt: Rebuilt) -> Said:
    answer = rebuilt.answer
    said = Said("".join(answer.ids[:1]), "".join(answer.models[:1]), usage=answer.usage)
    for choice in answer.choices:
        parts = as_json(rebuilt)["choices"][len(said.text)]["message"]["parts"]
        said.role[choice.index] = choice.message.role
        said.text[choice.index] = choice.message.text
        said.reasoning[choice.index] = [_thought(choice, name) for name in REASONING]
        said.logprobs[choice.index] = _sent(choice.logprobs)
        said.refusal[choice.index] = "".join(part["text"] for part in parts if part["type"] == "refusal")
        said.calls[choice.index] = [_call(call) for call in choice.message.tool_calls]
        said.finish[choice.index] = choice.finish_reason
    return said


def _thought(choice: Choice, name: str) -> str:
    return "".join(
        part.text for part in choice.message.parts if isinstance(part, ReasoningPart) and name in part.fields
    )


def _sent(logprobs: Any) -> Any:
    """Return what was sent of them: the SDK makes null of what was not."""
    return {name: value for name, value in (logprobs or {}).items() if value is not None}


def _call(call: ToolCallPart) -> tuple[str, str, str]:
    return call.id or "", call.name or "", call.arguments_text


def by_sdk(body: bytes) -> Said | str:
    """Return what the SDK makes of *body*, or the name of the exception that it raises."""
    state: ChatCompletionStreamState[None] = ChatCompletionStreamState()
    fed = False
    for event in SSEDecoder().iter_bytes(iter([body])):
        if event.data.startswith("[DONE]"):
            break
        value = json.loads(event.data)
        if event.event == "error" or value.get("error"):  # as openai._streaming.Stream does
            break
        if value.get("object") == "" and not value.get("choices"):
            continue  # as ChatCompletionStream.__stream__ skips Azure's frames
        try:
            state.handle_chunk(ChatCompletionChunk.construct(**value))
        except Exception as error:
            return type(error).__name__
        fed = True
    return _said(state) if fed else Said()


def _said(state: ChatCompletionStreamState[None]) -> Said:
    snapshot = state.current_completion_snapshot
    said = Said(snapshot.id, snapshot.model, usage=snapshot.usage.to_dict() if snapshot.usage else None)
    for choice in snapshot.choices:
        message = choice.message
        told = message.to_dict()
        said.role[choice.index] = message.role
        said.reasoning[choice.index] = [str(told.get(name) or "") for name in REASONING]
        said.logprobs[choice.index] = _sent(choice.logprobs.to_dict() if choice.logprobs else None)
        said.text[choice.index] = message.content if isinstance(message.content, str) else repr(message.content or "")
        if message.content is None:
            said.text[choice.index] = ""
        said.refusal[choice.index] = message.refusal or ""
        said.calls[choice.index] = [
            (call.id or "", call.function.name or "", call.function.arguments or "")
            for call in message.tool_calls or []
        ]
        said.finish[choice.index] = choice.finish_reason
    return said


def test_the_corpus_has_them_all() -> None:
    assert len(corpus.names("openai-chat")) == 143


@pytest.mark.parametrize("name", corpus.names("openai-chat"))
def test_same_as_the_sdk_but_for_its_bugs(name: str) -> None:
    stream = corpus.stream(name)
    ours, rebuilt = by_recorder(stream)
    theirs = by_sdk(stream.body)
    assert rebuilt.answer.dialect == "openai_chat"
    assert rebuilt.verdict in ("complete", "errored")
    known, _ = SDK_BUGS.get(name.rpartition("/")[2], (set(), ""))
    if isinstance(theirs, str):
        assert {theirs} == known
        return
    # A bug of the SDK's that is no list of streams: a role that comes again is added to the one before.
    known = known | ({"role"} if repeats_the_role(stream.body) else set())
    assert ours.differences(theirs) == known


def repeats_the_role(body: bytes) -> bool:
    """Whether deltas name the role of a choice more than once."""
    named: Counter[int] = Counter()
    for event in SSEDecoder().iter_bytes(iter([body])):
        value = {} if event.data.startswith("[DONE]") else json.loads(event.data)
        for choice in value.get("choices") or []:
            named[choice["index"]] += bool((choice.get("delta") or {}).get("role"))
    return max(named.values(), default=0) > 1


def test_the_role_is_repeated_in_some() -> None:
    assert sum(repeats_the_role(corpus.stream(name).body) for name in corpus.names("openai-chat")) == 44


def test_no_bug_is_listed_for_a_stream_that_is_not_there() -> None:
    assert set(SDK_BUGS) <= {name.rpartition("/")[2] for name in corpus.names("openai-chat")}


#: Streams that are nothing but an error: only the URL tells whose it is.
ERRORS = {
    "meta-llama-llama-3-3-70b-instr-object-streaming-0-b1d8c9d9.sse",
    "meta-llama-llama-4-scout-17b-1-object-streaming-0-d6e3c6b6.sse",
}


def test_the_corpus_is_whole() -> None:
    assert len(corpus.names("")) == len(set(corpus.names(""))) == 368


@pytest.mark.parametrize("name", corpus.names(""))
def test_every_stream_of_every_dialect_is_recognised_by_its_bytes_alone(name: str) -> None:
    stream = corpus.stream(name)
    headers = {str(key).lower(): str(value) for key, value in stream.sidecar["response"]["headers"] or []}
    body = undo(stream.body, headers.get("content-encoding")).body
    expected = "opaque" if name.rpartition("/")[2] in ERRORS else DIALECTS.get(stream.dialect, "opaque")
    assert choose(Clues("", "", body)).name == expected


@pytest.mark.parametrize("name", corpus.names(""))
def test_every_stream_of_every_dialect_is_shown(name: str) -> None:
    """What is not understood is opaque; nothing fails."""
    stream = corpus.stream(name)
    _, rebuilt = by_recorder(stream)
    json.dumps(as_json(rebuilt), allow_nan=False).encode()
    assert rebuilt.answer.dialect == DIALECTS.get(stream.dialect, "opaque")
