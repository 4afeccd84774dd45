"""The rules of matching as data: what can be said, written down and read again."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder import ConfigurationError, Match
from recorder.core.exchange import Request
from recorder.core.match_rules import KINDS

pointers = st.lists(st.text(st.characters(exclude_categories=("Cs",))), min_size=1).map(
    lambda steps: "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in steps)
)
names = st.from_regex(r"x-[a-z]{1,8}", fullmatch=True)
rules = st.builds(
    Match,
    ignore=st.lists(pointers, max_size=3),
    normalise=st.lists(st.sampled_from(KINDS)),
    headers=st.lists(names, max_size=3),
    custom=st.sampled_from([None, "tests.unit.core.test_match_rules:lower"]),
    allow_repeats=st.booleans(),
)


def lower(request: Request) -> Request:
    return replace(request, payload=request.payload.lower())


class Inner:
    @staticmethod
    def lower(request: Request) -> Request:
        return lower(request)

    def __call__(self, request: Request) -> Request:
        return request


@settings(deadline=None)
@given(rules)
def test_rules_are_read_as_they_were_written(match: Match) -> None:
    written = match.as_json()
    assert Match.from_json(json.loads(json.dumps(written))) == match
    assert hash(Match.from_json(written)) == hash(match)
    assert all(written.values())


def test_strict_is_the_default_and_says_so() -> None:
    assert Match() == Match.STRICT == Match.from_json({})
    assert Match.STRICT.as_json() == {}
    assert str(Match.STRICT) == "strict"
    assert Match.STRICT.is_strict
    assert Match(allow_repeats=True).is_strict
    assert Match(allow_repeats=True) != Match.STRICT


def test_the_order_in_which_rules_are_said_does_not_count() -> None:
    one = Match(ignore=["/b", "/a", "/b"], normalise=["dates", "ids"], headers=["X-B", "x-a"])
    other = Match(ignore=("/a", "/b"), normalise=("ids", "dates"), headers=("x-a", "x-b"))
    assert one == other
    assert one.as_json() == {"ignore": ["/a", "/b"], "normalise": ["ids", "dates"], "headers": ["x-a", "x-b"]}
    assert str(one) == "ignore /a, /b; normalise ids, dates; headers x-a, x-b"
    assert not one.is_strict


def test_rules_are_told_on_one_line() -> None:
    assert str(Match(ignore=("/a\nb",), normalise=("ids",))) == "ignore /a\\nb; normalise ids"


def test_one_text_is_a_list_of_one() -> None:
    assert Match(ignore="/a", normalise="ids", headers="x-a") == Match(("/a",), ("ids",), ("x-a",))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"ignore": ["metadata"]}, "ignore='metadata' is no JSON Pointer"),
        ({"ignore": [""]}, "ignore='' is no JSON Pointer to a part of the payload"),
        ({"ignore": ["/a~2"]}, "ignore='/a~2' is no JSON Pointer"),
        ({"ignore": [1]}, "ignore holds 1, which is no text"),
        ({"ignore": 1}, "ignore=1 is no list"),
        ({"ignore": {"/a": 1}}, "is no list"),
        ({"normalise": ["uuids"]}, "normalise='uuids' is not known: use ids, dates, tool_call_ids"),
        ({"headers": ["x tenant"]}, "headers='x tenant' is no name of a header"),
        ({"headers": ["Host"]}, "headers='Host' is not compared"),
        ({"custom": 1}, "custom=1 cannot be called"),
        ({"custom": "no name"}, "custom='no name' names no function"),
        ({"allow_repeats": 1}, "allow_repeats=1 is no truth value"),
    ],
)
def test_wrong_rules_are_refused_by_one_line(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Match(**wrong)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("strict", "are no JSON object"),
        ({"ignores": []}, "matching rules have no member 'ignores': use ignore, normalise,"),
        ({"_custom": "a:b"}, "have no member '_custom'"),
        ({"ignore": "/a"}, "ignore of the matching rules is '/a': use a list"),
        ({"normalise": ["times"]}, "normalise='times' is not known"),
        ({"custom": None}, "custom of the matching rules is None"),
        ({"allow_repeats": None}, "allow_repeats=None is no truth value"),
    ],
)
def test_what_a_cassette_may_not_say_is_refused_by_one_line(wrong: Any, said: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Match.from_json(wrong)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_function_is_written_by_its_name_and_found_by_it() -> None:
    name = f"{__name__}:lower"
    match = Match(custom=lower)
    assert match.as_json() == {"custom": name}
    assert match == Match(custom=name) == Match.from_json({"custom": name})
    assert Match.from_json(match.as_json()).function() is lower
    assert Match(custom=Inner.lower).as_json() == {"custom": f"{__name__}:Inner.lower"}
    assert str(match) == f"custom {name}"
    assert Match().function() is None


def test_what_has_no_name_of_its_own_matches_and_is_in_no_cassette() -> None:
    def local(request: Request) -> Request:
        return request

    shadowed = replace(Match(custom=lower), custom=lambda request: request)
    for custom in (local, lambda request: request, Inner(), shadowed.custom):
        match = Match(custom=custom)
        assert match.function() is custom
        assert match != Match(custom=lower)
        assert match == Match(custom=custom)
        with pytest.raises(ConfigurationError, match="has no name by which a cassette's readers find it"):
            match.as_json()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("this_is_imported.nowhere:f", "is in a module that is not imported: import this_is_imported.nowhere, or give"),
        (f"{__name__}:gone", "names no function"),
        (f"{__name__}:__name__", "names no function"),
        (f"{__name__}:Inner", "names no function"),
        ("builtins:exec", "names no function"),
    ],
)
def test_a_name_in_a_file_imports_nothing(name: str, said: str) -> None:
    match = Match.from_json({"custom": name})
    with pytest.raises(ConfigurationError, match=said):
        match.function()
