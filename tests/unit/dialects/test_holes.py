"""Where something in the midst of an answer cannot be read, or was not recorded, nothing that was open is whole."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from recorder.core.exchange import fold
from recorder.core.messages import ToolCallPart
from recorder.core.rebuilt import Rebuilt, as_json
from recorder.dialects.rebuild import rebuild
from tests.building import URL, ExchangeBuilder, delta
from tests.holing import LOST, recorded
from tests.unit.dialects import converse_frames as converse
from tests.unit.dialects.answers import kinds, rebuilt_from
from tests.unit.dialects.holed import HOLES, OLLAMA, STREAMS, Holed
from tests.unit.dialects.wire import SSE, frame, ndjson, sse


def read(stream: Holed, body: bytes) -> Rebuilt:
    return rebuilt_from(body, stream.kind, stream.url)


def calls(rebuilt: Rebuilt) -> list[ToolCallPart]:
    return [call for message in rebuilt.answer_messages for call in message.tool_calls]


def entry(identity: str | None, name: str | None, arguments: Any, index: int = 0) -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return {"index": index, "id": identity, "function": {key: held for key, held in function.items() if held}}


def called(*entries: dict[str, Any], finish: str | None = None) -> bytes:
    return sse(delta(tool_calls=list(entries), finish=finish))


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.dialect)
def test_without_a_hole_the_call_is_whole(stream: Holed) -> None:
    rebuilt = read(stream, stream.body())
    (call,) = calls(rebuilt)
    assert (rebuilt.answer.dialect, rebuilt.verdict, kinds(rebuilt.answer)) == (stream.dialect, "complete", [])
    assert (call.complete, str(call.arguments["qty"])) == (True, "10")
    assert "unread_places" not in as_json(rebuilt)["evidence"]


@pytest.mark.parametrize(("stream", "name", "body"), HOLES, ids=[f"{one.dialect}: {name}" for one, name, _ in HOLES])
def test_a_call_with_a_hole_in_the_stream_is_not_whole(stream: Holed, name: str, body: bytes) -> None:
    rebuilt = read(stream, body)
    assert rebuilt.answer.dialect == stream.dialect
    assert not any(call.complete or call.arguments is not None for call in calls(rebuilt))
    assert calls(rebuilt)[0].name == "buy"
    assert kinds(rebuilt.answer)
    assert rebuilt.verdict == "unknown"
    assert as_json(rebuilt)["evidence"]["unread_places"] == 1


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.dialect)
@pytest.mark.parametrize("what", ["gap_recorded", "a later event", "a missing version"])
def test_a_call_with_a_hole_in_the_recording_is_not_whole(stream: Holed, what: str) -> None:
    built = ExchangeBuilder().request({"messages": []}, url=stream.url)
    built.response(headers=[("content-type", stream.kind)]).chunks(stream.begin + stream.piece('{"qty":1'))
    if what == "a missing version":
        built.chunks(stream.piece("0"))
    else:
        built.event("gap_recorded" if what == "gap_recorded" else "some_later_event", LOST)
    built.chunks(stream.piece("}") + stream.end).completed()
    exchange = fold(event for event in built.events if what != "a missing version" or event.version != 4)
    assert exchange is not None
    rebuilt = rebuild(exchange)
    (call,) = calls(rebuilt)
    assert (rebuilt.verdict, call.complete, call.arguments, call.name) == ("unknown", False, None, "buy")


def chat(*pieces: bytes | None, coding: str = "identity", imported: bool = False) -> Rebuilt:
    """Return chat pieces rebuilt; None: a gap is recorded there."""
    return recorded(pieces, URL, [("content-type", SSE), ("content-encoding", coding)], imported=imported)


FIRST = called(entry("a", "buy", '{"qty":1}'))
SECOND = called(entry("b", "sell", '{"qty":2}', 1))
END = sse(delta(finish="tool_calls"), done=True)


@pytest.mark.parametrize(
    ("pieces", "complete"),
    [
        ([None, FIRST, SECOND, END], [True, True]),
        ([FIRST, None, SECOND, END], [False, True]),
        ([FIRST, SECOND, None, END], [False, False]),
        ([FIRST, SECOND, END, None], [True, True]),
        ([FIRST[:-20], None, FIRST[-20:], SECOND, END], [False, True]),
        ([None, called(entry(None, None, '{"qty":2}', 1)), END], [False]),
    ],
)
def test_what_began_after_a_hole_or_had_ended_before_it_is_whole(
    pieces: list[bytes | None], complete: list[bool]
) -> None:
    rebuilt = chat(*pieces)
    assert ([call.complete for call in calls(rebuilt)], rebuilt.verdict) == (complete, "unknown")


def test_a_hole_in_the_stream_touches_only_what_was_open_too() -> None:
    broken = sse("{no")
    body = FIRST + sse(delta(finish="tool_calls")) + broken + sse(done=True)
    assert [call.complete for call in calls(rebuilt_from(body, SSE, URL))] == [True]
    body = FIRST + broken + SECOND + END
    assert [call.complete for call in calls(rebuilt_from(body, SSE, URL))] == [False, True]


def test_where_nobody_can_tell_where_it_is_a_hole_is_everywhere() -> None:
    assert [call.complete for call in calls(chat(None, FIRST, END, imported=True))] == [False]
    packed = gzip.compress(FIRST + END)
    assert [call.complete for call in calls(chat(None, packed, coding="gzip"))] == [False]
    assert [call.complete for call in calls(chat(packed, coding="gzip"))] == [True]


def test_a_call_without_arguments_may_have_lost_them_all() -> None:
    begin = {"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use", "id": "t", "name": "buy"}}
    started = {"type": "message_start", "message": {"role": "assistant", "content": []}}
    stopped = {"type": "content_block_stop", "index": 0}
    url = "https://api.anthropic.com/v1/messages"
    whole = sse(started, begin, stopped, named="type")
    for end, complete in ((b"", True), (sse("{no"), False)):
        last = sse({"type": "message_stop"}, named="type")
        assert [call.complete for call in calls(rebuilt_from(whole + end + last, SSE, url))] == [complete]


def test_what_a_stream_has_beside_its_events_is_no_hole() -> None:
    beside = [
        *(b": OPENROUTER PROCESSING\n\n", b":\n\n", b"\n", b"event: ping\n\n", b"retry: 3\n\n", b"foo: bar\n\n"),
        *(b"data: \n\n", b'data: {"usage": {"prompt_tokens": 1}}\n\n', b'data: {"choices": []}\n\n'),
    ]
    pieces = [called(entry("a", "buy", '{"q')), called(entry(None, None, '":1}')), END]
    rebuilt = rebuilt_from(b"".join(piece + b"".join(beside) for piece in pieces), SSE, URL)
    assert ([call.complete for call in calls(rebuilt)], rebuilt.verdict) == ([True], "complete")


@pytest.mark.parametrize("kind", ["ping", "later_event"])
def test_an_event_that_is_not_about_the_open_call_is_none_either(kind: str) -> None:
    stream = next(one for one in STREAMS if one.dialect == "anthropic_messages")
    rebuilt = read(stream, stream.body(stream.piece("0") + sse({"type": kind, "x": 1}, named="type")))
    assert ([call.complete for call in calls(rebuilt)], rebuilt.verdict) == ([True], "complete")
    stream = next(one for one in STREAMS if one.dialect == "openai_responses")
    value = {"type": f"response.{kind}", "output_index": 7}
    rebuilt = read(stream, stream.body(stream.piece("0") + sse(value, named="type")))
    assert ([call.complete for call in calls(rebuilt)], rebuilt.verdict) == ([True], "complete")


def test_a_skipped_sequence_number_is_a_hole_unless_the_call_is_said_whole_after_it() -> None:
    def event(number: int, kind: str, **fields: Any) -> dict[str, Any]:
        return {"type": f"response.{kind}", "sequence_number": number, **fields}

    item = {"id": "fc", "type": "function_call", "call_id": "c", "name": "buy", "arguments": ""}
    piece = "function_call_arguments.delta"
    events = [
        event(0, "created", response={"id": "r", "object": "response", "status": "in_progress", "output": []}),
        event(1, "output_item.added", output_index=0, item=item),
        event(2, piece, output_index=0, item_id="fc", delta='{"qty":1'),
        event(4, piece, output_index=0, item_id="fc", delta="}"),
    ]
    final = event(6, "completed", response={"id": "r", "object": "response", "status": "completed", "output": []})
    url = "https://api.openai.com/v1/responses"
    for said, complete in (("", False), ('{"qty":1}', True), ('{"qty":10}', False)):
        done = event(5, "output_item.done", output_index=0, item={**item, "arguments": said, "status": "completed"})
        rebuilt = rebuilt_from(sse(*events, done, final, named="type"), SSE, url)
        assert ([call.complete for call in calls(rebuilt)], rebuilt.verdict) == ([complete], "complete")


def test_a_piece_of_which_nobody_can_tell_whose_it_is_is_a_hole() -> None:
    pieces = [{"index": "0", "function": {"arguments": "0"}}, {"index": 0.5, "function": {"arguments": "0"}}]
    for piece in pieces:
        begun = called(entry("a", "buy", '{"qty":1')) + called(entry("b", "sell", '{"qty":2', 1))
        rest = called({"index": 0, "function": {"arguments": "}"}}, {"index": 1, "function": {"arguments": "}"}})
        rebuilt = rebuilt_from(begun + called(piece) + rest + END, SSE, URL)
        assert ([call.complete for call in calls(rebuilt)], rebuilt.verdict) == ([False, False], "unknown")
        alone = called(entry("a", "buy", '{"qty":1')) + called(piece) + called({"function": {"arguments": "}"}}) + END
        assert [call.arguments for call in calls(rebuilt_from(alone, SSE, URL))] == [{"qty": 10}]
    stream = next(one for one in STREAMS if one.dialect == "anthropic_messages")
    block = {"type": "tool_use", "id": "u", "name": "sell"}
    piece = {"type": "content_block_delta", "index": "0", "delta": {"type": "input_json_delta", "partial_json": "0"}}
    assert [call.complete for call in calls(read(stream, stream.body(sse(piece, named="type"))))] == [True]
    second = {"type": "content_block_start", "index": 1, "content_block": block}
    rebuilt = read(stream, stream.body(sse(second, piece, named="type")))
    assert ([call.complete for call in calls(rebuilt)], rebuilt.verdict) == ([False, False], "unknown")


@pytest.mark.parametrize("data", ["ping", "[PING]", "keep-alive", "", "  ", "null"])
def test_data_that_keeps_the_connection_alive_is_no_hole(data: str) -> None:
    body = called(entry("a", "buy", '{"qty":1')) + sse(data) + called(entry(None, None, "}")) + END
    rebuilt = rebuilt_from(body, SSE, URL)
    assert ([call.complete for call in calls(rebuilt)], rebuilt.verdict) == ([True], "complete")


@pytest.mark.parametrize(
    ("end", "verdict"),
    [("consumer_closed", "unknown"), ("recorder_closed", "unknown"), ("response_truncated", "truncated")],
)
def test_the_verdict_of_a_stream_with_a_hole(end: str, verdict: str) -> None:
    body = sse(delta(content="do not ")) + sse("{no") + sse(delta(content=" now", finish="stop"))
    exchange = fold(ExchangeBuilder().request({"messages": []}).response().chunks(body).event(end, {}).events)
    assert exchange is not None
    assert rebuild(exchange).verdict == verdict
    unfinished = sse(delta(content="do not ")) + sse("{no")
    assert rebuilt_from(unfinished, SSE, URL).verdict == "truncated"


def test_a_broken_line_of_ollama_leaves_the_answer_unknown() -> None:
    url, kind = OLLAMA
    said = {"model": "m", "created_at": "x", "message": {"role": "assistant", "content": "do not "}, "done": False}
    last = {"model": "m", "message": {"content": " now"}, "done": True, "done_reason": "stop"}
    rebuilt = rebuilt_from(ndjson(said) + b'{"model":"m","message":{"content":"sell"\n' + ndjson(last), kind, url)
    assert (rebuilt.answer.dialect, rebuilt.verdict, kinds(rebuilt.answer)) == ("ollama", "unknown", ["line_unparsed"])


def test_bytes_in_the_arguments_that_are_no_text_leave_the_call_incomplete() -> None:
    piece = called(entry("a", "buy", '{"s":"X"}'))
    for body, complete in ((piece, True), (piece.replace(b"X", b"\xff"), False)):
        rebuilt = rebuilt_from(body + END, SSE, URL)
        assert ([call.complete for call in calls(rebuilt)], rebuilt.verdict) == ([complete], "complete")
    beside = sse(delta(content="X")).replace(b"X", b"\xff")
    sent = called(entry("a", "buy", '{"s":"\ufffd"}'))  # what the model itself said
    assert [call.complete for call in calls(rebuilt_from(beside + b":\n\n" + sent + END, SSE, URL))] == [True]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ('{"qty":1,"qty":100}', "'qty'"),
        ('{"a":[{"b":1,"c":2,"b":1}]}', "'b'"),
        ('{"a":{"qty":1},"b":{"qty":1}}', None),
    ],
)
def test_arguments_that_have_a_name_twice_are_not_whole(arguments: str, named: str | None) -> None:
    rebuilt = rebuilt_from(called(entry("a", "buy", arguments)) + END, SSE, URL)
    (call,) = calls(rebuilt)
    assert (call.complete, call.arguments_text, rebuilt.verdict) == (named is None, arguments, "complete")
    told = [fact.detail for fact in rebuilt.answer.anomalies if fact.kind == "tool_argument_repeated"]
    assert told == ([] if named is None else [f"the arguments of buy have a name twice in one object: {named}"])


def test_so_are_arguments_that_came_as_a_value() -> None:
    said = (
        '{"model":"m","created_at":"x","message":{"role":"assistant","content":"","tool_calls":[{"function":%s}]},%s}\n'
    )
    function = '{"name":"buy","arguments":{"qty":1,"qty":100}}'
    end = '"done":true,"done_reason":"stop"'
    url, kind = OLLAMA
    for text, complete in ((function, False), (function.replace(',"qty":100', ""), True)):
        rebuilt = rebuilt_from((said % (text, end)).encode(), kind, url)
        assert ([call.complete for call in calls(rebuilt)], rebuilt.verdict) == ([complete], "complete")
    elsewhere = (said % (function.replace(',"qty":100', ""), end)).replace('"model":"m"', '"model":"l","model":"m"')
    assert [call.complete for call in calls(rebuilt_from(elsewhere.encode(), kind, url))] == [True]
    block = '{"type":"tool_use","id":"t","name":"buy","input":{"qty":1,"qty":100}}'
    message = f'{{"type":"message","id":"msg_1","role":"assistant","content":[\n{block}\n],"stop_reason":"tool_use"}}'
    anthropic = rebuilt_from(message.encode(), "application/json", "https://api.anthropic.com/v1/messages")
    assert ([call.complete for call in calls(anthropic)], anthropic.verdict) == ([False], "complete")


CALL = '{"index":0,"id":"a","function":{"name":"buy","arguments":%s}}'


@pytest.mark.parametrize(
    ("pieces", "named"),
    [
        ([CALL % '"{\\"qty\\":1}","arguments":"{\\"qty\\":100}"'], "arguments"),
        ([CALL % '"{\\"qty\\":1","arguments":"{\\"qty\\":1"', CALL % '"}"'], None),  # twice the same
        ([CALL % '"{\\"qty\\":1"', CALL % '"0","arguments":""', CALL % '"}"'], "arguments"),
        ([(CALL % '"{}"').replace('"name":"buy"', '"name":"sell","name":"buy"')], "name"),
        ([(CALL % '"{}"').replace('"id":"a"', '"id":"b","id":"a"')], "id"),
        ([(CALL % '"{}"').replace('"function":', '"function":{"name":"sell"},"function":')], "function"),
    ],
)
def test_a_call_that_came_in_fields_of_one_name_is_not_whole(pieces: list[str], named: str | None) -> None:
    chunks = [f'{{"choices":[{{"index":0,"delta":{{"tool_calls":[{piece}]}}}}]}}' for piece in pieces]
    rebuilt = rebuilt_from(sse(*chunks) + END, SSE, URL)
    (call,) = calls(rebuilt)
    assert (call.name, call.complete, rebuilt.verdict) == ("buy", named is None, "complete")
    told = [fact.detail for fact in rebuilt.answer.anomalies if fact.kind == "tool_field_repeated"]
    detail = f"the fields that brought buy have a name twice in one object: {named!r}"
    assert told == ([detail] if named else [])


def test_so_are_calls_of_other_dialects() -> None:
    block = {"type": "tool_use", "id": "t", "name": "buy", "input": {}}
    piece = {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": "{}"}}
    events = [
        {"type": "message_start", "message": {"role": "assistant", "content": []}},
        {"type": "content_block_start", "index": 0, "content_block": block},
        *(piece, {"type": "content_block_stop", "index": 0}, {"type": "message_stop"}),
    ]
    for body, complete in (
        (sse(*events, named="type"), True),
        (
            sse(*events, named="type").replace(b'"partial_json": "{}"', b'"partial_json": "0", "partial_json": "{}"'),
            False,
        ),
    ):
        rebuilt = rebuilt_from(body, SSE, "https://api.anthropic.com/v1/messages")
        assert [call.complete for call in calls(rebuilt)] == [complete]
    url, kind = OLLAMA
    said = (
        '{"model":"m","message":{"role":"assistant","tool_calls":[{"function":%s}]},"done":true,"done_reason":"stop"}\n'
    )
    for text, complete in (
        ('{"name":"buy","arguments":{"qty":1}}', True),
        ('{"name":"buy","arguments":{"qty":1},"arguments":{"qty":100}}', False),
    ):
        rebuilt = rebuilt_from((said % text).encode(), kind, url)
        assert [call.complete for call in calls(rebuilt)] == [complete]
    framed_call = converse.called() + converse.piece(0, toolUse={"input": "{}"})
    twice = frame(
        b'{"contentBlockIndex":0,"delta":{"toolUse":{"input":"1","input":""}}}',
        {":event-type": "contentBlockDelta", ":message-type": "event"},
    )
    for frames, complete in ((framed_call, True), (framed_call + twice, False)):
        body = converse.STARTED + frames + converse.stopped(0) + converse.ended("tool_use")
        assert [call.complete for call in calls(converse.rebuilt(body))] == [complete]


@pytest.mark.parametrize(("said", "complete"), [({"q": 5}, False), ({"q": 1}, True), ({}, True)])
def test_arguments_that_came_in_two_ways_are_whole_where_they_are_the_same(said: Any, complete: bool) -> None:
    block = {"type": "tool_use", "id": "t", "name": "buy", "input": said}
    piece = {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "input_json_delta", "partial_json": '{"q":1}'},
    }
    body = sse(
        {"type": "message_start", "message": {"role": "assistant", "content": []}},
        {"type": "content_block_start", "index": 0, "content_block": block},
        *(piece, {"type": "content_block_stop", "index": 0}, {"type": "message_stop"}),
        named="type",
    )
    rebuilt = rebuilt_from(body, SSE, "https://api.anthropic.com/v1/messages")
    (call,) = calls(rebuilt)
    assert (call.complete, call.arguments_text) == (complete, '{"q":1}')
    assert kinds(rebuilt.answer) == (["tool_arguments_replaced"] if said else [])


@pytest.mark.parametrize("reasons", [["length", "tool_calls"], ["content_filter", "stop"]])
def test_a_reason_that_says_that_the_answer_was_cut_is_not_taken_back(reasons: list[str]) -> None:
    body = FIRST + b"".join(sse(delta(finish=reason)) for reason in reasons) + sse(done=True)
    (call,) = calls(rebuilt_from(body, SSE, URL))
    assert (call.complete, json.loads(call.arguments_text)) == (False, {"qty": 1})
