"""HAR 1.2: by the specification (a schema written from it), and in a reader that others wrote."""

from __future__ import annotations

import base64
import gzip
import json
from dataclasses import replace
from typing import Any

import pytest
from haralyzer import HarParser
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

import recorder
from recorder.core.conversation import Conversation
from recorder.core.exchange import fold
from recorder.core.messages import NOT_AS_WRITTEN, Anomaly
from recorder.core.rebuilt import Rebuilt
from recorder.dialects.rebuild import rebuild
from recorder.formats.base import render
from tests.building import ExchangeBuilder, delta


def _object(required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    """A HAR object: its own fields, and custom ones, whose names begin with an underscore."""
    return {
        "type": "object",
        "required": list(required),
        "properties": {**required, **optional, "comment": {"type": "string"}},
        "patternProperties": {"^_": True},
        "additionalProperties": False,
    }


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


TEXT = {"type": "string"}
SIZE = {"type": "integer", "minimum": -1}
TIME = {"type": "number", "minimum": -1}
DATE = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$"}
PAIRS = _list(_object({"name": TEXT, "value": TEXT}))
YES = {"type": "boolean"}
COOKIES = _list(_object({"name": TEXT, "value": TEXT}, path=TEXT, domain=TEXT, expires=DATE, httpOnly=YES, secure=YES))
HEAD = {"httpVersion": TEXT, "cookies": COOKIES, "headers": PAIRS, "headersSize": SIZE, "bodySize": SIZE}
CONTENT = _object(
    {"size": SIZE, "mimeType": TEXT}, compression={"type": "integer"}, text=TEXT, encoding={"const": "base64"}
)
REQUEST = _object(
    {"method": TEXT, "url": {"type": "string", "pattern": "^[^#]*$"}, "queryString": PAIRS, **HEAD},
    postData=_object({"mimeType": TEXT, "params": PAIRS, "text": TEXT}),
)
RESPONSE = _object({"status": {"type": "integer"}, "statusText": TEXT, "content": CONTENT, "redirectURL": TEXT, **HEAD})
TIMINGS = _object(dict.fromkeys(("send", "wait", "receive"), TIME), blocked=TIME, dns=TIME, connect=TIME, ssl=TIME)
ENTRY = _object(
    {
        "startedDateTime": DATE,
        "time": {"type": "number", "minimum": 0},
        "request": REQUEST,
        "response": RESPONSE,
        "cache": _object({}),
        "timings": TIMINGS,
    },
    serverIPAddress=TEXT,
    connection=TEXT,
)
CREATOR = _object({"name": TEXT, "version": TEXT})
SCHEMA = {
    "type": "object",
    "required": ["log"],
    "properties": {
        "log": _object(
            {"version": {"const": "1.2"}, "creator": CREATOR, "entries": _list(ENTRY)},
            browser=CREATOR,
            pages={"type": "array", "maxItems": 0},
        )
    },
    "additionalProperties": False,
}
Draft202012Validator.check_schema(SCHEMA)


def built(builder: ExchangeBuilder) -> Rebuilt:
    exchange = fold(builder.events)
    assert exchange is not None
    return rebuild(exchange)


def log_of(*exchanges: Rebuilt, conversation: Conversation | None = None) -> dict[str, Any]:
    """Return the log of the document, after it passed the schema and was read by another's reader."""
    text = "".join(str(piece) for piece in render("har", iter(exchanges), conversation))
    text.encode()
    document = json.loads(text, parse_constant=pytest.fail)
    Draft202012Validator(SCHEMA).validate(document)
    log: dict[str, Any] = document["log"]
    read = [entry for page in HarParser(document).pages for entry in page.entries]
    assert [(entry.status, entry.url, entry.time) for entry in read] == [
        (one["response"]["status"], one["request"]["url"], one["time"]) for one in log["entries"]
    ]
    assert all(entry.startTime is not None for entry in read)
    return log


def entry_of(builder: ExchangeBuilder) -> dict[str, Any]:
    entry: dict[str, Any] = log_of(built(builder))["entries"][0]
    return entry


def streamed(number: int = 1) -> ExchangeBuilder:
    builder = ExchangeBuilder(number).request({"model": "m"}, url="https://x.test/v1/chat?a=1&b=%C3%A9+%2B&c=#part")
    return builder.response().sse(delta(role="assistant", content="Hold"), delta(finish="stop")).completed()


def test_an_exchange_with_its_headers_query_bodies_and_chunks() -> None:
    rebuilt = built(streamed())
    exchange = rebuilt.exchange
    entry = log_of(rebuilt)["entries"][0]
    request, response = entry["request"], entry["response"]
    assert (request["method"], request["url"]) == ("POST", "https://x.test/v1/chat?a=1&b=%C3%A9+%2B&c=")
    assert request["_fragment"] == "part"
    assert (request["httpVersion"], response["httpVersion"]) == ("HTTP/1.1", "HTTP/1.1")
    assert request["headers"] == [{"name": "content-type", "value": "application/json"}]
    query = [("a", "1"), ("b", "é +"), ("c", "")]
    assert request["queryString"] == [{"name": name, "value": value} for name, value in query]
    assert request["postData"] == {"mimeType": "application/json", "params": [], "text": '{"model": "m"}'}
    assert request["bodySize"] == 14
    assert (response["status"], response["statusText"]) == (200, "OK")
    assert response["content"] == {
        "size": len(exchange.body),
        "mimeType": "text/event-stream",
        "text": exchange.body.decode(),
    }
    assert response["bodySize"] == len(exchange.body)
    assert entry["startedDateTime"] == "2026-09-21T14:13:21.000000000Z"
    assert "comment" not in entry
    assert "_error" not in response
    assert (entry["_exchange"], entry["_call"], entry["_attempt"]) == (rebuilt.id, "call-1", 1)
    assert (entry["_verdict"], entry["_transport_end"]) == ("complete", "response_completed")
    assert [(one["elapsed_ns"], one["end"]) for one in entry["_chunks"]] == [
        (chunk.mono_ns - exchange.origin_ns, chunk.end) for chunk in exchange.chunks
    ]
    assert (entry["_head_ns"], entry["_duration_ns"], response["_framing"]) == (1_000_000, 5_000_000, "chunked")
    assert sum(one["size"] for one in entry["_chunks"]) == len(exchange.body)


def test_times_are_what_is_known_and_minus_one_where_nothing_is() -> None:
    whole = entry_of(streamed())
    unknown = {"blocked": -1, "dns": -1, "connect": -1, "send": -1, "ssl": -1}
    assert whole["timings"] == {**unknown, "wait": 1.0, "receive": 4.0}
    assert (whole["time"], whole["_first_chunk_ms"], whole["_duration_ms"]) == (5.0, 2.0, 5.0)
    running = entry_of(ExchangeBuilder().request({}).response().chunks(b"x"))
    assert running["timings"] == {**unknown, "wait": 1.0, "receive": -1}
    assert running["time"] == 1.0
    assert "_duration_ms" not in running
    nothing = entry_of(ExchangeBuilder().request({}))
    assert set(nothing["timings"].values()) == {-1}
    assert nothing["time"] == 0
    assert nothing["response"]["_error"] == "no answer is recorded: no end yet"
    elsewhere = ExchangeBuilder().request({}).response().event("process_died", {}, instance=b"o" * 16)
    assert entry_of(elsewhere)["timings"]["receive"] == -1


def test_what_failed_before_an_answer_has_status_0_and_the_error() -> None:
    facts = {"kind": "dns", "phase": "connect", "error": {"type": "socket.gaierror", "message": "no\nsuch host"}}
    entry = entry_of(ExchangeBuilder().request({}).event("request_failed", facts))
    assert entry["response"] == {
        "status": 0,
        "statusText": "",
        "httpVersion": "",
        "cookies": [],
        "headers": [],
        "content": {"size": 0, "mimeType": "x-unknown"},
        "redirectURL": "",
        "headersSize": -1,
        "bodySize": -1,
        "_error": "request_failed dns connect: no such host",
    }
    assert entry["timings"]["connect"] == entry["time"] == 1.0
    assert entry["timings"]["wait"] == -1
    assert entry["_verdict"] == "errored"
    waited = entry_of(ExchangeBuilder().request({}).event("request_failed", {"kind": "timeout", "phase": "head"}))
    assert (waited["timings"]["connect"], waited["timings"]["wait"]) == (-1, 1.0)


@pytest.mark.parametrize(
    ("end", "verdict", "error"),
    [
        ("response_truncated", "truncated", "response_truncated"),
        ("consumer_closed", "aborted_by_client", None),
        ("recorder_closed", "unknown", None),
    ],
)
def test_an_answer_that_is_not_complete_says_so(end: str, verdict: str, error: str | None) -> None:
    entry = entry_of(ExchangeBuilder().request({}).response().sse(delta(content="cut he"), done=False).event(end, {}))
    assert entry["_verdict"] == verdict
    assert entry["comment"].startswith(f"{verdict}: ")
    assert entry["response"].get("_error") == error


def test_an_error_inside_an_answer_is_an_error() -> None:
    entry = entry_of(ExchangeBuilder().request({}).response().sse({"error": {"code": 1}}).completed())
    assert entry["response"]["_error"] == '{"code": 1}'
    assert entry["response"]["status"] == 200


def test_what_is_not_as_it_was_written_says_so() -> None:
    touched = replace(built(streamed()), anomalies=(Anomaly(NOT_AS_WRITTEN, "version 4 is missing"),))
    entry = log_of(touched)["entries"][0]
    assert entry["_not_as_written"] == "version 4 is missing"
    assert entry["comment"] == "Not as written: version 4 is missing."


def answered(body: bytes, *headers: tuple[str, str]) -> dict[str, Any]:
    return entry_of(ExchangeBuilder().request({}).response(headers=headers).chunks(body).completed())["response"]


def test_a_coded_body_is_decoded_and_both_sizes_are_told() -> None:
    text = "Hold. " * 100
    coded = gzip.compress(text.encode(), mtime=0)
    response = answered(coded, ("content-encoding", "gzip"), ("content-type", "text/plain"))
    assert response["content"] == {
        "size": 600,
        "compression": 600 - len(coded),
        "mimeType": "text/plain",
        "text": text,
        "_coded": base64.b64encode(coded).decode(),
    }
    assert response["bodySize"] == len(coded)
    cut = answered(coded[:-9], ("content-encoding", "gzip"))
    assert cut["content"]["_cut"] is True


def test_a_body_whose_coding_cannot_be_undone_is_kept_as_it_came() -> None:
    response = answered(b"\x00coded", ("content-encoding", "x-nobody-knows"))
    assert response["content"] == {
        "size": -1,
        "mimeType": "x-unknown",
        "_coded": base64.b64encode(b"\x00coded").decode(),
    }
    assert response["bodySize"] == 6


@pytest.mark.parametrize(
    ("body", "media_type", "is_text"),
    [
        (b"\xff\xfe", "text/plain", False),
        ("é".encode("latin-1"), "text/plain; charset=iso-8859-1", False),
        ("é".encode(), "text/plain; charset=iso-8859-1", False),
        (b"e", 'text/plain; Charset="ISO-8859-1"', True),
        (b"a\0", "text/plain; charset=utf-16le", False),
        ("é\0\u202e\u2028</script>".encode(), "text/html; charset=UTF-8", True),
        (b"\xef\xbb\xbfdata: 1\n\n", "text/event-stream", True),
        (b"x" * 100_000, "application/octet-stream", True),
    ],
)
def test_bodies_are_text_where_they_are_utf8_and_base64_elsewhere(body: bytes, media_type: str, is_text: bool) -> None:
    content = answered(body, ("content-type", media_type))["content"]
    assert (content.get("encoding") is None) == is_text
    assert (content["text"].encode() if is_text else base64.b64decode(content["text"])) == body
    request = entry_of(ExchangeBuilder().request(body, headers=[("content-type", media_type)]))["request"]
    posted = request["postData"]
    assert (posted.get("_encoding") is None) == is_text
    assert (posted["text"].encode() if is_text else base64.b64decode(posted["text"])) == body
    assert posted["mimeType"] == media_type


@given(st.binary(max_size=40))
def test_any_body_comes_back(body: bytes) -> None:
    content = answered(b"{" + body)["content"]
    text = content["text"]
    assert (base64.b64decode(text) if "encoding" in content else text.encode()) == b"{" + body


def test_sizes_of_what_was_redacted_or_lost_are_not_known() -> None:
    builder = ExchangeBuilder().request({"key": "~redacted~"}, redacted=["body:/key", "header:authorization"])
    builder.response(redacted=["header:set-cookie"]).chunks(b"x")
    entry = entry_of(builder.event("gap_recorded", {"events": 1}).completed())
    assert (entry["request"]["bodySize"], entry["response"]["bodySize"]) == (-1, -1)
    assert entry["request"]["_redacted"] == ["body:/key", "header:authorization"]
    assert entry["response"]["_redacted"] == ["header:set-cookie"]
    assert entry["_recording_has_gaps"] is True


def test_cookies_and_redirects() -> None:
    headers = [
        ("Set-Cookie", "sid=~redacted~; Path=/v1; Domain=x.test; Secure; HttpOnly"),
        ("set-cookie", "a=b; expires=Wed, 21 Oct 2026 07:28:00 GMT"),
        ("set-cookie", "c=d; expires=when it rains"),
        ("set-cookie", "none"),
        ("Location", "https://x.test/next"),
    ]
    sent = [("Cookie", "sid=1; lang=e=n; bare")]
    builder = ExchangeBuilder().request(None, method="GET", headers=sent).response(307, "Moved", headers)
    entry = entry_of(builder.completed())
    assert entry["request"]["cookies"] == [{"name": "sid", "value": "1"}, {"name": "lang", "value": "e=n"}]
    assert "postData" not in entry["request"]
    response = entry["response"]
    assert response["redirectURL"] == "https://x.test/next"
    plain = {"httpOnly": False, "secure": False}
    assert response["cookies"] == [
        {"name": "sid", "value": "~redacted~", "path": "/v1", "domain": "x.test", "httpOnly": True, "secure": True},
        {"name": "a", "value": "b", "expires": "2026-10-21T07:28:00+00:00", **plain},
        {"name": "c", "value": "d", **plain},
    ]


def test_the_log_says_what_wrote_it() -> None:
    assert log_of()["creator"] == {"name": "recorder", "version": recorder.__version__}


def test_a_conversation_is_named_and_parents_are_told() -> None:
    one, two = built(streamed(1)), built(streamed(2))
    log = log_of(one, two, conversation=Conversation("o", "desk\ud800", (one.id, two.id), {two.id: one.id}))
    assert log["_conversation"] == {"id": "o", "name": "desk\ufffd"}
    assert [entry.get("_parent") for entry in log["entries"]] == [None, one.id]
    assert [entry["_conversation"] for entry in log["entries"]] == ["o", "o"]


def test_an_exchange_without_a_request_is_left_out() -> None:
    headless = built(ExchangeBuilder().chunks(b"x"))
    assert log_of(headless)["entries"] == []
    assert [entry["_call"] for entry in log_of(headless, built(streamed()))["entries"]] == ["call-1"]


def test_urls_that_are_none_do_no_harm() -> None:
    assert entry_of(ExchangeBuilder().request({}, url="http://[x?a=1#b"))["request"]["queryString"] == [
        {"name": "a", "value": "1"}
    ]


def test_a_fragment_is_kept_where_there_is_one_be_it_empty() -> None:
    def request(url: str) -> dict[str, Any]:
        told: dict[str, Any] = entry_of(ExchangeBuilder().request({}, url=url))["request"]
        return told

    assert "_fragment" not in request("https://h.test/a?b=c")
    assert [request(f"https://h.test/a?b=c#{told}")["_fragment"] for told in ("", "d", "d#e?f")] == ["", "d", "d#e?f"]


def test_exchanges_are_taken_one_by_one() -> None:
    pieces = render("har", iter([built(streamed(1)), built(streamed(2))]))
    assert len(list(pieces)) == 4
