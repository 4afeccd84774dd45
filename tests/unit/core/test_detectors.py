"""What the detectors take for what. No number or key here is anybody's: they are made for tests, or by the test."""

from __future__ import annotations

import time

import pytest

from recorder.core.detectors import DETECTORS


def found(name: str, text: str) -> list[str]:
    return [text[start:end] for start, end in DETECTORS[name](text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("write to anna.b+x@mail.example.org.", ["anna.b+x@mail.example.org"]),
        ("<a@b.de>, (c@d.co.uk)", ["a@b.de", "c@d.co.uk"]),
        ("jürgen@münchen.example", ["jürgen@münchen.example"]),
        ("mailto:a@b.example?subject=x", ["a@b.example"]),
        ("a@b.xn--p1ai, <c@xn--e1afmkfd.XN--P1AI>.", ["a@b.xn--p1ai", "c@xn--e1afmkfd.XN--P1AI"]),
        ("иван@почта.рф, x@y.xn--vermgensberater-ctb", ["иван@почта.рф", "x@y.xn--vermgensberater-ctb"]),
        ("a@b.xn--, a@b.xn--p1ai-, a@b.x-y", []),
        ("@decorator, a@b, user@localhost, 3 @ 4.50", []),
        ("pkg@1.2.3 and x@y.z9", []),
    ],
)
def test_addresses(text: str, expected: list[str]) -> None:
    assert found("email", text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("IBAN DE89 3704 0044 0532 0130 00 please", ["DE89 3704 0044 0532 0130 00"]),
        ("gb82west12345698765432.", ["gb82west12345698765432"]),
        ("DE89370400440532013000 and NL91ABNA0417164300", ["DE89370400440532013000", "NL91ABNA0417164300"]),
        ("DE88 3704 0044 0532 0130 00", []),
        ("xDE89370400440532013000", []),
        ("AB12", []),
    ],
)
def test_account_numbers_have_the_right_check_digits(text: str, expected: list[str]) -> None:
    assert found("iban", text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("card 4111 1111 1111 1111, thanks", ["4111 1111 1111 1111"]),
        ("4111-1111-1111-1111", ["4111-1111-1111-1111"]),
        ("378282246310005", ["378282246310005"]),
        ("4111 1111 1111 1112", []),
        ("1790000000000000000", []),
        ("a4111111111111111", []),
        ("41111111111111110000000", []),
    ],
)
def test_card_numbers_have_the_right_check_digit(text: str, expected: list[str]) -> None:
    assert found("card", text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("call +49 30 901820 or (0)", ["+49 30 901820"]),
        ("+1 (555) 010-0199", ["+1 (555) 010-0199"]),
        ("Tel. 030 901820", ["030 901820"]),
        ("555-010-0199 is none, 555-210-0199 is", ["555-210-0199"]),
        ("(030) 9018 20", ["(030) 9018 20"]),
        ("on 2026-11-25 16:17:15, 1.0850, 192.168.0.1, 1700000000, v0.12.345678", []),
    ],
)
def test_phone_numbers(text: str, expected: list[str]) -> None:
    assert found("phone", text) == expected


@pytest.mark.parametrize("name", ["email", "iban", "card"])
@pytest.mark.parametrize(
    "unit",
    [
        "a@",
        "a@b.",
        "a@b-",
        "a@b.xn--",
        "!a",
        "a.",
        "a@" + "b-" * 30,
        "DE89 ",
        "DE893704",
        "4111 ",
        "4-",
        "A1",
        "a",
        "1",
    ],
)
def test_long_texts_cost_linear_time(name: str, unit: str) -> None:
    text = unit * (120_000 // len(unit)) + "@!"
    began = time.process_time()
    found(name, text)
    assert time.process_time() - began < 2


@pytest.mark.parametrize(
    "key",
    [
        "sk-" + "aB3" * 10,
        "sk-ant-api03-" + "x9_" * 12,
        "AKIA" + "Q7" * 8,
        "AIza" + "s" * 35,
        "ghp_" + "a1" * 18,
        "hf_" + "Zz" * 17,
        "xoxb-" + "12" * 6,
        "eyJ" + "h" * 20 + ".eyJ" + "p" * 20 + "." + "s" * 20,
        "-----BEGIN " + "PRIVATE KEY-----\nAAAA\n-----END " + "PRIVATE KEY-----",
    ],
)
def test_keys(key: str) -> None:
    assert found("key", f"with {key}, please") == [key]


def test_a_bearer_is_found_without_the_word_and_words_are_no_keys() -> None:
    assert found("key", "Authorization: Bearer " + "t0" * 12) == ["t0" * 12]
    assert found("key", "sk-learn, ask-me-anything-about-it, the Bearer of it, eyJ") == []
