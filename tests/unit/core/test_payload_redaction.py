"""What is replaced in payloads: credentials of requests for an OAuth token, what rules name in forms with files."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from urllib.parse import unquote, urlencode

import pytest
import requests

from recorder.core.matching import match_key
from recorder.core.redaction import MARKER, Redacted, Redaction


def _redaction(*rules: str) -> Redaction:
    return Redaction(b"a key of the tests", rules)


def _form(**files: object) -> bytes:
    """What requests writes."""
    body = requests.Request("POST", "http://h/", files=files).prepare().body
    assert isinstance(body, bytes)
    return body


OAUTH = {
    "client_secret": "S3cr3t-client",
    "refresh_token": "S3cr3t-refresh",
    "client_assertion": "S3cr3t.jwt",
    "password": "S3cr3t pass&word",
    "code": "S3cr3t-code",
    "code_verifier": "S3cr3t-verifier",
}


@pytest.mark.parametrize("written", [urlencode, json.dumps, lambda fields: json.dumps(fields, indent=1)])
def test_a_request_for_an_oauth_token_is_written_without_its_credentials(written: Callable[[object], str]) -> None:
    seen = Redacted()
    plain = {"grant_type": "password", "client_assertion_type": "urn:jwt-bearer", "scope": "a b", "client_id": "app"}
    kept = _redaction().body(written({**plain, **OAUTH}).encode(), seen)
    assert b"S3cr3t" not in kept
    assert set(seen.secrets) >= set(OAUTH.values())
    assert sorted(seen.places) == sorted(f"body:/{name}" for name in OAUTH)
    marks = {name: f"~redacted~{name.replace('_', '-')}~{'0' * 16}~" for name in OAUTH}
    assert re.sub("[0-9a-f]{16}~", "0" * 16 + "~", kept.decode()) == unquote(written({**plain, **marks})).replace(
        "urn:jwt", "urn%3Ajwt" if written is urlencode else "urn:jwt"
    )


@pytest.mark.parametrize(
    "body",
    [
        b'{"messages": [{"content": "what is grant_type?", "password": "x"}], "password": "x"}',
        b'{"metadata": {"grant_type": "password"}, "password": "x"}',
        b"prompt=grant_type&password=x",
        b"what is grant_type? password=x",
        b'{"grant_type": "password", "password": ',
        b"\xff grant_type",
        b'{"grant_type": "client_credentials", "max_tokens": 1, "expires": null}',
    ],
)
def test_what_asks_for_no_oauth_token_stays_as_it_is(body: bytes) -> None:
    seen = Redacted()
    assert _redaction().body(body, seen) == body
    assert seen.places == []


SECRETS = {"client_secret": "S3cr3t-client", "password": "S3cr3t pass", "refresh_token": "S3cr3t-refresh"}
FIELDS = {"grant_type": "password", **SECRETS}
PARTS = _form(**{name: (None, value) for name, value in FIELDS.items()})
HOSTILE = [
    urlencode(FIELDS).encode() + b"\r\n",
    b"grant_type=password&username=a b&password=S3cr3t pass word&client_secret=S3cr3t",
    urlencode(FIELDS).encode().replace(b"grant_type", b"grant%5ftype").replace(b"client_s", b"client%5Fs"),
    b"\n".join(b"%s=%s" % (name.encode(), value.encode()) for name, value in FIELDS.items()),
    urlencode(FIELDS).replace("&", ";").encode(),
    b"grant_type=password&password=S3cr3t\xe9\xff",
    b"client_secret=S3cr3t&token=S3cr3t2",
    PARTS,
    PARTS.replace(b"\r\n", b"\n"),
    PARTS[:-40],
    b"This is a message in several parts.\r\n\r\n" + PARTS,
    PARTS.replace(b"Content-Disposition", b"content-disposition").replace(b'"client_secret"', b"client_secret"),
    b"\xef\xbb\xbf" + json.dumps(FIELDS).encode(),
    json.dumps(FIELDS).encode("utf-16"),
    json.dumps(FIELDS).encode("utf-16-be"),
    json.dumps(FIELDS).encode("utf-32-le"),
    json.dumps({**FIELDS, "password": {"value": "S3cr3t"}, "refresh_token": ["S3cr3t"]}).encode(),
    json.dumps(FIELDS).replace("grant_type", "grant\\u005ftype").replace("client_", "client\\u005f").encode(),
    json.dumps({"grantType": "x", "clientSecret": "S3cr3t", "codeVerifier": "S3cr3t"}).encode(),
    json.dumps(FIELDS)[:-1].encode() + b",}",
]


@pytest.mark.parametrize("body", HOSTILE, ids=range(len(HOSTILE)))
def test_however_a_request_for_a_token_is_written_its_credentials_go(body: bytes) -> None:
    seen = Redacted()
    kept = _redaction().body(body, seen)
    assert b"S3cr3t" not in kept.replace(b"\0", b"")
    assert any("S3cr3t" in secret for secret in seen.secrets)


def test_a_password_that_is_a_number_goes() -> None:
    seen = Redacted()
    kept = _redaction().body(b'{"grant_type": "password", "password": 8315726, "pin_password": null}', seen)
    assert (b"8315726" not in kept, b'"pin_password": null' in kept) == (True, True)
    assert (seen.places, seen.secrets) == (["body:/password"], ["8315726"])


@pytest.mark.parametrize("body", [HOSTILE[12], HOSTILE[13]], ids=["byte order mark", "UTF-16"])
def test_nothing_but_the_values_changes(body: bytes) -> None:
    kept = json.loads(_redaction().body(body, Redacted()))
    assert {name: bool(MARKER.fullmatch(value)) for name, value in kept.items()} == {
        name: name in SECRETS for name in FIELDS
    }


@pytest.mark.parametrize("rules", [(), ("body:account",)])
def test_the_credentials_of_a_form_with_files_go_and_everything_else_stays(rules: tuple[str, ...]) -> None:
    body = _form(grant_type=(None, "password"), client_secret=(None, "S3cr3t"), f=("a.bin", b"\x00--\xff"))
    seen = Redacted()
    kept = _redaction(*rules).body(body, seen)
    assert MARKER.sub("S3cr3t", kept.decode("latin-1")).encode("latin-1") == body
    assert (seen.places, seen.secrets) == (["body:/client_secret"], ["S3cr3t"])


def _upload(sound: bytes, account: str = "17", more: str = "x") -> bytes:
    asked = json.dumps({"account": account, "more": more})
    sent = (None, asked, "application/json")
    return _form(account=(None, account), asked=sent, sound=("a.wav", b"RIFF\0\0" + sound, "audio/wav"))


def test_a_rule_for_bodies_leaves_different_uploads_different() -> None:
    redaction, seen = _redaction("body:account"), Redacted()

    def key(body: bytes) -> bytes:
        return match_key("POST", "http://h/", redaction.body(body, seen), ["body:/account", "body:/asked/account"])

    assert key(_upload(b"\xffone")) == key(_upload(b"\xffone", account="18"))
    assert key(_upload(b"\xffone")) != key(_upload(b"\xfftwo"))
    assert key(_upload(b"\xffone")) != key(_upload(b"\xffone", more="y"))
    assert set(seen.places) == {"body:/account", "body:/asked/account"}


def test_members_of_json_in_a_part_have_places_below_its_name() -> None:
    seen = Redacted()
    kept = _redaction("body:/asked/account").body(_upload(b"\xff"), seen)
    assert seen.places == ["body:/account", "body:/asked/account"]  # of a field, the last name counts
    assert b'"more": "x"' in kept
    lines = _form(file=("train.jsonl", b'{"account": 1}\n\n{"account": 2, "b": [3]}\n'))
    kept = _redaction("account").body(lines, Redacted())
    assert (len(MARKER.findall(kept.decode())), b'"b": [3]' in kept) == (2, True)
    other = lines.replace(b"1}", b"17}")
    places = ["body:/file/account"]
    assert match_key("POST", "http://h/", kept, places) == match_key("POST", "http://h/", other, places)
    other = lines.replace(b"[3]", b"[4]")
    assert match_key("POST", "http://h/", kept, places) != match_key("POST", "http://h/", other, places)


@pytest.mark.parametrize(
    "file",
    [
        ("a.json.gz", gzip.compress(b'{"account": 17}', mtime=0)),
        ("a.json", '{"account": 17}'.encode("utf-16")),
        ("a.json", b'{"account": "\xe9"}'),
        ("a.json", b'{"account": 17'),
        ("a.csv", b"account;caf\xe9\n17;1\n", "text/csv"),
        ("a.csv", b"account;caf\xe9\n17;1\n"),
    ],
    ids=["gzip", "UTF-16", "Latin-1", "broken", "csv", "csv without a type"],
)
def test_a_part_that_should_be_read_and_cannot_is_replaced_whole(file: tuple[str, bytes]) -> None:
    seen = Redacted()
    kept = _redaction("account").body(_form(f=file, other=(None, "stays")), seen)
    assert (seen.places, b"stays" in kept, file[1] in kept) == (["body:/f"], True, False)


def test_parts_without_names_are_replaced_whole() -> None:
    body = b"--x\r\nContent-Type: application/json\r\n\r\n{}\r\n--x--\r\n"
    assert MARKER.fullmatch(_redaction("account").body(body, Redacted()).decode())
