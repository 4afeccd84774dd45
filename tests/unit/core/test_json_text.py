from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.core.json_text import milliseconds, parse_json, plain, rfc3339, whole_text


@pytest.mark.parametrize("text", ["", "{", "nope", b"\xff", "[" * 201 + "]" * 201, "[" * 100_000, "1" * 5000])
def test_what_is_no_json_is_a_value_error(text: str | bytes) -> None:
    with pytest.raises(ValueError):
        parse_json(text)


def test_many_brackets_are_not_deep() -> None:
    assert parse_json("[" + ",".join(["[]"] * 500) + "]") == [[]] * 500
    assert parse_json("[" * 200 + "]" * 200)
    assert parse_json('{"a":' * 150 + "1" + "}" * 150)


def test_a_byte_order_mark_before_a_document_is_fine() -> None:
    assert parse_json(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}


def test_halves_of_a_pair_become_one_character_and_a_lone_half_is_replaced() -> None:
    assert whole_text("\ud83d\ude00!") == "😀!"
    assert whole_text("a\ud83db") == "a\ufffdb"
    assert whole_text("plain") == "plain"


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(st.characters()),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_plain_values_can_always_be_written(value: object) -> None:
    text = json.dumps(plain(value), allow_nan=False, ensure_ascii=False)
    text.encode("utf-8")


def test_numbers_that_json_does_not_have_become_their_names() -> None:
    assert plain([math.nan, math.inf, -math.inf, 1.5]) == ["NaN", "Infinity", "-Infinity", 1.5]
    assert plain({"a\ud800": ("x",)}) == {"a\ufffd": ["x"]}


def test_times() -> None:
    assert rfc3339(1_790_000_001_000_000_042) == "2026-09-21T14:13:21.000000042Z"
    assert rfc3339(-1) == "1969-12-31T23:59:59.999999999Z"
    assert milliseconds(1_234_567) == 1.235


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", '{"a": -Infinity}', "1e999"])
def test_strictly_there_are_no_numbers_beyond_json(text: str) -> None:
    parse_json(text)
    with pytest.raises(ValueError):
        parse_json(text, strict=True)
    assert parse_json("[1.5, 2]", strict=True) == [1.5, 2]
