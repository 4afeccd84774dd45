"""Files that are made to hang, to exhaust memory, or to hold another type than the format has in a place."""

from __future__ import annotations

import gzip
import json
import zlib

import pytest

from recorder.errors import ImportRefused
from recorder.formats.importing.base import Foreign, Refused
from recorder.formats.importing.go_vcr import duration_ns
from recorder.formats.importing.source import LARGEST
from recorder.formats.importing.yaml_data import items
from tests.unit.formats.importing.reading import one, read, refusal
from tests.unit.formats.importing.test_cassettes import VCRPY

#: Ten lines that stand for 9 to the power of 9 values.
BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{at}: &a{at} [{', '.join([f'*a{at - 1}'] * 9)}]\n" for at in range(1, 10)
)


@pytest.mark.parametrize(
    "place", ["method: POST", "uri: https://api.example.test/v1", "body: '{\"a\": 1}'", "Accept: ['*/*']", "code: 200",
              "message: OK", "string: \"data: \\xe9\\n\\n\"", "content-type: [text/event-stream]", "version: 1"],
)  # fmt: skip
def test_a_bomb_of_aliases_is_refused_at_once_wherever_it_stands(place: str) -> None:
    assert place in VCRPY
    for end in ("", "]"):
        name = place.partition(":")[0]
        with pytest.raises(ImportRefused, match="aliases"):
            read(BOMB + VCRPY.replace(place, f"{name}: {'[' if end else ''}*a9{end}"))
    with pytest.raises(ImportRefused, match="aliases"):
        read(BOMB + f"? *a9\n: x\n{VCRPY}")


def test_aliases_may_stand_for_as_much_as_the_file_has() -> None:
    text = "x" * 1000
    many = "".join(f"      H{at}: *a\n" for at in range(200))
    found = one(VCRPY.replace("      Accept: ['*/*']\n", f"      Accept: &a ['{text}']\n{many}"))
    assert len(found.request_headers) == 203
    long = VCRPY.replace("      Accept: ['*/*']\n", f"      Accept: &a ['{text * 100}']\n{many}")
    with pytest.raises(ImportRefused, match="aliases"):
        read(long)


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("method: [POST]", "a list"),
        ("uri: {a: b}", "a mapping"),
        ("code: [200]", "is none of HTTP"),
        ("code: .inf", "is none of HTTP"),
        ("code: !!binary aGk=", "is none of HTTP"),
        ("message: {O: K}", "a mapping"),
        ("Accept: [[a, b]]", "a list"),
        ("content-type: {a: b}", "a mapping"),
    ],
)
def test_a_list_or_a_mapping_is_no_text(place: str, told: str) -> None:
    name = place.partition(":")[0]
    line = next(line for line in VCRPY.splitlines() if f"{name}:" in line)
    start, _, rest = line.partition(f"{name}:")
    changed = f"{start}{place}{', message: OK}' if name == 'code' else '}' if rest.endswith('}') else ''}"
    assert told in refusal(VCRPY.replace(line, changed))


def test_a_list_or_a_mapping_is_no_key() -> None:
    with pytest.raises(ImportRefused, match="a key in it is a list"):
        read(VCRPY.replace("Accept: ['*/*']", "? [a, b]\n      : x"))


@pytest.mark.parametrize("number", ["0x" + "f" * 6000, "0" + "7" * 9000, "0b" + "1" * 20_000, "9" * 6000, "1:" * 3000 + "1"])
def test_a_number_longer_than_any_is_text(number: str) -> None:
    assert list(items(f"a: {number}\n".encode())) == [("a", number)]
    for place in ("method: POST", "uri: https://api.example.test/v1", "message: OK", "Accept: ['*/*']"):
        name = place.partition(":")[0]
        (entry,) = read(VCRPY.replace(place, f"{name}: {number}"))
        assert isinstance(entry, Foreign | Refused)
    assert "is none of HTTP" in refusal(VCRPY.replace("code: 200", f"code: {number}"))
    read(VCRPY.replace("version: 1", f"version: {number}"))


def test_a_duration_longer_than_any_is_none() -> None:
    assert duration_ns("9" * 400 + "h") is None
    assert duration_ns("99999999999h") is None


def test_what_unpacks_to_more_than_fits_is_refused() -> None:
    member = gzip.compress(bytes(16 * 1024 * 1024), 1)
    with pytest.raises(ImportRefused, match="unpacks to more than"):
        read(member * (LARGEST // (16 * 1024 * 1024) + 1))
    assert LARGEST <= 512 * 1024 * 1024
    engine = zlib.compressobj(9, zlib.DEFLATED, 31)
    packed = engine.compress(json.dumps([]).encode()) + engine.flush()
    with pytest.raises(ImportRefused, match="none of the known"):
        read(packed)
