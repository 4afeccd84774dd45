"""The rules of a redaction as they are written."""

from __future__ import annotations

import pytest

from recorder.core.export_rules import known_texts, parse_rules
from recorder.errors import ConfigurationError


def found(rule: str, text: str) -> list[str]:
    (parsed,) = parse_rules([rule])
    return [text[start:end] for start, end in parsed.find(text)]


def test_each_kind_finds_what_it_says() -> None:
    assert found("text:a.b", "a.b axb") == ["a.b"]
    assert found(r"re:\b\d{4}-\d{4}\b", "1234-5678, 12345-6789") == ["1234-5678"]
    assert found("re:x*", "axxb") == ["xx"]
    assert found("detect:email", "to a@b.example") == ["a@b.example"]
    assert found("json:$.a", "a $.a") == []


def test_a_rule_is_told_by_its_number_and_kind_only() -> None:
    rules = parse_rules(["text:Smith", "re:Smi.h", "json:$.Smith", "detect:iban"])
    assert [rule.label for rule in rules] == ["rule 1 (text)", "rule 2 (re)", "rule 3 (json)", "rule 4 (detect:iban)"]
    assert list(known_texts(rules)) == ["Smith"]


@pytest.mark.parametrize(
    ("path", "selected", "not_selected"),
    [
        ("$.user.email", [("user", "email"), ("user", "email", "home", 0)], [("user",), ("user", "name"), ("email",)]),
        ("$.messages[0].content", [("messages", 0, "content")], [("messages", 1, "content")]),
        ("$.messages[*].content", [("messages", 7, "content", 1, "text")], [("messages", 7, "role")]),
        ("$['a b'][\"c.d\"]", [("a b", "c.d")], [("a b", "c")]),
        ("$.a.*", [("a", "b"), ("a", 0)], [("a",), ("b", "a")]),
        ("$..email", [("email",), ("a", 0, "email", "x")], [("emails",)]),
        ("$.a..b[0]", [("a", "x", "b", 0), ("a", "b", 0)], [("b", 0), ("a", "b", 1)]),
    ],
)
def test_paths(path: str, selected: list[tuple[str | int, ...]], not_selected: list[tuple[str | int, ...]]) -> None:
    (rule,) = parse_rules([f"json:{path}"])
    assert all(rule.selects(place) for place in selected)
    assert not any(rule.selects(place) for place in not_selected)


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ("Smith", "rule 2 is none"),
        ("text:", "rule 2 is none"),
        ("literal:Smith", "rule 2 is none"),
        ("re:Smi(th", "rule 2 is no regular expression (missing ), unterminated subpattern)"),
        ("json:user.Smith", "rule 2 is no path"),
        ("json:$", "rule 2 is no path"),
        ("json:$.a[?(@.Smith)]", "rule 2 is no path"),
        ("detect:Smith", "rule 2 names no detector: use one of card, email, iban, key, phone"),
        ("text:red", "rule 2 finds the word [redacted] itself"),
        (r"re:\w+", "rule 2 finds the word [redacted] itself"),
    ],
)
def test_what_is_no_rule_is_refused_and_not_quoted(rule: str, told: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_rules(["text:x y", rule])
    assert told in str(caught.value)
    assert "Smi" not in str(caught.value)
