"""Threads say what group says, of any set of exchanges; and in which order, and how often each is extended."""

from __future__ import annotations

import sys
import uuid
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from recorder.core.conversation import Turn, group, turn_of
from recorder.core.kept_histories import KeptHistory
from recorder.core.messages import Message, TextPart
from recorder.core.threads import Placed, Threads

IDS = [str(uuid.UUID(int=number << 64 | 0x7 << 76)) for number in range(40)]
OPENED = [str(uuid.UUID(int=number << 70)) for number in range(1, 5)]


def said(role: str, text: str) -> Message:
    return Message(role, (TextPart(text),))


@st.composite
def sets_of_turns(draw: st.DrawFn) -> list[Turn]:
    """Exchanges that go on from each other, and from nothing, in and out of conversations that were opened."""
    texts = st.sampled_from("ab")
    turns: list[Turn] = []
    names = st.sampled_from([None, None, b"r1".ljust(16), b"r2".ljust(16), b"r3".ljust(16)])
    joined = st.sampled_from([None, None, b"c".ljust(16)])
    kept = st.one_of(
        st.builds(KeptHistory, names, joined, names, item=names),
        st.builds(KeptHistory, answer=names, refers=names, item=names),
        st.builds(KeptHistory, answer=names, resends=names, item=names),
    )
    histories: list[list[Message]] = [[]]
    for number in range(draw(st.integers(0, 14))):
        asked = [
            *draw(st.sampled_from(histories)),
            *(said("user", draw(texts)) for _ in range(draw(st.integers(0, 2)))),
        ]
        answers = [said("assistant", draw(st.sampled_from(["a", "b", "ab"]))) for _ in range(draw(st.integers(0, 2)))]
        histories += [[*asked, answer] for answer in answers]
        histories += [[*asked, *(said("assistant", piece) for piece in answer.text)] for answer in answers]
        opening = draw(st.sampled_from([None, None, *OPENED]))
        facts = {
            "call": draw(st.sampled_from([None, "c1", "c2", "c3"])),
            "attempt": draw(st.integers(1, 3)),
            "opening": opening,
            "name": None if opening is None else {OPENED[0]: "desk", OPENED[1]: "desk", OPENED[2]: "x"}.get(opening),
            "kept": draw(kept),
        }
        turns.append(turn_of(IDS[number], draw(st.integers(0, 6)), asked, answers, **facts))
    return turns


def threads(turns: list[Turn], openings: dict[str, str | None] | None = None) -> Threads:
    return Threads(sorted(turns, key=lambda turn: (turn.started_ns, turn.id)), openings or {})


@given(sets_of_turns(), st.sampled_from([{}, {OPENED[0]: "desk", OPENED[3]: "x"}]))
def test_what_group_says_of_each_exchange_in_its_order(turns: list[Turn], openings: dict[str, str | None]) -> None:
    expected = [
        (exchange, conversation.id, conversation.name, conversation.parents.get(exchange))
        for conversation in group(turns, openings)
        for exchange in conversation.exchanges
    ]
    extended = Counter(parent for *_, parent in expected)
    found = list(threads(turns, openings).in_order())
    assert [(str(uuid.UUID(bytes=one.id)), *one[1:4]) for one in found] == expected
    assert [one.extended_by for one in found] == [extended[str(uuid.UUID(bytes=one.id))] for one in found]


@given(sets_of_turns(), st.sets(st.sampled_from(IDS)))
def test_conversations_come_by_the_first_that_is_chosen_of_each(turns: list[Turn], chosen: set[str]) -> None:
    made = threads(turns)
    wanted = {uuid.UUID(one).bytes for one in chosen}
    some = list(made.in_order(made.numbers(wanted)))
    age = {turn.id: at for at, turn in enumerate(sorted(turns, key=lambda turn: (turn.started_ns, turn.id)))}
    every = [(one, age[str(uuid.UUID(bytes=one.id))]) for one in made.in_order()]
    began = {one.conversation: at for one, at in reversed(every) if one.id in wanted}
    rest = [(began[one.conversation], at, one) for one, at in every if one.conversation in began]
    rest.sort(key=lambda each: each[:2])
    assert [one[:4] for one in some] == [one[:4] for *_, one in rest if one.id in wanted]
    last = {one.conversation: at for _, at, one in rest if one.id in wanted}
    walked = [(*one[:4], one.chosen) for one in made.in_order(made.numbers(wanted), earlier=True)]
    assert walked == [(*one[:4], one.id in wanted) for _, at, one in rest if at <= last[one.conversation]]
    extended = Counter(one.parent for one in some)
    assert [one.extended_by for one in some] == [extended[str(uuid.UUID(bytes=one.id))] for one in some]


def test_nothing_is_in_no_conversation() -> None:
    assert list(Threads([], {}).in_order()) == []
    assert list(Threads([], {OPENED[0]: "desk"}).in_order()) == []


def test_an_exchange_says_where_it_stands() -> None:
    first = turn_of(IDS[1], 1, [said("user", "q")], [said("assistant", "a")], opening=OPENED[1], name="desk")
    second = turn_of(IDS[2], 2, [said("user", "q"), said("assistant", "a"), said("user", "r")], [])
    asked = [Placed(uuid.UUID(IDS[1]).bytes, OPENED[0], "desk", None, 1)]
    asked += [Placed(uuid.UUID(IDS[2]).bytes, OPENED[0], "desk", IDS[1], 0)]
    assert list(threads([first, second], {OPENED[0]: "desk"}).in_order()) == asked


def test_little_is_kept_of_an_exchange() -> None:
    """Less than 150 bytes in all; one object alone would take as much."""
    asked, answers = [said("user", "q")], [said("assistant", "a")]
    turns = [turn_of(one, at, asked, answers, call=one) for at, one in enumerate(IDS)]
    made = threads(turns)
    kept = [value for each in (made, made._by_id, made._by_answer, made._by_call) for value in vars(each).values()]
    sizes = {id(value): sys.getsizeof(value) for value in kept if hasattr(value, "__len__") and value is not made}
    assert sum(sizes.values()) < 150 * len(turns) + 3000
