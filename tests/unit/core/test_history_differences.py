"""What differs, told as what it is: a summary with an acknowledgement stands for old turns, and edits none of them."""

from __future__ import annotations

import pytest

from recorder.core.rebuilt import Rebuilt
from tests.unit.core.test_history import SYSTEM, asked, model, relations, told

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
