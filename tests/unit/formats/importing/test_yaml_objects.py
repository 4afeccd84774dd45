"""Bodies that VCR.py wrote as objects of Python: files, iterators, and what nobody knows."""

from __future__ import annotations

import io
from collections import UserDict
from typing import Any

import pytest
import yaml

from recorder.formats.importing.base import Foreign, Refused
from recorder.formats.importing.yaml_data import items
from tests.unit.formats.importing.reading import one, read
from tests.unit.formats.importing.test_cassettes import VCRPY


def dumped(body: Any = None, answer: Any = b"hi", **more: Any) -> str:
    """Return a cassette, as vcrpy writes it."""
    request = {"body": body, "headers": {"a": ["b"]}, "method": "POST", "uri": "http://a.test/", **more}
    response = {"body": {"string": answer}, "headers": {}, "status": {"code": 200, "message": "OK"}}
    return yaml.dump({"interactions": [{"request": request, "response": response}], "version": 1}, Dumper=yaml.Dumper)


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        (io.BytesIO(b'{"a": "\xff"}'), b'{"a": "\xff"}'),
        (io.BytesIO(b""), b""),
        (io.StringIO("é\r\n"), "é\r\n".encode()),
        (iter([b"one\xff", "é", b"two"]), b"one\xff\xc3\xa9two"),
        (iter([b"only"]), b"only"),
        (iter((b"of", b"a tuple")), b"ofa tuple"),
        (iter([]), b""),
        (bytearray(b"a\xe9"), b"a\xe9"),
        (bytearray(), b""),
    ],
)
def test_of_an_object_that_holds_bytes_these_were_sent(body: Any, sent: bytes) -> None:
    found = one(dumped(body))
    assert found.payload == sent
    assert {"request_bytes", "request_body"}.isdisjoint(found.missing)
    assert one(dumped(answer=body)).body == sent


def test_a_file_that_was_read_in_part_has_all_of_its_bytes() -> None:
    (body := io.BytesIO(b"all of it")).seek(4)
    assert one(dumped(body)).payload == b"all of it"


class Multipart:
    """An object with attributes."""

    def __init__(self) -> None:
        self.boundary, self.fields = "x", {"a": "b"}


class Stateless:
    """An object with none."""


class Form(dict[str, str]):
    """A mapping of somebody's own."""


@pytest.mark.parametrize(
    "body",
    [
        Multipart(),
        Stateless(),
        Form(a="b"),
        UserDict(a="b"),
        iter([1, 2]),
        iter([["a"], {"b": "c"}]),
        [1, 2],
        7,
    ],
    ids=lambda body: type(body).__name__,
)
def test_of_any_other_body_of_a_request_nothing_is_invented_and_the_answer_is_kept(body: Any) -> None:
    found = one(dumped(body))
    assert (found.payload, found.body, found.status) == (b"", b"hi", 200)
    assert "request_body" in found.missing
    assert "request_bytes" not in found.missing


@pytest.mark.parametrize("answer", [Multipart(), [1, 2], 7], ids=lambda answer: type(answer).__name__)
def test_an_answer_without_bytes_is_refused(answer: Any) -> None:
    (refused,) = read(dumped(answer=answer))
    assert isinstance(refused, Refused)
    assert "a body in it is" in refused.reason
    whole = VCRPY.replace("body:\n      string: ", "body: !!python/object:a.B\n      parts: ")
    (refused,) = read(whole)
    assert refused == Refused(1, "a body in it is an object of Python, and nothing tells its bytes")


def test_damage_of_a_request_is_told_as_before() -> None:
    (refused,) = read(VCRPY.replace("body: '{\"a\": 1}'", "body: {base64_string: '!'}"))
    assert isinstance(refused, Refused)
    assert "no base64" in refused.reason


@pytest.mark.parametrize(
    "odd",
    [
        "!!python/object/new:_io.BytesIO {state: 1}",
        "!!python/object/new:_io.BytesIO {state: []}",
        "!!python/object/new:_io.BytesIO {state: [{a: b}, 0, null]}",
        "!!python/object/new:_io.BytesIO []",
        "!!python/object/apply:builtins.iter {args: 1}",
        "!!python/object/apply:builtins.iter []",
        "!!python/object/apply:builtins.bytearray [ł, latin-1]",
        "!!python/object/apply:builtins.bytearray [x, idna]",
    ],
)
def test_an_object_that_nobody_would_write_holds_nothing(odd: str) -> None:
    (found,) = read(VCRPY.replace("body: '{\"a\": 1}'", f"body: {odd}"))
    assert isinstance(found, Foreign)
    assert (found.payload, found.body) == (b"", "data: é\n\n".encode())


def test_an_object_is_a_mapping_where_one_is_wanted() -> None:
    assert list(items(b"a: !!python/object:x.Y {b: c}\n")) == [("a", {"b": "c"})]
