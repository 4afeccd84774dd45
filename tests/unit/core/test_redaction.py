"""What is a credential, what takes its place, and that nothing else changes."""

from __future__ import annotations

import gzip
import json
import time
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.core.redaction import MARKER, Redacted, Redaction, scrub
from recorder.errors import ConfigurationError

KEY = b"a key of the tests"


def _redaction(*rules: str) -> Redaction:
    return Redaction(KEY, rules)


def test_the_scheme_of_an_authorization_stays_and_its_value_goes() -> None:
    seen = Redacted()
    head = b"POST /v1 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer  abc def\r\nAccept: */*\r\n\r\n"
    kept = _redaction().head(head, seen)
    marker = MARKER.search(kept.decode())
    assert marker is not None
    assert kept == head.replace(b"abc def", marker.group().encode())
    assert (seen.places, seen.secrets) == (["header:authorization"], ["abc def"])


def test_cookies_keep_their_names_and_a_set_cookie_its_attributes() -> None:
    seen = Redacted()
    kept = _redaction().head(b"GET / HTTP/1.1\r\nCookie: a=1one; b=2two; bare\r\n\r\n", seen).decode()
    assert kept.count("~redacted~cookie~") == 3
    assert "a=~" in kept
    assert "; b=~" in kept
    answer = b"HTTP/1.1 200 OK\r\nSet-Cookie: sid=abc; Path=/; HttpOnly\r\nSet-Cookie: =; Secure\r\n\r\n"
    kept = _redaction().head(answer, seen).decode()
    assert "sid=~redacted~cookie~" in kept
    assert "; Path=/; HttpOnly\r\n" in kept
    assert "Set-Cookie: =; Secure" in kept


def test_a_folded_value_goes_with_its_continuation() -> None:
    seen = Redacted()
    kept = _redaction().head(b"GET / HTTP/1.1\r\nX-Api-Key: first\r\n second\r\nAccept: a\r\n b\r\n\r\n", seen)
    assert b"second" not in kept
    assert b"Accept: a\r\n b\r\n" in kept
    assert seen.secrets == ["first", "second"]


def test_empty_values_and_odd_lines_stay() -> None:
    head = b"GET / HTTP/1.1\r\nX-Api-Key:   \r\nno colon here\r\n\r\n"
    assert _redaction().head(head, Redacted()) == head


def test_urls_in_heads() -> None:
    seen = Redacted()
    head = b"GET /a?key=k1&page=2;sig=s1#frag HTTP/1.1\r\nReferer: https://u:p@h/?token=t1\r\nLocation: /plain\r\n\r\n"
    kept = _redaction().head(head, seen).decode()
    assert "page=2" in kept
    assert "#frag HTTP/1.1" in kept
    assert "Location: /plain" in kept
    for secret in ("k1", "s1", "t1", "u:p"):
        assert f"{secret}" not in kept.replace("/plain", "").replace("https", "")
    assert {"url:key", "url:sig", "url:token", "url:userinfo"} == set(seen.places)


def test_user_names_with_at_signs_and_empty_parameters() -> None:
    seen = Redacted()
    assert _redaction().url("http://a@b:c@host/?key=&x=1", seen).startswith("http://~redacted~userinfo~")
    assert _redaction().url("http://host/?key=&x=1", Redacted()) == "http://host/?key=&x=1"
    assert seen.secrets[:2] == ["a@b", "c"]
    assert _redaction().url("http://host/plain", Redacted()) == "http://host/plain"
    assert "%20" not in _redaction().url("http://host/?api%5Fkey=a%20b", seen)
    assert "a b" in seen.secrets


@pytest.mark.parametrize(
    "line",
    [
        "Authorization : Bearer WOLF",
        "Authorization\t: WOLF",
        "my api-key: WOLF",
        "X-Auth Token: WOLF",
        "X.Auth.Token: WOLF",
        "Set-Cookie : sid=WOLF; Path=/",
        "X-Foo: a\rSet-Cookie: sid=WOLF",
        "X-Foo: a\n\tSet-Cookie: sid=WOLF",
        "Authorization: Bearer a\rWOLF",
        "X-Api-Key:\r\n WOLF",
        "Set-Cookie: sid=\r\n WOLF; Path=/",
        "Set-Cookie: a=1; Path=/, sid=WOLF; Path=/",
        "Set-Cookie: a=1, sid=WOLF",
        'Set-Cookie: a="x;WOLF"; Path=/',
        'Cookie: a="x;WOLF=1"',
        "Location: /landed#access_token=WOLF&token_type=bearer",
        "Location: https://h/?page=1#/x?token=WOLF",
        "Location: /x?token=abc;WOLF",
        "Referer: /x?token=abc'WOLF",
        "Link: <https://h/?page=1&key=abc;WOLF>; rel=next",
        "X-Desk: WOLF",
        "X-Under: WOLF",
    ],
)
def test_a_credential_in_an_odd_header_line_goes(line: str) -> None:
    redaction = _redaction("header: X-Desk", " header:X_Under")
    for head in (f"GET / HTTP/1.1\r\nHost: h\r\n{line}\r\nAccept: a:b\r\n\r\n", f"{line}\r\nAccept: a:b\r\n\r\n"):
        seen = Redacted()
        kept = redaction.head(head.encode(), seen).decode()
        assert "WOLF" not in kept
        assert kept.endswith("\r\nAccept: a:b\r\n\r\n")
        assert seen.places
        assert redaction.head(kept.encode(), Redacted()).decode() == kept


def test_in_a_link_only_the_value_goes() -> None:
    kept = _redaction().head(b'HTTP/1.1 200 OK\r\nLink: <https://h/?key=a>; rel="next"\r\n\r\n', Redacted())
    assert kept.endswith(b'~>; rel="next"\r\n\r\n')


def test_a_cookie_that_expires_keeps_its_attributes() -> None:
    rest = b"; expires=Wed, 21 Oct 2026 07:28:00 GMT; Path=/; SameSite=Lax\r\n\r\n"
    assert _redaction().head(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=wolf" + rest, Redacted()).endswith(b"~" + rest)


@pytest.mark.parametrize(
    "url",
    [
        "/a?token=abc'WOLF",
        "/a?token=abc;WOLF",
        '/a?token=abc"WOLF',
        "/a?token=abc>WOLF",
        "/a#access_token=WOLF",
        "/a?api%5Fkey=WOLF",
        "/a?api%255Fkey=WOLF",
        "/a?token[]=WOLF",
        "/a?user[token]=WOLF",
        "/a?x=1&amp;token=WOLF",
        "/a?x=1;token=WOLF",
        "/a?next=http%3A%2F%2Fx%2F%3Ftoken%3DWOLF",
        "/a?next=http%3A%2F%2Fu%3AWOLF%40x%2F",
        "/a?next=http://x/?token=WOLF",
    ],
)
def test_a_parameter_goes_with_all_of_its_value(url: str) -> None:
    seen = Redacted()
    kept = _redaction().url(f"http://h{url}&page=2#top", seen)
    assert "WOLF" not in kept
    assert kept.endswith("&page=2#top")
    assert any("WOLF" in secret for secret in seen.secrets)
    start = _redaction().head(f"GET {url} HTTP/1.1\r\nHost: h:80\r\n\r\n".encode(), Redacted())
    assert b"WOLF" not in start
    assert start.endswith(b" HTTP/1.1\r\nHost: h:80\r\n\r\n")


@pytest.mark.parametrize(
    "url",
    ["?a=" * 4000 + "%3F", "?a=" + "%2525" * 4000, "?a=%" + "25" * 4000, "?next=%3F" * 2000, "//" + "a@" * 9000],
    ids=["nested", "encoded", "encoded-often", "many", "users"],
)
def test_hostile_urls_take_no_time(url: str) -> None:
    began = time.process_time()
    _redaction().url(f"http://h/{url}", Redacted())
    _redaction().head(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b;" + b" " * 20_000 + b"x\r\n\r\n", Redacted())
    assert time.process_time() - began < 2


def test_a_url_encoded_too_often_to_be_read_goes() -> None:
    url = "http://h/?token=wolf"
    for _ in range(7):
        url = f"http://h/?n={quote(url, safe='')}"
    assert "wolf" not in _redaction().url(url, Redacted())


def test_rules_add_and_never_take_away() -> None:
    seen = Redacted()
    redaction = _redaction("header:X-Desk", "query:Desk")
    kept = redaction.head(b"GET /?desk=d1&key=k1 HTTP/1.1\r\nX-Desk: d2\r\nCookie: c=d3\r\n\r\n", seen)
    assert all(secret not in kept for secret in (b"d1", b"k1", b"d2", b"d3"))
    assert not redaction.reads_bodies
    assert redaction.body(b'{"password": 1}', seen) == b'{"password": 1}'


@pytest.mark.parametrize("rule", ["", "body:", "cookie:x", "header: ", "header:-", ":x"])
def test_rules_that_are_none(rule: str) -> None:
    with pytest.raises(ConfigurationError, match="is not understood"):
        _redaction(rule)


def test_one_rule_may_be_given_as_a_text() -> None:
    assert Redaction(KEY, "password").reads_bodies


def test_body_fields_by_name_and_by_pointer_and_nothing_else() -> None:
    body = b'{ "password" : "p1",\n "a":[{"b/c":{"pin": 12}}, {"password": ["x", 1]}], "~x": "t", "keep": "p1" }'
    seen = Redacted()
    kept = _redaction("password", "body:/a/*/b~1c/pin", "body:/~0x").body(body, seen)
    value = json.loads(kept)
    assert value["keep"] == "p1"
    assert MARKER.fullmatch(value["password"])
    assert MARKER.fullmatch(value["a"][0]["b/c"]["pin"])
    assert MARKER.fullmatch(value["a"][1]["password"])
    assert MARKER.fullmatch(value["~x"])
    assert seen.places == ["body:/password", "body:/a/0/b~1c/pin", "body:/a/1/password", "body:/~0x"]
    assert kept.startswith(b'{ "password" : "~redacted~')
    assert kept.endswith(b'"keep": "p1" }')


def test_a_name_is_a_member_not_an_index_and_the_root_is_never_selected() -> None:
    assert _redaction("0").body(b'["x"]', Redacted()) == b'["x"]'
    assert _redaction("0").body(b'"x"', Redacted()) == b'"x"'


def test_what_cannot_be_read_is_replaced_whole() -> None:
    seen = Redacted()
    for body in (
        b'{"password": "x"',
        b"\xff password",
        b'{"password":1} trailing',
        b"[" * 100_000 + b"password",
        b"prose",
    ):
        assert MARKER.fullmatch(_redaction("password").body(body, seen).decode())
    assert set(seen.places) == {"body:"}
    assert _redaction("password").body(b"", seen) == b""


def test_a_name_is_found_however_it_is_spelled() -> None:
    for body in ('{"contraseña": 1'.encode(), b'{"contrase\\u00f1a": 1', "año=1&contraseña".encode()):
        assert MARKER.fullmatch(_redaction("contraseña").body(body, Redacted()).decode())
    kept = _redaction("contraseña").body("a=é&contraseña=geheim&x=y".encode(), Redacted())
    assert kept.startswith("a=é&contraseña=~redacted~".encode())
    assert kept.endswith(b"&x=y")
    assert MARKER.fullmatch(_redaction("contraseña").body(b"contrase%C3%B1a=geheim&x=\xff", Redacted()).decode())


@pytest.mark.parametrize(
    "body",
    [
        gzip.compress(b'{"password": "wolf"}', mtime=0),  # the workers of xdist must name it alike
        '{"password": "wolf"}'.encode("utf-16"),
        '{"password": "wolf"}'.encode("utf-16-le"),
        "password=wolf".encode("utf-16-le"),
    ],
)
def test_compressed_bodies_and_other_charsets_are_replaced_whole(body: bytes) -> None:
    assert MARKER.fullmatch(_redaction("password").body(body, Redacted()).decode())
    assert _redaction().body(body, Redacted()) == body


def test_a_form_field_in_brackets_is_the_field_too() -> None:
    assert b"wolf" not in _redaction("password").body(b"user[password]=wolf&x=1", Redacted())


def test_forms() -> None:
    seen = Redacted()
    kept = _redaction("pass word").body(b"user=me&pass+word=s%26cret&pass%20word=&x=1", seen).decode()
    assert kept.startswith("user=me&pass+word=~redacted~pass-word~")
    assert kept.endswith("&pass%20word=&x=1")
    assert "s&cret" in seen.secrets


def test_fingerprints_depend_on_value_and_key_and_markers_are_not_marked_again() -> None:
    first, other = _redaction(), Redaction(b"another key")
    assert first.fingerprint("x") == first.fingerprint("x")
    assert len({first.fingerprint("x"), first.fingerprint("y"), other.fingerprint("x")}) == 3
    once = first.head(b"GET / HTTP/1.1\r\nX-Api-Key: v\r\n\r\n", Redacted())
    seen = Redacted()
    assert first.head(once, seen) == once
    assert seen.places == []


@given(st.binary(max_size=300))
def test_any_head_is_taken(head: bytes) -> None:
    _redaction("header:a").head(head, Redacted())


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["a", "b", "secret"]), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(_JSON, st.sampled_from([None, 1]))
def test_in_any_json_only_the_named_fields_change(value: object, indent: int | None) -> None:
    def masked(value: object) -> object:
        if isinstance(value, dict):
            return {name: "*" if name == "secret" else masked(each) for name, each in value.items()}
        return [masked(each) for each in value] if isinstance(value, list) else value

    def shown(value: object) -> object:
        if isinstance(value, dict):
            return {
                name: "*" if name == "secret" and isinstance(each, str) and MARKER.fullmatch(each) else shown(each)
                for name, each in value.items()
            }
        return [shown(each) for each in value] if isinstance(value, list) else value

    body = json.dumps(value, indent=indent).encode()
    assert shown(json.loads(_redaction("secret").body(body, Redacted()))) == masked(value)


def test_messages_are_scrubbed_of_secrets_longest_first() -> None:
    assert scrub("a token-1 and token-12", ["token-1", "token-12", "a"]) == "a ~redacted~ and ~redacted~"


_LINES = st.lists(
    st.sampled_from(
        [
            *(b"accept: */*", b"Authorization: Bearer s3cret", b"location: https://u:p@a.test/?key=s3cret", b" folded"),
            *(b"no colon", b"", b": nameless", b"x-api-key : s3cret", b"Via: 1.1 a", b"HTTP/1.1 200 OK", b"a: b?key=c"),
        ]
    ),
    max_size=6,
)


@given(
    st.sampled_from([b"GET / HTTP/1.1", b"GET /?key=s3cret HTTP/1.1", b"HTTP/1.1 200 OK", b"cookie: s3cret", b""]),
    _LINES,
    st.sampled_from([b"\r\n", b"\n", b"\r"]),
)
def test_a_head_that_was_seen_before_is_redacted_as_a_new_one(start: bytes, lines: list[bytes], end: bytes) -> None:
    head = end.join([start, *lines, b"", b""])
    seasoned = Redaction(b"key")
    # The names are those of a head that holds nothing, or did: what is known of names says nothing of the first line.
    for before in (b"GET / HTTP/1.1", start):
        seasoned.head(end.join([before, *lines, b"", b""]), Redacted())
    first, again = Redacted(), Redacted()
    assert seasoned.head(head, again) == Redaction(b"key").head(head, first)
    assert (again.places, again.secrets) == (first.places, first.secrets)
    kept = Redaction(b"key").head(head, Redacted())
    assert b"s3cret" not in kept.replace(b"a: b?key=c", b"")
