"""Where the SDKs' own accumulators are wrong: each bug with the stream that shows it, and what was really sent.

On the corpus our answers are those of the SDKs, but for these bugs (test_corpus_rebuild and its neighbours). Here each
of them is alone, so that it can be checked without a corpus. A test that fails says that an SDK has mended its bug:
take it out, here and from the lists of streams there.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from openai import omit
from openai._models import construct_type_unchecked
from openai._streaming import SSEDecoder
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.chat import ChatCompletionChunk
from openai.types.responses import ResponseStreamEvent

from recorder.core.messages import Answer, OtherPart
from tests.acceptance.test_corpus_rebuild import by_sdk, said_by
from tests.building import URL, delta
from tests.unit.dialects import anthropic_events, responses
from tests.unit.dialects.answers import rebuilt_from
from tests.unit.dialects.anthropic_events import CALL, arguments, ended, opened, piece, started, stopped
from tests.unit.dialects.wire import SSE, sse

pytestmark = pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")


def _call(index: int, sent: str, **fields: Any) -> dict[str, Any]:
    name = {"name": fields.pop("name")} if "name" in fields else {}
    return delta(tool_calls=[{"index": index, "function": {"arguments": sent, **name}, **fields}])


CALLS = delta(finish="tool_calls")
STOP = delta(finish="stop")
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
NOTE = {"type": "url_citation", "url_citation": {"url": "https://a.test", "title": "A"}}
AZURE: dict[str, Any] = {"choices": [], "created": 0, "id": "", "model": "", "object": "", "prompt_filter_results": []}
LATE = {"choices": [{"index": 0, "finish_reason": None, "content_filter_offsets": {"check_offset": 1}}], "object": ""}


class Bug(NamedTuple):
    """What the SDK makes of a stream where it is wrong, and what was sent: by the name of what differs.

    :ivar theirs: an exception's name, or what is there instead of *ours*.
    """

    body: bytes
    what: str
    ours: Any
    theirs: Any


CHAT = {
    "usage is lost when a chunk without usage follows": Bug(
        sse(delta(content="a"), STOP | {"usage": USAGE}, delta(content=""), done=True), "usage", USAGE, None
    ),
    "usage under x_groq is not read": Bug(
        sse(delta(content="a"), STOP | {"x_groq": {"id": "r", "usage": USAGE}}, done=True), "usage", USAGE, None
    ),
    "reading stops at a chunk with an error, and the usage beside it is lost": Bug(
        sse(delta(content="a"), STOP | {"error": {"code": 502}, "usage": USAGE}, done=True), "usage", USAGE, None
    ),
    "content that comes as a list of parts is dropped, and with it the first text": Bug(
        sse(delta(content=""), delta(content=[{"type": "text", "text": "1"}]), delta(content="44"), STOP),
        "text",
        {0: "144"},
        {0: "44"},
    ),
    "a role that comes in every chunk is concatenated": Bug(
        sse(delta(role="assistant", content="a"), delta(role="assistant", content="b"), STOP),
        "role",
        {0: "assistant"},
        {0: "assistantassistant"},
    ),
    "a choice that comes before those below it raises": Bug(
        sse(delta(1, content="b"), delta(0, content="a"), delta(0, "stop"), delta(1, "stop")),
        "text",
        {0: "a", 1: "b"},
        "IndexError",
    ),
    "two calls under one index are concatenated": Bug(
        sse(_call(0, "{}", id="a", name="buy"), _call(0, '{"q":1}', id="b", name="sell"), CALLS),
        "calls",
        {0: [("a", "buy", "{}"), ("b", "sell", '{"q":1}')]},
        {0: [("ab", "buysell", '{}{"q":1}')]},
    ),
    "an id and a name that are repeated are concatenated": Bug(
        sse(_call(0, '{"q"', id="call_a", name="buy"), _call(0, ":1}", id="call_a", name="buy"), CALLS),
        "calls",
        {0: [("call_a", "buy", '{"q":1}')]},
        {0: [("call_acall_a", "buybuy", '{"q":1}')]},
    ),
    "an index of calls that begins at 1 raises": Bug(
        sse(delta(role="assistant"), _call(1, "{}", id="a", name="buy"), CALLS),
        "calls",
        {0: [("a", "buy", "{}")]},
        "IndexError",
    ),
    "a list without an index that comes twice raises": Bug(
        sse(delta(content="a", annotations=[NOTE]), delta(annotations=[NOTE]), STOP), "text", {0: "a"}, "RuntimeError"
    ),
    "a byte order mark takes the first event with it": Bug(
        b"\xef\xbb\xbf" + sse(delta(content="a"), delta(content="b"), STOP), "text", {0: "ab"}, {0: "b"}
    ),
}


@pytest.mark.parametrize("bug", CHAT)
def test_openai_chat(bug: str) -> None:
    body, what, ours, theirs = CHAT[bug]
    assert getattr(said_by(rebuilt_from(body, SSE, URL)), what) == ours
    sdk = by_sdk(body)
    assert (sdk if isinstance(sdk, str) else getattr(sdk, what)) == theirs


def test_openai_chat_cannot_be_fed_the_frames_of_azure() -> None:
    """``stream()`` of the SDK leaves them out; its accumulator takes the empty id, and needs a delta in every frame."""
    said = said_by(rebuilt_from(sse(AZURE, delta(content="a"), LATE, STOP), SSE, URL))
    assert (said.id, said.model, said.text) == ("chatcmpl-1", "m-1", {0: "a"})
    state: ChatCompletionStreamState[None] = ChatCompletionStreamState()
    for chunk in (AZURE, delta(content="a")):
        state.handle_chunk(ChatCompletionChunk.construct(**chunk))
    snapshot = state.current_completion_snapshot
    assert (snapshot.id, snapshot.model) == ("", "")
    with pytest.raises(AttributeError):
        state.handle_chunk(ChatCompletionChunk.construct(**LATE))


def test_openai_chat_says_nothing_of_a_stream_that_is_cut() -> None:
    body = sse(_call(0, '{"q":1', id="a", name="buy"))
    sdk = by_sdk(body)
    assert not isinstance(sdk, str)
    assert (sdk.finish, sdk.calls) == ({0: None}, {0: [("a", "buy", '{"q":1')]})
    rebuilt = rebuilt_from(body, SSE, URL)
    assert (rebuilt.verdict, rebuilt.answer.choices[0].message.tool_calls[0].complete) == ("truncated", False)


RESPONSES = {
    "content_index is taken for a place in a list": (
        [
            responses.CREATED,
            responses.added(responses.message()),
            responses.event("content_part.added", output_index=0, content_index=1, part=responses.text("")),
            responses.delta("output_text", "Hi", content_index=1),
        ],
        "IndexError",
    ),
    "a stream that is taken up again has no response.created": (
        responses.numbered(responses.delta("output_text", "Hi"), start=7),
        "RuntimeError",
    ),
    "an item whose id is another one in every event raises": (
        [
            responses.CREATED,
            responses.added(responses.message(id="a")),
            responses.event("content_part.added", output_index=0, content_index=0, part=responses.text("")),
            responses.delta("output_text", "Hi"),
            responses.done(responses.message(responses.text("Hi"), id="b")),
        ],
        "RuntimeError",
    ),
}


@pytest.mark.parametrize("bug", RESPONSES)
def test_openai_responses(bug: str) -> None:
    events, error = RESPONSES[bug]
    assert responses.streamed(*events).choices[0].message.text == "Hi"
    state: ResponseStreamState[None] = ResponseStreamState(text_format=omit, input_tools=omit)
    with pytest.raises((IndexError, RuntimeError)) as raised:
        for event in SSEDecoder().iter_bytes(iter([sse(*events)])):
            value: Any = construct_type_unchecked(type_=ResponseStreamEvent, value=json.loads(event.data))
            state.handle_event(value)
    assert type(raised.value).__name__ == error


def by_anthropic(*events: dict[str, Any]) -> Any:
    """Return the content of the snapshot."""
    from anthropic.lib.streaming._messages import accumulate_event  # for seconds, in each worker that collects this

    snapshot, buffers = None, {}
    for event in events:
        snapshot = accumulate_event(event=event, current_snapshot=snapshot, json_bufs=buffers)
    assert snapshot is not None
    return [block.to_dict() for block in snapshot.content]


def _input(content: Any) -> Any:
    return content[0]["input"]


BUY = opened(0, "tool_use", **CALL)
SERVED = opened(0, "mcp_tool_use", server_name="s", **CALL)


def _sent(answer: Answer) -> tuple[str, bool]:
    (call,) = answer.choices[0].message.tool_calls
    return call.arguments_text, call.complete


def _compacted(answer: Answer) -> Any:
    (part,) = answer.choices[0].message.parts
    assert isinstance(part, OtherPart)
    return part.value["content"]


def _text(answer: Answer) -> str:
    return answer.choices[0].message.text


ANTHROPIC: dict[str, tuple[list[dict[str, Any]], Callable[[Answer], Any], Any, Callable[[Any], Any], Any]] = {
    "a call that is cut has the beginning of its arguments for its arguments": (
        [started(), BUY, arguments(0, '{"q":1,"p":2.50')],
        _sent,
        ('{"q":1,"p":2.50', False),
        _input,
        {"q": 1, "p": 2.5},
    ),
    "the arguments of mcp_tool_use are dropped outside the beta API": (
        [started(), SERVED, arguments(0, '{"q":1}'), stopped(0), *ended()],
        _sent,
        ('{"q":1}', True),
        _input,
        {},
    ),
    "compaction_delta is known to the accumulator of the beta API only": (
        [started(), opened(0, "compaction", content=None), piece(0, "compaction_delta", content="short"), stopped(0)],
        _compacted,
        "short",
        lambda content: content[0]["content"],
        None,
    ),
    "an index that was left out raises": (
        [started(), opened(1), anthropic_events.text(1, "Hi"), stopped(1), *ended()],
        _text,
        "Hi",
        repr,
        IndexError,
    ),
    "arguments that do not parse raise": (
        [started(), BUY, arguments(0, '{"q":}'), stopped(0), *ended("tool_use")],
        _sent,
        ('{"q":}', False),
        repr,
        ValueError,
    ),
}


@pytest.mark.parametrize("bug", ANTHROPIC)
def test_anthropic_messages(bug: str) -> None:
    events, told, ours, taken, theirs = ANTHROPIC[bug]
    assert told(anthropic_events.streamed(*events)) == ours
    if isinstance(theirs, type):
        with pytest.raises(theirs):
            by_anthropic(*events)
    else:
        assert taken(by_anthropic(*events)) == theirs


MISTRAL = {
    "of several reports of usage the first counts": Bug(
        sse(delta(content="a") | {"usage": {"total_tokens": 1}}, STOP | {"usage": {"total_tokens": 5}}),
        "usage",
        5,
        1,
    ),
    "fragments of calls without a name are dropped": Bug(
        sse(_call(0, '{"q":', id="a", name="buy"), _call(0, "1}"), CALLS), "calls", '{"q":1}', '{"q":'
    ),
    "data without a space after the colon is no data": Bug(
        sse(delta(content="a"), STOP).replace(b"data: ", b"data:", 1), "text", "a", ""
    ),
    "a line that ends with CR is no line": Bug(
        sse(delta(content="a"), delta(content="b"), STOP).replace(b"\n", b"\r"), "text", "ab", None
    ),
}


@pytest.mark.parametrize("bug", MISTRAL)
def test_mistral(bug: str) -> None:
    from mistralai.extra.observability.streaming import accumulate_chunks_to_response_dict, parse_sse_chunks

    body, what, ours, theirs = MISTRAL[bug]
    said = said_by(rebuilt_from(body, SSE, URL))
    told = accumulate_chunks_to_response_dict(parse_sse_chunks(body))
    message = told["choices"][0]["message"] if told["choices"] else {}
    if what == "usage":
        assert (said.usage["total_tokens"], told["usage"]["total_tokens"]) == (ours, theirs)
    elif what == "calls":
        assert (said.calls[0][0][2], message["tool_calls"][0]["function"]["arguments"]) == (ours, theirs)
    else:
        assert (said.text[0], message.get("content")) == (ours, theirs)
