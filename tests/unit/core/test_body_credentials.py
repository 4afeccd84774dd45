"""Payloads: texts under names that only credentials have, and credentials of the head that stand there again."""

from __future__ import annotations

import json
from urllib.parse import urlencode

import pytest

from recorder.core.matching import match_key
from recorder.core.redaction import MARKER, Redacted, Redaction

KEY = "sk-S3cr3t/0123456789"
NAMES = [
    *("api_key", "apikey", "apiKey", "API-KEY", "X-Api-Key", "openai_api_key", "access_token", "accessToken"),
    *("client_secret", "authorization", "Authorization", "authorization_token", "aws_secret_access_key", "private_key"),
]
HEAD = b"POST /v1?page=2 HTTP/1.1\r\nAuthorization: Bearer %s\r\nHost: h\r\n\r\n"


def redaction(*rules: str, key: bytes = b"a key of the tests") -> Redaction:
    return Redaction(key, rules)


def kept(body: bytes, head: bytes = b"", url: str = "") -> tuple[bytes, Redacted]:
    """Return what is written of a payload, and what was replaced in it."""
    made, seen = redaction(), Redacted()
    if head:
        made.head(head, seen)
    made.url(url, seen)
    before = len(seen.places)
    payload = made.body(body, seen)
    del seen.places[:before]
    return payload, seen


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("indent", [None, 1])
def test_a_text_under_the_name_of_a_credential_goes_and_every_other_byte_stays(name: str, indent: int | None) -> None:
    value = {"tools": [{"type": "mcp", "headers": {name: KEY}}], "max_tokens": 7, "n": 1.50}
    body = json.dumps(value, indent=indent).encode()
    written, seen = kept(body)
    (marker,) = MARKER.findall(written.decode())
    assert written.replace(marker.encode(), KEY.encode()) == body
    assert seen.places == [f"body:/tools/0/headers/{name}"]
    assert seen.secrets == [KEY]


STAYS = [
    {"properties": {"api_key": {"type": "string"}, "authorization": {"$ref": "#/x"}}, "required": ["api_key"]},
    {"api_key": None, "access_token": 17, "authorization": True, "apikey": ""},
    {"messages": [{"role": "user", "content": 'what is "api_key": "x"?'}], "max_tokens": 100},
    {"key": "EURUSD", "token": "abc", "password": "hunter22", "secret": "of the sea", "session": "x", "api_keys": "x"},
]


@pytest.mark.parametrize("value", STAYS)
def test_what_may_be_something_else_stays(value: object) -> None:
    body = json.dumps(value).encode()
    assert kept(body) == (body, Redacted())


def test_a_form_and_what_only_looks_like_json() -> None:
    written, seen = kept(urlencode({"api_key": KEY, "text": "buy"}).encode())
    assert written.startswith(b"api_key=~redacted~api-key~")
    assert written.endswith(b"~&text=buy")
    assert seen.places == ["body:/api_key"]
    for body in (b'{"api_key": "%s", "n": 1' % KEY.encode(), b'{"api_key": "%s"}\n{"n": 1}\n' % KEY.encode()):
        written, _ = kept(body)
        assert KEY.encode() not in written
        assert MARKER.sub(KEY, written.decode()).encode() == body


REPEATED = {
    "a text": {"upstream": {"auth": KEY}},
    "with its scheme": {"upstream": {"auth": f"Bearer {KEY}"}},
    "in an array": {"keys": [KEY, "x"]},
}


@pytest.mark.parametrize("value", REPEATED.values(), ids=REPEATED)
def test_what_the_head_has_is_a_place_where_it_is_all_of_a_text(value: object) -> None:
    body = json.dumps(value).encode()
    written, seen = kept(body, HEAD % KEY.encode())
    assert KEY.encode() not in written
    (place,) = seen.places
    assert place in ("body:/upstream/auth", "body:/keys/0")
    # CI asks with a dummy, of whatever length, and its own key: it is the same request.
    dummy = json.dumps(value).replace(KEY, "dummy").encode()
    assert kept(dummy, HEAD % b"dummy") == (dummy, Redacted(secrets=["dummy"]))
    asked = ("POST", "http://h/v1")
    assert match_key(*asked, written, seen.places) == match_key(*asked, dummy, seen.places)


def test_in_a_longer_text_the_rest_still_counts() -> None:
    def key(text: str, secret: str) -> bytes:
        head = HEAD % secret.encode()
        written, seen = kept(json.dumps({"q": text}).encode(), head)
        assert secret.encode() not in written
        assert seen.places == []
        return match_key("POST", "http://h/v1", written, seen.places)

    assert key(f"curl -H {KEY}!", KEY) == key("curl -H another-dummy!", "another-dummy")
    assert key(f"curl -H {KEY}!", KEY) != key(f"wget -H {KEY}!", KEY)


def test_a_parameter_of_the_url_a_cookie_and_userinfo_go_from_the_payload() -> None:
    body = b'{"a": "of-the-url-1", "b": "of-a-cookie-2", "c": "of-userinfo-3", "d": "other"}'
    head = b"POST / HTTP/1.1\r\nCookie: id=of-a-cookie-2\r\n\r\n"
    written, seen = kept(body, head, "http://me:of-userinfo-3@h/?api_key=of-the-url-1")
    assert sorted(seen.places) == ["body:/a", "body:/b", "body:/c"]
    assert json.loads(written)["d"] == "other"


@pytest.mark.parametrize("secret", ["short12", "~redacted~authorization~0123456789abcdef~"])
def test_short_values_and_markers_are_looked_for_nowhere(secret: str) -> None:
    body = json.dumps({"q": secret, "more": f"is {secret} here"}).encode()
    assert kept(body, HEAD % secret.encode())[0] == body


@pytest.mark.parametrize("secret", ["redacted", "repeated"])
def test_a_value_that_stands_in_markers_leaves_them_whole(secret: str) -> None:
    body = json.dumps({"api_key": "another one", "q": f"is {secret} here", "r": secret}).encode()
    written, _ = kept(body, HEAD % secret.encode())
    assert MARKER.sub("", written.decode()) == '{"api_key": "", "q": "is  here", "r": ""}'


def test_text_forms_files_and_bytes() -> None:
    head = HEAD % KEY.encode()
    for body in (
        b"key is %s, is it not" % KEY.encode(),
        b"\xff\x00" + KEY.encode() + b"\xfe",
        b"--b\r\nContent-Disposition: form-data; name=x\r\n\r\n%s\r\n--b--\r\n" % KEY.encode(),
    ):
        written, seen = kept(body, head)
        assert KEY.encode() not in written
        assert MARKER.sub(KEY, written.decode("latin-1")).encode("latin-1") == body
        assert seen.places == []
    written, seen = kept(urlencode({"who": KEY, "text": f"is {KEY}"}, safe="/").encode(), head)
    assert KEY.encode() not in written
    assert seen.places == ["body:/who"]


def test_what_escapes_hide_in_a_text_that_has_it_twice() -> None:
    escaped = KEY.replace("/", "\\/")
    written, seen = kept(f'{{"a": "{KEY}", "b": "see {escaped}"}}'.encode(), HEAD % KEY.encode())
    assert escaped.encode() not in written
    assert seen.places == ["body:/a", "body:/b"]
