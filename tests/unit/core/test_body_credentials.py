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


WRITTEN = {
    "in a list": (b'{"api_key": ["%s", "%s"], "n": [1]}', ["body:/api_key/0", "body:/api_key/1"]),
    "in a list, and lines of JSON": (b'{"api_key": ["%s", "%s"]}\n{"n": 1}\n', ["body:/api_key"] * 2),
    "escapes in a name": (b'{"api\\u005fkey": "%s", "api_\\u006Bey": "%s"}', ["body:/api_key"] * 2),
    "escapes in a form": (b"api%%5Fkey=%s&b=1&api_%%6bey=%s", ["body:/api_key"] * 2),
    "a form with a line end": (b"api_key=%s&apikey=%s\n", ["body:/api_key", "body:/apikey"]),
    "other letters in a name": ('{"ключ_api_key": "%s", "b": {"ключ-apiKey": "%s"}}'.encode(), None),
}


@pytest.mark.parametrize(("body", "places"), WRITTEN.values(), ids=WRITTEN)
def test_however_it_is_written(body: bytes, places: list[str] | None) -> None:
    one, other = b"sk-one", b"sk-other"
    written, seen = kept(body % (one, other))
    assert one not in written
    assert other not in written
    assert len(MARKER.findall(written.decode())) == 2
    assert MARKER.sub("", written.decode()).encode() == body % (b"", b"")
    assert places is None or seen.places == places
    assert sorted({*seen.secrets}) == ["sk-one", "sk-other"]


def part(name: str, content: str, rest: str = "") -> bytes:
    return f'--b\r\nContent-Disposition: form-data; name="{name}"{rest}\r\n\r\n{content}\r\n'.encode()


def test_a_field_of_a_form_with_files() -> None:
    def form(key: str, bid: str = "USDC") -> bytes:
        file = part("file", json.dumps({"api_key": key}), '; filename="api_key.txt"\r\nContent-Type: text/plain')
        return part("api_key", key) + part("bid_token", bid) + part("x-access-token", "") + file + b"--b--\r\n"

    written, seen = kept(form(KEY))
    assert KEY.encode() not in written
    assert MARKER.sub(KEY, written.decode()).encode() == form(KEY)
    assert seen.places == ["body:/api_key", "body:/api_key"]

    def key(body: bytes) -> bytes:
        return match_key("POST", "http://h/v1", kept(body)[0], seen.places)

    assert key(form(KEY)) == key(form("dummy"))
    assert key(form(KEY)) != key(form("dummy", "WETH"))


def test_what_stands_under_such_a_name_goes_from_the_rest_of_the_payload_too() -> None:
    def body(key: str) -> bytes:
        return json.dumps({"prompt": f"my key is {key}!", "api_key": key, "user": key, "tags": ["a", key]}).encode()

    written, seen = kept(body(KEY))
    assert KEY.encode() not in written
    assert MARKER.sub(KEY, written.decode()).encode() == body(KEY)
    assert seen.places == ["body:/api_key", "body:/user", "body:/tags/1"]
    asked = ("POST", "http://h/v1")
    other = kept(body("sk-an-other-key-0123"))[0]
    assert match_key(*asked, written, seen.places) == match_key(*asked, other, seen.places)
    written, seen = kept(urlencode({"api_key": KEY, "user": KEY, "text": f"is {KEY}"}, safe="/").encode())
    assert KEY.encode() not in written
    assert seen.places == ["body:/api_key", "body:/user"]
    assert kept(b'{"prompt": "a dummy", "api_key": "dummy"}')[0].startswith(b'{"prompt": "a dummy"')


def test_a_value_that_only_escapes_can_write_is_looked_for_without_an_error() -> None:
    written, _ = kept(b'{"api_key": "0123456789abcdef\\ud800", "q": "0123456789abcdef"}')
    assert MARKER.sub("", written.decode()) == '{"api_key": "", "q": "0123456789abcdef"}'


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

    assert key(f"curl -H {KEY}!", KEY) == key("curl -H another-dummy-key-1!", "another-dummy-key-1")
    assert key(f"curl -H {KEY}!", KEY) != key(f"wget -H {KEY}!", KEY)


def test_a_parameter_of_the_url_a_cookie_and_userinfo_go_from_the_payload() -> None:
    body = b'{"a": "of-the-url-0000001", "b": "of-a-cookie-000002", "c": "of-userinfo-000003", "d": "other"}'
    head = b"POST / HTTP/1.1\r\nCookie: id=of-a-cookie-000002\r\n\r\n"
    written, seen = kept(body, head, "http://me:of-userinfo-000003@h/?api_key=of-the-url-0000001")
    assert sorted(seen.places) == ["body:/a", "body:/b", "body:/c"]
    assert json.loads(written)["d"] == "other"


DUMMIES = [
    *(
        "short12",
        "lm-studio",
        "placeholder",
        "not-needed",
        "placeholder-for-a-key",
        "0000000000000000",
        "of 16 blanks and 1",
    ),
    *("sk-12345678901", "~redacted~authorization~0123456789abcdef~"),
]


@pytest.mark.parametrize("secret", DUMMIES)
def test_what_is_too_short_or_too_plain_for_a_key_and_markers_are_looked_for_nowhere(secret: str) -> None:
    body = json.dumps({"q": secret, "more": f"is {secret} here"}).encode()
    assert kept(body, HEAD % secret.encode())[0] == body


def test_a_value_that_stands_in_markers_leaves_them_whole() -> None:
    (marker,) = MARKER.findall(kept(b'{"api_key": "another one"}')[0].decode())
    secret = marker[-17:-1]  # its fingerprint
    body = json.dumps({"api_key": "another one", "q": f"is {secret} here", "r": secret}).encode()
    written, _ = kept(body, HEAD % secret.encode())
    assert marker in written.decode()
    assert MARKER.sub("", written.decode()) == '{"api_key": "", "q": "is  here", "r": ""}'


def test_text_forms_files_and_bytes() -> None:
    head = HEAD % KEY.encode()
    for body in (
        b"key is %s, is it not" % KEY.encode(),
        b'"%s"' % KEY.encode(),  # a text is JSON, too
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
