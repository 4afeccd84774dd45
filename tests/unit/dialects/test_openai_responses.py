"""The OpenAI Responses dialect: what a stream and a document say. Oddities are in test_openai_responses_oddities."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest

from recorder.core.exchange import fold
from recorder.core.messages import (
    Answer,
    CitationPart,
    MediaPart,
    OtherPart,
    ReasoningPart,
    RefusalPart,
    TextPart,
    TokenCounts,
    ToolCallPart,
    ToolResultPart,
)
from recorder.core.rebuilt import Rebuilt, as_json
from recorder.dialects.base import Clues
from recorder.dialects.openai_responses import DIALECT
from recorder.dialects.rebuild import rebuild
from tests.building import ExchangeBuilder
from tests.unit.dialects.wire import JSON, SSE, document, sse

URL = "https://api.example.test/v1/responses"
USAGE = {
    "input_tokens": 30,
    "input_tokens_details": {"cached_tokens": 8, "cache_write_tokens": 2},
    "output_tokens": 9,
    "output_tokens_details": {"reasoning_tokens": 4},
    "total_tokens": 39,
}


def event(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": f"response.{kind}", **fields}


def response(status: str = "completed", output: Any = (), **fields: Any) -> dict[str, Any]:
    listed = list(output) if isinstance(output, tuple) else output
    return {"id": "resp_1", "object": "response", "model": "m-1", "status": status, "output": listed, **fields}


def message(*content: Any, **fields: Any) -> dict[str, Any]:
    return {"id": "msg_1", "type": "message", "role": "assistant", "content": list(content), **fields}


def text(value: str, *annotations: Any) -> dict[str, Any]:
    return {"type": "output_text", "text": value, "annotations": list(annotations)}


def call(arguments: Any, status: str | None = "completed", **fields: Any) -> dict[str, Any]:
    item = {"id": "fc_1", "type": "function_call", "call_id": "call_1", "name": "buy", "arguments": arguments}
    return item | ({"status": status} if status else {}) | fields


def added(item: Any, index: int = 0) -> dict[str, Any]:
    return event("output_item.added", output_index=index, item=item)


def done(item: Any, index: int = 0) -> dict[str, Any]:
    return event("output_item.done", output_index=index, item=item)


def delta(what: str, piece: Any, index: int = 0, **fields: Any) -> dict[str, Any]:
    return event(f"{what}.delta", output_index=index, delta=piece, **({"content_index": 0} | fields))


def completed(*output: Any, **fields: Any) -> dict[str, Any]:
    return event("completed", response=response("completed", output, **fields))


def numbered(*events: dict[str, Any], start: int = 0) -> list[dict[str, Any]]:
    return [value | {"sequence_number": number} for number, value in enumerate(events, start)]


CREATED = event("created", response=response("in_progress"))
HELLO = [
    CREATED,
    event("in_progress", response=response("in_progress")),
    added(message(status="in_progress")),
    event("content_part.added", output_index=0, content_index=0, item_id="msg_1", part=text("")),
    delta("output_text", "Kurs", obfuscation="x9"),
    delta("output_text", " €"),
    event("output_text.done", output_index=0, content_index=0, text="Kurs €"),
    event("content_part.done", output_index=0, content_index=0, part=text("Kurs €")),
    done(message(text("Kurs €"), status="completed")),
    completed(message(text("Kurs €"), status="completed"), usage=USAGE),
]
CALLED = [
    CREATED,
    added({"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": "AAA"}),
    event("reasoning_summary_part.added", output_index=0, summary_index=0, part={"type": "summary_text", "text": ""}),
    delta("reasoning_summary_text", "**Buy", summary_index=0),
    delta("reasoning_summary_text", "**", summary_index=0),
    event("reasoning_summary_text.done", output_index=0, summary_index=0, text="**Buy**"),
    event(
        "reasoning_summary_part.done",
        output_index=0,
        summary_index=0,
        part={"type": "summary_text", "text": "**Buy**"},
    ),
    done(
        {
            "id": "rs_1",
            "type": "reasoning",
            "summary": [{"type": "summary_text", "text": "**Buy**"}],
            "encrypted_content": "BBB",
        }
    ),
    added(call("", "in_progress"), 1),
    delta("function_call_arguments", '{"lots":1', 1),
    delta("function_call_arguments", "0}", 1),
    event("function_call_arguments.done", output_index=1, arguments='{"lots":10}'),
    done(call('{"lots":10}'), 1),
    completed(
        {
            "id": "rs_1",
            "type": "reasoning",
            "summary": [{"type": "summary_text", "text": "**Buy**"}],
            "encrypted_content": "CCC",
        },
        call('{"lots":10}'),
        usage=USAGE,
    ),
]
#: Whole answers for the contract suite.
STREAMS = [
    (SSE, sse(*numbered(*HELLO), named="type")),
    (SSE, sse(*CALLED)),
    (
        SSE,
        sse(
            CREATED,
            added({"id": "rs_1", "type": "reasoning", "summary": []}),
            delta("reasoning_text", "hm"),
            added(message(status="in_progress"), 1),
            delta("output_text", "ok", 1),
            completed(),
            done=True,
        ),
    ),
    (JSON, document(response(output=[message(text("Hi")), call('{"a":1}')], usage=USAGE, error=None))),
]


def read(body: bytes) -> Answer:
    reader = DIALECT.reader(Clues(URL, "", body))
    reader.feed(body)
    return reader.close()


def streamed(*values: Any, done: bool = False) -> Answer:
    return read(sse(*values, done=done))


def exchange(body: bytes, kind: str = SSE) -> Rebuilt:
    head = ExchangeBuilder().request({"model": "m", "input": "hi"}, url=URL).response(headers=[("content-type", kind)])
    built = fold(head.chunks(body).completed().events)
    assert built is not None
    return rebuild(built)


def kinds(answer: Answer) -> list[str]:
    return [fact.kind for fact in answer.anomalies]


def parts(answer: Answer) -> tuple[Any, ...]:
    return answer.choices[0].message.parts


def test_text_is_told_once_however_often_it_is_sent() -> None:
    answer = streamed(*numbered(*HELLO))
    (choice,) = answer.choices
    assert (choice.message.role, choice.message.parts) == ("assistant", (TextPart("Kurs €"),))
    assert (choice.finish_reasons, choice.finish, choice.failed) == (("completed",), "stop", False)
    assert (answer.ids, answer.models, answer.sentinel_seen, answer.events) == (("resp_1",), ("m-1",), True, 10)
    assert answer.anomalies == ()
    assert choice.message.extras == {"items": [{"id": "msg_1", "type": "message", "status": "completed"}]}


def test_usage_is_as_reported_and_counted_in_one_form() -> None:
    answer = streamed(*HELLO)
    assert answer.usage_reports == (USAGE,)
    assert answer.tokens == TokenCounts(input=30, output=9, total=39, cached=8, cache_written=2, reasoning=4)


def test_what_was_not_sent_is_absent() -> None:
    answer = streamed(delta("output_text", "x"))
    (choice,) = answer.choices
    assert (choice.message.role, choice.message.text, choice.message.extras) == (None, "x", {})
    assert (choice.finish_reason, choice.finish, choice.logprobs) == (None, None, None)
    assert (answer.usage, answer.tokens, answer.models, answer.ids, answer.extras) == (None, None, (), (), {})


def test_text_comes_from_the_events_of_its_deltas() -> None:
    body = sse(*HELLO)
    (part,) = parts(read(body))
    ((start, end),) = part.ranges
    assert body[start:end] == sse(HELLO[4], HELLO[5])


def test_a_call_has_its_id_its_name_and_whole_arguments() -> None:
    reasoning, asked = parts(streamed(*CALLED))
    assert reasoning == ReasoningPart("**Buy**", ("summary",), encrypted="CCC")
    assert isinstance(asked, ToolCallPart)
    assert (asked.id, asked.name, asked.arguments_text, asked.index) == ("call_1", "buy", '{"lots":10}', 1)
    assert (asked.complete, asked.arguments) == (True, {"lots": 10})
    assert asked.extras == {"status": "completed", "item_id": "fc_1"}


@pytest.mark.parametrize("upto", range(9, 13))
def test_a_call_is_not_complete_before_its_item_is_done(upto: int) -> None:
    (called,) = streamed(*CALLED[:upto]).choices[0].message.tool_calls
    assert not called.complete
    assert exchange(sse(*CALLED[:upto])).verdict == "truncated"


def test_a_call_whose_item_is_done_is_complete_though_the_stream_is_cut() -> None:
    rebuilt = exchange(sse(*CALLED[:13]))
    assert rebuilt.verdict == "truncated"
    assert rebuilt.answer.choices[0].message.tool_calls[0].complete


def test_a_call_that_was_cut_by_the_limit_is_not_complete_even_if_it_parses() -> None:
    cut = [CREATED, added(call("", "in_progress")), delta("function_call_arguments", "{}")]
    ending = event("incomplete", response=response("incomplete", incomplete_details={"reason": "max_output_tokens"}))
    for item in (call("{}", "incomplete"), call("{}", None)):
        (choice,) = streamed(*cut, done(item), ending).choices
        assert (choice.finish_reason, choice.finish) == ("max_output_tokens", "length")
        assert not choice.message.tool_calls[0].complete
    assert not streamed(*cut, ending).choices[0].message.tool_calls[0].complete
    earlier = streamed(*cut, done(call("{}")), added(message(), 1), delta("output_text", "The", 1), ending)
    assert earlier.choices[0].message.tool_calls[0].complete


@pytest.mark.parametrize("arguments", ['{"a":1', '{"a":NaN}', ""])
def test_arguments_that_do_not_parse_are_not_complete(arguments: str) -> None:
    (called,) = streamed(completed(call(arguments))).choices[0].message.tool_calls
    assert (called.complete, called.arguments_text) == (False, arguments)


def test_reasoning_summaries_are_parts_of_their_own_and_text_is_told_apart() -> None:
    item = {
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": "one"}, {"type": "summary_text", "text": "two"}],
        "content": [{"type": "reasoning_text", "text": "raw"}, {"type": "odd", "x": 1}],
        "encrypted_content": "SEALED",
    }
    assert parts(streamed(completed(item))) == (
        ReasoningPart("one", ("summary",)),
        ReasoningPart("two", ("summary",)),
        ReasoningPart("raw", ("content",), encrypted="SEALED"),
        OtherPart("odd", {"type": "odd", "x": 1}),
    )
    assert parts(streamed(completed({"type": "reasoning", "summary": []}))) == (ReasoningPart(""),)


def test_refusals() -> None:
    deltas = [delta("refusal", "I am "), delta("refusal", "sorry")]
    whole = message({"type": "refusal", "refusal": "I am sorry"})
    answer = streamed(added(message()), *deltas, done(whole), completed(whole))
    assert (parts(answer), answer.anomalies) == ((RefusalPart("I am sorry"),), ())


def test_citations_follow_their_text_and_are_told_once() -> None:
    web = {"type": "url_citation", "url": "https://a.test", "title": "A", "start_index": 0, "end_index": 2}
    file = {"type": "file_citation", "file_id": "f", "filename": "a.txt", "index": 3}
    whole = message(text("See", web, file))
    noted = event("output_text.annotation.added", output_index=0, content_index=0, annotation_index=0, annotation=web)
    answer = streamed(added(message()), delta("output_text", "See"), noted, done(whole), completed(whole))
    assert parts(answer) == (
        TextPart("See"),
        CitationPart(web, url="https://a.test", title="A"),
        CitationPart(file, title="a.txt"),
    )
    assert answer.anomalies == ()
    other = streamed(added(message()), delta("output_text", "See"), noted, done(message(text("See", file))))
    assert kinds(other) == ["annotations_differ"]


def test_logprobs_of_deltas_or_of_the_whole_part_never_both() -> None:
    one, two = {"token": "a", "logprob": -1}, {"token": "b", "logprob": -2}
    whole = {**text("ab"), "logprobs": [one, two]}
    deltas = [delta("output_text", "a", logprobs=[one]), delta("output_text", "b", logprobs=[two])]
    assert streamed(*deltas, done(message(whole))).choices[0].logprobs == {"content": [one, two]}
    assert streamed(completed(message(whole))).choices[0].logprobs == {"content": [one, two]}
    ended = event("output_text.done", output_index=0, content_index=0, text="ab", logprobs=[one])
    assert streamed(ended).choices[0].logprobs == {"content": [one]}


def test_a_call_of_an_mcp_server_has_its_result() -> None:
    item = {"id": "mcp_1", "type": "mcp_call", "name": "ask", "server_label": "wiki", "arguments": '{"q":1}'}
    begun = item | {"arguments": "", "status": "in_progress", "output": None, "error": None}
    ended = item | {"status": "completed", "output": "42", "error": None}
    asked, answered = parts(
        streamed(added(begun), delta("mcp_call_arguments", '{"q":1}'), event("mcp_call.completed"), done(ended))
    )
    assert (asked.id, asked.name, asked.complete) == ("mcp_1", "ask", True)
    assert asked.extras == {"server_label": "wiki", "status": "completed", "type": "mcp_call"}
    assert answered == ToolResultPart("mcp_1", "ask", "42")
    failed = parts(streamed(done(item | {"status": "failed", "error": {"type": "http_error"}})))
    assert not failed[0].complete
    assert failed[1] == ToolResultPart("mcp_1", "ask", None, True, {"type": "http_error"})


def test_the_input_of_a_custom_tool_is_text_and_no_complete_call() -> None:
    item = {"id": "ct_1", "type": "custom_tool_call", "call_id": "c", "name": "sql", "input": "select 1"}
    begun = added(item | {"input": ""})
    (called,) = parts(streamed(begun, delta("custom_tool_call_input", "select 1"), done(item), completed(item)))
    assert (called.arguments_text, called.complete, called.extras["custom"]) == ("select 1", False, True)


def test_calls_that_the_provider_runs_are_kept_as_sent() -> None:
    search = {"id": "ws_1", "type": "web_search_call", "status": "completed", "action": {"type": "search"}}
    code = {"id": "ci_1", "type": "code_interpreter_call", "code": "1+1", "status": "completed", "outputs": None}
    unheard = {"id": "x", "type": "teleport_call", "to": "Mars"}
    stream = [
        added({"id": "ws_1", "type": "web_search_call", "status": "in_progress"}),
        event("web_search_call.searching", output_index=0),
        done(search),
        added(code | {"code": "", "status": "in_progress"}, 1),
        delta("code_interpreter_call_code", "1+", 1),
    ]
    assert parts(streamed(*stream)) == (
        OtherPart("web_search_call", search),
        OtherPart("code_interpreter_call", code | {"code": "1+", "status": "in_progress"}),
    )
    whole = streamed(*stream, delta("code_interpreter_call_code", "1", 1), done(code, 1), done(unheard, 2))
    assert parts(whole)[1:] == (OtherPart("code_interpreter_call", code), OtherPart("teleport_call", unheard))
    assert whole.anomalies == ()


def test_images_are_media_by_reference() -> None:
    picture, sketch = b"picture", b"sketch"
    item = {"id": "ig_1", "type": "image_generation_call", "status": "generating"}
    partial = event(
        "image_generation_call.partial_image",
        output_index=0,
        partial_image_index=0,
        partial_image_b64=base64.b64encode(sketch).decode(),
        output_format="png",
    )
    (early,) = parts(streamed(added(item), partial))
    assert isinstance(early, MediaPart)
    assert (early.kind, early.media_type, early.size) == ("image", "image/png", 6)
    ended = item | {"status": "completed", "result": base64.b64encode(picture).decode(), "output_format": "webp"}
    (image,) = parts(streamed(added(item), partial, done(ended), completed(ended)))
    assert (image.media_type, image.sha256) == ("image/webp", hashlib.sha256(picture).hexdigest())
    assert image.extras == {"id": "ig_1", "status": "completed", "output_format": "webp"}
    assert parts(streamed(added(item))) == (OtherPart("image_generation_call", item),)


def test_results_among_the_items_and_parts_without_a_form() -> None:
    answer = streamed(
        completed(
            {"type": "function_call_output", "call_id": "c", "output": "42"},
            {"type": "function_call_output", "call_id": "d", "output": [{"type": "input_text", "text": "a"}]},
            {"type": "custom_tool_call_output", "output": {"x": 1}},
            message({"type": "output_audio", "x": 1}, text("t")),
        )
    )
    assert parts(answer) == (
        ToolResultPart("c", None, "42"),
        ToolResultPart("d", None, "a"),
        ToolResultPart(value={"x": 1}),
        OtherPart("output_audio", {"type": "output_audio", "x": 1}),
        TextPart("t"),
    )


@pytest.mark.parametrize(
    ("status", "fields", "reason", "finish", "verdict"),
    [
        ("completed", {}, "completed", "stop", "complete"),
        (
            "incomplete",
            {"incomplete_details": {"reason": "max_output_tokens"}},
            "max_output_tokens",
            "length",
            "complete",
        ),
        (
            "incomplete",
            {"incomplete_details": {"reason": "content_filter"}},
            "content_filter",
            "content_filter",
            "complete",
        ),
        ("incomplete", {"incomplete_details": None}, "incomplete", "other", "complete"),
        ("failed", {"error": {"code": "server_error"}}, "failed", "error", "errored"),
        ("failed", {}, "failed", "error", "errored"),
        ("cancelled", {}, "cancelled", "cancelled", "complete"),
    ],
)
def test_how_a_response_ends(status: str, fields: dict[str, Any], reason: str, finish: str, verdict: str) -> None:
    body = response(status, [message(text("Hi"))], **fields)
    for sent, kind in ((sse(CREATED, event(status, response=body)), SSE), (document(body), JSON)):
        rebuilt = exchange(sent, kind)
        (choice,) = rebuilt.answer.choices
        assert (choice.finish_reason, choice.finish, rebuilt.verdict) == (reason, finish, verdict)
        assert choice.message.text == "Hi"
        assert rebuilt.answer.errors == ((fields["error"],) if "error" in fields else ())


@pytest.mark.parametrize("status", ["queued", "in_progress"])
@pytest.mark.parametrize("output", [(), (message(text("so far")),), (call("{}", None),)])
def test_a_document_of_a_response_that_is_being_made_is_not_complete(status: str, output: tuple[Any, ...]) -> None:
    rebuilt = exchange(document(response(status, output)), JSON)
    assert rebuilt.answer.dialect == "openai_responses"
    assert (rebuilt.verdict, rebuilt.evidence.finished) == ("unknown", False)
    assert as_json(rebuilt)["evidence"]["answer_pending"] is True
    for choice in rebuilt.answer.choices:
        assert choice.finish_reasons == ()
        assert not any(called.complete for called in choice.message.tool_calls)


@pytest.mark.parametrize("upto", range(10))
def test_a_stream_without_its_final_event_is_not_complete(upto: int) -> None:
    for ended in (False, True):
        rebuilt = exchange(sse(*HELLO[:upto], done=ended) or b"\n")
        assert rebuilt.verdict != "complete"


def test_other_fields_of_the_response_are_kept() -> None:
    answer = streamed(
        event("created", response=response("in_progress", service_tier="auto")),
        completed(service_tier="default", metadata={"a": "b"}, output_text="again", user=None),
    )
    assert answer.extras == {
        "object": "response",
        "status": "completed",
        "service_tier": "default",
        "metadata": {"a": "b"},
    }


def test_a_compacted_conversation_is_a_document() -> None:
    sealed = {"type": "compaction", "encrypted_content": "Z"}
    rebuilt = exchange(document({"id": "r", "object": "response.compaction", "output": [sealed]}), JSON)
    assert (rebuilt.answer.dialect, rebuilt.verdict) == ("openai_responses", "complete")
    assert parts(rebuilt.answer) == (OtherPart("compaction", sealed),)
