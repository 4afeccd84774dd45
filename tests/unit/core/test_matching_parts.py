"""Forms with files are compared part by part, and a difference names the part."""

from __future__ import annotations

import httpx
import pytest
import requests

from recorder.core.exchange import Request
from recorder.core.loosening import Loosening
from recorder.core.match_rules import Match
from recorder.core.matching import canonical_body, differences, match_key
from recorder.core.multipart import parts_of, whole_parts_of

URL = "http://h/v1/audio"
SOUND = b"RIFF\x00\xff--\r\n"


def _requests(files: object, data: object = None) -> bytes:
    body = requests.Request("POST", URL, files=files, data=data).prepare().body
    assert isinstance(body, bytes)
    return body


def _httpx(files: object, data: object = None) -> bytes:
    return httpx.Request("POST", URL, files=files, data=data).read()


def _key(body: bytes) -> bytes:
    return match_key("POST", URL, body)


@pytest.mark.parametrize(
    ("files", "data"),
    [
        ({"file": ("a.wav", SOUND)}, {"model": "whisper-1", "language": "de"}),
        ({"file": ("a.wav", SOUND, "audio/x-own")}, None),
        ({"file": ('a"b\\ é.txt', b"text"), "more": ("no-suffix", b"")}, {"größe": "µ"}),
        ({"asked": (None, '{"a": 1}', "application/json")}, None),
    ],
)
def test_requests_and_httpx_write_the_same_form(files: dict[str, object], data: dict[str, str] | None) -> None:
    one, other = _requests(files, data), _httpx(files, data)
    assert (_key(one), differences(("POST", URL, one), ("POST", URL, other))) == (_key(other), [])


def _both(one: dict[str, object], other: dict[str, object], hidden: tuple[str, ...] = ()) -> list[str]:
    left, right = _requests(one), _requests(other)
    assert _key(left) != _key(right)
    strict = differences(("POST", URL, left), ("POST", URL, right), hidden=hidden)
    loosening = Loosening(Match(ignore=["/x"])).differing_from(Request("POST", URL, payload=right), hidden)
    assert loosening(Request("POST", URL, payload=left), ()) == strict
    return strict


def test_a_difference_names_the_part() -> None:
    file = ("a.wav", SOUND)
    assert _both({"f": file, "m": (None, "one")}, {"f": file, "m": (None, "two")}) == [
        'body part "m": "one" (3 bytes) != "two" (3 bytes)'
    ]
    assert _both({"f": ("a.wav", b"\xff\x00")}, {"f": ("b.wav", b"\xff\x01\x02")}) == [
        'body part "f", filename: "a.wav" != "b.wav"',
        "body part \"f\": b'\\xff\\x00' (2 bytes) != b'\\xff\\x01\\x02' (3 bytes)",
    ]
    assert _both({"m": (None, "x")}, {"m": (None, "x", "text/html")}) == [
        'body part "m", content type: (absent) != "text/html"'
    ]
    assert _both({"f": file}, {"f": file, "g": ("b", b"")}) == ['body part 2: (absent) != "g", a file named "b"']
    assert _both({"f": (None, "x")}, {"g": (None, "x")}) == ['body part 1, name: "f" != "g"']


def test_what_some_recording_has_redacted_is_not_shown() -> None:
    told = _both({"pin": (None, "1")}, {"pin": (None, "S3cr3t")}, hidden=("body:/pin",))
    assert told == ['body part "pin": "1" (1 bytes) != ~redacted~']
    asked = (None, '{"account": "S3cr3t", "n": 2}', "application/json")
    told = _both({"asked": (None, '{"n": 1}', "application/json")}, {"asked": asked}, hidden=("body:/asked/account",))
    assert told == ['body part "asked": {"n": 1} (8 bytes) != {"account": "~redacted~", "n": 2} (29 bytes)']


def test_the_form_that_is_compared_is_the_same_once_more() -> None:
    form = canonical_body(_requests({"f": ('a"\\', SOUND), "m": (None, "x", "text/html")}))
    assert canonical_body(form) == form


def test_lenient_readers_take_more_for_a_form_than_is_compared_as_one() -> None:
    body = _requests({"f": ("a", b"1"), "g": (None, "2")})
    for lenient in (body.replace(b"\r\n", b"\n"), b"\r\n" + body, body[: body.rindex(b"\r\n--")]):
        parts = parts_of(lenient)
        assert parts is not None
        assert [(part.name, lenient[part.start : part.end]) for part in parts] == [("f", b"1"), ("g", b"2")]
        assert whole_parts_of(lenient) is None


def test_headers_of_a_part_count_but_for_those_of_framing() -> None:
    def form(more: bytes) -> bytes:
        return b"--b\r\ncontent-disposition: form-data; name=f\r\n%s\r\n\r\nx\r\n--b--\r\n" % more

    assert _key(form(b"Content-Length: 1")) == _key(form(b"X-A: 1").replace(b"X-A: 1\r\n", b""))
    assert _key(form(b"X-A: 1")) != _key(form(b"X-A: 2"))
    assert _key(form(b"Content-Type: text/plain; charset=utf-8")) == _key(form(b"Content-Length: 1"))
    assert _key(form(b"Content-Type:\r\n text/plain")) == _key(form(b"Content-Length: 1"))
