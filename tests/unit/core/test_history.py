"""What a program did to the history that it sent back."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    assert (relation.of, told(relation)) == (second.id, ["older_messages_dropped"])
    assert relation.findings[0].detail == (
        "2 older messages, 1 of the model: user 'buy?', once message 1 to assistant 'hold', once message 2"
    )


def test_messages_put_in_and_put_elsewhere_are_found() -> None:
    first = asked(1, SYSTEM, ASK, HOLD, MORE, says="the trend")
    put_in = asked(2, SYSTEM, ("user", "you are rich"), ASK, HOLD, MORE, TREND, LAST)
    assert told(relations(first, put_in)[1]) == ["message_inserted"]
    moved = asked(3, ASK, SYSTEM, HOLD, MORE, TREND, LAST)
    assert told(relations(first, moved)[1]) == ["message_moved"]


TWO, THREE, FOUR = ("user", "two"), ("user", "three"), ("user", "four")
A1, A2, A3 = ("assistant", "A1"), ("assistant", "A2"), ("assistant", "A3")
THREAD = [
    asked(1, SYSTEM, ASK, says="A1"),
    asked(2, SYSTEM, ASK, A1, TWO, says="A2"),
    asked(3, SYSTEM, ASK, A1, TWO, A2, THREE, says="A3"),
]


def model(text: str) -> tuple[str, str]:
    return ("assistant", text)


@pytest.mark.parametrize(
    ("sent", "findings"),
    [
        pytest.param(
            [SYSTEM, ASK, model("A1!"), TWO, model("A2!"), THREE, A3, FOUR],
            [("answer_edited", "message 3:", "'A1'", "'A1!'"), ("answer_edited", "message 5:", "'A2'", "'A2!'")],
            id="both answers forged",
        ),
        pytest.param(
            [SYSTEM, ASK, TWO, model("A2!"), THREE, A3, FOUR],
            [("answer_dropped", "'A1'"), ("answer_edited", "'A2'", "'A2!'")],
            id="one dropped, one forged",
        ),
        pytest.param(
            [SYSTEM, ASK, A2, TWO, A1, THREE, A3, FOUR],
            [
                ("answer_moved", "'A2', once message 5, is message 3"),
                ("answer_moved", "'A1', once message 3, is message 5"),
            ],
            id="two answers changed places",
        ),
        pytest.param(
            [SYSTEM, ASK, A1, TWO, A2, THREE, A3, FOUR, model("never"), LAST],
            [("answer_inserted", "message 9: assistant 'never', which no recorded exchange answered")],
            id="an answer that nobody gave",
        ),
        pytest.param(
            [SYSTEM, ASK, A1, A1, TWO, A2, THREE, A3, FOUR],
            [("answer_duplicated", "message 4: assistant 'A1'")],
            id="an answer twice",
        ),
        pytest.param(
            [SYSTEM, ASK, A1, TWO, A2, THREE, A3, A3, FOUR],
            [("answer_duplicated", "message 8: assistant 'A3'")],
            id="the last answer twice",
        ),
        pytest.param(
            [SYSTEM, TWO, A2, THREE, model("A3!"), FOUR],
            [
                ("older_messages_dropped", "2 older messages, 1 of the model", "'A1'"),
                ("answer_edited", "'A3'", "'A3!'"),
            ],
            id="a window, and the last answer forged",
        ),
        pytest.param(
            [SYSTEM, ("user", "summary"), TWO, A2, THREE, A3, FOUR],
            [("older_messages_dropped", "2 older messages, 1 of the model", "'A1'"), ("message_inserted", "'summary'")],
            id="a summary in the place of older ones",
        ),
        pytest.param(
            [("system", "be bold"), ASK, A1, ("user", "two!"), A2, THREE, model("A3!"), FOUR],
            [("message_edited", "'trade'"), ("message_edited", "'two!'"), ("answer_edited", "'A3!'")],
            id="instructions, a question and an answer",
        ),
        pytest.param(
            [SYSTEM, ASK, A1, TWO, A2, THREE, A3, model("I will")],
            [("answer_inserted", "as the beginning of the answer")],
            id="an answer that the program began",
        ),
    ],
)
def test_every_difference_is_told(sent: list[tuple[str, str]], findings: list[tuple[str, ...]]) -> None:
    relation = relations(*THREAD, asked(4, *sent))[3]
    assert (relation.kind, relation.of) == ("continues", THREAD[2].id)
    assert told(relation) == [kind for kind, *_ in findings]
    for fact, (_, *details) in zip(relation.findings, findings, strict=True):
        assert all(detail in fact.detail for detail in details), fact.detail


def test_a_change_is_told_once_and_not_by_every_request_that_carries_it_along() -> None:
    forged = asked(4, SYSTEM, ASK, model("A1!"), TWO, A2, THREE, A3, FOUR, says="A4")
    on = asked(5, SYSTEM, ASK, model("A1!"), TWO, A2, THREE, A3, FOUR, model("A4"), LAST)
    found = relations(*THREAD, forged, on)
    assert [told(relation) for relation in found[3:]] == [["answer_edited"], []]
    assert found[4] == Relation("continues", forged.id)


def test_going_back_to_an_earlier_answer_changes_nothing() -> None:
    again = asked(4, SYSTEM, ASK, A1, LAST)
    assert relations(*THREAD, again)[3] == Relation("forks", THREAD[0].id)
    assert relations(*THREAD[1:], again)[2] == Relation("forks", THREAD[1].id)
    assert relations(*THREAD, asked(4, SYSTEM, LAST))[3] == Relation("begins")


def test_an_answer_that_the_program_began_is_sent_back_whole() -> None:
    begun = asked(1, ASK, model("I would "), says="hold")
    assert relations(begun, asked(2, ASK, model("I would hold"), MORE))[1] == Relation("continues", begun.id)
    apart = asked(3, ASK, model("I would "), HOLD, MORE)
    assert relations(begun, apart)[1] == Relation("continues", begun.id)
    assert told(relations(begun, asked(4, ASK, model("I would sell"), MORE))[1]) == ["answer_edited"]


def test_what_was_forged_and_is_sent_as_it_was_again_is_told_as_that() -> None:
    forged = asked(3, SYSTEM, ASK, model("A1!"), TWO, says="A2")
    again = asked(4, SYSTEM, ASK, A1, TWO, A2, THREE)
    (fact,) = relations(THREAD[0], forged, again)[2].findings
    assert fact.detail == f"message 3: assistant 'A1!' became assistant 'A1', as exchange {THREAD[0].id} answered"


@given(st.data())
def test_a_tree_that_was_sent_as_it_grew_has_no_findings(data: st.DataObject) -> None:
    exchanges = [asked(1, SYSTEM, ASK, says="ok")]
    grown = [[SYSTEM, ASK, model("ok")]]
    for number in range(2, data.draw(st.integers(2, 7)) + 1):
        history = [*data.draw(st.sampled_from(grown)), ("user", data.draw(st.sampled_from(["go", "yes"])))]
        says = data.draw(st.sampled_from(["ok", "no"]))
        exchanges.append(asked(number, *history, says=says))
        grown.append([*history, model(says)])
    assert [told(relation) for relation in relations(*exchanges)] == [[]] * len(exchanges)
    history = data.draw(st.sampled_from(grown))
    place = data.draw(st.sampled_from([at for at, (role, _) in enumerate(history) if role == "assistant"]))
    forged = [*history[:place], model("forged"), *history[place + 1 :], LAST]
    (fact,) = relations(*exchanges, asked(9, *forged))[-1].findings
    assert (fact.kind, f"message {place + 1}: " in fact.detail) == ("answer_edited", True)


def test_two_long_texts_are_shown_where_they_differ() -> None:
    long = "The price of the bond is stable, and the yield is what it was. " * 3
    first, second = asked(1, ASK, says=long + "Hold it."), asked(2, ASK, model(long + "Sell it."), MORE)
    (fact,) = relations(first, second)[1].findings
    assert "Hold it." in fact.detail
    assert "Sell it." in fact.detail
    assert len(fact.detail) < 300


def test_a_long_history_of_which_much_was_changed_costs_little() -> None:
    said = [(role, f"{role} {turn}") for turn in range(400) for role in ("user", "assistant")]
    first = asked(1, *said, ASK)
    changed = [(role, text + "!" if turn % 3 else text) for turn, (role, text) in enumerate(said)]
    second = asked(2, *changed, ASK, HOLD, MORE)
    begun = time.process_time()
    findings = relations(first, second)[1].findings
    assert time.process_time() - begun < 5
    assert len(findings) == sum(1 for turn in range(800) if turn % 3)


def test_what_has_nothing_in_common_begins() -> None:
    assert relations(asked(1, ASK), asked(2, LAST)) == [Relation("begins"), Relation("begins")]
    exchange = fold(ExchangeBuilder(3).request(b"x", call="call-3").response().completed().events)
    assert exchange is not None
    assert relations(asked(1, ASK), rebuild(exchange))[1] == Relation("begins")


def test_a_refused_answer_that_is_not_sent_back_is_nothing_to_report() -> None:
    first, second = asked(1, ASK, says=""), asked(2, ASK, MORE)
    assert relations(first, second)[1] == Relation("continues", first.id)


def test_words_put_into_the_mouth_of_a_model_that_said_nothing_are_found() -> None:
    first, second = asked(1, ASK, says=""), asked(2, ASK, model("buy"), MORE)
    assert told(relations(first, second)[1]) == ["answer_edited"]


def test_a_refusal_may_be_sent_back_as_a_text_and_not_as_another() -> None:
    built = ExchangeBuilder(1).request({"messages": [{"role": "user", "content": "buy?"}]}, call="call-1").response()
    exchange = fold(built.sse(delta(role="assistant", refusal="I will not."), delta(finish="stop")).completed().events)
    assert exchange is not None
    first = rebuild(exchange)
    for follows in ([ASK, model("I will not."), MORE], [ASK, model(""), MORE], [ASK, MORE]):
        assert relations(first, asked(2, *follows))[1] == Relation("continues", first.id)
    (fact,) = relations(first, asked(2, ASK, model("Sure!"), MORE))[1].findings
    assert (fact.kind, "I will not." in fact.detail, "Sure!" in fact.detail) == ("answer_edited", True, True)


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


def test_a_tool_call_that_was_changed_after_another_change_is_found() -> None:
    def called(lots: int) -> dict[str, Any]:
        function = {"name": "buy", "arguments": f'{{"lots": {lots}}}'}
        return {"role": "assistant", "tool_calls": [{"index": 0, "id": "c", "type": "function", "function": function}]}

    def exchange(number: int, *messages: dict[str, Any], answer: dict[str, Any]) -> Rebuilt:
        built = ExchangeBuilder(number).request({"messages": [*messages]}, call=f"call-{number}").response()
        folded = fold(built.sse(delta(**answer), delta(finish="stop")).completed().events)
        assert folded is not None
        return rebuild(folded)

    go, more = {"role": "user", "content": "go"}, {"role": "user", "content": "more"}
    done = {"role": "tool", "tool_call_id": "c", "content": "done"}
    plan, short = ({"role": "assistant", "content": text} for text in ("a long plan", "plan"))
    first = exchange(1, go, answer=plan)
    second = exchange(2, go, plan, more, answer=called(1))
    third = exchange(3, go, short, more, called(100), done, answer=plan)
    relation = relations(first, second, third)[2]
    assert (relation.of, told(relation)) == (second.id, ["answer_edited", "answer_edited"])
    assert """answered assistant 'buy({"lots": 1})', sent back as assistant 'buy({"lots": 100})'""" in (
        relation.findings[1].detail
    )
