"""The OpenAI chat dialect: what providers send that imitate it, each by name."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from recorder.core.messages import CitationPart, MediaPart, OtherPart, ReasoningPart, TextPart, TokenCounts
from tests.building import delta
from tests.unit.dialects.answers import kinds
from tests.unit.dialects.chat import calls, read, streamed, tool, verdict
from tests.unit.dialects.wire import document, sse


def test_groq_reports_usage_twice_and_an_error_in_its_own_place() -> None:
    usage = {"total_tokens": 4}
    twice = streamed(delta(finish="stop") | {"x_groq": {"id": "r", "usage": usage}}, {"choices": [], "usage": usage})
    assert twice.usage_reports == (usage,)
    assert twice.extras["x_groq"]["id"] == "r"
    assert streamed(delta(content="a") | {"x_groq": {"error": "over"}}).errors == ("over",)


def test_azure() -> None:
    filters = {"hate": {"filtered": False, "severity": "safe"}}
    first = {
        "choices": [],
        "created": 0,
        "id": "",
        "model": "",
        "object": "",
        "prompt_filter_results": [{"prompt_index": 0}],
    }
    late = {
        "choices": [
            {
                "index": 0,
                "finish_reason": None,
                "content_filter_results": filters,
                "content_filter_offsets": {"check_offset": 1},
            }
        ],
        "id": "",
        "model": "",
        "object": "",
        "created": 0,
    }
    hi = delta(content="hi") | {"created": 1790000000, "cached": True}
    answer = streamed(first, hi, delta(finish="stop") | {"cached": False}, late)
    assert answer.choices[0].message.text == "hi"
    assert answer.choices[0].extras == {
        "content_filter_results": filters,
        "content_filter_offsets": {"check_offset": 1},
    }
    assert (answer.ids, answer.models) == (("chatcmpl-1",), ("m-1",))
    assert answer.extras == {
        "prompt_filter_results": [{"prompt_index": 0}],
        "object": "chat.completion.chunk",
        "created": 1790000000,
        "cached": False,
    }
    assert answer.anomalies == ()


def _grown(done: dict[str, Any]) -> list[dict[str, Any]]:
    """Chunks that each carry the whole message so far beside an empty delta, the last one all of it."""
    (choice,) = done["choices"]
    partial = choice | {"message": {"role": "assistant", "content": "1 "}, "finish_reason": None}
    return [done | {"object": "chat.completion.chunk", "choices": [partial]}, done]


def test_perplexity_repeats_the_whole_message() -> None:
    done = {
        "object": "chat.completion.done",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "1 2"},
                "delta": {"role": "assistant", "content": ""},
                "finish_reason": "stop",
            }
        ],
    }
    answer = streamed(delta(role="assistant", content="1 "), delta(content="2"), done, done=False)
    assert answer.choices[0].message.text == "1 2"
    assert kinds(answer) == []
    other = streamed(delta(content="1"), done)
    assert (other.choices[0].message.text, kinds(other)) == ("1", ["message_differs"])
    doubled = streamed(delta(content="1 "), delta(content="2"), *_grown(done))
    assert (doubled.choices[0].message.text, kinds(doubled)) == ("1 2", [])
    alone = streamed(done)
    assert (alone.choices[0].message.text, alone.choices[0].message.role) == ("1 2", "assistant")


def test_azure_stops_for_its_filter_after_text_was_shown() -> None:
    call = tool(id="c", name="f", arguments="{}")
    answer = streamed(delta(content="bad"), delta(tool_calls=[call]), delta(finish="content_filter"))
    assert (answer.choices[0].finish, answer.choices[0].message.text) == ("content_filter", "bad")
    assert calls(answer) == [("c", "f", "{}", False)]


def test_azure_filters_a_request_with_an_error_document() -> None:
    error = {"code": "content_filter", "innererror": {"content_filter_result": {"hate": {"filtered": True}}}}
    assert read(document({"error": error})).errors == (error,)
    assert verdict(document({"error": error}), "application/json") == "errored"


def test_azure_on_your_data_keeps_its_context() -> None:
    context = {"citations": [{"content": "c", "url": "u"}], "intent": "[]"}
    (choice,) = streamed(delta(role="assistant", context=context), delta(content="x"), delta(finish="stop")).choices
    assert (choice.message.text, choice.message.extras) == ("x", {"context": [context]})


def test_openrouter_waits_with_comments_and_says_how_the_provider_stopped() -> None:
    first = delta(content="Hi") | {"provider": "P"}
    last = delta(finish="stop") | {"usage": {"prompt_tokens": 1, "cost": 0.5, "is_byok": False}}
    last["choices"][0]["native_finish_reason"] = "STOP"
    answer = read(b": OPENROUTER PROCESSING\n\n" * 3 + sse(first, last, delta(finish="stop"), done=True))
    assert (answer.events, answer.usage, answer.extras["provider"]) == (3, last["usage"], "P")
    assert answer.choices[0].extras == {"native_finish_reason": "STOP"}
    assert answer.choices[0].finish_reasons == ("stop",)


def test_openrouter_fails_in_a_chunk_with_choices_under_status_200() -> None:
    error = {"code": 502, "message": "Provider disconnected", "metadata": {"provider_name": "P"}}
    failed = delta(content="", finish="error") | {"error": error}
    body = sse(delta(content="Hi"), failed, done=True)
    answer = read(body)
    assert (answer.errors, answer.choices[0].failed, answer.choices[0].finish) == ((error,), True, "error")
    assert verdict(body) == "errored"


def test_openrouter_names_sources_twice_and_they_are_told_once() -> None:
    source = {"type": "url_citation", "url_citation": {"url": "https://a.test", "title": "A", "content": "said"}}
    file = {"type": "file", "file": {"hash": "h"}}
    answer = streamed(delta(content="See"), delta(annotations=[source, file]), delta(annotations=[source]))
    assert answer.choices[0].message.parts == (
        TextPart("See"),
        CitationPart(source, "said", "https://a.test", "A"),
    )
    assert answer.choices[0].message.extras == {"annotations": [[file]]}
    flat = {"type": "url_citation", "url": "https://b.test"}
    assert streamed(delta(annotations=[flat])).choices[0].message.parts == (CitationPart(flat, url="https://b.test"),)


def test_openrouter_sends_images_beside_the_content() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}, "index": 0}
    whole = {"choices": [{"index": 0, "message": {"content": "Look", "images": [image]}, "finish_reason": "stop"}]}
    for answer in (streamed(delta(content="Look"), delta(images=[image])), read(document(whole))):
        text, picture = answer.choices[0].message.parts
        assert (text, picture.media_type, picture.size) == (TextPart("Look"), "image/png", 3)
        assert picture.ranges
    assert streamed(delta(images=[5])).choices[0].message.extras == {"images": [[5]]}


def test_openai_speaks_in_pieces() -> None:
    pieces = [
        {"id": "audio_1", "transcript": "Hel"},
        {"data": "QUI="},
        {"data": "Q0Q=", "transcript": "lo"},
        {"expires_at": 5, "data": None},
    ]
    (part,) = streamed(*[delta(audio=piece) for piece in pieces]).choices[0].message.parts
    assert isinstance(part, MediaPart)
    assert (part.kind, part.file_id, part.size) == ("audio", "audio_1", 4)
    assert part.sha256 == hashlib.sha256(b"ABCD").hexdigest()
    assert part.extras == {"expires_at": 5, "transcript": "Hello"}
    assert len(part.ranges) == 1
    (odd,) = streamed(delta(audio={"data": "x"})).choices[0].message.parts
    digest = hashlib.sha256(b"x").hexdigest()
    assert (odd.size, odd.extras) == (None, {"undecodable": True, "encoded_sha256": digest})
    assert streamed(delta(audio=5)).choices[0].message.extras == {"audio": [5]}


def test_groq_runs_tools_itself_and_names_channels() -> None:
    ran = [{"index": 0, "type": "search", "arguments": "{}", "output": "x"}]
    answer = streamed(
        delta(role="assistant", channel="analysis", reasoning="hm"),
        delta(executed_tools=ran, channel="analysis"),
        delta(content="ok", channel="final"),
        delta(finish="stop") | {"x_groq": {"id": "req", "usage": {"total_tokens": 2, "queue_time": 0.1}}},
    )
    (choice,) = answer.choices
    assert choice.message.parts == (ReasoningPart("hm", ("reasoning",)), TextPart("ok"))
    assert choice.message.extras == {"channel": ["analysis", "analysis", "final"], "executed_tools": [ran]}
    assert answer.usage == {"total_tokens": 2, "queue_time": 0.1}


def test_groq_breaks_off_with_an_error_event_and_no_end_marker() -> None:
    body = sse(delta(content="a")) + b'event: error\ndata: {"error":{"message":"m","status_code":500}}\n\n'
    assert read(body).errors == ({"message": "m", "status_code": 500},)
    assert verdict(body) == "errored"


def test_groq_sends_a_call_in_one_chunk() -> None:
    whole = tool(id="c", type="function", name="f", arguments='{"a":1}')
    assert calls(streamed(delta(tool_calls=[whole]), delta(finish="tool_calls"))) == [("c", "f", '{"a":1}', True)]


def test_mistral_in_2024_has_neither_index_nor_type_and_a_null_id() -> None:
    both = [tool(None, id="null", name="f", arguments="{}"), tool(None, id="null", name="g", arguments="{}")]
    answer = streamed(delta(tool_calls=both), delta(finish="tool_calls") | {"usage": {"total_tokens": 3}})
    assert calls(answer) == [("null", "f", "{}", True), ("null", "g", "{}", True)]
    assert answer.usage == {"total_tokens": 3}


def test_mistral_thinks_in_the_content_and_names_references() -> None:
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}], "closed": True}
    reference = {"type": "reference", "reference_ids": [0]}
    padded = delta(content=[thinking]) | {"p": "abcdef"}
    answer = streamed(padded, delta(content=[{"type": "text", "text": "4"}, reference]), delta(content="."))
    assert answer.choices[0].message.parts == (
        ReasoningPart("hm", ("content.thinking",)),
        TextPart("4"),
        OtherPart("reference", reference),
        TextPart("."),
    )
    assert "p" not in answer.extras


@pytest.mark.parametrize(
    ("reason", "finish", "failed"),
    [
        ("model_length", "length", False),
        ("error", "error", True),
        ("max_tokens", "length", False),
        ("abort", "cancelled", False),
        ("insufficient_system_resource", "error", True),
        ("network_error", "error", True),
        ("sensitive", "content_filter", False),
    ],
)
def test_reasons_of_mistral_vllm_deepseek_and_zai_leave_no_call_complete(
    reason: str, finish: str, failed: bool
) -> None:
    call = tool(id="c", name="f", arguments="{}")
    answer = streamed(delta(tool_calls=[call]), delta(finish=reason))
    (choice,) = answer.choices
    assert (choice.finish_reason, choice.finish, choice.failed) == (reason, finish, failed)
    assert calls(answer) == [("c", "f", "{}", False)]


@pytest.mark.parametrize(
    ("reason", "finish"), [("STOP", "stop"), ("MAX_TOKENS", "length"), ("SAFETY", "content_filter")]
)
def test_proxies_send_the_reasons_of_others(reason: str, finish: str) -> None:
    (choice,) = streamed(delta(content="x"), delta(finish=reason)).choices
    assert (choice.finish_reason, choice.finish) == (reason, finish)


def test_deepseek_keeps_the_line_busy_and_counts_its_cache() -> None:
    usage = {"prompt_tokens": 9, "prompt_cache_hit_tokens": 8, "prompt_cache_miss_tokens": 1, "completion_tokens": 2}
    chunks = [delta(reasoning_content="hm", content=None), delta(content="ok", reasoning_content=None)]
    answer = read(b": keep-alive\n\n" * 5 + sse(*chunks, delta(finish="stop") | {"usage": usage}, done=True))
    assert answer.choices[0].message.parts == (ReasoningPart("hm", ("reasoning_content",)), TextPart("ok"))
    assert answer.tokens == TokenCounts(input=9, output=2, cached=8)
    message = {"role": "assistant", "content": "ok", "reasoning_content": "hm"}
    whole = {"object": "chat.completion", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    late = b"\n" * 40 + document(whole)
    assert read(late).choices[0].message.text == "ok"
    assert verdict(late, "application/json") == "complete"


def test_perplexity_has_sources_beside_the_choices_and_no_end_marker() -> None:
    found = {"citations": ["https://a.test"], "search_results": [{"title": "A", "url": "https://a.test"}]}
    body = sse(delta(content="See [1]") | found, delta(finish="stop") | found | {"usage": {"cost": {"total": 1}}})
    answer = read(body)
    assert {key: answer.extras[key] for key in found} == found
    assert (answer.choices[0].message.text, verdict(body)) == ("See [1]", "complete")


def test_xai_thinks_first_and_names_sources_last() -> None:
    last = {"object": "chat.completion.chunk", "choices": [], "citations": ["https://a.test"]}
    usage = {"prompt_tokens": 3, "completion_tokens_details": {"reasoning_tokens": 9}, "num_sources_used": 1}
    answer = streamed(delta(reasoning_content="hm"), delta(content="4"), delta(finish="stop"), last | {"usage": usage})
    assert answer.choices[0].message.parts == (ReasoningPart("hm", ("reasoning_content",)), TextPart("4"))
    assert answer.extras["citations"] == ["https://a.test"]
    assert answer.tokens == TokenCounts(input=3, reasoning=9)


def test_cerebras_gives_every_call_the_index_0_and_has_no_end_marker() -> None:
    one, two = tool(id="a", name="f", arguments="{}"), tool(id="b", name="g", arguments='{"x":1}')
    last = delta(finish="tool_calls") | {"time_info": {"queue_time": 0.1}}
    answer = read(sse(delta(tool_calls=[one]), delta(tool_calls=[two]), last))
    assert calls(answer) == [("a", "f", "{}", True), ("b", "g", '{"x":1}', True)]
    assert (kinds(answer), answer.extras["time_info"]) == (["tool_index_reused"], {"queue_time": 0.1})


def test_databricks_thinks_in_summaries_and_counts_on_every_chunk() -> None:
    def thinking(**fields: str) -> dict[str, Any]:
        summary = {"type": "summary_text"} | fields
        return delta(content=[{"type": "reasoning", "summary": [summary]}]) | {"usage": {"total_tokens": None}}

    answer = streamed(
        thinking(text="h", signature=""),
        thinking(text="m", signature=""),
        thinking(text="", signature="SIGNED"),
        delta(content=[{"type": "text", "text": "4"}]) | {"usage": {"total_tokens": 5}},
        delta(finish="stop") | {"usage": {"total_tokens": 7}},
    )
    assert answer.choices[0].message.parts == (
        ReasoningPart("hm", ("content.reasoning",), signature="SIGNED"),
        TextPart("4"),
    )
    assert answer.tokens == TokenCounts(total=7)


def test_databricks_sends_no_arguments_as_an_empty_text() -> None:
    answer = streamed(delta(tool_calls=[tool(id="c", name="now", arguments="")]), delta(finish="tool_calls"))
    assert calls(answer) == [("c", "now", "", False)]


def test_moonshot_reports_usage_in_the_choice() -> None:
    last = delta(finish="stop")
    last["choices"][0]["usage"] = {"prompt_tokens": 3, "completion_tokens": 2}
    answer = streamed(delta(content="a"), last)
    assert (answer.tokens, answer.choices[0].extras) == (TokenCounts(input=3, output=2), {})


def test_gemini_behind_the_format_has_no_index_and_signs_its_calls() -> None:
    signed = {"extra_content": {"google": {"thought_signature": "S"}}}
    whole = tool(None, id="c", name="f", arguments="{}") | signed
    answer = streamed(delta(tool_calls=[whole]), delta(finish="tool_calls"))
    assert calls(answer) == [("c", "f", "{}", True)]
    assert answer.choices[0].message.tool_calls[0].extras == signed
    assert read(document([{"error": {"code": 400}}])).errors == ({"code": 400},)


def test_snowflake_has_empty_fields_and_no_reasons() -> None:
    def chunk(**fields: Any) -> dict[str, Any]:
        choice = {"index": 0, "delta": {"role": "assistant", "refusal": "", "tool_calls": None} | fields}
        return {"object": "chat.completion.chunk", "id": "", "model": "m", "created": 0, "choices": [choice]}

    thought = {"type": "reasoning.text", "index": 0, "text": "hm"}
    body = sse(chunk(content="", reasoning_details=[thought]), chunk(content="4"), done=True)
    answer = read(body)
    assert answer.choices[0].message.parts == (
        ReasoningPart("hm", ("reasoning_details",), (thought,)),
        TextPart("4"),
    )
    assert (answer.ids, verdict(body)) == ((), "complete")
