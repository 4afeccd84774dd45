"""Numbers by value, against exact decimals."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from recorder.core.json_numbers import Exact, number

digits = st.text("0123456789", min_size=1, max_size=25)
written = st.builds(
    lambda sign, whole, fraction, power: f"{sign}{int(whole)}{fraction}{power}",
    st.sampled_from(["", "-"]),
    digits,
    digits.map(lambda text: f".{text}"),
    st.one_of(st.just(""), st.integers(-420, 420).map(lambda power: f"e{power}")),
)


def value_of(read: object) -> Decimal:
    """Return what was read as a decimal; of a float, the number that it is written as."""
    return Decimal(read.canonical if isinstance(read, Exact) else repr(read))


@given(written)
def test_a_value_is_the_number_that_was_written(text: str) -> None:
    assert value_of(number(text)) == Decimal(text)


@given(written, written, st.integers(0, 4))
def test_values_are_equal_where_the_numbers_are(one: str, other: str, zeros: int) -> None:
    left, right = number(one), number(other)
    assert (left == right) == (Decimal(one) == Decimal(other))
    assert type(left) is type(right) or left != right
    mantissa, mark, power = one.partition("e")
    again = number(f"{mantissa}{'0' * zeros}{mark}{power}")
    assert (again, type(again)) == (left, type(left))


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_is_read_as_itself(value: float) -> None:
    read = number(f"{value!r}" if "." in repr(value) else f"{value!r}".replace("e", ".0e"))
    assert isinstance(read, float | int)
    assert value_of(read) == Decimal(repr(value))
