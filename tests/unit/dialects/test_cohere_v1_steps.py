"""Loops of single steps in Cohere's first API: results of tools, with the calls that they answer."""

from __future__ import annotations

from typing import Any

from recorder.core.exchange import fold
from recorder.core.history import relate
from recorder.core.history_results import with_answers
from recorder.core.rebuilt import Rebuilt, as_json
from recorder.dialects.cohere_v1 import DIALECT
from recorder.dialects.rebuild import rebuild
from tests.building import ExchangeBuilder
from tests.unit.dialects.test_cohere_v1 import CALL, URL
from tests.unit.dialects.wire import JSON, document


def _step(number: int, calls: Any, *done: Any, said: str = "", history: Any = (), message: str = "q") -> Rebuilt:
    """A step of a loop; *done* are the calls of which the results are sent."""
    results = [{"call": call, "outputs": [{"of": at}]} for at, call in enumerate(done)]
    asked = {"message": message, "chat_history": list(history)}
    asked |= {"tool_results": results, "force_single_step": True} if done else {}
    answer = {"text": said, "generation_id": f"g{number}", "tool_calls": calls, "finish_reason": "COMPLETE"}
    built = ExchangeBuilder(number).request(asked, url=URL, call=str(number))
    built = built.response(headers=[("content-type", JSON)]).chunks(document(answer)).completed()
    exchange = fold(built.events)
    assert exchange is not None
    return rebuild(exchange)


def test_a_loop_of_single_steps_goes_on_from_the_answer_whose_call_its_results_repeat() -> None:
    one, two = CALL, {"name": "sell", "parameters": {"lots": 2}}
    history = [{"role": "USER", "message": "hi"}, {"role": "CHATBOT", "message": "hello"}]
    for before in ([], history):
        loop = [
            _step(1, [one], said="I will.", history=before),
            _step(2, [two], one, history=before),
            _step(3, [], one, two, said="Done.", history=before),
        ]
        # What was said is sent back, with or without the steps between.
        done = [*before, {"role": "USER", "message": "q"}]
        last = _step(4, [], history=[*done, {"role": "CHATBOT", "message": "Done."}], message="more", said="x")
        found = relate([*loop, last])
        assert [found[step.id].kind for step in loop] == ["begins", "continues", "continues"]
        assert [found[step.id].of for step in loop[1:]] == [loop[0].id, loop[1].id]
        assert not any(found[step.id].findings for step in loop)
        assert (found[last.id].kind, found[last.id].of) == ("continues", loop[2].id)


def test_of_several_calls_the_results_may_come_in_another_order() -> None:
    one, two = CALL, {"name": "sell", "parameters": {"lots": 2}}
    steps = [_step(1, [one, two], said="I will."), _step(2, [], two, one, said="Done.")]
    found = relate(steps)[steps[1].id]
    assert (found.kind, found.of, found.findings) == ("continues", steps[0].id, ())
    other = _step(2, [], CALL | {"parameters": {"lots": 11}}, two, said="Done.")
    found = relate([steps[0], other])[other.id]
    assert (found.kind, [one.kind for one in found.findings]) == ("continues", ["answer_edited"])


def test_the_calls_that_results_repeat_stand_after_the_question() -> None:
    reading = DIALECT.read_request(URL, {"message": "q", "tool_results": [{"call": CALL, "outputs": [{"ok": 1}]}]})
    assert reading is not None
    question, calls, results = reading.messages
    assert [question.role, calls.role, results.role] == ["user", "assistant", "tool"]
    assert (question.text, calls.extras) == ("q", {"repeated_by": ("tool_results",)})
    (call,) = calls.tool_calls
    assert (call.name, call.arguments, call.complete) == ("buy", CALL["parameters"], True)
    for told in ({"call": {}, "outputs": []}, {"outputs": []}):
        reading = DIALECT.read_request(URL, {"message": "q", "tool_results": [told]})
        assert reading is not None
        assert [message.role for message in reading.messages] == ["tool", "user"]


def test_what_the_results_repeat_is_shown_as_that_and_nobody_else_can_say_so() -> None:
    shown = as_json(_step(1, [], CALL, said="Done."))["messages"]
    assert [message.get("fields") for message in shown] == [None, {"repeated_by": ["tool_results"]}, None, None]
    call = {"id": "c", "type": "function", "function": {"name": "buy", "arguments": "{}"}}
    claimed = {"role": "assistant", "content": "", "tool_calls": [call], "repeated_by": ["tool_results"]}
    builder = ExchangeBuilder().request({"model": "m", "messages": [{"role": "user", "content": "q"}, claimed]})
    exchange = fold(builder.response().completed().events)
    assert exchange is not None
    rebuilt = rebuild(exchange)
    assert with_answers(rebuilt.request_messages, []) is rebuilt.request_messages
