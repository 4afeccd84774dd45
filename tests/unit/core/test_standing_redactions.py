"""What is hidden, from the events that say so."""

from __future__ import annotations

from typing import Any

import pytest

from recorder.core.events import Event, meta_text
from recorder.core.standing_redactions import require_standing, standing_of
from recorder.errors import ConfigurationError, CorruptRecording

NOW = 1_790_000_000_000_000_000


def event(kind: str, at: int, facts: dict[str, Any] | None) -> Event:
    meta = None if facts is None else meta_text(facts)
    return Event(at.to_bytes(16), 2, kind, NOW + at, 0, b"i" * 16, 0, meta, None, b"")


def was_set(redaction: str, at: int = 1, **scope: Any) -> Event:
    facts = {"redaction": redaction, "rules": ["detect:email"], "ground": "g", "by": "b", **scope}
    return event("redaction_set", at, facts)


def test_the_scope_of_a_redaction() -> None:
    found = standing_of([was_set("a", 1, exchange="e"), was_set("b", 2, conversation="c"), was_set("d", 3, all=True)])
    hides = {one.id: [one.is_of(*asked) for asked in (("e", ()), ("f", ("c",)), ("f", ()))] for one in found}
    assert hides == {"a": [True, False, False], "b": [False, True, False], "d": [True, True, True]}
    assert [(one.scope, one.of, one.set_ns - NOW) for one in found] == [
        ("exchange", "e", 1),
        ("conversation", "c", 2),
        ("all", "", 3),
    ]
    assert found[0].rules == ("detect:email",)


def test_what_was_lifted_is_not_in_force_in_whatever_order_it_is_read() -> None:
    lifted = event("redaction_lifted", 3, {"redaction": "a", "by": "b", "ground": "g"})
    events = [lifted, was_set("b", 2, all=True), was_set("a", 1, all=True)]
    assert [one.id for one in standing_of(events)] == ["b"]
    assert [one.id for one in standing_of([*events, was_set("a", 4, all=True)])] == ["b", "a"]
    assert standing_of([lifted, was_set("a", 9, all=True)]) == (), "by somebody whose clock was ahead"


@pytest.mark.parametrize(
    "facts",
    [
        {"redaction": "a", "rules": ["detect:email"], "ground": "g", "by": "b"},  # of nothing
        {"redaction": "a", "rules": "detect:email", "all": True},
        {"redaction": "a", "rules": [1], "all": True},
        {"redaction": "a", "all": True},
    ],
)
def test_what_cannot_be_read_is_not_passed_over(facts: dict[str, Any]) -> None:
    with pytest.raises(CorruptRecording, match="cannot be read"):
        standing_of([event("redaction_set", 1, facts)])


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ([], "nothing says what to hide"),
        (["detect:email", "text:Smithson"], "rule 2 is a text as it is written"),
        (["re:Smithson"], "rule 1 is a text as it is written"),
        (["re:("], "no regular expression"),
        (["json:user"], "is no path"),
        (["detect:nose"], "no detector"),
        (["Smithson"], "rule 1 is none"),
    ],
)
def test_rules_that_cannot_be_recorded(rules: list[str], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told) as raised:
        require_standing(rules)
    assert "Smithson" not in str(raised.value)


def test_rules_that_can() -> None:
    rules = (r"re:\d{4}", "json:$.user", "detect:iban")
    assert require_standing(rules) == rules
