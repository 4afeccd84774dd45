"""Grouping by what requests name: an answer that the provider keeps, or a conversation of the provider's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from recorder.core.conversation import Conversation, Turn, group, turn_of
from recorder.core.grouping import cut_circles
from recorder.core.kept_histories import KeptHistory
from recorder.core.messages import Message, TextPart


def said(role: str, text: str) -> Message:
    return Message(role, (TextPart(text),))


def key(name: str | None) -> bytes | None:
    return None if name is None else name.encode().ljust(16, b".")


def turn(
    number: int, asks: str, *, on: str | None = None, joins: str | None = None, gives: str | None = None, **facts: Any
) -> Turn:
    """An exchange that answers where it *gives* an id."""
    items = {name: key(facts.pop(name, None)) for name in ("refers", "resends", "item")}
    kept = KeptHistory(key(on), key(joins), key(gives), **items)
    answers = [said("assistant", f"to {asks}")] if gives else []
    return turn_of(f"e{number}", facts.pop("at", number), [said("user", asks)], answers, kept=kept, **facts)


def parents(turns: Sequence[Turn]) -> dict[str, str]:
    (conversation,) = group(turns)
    return dict(conversation.parents)


def test_it_is_in_the_conversation_of_the_answer_that_it_names() -> None:
    chain = [turn(1, "a", gives="r1"), turn(2, "b", on="r1", gives="r2"), turn(3, "c", on="r2", gives="r3")]
    other = turn(4, "a", gives="r4")
    assert group([*reversed(chain), other]) == [
        Conversation("e1", None, ("e1", "e2", "e3"), {"e2": "e1", "e3": "e2"}),
        Conversation("e4", None, ("e4",)),
    ]


def test_two_that_name_one_answer_fork_and_a_retry_is_beside_what_failed() -> None:
    root, one, failed = turn(1, "a", gives="r1"), turn(2, "b", on="r1", gives="r2"), turn(3, "c", on="r1")
    again = turn(4, "c", on="r1", gives="r4")
    assert parents([again, failed, one, root]) == {"e2": "e1", "e3": "e1", "e4": "e1"}


def test_a_parent_that_was_imported_after_its_child_is_its_parent() -> None:
    child, grandchild = turn(1, "b", on="r1", gives="r2"), turn(2, "c", on="r2")
    root = turn(3, "a", gives="r1")
    assert group([child, grandchild, root]) == [Conversation("e3", None, ("e1", "e2", "e3"), {"e1": "e3", "e2": "e1"})]


def test_those_that_name_what_nobody_recorded_are_together() -> None:
    one, two, far = turn(1, "b", on="r1", gives="r2"), turn(2, "c", on="r1"), turn(3, "c", on="r9")
    assert group([two, one, far]) == [Conversation("e1", None, ("e1", "e2")), Conversation("e3", None, ("e3",))]


def test_of_an_id_that_was_given_often_the_last_one_before_counts() -> None:
    """As servers in tests do it: every answer has the same id."""
    turns = [turn(1, "a", gives="r"), *(turn(number, "b", on="r", gives="r") for number in (2, 3, 4))]
    assert parents(turns) == {"e2": "e1", "e3": "e2", "e4": "e3"}


def test_what_names_its_own_answer_goes_on_from_nothing() -> None:
    assert group([turn(1, "a", on="r", gives="r")]) == [Conversation("e1", None, ("e1",))]


def test_a_circle_ends_with_the_first_that_was_sent() -> None:
    assert parents([turn(1, "a", on="r2", gives="r1"), turn(2, "b", on="r1", gives="r2")]) == {"e2": "e1"}


def test_a_whole_history_first_and_then_ids_and_the_other_way_round() -> None:
    first = turn(1, "a", gives="r1")
    history = [said("user", "a"), said("assistant", "to a"), said("user", "b")]
    whole = turn_of("e2", 2, history, [said("assistant", "to b")], kept=KeptHistory(answer=key("r2")))
    named = turn(3, "c", on="r2", gives="r3")
    assert parents([named, whole, first]) == {"e2": "e1", "e3": "e2"}
    # The same words to which nothing is known from before are no beginning that others extend.
    question = turn_of("e4", 4, [said("user", "c"), said("assistant", "to c"), said("user", "d")], [])
    assert [conversation.id for conversation in group([named, whole, first, question])] == ["e1", "e4"]


def test_a_request_without_messages_goes_on_from_what_it_names() -> None:
    bare = turn_of("e2", 2, [], [said("assistant", "b")], kept=KeptHistory(key("r1"), answer=key("r2")))
    assert parents([turn(1, "a", gives="r1"), bare, turn(3, "c", on="r2")]) == {"e2": "e1", "e3": "e2"}


def test_exchanges_of_one_conversation_of_the_providers_are_one_in_their_order() -> None:
    turns = [turn(1, "a", joins="c"), turn(2, "a", joins="c", gives="r2"), turn(3, "b", joins="c")]
    turns += [turn(4, "b", joins="c", gives="r4"), turn(5, "x", joins="d", gives="r5"), turn(6, "c", joins="c")]
    assert group(reversed(turns)) == [
        Conversation("e1", None, ("e1", "e2", "e3", "e4", "e6"), {"e3": "e2", "e4": "e2", "e6": "e4"}),
        Conversation("e5", None, ("e5",)),
    ]


def test_a_named_conversation_keeps_what_was_sent_in_it_and_what_goes_on_from_there() -> None:
    desk = {"opening": "o1", "name": "desk"}
    turns = [turn(1, "a", gives="r1"), turn(2, "b", on="r1", gives="r2", **desk), turn(3, "c", on="r2", gives="r3")]
    turns += [turn(4, "d", on="r1"), turn(5, "e", on="r3", **desk), turn(6, "f", joins="c", gives="r6", **desk)]
    turns += [turn(7, "g", joins="c")]
    assert group(turns) == [
        Conversation("e1", None, ("e1", "e4"), {"e4": "e1"}),
        Conversation("o1", "desk", ("e2", "e3", "e5", "e6", "e7"), {"e3": "e2", "e5": "e3", "e7": "e6"}),
    ]


def test_within_a_named_conversation_an_id_that_was_given_twice_is_that_of_there() -> None:
    desk = {"opening": "o1", "name": "desk"}
    turns = [turn(1, "a", gives="r", **desk), turn(2, "x", gives="r"), turn(3, "b", on="r", **desk)]
    assert [conversation.parents for conversation in group(turns)] == [{"e3": "e1"}, {}]


def test_one_that_refers_to_an_item_goes_on_from_whose_answer_it_is() -> None:
    """Whatever else its messages begin with: it does not send the answers between."""
    first, other = turn(1, "a", gives="r1", item="m1"), turn(2, "a", gives="r2", item="m2")
    on, fork = turn(3, "a", refers="m1", gives="r3", item="m3"), turn(4, "b", refers="m1")
    assert group([fork, on, other, first]) == [
        Conversation("e1", None, ("e1", "e3", "e4"), {"e3": "e1", "e4": "e1"}),
        Conversation("e2", None, ("e2",)),
    ]
    unknown = [turn(5, "x", refers="m9"), turn(6, "y", refers="m9")]
    assert [thread.exchanges for thread in group(unknown)] == [("e5", "e6")]


def test_what_is_sent_back_counts_before_the_id_that_it_has() -> None:
    first, last = turn(1, "a", gives="r1", item="m"), turn(2, "b", gives="r2", item="m")
    for said_back, parent in (("to a", "e1"), ("edited", "e2")):
        history = [said("user", "a"), said("assistant", said_back), said("user", "c")]
        on = turn_of("e3", 3, history, [], kept=KeptHistory(resends=key("m")))
        assert {child: one for thread in group([first, last, on]) for child, one in thread.parents.items()} == {
            "e3": parent
        }


def test_attempts_of_one_call_stay_together() -> None:
    root, first = turn(1, "a", gives="r1"), turn(2, "b", on="r1", call="c", attempt=1)
    second = turn(3, "b", on="r1", gives="r3", call="c", attempt=2)
    on = turn(4, "c", on="r3")
    assert parents([root, second, first, on]) == {"e2": "e1", "e3": "e1", "e4": "e3"}


def test_long_chains_and_large_conversations_cost_little() -> None:
    many = 20_000
    chain = [turn(number, "go on", on=f"r{number - 1}", gives=f"r{number}", at=many - number) for number in range(many)]
    assert len(parents(chain)) == many - 1
    joined = [turn(number, "go on", joins="c", gives=f"r{number}") for number in range(many)]
    assert parents(joined) == {f"e{number}": f"e{number - 1}" for number in range(1, many)}


@st.composite
def exchanges(draw: st.DrawFn) -> list[Turn]:
    """Exchanges that name each other, ids that nobody gave, conversations and themselves."""
    ids = st.sampled_from([None, "r0", "r1", "r2", "r3"])
    referring = st.sampled_from([(None, None), ("r0", None), ("r1", None), (None, "r2"), (None, "r1")])
    found: list[Turn] = []
    for number in range(draw(st.integers(1, 9))):
        opening = draw(st.sampled_from([None, None, None, "o1", "o2"]))
        on = draw(ids)
        found.append(
            turn(
                number,
                draw(st.sampled_from("ab")),
                on=on,
                joins=draw(st.sampled_from([None, "c", "d"])) if on is None else None,
                gives=draw(ids),
                **(dict(zip(("refers", "resends"), draw(referring), strict=True)) if on is None else {}),
                item=draw(ids),
                at=draw(st.integers(0, 4)),
                opening=opening,
                call=draw(st.sampled_from([None, None, "k"])),
                attempt=draw(st.integers(1, 3)),
            )
        )
    return found


@given(st.data())
def test_the_result_depends_on_the_set_only_and_is_a_forest(data: st.DataObject) -> None:
    turns = data.draw(exchanges())
    conversations = group(turns)
    assert group(data.draw(st.permutations(turns))) == conversations
    placed = [exchange for conversation in conversations for exchange in conversation.exchanges]
    assert sorted(placed) == sorted(one.id for one in turns)
    for conversation in conversations:
        for child in conversation.parents:
            assert conversation.parents[child] in conversation.exchanges
            seen, at = {child}, conversation.parents.get(child)
            while at is not None:
                assert at not in seen
                seen.add(at)
                at = conversation.parents.get(at)


def test_each_circle_loses_the_link_of_its_first_leader() -> None:
    links = [2, 0, 1, 2, 5, -1, 3]
    cut_circles(links, range(7))
    assert links == [-1, 0, 1, 2, 5, -1, 3]
    links, leaders = [-1, 0, 1, 4, 3], [1, 1, 2, 3, 4]  # the first is with the second, which goes on from it
    cut_circles(links, leaders)
    assert links == [-1, -1, 1, -1, 3]
