"""What is taken for a telephone number, and what is not. The numbers are those that are kept free for examples."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.core.detectors import DETECTORS


def found(text: str) -> list[str]:
    return [text[start:end] for start, end in DETECTORS["phone"](text)]


@pytest.mark.parametrize(
    "number",
    [
        *("06 12 34 56 78", "01 99 00 12 34", "06.12.34.56.78", "06-52-34-56-78"),
        *("030 / 1234567", "030 / 123 45 67", "0171 / 123456", "01 / 512 34 56", "06131 / 12345"),
        *("030/1234567", "030 901820", "0171-1234567", "020 7946 0958", "044 668 18 00"),
        *("1-800-555-0199", "1 800 555 0199", "1.800.555.0199", "800-555-0199", "1 (800) 555-0199", "(800) 555-0199"),
        *(
            "00 49 30 123456",
            "00 49 (30) 123456",
            "00 33 6 12 34 56 78",
            "00 1 212 555 0199",
            "0049 30 123456",
            "004930123456",
        ),
        *("+49 30 901820", "+33 6 12 34 56 78", "+34 612 345 678", "+1.8005550199", "+49 (0)30 123456", "+4930123456"),
    ],
)
@pytest.mark.parametrize("text", ["{}", "call {}, please", "Tel.: {}.", '"{}"', "de {}\n", "({})", "tel:{}", "{}; 12"])
def test_numbers_as_people_write_them(number: str, text: str) -> None:
    assert found(text.format(number)) == [number]


@pytest.mark.parametrize(
    "text",
    [
        "2026-06-12 14:30:56, 12.06.2026, 06/12/2026, 06.12.26, 06-12-26-14-30, 06.12.26.14.30, 20260612-143056",
        "192.168.0.1, 10.0.0.255:8080, 255.255.255.255, 127.0.0.1/8, v0.12.345678, 1.12.3.4",
        "1.0850, +1.0850123, +12.3456789, -1.0850123, +1 234 567.89, +1.234.567,89 EUR, 1 234 567.89, 12,345.67",
        "EUR 1 800 555, 19 001 000.00, +1000000000.00, 1 800 555.00, 1-800, 1-800-555, $1,800,555.01",
        "00 01 02 03 04 05 06 07, 00 49 30 12 34 56, 06 12 34 56 78 9a bc, 06 12 34 56 78 90 12, 01 02 03 04 05",
        "order 4711-0815, no. 100-200-3000, 0012345, 0012345678, 12345678901, A-030-1234567, x06 12 34 56 78",
        "step 00 of 20 000, 00 200 300 400, 050 / 1000, 01 / 2026, 05 / 12, 3 / 1234567",
        "0a1b0a1b-0601-4234-8678-0a1b0a1b0a1b, 06:12:34:56:78, 00:49:30:12:34:56",
    ],
)
def test_other_numbers_are_none(text: str) -> None:
    assert found(text) == []


@given(st.lists(st.integers(0, 255), min_size=4, max_size=4), st.integers(0, 65535))
def test_no_address_of_a_network_is_one(parts: list[int], port: int) -> None:
    address = ".".join(map(str, parts))
    assert found(f"at {address}, {address}:{port} and {address}/24") == []


@given(st.datetimes())
def test_no_date_or_time_is_one(moment: object) -> None:
    for form in (
        "{:%Y-%m-%d %H:%M:%S}",
        "{:%d.%m.%Y %H:%M}",
        "{:%m/%d/%Y}",
        "{:%d-%m-%y-%H-%M}",
        "{:%Y-%m-%dT%H:%M:%S.%fZ}",
    ):
        assert found(f"on {form.format(moment)}, or so") == []


@given(
    st.decimals(min_value=-(10**9), max_value=10**9, places=2),
    st.sampled_from(["{:,.2f}", "{:+,.2f}", "{:.2f}", "{:+.2f}"]),
)
def test_no_price_is_one(price: object, form: str) -> None:
    plain = form.format(price)
    european = plain.translate(str.maketrans(",.", ".,"))
    for text in (plain, european, plain.replace(",", " "), european.replace(".", " ")):
        assert found(f"at {text} EUR") == []


@given(st.integers(0, 2**63))
def test_no_whole_number_without_a_zero_before_it_is_one(number: int) -> None:
    assert found(f"id {number}, {number:,}, {number:x}, #{number}") == []


@given(st.lists(st.integers(0, 99), min_size=6, max_size=40))
def test_no_dump_of_bytes_is_one(data: list[int]) -> None:
    dump = " ".join(f"{number:02d}" for number in data)
    assert found(f"{dump} .") == found(f"0a {dump} f0") == []


@given(st.from_regex(r"0[1-9]( [0-9]{2}){3} [1-9][0-9]", fullmatch=True))
def test_five_pairs_are_one(number: str) -> None:
    assert found(f"au {number}, merci") == [number]


@pytest.mark.parametrize(
    "unit",
    [
        "0",
        "1",
        "00 ",
        "06 12 ",
        "+1 ",
        "+1",
        "(",
        "(12",
        "(12)",
        "030 / ",
        "00 49 30 ",
        "1-800-",
        "+1.2",
        "0-",
        "1 ",
        "12 ",
    ],
)
@pytest.mark.parametrize("before", ["", "00 ", "+1"])
def test_long_texts_cost_linear_time(unit: str, before: str) -> None:
    text = before + unit * (120_000 // len(unit)) + "!"
    began = time.process_time()
    found(text)
    assert time.process_time() - began < 2
