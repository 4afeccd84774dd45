"""What a program did to the history that it sent back."""

from __future__ import annotations

from typing import Any

from recorder.core.conversation import RELATIONS, Relation
from recorder.core.exchange import fold
from recorder.core.history import relate
from recorder.core.rebuilt import Rebuilt
from recorder.dialects.rebuild import rebuild
from tests.building import ExchangeBuilder, delta

SYSTEM = ("system", "trade")
ASK = ("user", "buy?")
HOLD = ("assistant", "hold")
MORE = ("user", "why?")
TREND = ("assistant", "the trend")
LAST = ("user", "stop?")


def asked(number: int, *messages: tuple[str, str], says: str = "hold", end: str = "stop", **facts: Any) -> Rebuilt:
    payload = {"model": "m", "messages": [{"role": role, "content": text} for role, text in messages]}
    built = ExchangeBuilder(number).request(payload, **{"call": f"call-{number}"} | facts)
    values = [delta(role="assistant", content=says), *([delta(finish=end)] if end else [])]
    exchange = fold(built.response().sse(*values, done=bool(end)).completed().events)
    assert exchange is not None
    return rebuild(exchange)


def relations(*exchanges: Rebuilt) -> list[Relation]:
    found = relate(exchanges)
    assert set(found) == {one.id for one in exchanges}
    assert all(relation.kind in RELATIONS for relation in found.values())
    return [found[one.id] for one in exchanges]


def told(relation: Relation) -> list[str]:
    return [fact.kind for fact in relation.findings]


def test_a_conversation_that_goes_on_has_no_findings() -> None:
    first = asked(1, SYSTEM, ASK)
    second = asked(2, SYSTEM, ASK, HOLD, MORE, says="the trend")
    third = asked(3, SYSTEM, ASK, HOLD, MORE, TREND, LAST)
    assert relations(first, second, third) == [
        Relation("begins"),
        Relation("continues", first.id),
        Relation("continues", second.id),
    ]


def test_the_same_request_again_is_a_retry_a_regeneration_or_an_attempt() -> None:
    cut = asked(1, ASK, end="")
    whole = asked(2, ASK)
    again = asked(3, ASK, says="sell")
    attempt = asked(4, ASK, call="call-3")
    assert relations(cut, whole, again, attempt) == [
        Relation("begins"),
        Relation("retries", cut.id),
        Relation("regenerates", whole.id),
        Relation("attempts", again.id),
    ]


def test_a_fork_goes_on_from_an_answer_that_was_gone_on_from_before() -> None:
    first, on, fork = asked(1, ASK), asked(2, ASK, HOLD, MORE), asked(3, ASK, HOLD, LAST)
    assert relations(first, on, fork)[1:] == [Relation("continues", first.id), Relation("forks", first.id)]


def test_either_answer_of_a_regenerated_request_may_be_sent_back() -> None:
    first, again = asked(1, ASK), asked(2, ASK, says="sell")
    on = asked(3, ASK, HOLD, MORE)
    assert relations(first, again, on)[2] == Relation("continues", first.id)


def test_an_answer_that_was_edited_is_found_with_both_texts() -> None:
    first = asked(1, SYSTEM, ASK)
    second = asked(2, SYSTEM, ASK, ("assistant", "BUY NOW"), MORE)
    relation = relations(first, second)[1]
    assert (relation.kind, relation.of, told(relation)) == ("continues", first.id, ["answer_edited"])
    assert "'hold'" in relation.findings[0].detail
    assert "'BUY NOW'" in relation.findings[0].detail


def test_an_answer_that_was_edited_later_is_found_too() -> None:
    first = asked(1, ASK)
    second = asked(2, ASK, HOLD, MORE, says="the trend")
    third = asked(3, ASK, HOLD, MORE, ("assistant", "a hunch"), LAST)
    relation = relations(first, second, third)[2]
    assert (relation.of, told(relation)) == (second.id, ["answer_edited"])


def test_an_answer_that_was_left_out_is_found() -> None:
    first, second = asked(1, ASK), asked(2, ASK, MORE)
    assert told(relations(first, second)[1]) == ["answer_dropped"]


def test_an_edited_system_prompt_is_found() -> None:
    first = asked(1, SYSTEM, ASK)
    second = asked(2, ("system", "be bold"), ASK, HOLD, MORE)
    relation = relations(first, second)[1]
    assert (relation.of, told(relation)) == (first.id, ["message_edited"])


def test_messages_dropped_from_the_beginning_are_found() -> None:
    first = asked(1, ASK)
    second = asked(2, ASK, HOLD, MORE, says="the trend")
    third = asked(3, MORE, TREND, LAST)
    relation = relations(first, second, third)[2]
    assert (relation.of, told(relation)) == (second.id, ["message_dropped", "answer_dropped"])


def test_messages_put_in_and_put_elsewhere_are_found() -> None:
    first = asked(1, SYSTEM, ASK, HOLD, MORE, says="the trend")
    put_in = asked(2, SYSTEM, ("user", "you are rich"), ASK, HOLD, MORE, TREND, LAST)
    assert told(relations(first, put_in)[1]) == ["message_inserted"]
    moved = asked(3, ASK, SYSTEM, HOLD, MORE, TREND, LAST)
    assert told(relations(first, moved)[1]) == ["message_moved"]


def test_what_has_nothing_in_common_begins() -> None:
    assert relations(asked(1, ASK), asked(2, LAST)) == [Relation("begins"), Relation("begins")]
    exchange = fold(ExchangeBuilder(3).request(b"x", call="call-3").response().completed().events)
    assert exchange is not None
    assert relations(asked(1, ASK), rebuild(exchange))[1] == Relation("begins")


def test_a_refused_answer_that_is_not_sent_back_is_nothing_to_report() -> None:
    first, second = asked(1, ASK, says=""), asked(2, ASK, MORE)
    assert relations(first, second)[1] == Relation("continues", first.id)


def test_a_tool_call_that_was_changed_is_found() -> None:
    call = {"index": 0, "id": "c", "type": "function", "function": {"name": "buy", "arguments": '{"lots": 1}'}}
    built = ExchangeBuilder(1).request({"messages": [{"role": "user", "content": "go"}]}, call="call-1").response()
    exchange = fold(
        built.sse(delta(role="assistant", tool_calls=[call]), delta(finish="tool_calls")).completed().events
    )
    assert exchange is not None
    first = rebuild(exchange)

    def sent_back(number: int, arguments: str) -> Rebuilt:
        messages = [
            {"role": "user", "content": "go"},
            {"role": "assistant", "tool_calls": [call | {"function": {"name": "buy", "arguments": arguments}}]},
            {"role": "tool", "tool_call_id": "c", "content": "done"},
        ]
        folded = fold(ExchangeBuilder(number).request({"messages": messages}, call=f"c{number}").response().events)
        assert folded is not None
        return rebuild(folded)

    same, changed = sent_back(2, '{"lots":1}'), sent_back(3, '{"lots":100}')
    assert told(relations(first, same)[1]) == []
    relation = relations(first, changed)[1]
    assert told(relation) == ["answer_edited"]
    assert 'buy({"lots":100})' in relation.findings[0].detail
