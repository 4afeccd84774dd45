"""What rules find in pieces, and what is written in its place."""

from __future__ import annotations

from recorder.core.export_matches import Edit, Matcher, replaced
from recorder.core.export_rules import parse_rules
from recorder.core.json_pieces import pieces_of


def left_out(text: str, *rules: str, shape: str = "json") -> str:
    matcher = Matcher(parse_rules(rules))
    return replaced(text, matcher.edits(text, pieces_of(text, shape), "body"))


def test_the_marker_stands_where_a_match_begins_and_nothing_where_it_goes_on() -> None:
    text = "".join(f'data: {{"t": "{piece}"}}\n\n' for piece in ("a Sm", "i", "", "th b"))
    assert left_out(text, "text:Smith", shape="sse").split("\n\n")[:4] == [
        'data: {"t": "a [redacted]"}',
        *('data: {"t": ""}', 'data: {"t": ""}'),
        'data: {"t": " b"}',
    ]


def test_matches_that_overlap_are_one() -> None:
    assert left_out('{"a": "abcdefgh"}', "text:bcd", "text:cde", "re:gh?") == '{"a": "a[redacted]f[redacted]"}'


def test_an_escape_is_left_out_whole() -> None:
    assert left_out('{"a": "x\\u00e9y"}', "text:é") == '{"a": "x[redacted]y"}'
    assert left_out('{"a": "\\ud83d\\udd11y"}', "text:\U0001f511") == '{"a": "[redacted]y"}'


def test_names_and_numbers_are_left_out_and_words_of_json_are_not() -> None:
    assert left_out('{"4711": 14711, "b": true}', "text:4711", "text:true") == '{"[redacted]": "[redacted]", "b": true}'
    assert left_out('{"tel": 30901820}', "detect:phone") == '{"tel": 30901820}'


def test_a_number_in_json_in_json_becomes_a_text() -> None:
    assert left_out(r'{"a": "{\"n\": 4711, \"m\": 1}"}', "text:471") == r'{"a": "{\"n\": \"[redacted]\", \"m\": 1}"}'


def test_what_repeats_a_text_as_tokens_goes_with_it() -> None:
    touched = '{"t": "Smith", "logprobs": {"a": ["Sm", "ith"]}}'
    other = '{"t": "x", "logprobs": {"a": ["x"]}, "context": [1, 2]}'
    assert left_out(f"{touched}\n{other}", "text:Smith", shape="ndjson").split("\n") == [
        '{"t": "[redacted]", "logprobs": null}',
        '{"t": "x", "logprobs": {"a": ["x"]}, "context": null}',
    ]
    assert left_out(other, "text:Smith") == other


def test_the_next_matcher_looks_for_what_was_found() -> None:
    first = Matcher(parse_rules([r"re:(?<=pin: )\w+"]))
    assert first.text("pin: hunter22", "a") == "pin: [redacted]"
    assert first.learns
    second = first.again()
    assert second.text("was it hunter22?", "b") == "was it [redacted]?"
    assert second.text("pin: [redacted]", "c") == "pin: [redacted]"
    assert (second.learns, {rule: len(places) for rule, places in second.counts.items()}) == (False, {1: 1})


def test_a_short_text_is_left_out_only_where_a_rule_finds_it() -> None:
    first = Matcher(parse_rules([r"re:(?<=pin: )\w+"]))
    assert first.text("pin: 4711", "a") == "pin: [redacted]"
    assert first.again().text("4711", "b") == "4711"


def test_changes_are_made_in_order() -> None:
    assert replaced("abcdef", [Edit(0, 1, "x"), Edit(2, 2, "yy"), Edit(4, 6, "")]) == "xbyycd"
