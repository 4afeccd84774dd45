from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.core.nearness import apart, said

WORDS = st.lists(st.sampled_from(["buy", "sell", "AAPL", "zwölf", "10", "\U0001f4c8", "!"]), max_size=12).map(" ".join)


@pytest.mark.parametrize(
    ("asked", "near", "far"),
    [
        ("price of AAPL today?", "price of AAPL tomorrow?", "weather of Rome today?"),
        ("buy AAPL, not TSLA", "buy AAPL, not MSFT", "sell the house"),
        ("a b c d", "a b d c", "d c b a"),  # the same words in another order
        ("buy AAPL, not TSLA", "Buy aapl, not tsla", "buy TSLA, not AAPL"),
        ("x " * 200_000 + "buy AAPL", "x " * 200_000 + "buy ten AAPL", "x " * 200_000 + "sell TSLA"),
        ("one two three", "one two", "one two nine ten eleven"),
        ("ten", "tender ten", "tender"),  # no word is cut in two
    ],
)
def test_what_shares_more_words_is_nearer(asked: str, near: str, far: str) -> None:
    assert apart(near, asked) < apart(far, asked)


@given(WORDS, WORDS)
def test_it_is_a_measure(one: str, other: str) -> None:
    assert apart(one, one) == 0
    assert apart(one, other) == pytest.approx(apart(other, one))
    assert 0 <= apart(one, other) <= 1.5


def test_equal_values_say_the_same() -> None:
    assert (
        said({"b": ["x", 1, None], "a": {"c": "y"}})
        == said({"a": {"c": "y"}, "b": ["x", 1, None]})
        == ("a\nc\ny\nb\nx\n1\nNone")
    )


def test_what_is_nested_too_deeply_says_nothing() -> None:
    value: list[object] = []
    for _ in range(100_000):
        value = [value]
    assert said(value) == ""
