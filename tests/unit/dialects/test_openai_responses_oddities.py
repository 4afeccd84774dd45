"""The OpenAI Responses dialect: what gateways do otherwise, and what goes wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest

from recorder.core.messages import ReasoningPart, TextPart
from tests.unit.dialects.answers import kinds
from tests.unit.dialects.responses import (
    CREATED,
    HELLO,
    added,
    call,
    completed,
    delta,
    done,
    event,
    exchange,
    message,
    numbered,
    parts,
    read,
    response,
    streamed,
    text,
)
from tests.unit.dialects.wire import sse


def test_items_are_told_by_their_index_though_every_event_has_another_id() -> None:
    """GitHub Copilot encrypts the item id anew for every event."""
    events = [
        CREATED,
        added(message(id="a1", status="in_progress")),
        delta("output_text", "one ", item_id="b2"),
        delta("output_text", "text", item_id="c3"),
        done(message(text("one text"), id="d4")),
        completed(message(text("one text"), id="e5")),
    ]
    answer = streamed(*events)
    assert (parts(answer), answer.anomalies) == ((TextPart("one text"),), ())


def test_indexes_may_have_gaps_and_content_may_begin_at_1() -> None:
    """Bedrock's Mantle counts content from 1 and has no part 0."""
    events = [
        added(message(), 3),
        event("content_part.added", output_index=3, content_index=1, part=text("")),
        delta("output_text", "Sure", 3, content_index=1),
        event("output_text.done", output_index=3, content_index=1, text="Sure"),
        done(message(text("Sure")), 3),
        completed(message(text("Sure"))),
    ]
    answer = streamed(*events)
    assert (parts(answer), answer.anomalies) == ((TextPart("Sure"),), ())


def test_items_come_in_the_order_of_their_indexes_and_may_end_in_any() -> None:
    """OpenRouter ends the reasoning after the message."""
    reasoning = {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]}
    answer = streamed(
        added(message(), 1),
        delta("output_text", "4", 1),
        added({"type": "reasoning", "summary": []}),
        delta("reasoning_text", "hm"),
        done(message(text("4")), 1),
        event("reasoning_text.done", output_index=0, content_index=0, text="hm"),
        done(reasoning),
        completed(reasoning, message(text("4"))),
        done=True,
    )
    assert (parts(answer), answer.anomalies) == ((ReasoningPart("hm", ("content",)), TextPart("4")), ())


def test_reasoning_parts_of_their_own_kind_of_event() -> None:
    part = {"type": "reasoning_text", "text": ""}
    answer = streamed(
        added({"type": "reasoning", "summary": []}),
        event("reasoning_part.added", output_index=0, content_index=0, part=part),
        delta("reasoning_text", "hm"),
        event("reasoning_part.done", output_index=0, content_index=0, part=part | {"text": "hm"}),
    )
    assert (parts(answer), answer.anomalies) == ((ReasoningPart("hm", ("content",)),), ())


def test_an_index_that_comes_again_is_another_item() -> None:
    first, second = call('{"a":1}'), call('{"b":2}', call_id="call_2", id="fc_2")
    begun = [added(item | {"arguments": ""}) for item in (first, second)]
    pieces = [delta("function_call_arguments", item["arguments"], item_id=item["id"]) for item in (first, second)]
    after = streamed(begun[0], pieces[0], done(first), begun[1], pieces[1], done(second), completed(first, second))
    among = streamed(*begun, pieces[1], pieces[0], completed(first, second))
    other = streamed(added(message()), delta("output_text", "x"), begun[0], pieces[0], done(first))
    for answer in (after, among):
        calls = answer.choices[0].message.tool_calls
        assert [(one.id, one.arguments_text, one.complete) for one in calls] == [
            ("call_1", '{"a":1}', True),
            ("call_2", '{"b":2}', True),
        ]
        assert kinds(answer) == ["output_index_reused"]
    assert (other.choices[0].message.text, len(other.choices[0].message.tool_calls)) == ("x", 1)


def test_without_an_index_the_id_tells_the_item() -> None:
    events: list[dict[str, Any]] = [
        added(message(id="m")),
        added(call("", id="f"), 1),
        event("output_text.delta", item_id="m", content_index=0, delta="a"),
        event("function_call_arguments.delta", item_id="f", delta="{}"),
        event("function_call_arguments.delta", delta=" "),
        event("output_text.delta", item_id="m", content_index=0, delta="b"),
        event("output_text.delta", item_id="unheard", content_index=0, delta="c"),
    ]
    answer = streamed(*events)
    assert answer.choices[0].message.text == "abc"
    assert answer.choices[0].message.tool_calls[0].arguments_text == "{} "
    assert kinds(answer) == ["output_index_missing"]


def test_a_difference_between_the_deltas_and_what_is_done_is_a_fact() -> None:
    answer = streamed(added(message()), delta("output_text", "one"), done(message(text("two"))))
    assert (parts(answer), kinds(answer)) == ((TextPart("two"),), ["done_differs"])
    more = streamed(added(message()), delta("output_text", "one"), done(message(text("one"), text("two"))))
    assert (parts(more), kinds(more)) == ((TextPart("one"), TextPart("two")), ["done_differs"])
    thought = {"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": "two"}]}
    reasoned = streamed(added(thought | {"summary": []}), delta("reasoning_summary_text", "one"), done(thought))
    assert (parts(reasoned), kinds(reasoned)) == ((ReasoningPart("two", ("summary",)),), ["done_differs"])


@pytest.mark.parametrize("again", ['{"q":1}', '{"q":1.0}', '{"q":true}', '{"q":', "x"])
def test_a_call_about_which_the_provider_contradicts_itself_is_not_complete(again: str) -> None:
    """The final object counts, as for the SDK; but who acted on the deltas has acted on something else."""
    last = call('{"q":100}')
    said = event("function_call_arguments.done", output_index=0, arguments='{"q":100}')
    answer = streamed(
        CREATED, added(call("")), delta("function_call_arguments", again), said, done(last), completed(last)
    )
    (found,) = answer.choices[0].message.tool_calls
    assert (found.arguments_text, found.complete, found.arguments) == ('{"q":100}', False, None)
    assert kinds(answer) == ["done_differs"]


def test_a_call_that_gets_another_name_is_not_complete() -> None:
    answer = streamed(CREATED, added(call("", name="")), done(call("{}")), completed(call("{}", name="sell")))
    (found,) = answer.choices[0].message.tool_calls
    assert (found.name, found.complete, kinds(answer)) == ("sell", False, ["done_differs"])


def test_what_is_said_to_be_whole_in_two_ways_is_a_contradiction_too() -> None:
    answer = streamed(CREATED, added(call("")), done(call('{"q":1}')), completed(call('{"q":100}')))
    (found,) = answer.choices[0].message.tool_calls
    assert (found.arguments_text, found.complete) == ('{"q":100}', False)
    assert kinds(answer) == ["done_differs"]
    text_of = streamed(CREATED, done(message(text("one"))), completed(message(text("two"))))
    assert (parts(text_of), kinds(text_of)) == ((TextPart("two"),), ["done_differs"])


def test_what_is_said_to_be_whole_and_empty_takes_nothing_away() -> None:
    nothing = event("function_call_arguments.done", output_index=0, arguments="")
    events = [CREATED, added(call("")), delta("function_call_arguments", '{"q":1}'), nothing]
    answer = streamed(*events, completed(call("")))
    (found,) = answer.choices[0].message.tool_calls
    assert (found.arguments_text, found.complete, kinds(answer)) == ('{"q":1}', False, ["done_differs"])
    (told,) = streamed(*events, completed(call('{"q":1}'))).choices[0].message.tool_calls
    assert (told.arguments_text, told.complete) == ('{"q":1}', True)
    written = event("output_text.done", output_index=0, content_index=0, text="")
    answer = streamed(CREATED, added(message()), delta("output_text", "Hi"), written, completed())
    assert (parts(answer), "done_differs" in kinds(answer)) == ((TextPart("Hi"),), True)


def test_arguments_that_are_only_written_otherwise_are_no_contradiction() -> None:
    whole = call('{"a": 1, "b": 2}')
    answer = streamed(CREATED, added(call("")), delta("function_call_arguments", '{"b":2,"a":1}'), completed(whole))
    (found,) = answer.choices[0].message.tool_calls
    assert (found.arguments_text, found.complete) == ('{"a": 1, "b": 2}', True)
    assert kinds(answer) == ["done_differs"]


def test_what_only_the_done_events_or_the_final_object_say_counts() -> None:
    whole = message(text("Hi"))
    for events in (
        [event("output_text.done", output_index=0, content_index=0, text="Hi")],
        [event("content_part.done", output_index=0, content_index=0, part=text("Hi"))],
        [done(whole)],
        [completed(whole)],
        [CREATED, completed(whole)],
        [added(whole), completed(whole)],
    ):
        answer = streamed(*events)
        assert (parts(answer), answer.anomalies) == ((TextPart("Hi"),), ())


def test_text_of_an_item_that_only_begins_is_not_doubled() -> None:
    begun = added(call('{"a":'))
    (called,) = streamed(begun, delta("function_call_arguments", '{"a":1}'), completed()).choices[0].message.tool_calls
    assert (called.arguments_text, called.complete) == ('{"a":1}', True)
    (cut,) = streamed(begun).choices[0].message.tool_calls
    assert (cut.arguments_text, cut.complete) == ('{"a":', False)


def test_items_that_are_in_the_final_object_alone_or_not_in_it_are_facts() -> None:
    told = [added(message()), delta("output_text", "Hi"), done(message(text("Hi")))]
    more = streamed(*told, completed(message(text("Hi")), call("{}", id="f")))
    assert kinds(more) == ["output_differs"]
    assert (more.choices[0].message.text, len(more.choices[0].message.tool_calls)) == ("Hi", 1)
    none = streamed(*told, completed())
    assert (kinds(none), none.choices[0].message.text) == (["output_differs"], "Hi")
    null = event("completed", response=response("completed", None))
    assert streamed(*told, null).anomalies == ()
    other = streamed(*told, completed(call("{}", id="f"), message(text("Hi"), id="msg_1")))
    assert (kinds(other), other.choices[0].message.text) == (["output_differs"], "Hi")


def test_a_stream_that_is_taken_up_again_begins_above_0() -> None:
    whole = message(text("one two"))
    rest = numbered(
        delta("output_text", " two"),
        event("output_text.done", output_index=0, content_index=0, text="one two"),
        done(whole),
        completed(whole),
        start=7,
    )
    answer = streamed(*rest)
    assert (parts(answer), kinds(answer)) == ((TextPart("one two"),), ["stream_resumed"])
    assert exchange(sse(*rest)).verdict == "complete"
    cut = streamed(*rest[:1])
    assert (parts(cut), cut.choices[0].message.role) == ((TextPart(" two"),), None)
    thought = numbered(delta("reasoning_summary_text", "so", summary_index=0), start=3)
    assert parts(streamed(*thought)) == (ReasoningPart("so", ("summary",)),)
    called = numbered(delta("function_call_arguments", '{"a'), start=3)
    assert streamed(*called).choices[0].message.tool_calls[0].name is None


def test_sequence_numbers_that_are_missing_say_nothing_and_gaps_are_facts() -> None:
    assert streamed(*HELLO).anomalies == ()
    assert streamed(*numbered(*HELLO, start=1)).anomalies == ()
    gap = [*numbered(*HELLO[:4]), *numbered(*HELLO[5:], start=5)]
    assert kinds(streamed(*gap)) == ["sequence_broken", "done_differs"]
    assert kinds(streamed(*[value | {"sequence_number": "1"} for value in HELLO])) == []


def test_keepalives_and_states_are_nothing() -> None:
    alive = {"type": "keepalive", "sequence_number": 1}
    states = [event(f"{name}.in_progress", output_index=0) for name in ("mcp_call", "image_generation_call")]
    answer = streamed(HELLO[0] | {"sequence_number": 0}, alive, *HELLO[1:], *states)
    assert (answer.choices[0].message.text, answer.anomalies) == ("Kurs €", ())


def test_done_after_the_final_event_is_its_end_too() -> None:
    """OpenRouter ends a stream of Responses with it, too."""
    body = sse(*HELLO, done=True)
    assert (read(body).anomalies, read(body).sentinel_seen, exchange(body).verdict) == ((), True, "complete")
    assert exchange(sse(*HELLO[:-1], done=True)).verdict != "complete"


def test_tools_of_an_mcp_server_are_listed_once_though_their_id_changes() -> None:
    def listed(identity: str, tools: Any) -> dict[str, Any]:
        return {"id": identity, "type": "mcp_list_tools", "server_label": "s", "tools": tools}

    tools = [{"name": "f", "input_schema": {}}]
    answer = streamed(
        CREATED,
        added(listed("a1", [])),
        event("mcp_list_tools.in_progress", output_index=0, item_id="a1"),
        event("mcp_list_tools.completed", output_index=0, item_id="a1"),
        done(listed("a1", tools)),
        added(message(), 1),
        delta("output_text", "Hi", 1),
        done(message(text("Hi")), 1),
        completed(listed("b2", tools), message(text("Hi"))),
    )
    assert [type(part).__name__ for part in parts(answer)] == ["OtherPart", "TextPart"]
    assert (parts(answer)[0].value["tools"], answer.anomalies) == (tools, ())


def test_a_gateway_without_types_has_names() -> None:
    body = sse(*HELLO, named="type")
    for value in HELLO:
        body = body.replace(f'"type": "{value["type"]}", '.encode(), b"")
    assert read(body).choices[0].message.text == "Kurs €"
    other = read(sse(HELLO[4], HELLO[4], named="type").replace(b"event: response.output_text.delta", b"event: x", 1))
    assert (other.choices[0].message.text, kinds(other)) == ("KursKurs", ["event_name_differs"])


def test_unknown_events_are_facts_each_kind_once() -> None:
    odd = [event("steer.accepted", steer={}), event("audio.delta", delta="AA=="), {"type": "ping2"}, {"x": 1}]
    answer = streamed(*odd, *odd, *HELLO)
    assert [fact.detail for fact in answer.anomalies] == [
        "type 'response.steer.accepted'",
        "type 'response.audio.delta'",
        "type 'ping2'",
        "an object without a type",
    ]


def test_another_response_in_the_same_stream_has_its_own_items_and_its_own_end() -> None:
    """Gateways that run tools themselves send one response after the other."""
    created = event("created", response=response("in_progress") | {"id": "resp_2"})
    both = [*HELLO, created, added(message()), delta("output_text", "!"), completed(message(text("!")))]
    answer = streamed(*both)
    assert (answer.choices[0].message.text, kinds(answer)) == ("Kurs €!", ["another_response"])
    assert (answer.ids, answer.choices[0].finish_reasons) == (("resp_1", "resp_2"), ("completed",))
    assert exchange(sse(*both)).verdict == "complete"
    for upto in range(len(HELLO) + 1, len(both)):
        assert exchange(sse(*both[:upto])).verdict == "truncated"


def test_content_after_the_final_event_is_a_fact() -> None:
    answer = streamed(completed(message(text("a"))), delta("output_text", "a"))
    assert kinds(answer) == ["delta_after_finish"]


@pytest.mark.parametrize(
    ("frame", "error"),
    [
        ({"type": "error", "code": "x", "message": "m"}, {"type": "error", "code": "x", "message": "m"}),
        ({"type": "error", "error": {"message": "m"}}, {"message": "m"}),
        ({"type": "response.error", "message": "m"}, {"type": "response.error", "message": "m"}),
        ({"error": {"message": "m"}}, {"message": "m"}),
        ({"object": "error", "message": "m"}, {"object": "error", "message": "m"}),
        ('{"type": "response.failed", "response": {"status": "failed", "error": {"code": 1}}}', {"code": 1}),
    ],
)
def test_errors_under_status_200(frame: Any, error: Any) -> None:
    rebuilt = exchange(sse(*HELLO[:6], frame))
    assert rebuilt.answer.errors == (error,)
    assert (rebuilt.verdict, rebuilt.answer.choices[0].message.text) == ("errored", "Kurs €")
    assert read(b"event: error\ndata: " + json.dumps({"message": "m"}).encode() + b"\n\n").errors == ({"message": "m"},)


def test_the_event_tells_the_end_where_the_object_does_not() -> None:
    for odd in ({}, {"response": None}, {"response": response("in_progress")}, {"response": response(None)}):
        (choice,) = streamed(*HELLO[:6], event("completed", **odd)).choices
        assert choice.finish_reason == "completed"
    (cut,) = streamed(*HELLO[:6], event("completed", response=response("incomplete"))).choices
    assert cut.finish == "other"


def test_fields_of_any_type_are_facts_or_kept() -> None:
    answer = streamed(
        [1],
        added("x"),
        delta("output_text", {"a": 1}),
        delta("output_text", "a", "0", logprobs=5),
        event("completed", response={"status": ["completed"], "id": 5, "output": [1, call({"a": 1}), {"type": 5}]}),
    )
    assert kinds(answer)[:4] == ["not_an_object", "item_malformed", "delta_malformed", "output_index_missing"]
    (called,) = answer.choices[0].message.tool_calls
    assert (called.arguments_text, called.arguments, called.complete) == ('{"a": 1}', {"a": 1}, True)
    assert "tool_arguments_object" in kinds(answer)
