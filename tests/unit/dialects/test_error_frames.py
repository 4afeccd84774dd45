"""Errors of other formats in the midst of an answer of OpenAI chat, and what only looks like one."""

from __future__ import annotations

from typing import Any

import pytest

from tests.building import URL, delta
from tests.unit.dialects.answers import rebuilt_from
from tests.unit.dialects.chat import calls, streamed, tool, verdict
from tests.unit.dialects.wire import JSON, document, sse

ERRORS: list[dict[str, Any]] = [
    {"code": 50505, "message": "Model service overloaded", "data": None},
    {"code": "InternalError", "msg": "boom"},
    {"detail": "boom"},
    {"detail": [{"loc": ["body"], "msg": "boom"}]},
    {"success": False, "errorMessage": "boom"},
    {"error_code": "INTERNAL", "message": "boom"},
    {"error_code": 336000, "error_msg": "boom"},
    {"errors": [{"message": "boom"}]},
    {"status": 503, "title": "overloaded"},
    {"status": "error", "message": "boom"},
]


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("done", [True, False])
def test_an_error_of_another_format_is_one_where_the_answer_is_not_finished(error: dict[str, Any], done: bool) -> None:
    body = sse(delta(content="half an ans"), error, done=done)
    assert verdict(body) == "errored"
    assert streamed(delta(content="a"), error).errors == (error,)
    assert verdict(sse(error, done=done)) == "errored"
    assert verdict(document(error), JSON) == "errored"
    call = delta(tool_calls=[tool(0, id="a", name="f", arguments='{"q":1}')])
    assert calls(streamed(call, error)) == [("a", "f", '{"q":1}', False)]


@pytest.mark.parametrize("error", ERRORS)
def test_of_an_answer_that_is_finished_it_takes_nothing_back(error: dict[str, Any]) -> None:
    body = sse(error, delta(content="a"), delta(finish="stop"), error, done=True)
    assert (verdict(body), streamed(delta(content="a"), delta(finish="stop"), error).errors) == ("complete", ())


def test_one_choice_of_two_is_not_enough() -> None:
    body = sse(delta(0, content="a"), delta(1, content="b"), delta(0, "stop"), ERRORS[0], done=True)
    assert verdict(body) == "errored"


@pytest.mark.parametrize(
    "odd",
    [{"notice": "the upstream went away"}, {"choices": None, "base_resp": {"status_code": 1013, "status_msg": "boom"}}],
)
def test_something_that_is_not_known_leaves_an_answer_without_reasons_unclear(odd: dict[str, Any]) -> None:
    call = delta(tool_calls=[tool(0, id="a", name="f", arguments='{"q":1}')])
    assert verdict(sse(delta(content="a"), odd, done=True)) == "unknown"
    assert calls(streamed(call, odd)) == [("a", "f", '{"q":1}', False)]
    assert verdict(sse(delta(content="a"), odd)) == "truncated"
    assert verdict(sse(delta(content="a"), odd, delta(finish="stop"), done=True)) == "complete"


@pytest.mark.parametrize(
    "harmless",
    [
        {},
        {"type": "ping"},
        {"event": "heartbeat", "at": 7},
        {"usage": {"total_tokens": 3}},
        {"choices": [], "cost": 1},
        {"code": 0, "message": "Success"},
        {"success": True, "error": None, "errors": []},
    ],
)
def test_what_is_no_error_does_no_harm(harmless: dict[str, Any]) -> None:
    rebuilt = rebuilt_from(sse(delta(content="a"), harmless, delta(content="b"), done=True), "", URL, {"messages": []})
    assert (rebuilt.answer.errors, rebuilt.answer.choices[0].message.text) == ((), "ab")
    told = harmless.keys() <= {"type", "event", "at", "usage", "choices", "cost"}
    assert rebuilt.verdict == ("complete" if told else "unknown")
