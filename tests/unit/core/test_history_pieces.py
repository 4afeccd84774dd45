"""An answer that is sent back in several messages is that answer; a change in it is still found, once."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.core.conversation import group, turn_of
from recorder.core.exchange import fold
from recorder.core.history import relate
from recorder.core.rebuilt import Rebuilt
from recorder.dialects.rebuild import rebuild
from tests.building import URL, ExchangeBuilder

GEMINI = "https://generativelanguage.googleapis.com/v1beta/models/g:streamGenerateContent?alt=sse"
Value = dict[str, Any]


def user(text: str) -> Value:
    return {"role": "user", "content": text}


def model(text: str | None, **fields: Any) -> Value:
    return {"role": "assistant", "content": text, **fields}


def chat(number: int, messages: list[Value], answer: Value) -> Rebuilt:
    choices = [{"index": 0, "message": answer, "finish_reason": "stop"}]
    built = ExchangeBuilder(number).request({"messages": messages}, url=URL, call=f"call-{number}")
    built.response(headers=[("content-type", "application/json")])
    return done(built.chunks(json.dumps({"object": "chat.completion", "choices": choices}).encode()))


def gemini(number: int, contents: list[tuple[str, str]], *pieces: str) -> Rebuilt:
    sent = [{"role": role, "parts": [{"text": text}]} for role, text in contents]
    built = ExchangeBuilder(number).request({"contents": sent}, url=GEMINI, call=f"call-{number}").response()
    said = [{"content": {"role": "model", "parts": [{"text": piece}]}, "index": 0} for piece in pieces]
    said[-1]["finishReason"] = "STOP"
    return done(built.sse(*({"candidates": [one]} for one in said), done=False))


def done(built: ExchangeBuilder) -> Rebuilt:
    exchange = fold(built.completed().events)
    assert exchange is not None
    return rebuild(exchange)


def told(*exchanges: Rebuilt) -> list[tuple[str, str]]:
    found = relate(exchanges)
    return [(fact.kind, fact.detail) for one in exchanges for fact in found[one.id].findings]


def kinds(*exchanges: Rebuilt) -> list[str]:
    return [kind for kind, _ in told(*exchanges)]


def parents(*exchanges: Rebuilt) -> list[int | None]:
    """Of each exchange the place of the one that it extends, among all."""
    threads = group(turn_of(one.id, at, one.request_messages, one.answer_messages) for at, one in enumerate(exchanges))
    ids = [one.id for one in exchanges]
    extended = {child: parent for thread in threads for child, parent in thread.parents.items()}
    return [ids.index(extended[one]) if one in extended else None for one in ids]


def test_each_piece_of_a_stream_as_a_message_is_the_answer() -> None:
    history = [("user", "hi")]
    one = gemini(1, history, "Hello", " there", "")
    history += [("model", "Hello"), ("model", " there"), ("model", ""), ("user", "more")]
    two = gemini(2, history, "Ye", "s")
    history += [("model", "Ye"), ("model", "s"), ("user", "why?")]
    three = gemini(3, history, "so")
    assert told(one, two, three) == []
    assert [relation.kind for relation in relate([one, two, three]).values()] == ["begins", "continues", "continues"]
    assert relate([one, two, three])[three.id].of == two.id
    assert parents(one, two, three) == [None, 0, 1]


@given(st.data())
def test_however_it_is_cut(data: st.DataObject) -> None:
    text = "sell five of them"
    cuts = sorted(data.draw(st.sets(st.integers(1, len(text) - 1), max_size=5)))
    pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    one = chat(1, [user("a")], model(text))
    two = chat(2, [user("a"), *map(model, pieces), user("b")], model("ok"))
    assert told(one, two) == []
    assert parents(one, two) == [None, 0]


def test_a_text_and_a_call_as_two_messages_are_the_answer() -> None:
    calls = {"tool_calls": [{"id": "c", "type": "function", "function": {"name": "buy", "arguments": '{"q": 1}'}}]}
    result = {"role": "tool", "tool_call_id": "c", "content": "done"}
    one = chat(1, [user("a")], model("I buy", **calls))
    two = chat(2, [user("a"), model("I buy"), model(None, **calls), result], model("ok"))
    assert told(one, two) == []
    assert parents(one, two) == [None, 0]
    other = json.loads(json.dumps(calls).replace("1}", "2}"))
    assert kinds(one, chat(2, [user("a"), model("I buy"), model(None, **other), result], model("ok"))) == [
        "answer_edited"
    ]


@pytest.mark.parametrize(
    ("pieces", "found"),
    [
        (["sell", " six"], "exchange {one} answered assistant 'sell five', sent back as assistant 'sell six'"),
        (["buy", " five"], "exchange {one} answered assistant 'sell five', sent back as assistant 'buy five'"),
        (["sell"], "exchange {one} answered assistant 'sell five', sent back as assistant 'sell'"),
    ],
)
def test_a_change_in_a_piece_is_one_edit_of_the_answer(pieces: list[str], found: str) -> None:
    one = chat(1, [user("a")], model("sell five"))
    two = chat(2, [user("a"), *map(model, pieces), user("b")], model("ok"))
    three = chat(3, [user("a"), *map(model, pieces), user("b"), model("ok"), user("c")], model("ok"))
    assert told(one, two, three) == [("answer_edited", "message 2: " + found.format(one=one.id))]


def test_something_put_in_beside_an_answer_is_found() -> None:
    one = chat(1, [user("a")], model("sell five"))
    for history in (["sell five", " or six"], ["I", "sell five"]):
        assert kinds(one, chat(2, [user("a"), *map(model, history), user("b")], model("ok"))) == ["answer_inserted"]
    split = ["sell", " five", " or six"]
    assert kinds(one, chat(2, [user("a"), *map(model, split), user("b")], model("ok"))) == ["answer_inserted"]


def test_answers_that_follow_each_other_stay_apart() -> None:
    """The second goes on from the first without a question between."""
    one = chat(1, [user("a")], model("sell"))
    two = chat(2, [user("a"), model("sell")], model(" five"))
    three = chat(3, [user("a"), model("sell"), model(" five"), user("b")], model("ok"))
    assert told(one, two, three) == []
    assert relate([one, two, three])[three.id].of == two.id
    assert parents(one, two, three) == [None, 0, 1]
    changed = chat(3, [user("a"), model("sell"), model(" six"), user("b")], model("ok"))
    assert kinds(one, two, changed) == ["answer_inserted"]


def test_answers_that_follow_each_other_may_be_in_pieces_each() -> None:
    one = chat(1, [user("a")], model("sell five"))
    two = chat(2, [user("a"), model("sell five")], model(" or six of them"))
    pieces = ["sell", " five", " or six", " of", " them"]
    three = chat(3, [user("a"), *map(model, pieces), user("b")], model("ok"))
    assert told(one, two, three) == []
    assert relate([one, two, three])[three.id].of == two.id


def test_examples_in_several_messages_are_no_answers() -> None:
    examples = [user("e"), model("x"), model("y")]
    one = chat(1, [*examples, user("a")], model("sell"))
    two = chat(2, [*examples, user("a"), model("sell"), user("b")], model("ok"))
    assert told(one, two) == []
    assert parents(one, two) == [None, 0]


BEGUN = model("Rating: ", prefix=True)
RATED = model("Rating: strong buy")


@pytest.mark.parametrize(
    ("back", "parent", "found"),
    [
        ([RATED], 0, []),
        ([model("Rating: "), model("strong buy")], 0, []),
        ([BEGUN, RATED], 0, []),
        ([model("Rating: strong sell")], None, ["answer_edited"]),
        ([BEGUN, model("strong sell")], None, ["answer_edited"]),
        ([model("strong buy")], None, ["answer_edited"]),
    ],
)
def test_an_answer_that_repeats_what_the_program_began_it_with(
    back: list[Value], parent: int | None, found: list[str]
) -> None:
    one = chat(1, [user("rate X"), BEGUN], RATED)
    two = chat(2, [user("rate X"), *back, user("why?")], model("the trend"))
    three = chat(3, [user("rate X"), *back, user("why?"), model("the trend"), user("sure?")], model("yes"))
    assert kinds(one, two, three) == found
    assert parents(one, two, three) == [None, parent, 1]


def test_an_answer_that_begins_with_the_one_before_it_does_not_stand_for_that() -> None:
    one = chat(1, [user("rate X")], model("Rating: buy"))
    two = chat(2, [user("rate X"), model("Rating: buy")], model("Rating: buy, and hold"))
    three = chat(3, [user("rate X"), model("Rating: buy, and hold"), user("why?")], model("the trend"))
    assert kinds(one, two, three) == ["answer_dropped"]
    both = [user("rate X"), model("Rating: buy"), model("Rating: buy, and hold"), user("why?")]
    four = chat(4, both, model("the trend"))
    assert kinds(one, two, four) == []
    assert parents(one, two, four) == [None, 0, 1]


def call(identity: str, quantity: int) -> Value:
    return {"id": identity, "type": "function", "function": {"name": "buy", "arguments": f'{{"q":{quantity}}}'}}


def calling(*calls: Value, text: str | None = None) -> Value:
    return model(text, tool_calls=list(calls))


def result(identity: str) -> Value:
    return {"role": "tool", "tool_call_id": identity, "content": "ok"}


ONE, TWO, THREE = call("c1", 1), call("c2", 2), call("c3", 3)


@pytest.mark.parametrize(
    "back",
    [
        [calling(ONE), result("c1"), calling(TWO), result("c2"), calling(THREE), result("c3")],
        [calling(ONE, TWO), result("c2"), result("c1"), calling(THREE), result("c3")],
        [calling(ONE), calling(TWO), result("c1"), result("c2"), calling(THREE), result("c3")],
    ],
)
@pytest.mark.parametrize("text", [None, "I buy"])
def test_calls_that_are_sent_back_one_by_one_each_before_its_result_are_one_answer(
    back: list[Value], text: str | None
) -> None:
    sent = [*([] if text is None else [model(text)]), *back]
    first = chat(1, [user("go")], calling(ONE, TWO, THREE, text=text))
    second = chat(2, [user("go"), *sent], model("done"))
    third = chat(3, [user("go"), *sent, model("done"), user("n")], model("so"))
    assert told(first, second, third) == []
    assert parents(first, second, third) == [None, 0, 1]
    whole = [user("go"), calling(ONE, TWO, THREE, text=text), *map(result, ("c1", "c2", "c3"))]
    assert told(first, second, chat(3, [*whole, model("done"), user("n")], model("so"))) == []


def test_a_change_in_a_call_that_is_sent_back_by_itself_is_one_edit() -> None:
    first = chat(1, [user("go")], calling(ONE, TWO))
    edited = [calling(ONE), result("c1"), calling(call("c2", 200)), result("c2")]
    assert kinds(first, chat(2, [user("go"), *edited], model("done"))) == ["answer_edited"]


def test_calls_that_were_made_one_after_the_other_stay_answers_of_their_own() -> None:
    asked = [user("go"), calling(ONE), result("c1"), calling(TWO), result("c2")]
    steps = [chat(1, asked[:1], calling(ONE)), chat(2, asked[:3], calling(TWO)), chat(3, asked, model("done"))]
    assert told(*steps) == []
    assert parents(*steps) == [None, 0, 1]
    counted = [user("both"), calling(call("c1", 5), call("c2", 6)), result("c1"), result("c2")]
    both = [chat(4, counted[:1], calling(call("c1", 5), call("c2", 6))), chat(5, counted, model("done"))]
    assert told(*steps, *both, chat(6, [*asked, model("done"), user("n")], model("so"))) == []
    begun = chat(4, [*asked, model("done"), user("both")], counted[1])
    assert told(*steps, begun, chat(5, [*asked, model("done"), *counted], model("z"))) == []
    apart = [user("go"), calling(ONE, TWO), user("wait"), calling(TWO), result("c2")]
    assert kinds(chat(1, asked[:1], calling(ONE, TWO)), chat(2, apart, model("z"))) == ["answer_inserted"]
