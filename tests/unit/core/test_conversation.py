"""Threading: named, found by itself, forks, attempts; the order of what is given does not matter."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.core.conversation import Conversation, Turn, answer_key, group, thread_keys, turn_of
from recorder.core.messages import Message, ReasoningPart, RefusalPart, TextPart, ToolCallPart
from recorder.dialects.openai_choice import read_message


def user(text: str) -> Message:
    return Message("user", (TextPart(text),))


def said(text: str) -> Message:
    return Message("assistant", (TextPart(text),))


def turn(identity: str, started: int, messages: list[Message], *answers: Message, **facts: Any) -> Turn:
    return turn_of(identity, started, messages, answers, **facts)


def only(conversations: list[Conversation]) -> Conversation:
    (conversation,) = conversations
    return conversation


def test_keys_of_every_prefix() -> None:
    long = [user("a"), said("b"), user("c")]
    assert thread_keys(long)[:2] == thread_keys(long[:2])
    assert len({*thread_keys(long), *thread_keys([user("b")])}) == 4
    assert all(len(key) == 16 for key in thread_keys(long))
    assert thread_keys([]) == []


def test_the_key_of_an_answer_is_the_prefix_of_what_goes_on_from_it() -> None:
    assert answer_key([user("a")], said("b")) == thread_keys([user("a"), said("b"), user("c")])[1]
    assert answer_key([], said("b")) == thread_keys([said("b")])[0]
    assert answer_key([user("a")], Message(None, (TextPart("b"),))) == answer_key([user("a")], said("b"))


@pytest.mark.parametrize("answer", [Message("assistant"), said(" \n"), Message("assistant", (ReasoningPart("hm"),))])
def test_an_answer_without_text_and_calls_has_no_key(answer: Message) -> None:
    assert answer_key([user("a")], answer) is None


CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"b": 1, "a": 2.0}'}}


@pytest.mark.parametrize(
    ("answer", "sent_back"),
    [
        (said("  text\n"), {"role": "assistant", "content": "text"}),
        (
            said("text"),
            {"role": "assistant", "content": [{"type": "text", "text": "te"}, {"type": "text", "text": "xt"}]},
        ),
        (said("<think>hm\n</think>\n\ntext"), {"role": "assistant", "content": "text"}),
        (Message("assistant", (ReasoningPart("hm"), TextPart("text"))), {"role": "assistant", "content": "text"}),
        (
            Message("assistant", (TextPart("text"), RefusalPart("no"))),
            {"role": "assistant", "content": "text", "refusal": None, "annotations": []},
        ),
        (
            Message("assistant", (ToolCallPart('{"a":2.0,"b":1}', "call_1", "f", complete=True, arguments={}),)),
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
        ),
        (
            Message("assistant", (ToolCallPart(" {broken", None, "f"),)),
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [{"id": "x", "function": {"name": "f", "arguments": "{broken"}}],
            },
        ),
    ],
)
def test_an_answer_is_compared_as_a_client_sends_it_back(answer: Message, sent_back: dict[str, Any]) -> None:
    assert answer_key([user("a")], answer) == thread_keys([user("a"), read_message(sent_back), user("c")])[1]


def test_a_call_without_arguments_is_sent_back_with_an_empty_object() -> None:
    streamed = Message("assistant", (ToolCallPart("", "t", "now", complete=True, arguments={}),))
    back = Message("assistant", (ToolCallPart("{}", "t", "now", complete=True, arguments={}),))
    other = Message("assistant", (ToolCallPart('{"a":{}}', "t", "now", complete=True, arguments={"a": {}}),))
    assert answer_key([user("a")], streamed) == answer_key([user("a")], back)
    assert answer_key([user("a")], other) != answer_key([user("a")], back)


@pytest.mark.parametrize("answered", ["", " ", "{}"])
@pytest.mark.parametrize("sent_back", ["", "{}", "{ }"])
def test_a_call_without_arguments_is_one_call_however_it_is_written(answered: str, sent_back: str) -> None:
    """OpenAI's dialect sends an empty text, streamed or not, and does not say that it stands for an object."""

    def said(arguments: str) -> Message:
        call = {"id": "t", "type": "function", "function": {"name": "now", "arguments": arguments}}
        return read_message({"role": "assistant", "content": None, "tool_calls": [call]})

    assert answer_key([user("a")], said(answered)) == thread_keys([user("a"), said(sent_back), user("c")])[1]
    assert answer_key([user("a")], said(answered)) != answer_key([user("a")], said("{"))
    assert answer_key([user("a")], said(answered)) != answer_key([user("a")], said('{"a": 1}'))


@pytest.mark.parametrize(
    ("arguments", "sent_back", "same"),
    [
        ('{"q": 2.50}', '{"q":2.5}', True),
        ('{"q": 1.0}', '{"q": 1}', True),
        ('{"q": 1e2, "e": 0.00}', '{"e": -0, "q": 100}', True),
        ('{"q": 12345678901234567890.10}', '{"q": 1.23456789012345678901E19}', True),
        ('{"q": "\\u00e9"}', '{"q": "é"}', True),
        ("1e400", "10e399", True),
        ('{"q": 1.000000000000000001}', '{"q": 1.000000000000000099}', False),
        ('{"q": 1.000000000000000001}', '{"q": 1.0}', False),
        ('{"q": 100000000000000000.01}', '{"q": 100000000000000007.01}', False),
        ('{"q": 12345678901234567890}', '{"q": 12345678901234567891}', False),
        ("1e400", "1e401", False),
        ('{"q": 1}', '{"q": true}', False),
        ('{"q": 1}', '{"q": "1"}', False),
        ('"{broken"', "{broken", False),
        ("1e99999999999999999999", "1e99999999999999999998", False),
    ],
)
def test_arguments_are_compared_as_values_to_the_last_digit(arguments: str, sent_back: str, *, same: bool) -> None:
    answer, other = (Message("assistant", (ToolCallPart(text, "call_1", "f"),)) for text in (arguments, sent_back))
    assert (answer_key([user("a")], answer) == answer_key([user("a")], other)) is same


@pytest.mark.parametrize(
    "other",
    [
        user("text"),
        said("Text"),
        said("text <think>x</think>"),
        Message("assistant", (TextPart("text"), ToolCallPart("{}", "c", "f"))),
    ],
)
def test_what_differs_has_another_key(other: Message) -> None:
    assert answer_key([user("a")], other) != answer_key([user("a")], said("text"))


def test_a_request_that_extends_belongs_to_what_it_extends() -> None:
    first = turn("e1", 1, [user("a")], said("b"))
    second = turn("e2", 2, [user("a"), said("b"), user("c")], said("d"))
    third = turn("e3", 3, [user("a"), said("b"), user("c"), said("d"), user("e")], said("f"))
    other = turn("e4", 4, [user("z")], said("b"))
    assert group([third, other, first, second]) == [
        Conversation("e1", None, ("e1", "e2", "e3"), {"e2": "e1", "e3": "e2"}),
        Conversation("e4", None, ("e4",)),
    ]


def test_forks_make_a_tree() -> None:
    root = turn("e1", 1, [user("a")], said("b"), said("b2"))
    left = turn("e2", 2, [user("a"), said("b"), user("left")], said("x"))
    right = turn("e3", 3, [user("a"), said("b2"), user("right")], said("y"))
    more = turn("e4", 4, [user("a"), said("b"), user("left"), said("x"), user("!")])
    conversation = only(group([root, left, right, more]))
    assert conversation.parents == {"e2": "e1", "e3": "e1", "e4": "e2"}


def test_of_equal_candidates_the_last_before_it_is_extended() -> None:
    same = [turn(f"e{number}", number, [user("a")], said("b")) for number in (1, 3, 5)]
    later = turn("e4", 4, [user("a"), said("b"), user("c")])
    assert [conversation.parents for conversation in group([*same, later])] == [{}, {"e4": "e3"}, {}]
    # clocks of two machines: nothing began before it
    early = turn("e0", 0, [user("a"), said("b"), user("c")])
    assert only(group([same[0], early])).parents == {"e0": "e1"}


def test_the_longest_prefix_wins() -> None:
    short = turn("e1", 1, [user("a")], said("b"))
    long = turn("e2", 2, [user("a"), said("b"), user("c")], said("d"))
    pasted = turn("e3", 3, [user("a"), said("b"), user("c"), said("d"), user("e")])
    assert only(group([short, long, pasted])).parents["e3"] == "e2"


def test_openings_of_one_name_are_one_conversation_with_the_smallest_id() -> None:
    one = turn("e1", 1, [user("a")], said("b"), opening="o2", name="desk")
    two = turn("e2", 2, [user("z")], said("y"), opening="o1", name="desk")
    three = turn("e3", 3, [user("q")], opening="o3", name="other")
    unnamed = turn("e4", 4, [user("q")], opening="o4")
    assert group([one, two, three, unnamed], {"o0": "desk", "o9": "empty", "o8": None}) == [
        Conversation("o0", "desk", ("e1", "e2")),
        Conversation("o3", "other", ("e3",)),
        Conversation("o4", None, ("e4",)),
        Conversation("o8", None, ()),
        Conversation("o9", "empty", ()),
    ]


def test_a_named_exchange_stays_where_it_was_sent_and_what_extends_it_follows() -> None:
    loose = turn("e1", 1, [user("a")], said("b"))
    named = turn("e2", 2, [user("a"), said("b"), user("c")], said("d"), opening="o1", name="desk")
    follows = turn("e3", 3, [user("a"), said("b"), user("c"), said("d"), user("e")])
    assert group([loose, named, follows]) == [
        Conversation("e1", None, ("e1",)),
        Conversation("o1", "desk", ("e2", "e3"), {"e3": "e2"}),
    ]


def test_attempts_of_one_call_stay_together() -> None:
    root = turn("e1", 1, [user("a")], said("b"), call="c1")
    question = [user("a"), said("b"), user("c")]
    failed = turn("e2", 2, question, call="c2", attempt=1)
    retried = turn("e3", 3, question, said("d"), call="c2", attempt=2)
    redirected = turn("e4", 4, [], call="c2", attempt=3)
    alone = turn("e5", 5, [], call="c5")
    assert group([retried, redirected, failed, alone, root]) == [
        Conversation("e1", None, ("e1", "e2", "e3", "e4"), {"e2": "e1", "e3": "e1", "e4": "e1"}),
        Conversation("e5", None, ("e5",)),
    ]
    first, second = turn("f1", 1, [user("n")], call="c"), turn("f2", 2, [user("n")], said("x"), call="c", attempt=2)
    assert group([second, first]) == [Conversation("f1", None, ("f1", "f2"))]


def test_attempts_that_say_other_things_are_placed_by_what_they_say() -> None:
    """However odd the attempts of one call, nothing goes in circles."""
    a1 = turn("a1", 1, [user("1"), said("2"), user("3"), said("4"), user("5")], call="c", attempt=1)
    a2 = turn("a2", 2, [user("1")], said("2"), call="c", attempt=2)
    b = turn("b", 3, [user("1"), said("2"), user("3")], said("4"))
    assert only(group([a1, a2, b])) == Conversation("a2", None, ("a1", "a2", "b"), {"a1": "b", "b": "a2"})


def test_an_answer_to_no_messages_joins_nothing() -> None:
    assert turn("e1", 1, [], said("b")).answers == ()


@st.composite
def histories(draw: st.DrawFn) -> list[Turn]:
    """Exchanges that go on from each other at random, some in named conversations, some retried."""
    sent: list[tuple[list[Message], Message]] = [([user("0")], said("0"))]
    turns: list[Turn] = []
    for number in range(draw(st.integers(1, 12))):
        base, answer = sent[draw(st.integers(0, len(sent) - 1))]
        question = [*base, answer, user(draw(st.sampled_from("xy")))] if draw(st.booleans()) else [user("0")]
        reply = said(draw(st.sampled_from("pq")))
        sent.append((question, reply))
        opening = draw(st.sampled_from([None, None, "o1", "o2"]))
        call = draw(st.sampled_from([None, None, "c1"]))
        turns.append(
            turn(
                f"e{number:02}",
                number,
                question,
                reply,
                opening=opening,
                name="n" if opening == "o1" else None,
                call=call,
                attempt=number,
            )
        )
    return turns


@given(st.data())
def test_the_result_depends_on_the_set_only_and_is_a_forest(data: st.DataObject) -> None:
    turns = data.draw(histories())
    conversations = group(turns)
    shuffled = data.draw(st.permutations(turns))
    assert group(shuffled) == conversations
    placed = [exchange for conversation in conversations for exchange in conversation.exchanges]
    assert sorted(placed) == sorted(one.id for one in turns)
    lengths = {one.id: len(one.keys) for one in turns}
    for conversation in conversations:
        for child, parent in conversation.parents.items():
            assert parent in conversation.exchanges
            assert lengths[parent] < lengths[child]


def test_an_answer_that_is_sent_back_in_pieces_is_extended() -> None:
    call = Message("assistant", (ToolCallPart("{}", "c", "f"),))
    first = turn("e1", 1, [user("a")], Message("assistant", (TextPart("b c"), *call.parts)))
    second = turn("e2", 2, [user("a"), said("b"), said(" c"), call, user("d")], said("e"))
    third = turn("e3", 3, [user("a"), said("b"), said(" c"), call, user("d"), said("e"), user("f")])
    assert only(group([first, second, third])).parents == {"e2": "e1", "e3": "e2"}


@pytest.mark.parametrize("begun", [["b"], ["b", "b"], ["b", "b", "b"]])
@pytest.mark.parametrize("started", [1, 3])
def test_an_answer_that_the_program_began_and_sends_back_as_one_makes_no_circle(begun: list[str], started: int) -> None:
    """It has no more messages than the request that it extends, and may have fewer."""
    first = turn("e2", 2, [user("a"), *map(said, begun)], said("c"))
    whole = turn("e9", started, [user("a"), said("".join(begun) + "c"), user("d")], said("e"))
    bare = turn("e8", started, [user("a"), said("".join(begun) + "c")], said("e"))
    for turns in ([first, whole], [whole, first], [first, bare], [bare, first]):
        conversations = group(turns)
        assert sorted(one for conversation in conversations for one in conversation.exchanges) == sorted(
            one.id for one in turns
        )
        assert all(parent == "e2" for conversation in conversations for parent in conversation.parents.values())


def test_long_conversations_cost_linear_look_ups() -> None:
    messages: list[Message] = []
    turns = []
    for number in range(150):
        messages = [*messages, user(f"q{number}")]
        turns.append(turn(f"e{number:04}", number, messages, said(f"a{number}")))
        messages = [*messages, said(f"a{number}")]
    assert len(only(group(turns)).parents) == 149
