"""The OpenAI Responses dialect: items and parts of every kind."""

from __future__ import annotations

import base64
import hashlib

from recorder.core.messages import (
    CitationPart,
    MediaPart,
    OtherPart,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolResultPart,
)
from tests.unit.dialects.answers import kinds
from tests.unit.dialects.responses import added, completed, delta, done, event, message, parts, streamed, text


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


def test_images_in_the_result_of_a_tool_are_media_by_reference() -> None:
    image = {"type": "input_image", "image_url": "data:image/png;base64,QUJD"}
    shot = {"type": "computer_screenshot", "image_url": "https://a.test/shot.png"}
    result, seen, screen, taken = parts(
        streamed(
            completed(
                {
                    "type": "function_call_output",
                    "call_id": "c",
                    "output": [{"type": "input_text", "text": "a"}, image],
                },
                {"type": "computer_call_output", "call_id": "d", "output": shot},
            )
        )
    )
    assert (result, screen) == (ToolResultPart("c", None, "a"), ToolResultPart("d"))
    assert (seen.kind, seen.media_type, seen.size) == ("image", "image/png", 3)
    assert (taken.kind, taken.url) == ("image", "https://a.test/shot.png")


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


def test_deltas_of_items_without_a_form_are_kept_until_the_item_is_done() -> None:
    begun = {"type": "shell_call", "action": {"commands": []}}
    grown = [delta("shell_call_command", "ls", command_index=0), delta("shell_call_command", " -l", command_index=0)]
    assert parts(streamed(added(begun), *grown)) == (
        OtherPart("shell_call", begun | {"shell_call_command": ["ls -l"]}),
    )
    ended = begun | {"action": {"commands": ["ls -l"]}}
    assert parts(streamed(added(begun), *grown, done(ended))) == (OtherPart("shell_call", ended),)


def test_what_each_item_is_by_its_id() -> None:
    thought = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]}
    said = message(text("a"), text("b"))
    answer = streamed(added(message()), delta("output_text", "a"), completed(thought, said, {"type": "odd", "x": 1}))
    assert answer.items == {
        "rs_1": (ReasoningPart("hm", ("summary",)),),
        "msg_1": (TextPart("a"), TextPart("b")),
    }
