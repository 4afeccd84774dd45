"""Base64 is told from names of many letters, in both directions."""

from __future__ import annotations

import base64
import json
import random
import struct
import textwrap
import uuid
from collections.abc import Callable, Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from recorder.core.base64_runs import base64_in, blanked, is_base64, without_base64

WORDS = [
    *("order", "price", "market", "account", "user", "service", "client", "request", "response", "builder", "value"),
    *("status", "result", "index", "search", "filled", "limit", "berlin", "settings", "repository", "storage"),
    *("local", "share", "python", "packages", "documents", "report", "quarter"),
]
GERMAN = [
    *("donau", "dampf", "schiff", "fahrts", "gesellschafts", "kapitaens", "muetzen", "rind", "fleisch"),
    *("etikettierungs", "ueberwachungs", "aufgaben"),
]
SEEDS = st.integers(0, 2**32)
SIZES = st.integers(97, 3000)


def encoded(seed: int, size: int, *, url: bool = False) -> str:
    made = random.Random(seed).randbytes(size)
    return (base64.urlsafe_b64encode(made).rstrip(b"=") if url else base64.b64encode(made)).decode()


@given(SEEDS, SIZES, st.booleans())
def test_random_bytes_are_base64(seed: int, size: int, url: bool) -> None:
    run = encoded(seed, size, url=url)
    assert without_base64(f'see "{run}" there') == 'see " " there'
    assert without_base64(f"see {run}, there") == "see  , there"
    assert blanked(f"see {run} there") == f"see {' ' * len(run)} there"


@given(
    SEEDS,
    st.integers(67, 1000).map(lambda number: 3 * number + 1),  # whose last line ends with ==
    st.sampled_from([48, 60, 64, 72, 76]),
    st.sampled_from(["\n", "\r\n", "\n  ", "\\n", "\\r\\n"]),
)
def test_lines_of_it_are_too(seed: int, size: int, width: int, end: str) -> None:
    lines = textwrap.wrap(encoded(seed, size), width, break_on_hyphens=False)
    whole = lines if len(lines[-1]) == width else lines[:-1]
    for block, after in ((lines, end), (whole, ""), (["word", *whole], "")):
        text = f"see:{end}{end.join(block)}{end}{after}there now"
        left = without_base64(text).replace(end, " ").split()
        assert [one for one in left if one != "word"] == ["see:", "there", "now"]


@pytest.mark.parametrize(
    "made",
    [
        bytes(range(256)),
        bytes(200),
        struct.pack("<100i", *range(0, 100_000, 1000)),
        struct.pack("<100f", *(one / 7 for one in range(100))),
        " ".join(WORDS).encode(),
        " ".join(WORDS).encode("utf-16"),
        json.dumps(dict(zip(WORDS, range(40), strict=False))).encode(),
        "Привет, мир! Что нового сегодня? ".encode() * 5,
        bytes(range(256)).hex().encode(),
        b"%PDF-1.7\n" + random.Random(5).randbytes(120),
    ],
)
def test_bytes_of_all_kinds_are(made: bytes) -> None:
    for run in (base64.b64encode(made).decode(), base64.urlsafe_b64encode(made).decode().rstrip("=")):
        assert base64_in(f"a {run} b") == [(2, 2 + len(run))]
    escaped = json.dumps(base64.b64encode(made).decode()).replace("/", "\\/")  # as PHP writes it
    assert without_base64(escaped) == '" "'


def joined(between: Sequence[str], made: Callable[[str], str] = str) -> Callable[[int], str]:
    def name(seed: int) -> str:
        rnd = random.Random(seed)
        return "".join(made(rnd.choice(WORDS)) + rnd.choice(between) for _ in range(rnd.randint(30, 120)))

    return name


def uuids(seed: int) -> str:
    rnd = random.Random(seed)
    return "/".join(f"{rnd.choice(WORDS)}/{uuid.UUID(int=rnd.getrandbits(128))}" for _ in range(9))


def mixed(seed: int) -> str:
    """A path with an id of random letters in each second place."""
    rnd = random.Random(seed)
    return "".join(f"/{rnd.choice(WORDS)}/{encoded(rnd.getrandbits(32), 8, url=True)}" for _ in range(12))


def address(seed: int) -> str:
    rnd = random.Random(seed)
    return f"/{'/'.join(rnd.choices(WORDS, k=12))}/{encoded(seed, 33, url=True)}/{'/'.join(rnd.choices(WORDS, k=8))}"


NAMES: dict[str, Callable[[int], str]] = {
    "path": joined("/"),
    "slug": joined("-"),
    "snake": joined("_"),
    "mixed path": joined("/-_"),
    "camel": joined([""], str.capitalize),
    "camel with digits": joined(["", "", "", "2", "V3"], str.capitalize),
    "constant": joined("_", str.upper),
    "numbered": joined(["-1-", "-22-", "/v3/", "-2026-11-"]),
    "compound": lambda seed: "".join(random.Random(seed).choices(GERMAN, k=30)).capitalize(),
    "uuids": uuids,
    "ids": mixed,
    "address": address,
    "hexadecimal": lambda seed: random.Random(seed).randbytes(200).hex(),
    "HEXADECIMAL": lambda seed: "0x" + random.Random(seed).randbytes(200).hex().upper(),
    "one letter": lambda seed: "x" * (129 + seed % 100),
}


@pytest.mark.parametrize("name", NAMES)
@given(SEEDS)
@example(26600)
def test_names_of_many_letters_are_not(name: str, seed: int) -> None:
    run = NAMES[name](seed)
    assert len(run) > 128
    for text in (run, f'{{"at": "{run}"}}', f"https://example.org{run}?q=1", f"see {run}\nand {run}"):
        assert without_base64(text) == text


@given(SEEDS, st.sampled_from([48, 64, 76]))
def test_lines_of_names_are_not(seed: int, width: int) -> None:
    lines = [NAMES[name](seed)[:width] for name in NAMES]
    assert without_base64("\n".join(lines)) == "\n".join(lines)


def test_lists_of_addresses_and_hashes_are_not() -> None:
    rnd = random.Random(1)
    letters = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
    for width in (43, 44, 88):  # public keys and transactions of Solana
        text = "\n".join("".join(rnd.choices(letters, k=width)) for _ in range(20))
        assert without_base64(text) == text
    text = "\n".join(rnd.randbytes(32).hex() for _ in range(20))
    assert without_base64(text) == text


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("![x](data:image/png;base64,iVBORw0KGgo=) end", "![x]( ) end"),
        ("<img src='DATA:image/PNG;charset=x;BASE64,aGk%3D'>", "<img src=' '>"),
        ("data:image/png;base64,", " "),
        ("data: none; base64, too", "data: none; base64, too"),
        ("data:text/plain,hello base64,x", "data:text/plain,hello base64,x"),
        ("c2hvcnQ= stays", "c2hvcnQ= stays"),
        ("", ""),
    ],
)
def test_data_urls(text: str, left: str) -> None:
    assert without_base64(text) == left
    assert len(blanked(text)) == len(text)


@given(st.text(st.characters(codec="utf-8") | st.sampled_from("aA1+/-_=\n\\,:;"), max_size=400))
def test_any_text(text: str) -> None:
    assert len(blanked(text)) == len(text)
    for start, end in base64_in(text * 3):
        assert 0 <= start < end <= 3 * len(text)


def test_too_few_letters_are_a_word() -> None:
    assert not is_base64("aGVsbG8gd29ybGQ")
    assert not is_base64("")
