"""The OpenAI chat dialect: chunks, choices, usage, ends and errors; the same for every partition of the bytes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.core.messages import TextPart
from recorder.core.rebuilt import as_json
from tests.building import URL, delta
from tests.unit.dialects.answers import kinds, rebuilt_from
from tests.unit.dialects.chat import read, streamed
from tests.unit.dialects.wire import JSON, SSE, document, sse


def _call(arguments: str, **fields: Any) -> dict[str, Any]:
    return {"index": 0, "function": {"arguments": arguments}, **fields}


#: Whole answers for the contract suite.
STREAMS = [
    (SSE, sse(delta(role="assistant", content=""), delta(content="Kurs €"), delta(finish="stop"), done=True)),
    (
        SSE,
        sse(
            delta(reasoning_content="hm"),
            delta(tool_calls=[_call("", id="c", type="function") | {"function": {"name": "buy", "arguments": ""}}]),
            delta(tool_calls=[_call('{"lots":1')]),
            delta(tool_calls=[_call("0}")]),
            delta(finish="tool_calls"),
            {"object": "chat.completion.chunk", "choices": [], "usage": {"total_tokens": 9}},
            done=True,
        ),
    ),
    (
        JSON,
        document(
            {
                "object": "chat.completion",
                "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
            }
        ),
    ),
]


def test_text_finish_reason_and_usage_in_a_chunk_of_its_own() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    answer = streamed(
        delta(role="assistant", content="", refusal=None),
        delta(content="Hel"),
        delta(content="lo"),
        delta(finish="stop"),
        {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "m-1", "choices": [], "usage": usage},
    )
    (choice,) = answer.choices
    assert (choice.message.role, choice.message.parts) == ("assistant", (TextPart("Hello"),))
    assert (choice.finish_reason, answer.usage, answer.usage_reports) == ("stop", usage, (usage,))
    assert (answer.ids, answer.models, answer.sentinel_seen) == (("chatcmpl-1",), ("m-1",), True)
    assert answer.anomalies == ()


def test_what_was_not_sent_is_absent() -> None:
    answer = streamed({"choices": [{"index": 0, "delta": {"content": "x"}}]}, done=False)
    (choice,) = answer.choices
    assert (choice.message.role, choice.finish_reason, choice.finish_reasons, choice.logprobs) == (None, None, (), None)
    assert (answer.usage, answer.usage_reports, answer.models, answer.ids, answer.extras) == (None, (), (), (), {})
    assert not answer.sentinel_seen


def test_role_in_every_chunk_is_one_role() -> None:
    answer = streamed(*[delta(role="assistant", content=text) for text in "abc"])
    assert answer.choices[0].message.role == "assistant"
    assert kinds(answer) == []
    assert kinds(streamed(delta(role="assistant"), delta(role="tool"))) == ["role_changed"]


def test_usage_is_never_summed() -> None:
    cumulative = [delta(content="a") | {"usage": {"total_tokens": number}} for number in (1, 2, 2, 3)]
    answer = streamed(delta(content="-") | {"usage": None}, *cumulative, delta(finish="stop"))
    assert answer.usage == {"total_tokens": 3}
    assert answer.usage_reports == ({"total_tokens": 1}, {"total_tokens": 2}, {"total_tokens": 3})


def test_usage_stays_when_a_chunk_without_it_follows() -> None:
    assert streamed(delta(finish="stop") | {"usage": {"total_tokens": 9}}, delta(content="")).usage == {
        "total_tokens": 9
    }


def test_choices_may_come_in_any_order() -> None:
    answer = streamed(
        delta(1, content="b1"),
        delta(0, content="a1"),
        delta(1, content="b2"),
        delta(0, content="a2"),
        delta(0, "stop"),
        delta(1, "length"),
    )
    assert [(choice.index, choice.message.text, choice.finish_reason) for choice in answer.choices] == [
        (0, "a1a2", "stop"),
        (1, "b1b2", "length"),
    ]


def test_a_choice_without_an_index_is_taken_by_its_place() -> None:
    answer = streamed({"choices": [{"delta": {"content": "a"}}, {"index": "1", "delta": {"content": "b"}}, 7]})
    assert [(choice.index, choice.message.text) for choice in answer.choices] == [(0, "a"), (1, "b")]
    assert kinds(answer) == ["choice_without_index", "choice_without_index", "choice_malformed"]


@pytest.mark.parametrize(
    ("frame", "error"),
    [
        ('event: error\ndata: {"error": {"code": "x"}}', {"code": "x"}),
        ('event: error\ndata: {"message": "m"}', {"message": "m"}),
        ("event: error\ndata: boom", "boom"),
        ({"error": {"message": "m"}, "user_id": "u"}, {"message": "m"}),
        ({"error": "text"}, "text"),
        ({"object": "error", "message": "m"}, {"object": "error", "message": "m"}),
        ({"type": "error", "message": "m"}, {"type": "error", "message": "m"}),
        ({"type": "error", "error": {"message": "m"}}, {"message": "m"}),
        ({"choices": [{"index": 0, "delta": {}, "finish_reason": "error", "error": {"code": 1}}]}, {"code": 1}),
        ('error: {"code": 500, "message": "slot"}', {"code": 500, "message": "slot"}),
        ('error: {"error": {"code": 500}}', {"code": 500}),
        ("error: text", "text"),
    ],
)
def test_errors_under_status_200(frame: Any, error: Any) -> None:
    answer = streamed(delta(content="partial"), frame, done=False)
    assert answer.errors == (error,)
    assert answer.choices[0].message.text == "partial"


def test_an_error_beside_choices_keeps_both() -> None:
    answer = streamed(delta(content="a"), delta(content="b") | {"error": {"code": 400}, "usage": {"total_tokens": 1}})
    assert (answer.errors, answer.choices[0].message.text, answer.usage) == (
        ({"code": 400},),
        "ab",
        {"total_tokens": 1},
    )


@pytest.mark.parametrize(("sent", "shown"), [(True, "true"), (3, "3"), ({"a": 1}, '{"a": 1}')])
def test_a_finish_reason_that_is_no_text_is_shown_as_it_was_sent(sent: Any, shown: str) -> None:
    assert streamed(delta(content="x"), delta(finish=sent)).choices[0].finish_reason == shown


def test_finish_reasons_again_and_deltas_after_them() -> None:
    again = streamed(delta(content="a"), delta(finish="stop"), delta(finish="stop"))
    assert (again.choices[0].finish_reasons, kinds(again)) == (("stop",), ["finish_reason_repeated"])
    after = streamed(delta(finish="stop"), delta(content="late"), delta(content="r"))
    assert (after.choices[0].message.text, kinds(after)) == ("later", ["delta_after_finish"])
    changed = streamed(delta(finish="stop"), delta(finish="length"))
    assert (changed.choices[0].finish_reasons, changed.choices[0].finish_reason) == (("stop", "length"), "length")
    assert kinds(changed) == ["finish_reason_changed"]
    assert streamed(delta(finish="")).choices[0].finish_reasons == ()


def test_a_final_event_without_its_empty_line_is_dropped_and_counted() -> None:
    answer = read(f"data: {json.dumps(delta(finish='stop'))}\n\ndata: [DONE]\n".encode())
    assert (answer.sentinel_seen, answer.unparsed_tail_bytes) == (False, 13)
    assert kinds(answer) == ["unparsed_tail"]


def test_a_stream_with_bare_cr_ends_with_its_last_event() -> None:
    answer = read(f"data: {json.dumps(delta(content='a'))}\r\rdata: [DONE]\r\r".encode())
    assert (answer.sentinel_seen, answer.choices[0].message.text, answer.anomalies) == (True, "a", ())


def test_what_is_no_chunk_is_a_fact() -> None:
    answer = streamed(
        "data: {broken", [1], {"type": "ping"}, {"choices": [{"index": 0, "delta": "x"}]}, delta(content="ok")
    )
    assert kinds(answer) == ["data_unparsed", "not_an_object", "no_choices", "delta_malformed"]
    assert answer.choices[0].message.text == "ok"


def test_what_comes_after_the_end_marker_is_a_fact() -> None:
    answer = streamed(delta(content="a"), "data: [DONE]", delta(content="b"))
    assert (answer.choices[0].message.text, kinds(answer)) == ("a", ["after_end_marker", "after_end_marker"])


def test_padding_is_left_out_and_other_fields_are_kept() -> None:
    answer = streamed(
        delta(content="a", annotations=[1]) | {"obfuscation": "xx", "provider": "P", "service_tier": None}
    )
    assert answer.extras == {"object": "chat.completion.chunk", "provider": "P"}
    assert answer.choices[0].message.extras == {"annotations": [[1]]}


def test_halves_of_an_escaped_pair_in_two_deltas_are_one_character() -> None:
    first, second = json.dumps(delta(content="\ud83d")), json.dumps(delta(content="\ude00"))
    assert streamed(f"data: {first}", f"data: {second}").choices[0].message.text == "😀"


def test_ids_and_models_that_change_are_all_kept() -> None:
    answer = streamed(delta() | {"id": "a", "model": "x"}, delta() | {"id": "b", "model": "x"}, delta() | {"id": 5})
    assert (answer.ids, answer.models) == (("a", "b"), ("x", "m-1"))


def test_created_that_changes_is_the_last_one_and_no_fact() -> None:
    answer = streamed(*[delta(content="a") | {"created": number} for number in (1, 2, 3)], delta(finish="stop"))
    assert (answer.extras["created"], answer.anomalies) == (3, ())


def test_think_tags_in_the_content_stay_in_the_text() -> None:
    """Nobody said that they are reasoning: Groq and others send them where the text is."""
    answer = streamed(delta(content="<think>hm"), delta(content="</think>yes"), delta(finish="stop"))
    assert answer.choices[0].message.parts == (TextPart("<think>hm</think>yes"),)


def test_numbers_that_json_does_not_have_do_no_harm() -> None:
    chunk = '{"choices":[{"index":0,"delta":{"content":"a"},"score":NaN,"least":-Infinity}]}'
    rebuilt = rebuilt_from(sse(chunk, delta(finish="stop"), done=True), SSE, URL)
    assert (rebuilt.answer_messages[0].text, rebuilt.verdict) == ("a", "complete")
    json.dumps(as_json(rebuilt), allow_nan=False)


def test_half_a_character_alone_is_replaced() -> None:
    rebuilt = rebuilt_from(sse(json.dumps(delta(content="a\ud83d")), delta(content="b")), SSE, URL)
    assert rebuilt.answer_messages[0].text == "a\ufffdb"
    json.dumps(as_json(rebuilt), ensure_ascii=False).encode()


def test_of_a_name_that_comes_twice_in_a_chunk_the_last_counts() -> None:
    """As for the parsers of the SDKs; in the arguments of a call it is a fact (test_holes)."""
    chunk = '{"choices":[{"index":0,"delta":{"content":"a","content":"b"},"delta":{"content":"c"}}]}'
    assert streamed(f"data: {chunk}").choices[0].message.text == "c"


@pytest.mark.parametrize("padding", ["", "\n\n  \n", "\ufeff"])
def test_a_json_answer_whatever_the_request_asked_for(padding: str) -> None:
    message = {
        "role": "assistant",
        "content": "hi",
        "tool_calls": [
            {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}},
            {"id": "d", "type": "function", "function": {"name": "f", "arguments": "{}"}},
        ],
    }
    document = {
        "id": "x",
        "object": "chat.completion",
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls", "logprobs": None}],
        "usage": {"total_tokens": 1},
    }
    answer = read((padding + json.dumps(document)).encode())
    assert (answer.shape, answer.whole, answer.usage, answer.unparsed_tail_bytes) == (
        "json",
        True,
        {"total_tokens": 1},
        0,
    )
    assert answer.choices[0].message.text == "hi"
    assert [(call.id, call.complete) for call in answer.choices[0].message.tool_calls] == [("c", True), ("d", True)]
    cut = read((padding + json.dumps(document)[:-5]).encode())
    assert (cut.whole, cut.choices, kinds(cut)) == (False, (), ["document_unparsed"])
    assert cut.unparsed_tail_bytes > 0


def test_json_errors_alone_and_in_a_list() -> None:
    assert read(b'{"error": {"message": "m"}}').errors == ({"message": "m"},)
    assert read(b'[{"error": {"message": "m"}}]').errors == ({"message": "m"},)


FIELDS = [
    "choices",
    "delta",
    "message",
    "index",
    "finish_reason",
    "content",
    "role",
    "tool_calls",
    "function",
    "name",
    "arguments",
    "id",
    "usage",
    "error",
    "object",
    "logprobs",
    "reasoning",
    "reasoning_details",
    "function_call",
    "refusal",
    "x_groq",
    "type",
    "text",
    "thinking",
    "custom",
]


FRAGMENTS = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 3) | st.sampled_from(["", "a", "stop", "{}", "assistant"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(FIELDS),
            inner,
            max_size=5,
        )
    ),
    max_leaves=25,
)


@settings(max_examples=400, deadline=None)
@given(values=st.lists(FRAGMENTS, max_size=5), cut=st.integers(0, 300), json_body=st.booleans())
def test_never_raises_and_any_partition_reads_the_same(values: list[Any], cut: int, json_body: bool) -> None:
    body = (
        json.dumps({"choices": values}).encode()
        if json_body
        else b"".join(
            f"data: {json.dumps(value if isinstance(value, dict) else {'choices': [value]})}\n\n".encode()
            for value in values
        )
    )
    cut = min(cut, len(body))
    whole = read(body)
    assert read(body, [body[:cut], body[cut:]]) == whole
    assert read(body, [body[at : at + 1] for at in range(len(body))]) == whole
