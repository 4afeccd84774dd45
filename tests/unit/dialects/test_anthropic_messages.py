"""The Anthropic Messages dialect, quirk by quirk."""

from __future__ import annotations

import json

import pytest

from recorder.core.messages import CitationPart, ReasoningPart, TextPart, TokenCounts, ToolCallPart
from recorder.dialects.anthropic_messages import DIALECT
from recorder.dialects.base import Clues, choose
from tests.unit.dialects.answers import kinds
from tests.unit.dialects.anthropic_events import (
    CALL,
    PING,
    URL,
    arguments,
    ended,
    opened,
    parts,
    piece,
    read,
    rebuilt,
    started,
    stopped,
    streamed,
    text,
)
from tests.unit.dialects.wire import JSON, SSE, document, sse

#: Whole answers for the contract suite.
STREAMS = [
    (SSE, sse(started(), opened(0), PING, text(0, "Kurs "), text(0, "€"), stopped(0), *ended(), named="type")),
    (
        SSE,
        sse(
            started(),
            opened(0, "thinking", thinking="", signature=""),
            piece(0, "thinking_delta", thinking="hm"),
            piece(0, "signature_delta", signature="c2ln"),
            stopped(0),
            opened(1, "tool_use", **CALL),
            arguments(1, ""),
            arguments(1, '{"lots":1'),
            arguments(1, "0}"),
            stopped(1),
            *ended("tool_use"),
            named="type",
        ),
    ),
    (SSE, sse(started(), opened(0), text(0, "no event lines"), stopped(0), *ended())),
    (
        JSON,
        document(
            started()["message"]
            | {"content": [{"type": "text", "text": "Hi"}, {"type": "tool_use", **CALL}], "stop_reason": "tool_use"}
        ),
    ),
]


def test_text_stop_reason_and_what_stands_beside_them() -> None:
    answer = streamed(started(), opened(0), text(0, "Hel"), text(0, "lo"), stopped(0), *ended(stop_sequence="|"))
    (choice,) = answer.choices
    assert (choice.message.role, choice.message.parts) == ("assistant", (TextPart("Hello"),))
    assert (choice.finish_reasons, choice.finish, choice.extras) == (("end_turn",), "stop", {"stop_sequence": "|"})
    assert (answer.ids, answer.models, answer.sentinel_seen, answer.events) == (("msg_1",), ("m-1",), True, 7)
    assert answer.anomalies == ()
    assert answer.extras == {}


def test_what_was_not_sent_is_absent() -> None:
    answer = streamed(opened(0), text(0, "x"))
    (choice,) = answer.choices
    assert (choice.message.role, choice.finish_reason, choice.finish, choice.extras) == (None, None, None, {})
    assert (answer.usage_reports, answer.tokens, answer.models, answer.ids) == ((), None, (), ())
    assert not answer.sentinel_seen
    assert streamed(PING).choices == ()


def test_usage_of_message_delta_overwrites_and_both_reports_are_kept() -> None:
    usage = {"input_tokens": 12, "output_tokens": 7, "output_tokens_details": {"thinking_tokens": 3}}
    answer = streamed(started(), *ended(usage=usage))
    assert answer.usage_reports == (started()["message"]["usage"], usage)
    assert answer.tokens == TokenCounts(input=12, output=7, cached=4, reasoning=3)


def test_usage_of_message_delta_may_lack_what_message_start_said() -> None:
    assert streamed(started(), *ended()).tokens == TokenCounts(input=10, output=7, cached=4)


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("pause_turn", "paused"),
        ("compaction", "paused"),
        ("refusal", "refusal"),
        ("something_new", "other"),
    ],
)
def test_stop_reasons(reason: str, finish: str) -> None:
    answer = streamed(started(), *ended(reason))
    assert (answer.choices[0].finish_reason, answer.choices[0].finish) == (reason, finish)


def test_a_refusal_says_why() -> None:
    details = {"type": "refusal", "category": "cyber"}
    answer = streamed(started(), opened(0), stopped(0), *ended("refusal", stop_details=details))
    assert answer.choices[0].extras == {"stop_details": details}
    assert parts(answer) == (TextPart(""),)


def test_events_need_no_event_lines_and_data_may_be_padded() -> None:
    values = [started(), opened(0), text(0, "a"), stopped(0), *ended()]
    named = streamed(*values)
    assert read(sse(*values)).choices == named.choices
    padded = "".join(f"event: {value['type']}\ndata: {json.dumps(value)[:-1]}      }}\n\n" for value in values)
    assert read(padded.encode()).choices == named.choices
    untyped = "".join(
        f"event: {value['type']}\ndata: {json.dumps({k: v for k, v in value.items() if k != 'type'})}\n\n"
        for value in values
    )
    assert read(untyped.encode()).choices == named.choices


def test_a_stream_without_its_last_empty_line_is_complete_by_its_stop_reason() -> None:
    body = sse(started(), opened(0), text(0, "a"), stopped(0), *ended(), named="type")
    found = rebuilt(body[:-1])
    assert (found.verdict, found.answer.sentinel_seen) == ("complete", False)
    assert kinds(found.answer) == ["unparsed_tail"]


def test_without_message_stop_and_stop_reason_it_is_truncated() -> None:
    assert rebuilt(sse(started(), opened(0), text(0, "a"), stopped(0))).verdict == "truncated"
    assert rebuilt(sse(started(), opened(0), text(0, "a"), stopped(0), ended()[1])).verdict == "complete"


def test_blocks_interleave_and_their_indexes_have_gaps() -> None:
    answer = streamed(
        started(),
        opened(5),
        opened(2),
        text(5, "b1"),
        text(2, "a1"),
        text(5, "b2"),
        stopped(2),
        stopped(5),
        *ended(),
    )
    assert parts(answer) == (TextPart("a1"), TextPart("b1b2"))
    assert answer.anomalies == ()


def test_every_block_under_one_index_is_a_block() -> None:
    answer = streamed(started(), opened(0), text(0, "a"), stopped(0), opened(0), text(0, "b"), stopped(0), *ended())
    assert parts(answer) == (TextPart("a"), TextPart("b"))
    assert kinds(answer) == ["block_index_reused"]


def test_deltas_whose_block_never_started_are_kept() -> None:
    answer = streamed(started(), text(1, "a"), arguments(2, "{}"), *ended())
    assert parts(answer) == (TextPart("a"), ToolCallPart("{}", complete=True, arguments={}, index=2))
    assert kinds(answer) == ["block_not_started"]
    assert kinds(streamed(stopped(3))) == ["block_not_started"]


def test_blocks_without_an_index() -> None:
    answer = streamed(started(), opened(None), piece(None, "text_delta", text="a"), stopped(None), *ended())
    assert parts(answer) == (TextPart("a"),)
    assert kinds(answer) == ["block_without_index"]


def test_a_delta_after_the_stop_of_its_block_is_a_fact() -> None:
    answer = streamed(started(), opened(0), stopped(0), text(0, "late"), *ended())
    assert (parts(answer), kinds(answer)) == ((TextPart("late"),), ["delta_after_stop"])


def test_unknown_events_deltas_and_fields_are_kept() -> None:
    new = piece(0, "new_delta", shine=1)
    answer = streamed(
        started(service="x"),
        {"type": "new_event", "at": 1},
        opened(0, mood="fine"),
        new,
        text(0, "a"),
        piece(0, "text_delta", text="b", weight=2),
        stopped(0),
        *ended(container={"id": "c"}, new_field=1),
    )
    assert answer.choices[0].message.extras == {"mood": ["fine"], "new_delta": [new["delta"]], "weight": [2]}
    assert answer.choices[0].extras == {"container": {"id": "c"}}
    assert answer.extras == {"service": "x", "new_event": {"type": "new_event", "at": 1}, "new_field": 1}
    assert kinds(answer) == ["unknown_event", "unknown_delta"]
    assert parts(answer) == (TextPart("ab"),)


def test_after_a_fallback_it_is_the_model_that_went_on() -> None:
    fallback = opened(1, "fallback", **{"from": {"model": "m-1"}, "to": {"model": "m-2"}})
    events = [started(), opened(0), text(0, "a"), stopped(0), fallback, stopped(1), opened(2), text(2, "b"), stopped(2)]
    answer = streamed(*events, *ended())
    assert (answer.models, answer.choices[0].message.text) == (("m-1", "m-2"), "ab")
    assert rebuilt(sse(*events, *ended(), named="type")).model == "m-2"
    assert answer.anomalies == ()
    for odd in ({}, {"to": None}, {"to": {"model": 5}}, {"to": ["m-2"]}):
        assert streamed(started(), opened(0, "fallback", **odd), stopped(0), *ended()).models == ("m-1",)
    back = opened(3, "fallback", **{"from": {"model": "m-2"}, "to": {"model": "m-1"}})
    assert streamed(*events, back, stopped(3), *ended()).models[-1] == "m-1"


def test_an_error_under_status_200_ends_the_answer() -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}, "request_id": "req_1"}
    for body in (sse(started(), opened(0), text(0, "a"), error, named="type"), sse(started(), opened(0), error)):
        found = rebuilt(body)
        assert (found.verdict, found.answer.errors) == ("errored", (error["error"],))
        assert found.answer.choices[0].message.parts
    assert choose(Clues("", "", sse(error, named="type"))).name == "anthropic_messages"
    alone = rebuilt(document(error), JSON)
    assert (alone.answer.dialect, alone.verdict, alone.answer.errors) == (
        "anthropic_messages",
        "errored",
        (error["error"],),
    )
    assert alone.answer.extras == {"request_id": "req_1"}


def test_a_document() -> None:
    thought = {"type": "thinking", "thinking": "hm", "signature": "s"}
    said = {"type": "text", "text": "Hi", "citations": [{"type": "char_location", "cited_text": "H"}]}
    call = {"type": "tool_use", "id": "toolu_1", "name": "buy", "input": {"lots": 1}}
    message = started()["message"] | {"content": [thought, said, call], "stop_reason": "tool_use", "container": None}
    answer = read(document(message), JSON)
    assert parts(answer) == (
        ReasoningPart("hm", signature="s"),
        TextPart("Hi"),
        CitationPart(said["citations"][0], "H"),
        ToolCallPart('{\n    "lots": 1\n   }', "toolu_1", "buy", True, {"lots": 1}),
    )
    assert (answer.whole, answer.choices[0].finish, answer.tokens) == (
        True,
        "tool_calls",
        TokenCounts(input=10, output=1, cached=4),
    )
    cut = read(document(message | {"stop_reason": "max_tokens"}), JSON)
    assert not cut.choices[0].message.tool_calls[0].complete


def test_a_document_as_the_only_event_of_a_stream() -> None:
    message = started()["message"] | {"content": [{"type": "text", "text": "Hi"}], "stop_reason": "end_turn"}
    found = rebuilt(sse(message))
    assert (found.answer.dialect, found.verdict, parts(found.answer)) == (
        "anthropic_messages",
        "complete",
        (TextPart("Hi"),),
    )


def test_a_message_that_begins_after_the_end_owes_an_end_of_its_own() -> None:
    first = [started(), opened(0), text(0, "A"), stopped(0), opened(1, "tool_use", **CALL), arguments(1, '{"lots":1}')]
    second = [started(id="msg_2"), opened(0), text(0, "B"), stopped(0), opened(1, "tool_use", **CALL)]
    more = [arguments(1, '{"lots":2}')]

    def found(*events: dict[str, object]) -> tuple[str, list[str], list[bool]]:
        told = rebuilt(sse(*events, named="type"))
        (choice,) = told.answer.choices
        return told.verdict, [fact.kind for fact in told.anomalies], [one.complete for one in choice.message.tool_calls]

    facts = ["after_end_marker", "message_restarted"]
    for cut in range(1, len(second) + 1):
        verdict, kinds_of, complete = found(*first, *ended("tool_use"), *second[:cut])
        assert (verdict, kinds_of) == ("truncated", facts)
        assert complete == ([True] if cut < len(second) else [True, False])
    assert found(*first, *ended("tool_use"), *second, *more) == ("truncated", facts, [True, False])
    assert found(*first, *ended("tool_use"), *second, *more, *ended("tool_use")) == ("complete", facts, [True, True])
    cut_before = found(*first, stopped(1), *ended("max_tokens"), *second, *more, *ended("tool_use"))
    assert cut_before == ("complete", facts, [False, True])
    block = found(*first, *ended("tool_use"), opened(2, "tool_use", **CALL))
    assert block == ("truncated", ["after_end_marker"], [True, False])
    answer = streamed(*first, *ended("tool_use"), *second, *more, *ended())
    assert [part.text for part in parts(answer) if isinstance(part, TextPart)] == ["A", "B"]
    assert answer.choices[0].finish_reasons == ("end_turn",)
    assert answer.anomalies[0].detail == "'message_start' came after message_stop (tool_use)"


def test_what_is_out_of_order_is_a_fact() -> None:
    answer = streamed(started(), started(id="msg_2"), *ended(), *ended("max_tokens"), 7)
    assert answer.ids == ("msg_1", "msg_2")
    assert answer.choices[0].finish_reasons == ("end_turn", "max_tokens")
    assert kinds(answer) == ["message_restarted", "after_end_marker", "finish_reason_changed", "not_an_object"]
    assert kinds(streamed(started(stop_reason="end_turn"))) == ["stop_reason_at_start"]
    malformed = streamed({"type": "message_start", "message": 1}, {"type": "message_delta", "delta": 1}, piece(0, 1))
    assert kinds(malformed) == ["message_malformed", "delta_malformed", "delta_malformed"]


@pytest.mark.parametrize(
    ("body", "claimed"),
    [
        (sse(PING), True),
        (sse(*[PING] * 9, started(), named="type"), True),
        (sse(started(), named="type")[:90], True),
        (document(started()["message"])[:200], True),
        (b"", True),
        (b'{"error": {"message": "no"}}', True),
        (document({"object": "chat.completion", "choices": []}), False),
        (sse({"type": "response.created", "response": {}}), False),
        (sse({"type": "message-start", "id": "1"}), False),
        (document({"input_tokens": 3}), False),
        (document({"type": "message", "role": "user"}), False),
        (b'{"custom_id": "1", "result": {}}\n{"custom_id": "2", "result": {}}\n', False),
    ],
)
def test_what_it_claims_under_its_url(body: bytes, claimed: bool) -> None:
    assert (choose(Clues(f"{URL}?beta=true", "", body)).name == "anthropic_messages") is claimed


def test_what_it_claims_by_the_bytes_alone() -> None:
    for kind, body in STREAMS:
        for told in (kind, "", "text/plain"):
            assert DIALECT.claims(Clues("", told, body)) >= 0.9
    assert DIALECT.claims(Clues("", "", b"")) == 0.0
