"""The fast reader of YAML against the parser of all of it: the same values, or none."""

from __future__ import annotations

import copy
import gzip
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from recorder.errors import ImportRefused
from recorder.formats.importing.yaml_block import Unusual, block_items
from recorder.formats.importing.yaml_data import items, parsed_items, plain_value
from tests import corpus

#: What means something in YAML, or looks as if it did.
WORDS = [
    *("no", "~", "1", "0x1f", "1_0", "1.5", "-1", "12:30", "2026-01-01", "x: y", "a:b", "key:", ": a", "# c", "a #b"),
    *("a#b", "it's", "''", '"q"', "\\", "\\n", "- a", "-", "? a", "{a: 1}", "[a]", "[]", "{}", "&a", "*a", "!t", "%x"),
    *("@a", "`", "|", ">", "---", "...", "\n", "\n\n", "\n---\n", " ", "  lead", "trail ", "\t", "é", "\U0001f600"),
    *("\x85", "\u2028", "\x07", "word " * 30, "w" * 200, '{"a": "b"}\n\ndata: [DONE]\n\n'),
]
TEXTS = st.lists(st.sampled_from(WORDS) | st.text(max_size=8), max_size=4).map("".join)
SCALARS = TEXTS | st.none() | st.booleans() | st.integers() | st.floats() | st.binary(max_size=40)
KEYS = st.sampled_from(["content-type", "Date", "body", "1", "no", "x.y", "k k", "é"])
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=20
)
DOCUMENTS = st.lists(VALUES, max_size=4) | st.fixed_dictionaries({"interactions": st.lists(VALUES), "version": VALUES})
STYLES = st.fixed_dictionaries(
    {
        "allow_unicode": st.booleans(),
        "width": st.sampled_from([20, 80, 1000]),
        "indent": st.sampled_from([None, 2, 4]),
        "default_style": st.sampled_from([None, None, "|", '"', "'"]),
        "explicit_start": st.booleans(),
        "explicit_end": st.booleans(),
    }
)
CHANGES = st.lists(
    st.tuples(st.floats(0, 1), st.sampled_from(["", *" \n\t:-#'\"\\|&*!{}[],.?x0é>+%@`\x85\ufeff", "\n  ", "- "])),
    max_size=3,
)


def taken(found: Iterator[tuple[str | None, Any]]) -> tuple[list[str], bool]:
    """Return what a reader reads, written so that NaN is equal to itself, and whether it reads all."""
    read: list[str] = []
    try:
        for each in found:
            read.append(repr(each))
    except (Unusual, ImportRefused):
        return read, False
    return read, True


def check(data: bytes) -> bool:
    """Check that what is read is what the parser reads; return whether that is all."""
    mine, whole = taken(block_items(data, plain_value))
    theirs, valid = taken(parsed_items(yaml, data))
    if valid:
        assert mine == theirs[: len(mine)]
    else:
        assert not whole
        assert mine[: len(theirs)] == theirs[: len(mine)]
    assert not whole or mine == theirs
    return whole


@given(DOCUMENTS, STYLES, st.sampled_from([yaml.SafeDumper, yaml.CSafeDumper]))
def test_what_an_emitter_writes_has_the_same_values(document: Any, style: dict[str, Any], dumper: Any) -> None:
    check(yaml.dump(document, Dumper=dumper, **style).encode())


@given(DOCUMENTS, STYLES, CHANGES)
def test_what_was_edited_has_the_same_values(document: Any, style: dict[str, Any], changes: Any) -> None:
    text = yaml.dump(document, Dumper=yaml.CSafeDumper, **style)
    for place, put in changes:
        at = int(place * len(text))
        text = text[:at] + put + text[at + (not put) :]
    check(text.encode())


BODY = 'data: {"id": "é", "n": [1, 2]}\n\ndata: it\'s \\ "quoted"\n\n\ndata: [DONE]\n\n' + "word " * 60
PAIR = {
    "request": {
        "body": None,
        "headers": {"Accept": ["*/*", "a, b; c='d'"], "Date": ["1"]},
        "uri": "https://a.test/?b=c#d",
    },
    "response": {
        "status": {"code": 200, "message": "OK"},
        "headers": {"X-Long": ["v " * 90]},
        "body": {"string": BODY},
    },
    "empty": [{}, [], "", "null", None, True, 1.5],
}


@pytest.mark.parametrize("width", [20, 80, 10_000])
@pytest.mark.parametrize("end", ["", "\U0001f600", "\x1b[0m"])
@pytest.mark.parametrize("ascii_only", [True, False])
@pytest.mark.parametrize("dumper", [yaml.SafeDumper, yaml.CSafeDumper])
def test_a_cassette_is_read_whole_without_a_parser(width: int, end: str, ascii_only: bool, dumper: Any) -> None:
    pair = copy.deepcopy(PAIR) | {"recorded": BODY + end}
    cassette = {"interactions": [PAIR, pair], "version": 1}
    data = yaml.dump(cassette, Dumper=dumper, width=width, allow_unicode=not ascii_only).encode()
    expected = [("interactions", PAIR), ("interactions", pair), ("version", 1)]
    assert list(block_items(data, plain_value)) == expected == list(items(data))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: 'x\n\n\n  y'", "x\n\ny"),
        ("a: 'x  \n  y\n z'", "x y z"),
        ("a: '\n  x\n\n  '", " x\n"),
        ("a: ''''", "'"),
        ('a: "x\\\n  \\ y \\\n\n  z"', "x y \nz"),
        ('a: "\\x41\\u00e9\\U0001F600\\e\\N\\_\\t\\/"', "Aé\U0001f600\x1b\x85\xa0\t/"),
        ("a: b\n  c\n   d", "b c d"),
        ("a: 1\n  2", "1 2"),
        ("a: |\n  x\n   y\n\n  z\n\n\n", "x\n y\n\nz\n"),
        ("a: |-\n  x\n\n", "x"),
        ("a: |+\n  x\n\n\n", "x\n\n\n"),
        ("a: |\n\n\n  x\n", "\n\nx\n"),
        ("a: !!binary |\n  eMOp\n  Kg==\n", b"x\xc3\xa9*"),
        ("a: !binary |-\n  eA==\n", b"x"),
        ("a:\n- b\n- - c", None),
        ("a:\n  b: {}\n  c: []\n  d:\n  e: ~", {"b": {}, "c": [], "d": None, "e": None}),
        ("a:\n  yes: 1\n  0x10: 2", {"True": 1, "16": 2}),
        ("---\na: b\n...\n", "b"),
    ],
)
def test_values(text: str, value: Any) -> None:
    data = text.encode()
    if value is None:
        assert not check(data)
    else:
        assert list(block_items(data, plain_value)) == [("a", value)]
        assert check(data)


UNUSUAL = [
    *("a: &x b", "a: *x", "a: !t b", "a: [b]", "a: {b: c}", "a: >\n  b", "a: |2\n   b", "a: b # c", "# c\na: b"),
    *("? a\n: b", "a: b: c", "a:\tb", "a: 'b", 'a: "b', 'a: "\\ud800"', 'a: "\\q"', "a: b\n\nc: d", "a: b\n \nc: d"),
    *("a: b\n---\nc: d", "%YAML 1.1\n---\na: b", "a: 'b\n---\nc'", "a:\n   b: 1\n  c: 2", "a: b\n  c: d", "'a': b"),
    *(
        "a:\n|-",
        "a:\n'b'",
        "a:\n- b:\n'c'",
        "a:\n  b: 1\nc\n",
        "a: |\n  b",
        "a: |\n  b\n c",
        "a: !!binary |\n  e",
        "a: \x07",
        "a: \u2028",
        "a: b\r\nc: d",
        " a: b",
        "b",
    ),
]


@pytest.mark.parametrize("text", UNUSUAL)
def test_what_is_unusual_is_left_to_the_parser(text: str) -> None:
    mine, whole = taken(block_items(text.encode(), plain_value))
    assert not whole
    theirs, _ = taken(parsed_items(yaml, text.encode()))
    assert taken(items(text.encode()))[0] == theirs
    assert mine == theirs[: len(mine)]


@corpus.needs_corpus
def test_the_cassettes_of_the_corpus() -> None:
    """All have the same values, and of 20 no more than one needs the parser."""
    read = whole = 0
    for path in sorted((corpus.ROOT / "cassettes").rglob("*")):
        if path.name.endswith((".yaml", ".yml", ".yaml.gz")):
            data = path.read_bytes()
            data = gzip.decompress(data) if path.suffix == ".gz" else data
            read += 1
            whole += check(data.removeprefix(b"\xef\xbb\xbf"))
    assert whole > read * 0.95 > 200
