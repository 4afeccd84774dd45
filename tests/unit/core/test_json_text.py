from __future__ import annotations

import copy
import json
import math
import pickle
from decimal import Decimal
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.core.json_numbers import SentDecimal, SentFloat, as_sent, number
from recorder.core.json_text import (
    dumps,
    exactly,
    milliseconds,
    parse_exactly,
    parse_json,
    plain,
    rfc3339,
    whole_text,
    written,
)


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
    for reading in (partial(parse_json, strict=True), parse_exactly):
        with pytest.raises(ValueError):
            reading(text)
        assert reading("[1.5, 2]") == [1.5, 2]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2.50", 2.5),
        ("1.0", 1.0),
        ("-0.0", -0.0),
        ("1e5", 100000.0),
        ("0.1", 0.1),
        ("5e-324", 5e-324),
        ("0.30000000000000004", 0.30000000000000004),
        ("0.300000000000000040", 0.30000000000000004),
        ("1.000000000000000001", Decimal("1.000000000000000001")),
        ("0.1000000000000000055511151231257827", Decimal("0.1000000000000000055511151231257827")),
        ("12345678901234567890.123456789", Decimal("12345678901234567890.123456789")),
        ("1e-999", Decimal("1e-999")),
    ],
)
def test_a_number_that_no_float_holds_is_a_decimal(text: str, value: float | Decimal) -> None:
    found = parse_exactly(f"[{text}]")[0]
    assert (found, type(found)) == (value, type(value))
    for strict in (True, False):  # and a float for everybody else, who would not know what to do with another thing
        assert type(parse_json(f"[{text}]", strict=strict)[0]) is float
    assert Decimal(dumps([found])[1:-1]) == Decimal(text)
    for read in (f"[{text}]".encode(), f"[{text}]"):  # to be shown as it was sent
        shown = exactly(read, parse_json(read))
        assert dumps(shown) == dumps(plain(shown)) == written(shown) == f"[{text}]"
        assert number(str(shown[0])) == number(text)


def test_numbers_beyond_floats_and_beyond_decimals() -> None:
    assert exactly(b"[1e400]", [math.inf]) == [Decimal("1e400")]
    assert exactly(b"[1e99999999999999999999]", [math.inf]) == [math.inf]
    assert exactly(b"[1, 2.5]", "what was read") == "what was read"


@pytest.mark.parametrize("text", ["231.50", "1E+2", "0.00001", "1e400", "0.123456789012345678901234567890"])
def test_a_number_brings_its_text_along(text: str) -> None:
    value = as_sent(text)
    for one in (value, plain(value), copy.deepcopy(plain(value)), pickle.loads(pickle.dumps(plain(value)))):
        assert str(one) == text
    assert isinstance(value, SentFloat) is (text not in ("1e400", "0.123456789012345678901234567890"))
    assert value == (float(text) if isinstance(value, float) else Decimal(text))
    with pytest.raises(TypeError):  # who forgets that it is to be written as it was sent shall notice
        json.dumps(plain(value))
    assert type(plain(value)) is SentDecimal
    assert type(as_sent("2.5")) is float


@given(st.from_regex(r"-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,4})?", fullmatch=True))
def test_any_number_is_shown_as_it_was_sent(text: str) -> None:
    if set("eE.") & set(text):
        assert dumps(exactly(f'{{"a": {text}}}', parse_json(f'{{"a": {text}}}'))) == f'{{"a": {text}}}'


def test_decimals_are_written_as_numbers_in_every_layout() -> None:
    exact = Decimal("12345678901234567890.123456789")
    value = {"b": [exact, 1.5, "x"], "a": {"c": exact}, "1": None, "t": ("0", exact)}
    for options in ({}, {"indent": 2}, {"sort_keys": True}, {"separators": (",", ":")}, {"ensure_ascii": False}):
        text = dumps(value, **options)
        assert json.loads(text, parse_float=Decimal)["a"]["c"] == exact
        assert text == json.dumps(json.loads(text), **options).replace("1.2345678901234567e+19", str(exact))
    assert written({"a": [math.nan, exact], "é": "\ud800"}) == f'{{"a": ["NaN", {exact}], "é": "\ufffd"}}'
    with pytest.raises(TypeError):
        dumps({"a": {1, 2}})
