"""Bytes in a cassette: text wherever they are text, and always the same bytes again."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from recorder.core.cassette_body import STYLES, head_lines, head_of, payload, payload_of, read, written

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.binary(max_size=200) | st.text(max_size=100).map(lambda text: text.encode()[1:-1]))
@example(b"")
@example("né 你好"[:-1].encode()[:-1])
def test_any_bytes_come_back(data: bytes) -> None:
    value = json.loads(json.dumps(written(data)))
    assert read(value) == data


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"data: {}\n\n", "data: {}\n\n"),
        ("Zürich".encode(), "Zürich"),
        (b"caf\xc3", ["caf", {"base64": "ww=="}]),
        (b"\xa9 au lait", [{"base64": "qQ=="}, " au lait"]),
        (b"\x1f\x8b\x08\x00\xff\xfe\xfd\xfc", {"base64": "H4sIAP/+/fw="}),
    ],
)
def test_what_stands_for_bytes(data: bytes, value: Any) -> None:
    assert written(data) == value
    assert read(value) == data


@pytest.mark.parametrize(
    "value",
    [None, 7, {"base64": 7}, {"base64": "a"}, {"base64": "!!!!"}, {"base64": "", "more": 1}, ["text", 7], {"hex": ""}],
)
def test_what_stands_for_no_bytes(value: Any) -> None:
    with pytest.raises(ValueError, match="base64"):
        read(value)


@given(JSON, st.sampled_from(sorted(STYLES)))
def test_json_is_shown_as_a_value_and_comes_back_as_it_was(value: Any, style: str) -> None:
    data = STYLES[style]([value]).encode("utf-8")
    line = payload(data)
    assert line.keys() <= {"json", "json_spaced"}
    assert payload_of(json.loads(json.dumps(line))) == data


@pytest.mark.parametrize(
    "data",
    [
        b'{"a":  1}',
        b'{"a": 1, "a": 1}',
        b'{"a": 1.10}',
        b'{"a": 1e400}',
        b'{"a": NaN}',
        b'{"a": "\\u00e9" }',
        b'{"a":"\\ud800"}',
        b'\xef\xbb\xbf{"a":1}',
        '{"a":"é"}'.encode("utf-16"),
        b'{"a": 1}\n',
        b"{",
        b"[" * 100_000,
        b"[" * 300 + b"]" * 300,
        b'{"a": 1' + b"0" * 5000 + b"}",
        b"messages=1&stream=true",
        b"[\xff]",
    ],
)
def test_json_of_another_spelling_is_text(data: bytes) -> None:
    line = payload(data)
    assert line.keys() == {"body"}
    assert payload_of(json.loads(json.dumps(line))) == data


def test_an_empty_payload_has_no_member() -> None:
    assert payload(b"") == {}
    assert payload_of({}) is None


def test_a_payload_that_is_told_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="body and json both"):
        payload_of({"body": "shown", "json": "played"})


@given(st.binary(max_size=60).map(lambda data: data.replace(b"a", b"\r\n") + b"\r\n\r\n"))
@example(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nx: \xe9\r\n\r\n")
@example(b"\r\n\r\n")
@example(b"bare\nline\r\n\r\n")
def test_a_head_is_its_lines_or_nothing(head: bytes) -> None:
    lines = head_lines(head)
    assert lines is None or head_of(json.loads(json.dumps(lines))) == head


@pytest.mark.parametrize("lines", ["GET / HTTP/1.1", [1], {"a": 1}, None, ["x: 你"]])
def test_what_is_no_head(lines: Any) -> None:
    with pytest.raises(ValueError, match=r"list of lines|latin-1"):
        head_of(lines)


@pytest.mark.parametrize(
    "number", ["0.69999999999999996", "1.000000000000000001", "1e400", "1E+2", "1e-7", "2.50", "NaN"]
)
def test_a_number_that_would_not_be_written_the_same_is_kept_as_text(number: str) -> None:
    data = f'{{"temperature":{number}}}'.encode()
    line = json.loads(json.dumps(payload(data)))
    assert line == {"body": data.decode()}
    assert payload_of(line) == data
