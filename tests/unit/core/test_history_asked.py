"""Examples that a program writes before its question are no history, however they change; a history after them is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.core.history_alignment import Line
from recorder.core.history_asked import Asked
from recorder.core.messages import Message, TextPart
from tests.unit.core.test_history import ASK, HOLD, LAST, MORE, SYSTEM, TREND, asked, model, relations
from tests.unit.core.test_history_again import kinds

BEGINS = ("begins", None, [])
Said = list[tuple[str, str]]
LABELS = ["HOLD", "BUY", "SELL"]


def user(text: str) -> tuple[str, str]:
    return ("user", text)


def example(number: int, says: str = "HOLD") -> Said:
    return [user(f"example {number}"), model(says)]


@pytest.mark.parametrize(
    "requests",
    [
        pytest.param([[*example(1), *example(2), user(f"price {at}")] for at in range(4)], id="fixed"),
        pytest.param([[*example(at, "BUY"), *example(at + 1), user(f"price {at}")] for at in range(4)], id="nearest"),
        pytest.param([[*example(1, LABELS[at % 3]), user(f"price {at}")] for at in range(4)], id="other labels"),
        pytest.param(
            [[line for each in range(at) for line in example(each)] + [user(f"price {at}")] for at in range(4)],
            id="one more each time",
        ),
        pytest.param([[*example(at), ASK] for at in range(4)], id="the same question"),
        pytest.param([[*example(at), model("so"), ASK] for at in range(4)], id="two answers in a row"),
        pytest.param([[model(f"hello {at}"), user(f"price {at}")] for at in range(4)], id="a greeting"),
        pytest.param(
            [[user("learn"), *example(at), user(f"price {at}"), user("decide")] for at in range(4)], id="more lines"
        ),
    ],
)
@pytest.mark.parametrize("system", [[], [SYSTEM]])
@pytest.mark.parametrize("says", ["HOLD", "BUY", "because of the trend"])
def test_a_bot_with_examples_goes_on_from_nothing(requests: list[Said], system: Said, says: str) -> None:
    found = kinds(*(asked(number, *system, *sent, says=says) for number, sent in enumerate(requests, 1)))
    assert found == [BEGINS] * len(requests)


@given(st.data(), st.sampled_from([[], [SYSTEM]]), st.booleans())
def test_no_bot_with_examples_is_accused_of_anything(data: st.DataObject, system: Said, fixed: bool) -> None:
    """Whatever examples, whatever question; but no answer that was recorded is sent back, and no example is asked."""

    def examples() -> Said:
        drawn = st.lists(st.tuples(st.integers(1, 3), st.sampled_from(LABELS)), max_size=3)
        return [line for number, says in data.draw(drawn) for line in example(number, says)]

    always = examples()
    sent: list[Said] = []
    exchanges = []
    for number in range(1, data.draw(st.integers(2, 7)) + 1):
        question = [user(data.draw(st.sampled_from(["decide", "price 1", "price 2"])))]
        sent.append([*system, *(always if fixed else examples()), *question])
        end = data.draw(st.sampled_from(["stop", ""]))
        exchanges.append(asked(number, *sent[-1], says=data.draw(st.sampled_from(LABELS)), end=end))
    for at, (kind, of, findings) in enumerate(kinds(*exchanges)):
        again = sent[at] in sent[:at]
        assert (kind in ("regenerates", "retries"), kind == "begins", findings) == (again, not again, [])
        assert of is None or sent[of - 1] == sent[at]


@given(st.data(), st.integers(1, 3), st.sampled_from([[], [SYSTEM]]))
def test_a_chat_after_fixed_examples_is_gone_on_from_and_its_edits_are_found(
    data: st.DataObject, chats: int, system: Said
) -> None:
    said = [*system, *example(1), *example(2, "BUY")]
    exchanges, expected = [], []
    for chat in range(chats):
        history = list(said)
        for turn in range(data.draw(st.integers(1, 3))):
            history.append(user(f"question {chat} {turn}"))
            number = len(exchanges) + 1
            says = data.draw(st.sampled_from(LABELS))
            exchanges.append(asked(number, *history, says=says))
            expected.append(("continues", number - 1, []) if turn else None)
            history.append(model(says))
    found = kinds(*exchanges)
    assert [one for one, wanted in zip(found, expected, strict=True) if wanted] == [one for one in expected if one]
    assert not [findings for *_, findings in found if findings]
    places = [at for at, line in enumerate(history) if line[0] == "assistant" and at >= len(said)]
    place = data.draw(st.sampled_from(places))
    forged = [*history[:place], model("forged"), *history[place + 1 :], LAST]
    assert kinds(*exchanges, asked(99, *forged))[-1] == ("continues", len(exchanges), ["answer_edited"])


def test_where_something_was_gone_on_from_its_beginning_is_no_example() -> None:
    first, other = asked(1, *example(1), ASK), asked(2, *example(1), LAST)
    on = asked(3, *example(1), ASK, HOLD, MORE)
    assert kinds(first, other)[1] == BEGINS
    assert kinds(first, on, other)[2] == ("forks", 1, [])


def test_what_was_asked_and_is_answered_otherwise_is_no_example() -> None:
    first, second = asked(1, SYSTEM, ASK), asked(2, SYSTEM, ASK, HOLD, MORE, says="the trend")
    assert kinds(first, asked(2, SYSTEM, ASK, model("sell"), LAST))[1] == ("continues", 1, ["answer_edited"])
    assert kinds(first, second, asked(3, SYSTEM, *example(1), MORE, model("a hunch"), LAST))[2][:2] == ("continues", 2)
    assert kinds(first, second, asked(3, SYSTEM, user("so far: hold"), MORE, TREND, LAST))[2][:2] == ("continues", 2)


def test_where_answers_are_left_out_the_questions_tell_that_it_is_a_history() -> None:
    first, second = [asked(1, SYSTEM, *example(1), ASK), asked(2, SYSTEM, *example(1), ASK, HOLD, MORE, says="x")]
    left_out = asked(3, SYSTEM, *example(2), ASK, MORE, model("x"), LAST)
    assert kinds(first, second, left_out)[2][:2] == ("continues", 2)
    assert kinds(first, asked(2, SYSTEM, *example(1), ASK, LAST))[1] == ("continues", 1, ["answer_dropped"])
    assert kinds(first, asked(2, SYSTEM, *example(2), ASK, LAST))[1][:2] == ("continues", 1)


def test_a_forged_answer_with_which_a_window_begins_is_no_greeting() -> None:
    window = [asked(1, ASK), asked(2, HOLD, ("user", "two"), says="the trend"), asked(3, model("sell"), LAST)]
    assert kinds(*window[:2], asked(3, TREND, LAST))[2] == ("continues", 2, ["older_messages_dropped"])
    assert kinds(*window[:2], asked(3, SYSTEM, TREND, LAST))[2][:2] == ("continues", 2)
    assert kinds(*window)[2] == BEGINS  # it has nothing of the conversation in it
    assert "answer_edited" in kinds(*window[:2], asked(3, model("the end"), ("user", "two")))[2][2]


LONG = "Hold it, because the trend is up and the yield is what it was."


def test_a_long_answer_that_is_sent_back_is_the_one_that_was_given() -> None:
    found = kinds(asked(1, SYSTEM, ASK, says=LONG), asked(2, SYSTEM, user("sell?"), model(LONG), MORE))
    assert found[1] == ("continues", 1, ["message_edited"])
    found = kinds(asked(1, SYSTEM, ASK, says="HOLD"), asked(2, SYSTEM, user("sell?"), model("HOLD"), MORE))
    assert found[1] == BEGINS


def test_a_window_may_begin_anywhere() -> None:
    asking, known = Asked(), Line(b"a", Message("assistant", (TextPart("hold"),)), "exchange")
    lines = [Line(bytes([number]), Message("user")) for number in range(4)]
    asking.remember(lines[:3], 0, begins=True)
    unknown = Line(b"b", Message("assistant", (TextPart("sell"),)))
    for history, sent in [
        ([*lines[:3], unknown], True),
        ([*lines[1:3], unknown], True),
        ([lines[1], unknown], False),
        ([lines[3], *lines[:3], known], True),
        ([lines[3], *lines[:3], unknown], False),
        ([known], True),
        ([unknown], False),
        ([Line(b"s", Message("system")), *lines[:3], unknown], True),
    ]:
        assert asking.sends_back([*history, lines[3]], len(history)) is sent


@pytest.mark.parametrize("says", LABELS)
def test_an_example_that_changes_in_a_chat_is_no_answer_of_the_model(says: str) -> None:
    """Also where the model has answered with the same word."""
    first = asked(1, *example(1, says), ASK, says=says)
    chat = [ASK, model(says), MORE]
    other = example(1, "OTHER")
    for at, changed in ((1, other), (2, example(2, "OTHER")), (2, example(2, says))):
        found = kinds(first, asked(2, *changed, *chat, says=says), asked(3, *other, *chat, model(says), LAST))
        assert [(kind, of) for kind, of, _ in found[1:]] == [("continues", 1), ("continues", 2)]
        assert len(found[1][2]) == (1 if at == 1 or changed[1][1] == says else 2)
        assert {finding for *_, findings in found for finding in findings} == {"message_edited"}
    forged = kinds(first, asked(2, *example(1, says), ASK, model("forged"), MORE))[1]
    assert forged == ("continues", 1, ["answer_edited"])


def test_an_edited_answer_is_told_with_the_exchange_that_gave_it_there() -> None:
    chat = [ASK, model("HOLD"), MORE, model("HOLD"), LAST]
    exchanges = [asked(at, *chat[: 2 * at - 1], says="HOLD") for at in (1, 2, 3)]
    for place in (1, 3):
        sent = [*chat, model("HOLD"), user("four")]
        sent[place] = model("BUY")
        (fact,) = relations(*exchanges, asked(4, *sent))[3].findings
        assert f"exchange {exchanges[place // 2].id} answered assistant 'HOLD'" in fact.detail
