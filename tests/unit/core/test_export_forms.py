"""The second line of defence: whatever was read is read still, or the export is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from recorder.core.export_forms import same_form
from recorder.core.export_matches import Matcher
from recorder.core.export_residue import lost
from recorder.core.export_rules import parse_rules
from tests.building import ExchangeBuilder, delta
from tests.unit.core.redacted_exchanges import STOP, asked, call, exchange, refused, user

USAGE = {**STOP, "usage": {"prompt_tokens": 9, "completion_tokens": 2}}


def said(text: str, last: Any = USAGE, request: Any = None) -> ExchangeBuilder:
    return asked(request or user("hi"), delta(content=text), last)


SAID = said("Hello Smith")
CALLED = call('{"a": "Smith", "n": 1}')


def both(before: ExchangeBuilder, after: ExchangeBuilder) -> bool:
    return same_form(exchange(before), exchange(after))


def thinking(*deltas: dict[str, Any]) -> ExchangeBuilder:
    return asked(user("hi"), *(delta(**one) for one in deltas), STOP)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (SAID, said("Hello [redacted]")),
        (SAID, said("[redacted]", request=user("[redacted]"))),
        (SAID, said("Hello ", {**USAGE, "usage": {"prompt_tokens": "[redacted]", "completion_tokens": 2}})),
        (asked(user("x"), *CALLED), asked(user("x"), *call('{"a": "[redacted]", "n": "[redacted]"}'))),
        (asked(user("x"), *CALLED), asked(user("x"), *call('{"[redacted]": "Smith", "n": 1}'))),
        (asked({"context": [1, 2], "a": 1}), asked({"context": None, "a": 1})),
        (asked({"a": float("nan")}), asked({"a": float("nan")})),
        (
            thinking({"reasoning": "Smi"}, {"content": "x"}, {"reasoning": "th"}),
            thinking({"reasoning": "[redacted]"}, {"content": "x"}, {"reasoning": ""}),
        ),
        (thinking({"extra": "a"}, {"extra": "b"}), thinking({"extra": "[redacted]"}, {"extra": ""})),
    ],
)
def test_what_only_says_less_is_what_it_was(before: ExchangeBuilder, after: ExchangeBuilder) -> None:
    assert both(before, after)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (SAID, asked(user("hi"), delta(), USAGE)),
        (SAID, said("Hello Smith", STOP)),
        (SAID, said("Hello Smith", {**USAGE, "usage": {"prompt_[redacted]": 9}})),
        (asked({}, USAGE), asked({}, {**USAGE, "model": None})),
        (asked({}, USAGE), asked({}, {**USAGE, "id": None})),
        (SAID, said("Hello Smith", {**USAGE, "more": 1})),
        (SAID, said("Hello Smith", request={"model": "m"})),
        (SAID, said("Hello Smith", request={**user("hi"), "model": 1})),
        (asked({"temperature": 1}), asked({"[redacted]ature": "x"})),
        (asked({"a": [1, 2]}), asked({"a": [1]})),
        (asked({"a": {"b": 1}}), asked({"a": "[redacted]"})),
        (asked({"a": None}), asked({"a": "[redacted]"})),
        (asked(user([{"type": "text", "text": "x"}])), asked(user([{"type": "[redacted]", "text": "x"}]))),
        (asked(user("x"), *CALLED), asked(user("x"), *call('{"a": "Smith"}'))),
        (asked(user("x"), *CALLED), asked(user("x"), *call('{"a": "Smith", "n": '))),
        (thinking({"reasoning": "Smith"}), thinking({"content": "Smith"})),
        (thinking({"refusal": "Smith"}), thinking({})),
        (thinking({"extra": "a"}, {"extra": "b"}), thinking({"extra": ""}, {})),
        (asked({}, delta(content="x"), delta(1, content="y")), asked({}, delta(content="x"), delta(content="y"))),
    ],
)
def test_what_is_lost_or_another_thing_is_noticed(before: ExchangeBuilder, after: ExchangeBuilder) -> None:
    assert not both(before, after)


def test_names_that_would_be_one_are_refused() -> None:
    """The second would have taken the place of the first, whose value nobody would have missed."""
    payload = {**user("x"), "metadata": {"Smith 1": "a", "Smith 2": "b"}}
    assert "two names of one object" in refused(asked(payload), r"re:Smith \d")
    arguments = json.dumps(payload["metadata"])
    assert "two names of one object" in refused(asked(user("x"), *call(arguments)), r"re:Smith \d")


@pytest.mark.parametrize(("now", "is_lost"), [("Hello [redacted]", False), ("He[redacted]", True), ("", True)])
def test_a_text_that_lost_more_than_was_taken_out_is_noticed(now: str, is_lost: bool) -> None:
    matcher = Matcher(parse_rules(["text:Smith"]))
    matcher.taken["body"] = len("Smith")
    assert lost(exchange(SAID), exchange(said(now)), matcher) == is_lost
    matcher.taken["request"] = len("Smith")
    asking, asking_now = (exchange(asked(user(text))) for text in ("Hello Smith", now))
    assert lost(asking, asking_now, matcher) == is_lost
