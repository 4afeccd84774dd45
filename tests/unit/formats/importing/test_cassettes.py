"""Cassettes of VCR.py, VCR for Ruby and go-vcr; YAML as data."""

from __future__ import annotations

import base64
import gzip
from pathlib import Path
from typing import Any

import pytest

from recorder.errors import ImportRefused
from recorder.formats.importing.base import Foreign, Refused
from recorder.formats.importing.go_vcr import duration_ns
from recorder.formats.importing.yaml_data import items
from tests.unit.formats.importing.reading import one, read, recording, refusal

VCRPY = """\
interactions:
- request:
    body: '{"a": 1}'
    headers:
      Accept: ['*/*']
      X: [a, b]
    method: POST
    uri: https://api.example.test/v1
  response:
    body:
      string: "data: \\xe9\\n\\n"
    headers:
      content-type: [text/event-stream]
    status: {code: 200, message: OK}
version: 1
"""


def cassette(body: str) -> str:
    return VCRPY.replace('{"a": 1}', "").replace('body:\n      string: "data: \\xe9\\n\\n"', body)


def test_an_interaction_is_an_exchange() -> None:
    found = one(VCRPY)
    assert (found.method, found.url, found.payload) == ("POST", "https://api.example.test/v1", b'{"a": 1}')
    assert found.request_headers == (("Accept", "*/*"), ("X", "a"), ("X", "b"))
    assert (found.status, found.reason, found.body) == (200, "OK", "data: é\n\n".encode())
    assert {"started_at", "chunk_boundaries", "http_version"} <= set(found.missing)
    assert recording(VCRPY).format == "vcrpy"


def test_gzipped() -> None:
    assert one(gzip.compress(VCRPY.encode())).status == 200
    with pytest.raises(ImportRefused, match="gzip ends before"):
        read(gzip.compress(VCRPY.encode())[:-20])
    with pytest.raises(ImportRefused, match="gzip is damaged"):
        read(b"\x1f\x8b\x08\0" + b"\xff" * 60)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("body: {string: !!binary 'H4sIAP8='}", base64.b64decode("H4sIAP8=")),
        ("body: {base64_string: H4sIAP8=, encoding: ascii}", base64.b64decode("H4sIAP8=")),
        ("body: plain", b"plain"),
        ("content: !!python/unicode 'of httpx'", b"of httpx"),
        ("parsed_body: {ok: true, n: 1.5, none: null, t: '1', list: [~, 0x10]}",
         b'{"ok":true,"n":1.5,"none":null,"t":"1","list":[null,16]}'),
        ("body: null", b""),
        ("body: {}", b""),
    ],
)  # fmt: skip
def test_bodies_of_every_shape(body: str, expected: bytes) -> None:
    assert one(cassette(body)).body == expected


def test_a_parsed_body_says_that_its_bytes_are_written_again() -> None:
    assert "response_bytes" in one(cassette("parsed_body: {}")).missing


def test_the_old_form_of_httpx() -> None:
    old = cassette("content: text").replace("    status: {code: 200, message: OK}", "    status_code: 201")
    assert one(old).status == 201


def test_the_oldest_cassettes() -> None:
    found = one(
        "- request: !!python/object:vcr.request.Request\n"
        "    body: null\n"
        "    headers: !!python/object/apply:__builtin__.frozenset\n"
        "    - - !!python/tuple [accept, '*/*']\n"
        "      - !!python/tuple [x, y]\n"
        "    host: example.test\n    method: GET\n    path: /ip\n    port: 8080\n    protocol: http\n"
        "  response:\n"
        "    body: {string: hi}\n"
        '    headers: ["content-type: text/plain\\r\\n"]\n'
        "    status: {code: 200, message: OK}\n"
    )
    assert found.url == "http://example.test:8080/ip"
    assert found.request_headers == (("accept", "*/*"), ("x", "y"))
    assert found.response_headers == (("content-type", "text/plain"),)


def test_two_lists() -> None:
    split = (
        "requests:\n- {method: GET, uri: 'http://a.test/1'}\n- {method: GET, uri: 'http://a.test/2'}\n"
        "responses:\n- {body: {string: one}, status: {code: 200}}\n"
    )
    first, second = read(split)
    assert isinstance(first, Foreign)
    assert (first.url, first.body) == ("http://a.test/1", b"one")
    assert second == Refused(2, "it has no response")


def test_json_cassettes() -> None:
    pair = {"request": {"method": "GET", "uri": "http://a.test"}, "response": {"status": {"code": 204}, "body": {}}}
    assert one({"version": 1, "interactions": [pair]}).status == 204
    assert one([pair]).status == 204


def test_tags_run_nothing(tmp_path: Path) -> None:
    target = tmp_path / "touched"
    evil = (
        f"? !!python/object/apply:os.system ['touch {target}']\n: [x]\n"
        f"? !!python/object/new:os.system [touch {target}]\n: [y]\n"
        "? !!python/object/apply:multidict._multidict.istr [content-type]\n: [text/plain]\n"
        f"? !!python/object/apply:os.system {{args: ['touch {target}']}}\n: [z]\n"
    )
    indented = "".join(f"      {line}\n" for line in evil.splitlines())
    found = one(VCRPY.replace("      content-type: [text/event-stream]\n", indented))
    assert ("content-type", "text/plain") in found.response_headers
    assert not target.exists()


def test_what_cannot_be_an_interaction_is_refused_alone() -> None:
    broken = VCRPY.replace("version: 1\n", "") + "- 1\n- {request: {}}\n- {request: {}, response: {status: 200}}\n"
    kinds = [each if isinstance(each, Foreign) else each.reason for each in read(broken)]
    assert isinstance(kinds[0], Foreign)
    assert kinds[1:] == ["its interaction is no mapping", "its response is no mapping", "its request has no URI"]
    assert "none of HTTP" in refusal(VCRPY.replace("code: 200", "code: OK"))
    assert "no base64" in refusal(cassette("body: {base64_string: 'a'}"))


def test_what_stands_before_the_damage_is_read() -> None:
    entries = recording(VCRPY.replace("version: 1\n", "- request: {\n")).entries
    assert isinstance(next(entries), Foreign)
    with pytest.raises(ImportRefused, match=r"no YAML .* in line \d+"):
        list(entries)
    with pytest.raises(ImportRefused, match="no interactions"):
        read("interactions: []\n")


def test_aliases_are_values_but_no_bomb() -> None:
    shared = VCRPY.replace("Accept: ['*/*']", "Accept: &a ['*/*']\n      B: *a")
    assert ("B", "*/*") in one(shared).request_headers
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    bomb = "parsed_body: {" + ", ".join(lines) + "}"
    with pytest.raises(ImportRefused, match="aliases"):
        read(cassette(bomb))
    assert "before, or inside" in refusal("interactions:\n- &a [*a]\n")
    assert "nested deeper" in refusal("interactions:\n- " + "[" * 300 + "]" * 300)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ("{a: !!binary 'a'}", "no base64"),
        ("{a: *b}", r"*b stands in it before, or inside"),
        ("&c [*c]", r"*c stands in it before, or inside"),
        ("{[a, b]: 1}", "a key in it is a list"),
        ("{a: " + "[" * 250 + "x" + "]" * 250 + "}", "nested deeper than 200"),
    ],
)
def test_what_has_no_value_costs_its_interaction_and_no_other(wrong: str, reason: str) -> None:
    head, dash, rest = VCRPY.removesuffix("version: 1\n").partition("- ")
    broken = f"- {{request: {{method: GET, uri: 'http://a.test/'}}, response: {wrong}}}\n"
    first, second, third = read(f"{head}{dash}{rest}{broken}{dash}{rest}")
    assert isinstance(first, Foreign)
    assert isinstance(second, Refused)
    assert reason in second.reason
    assert isinstance(third, Foreign)
    assert third.body == first.body


def test_an_alias_of_what_has_no_value_has_none_either() -> None:
    entries = (
        "interactions:\n"
        "- {request: &r {method: GET, uri: 'http://a.test/', body: &b !!binary 'a'}, response: {status: 200}}\n"
        "- {request: *r, response: {status: 200}}\n"
        "- {request: {method: GET, uri: 'http://a.test/', body: *b}, response: {status: 200}}\n"
        "- {request: {method: GET, uri: 'http://a.test/'}, response: {status: 200}}\n"
    )
    *lost, kept = read(entries)
    assert [isinstance(one, Refused) and "no base64" in one.reason for one in lost] == [True] * 3
    assert isinstance(kept, Foreign)


@pytest.mark.parametrize(
    ("text", "value"),
    [("~", None), ("", None), ("yes", True), ("Off", False), ("-12", -12), ("0x1F", 31), ("017", 15), ("0b101", 5),
     ("1_000", 1000), ("1.5e+3", 1500.0), (".5", 0.5), ("-.inf", float("-inf")), ("1.2.3", "1.2.3"),
     ("2026-01-02", "2026-01-02"),
     ("'1'", "1"), ("!!str 1", "1"), ("! 1", "1"), ("!!int '7'", 7), ("nothing", "nothing"), ("9" * 5000, "9" * 5000)],
)  # fmt: skip
def test_scalars(text: str, value: Any) -> None:
    assert list(items(f"a: {text}\n".encode())) == [("a", value)]


RUBY = """\
---
http_interactions:
- request:
    method: post
    uri: https://api.example.test/<REGION>/x
    body:
      encoding: UTF-8
      string: '{}'
    headers:
      Accept:
      - "*/*"
  response:
    status:
      code: 200
      message: OK
    headers:
      Content-Type:
      - text/event-stream
    body:
      encoding: ASCII-8BIT
      string: !binary |-
        ZGF0YTogw6kKCg==
  recorded_at: Wed, 19 Aug 2026 14:34:12 GMT
recorded_with: VCR 6.4.0
"""


def test_ruby() -> None:
    found = one(RUBY)
    told = recording(RUBY)
    assert (told.format, told.creator) == ("ruby-vcr", "VCR 6.4.0")
    assert (found.method, found.url, found.body) == (
        "POST",
        "https://api.example.test/<REGION>/x",
        "data: é\n\n".encode(),
    )
    assert found.recorded == "Wed, 19 Aug 2026 14:34:12 GMT"
    assert found.started_ns is None


GO = """\
---
version: 2
interactions:
    - id: 0
      request:
        proto: HTTP/1.1
        proto_major: 1
        content_length: 2
        host: api.example.test
        remote_addr: ""
        body: "{}"
        form: {}
        headers:
            Accept:
                - '*/*'
        url: https://api.example.test/v1
        method: POST
      response:
        proto: HTTP/2.0
        uncompressed: true
        body: hello
        headers:
            Content-Type:
                - text/plain
        status: 200 OK
        code: 200
        duration: 1.5s
"""


def test_go() -> None:
    found = one(GO)
    told = recording(GO)
    assert (told.format, told.version) == ("go-vcr", "2")
    assert (found.method, found.url, found.payload, found.body) == (
        "POST",
        "https://api.example.test/v1",
        b"{}",
        b"hello",
    )
    assert (found.status, found.reason, found.end_ns) == (200, "OK", 1_500_000_000)
    assert found.versions == {"request": "HTTP/1.1", "response": "HTTP/2.0"}
    assert "content_coding" in found.missing
    assert "end_time" not in found.missing


FORM = """\
---
version: 1
interactions:
- request:
    body: grant_type=client_credentials&scope=a&scope=b
    form:
      grant_type:
      - client_credentials
      scope:
      - a
      - b
    headers:
      Content-Type:
      - application/x-www-form-urlencoded
    url: https://auth.example.test/token
    method: POST
  response:
    body: '{"token_type":"bearer"}'
    headers: {}
    status: 200 OK
    code: 200
    duration: ""
"""


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_go_where_all_requests_are_forms(end: str) -> None:
    told = recording(FORM.replace("\n", end))
    assert (told.format, told.version) == ("go-vcr", "1")
    (found,) = told.entries
    assert isinstance(found, Foreign)
    assert (found.status, found.payload) == (200, b"grant_type=client_credentials&scope=a&scope=b")


def test_a_header_called_form_is_none_of_go() -> None:
    assert recording(VCRPY.replace("      X: [a, b]\n", "      form:\n      - x\n      y: [z]\n")).format == "vcrpy"


@pytest.mark.parametrize(
    ("told", "ns"),
    [
        ("1h2m3.5s", 3_723_500_000_000),
        ("335.5ms", 335_500_000),
        ("12µs", 12_000),
        ("0s", None),
        ("", None),
        ("5x", None),
    ],
)
def test_durations_of_go(told: str, ns: int | None) -> None:
    assert duration_ns(told) == ns
