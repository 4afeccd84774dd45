"""Fingerprints of keys as people write them."""

from __future__ import annotations

import pytest

from recorder.core.key_spelling import fingerprints_in, groups_joined
from tests.sealed import Key

DIGITS = Key().fingerprint
GROUPS = [DIGITS[at : at + 4] for at in range(0, 64, 4)]
SHOWN = " ".join(GROUPS)
SPELLINGS = (
    DIGITS,
    SHOWN,
    SHOWN.upper(),
    f"  {SHOWN}\n",
    "\n".join((SHOWN[:39], SHOWN[40:])),
    SHOWN.replace(" ", ":"),
    SHOWN.replace(" ", "-"),
    SHOWN.replace(" ", "\u2013"),
    SHOWN.replace(" ", "\u00a0"),
    f"fingerprint  {SHOWN}",
    f"Fingerprint: {SHOWN}",
    f"SHA256:{DIGITS}",
    f"sha-256 {SHOWN}.",
    f"0x{DIGITS}",
    f"\u201c{SHOWN}\u201d",
    f"'{SHOWN}'",
)


@pytest.mark.parametrize("text", SPELLINGS)
def test_a_fingerprint_is_known_however_it_is_written(text: str) -> None:
    assert fingerprints_in(text) == [DIGITS]


def test_several_are_each_by_itself() -> None:
    other = Key(seed=2).fingerprint
    for text in (f"fingerprint  {SHOWN}\nfingerprint  {other}", f"{SHOWN}, {other}", DIGITS + other):
        assert fingerprints_in(text) == [DIGITS, other]


@pytest.mark.parametrize(
    "text", ["", " ", "fingerprint", DIGITS[:-1], f"{DIGITS}0", f"{DIGITS[:-1]}g", f"key {DIGITS}", Key().public.text]
)
def test_what_is_none_is_none(text: str) -> None:
    assert fingerprints_in(text) == []


@pytest.mark.parametrize("size", [4, 8, 64])
def test_groups_without_quotation_marks_are_joined(size: int) -> None:
    groups = [DIGITS[at : at + size] for at in range(0, 64, size)]
    told = " ".join(groups)
    assert groups_joined(["--key", *groups, "abcd"], "--key") == ["--key", told, "abcd"]
    assert groups_joined(["e.zip", f"--key={groups[0]}", *groups[1:], "--json"], "--key") == [
        "e.zip",
        f"--key={told}",
        "--json",
    ]
    twice = ["--key", *groups, "--key", *groups]
    assert groups_joined(twice, "--key") == ["--key", told, "--key", told]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--key"],
        ["e.zip", "--key", SHOWN, "--json"],
        ["--key", SHOWN, "abcd"],
        ["--key", Key().public.text, "abcd"],
        ["abcd", "1234"],
        ["--json", "abcd", "1234"],
        ["--key=", "abcd"],
    ],
)
def test_nothing_else_is_joined(arguments: list[str]) -> None:
    assert groups_joined(arguments, "--key") == arguments
