"""Tool calls in every shape they are sent in."""

from __future__ import annotations

from typing import Any

import pytest

from recorder.core.messages import Answer, ToolCallPart
from tests.building import delta
from tests.unit.dialects.answers import kinds
from tests.unit.dialects.chat import streamed


def entry(
    index: int | None = 0, identity: str | None = None, name: str | None = None, arguments: Any = None
) -> dict[str, Any]:
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    made: dict[str, Any] = {"function": function}
    if index is not None:
        made["index"] = index
    if identity is not None:
        made["id"] = identity
    return made


def called(*chunks: list[dict[str, Any]], finish: str | None = "tool_calls", done: bool = True) -> Answer:
    deltas = [delta(tool_calls=entries) for entries in chunks]
    return streamed(*deltas, *([delta(finish=finish)] if finish else []), done=done)


def calls(answer: Answer) -> list[tuple[str | None, str | None, str]]:
    return [(call.id, call.name, call.arguments_text) for call in answer.choices[0].message.tool_calls]


def only(answer: Answer) -> ToolCallPart:
    (call,) = answer.choices[0].message.tool_calls
    return call


def test_fragments_interleaved_by_index() -> None:
    answer = called(
        [entry(0, "a", "buy", "")],
        [entry(1, "b", "sell", "")],
        [entry(0, arguments='{"q":')],
        [entry(1, arguments="{}"), entry(0, arguments="1}")],
    )
    assert calls(answer) == [("a", "buy", '{"q":1}'), ("b", "sell", "{}")]
    first = answer.choices[0].message.tool_calls[0]
    assert (first.complete, first.arguments, first.index) == (True, {"q": 1}, 0)
    assert kinds(answer) == []


def test_same_index_with_another_id_is_another_call() -> None:
    answer = called([entry(0, "a", "buy", '{"q":1}')], [entry(0, "b", "buy", '{"q":')], [entry(0, arguments="2}")])
    assert calls(answer) == [("a", "buy", '{"q":1}'), ("b", "buy", '{"q":2}')]
    assert kinds(answer) == ["tool_index_reused"]


def test_calls_that_alternate_under_one_index_are_told_apart_by_their_ids() -> None:
    answer = called(
        [entry(0, "a", "buy", '{"q":')],
        [entry(0, "b", "sell", '{"p":')],
        [entry(0, "a", None, "1")],
        [entry(0, None, None, "2}")],  # the last that had the index goes on
        [entry(0, "b", "sell", "3}")],
        [entry(1, "a", "hold", "{}")],  # the same id under another index is another call
    )
    assert calls(answer) == [("a", "buy", '{"q":12}'), ("b", "sell", '{"p":3}'), ("a", "hold", "{}")]
    assert [call.complete for call in answer.choices[0].message.tool_calls] == [True, True, True]
    assert kinds(answer) == ["tool_index_reused", "tool_calls_alternate"]


def test_an_id_that_came_late_tells_calls_apart_too() -> None:
    answer = called(
        [entry(0, None, "buy", "{")],
        [entry(0, "a", None, '"q":')],
        [entry(0, "b", "sell", "{}")],
        [entry(0, "a", None, "1}")],
    )
    assert calls(answer) == [("a", "buy", '{"q":1}'), ("b", "sell", "{}")]


@pytest.mark.parametrize("index", [0, None])
def test_null_as_text_is_no_id(index: int | None) -> None:
    answer = called([entry(index, "null", "buy", '{"q":1}')], [entry(index, "null", "buy", '{"q":2}')])
    assert calls(answer) == [("null", "buy", '{"q":1}'), ("null", "buy", '{"q":2}')]


def test_an_id_that_is_no_text_is_kept_as_it_came() -> None:
    call = only(called([entry(0, None, "buy", "{}") | {"id": 7}]))
    assert (call.id, call.extras) == (None, {"id": 7})


def test_an_id_replaces_null_as_text() -> None:
    assert calls(called([entry(0, "null", "buy", "{")], [entry(0, "a", None, "}")])) == [("a", "buy", "{}")]


@pytest.mark.parametrize("index", [True, "0", 0.0])
def test_an_index_that_is_no_integer_is_none(index: Any) -> None:
    answer = called([entry(None, "a", "buy", "{") | {"index": index}], [entry(None, None, None, "}")])
    assert (calls(answer), only(answer).index) == ([("a", "buy", "{}")], None)


def test_same_index_without_ids_is_another_call_once_the_first_is_whole() -> None:
    answer = called([entry(0, "", "buy", '{"q":1}'), entry(0, "", "buy", '{"q":2}')])
    assert [text for _, _, text in calls(answer)] == ['{"q":1}', '{"q":2}']
    assert kinds(answer) == ["tool_index_reused"]


def test_id_and_name_that_are_repeated_are_taken_once() -> None:
    answer = called([entry(0, "call_a", "buy", '{"q"')], [entry(0, "call_a", "buy", ":1}")])
    assert calls(answer) == [("call_a", "buy", '{"q":1}')]


def test_an_id_that_comes_late_or_empty_later() -> None:
    answer = called([entry(0, None, "buy", "")], [entry(0, "x", None, "{}")], [entry(0, "", None, "")])
    assert calls(answer) == [("x", "buy", "{}")]


def test_a_name_in_pieces_is_joined_and_reported() -> None:
    answer = called([entry(0, "a", "get_")], [entry(0, None, "weather", "{}")])
    assert calls(answer) == [("a", "get_weather", "{}")]
    assert (kinds(answer), only(answer).complete) == (["tool_name_continued"], False)
    same = called([entry(0, "a", "get_")], [entry(0, "a", "weather", "{}")])
    assert (calls(same), only(same).complete) == ([("a", "get_weather", "{}")], False)


def test_a_new_name_under_an_index_begins_another_call() -> None:
    typed = {"type": "function"}

    def found(first: dict[str, Any], second: dict[str, Any]) -> list[tuple[str | None, str, bool]]:
        answer = called([first], [second])
        assert set(kinds(answer)) - {"tool_arguments_object"} == {"tool_index_reused"}
        return [(call.name, call.arguments_text, call.complete) for call in answer.choices[0].message.tool_calls]

    # Two calls, or one name in two pieces: nobody can tell, so neither is complete.
    assert found(entry(0, None, "buy", ""), entry(0, None, "sell", '{"q":1}')) == [
        ("buy", "", False),
        ("sell", '{"q":1}', False),
    ]
    assert found(entry(0, None, "buy", ""), entry(0, None, "sell", '{"q":1}') | typed)[1] == ("sell", '{"q":1}', True)
    assert found(entry(0, "a", "buy", ""), entry(0, None, "sell", "{}") | typed)[1] == ("sell", "{}", True)
    both = found(entry(0, "a", "buy", "{}"), entry(0, None, "sell", "{}"))
    assert both == [("buy", "{}", True), ("sell", "{}", True)]
    assert found(entry(0, "a", "buy", '{"q":'), entry(0, None, "sell", "{}"))[0] == ("buy", '{"q":', False)
    assert found(entry(0, None, "buy", {"q": 1}), entry(0, None, "sell", {}))[0] == ("buy", '{"q": 1}', True)


def test_a_new_name_of_a_legacy_function_call_begins_another_call() -> None:
    def read(*pieces: dict[str, Any]) -> Answer:
        return streamed(*(delta(function_call=piece) for piece in pieces), delta(finish="function_call"))

    two = read({"name": "buy", "arguments": "{}"}, {"name": "sell", "arguments": "{"}, {"arguments": "}"})
    assert (calls(two), kinds(two)) == ([(None, "buy", "{}"), (None, "sell", "{}")], ["function_call_repeated"])
    one = read({"name": "get_"}, {"name": "weather", "arguments": "{}"})
    assert (calls(one), kinds(one)) == ([(None, "get_weather", "{}")], ["tool_name_continued"])
    assert not only(one).complete


def test_index_that_starts_at_one_makes_no_phantom() -> None:
    answer = called([entry(1, "a", "buy", "{}")])
    assert calls(answer) == [("a", "buy", "{}")]
    assert only(answer).index == 1


def test_no_index_but_ids() -> None:
    answer = called(
        [entry(None, "a", "buy", '{"q":')], [entry(None, "b", "sell", "{}")], [entry(None, "a", None, "1}")]
    )
    assert calls(answer) == [("a", "buy", '{"q":1}'), ("b", "sell", "{}")]
    assert only(called([entry(None, "a", "f", "{}")])).index is None


def test_no_index_and_no_ids() -> None:
    answer = called(
        [entry(None, None, "buy", "{}"), entry(None, None, "buy", "{}")],
        [entry(None, None, "sell", '{"a"')],
        [entry(None, None, "sell", ":")],
        [entry(None, None, None, "1}")],
    )
    assert calls(answer) == [(None, "buy", "{}"), (None, "buy", "{}"), (None, "sell", '{"a":1}')]


def test_arguments_as_an_object() -> None:
    answer = called([entry(0, "a", "buy", {"q": "é"})])
    call = only(answer)
    assert (call.arguments_text, call.arguments, call.complete) == ('{"q": "\\u00e9"}', {"q": "é"}, True)
    assert kinds(answer) == ["tool_arguments_object"]
    repeated = called([entry(0, "a", "f", {"q": 1})], [entry(0, "a", "f", {"q": 1})])
    assert set(kinds(repeated)) == {"tool_arguments_object"}
    changed = called([entry(0, "a", "f", {"q": 1})], [entry(0, "a", "f", {"q": 2})])
    assert (only(changed).arguments, kinds(changed)[-1]) == ({"q": 2}, "tool_arguments_replaced")
    again = called([entry(0, "", "f", {"a": 1}), entry(0, "", "f", {"a": 2})])
    assert [text for _, _, text in calls(again)] == ['{"a": 1}', '{"a": 2}']


@pytest.mark.parametrize(
    ("arguments", "finish", "done", "complete"),
    [
        ('{"q":1}', "tool_calls", True, True),
        ('{"q":1}', "stop", False, True),
        ('{"q":1}', None, True, True),
        ('{"q":1}', None, False, False),  # the parsable prefix of {"q":12…}
        ("1", "length", True, False),
        ('{"q":1}', "content_filter", True, False),
        ('{"q":1', "tool_calls", True, False),
        ("", "tool_calls", True, False),
        ('{"q":NaN}', "tool_calls", True, False),
    ],
)
def test_complete_means_parsed_and_known_to_be_finished(
    arguments: str, finish: str | None, done: bool, complete: bool
) -> None:
    call = only(called([entry(0, "a", "buy", arguments)], finish=finish, done=done))
    assert (call.complete, call.arguments_text) == (complete, arguments)
    assert call.arguments == ({"q": 1} if complete else None)


def test_an_error_leaves_calls_unfinished() -> None:
    answer = streamed(delta(tool_calls=[entry(0, "a", "buy", "{}")]), {"error": {"code": 1}})
    assert not only(answer).complete


def test_legacy_function_call() -> None:
    answer = streamed(
        delta(function_call={"name": "f", "arguments": ""}),
        delta(function_call={"arguments": "{}"}),
        delta(finish="function_call"),
    )
    call = only(answer)
    assert (call.name, call.arguments_text, call.legacy, call.complete, call.id) == ("f", "{}", True, True, None)


def test_custom_tools_have_text_and_no_arguments() -> None:
    custom = {"index": 0, "id": "a", "type": "custom", "custom": {"name": "sql", "input": "SELECT 1"}}
    call = only(called([custom]))
    assert (call.name, call.arguments_text, call.complete) == ("sql", "SELECT 1", False)


def test_other_fields_are_kept_and_malformed_entries_reported() -> None:
    answer = called([entry(0, "a", "f", "{}") | {"extra_content": {"s": 1}, "none": None}])
    assert only(answer).extras == {"extra_content": {"s": 1}}
    odd = streamed(delta(tool_calls=["x", {"index": 0, "function": "f"}], function_call="f"))
    assert kinds(odd) == ["tool_call_malformed"] * 3
    assert calls(odd) == [(None, None, "")]
