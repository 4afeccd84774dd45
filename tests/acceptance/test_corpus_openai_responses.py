"""Every OpenAI-Responses stream of the corpus, rebuilt from its raw bytes, against what its final event says.

The openai SDK is the oracle twice: its decoder and types read the final event's ``response``, which is the whole
answer by itself, and its accumulator must come to the same from the deltas.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai import omit
from openai._models import construct_type_unchecked
from openai._streaming import SSEDecoder
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import Response, ResponseStreamEvent

from recorder.core.messages import (
    Choice,
    CitationPart,
    OtherPart,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
)
from recorder.dialects.base import Clues, choose
from tests import corpus
from tests.acceptance.corpus_rebuilt import rebuilt_of

pytestmark = [corpus.needs_corpus, pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")]

NAMES = corpus.names("openai-responses")
ENDINGS = ("response.completed", "response.incomplete", "response.failed")
#: Streams that the SDK's accumulator cannot read, and why. A stream that stops failing turns the test red.
SDK_BUGS: dict[str, tuple[str, str]] = {
    "providers-bedrock-mantle-responses-chat-streams-through-the--0-cdaac79f.sse": (
        "IndexError",
        "content_index begins at 1 there, and the accumulator takes it for a place in a list",
    ),
    "test-background-mode-streaming-starting-after-vcr-1-a84fc487.sse": (
        "RuntimeError",
        "a stream that is taken up again has no response.created",
    ),
}


def final(body: bytes) -> dict[str, Any]:
    """Return the last ``response`` of *body*, as sent."""
    found: dict[str, Any] = {}
    for event in SSEDecoder().iter_bytes(iter([body])):
        if event.data != "[DONE]" and (value := json.loads(event.data))["type"] in ENDINGS:
            found = value["response"]
    return found


def accumulated(body: bytes) -> list[str] | str:
    """Return texts and arguments as the SDK's accumulator joins deltas, or the exception that it raises."""
    state: ResponseStreamState[None] = ResponseStreamState(text_format=omit, input_tools=omit)
    for event in SSEDecoder().iter_bytes(iter([body])):
        if event.data == "[DONE]":
            break
        value: Any = construct_type_unchecked(type_=ResponseStreamEvent, value=json.loads(event.data))
        try:
            state.handle_event(value)
        except Exception as error:
            return type(error).__name__
    snapshot: Any = vars(state)["_ResponseStreamState__current_snapshot"]
    joined: list[str] = []
    for item in snapshot.output:
        if item.type == "message":
            joined.extend(part.text for part in item.content if part.type == "output_text")
        elif item.type == "function_call":
            joined.append(item.arguments)
    return joined


def said(response: Response) -> list[Any]:
    """Return the parts of a response in the order of its items, as far as both can say them."""
    parts: list[Any] = []
    for item in response.output:
        if item.type == "message":
            for part in item.content:
                parts.append(part.text if part.type == "output_text" else ("refusal", part.refusal))
                parts.extend(note.to_dict() for note in getattr(part, "annotations", None) or [])
        elif item.type == "reasoning":
            texts = [part.text for part in [*item.summary, *(item.content or [])]]
            parts.append(("reasoning", texts, item.encrypted_content or None))
        elif item.type == "function_call":
            parts.append((item.call_id, item.name, item.arguments))
        elif item.type == "mcp_call":
            parts.append((item.id, item.name, item.arguments))
        else:
            parts.append(item.to_dict(exclude_none=True))
    return parts


def ours(choice: Choice) -> list[Any]:
    """Return the parts of an answer, the reasoning of one item as one."""
    parts: list[Any] = []
    thought: list[str] = []
    for part in choice.message.parts:
        if isinstance(part, ReasoningPart):
            thought += [part.text] if part.text else []
            parts.append(("reasoning", thought, part.encrypted))
            thought = []
        elif isinstance(part, TextPart):
            parts.append(part.text)
        elif isinstance(part, RefusalPart):
            parts.append(("refusal", part.text))
        elif isinstance(part, CitationPart):
            parts.append(part.value)
        elif isinstance(part, ToolCallPart):
            parts.append((part.id, part.name, part.arguments_text))
        elif isinstance(part, OtherPart):
            parts.append({key: value for key, value in part.value.items() if value is not None})
    return parts


def test_the_corpus_has_them_all() -> None:
    assert len(NAMES) == 52


@pytest.mark.parametrize("name", NAMES)
def test_same_as_the_final_response(name: str) -> None:
    stream = corpus.stream(name)
    rebuilt = rebuilt_of(stream)
    answer = rebuilt.answer
    (choice,) = answer.choices
    theirs = final(stream.body)
    assert (answer.dialect, rebuilt.verdict, answer.sentinel_seen) == ("openai_responses", "complete", True)
    assert {fact.kind for fact in rebuilt.anomalies} <= {"stream_resumed"}
    assert ours(choice) == said(construct_type_unchecked(type_=Response, value=theirs))
    assert all(call.complete for call in choice.message.tool_calls)
    reason = (theirs["incomplete_details"] or {}).get("reason")
    assert choice.finish_reason == (reason or theirs["status"])
    assert (answer.usage, answer.models) == (theirs["usage"], (theirs["model"],))
    assert answer.tokens is not None
    assert (answer.tokens.input, answer.tokens.output) == (
        theirs["usage"]["input_tokens"],
        theirs["usage"]["output_tokens"],
    )


@pytest.mark.parametrize("name", NAMES)
def test_same_as_the_accumulator_but_for_its_bugs(name: str) -> None:
    stream = corpus.stream(name)
    rebuilt = rebuilt_of(stream)
    theirs = accumulated(stream.body)
    known, _ = SDK_BUGS.get(name.rpartition("/")[2], ("", ""))
    if isinstance(theirs, str):
        assert theirs == known
        return
    assert not known
    parts = rebuilt.answer.choices[0].message.parts
    said_by_model = [part.text for part in parts if isinstance(part, TextPart)]
    asked = [part.arguments_text for part in parts if isinstance(part, ToolCallPart) and "type" not in part.extras]
    assert sorted(said_by_model + asked) == sorted(theirs)


@pytest.mark.parametrize("name", NAMES)
def test_recognised_by_the_bytes_alone(name: str) -> None:
    stream = corpus.stream(name)
    assert choose(Clues("", "", stream.body)).name == "openai_responses"
    middle = stream.body[len(stream.body) // 3 :]
    assert choose(Clues("", "", middle[middle.index(b"\n\n") + 2 :])).name == "openai_responses"


@pytest.mark.parametrize("name", NAMES)
def test_no_prefix_says_more_than_the_whole(name: str) -> None:
    """Cut anywhere, the text is a prefix, no call is complete that is not, and nothing is complete."""
    stream = corpus.stream(name)
    whole = choose(Clues("", "", stream.body)).reader(Clues("", "", stream.body))
    whole.feed(stream.body)
    (known,) = whole.close().choices
    calls = [(call.id, call.arguments) for call in known.message.tool_calls]
    last = max(stream.body.rfind(b'"' + kind.encode()) for kind in ENDINGS)
    for end in range(0, last, max(1, len(stream.body) // 40)):
        clues = Clues("https://api.openai.com/v1/responses", "text/event-stream", stream.body[:end])
        reader = choose(clues).reader(clues)
        reader.feed(clues.body)
        answer = reader.close()
        assert not answer.sentinel_seen
        for choice in answer.choices:
            assert known.message.text.startswith(choice.message.text)
            assert not choice.finish_reasons
            assert all((call.id, call.arguments) in calls for call in choice.message.tool_calls if call.complete)


def test_no_bug_is_listed_for_a_stream_that_is_not_there() -> None:
    assert set(SDK_BUGS) <= {name.rpartition("/")[2] for name in NAMES}
