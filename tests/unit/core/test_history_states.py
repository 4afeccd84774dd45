"""Conversations of which the provider keeps the history: what goes on from what is told by the ids that it gave."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from recorder.core.conversation import Relation
from recorder.core.exchange import fold
from recorder.core.rebuilt import Rebuilt
from recorder.dialects.rebuild import rebuild
from tests.building import ExchangeBuilder
from tests.unit.core.test_history import relations, told

URL = "https://api.example/v1/responses"


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def model(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


def sent(
    number: int,
    given: Any,
    says: str | list[dict[str, Any]] | None = "hold",
    *,
    identity: str = "",
    url: str = URL,
    **fields: Any,
) -> Rebuilt:
    """An exchange whose answer has the id ``resp_NUMBER``; without an answer where it *says* nothing."""
    text = {"type": "output_text", "text": says, "annotations": []}
    item = {"type": "message", "id": "msg", "status": "completed", "role": "assistant", "content": [text]}
    output = says if isinstance(says, list) else [item]
    done = {"object": "response", "status": "completed", "model": "m", "output": output}
    body = {"id": identity or f"resp_{number}", **done} if says is not None else {"error": {"message": "overloaded"}}
    built = ExchangeBuilder(number).request({"model": "m", "input": given, **fields}, url=url, call=f"call-{number}")
    built.response(200 if says is not None else 500, headers=[("content-type", "application/json")])
    exchange = fold(built.chunks(json.dumps(body).encode()).completed().events)
    assert exchange is not None
    return rebuild(exchange)


def test_it_goes_on_from_the_answer_that_it_names() -> None:
    exchanges = [sent(1, "write a book", "chapter one")]
    exchanges += [sent(at, "go on", f"chapter {at}", previous_response_id=f"resp_{at - 1}") for at in (2, 3, 4)]
    assert relations(*exchanges)[1:] == [Relation("continues", one.id) for one in exchanges[:3]]


def test_polling_a_tool_with_the_same_result_asks_nothing_again() -> None:
    def result(at: int) -> list[dict[str, Any]]:
        return [{"type": "function_call_output", "call_id": f"call_{at}", "output": "pending"}]

    def polls(at: int) -> list[dict[str, Any]]:
        return [{"type": "function_call", "id": f"fc_{at}", "call_id": f"call_{at}", "name": "poll", "arguments": "{}"}]

    exchanges = [sent(1, "start", polls(2))]
    exchanges += [sent(at, result(at), polls(at + 1), previous_response_id=f"resp_{at - 1}") for at in (2, 3, 4)]
    assert relations(*exchanges)[1:] == [Relation("continues", one.id) for one in exchanges[:3]]


def test_another_use_of_an_answer_forks_and_the_same_one_asks_again() -> None:
    first = sent(1, "q1")
    one, other = sent(2, "q2", previous_response_id="resp_1"), sent(3, "other", previous_response_id="resp_1")
    again = sent(4, "q2", previous_response_id="resp_1")
    assert relations(first, one, other, again)[1:] == [
        Relation("continues", first.id),
        Relation("forks", first.id),
        Relation("regenerates", one.id),
    ]
    failed = sent(2, "q2", None, previous_response_id="resp_1")
    assert relations(first, failed, again)[1:] == [Relation("continues", first.id), Relation("retries", failed.id)]


def test_of_two_answers_that_say_the_same_the_named_one_counts() -> None:
    one, other = sent(1, "hello"), sent(2, "hello")
    on = [sent(3, "more", previous_response_id="resp_1"), sent(4, "more", previous_response_id="resp_2")]
    assert relations(one, other, *on)[2:] == [Relation("continues", one.id), Relation("continues", other.id)]


def test_a_later_request_with_the_whole_history_changes_nothing_and_an_edit_in_it_is_told() -> None:
    kept = [sent(1, "q1", "SELL all", instructions="trade"), sent(2, "q2", "why", previous_response_id="resp_1")]
    history = [user("q1"), model("SELL all"), user("q2"), model("why"), user("q3")]
    whole = sent(3, history)
    assert relations(*kept, whole)[2] == Relation("continues", kept[1].id)
    on = sent(4, "q4", previous_response_id="resp_3")
    assert relations(*kept, whole, on)[3] == Relation("continues", whole.id)
    edited = sent(3, [user("q1"), model("BUY all"), *history[2:]])
    assert told(relations(*kept, edited)[2]) == ["answer_edited"]
    (fact,) = relations(*kept, edited)[2].findings
    assert fact.detail.startswith(f"message 2: exchange {kept[0].id} answered")


def test_instructions_of_earlier_requests_are_not_of_a_later_one() -> None:
    first = sent(1, "q1", instructions="trade")
    second = sent(2, "q2", previous_response_id="resp_1", instructions="be brief")
    assert relations(first, second)[1] == Relation("continues", first.id)


def test_what_was_not_recorded_is_nothing_to_compare_with() -> None:
    unknown = sent(2, "q2", "why", previous_response_id="resp_x")
    same, on = sent(3, "q2", "why", previous_response_id="resp_y"), sent(4, "q3", previous_response_id="resp_2")
    whole = sent(5, [user("q1"), model("SELL all"), user("q2"), model("why"), user("q4")])
    assert relations(unknown, same, on, whole) == [
        Relation("begins"),
        Relation("begins"),
        Relation("continues", unknown.id),
        Relation("begins"),
    ]


def test_a_conversation_of_the_provider_goes_on_from_its_last_answer() -> None:
    first = sent(1, "q1", conversation="conv_1")
    apart = sent(2, "q1", conversation="conv_2")
    exchanges = [first, apart, sent(3, "q2", conversation={"id": "conv_1"}), sent(4, "q2", conversation="conv_1")]
    exchanges += [sent(5, "q3", None, conversation="conv_1"), sent(6, "q3", conversation="conv_1")]
    assert relations(*exchanges) == [
        Relation("begins"),
        Relation("begins"),
        Relation("continues", first.id),
        Relation("continues", exchanges[2].id),
        Relation("continues", exchanges[3].id),
        Relation("retries", exchanges[4].id),
    ]


def test_another_attempt_of_a_call_is_one() -> None:
    first, failed = sent(1, "q1"), sent(2, "q2", None, previous_response_id="resp_1")
    built = ExchangeBuilder(3).request(
        {"model": "m", "input": "q2", "previous_response_id": "resp_1"}, url=URL, call="call-2", attempt=2
    )
    exchange = fold(built.response().completed().events)
    assert exchange is not None
    assert relations(first, failed, rebuild(exchange))[2] == Relation("attempts", failed.id)


def test_another_host_with_the_same_ids_is_another_provider() -> None:
    one, other = (
        sent(1, "q1", identity="resp_1"),
        sent(2, "q2", identity="resp_1", url="https://other.example/v1/responses"),
    )
    on = sent(3, "q3", previous_response_id="resp_1")
    assert relations(one, other, on)[2] == Relation("continues", one.id)
    begun = sent(4, "q4", conversation="c"), sent(5, "q5", conversation="c", url="https://other.example/v1/responses")
    assert [relation.kind for relation in relations(*begun)] == ["begins", "begins"]


def test_an_answer_that_is_fetched_again_is_not_gone_on_from() -> None:
    """Nothing was asked there: what was said before is with the request that did."""
    asked, aside = sent(1, "q1", "SELL all"), sent(2, "aside", "yes")
    fetched = sent(3, None, "SELL all", identity="resp_1")
    bare = replace(fetched, reading=None)
    on, whole = sent(4, "q2", "why", previous_response_id="resp_1"), [user("q1"), model("SELL all"), user("q2")]
    edited = sent(5, [user("q1"), model("BUY all"), *whole[2:], model("why"), user("q3")])
    found = relations(asked, aside, bare, on, edited)
    assert found[3] == Relation("continues", asked.id)
    assert told(found[4]) == ["answer_edited"]
