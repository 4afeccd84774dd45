"""Cohere's second API, quirk by quirk."""

from __future__ import annotations

from typing import Any

import pytest

from recorder.core.messages import Answer, CitationPart, MediaPart, OtherPart, ReasoningPart, TextPart
from recorder.core.rebuilt import Rebuilt
from recorder.dialects.base import Clues, choose
from recorder.dialects.cohere_v2 import DIALECT
from tests.building import URL as OPENAI
from tests.unit.dialects.answers import kinds, only, read_by, rebuilt_from
from tests.unit.dialects.wire import JSON, SSE, document, ndjson, sse

URL = "https://api.example/v2/chat"
USAGE = {
    "billed_units": {"input_tokens": 65, "output_tokens": 63},
    "tokens": {"input_tokens": 508, "output_tokens": 86, "reasoning_tokens": 28},
    "cached_tokens": 144,
}


def event(kind: str, index: int | None = None, /, **message: Any) -> dict[str, Any]:
    place = {} if index is None else {"index": index}
    return {"type": kind, **place, **({"delta": {"message": message}} if message else {})}


BLANK = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
START = {"id": "c-1", "type": "message-start", "delta": {"message": BLANK}}


def end(reason: str = "COMPLETE", **fields: Any) -> dict[str, Any]:
    return {"type": "message-end", "delta": {"finish_reason": reason, "usage": USAGE, **fields}}


def block(index: int, field: str, *pieces: str) -> list[dict[str, Any]]:
    first = event("content-start", index, content={"type": field, field: ""})
    deltas = [event("content-delta", index, content={field: piece}) for piece in pieces]
    return [first, *deltas, event("content-end", index)]


def call(index: int, *pieces: str, name: str = "buy") -> list[dict[str, Any]]:
    function = {"name": name, "arguments": ""}
    first = event(
        "tool-call-start", index, tool_calls={"id": f"{name}_{index}", "type": "function", "function": function}
    )
    deltas = [event("tool-call-delta", index, tool_calls={"function": {"arguments": piece}}) for piece in pieces]
    return [first, *deltas, event("tool-call-end", index)]


SOURCE = {"type": "document", "id": "doc:0", "document": {"id": "doc:0", "title": "facts.txt", "text": "…"}}
CITED = {"start": 4, "end": 9, "text": "Ruby", "sources": [SOURCE], "type": "TEXT_CONTENT"}
PLAN = [event("tool-plan-delta", tool_plan=piece) for piece in ("I will", " buy.")]
DOCUMENT = {
    "id": "c-1",
    "message": {
        "role": "assistant",
        "tool_plan": "I will.",
        "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "ok €"}],
        "tool_calls": [{"id": "x", "type": "function", "function": {"name": "buy", "arguments": '{"lots":10}'}}],
        "citations": [CITED],
    },
    "finish_reason": "TOOL_CALL",
    "usage": USAGE,
}
#: Whole answers for the contract suite.
STREAMS = [
    (SSE, sse(START, *block(0, "text", "Kurs", " €"), end(), named="type", done=True)),
    (SSE, sse(START, *block(0, "thinking", "h", "m"), *block(1, "text", "ok"), end(), named="type")),
    (
        SSE,
        sse(START, *PLAN, *call(0, '{"lots":1', "0}"), *call(1, name="now"), end("TOOL_CALL"), named="type", done=True),
    ),
    (JSON, document(DOCUMENT)),
]


def read(body: bytes, url: str = URL) -> Answer:
    clues = Clues(url, "", body)
    assert choose(clues).name == "cohere_v2"
    return read_by(DIALECT, clues)


def streamed(*values: Any, done: bool = True) -> Answer:
    return read(sse(*values, named="type", done=done))


def rebuilt(body: bytes, kind: str = SSE) -> Rebuilt:
    return rebuilt_from(body, kind, URL)


def test_text_with_usage_and_a_finish_reason() -> None:
    answer = streamed(START, *block(0, "text", "Hel", "lo"), end())
    choice = only(answer)
    assert (choice.message.role, choice.message.parts) == ("assistant", (TextPart("Hello"),))
    assert (choice.finish_reasons, choice.finish, choice.failed) == (("COMPLETE",), "stop", False)
    assert (answer.ids, answer.usage_reports, answer.sentinel_seen, answer.anomalies) == (("c-1",), (USAGE,), True, ())
    assert answer.tokens is not None
    assert (answer.tokens.input, answer.tokens.output, answer.tokens.cached, answer.tokens.reasoning) == (
        508,
        86,
        144,
        28,
    )


def test_what_was_not_sent_is_absent() -> None:
    answer = streamed(event("content-delta", 0, content={"text": "x"}), done=False)
    assert (only(answer).message.role, only(answer).finish, only(answer).finish_reasons) == (None, None, ())
    assert (answer.ids, answer.tokens, answer.usage_reports, answer.extras, answer.sentinel_seen) == (
        (),
        None,
        (),
        {},
        False,
    )


def test_the_end_is_message_end_with_or_without_done() -> None:
    body = [START, *block(0, "text", "a"), end()]
    assert rebuilt(sse(*body)).verdict == "complete"
    assert rebuilt(sse(*body, done=True)).verdict == "complete"
    assert rebuilt(sse(*body[:-1])).verdict == "truncated"


def test_thinking_and_text_are_blocks_by_index_and_may_interleave() -> None:
    thinking, text = block(0, "thinking", "a", "b"), block(1, "text", "c", "d")
    mixed = [item for pair in zip(thinking, text, strict=True) for item in pair]
    assert only(streamed(START, *mixed, end())).message.parts == (
        ReasoningPart("ab", fields=("thinking",)),
        TextPart("cd"),
    )


def test_the_tool_plan_is_reasoning_and_calls_have_indexes_of_their_own() -> None:
    calls = [*call(0, '{"lots":1', "0}"), *call(1, "{}", name="now")]
    choice = only(streamed(START, *PLAN, *calls, end("TOOL_CALL")))
    plan, buy, now = choice.message.parts
    assert plan == ReasoningPart("I will buy.", fields=("tool_plan",))
    assert (choice.finish, choice.message.tool_calls) == ("tool_calls", (buy, now))
    first, second = choice.message.tool_calls
    assert (first.id, first.name, first.index, first.arguments_text) == ("buy_0", "buy", 0, '{"lots":10}')
    assert (first.complete, first.arguments, second.arguments, second.complete) == (True, {"lots": 10}, {}, True)


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        ([], ("", False)),  # its arguments may be those that came before it
        (['{"q":2}'], ('{"q":2}', True)),
    ],
)
def test_a_call_that_begins_before_the_one_under_its_index_ended_is_another(
    second: list[str], expected: tuple[str, bool]
) -> None:
    events = [START, *call(0, '{"q":1}')[:-1], *call(0, *second, name="sell"), end("TOOL_CALL")]
    answer = streamed(*events)
    first, other = only(answer).message.tool_calls
    assert (first.id, first.name, first.arguments_text, first.complete) == ("buy_0", "buy", '{"q":1}', False)
    assert (other.id, other.name, other.arguments_text, other.complete) == ("sell_0", "sell", *expected)
    assert kinds(answer) == ["tool_call_not_ended"]
    assert (rebuilt(sse(*events)).verdict, rebuilt(sse(*events[:-1])).verdict) == ("unknown", "truncated")
    after = rebuilt(sse(START, *call(0, '{"q":1}'), *call(0, name="sell"), end("TOOL_CALL")))
    assert (after.verdict, after.anomalies) == ("complete", ())
    assert [one.complete for one in only(after.answer).message.tool_calls] == [True, True]


def test_a_call_whose_start_comes_twice_is_one_call() -> None:
    begun, *rest = call(0, '{"q":1}')
    (found,) = only(streamed(START, begun, begun, *rest, end("TOOL_CALL"))).message.tool_calls
    assert (found.id, found.arguments_text, found.complete) == ("buy_0", '{"q":1}', True)


def test_a_call_of_a_tool_without_parameters_has_no_text() -> None:
    (found,) = only(streamed(START, *call(0), end("TOOL_CALL"))).message.tool_calls
    assert (found.arguments_text, found.arguments, found.complete) == ("", {}, True)
    (cut,) = only(streamed(START, *call(0), done=False)).message.tool_calls
    assert not cut.complete


def test_calls_may_interleave_and_use_an_index_again() -> None:
    first, second = call(0, '{"a":', "1}", name="f"), call(1, '{"b":', "2}", name="g")
    mixed = [item for pair in zip(first, second, strict=True) for item in pair]
    calls = only(streamed(START, *mixed, *call(0, "{}", name="h"), end("TOOL_CALL"))).message.tool_calls
    assert [(found.name, found.arguments) for found in calls] == [("f", {"a": 1}), ("g", {"b": 2}), ("h", {})]


@pytest.mark.parametrize(
    "tail",
    [
        [],
        [event("tool-call-end", 0), end("MAX_TOKENS")],
        [event("tool-call-end", 0), end("ERROR")],
        [event("tool-call-end", 0), end("TOOL_CALL", error="boom")],
        [end("TOOL_CALL")],
        [event("tool-call-end", 1), end("TOOL_CALL")],
    ],
)
def test_a_call_that_may_be_cut_is_not_complete(tail: list[Any]) -> None:
    (found,) = only(streamed(START, *call(0, '{"a":1}')[:-1], *tail, done=False)).message.tool_calls
    assert (found.arguments_text, found.complete) == ('{"a":1}', False)


def test_a_call_that_ended_is_complete_before_the_message_ends() -> None:
    (found,) = only(streamed(START, *call(0, '{"a":1}'), done=False)).message.tool_calls
    assert found.complete
    (broken,) = only(streamed(START, *call(0, '{"a":'), end("TOOL_CALL"))).message.tool_calls
    assert not broken.complete


def test_citations_come_amid_the_text() -> None:
    pieces = block(0, "text", "The ", "Ruby", " language")
    cite = [event("citation-start", 0, citations=CITED), event("citation-end", 0)]
    choice = only(streamed(START, *pieces[:3], *cite, *pieces[3:], end()))
    assert choice.message.parts == (TextPart("The Ruby language"), CitationPart(CITED, "Ruby", None, "facts.txt"))
    for odd in (7, {"sources": 5}, {"sources": [5]}, {"sources": [{"document": 5}]}, {"text": 5}):
        parts = only(streamed(START, event("citation-start", 0, citations=odd))).message.parts
        assert parts == (CitationPart(odd),)


def test_each_part_knows_its_events() -> None:
    events = [sse(item, named="type") for item in (START, *block(0, "text", "a"), *call(0, "{}"), end())]
    starts = [sum(map(len, events[:at])) for at in range(len(events))]
    text, found = only(read(b"".join(events))).message.parts
    assert (text.ranges, found.ranges) == (((starts[2], starts[3]),), ((starts[4], starts[7]),))


@pytest.mark.parametrize(
    ("reason", "finish", "failed"),
    [
        ("COMPLETE", "stop", False),
        ("STOP_SEQUENCE", "stop", False),
        ("MAX_TOKENS", "length", False),
        ("TOOL_CALL", "tool_calls", False),
        ("ERROR", "error", True),
        ("TIMEOUT", "error", True),
        ("ERROR_TOXIC", "content_filter", False),
        ("SOMETHING_NEW", "other", False),
    ],
)
def test_finish_reasons(reason: str, finish: str, failed: bool) -> None:
    choice = only(streamed(START, end(reason)))
    assert (choice.finish_reason, choice.finish, choice.failed) == (reason, finish, failed)


def test_the_error_is_a_field_of_message_end() -> None:
    found = rebuilt(sse(START, *block(0, "text", "a"), end("ERROR", error="the model failed"), named="type"))
    assert (found.verdict, found.answer.errors) == ("errored", ("the model failed",))
    assert only(found.answer).message.text == "a"


@pytest.mark.parametrize("value", [{"id": "x", "message": "invalid api token"}, {"error": "invalid api token"}])
def test_errors_before_the_stream(value: dict[str, Any]) -> None:
    found = rebuilt(document(value), JSON)
    assert (found.answer.dialect, found.verdict, len(found.answer.errors)) == ("cohere_v2", "errored", 1)
    assert "invalid api token" in str(found.answer.errors)
    assert found.answer.choices == ()


def test_other_events_are_kept() -> None:
    odd = {"type": "something-new", "x": 1}
    failing = {"type": "something-bad", "error": {"message": "m"}}
    answer = streamed(START, {"type": "debug", "prompt": "<p>"}, odd, failing, end(), event("content-end", 0))
    assert (answer.extras["prompt"], answer.extras["events"]) == ("<p>", [odd, failing])
    assert (answer.errors, kinds(answer)) == (({"message": "m"},), ["unknown_event", "after_end_marker"])


def test_logprobs_are_joined() -> None:
    probable = {"text": "a", "logprobs": [-0.1], "token_ids": [1]}
    delta = event("content-delta", 0, content={"text": "a"}) | {"logprobs": probable}
    assert only(streamed(START, delta, delta, end())).logprobs == {"logprobs": [probable, probable]}
    assert only(read(document(DOCUMENT | {"logprobs": [probable]}))).logprobs == {"logprobs": [probable]}


def test_values_of_another_kind() -> None:
    start = {"type": "message-start", "delta": {"message": {"role": 5, "content": 7, "tool_calls": "x", "mood": 1}}}
    values = (
        start,
        {"type": "content-start", "index": [1], "delta": 5},
        event("content-delta", 0, content={"text": 5}),
        event("content-delta", 0, content="plain"),
        event("tool-call-start", 0, tool_calls=[1]),
        event("tool-call-end", 9),
        event("tool-call-delta", 1, tool_calls={"function": {"arguments": {"a": 1}}, "x": 1}),
        7,
        {"id": 5},
        end(),
    )
    answer = read(sse(*values, done=True))
    kinds_of = [(type(part).__name__, getattr(part, "value", None)) for part in only(answer).message.parts]
    assert kinds_of[:3] == [("OtherPart", 7), ("OtherPart", {"text": 5}), ("TextPart", None)]
    assert [found.extras for found in only(answer).message.tool_calls] == [{}, {"x": 1}]
    assert only(answer).message.extras == {"mood": [1]}
    assert kinds(answer) == ["delta_malformed", "not_an_object", "no_choices"]


def test_a_document() -> None:
    answer = read(document(DOCUMENT))
    plan, thinking, text, found, cited = only(answer).message.parts
    assert plan == ReasoningPart("I will.", fields=("tool_plan",))
    assert thinking == ReasoningPart("hm", fields=("thinking",))
    assert (text, cited) == (TextPart("ok €"), CitationPart(CITED, "Ruby", None, "facts.txt"))
    assert only(answer).message.tool_calls == (found,)
    assert (only(answer).message.tool_calls[0].arguments, only(answer).message.tool_calls[0].complete) == (
        {"lots": 10},
        True,
    )
    assert (answer.whole, answer.usage, answer.ids, only(answer).finish) == (True, USAGE, ("c-1",), "tool_calls")


def test_one_event_alone_is_no_whole_document() -> None:
    assert rebuilt(ndjson(START), JSON).verdict == "truncated"
    lines = ndjson(START, *block(0, "text", "a"), end())
    assert (rebuilt(lines).answer.shape, rebuilt(lines).verdict) == ("ndjson", "complete")


@pytest.mark.parametrize(
    ("url", "body", "claim"),
    [
        ("", sse(START), 1.0),
        (OPENAI, sse(*block(0, "text", "a"), done=True), 1.0),
        ("", sse(START)[:-9], 0.9),
        ("", document(DOCUMENT), 0.95),
        (URL, b"", 0.5),
        (URL, b'{"message":"no"}', 0.5),
        ("", b'{"message":"no"}', 0.0),
        (URL, b'{"object":"chat.completion","choices":[]}', 0.0),
        ("", document({"id": "x", "message": {"role": "assistant"}, "finish_reason": "stop", "choices": []}), 0.0),
        ("", sse({"type": "message_start", "message": {}}), 0.0),
        ("", document({"type": "message", "role": "assistant", "content": []}), 0.0),
        ("", sse({"type": "debug"}), 0.0),
    ],
)
def test_claims(url: str, body: bytes, claim: float) -> None:
    assert DIALECT.claims(Clues(url, "", body)) == claim


def test_reads_requests() -> None:
    payload = {
        "model": "m",
        "messages": [
            {"role": "system", "content": "s"},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "look"},
                    {"type": "image_url", "image_url": {"url": "u", "detail": "low"}},
                ],
            },
            {
                "role": "assistant",
                "tool_plan": "plan",
                "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": ""}}],
            },
            {"role": "tool", "tool_call_id": "c", "content": [{"type": "document", "document": {"data": "15°"}}]},
        ],
    }
    reading = DIALECT.read_request(URL, payload)
    assert reading is not None
    assert (reading.dialect, reading.model, reading.choices) == ("cohere_v2", "m", None)
    system, user, assistant, tool = reading.messages
    assert (system.role, system.text, user.text) == ("system", "s", "look")
    assert user.parts[1] == MediaPart("image", url="u", extras={"detail": "low"})
    assert assistant.parts[0] == ReasoningPart("plan", fields=("tool_plan",))
    assert (assistant.tool_calls[0].complete, assistant.tool_calls[0].arguments) == (True, {})
    assert (tool.role, tool.tool_call_id, tool.extras) == ("tool", "c", {})
    assert tool.parts == (OtherPart("document", {"type": "document", "document": {"data": "15°"}}),)


def test_an_id_of_a_call_that_is_no_text_is_kept() -> None:
    messages = [{"role": "tool", "tool_call_id": answered, "content": "15"} for answered in (7, {"a": 1}, None)]
    reading = DIALECT.read_request(URL, {"messages": messages})
    assert reading is not None
    number, mapping, none = reading.messages
    assert [(each.tool_call_id, each.extras) for each in (number, mapping, none)] == [
        (None, {"tool_call_id": 7}),
        (None, {"tool_call_id": {"a": 1}}),
        (None, {}),
    ]


def test_a_request_at_another_address_is_known_by_coheres_fields() -> None:
    asked = {"messages": [{"role": "user", "content": "x"}]}
    assert DIALECT.read_request("https://gateway.example/x", asked) is None
    assert DIALECT.read_request("https://gateway.example/x", {**asked, "safety_mode": "NONE"}) is not None
    planned = {"messages": [{"role": "assistant", "tool_plan": "p"}]}
    assert DIALECT.read_request("https://gateway.example/x", planned) is not None


@pytest.mark.parametrize("payload", [None, [], {}, {"messages": "x"}, {"messages": [1]}, {"message": "x"}])
def test_other_requests_are_not_read(payload: Any) -> None:
    assert DIALECT.read_request(URL, payload) is None
