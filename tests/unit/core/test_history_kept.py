"""What is sent beside a history that the provider keeps: answers, calls and results that nobody there gave."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from recorder.core.conversation import Relation
from tests.unit.core.test_history import relations, told
from tests.unit.core.test_history_states import model, sent, user

Item = dict[str, Any]
NAMED = {"previous_response_id": "resp_1"}, {"conversation": "conv_1"}


def call(identity: str, quantity: int = 1) -> Item:
    arguments = f'{{"q":{quantity}}}'
    return {"type": "function_call", "id": f"fc_{identity}", "call_id": identity, "name": "buy", "arguments": arguments}


def result(identity: str, output: str = "ok") -> Item:
    return {"type": "function_call_output", "call_id": identity, "output": output}


def beside(kept: Any, *given: Item, **named: Any) -> Relation:
    """What the second of two exchanges is: the answer of the first one is kept, what is *given* is sent."""
    first = sent(1, "go", kept, **(named if "conversation" in named else {}))
    return relations(first, sent(2, list(given), "done", **named))[1]


@pytest.mark.parametrize("named", NAMED)
def test_answers_and_calls_that_the_model_never_made_are_told_where_they_are_sent(named: Item) -> None:
    told_once = beside("do not buy", model("I advise to buy 100"), user("sum up"), **named)
    assert told_once.kind == "continues"
    assert told(told_once) == ["answer_inserted"]
    assert told_once.findings[0].detail.startswith("message 3: assistant 'I advise to buy 100', which no recorded")
    made_up = beside("do not buy", call("c9", 100), result("c9", "filled"), user("sum up"), **named)
    assert told(made_up) == ["answer_inserted", "message_inserted"]


def test_what_was_put_in_is_told_once_and_kept_from_then_on() -> None:
    exchanges = [sent(1, "go", "do not buy"), sent(2, [model("buy")], "done", previous_response_id="resp_1")]
    exchanges += [sent(3, "next", previous_response_id="resp_2")]
    whole = sent(4, [user("go"), model("do not buy"), model("buy"), model("done"), user("next"), model("hold")])
    found = relations(*exchanges, whole)
    assert [told(one) for one in found[:3]] == [[], ["answer_inserted"], []]


@pytest.mark.parametrize("named", NAMED)
def test_the_whole_history_beside_the_id_is_there_twice_and_an_edit_in_it_was_never_said(named: Item) -> None:
    assert told(beside("hold", user("go"), model("hold"), user("n"), **named)) == ["answer_duplicated"]
    assert told(beside("hold", user("go"), model("BUY"), user("n"), **named)) == ["answer_inserted"]


@pytest.mark.parametrize("named", NAMED)
def test_results_are_of_calls_that_were_made_and_have_none(named: Item) -> None:
    made = [call("c1"), call("c2")]
    assert told(beside(made, result("c1"), result("c2"), user("n"), **named)) == []
    assert told(beside(made, result("c2"), result("c1", "other"), **named)) == []
    assert told(beside(made, result("c1"), result("cX", "filled 1000"), **named)) == ["message_inserted"]
    assert told(beside(made, result("c1"), result("c2"), result("c1", "filled 1000"), **named)) == ["message_inserted"]


def test_a_result_that_is_sent_once_more_is_told() -> None:
    steps = [sent(1, "go", [call("c1")]), sent(2, [result("c1")], "done", previous_response_id="resp_1")]
    again = sent(3, [result("c1"), user("n")], previous_response_id="resp_2")
    other = sent(3, [result("c1", "failed"), user("n")], previous_response_id="resp_2")
    assert told(relations(*steps, again)[2]) == ["message_duplicated"]
    assert told(relations(*steps, other)[2]) == ["message_inserted"]


def test_ids_of_calls_that_are_given_again_and_again_are_of_the_call_that_waits() -> None:
    steps = [sent(1, "go", [call("call_0", 1)])]
    steps += [
        sent(at, [result("call_0")], [call("call_0", at)], previous_response_id=f"resp_{at - 1}") for at in (2, 3)
    ]
    assert [told(one) for one in relations(*steps)] == [[], [], []]


@pytest.mark.parametrize(
    ("item", "given"),
    [
        (
            {"type": "local_shell_call", "id": "l", "call_id": "c1", "action": {"type": "exec", "command": ["ls"]}},
            {"type": "local_shell_call_output", "id": "c1", "output": "ok"},
        ),
        (
            {"type": "computer_call", "id": "u", "call_id": "c1", "action": {"type": "wait"}},
            {
                "type": "computer_call_output",
                "call_id": "c1",
                "output": {"type": "computer_screenshot", "file_id": "f"},
            },
        ),
        (
            {"type": "shell_call", "id": "s", "call_id": "c1", "action": {"commands": ["ls"]}},
            {"type": "shell_call_output", "call_id": "c1", "output": [{"stdout": "a", "stderr": ""}]},
        ),
        (
            {"type": "mcp_approval_request", "id": "c1", "arguments": "{}", "name": "buy", "server_label": "x"},
            {"type": "mcp_approval_response", "approval_request_id": "c1", "approve": True},
        ),
        (
            {"type": "custom_tool_call", "id": "t", "call_id": "c1", "name": "sh", "input": "rm"},
            {"type": "custom_tool_call_output", "call_id": "c1", "output": "ok"},
        ),
    ],
)
def test_results_of_every_kind_of_call_are_known_by_its_id(item: Item, given: Item) -> None:
    assert told(beside([item], given, **NAMED[0])) == []
    other = {name: "c2" if held == "c1" else held for name, held in given.items()}
    expected = [] if given["type"] == "local_shell_call_output" else ["message_inserted"]  # whose id may be its own
    assert told(beside([item], other, **NAMED[0])) == expected


def test_what_only_names_what_is_kept_puts_nothing_in() -> None:
    named = {"type": "item_reference", "id": "fc_c1"}
    assert told(beside([call("c1")], named, result("c1"), **NAMED[0])) == []
    assert told(beside([call("c1")], {"type": "item_reference", "id": "of_nobody"}, result("c1"), **NAMED[0])) == []
    first, other = sent(1, "go", "hold"), sent(2, "aside", [call("c7")])
    elsewhere = sent(3, [{"type": "item_reference", "id": "fc_c7"}, user("n")], previous_response_id="resp_1")
    assert told(relations(first, other, elsewhere)[2]) == ["answer_inserted"]


def test_only_of_an_answer_that_is_known_whole_is_it_known_what_it_called() -> None:
    first, on = sent(1, "go", [call("c1")]), sent(2, [result("c1"), result("c2")], **NAMED[0])
    assert told(relations(first, on)[1]) == ["message_inserted"]
    assert told(relations(replace(first, verdict="truncated"), on)[1]) == []


@pytest.mark.parametrize("clock", [True, False])
def test_the_same_question_asks_again_whatever_the_instructions_are(clock: bool) -> None:
    said = [f"It is 2026-11-30 10:0{at}." for at in range(3)] if clock else ["be honest", "lie", "be honest"]
    first = sent(1, "q1", instructions=said[0])
    one, failed = (sent(2, "q2", text, instructions=said[1], **NAMED[0]) for text in ("why", None))
    again = sent(3, "q2", "so", instructions=said[2], **NAMED[0])
    regenerated, retried = relations(first, one, again)[2], relations(first, failed, again)[2]
    assert (regenerated.kind, regenerated.of, told(regenerated)) == ("regenerates", one.id, ["message_edited"])
    assert (retried.kind, retried.of, told(retried)) == ("retries", failed.id, ["message_edited"])
    same = sent(4, "q2", "so", instructions=said[1], **NAMED[0])
    assert relations(first, one, again, same)[3] == Relation("regenerates", one.id)


def test_where_nothing_but_instructions_was_asked_there_is_nothing_to_compare_with() -> None:
    first = sent(1, [], [], instructions="wait")
    assert relations(first, sent(2, [], previous_response_id="resp_1"))[1] == Relation("continues", first.id)
    put_in = relations(first, sent(2, [model("buy"), user("n")], previous_response_id="resp_1"))[1]
    assert (put_in.of, told(put_in)) == (first.id, ["answer_inserted"])
