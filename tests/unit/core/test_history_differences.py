"""What differs, told as what it is: a summary with an acknowledgement stands for old turns, and edits none of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from recorder.core.exchange import fold
from recorder.core.rebuilt import Rebuilt
from recorder.dialects.rebuild import rebuild
from tests.building import ExchangeBuilder
from tests.unit.core.test_history import SYSTEM, asked, model, relations, told

MESSAGES = "https://api.example/v1/messages"
TURNS = [
    (
        ("user", f"question {number} on {number * 7}"),
        model(f"reply {number} as long as what nobody takes for an example"),
    )
    for number in range(4)
]


def grown() -> list[Rebuilt]:
    flat = [message for turn in TURNS for message in turn]
    return [asked(at + 1, SYSTEM, *flat[: 2 * at + 1], says=TURNS[at][1][1]) for at in range(len(TURNS))]


@pytest.mark.parametrize("acknowledged", ["Ok.", "Understood. I will go on from there."])
@pytest.mark.parametrize(
    "summary", ["[they spoke of prices]", "I spoke to you about many things: question 0, question 1"]
)
@pytest.mark.parametrize("kept", [1, 2])
def test_a_summary_and_its_acknowledgement_in_the_place_of_old_turns_edit_nothing(
    summary: str, acknowledged: str, kept: int
) -> None:
    before = grown()
    rest = [message for turn in TURNS[-kept:] for message in turn]
    compacted = asked(9, SYSTEM, ("user", summary), model(acknowledged), *rest, ("user", "question 9"))
    found = relations(*before, compacted)[-1]
    assert (found.kind, found.of) == ("continues", before[-1].id)
    assert sorted(told(found)) == ["answer_inserted", "message_inserted", "older_messages_dropped"]
    (older,) = [fact for fact in found.findings if fact.kind == "older_messages_dropped"]
    assert older.detail.startswith(f"{8 - 2 * kept} older messages, {4 - kept} of the model")


def test_an_answer_with_entirely_other_words_in_its_place_is_edited() -> None:
    before = grown()
    for place in range(4):
        history = [TURNS[at][0] if said == 0 else TURNS[at][1] for at in range(4) for said in (0, 1)]
        history[2 * place + 1] = model("Understood.")
        found = relations(*before, asked(9, SYSTEM, *history, ("user", "question 9")))[-1]
        assert told(found) == ["answer_edited"]


def test_an_answer_that_was_edited_where_older_ones_were_dropped_is_told() -> None:
    before = grown()
    edited = model("reply 1 as short as what nobody takes for an example")
    found = relations(*before, asked(9, SYSTEM, TURNS[1][0], edited, *TURNS[2], *TURNS[3], ("user", "question 9")))[-1]
    assert told(found) == ["older_messages_dropped", "answer_edited"]
    alone = relations(*before, asked(9, SYSTEM, model("Buy!"), *TURNS[2], *TURNS[3], ("user", "question 9")))[-1]
    assert "answer_edited" in told(alone)


def test_what_is_told_quotes_the_message_that_was_sent_and_not_one_that_says_the_same() -> None:
    def read(number: int, cleared: int) -> Rebuilt:
        messages: list[dict[str, Any]] = [{"role": "user", "content": "read the files"}]
        for at in range(number - 1):
            call = {"type": "tool_use", "id": f"toolu_{at}", "name": "read", "input": {"path": f"f{at}"}}
            text = "[cleared]" if at < cleared else f"content of file {at}"
            messages.append({"role": "assistant", "content": [call]})
            result = {"type": "tool_result", "tool_use_id": f"toolu_{at}", "content": text}
            messages.append({"role": "user", "content": [result]})
        answer = [
            {"type": "tool_use", "id": f"toolu_{number - 1}", "name": "read", "input": {"path": f"f{number - 1}"}}
        ]
        body = {"type": "message", "role": "assistant", "content": answer, "stop_reason": "tool_use"}
        built = ExchangeBuilder(number).request({"messages": messages}, url=MESSAGES, call=f"call-{number}")
        built.response(headers=[("content-type", "application/json")]).chunks(json.dumps(body).encode()).completed()
        exchange = fold(built.events)
        assert exchange is not None
        return rebuild(exchange)

    found = relations(read(1, 0), read(2, 0), read(3, 0), read(4, 1), read(5, 2))
    assert [[fact.detail for fact in one.findings] for one in found[3:]] == [
        [
            f"message {3 + 2 * at}: user '[tool result toolu_{at}] content of file {at}' became "
            f"user '[tool result toolu_{at}] [cleared]'"
        ]
        for at in (0, 1)
    ]


ASK, GO_ON, NEXT = ("user", "tell a long tale"), ("user", "continue"), ("user", "thanks")
PIECES = ["Once upon a time there was", " a king who ruled", " and ruled until he died."]


@pytest.mark.parametrize("between", ["", " ", "\n"])
@pytest.mark.parametrize("count", [2, 3])
def test_answers_that_were_too_long_and_are_sent_back_as_one_are_not_edited(between: str, count: int) -> None:
    exchanges, history = list[Rebuilt](), [ASK]
    for at in range(count):
        end = "length" if at < count - 1 else "stop"
        exchanges.append(asked(at + 1, SYSTEM, *history, says=PIECES[at], end=end))
        history += [model(PIECES[at]), GO_ON]
    joined = asked(9, SYSTEM, ASK, model(between.join(PIECES[:count])), NEXT)
    found = relations(*exchanges, joined)[-1]
    assert (found.kind, found.of) == ("continues", exchanges[-1].id)
    assert told(found) == ["message_dropped"] * (count - 1)


@pytest.mark.parametrize("said", ["Once upon a time there was a queen who ruled", "Once upon a time a king who ruled"])
def test_what_has_other_words_than_both_answers_is_edited(said: str) -> None:
    first = asked(1, SYSTEM, ASK, says=PIECES[0], end="length")
    second = asked(2, SYSTEM, ASK, model(PIECES[0]), GO_ON, says=PIECES[1])
    assert "answer_edited" in told(relations(first, second, asked(3, SYSTEM, ASK, model(said), NEXT))[2])


def test_whole_answers_that_are_sent_back_as_one_are_edited() -> None:
    first = asked(1, SYSTEM, ASK, says=PIECES[0])
    second = asked(2, SYSTEM, ASK, model(PIECES[0]), GO_ON, says=PIECES[1])
    joined = asked(3, SYSTEM, ASK, model("".join(PIECES[:2])), NEXT)
    assert "answer_edited" in told(relations(first, second, joined)[2])
