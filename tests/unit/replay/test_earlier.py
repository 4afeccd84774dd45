"""A marker equals any value at its place, also where only the live request has one: recordings of before a rule."""

from __future__ import annotations

import json
import logging
from dataclasses import replace

import pytest
import requests

from recorder.core.exchange import Request
from recorder.core.marker_places import marker_places
from recorder.core.match_rules import Match
from recorder.core.redaction import Redacted, Redaction
from recorder.errors import CassetteExhausted, NoMatchingExchange
from tests.unit.replay.test_answers_by_rules import answers

URL = "http://h/v1/token"
FORM = b"grant_type=password&username=me&password=plain"


def _asked(payload: bytes, url: str = URL, *rules: str) -> Request:
    """A live request, redacted."""
    redaction, seen = Redaction(b"key", rules), Redacted()
    return Request("POST", redaction.url(url, seen), payload=redaction.body(payload, seen), redacted=tuple(seen.places))


def _parts(secret: str, other: str = "x") -> bytes:
    files = {"grant_type": (None, "password"), "client_secret": (None, secret), "f": ("a", other)}
    body = requests.Request("POST", URL, files=files).prepare().body
    assert isinstance(body, bytes)
    return body


@pytest.mark.parametrize("match", [Match(), Match(normalise=["ids"])], ids=str)
@pytest.mark.parametrize(
    ("recorded", "live", "other"),
    [
        (FORM, FORM.replace(b"plain", b"dummy"), FORM.replace(b"me", b"you")),
        (FORM + b"\r\n", FORM.replace(b"plain", b"du mmy") + b"\r\n", FORM),
        (_parts("plain"), _parts("dummy"), _parts("dummy", "y")),
        (
            b'{"grant_type": "x", "password": 8315726, "a": {"b": 1}}',
            b'{"password": "dummy", "grant_type": "x", "a": {"b": 1}}',
            b'{"password": "dummy", "grant_type": "x", "a": {"b": 2}}',
        ),
    ],
    ids=["form", "form with a line end", "parts", "json"],
)
def test_a_recording_of_before_a_rule_answers(recorded: bytes, live: bytes, other: bytes, match: Match) -> None:
    """Its request stands in the clear: nothing was redacted when it was made."""
    found = answers([(Request("POST", URL, payload=recorded), ()), (Request("POST", URL, payload=recorded), ())], match)
    asked = _asked(live)
    assert asked.redacted
    for _ in range(2):
        assert found.answer("POST", URL, asked.payload)
    with pytest.raises(CassetteExhausted, match="was recorded 2 times"):
        found.answer("POST", URL, asked.payload)
    with pytest.raises(NoMatchingExchange, match="body") as miss:
        found.answer("POST", URL, _asked(other).payload)
    assert (b"plain" not in recorded or "plain" not in str(miss.value), "dummy" not in str(miss.value)) == (True, True)


def test_the_first_that_is_left_answers_and_the_last_one_again_where_repeats_are_allowed() -> None:
    recorded = [(Request("POST", URL, payload=FORM), ()), (_asked(FORM), ("body:/password",))]
    found = answers(recorded, Match(allow_repeats=True))
    asked = _asked(FORM.replace(b"plain", b"dummy"))
    got = [b"".join(read.data for read in found.answer("POST", URL, asked.payload).tape.reads) for _ in range(3)]
    assert all(b"answer 1." in text for text in got)  # what was recorded by today's rules goes before
    found = answers(recorded[:1] * 2, Match(allow_repeats=True))
    got = [b"".join(read.data for read in found.answer("POST", URL, asked.payload).tape.reads) for _ in range(3)]
    assert [text[text.index(b"answer") :][:8] for text in got] == [b"answer 0", b"answer 1", b"answer 1"]


def test_rules_of_a_request_from_elsewhere_count_too() -> None:
    """As when a cassette is recorded again: the requests come with the markers of its rules."""
    body = json.dumps({"user": {"name": "me"}, "n": 1}).encode()
    found = answers([(Request("POST", URL, payload=body), ())], Match())
    assert found.known("POST", URL, _asked(body.replace(b'"me"', b'"you"'), URL, "name").payload) is not None
    found = answers([(Request("POST", f"{URL}?desk=4", payload=b"{}"), ())], Match())
    assert found.known("POST", _asked(b"{}", f"{URL}?desk=5", "query:desk").url, b"{}") is not None
    found = answers([(Request("POST", URL, payload=b"\x1f\x8bone"), ())], Match())
    assert found.known("POST", URL, _asked(b"\x1f\x8bother", URL, "name").payload) is not None


def test_other_requests_stay_misses() -> None:
    found = answers([(Request("POST", URL, payload=FORM), ())], Match())
    asked = _asked(FORM)
    assert found.known("GET", URL, asked.payload) is None
    assert found.known("POST", URL + "/other", asked.payload) is None
    assert found.known("POST", URL, asked.payload + b"&more=1") is None


def test_headers_of_before_a_rule_equal_markers() -> None:
    marked = "~redacted~x-own~0123456789abcdef~"
    match = Match(headers=["x-own"])
    recorded = Request("POST", URL, (("X-Own", "plain"),), b"{}")
    assert answers([(recorded, ())], match).known("POST", URL, b"{}", (("x-own", marked),)) is not None
    assert answers([(recorded, ())], match).known("POST", URL, b"{}", ()) is None


def test_the_keys_of_forms_with_files_may_be_of_before_they_were_compared_by_parts() -> None:
    form, same = _parts("s").replace(b"client_secret", b"a"), _parts("s").replace(b"client_secret", b"a")
    found = answers([(Request("POST", URL, payload=form.replace(b"grant_type", b"b")), ())], Match())
    found._index._strict.rewind()  # as if every key had been another one
    assert found.known("POST", URL, same.replace(b"grant_type", b"b")) is not None


def test_the_places_of_markers_are_those_that_redaction_named() -> None:
    rules = ("name", "query:desk", "header:x-own")
    for payload in (
        b'{"a/b": [{"name": 1}], "name": "x"}',
        b"name=1&b=2",
        b"\x1f\x8b",
        _parts("s"),
        _parts("s", '{"name": 1}\n{"name": 2}\n'),
        b"nothing",
    ):
        asked = _asked(payload, f"{URL}?desk=4&api_key=5", *rules)
        assert marker_places(asked) == set(asked.redacted)
    assert marker_places(replace(asked, headers=(("X-A", "~redacted~x~0123456789abcdef~"),))) >= {"header:x-a"}


def test_a_rule_for_a_header_that_is_always_redacted_says_so(caplog: pytest.LogCaptureFixture) -> None:
    match = Match(headers=["access", "x-tenant"])
    assert str(match) == "headers access (only whether it is there: its value is redacted), x-tenant"
    with caplog.at_level(logging.WARNING, "recorder"):
        answers([], match)
    (record,) = caplog.records
    assert "headers='access' only says whether the header is there" in record.getMessage()
