"""HAR as browsers, proxies, Polly.JS and recorder write it."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from recorder.core.exchange import fold
from recorder.dialects.rebuild import rebuild
from recorder.errors import ImportRefused
from recorder.formats.base import render
from recorder.formats.importing.base import Cut, Foreign
from tests.building import ExchangeBuilder, delta
from tests.unit.formats.importing.reading import one, read, rebuilt_of, recording, refusal


def entry(**changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "startedDateTime": "2026-01-02T03:04:05.678901+01:00",
        "time": 30,
        "request": {
            "method": "POST",
            "url": "https://api.example.test/v1/chat?a=b",
            "httpVersion": "HTTP/1.1",
            "headers": [{"name": "content-type", "value": "application/json"}],
            "postData": {"mimeType": "application/json", "text": '{"a": "é"}'},
        },
        "response": {
            "status": 200,
            "statusText": "OK",
            "httpVersion": "HTTP/1.1",
            "headers": [{"name": "x", "value": "1"}, {"name": "x", "value": "2"}],
            "content": {"size": 2, "mimeType": "text/plain", "text": "hé"},
        },
        "timings": {"blocked": 1, "dns": -1, "connect": 5, "ssl": 4, "send": 1, "wait": 13, "receive": 10},
    }
    return made | changes


def har(*entries: dict[str, Any], creator: str = "WebInspector", **log: Any) -> dict[str, Any]:
    return {"log": {"version": "1.2", "creator": {"name": creator, "version": "1"}, "entries": list(entries)} | log}


def answered(content: dict[str, Any]) -> dict[str, Any]:
    made = entry()
    made["response"]["content"] = content
    return har(made)


def test_an_entry_is_an_exchange() -> None:
    found = one(har(entry()))
    assert (found.method, found.url) == ("POST", "https://api.example.test/v1/chat?a=b")
    assert (found.payload, found.body) == ('{"a": "é"}'.encode(), "hé".encode())
    assert found.response_headers == (("x", "1"), ("x", "2"))
    assert found.started_ns == 1_767_319_445_678_901_000
    assert (found.head_ns, found.end_ns) == (20_000_000, 30_000_000)
    assert set(found.missing) == {"chunk_boundaries", "chunk_times"}
    told = recording(har(entry()))
    assert (told.format, told.version, told.creator) == ("har", "1.2", "WebInspector 1")


def test_a_byte_order_mark_and_white_space_do_not_count() -> None:
    assert one(b"\xef\xbb\xbf \n" + json.dumps(har(entry())).encode()).status == 200


def test_chunks_of_polly_in_base64() -> None:
    pieces = [b"data: a\n", b"\ndata: \xff", b"\n\n"]
    text = json.dumps([base64.b64encode(piece).decode() for piece in pieces])
    found = one(answered({"encoding": "base64", "text": text}))
    assert found.body == b"".join(pieces)
    assert found.cuts == (Cut(8), Cut(16), Cut(18))
    assert "chunk_boundaries" not in found.missing
    assert "chunk_times" in found.missing


def test_chunks_of_old_polly_in_hexadecimal() -> None:
    found = one(answered({"_isBinary": True, "text": json.dumps([b"ab".hex(), b"\xffc".hex()])}))
    assert (found.body, found.cuts) == (b"ab\xffc", (Cut(2), Cut(4)))


def test_an_answer_that_is_a_json_array_is_no_array_of_chunks() -> None:
    assert one(answered({"text": '["aGk="]'})).body == b'["aGk="]'


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"encoding": "base64", "text": "aGk=="}, "no base64"),
        ({"encoding": "base64", "text": '["aGk=", 1]'}, "array of chunks"),
        ({"encoding": "base64", "text": '["aGk="'}, "array of chunks"),
        ({"_isBinary": True, "text": '["xy"]'}, "not hexadecimal"),
        ({"encoding": "rot13", "text": "uv"}, "nobody knows the encoding 'rot13'"),
        ({"text": 1}, "no text"),
    ],
)
def test_content_that_cannot_be_read_refuses_its_entry_alone(content: dict[str, Any], told: str) -> None:
    document = answered(content)
    assert told in refusal(document)
    document["log"]["entries"].append(entry())
    assert [type(each).__name__ for each in read(document)] == ["Refused", "Foreign"]


def test_a_body_that_is_left_out_is_missing() -> None:
    assert "response_body" in one(answered({"size": 12})).missing
    assert "response_body" not in one(answered({"size": 0})).missing


def sized(content: dict[str, Any], body_size: int | None = -1, status: int = 200, **headers: str) -> Foreign:
    made = entry()
    made["response"] |= {"content": content, "status": status} | ({} if body_size is None else {"bodySize": body_size})
    made["response"]["headers"] = [{"name": name.replace("_", "-"), "value": value} for name, value in headers.items()]
    return one(har(made))


@pytest.mark.parametrize(
    "found",
    [
        sized({"size": -1}, 812),  # Playwright, told to omit contents
        sized({"size": -1}),
        sized({"size": 0}, 812),
        sized({"size": 500}),
        sized({"size": 500, "text": ""}, content_type="text/event-stream"),  # Chrome, of a stream of events
        sized({"size": 0}, content_length="12"),
        sized({}, None),
        sized({"size": 0}, 20, content_encoding="gzip"),
    ],
)
def test_a_body_that_no_text_tells_is_missing_and_what_it_was_stays_unknown(found: Foreign) -> None:
    assert (found.body, "response_body" in found.missing) == (b"", True)
    rebuilt = rebuilt_of(found)
    assert (rebuilt.verdict, rebuilt.evidence.finished) == ("unknown", None)


@pytest.mark.parametrize(
    "found",
    [
        sized({"size": 0}, 0),
        sized({"size": 0}),
        sized({"size": 0, "text": ""}, 0, content_length="0"),
        sized({"size": -1}, 0),
        sized({"size": -1}, content_length="0"),
        sized({"size": -1, "text": ""}),
        sized({"size": -1}, 812, status=204),
        sized({"size": 0, "text": ""}, 20, content_encoding="gzip"),
    ],
)
def test_a_body_that_is_empty_is_not_missing(found: Foreign) -> None:
    assert (found.body, "response_body" in found.missing) == (b"", False)


def test_the_answer_to_head_has_no_body_whatever_its_head_says() -> None:
    made = entry()
    made["request"]["method"] = "HEAD"
    made["response"] |= {"content": {"size": 812}, "headers": [{"name": "content-length", "value": "812"}]}
    found = one(har(made))
    assert "response_body" not in found.missing
    assert rebuilt_of(found).verdict == "complete"


def test_of_a_redirect_nothing_is_owed_though_its_body_is_missing() -> None:
    found = sized({"size": 0}, 154, status=302)
    assert "response_body" in found.missing
    assert rebuilt_of(found).verdict == rebuilt_of(sized({"size": 0}, 0, status=302)).verdict


def test_an_answer_that_failed_is_errored_also_without_its_body() -> None:
    assert rebuilt_of(sized({"size": 80}, status=500)).verdict == "errored"


@pytest.mark.parametrize("size", [0, 3, -1, 10**9, "3", None])
def test_a_size_that_is_wrong_changes_nothing(size: Any) -> None:
    found = one(answered({"size": size, "text": "longer than that"}))
    assert found.body == b"longer than that"
    assert "response_body" not in found.missing


@pytest.mark.parametrize("beside", [{"_webSocketMessages": [{"type": "send", "opcode": 1, "data": "{}"}]}, {}])
def test_of_a_websocket_what_was_sent_over_it_is_missing(beside: dict[str, Any]) -> None:
    made = entry(**beside)
    made["request"] |= {"method": "GET", "url": "wss://api.example.test/v1/realtime"}
    made["response"] |= {"status": 101, "content": {"size": 0}, "bodySize": 0}
    found = one(har(made))
    assert "websocket_messages" in found.missing
    assert "response_body" not in found.missing
    assert rebuilt_of(found).verdict == "unknown"
    assert "websocket_messages" not in one(har(entry())).missing


def test_an_entry_without_an_answer() -> None:
    failed = entry(response={"status": 0, "_error": "net::ERR_CONNECTION_RESET", "headers": []})
    found = one(har(failed))
    assert (found.status, found.end) == (None, "request_failed")
    assert found.failure["error"]["message"] == "net::ERR_CONNECTION_RESET"
    assert one(har(entry(response=None))).end is None


def test_times_that_are_not_known_are_missing() -> None:
    untimed = entry(startedDateTime="yesterday", time=-1, timings={"send": -1, "wait": -1, "receive": -1})
    assert {"started_at", "head_time", "end_time"} <= set(one(har(untimed)).missing)
    assert "started_at" in one(har(entry(startedDateTime="2026-01-02T03:04:05"))).missing  # of no zone


@pytest.mark.parametrize("year", ["0001", "1677", "1931", "2150", "9999"])
@pytest.mark.parametrize("zone", ["Z", "+14:00", "-12:00"])
def test_a_time_that_a_store_cannot_keep_is_not_one_that_the_file_does_not_tell(year: str, zone: str) -> None:
    for day in ("01-01T00:00:00", "12-31T23:59:59.999999999"):
        found = one(har(entry(startedDateTime=f"{year}-{day}{zone}")))
        assert found.started_ns is None
        assert {"started_at", "started_at_outside"} <= set(found.missing)
    assert "started_at_outside" not in one(har(entry(startedDateTime=f"2100-{day}{zone}"))).missing


def test_fields_of_http2_are_the_start_line() -> None:
    made = entry()
    made["request"]["headers"].insert(0, {"name": ":authority", "value": "api.example.test"})
    made["request"]["httpVersion"] = made["response"]["httpVersion"] = "h2"
    found = one(har(made))
    assert found.request_headers == (("content-type", "application/json"),)
    assert found.versions == {"request": "h2", "response": "h2"}


def test_a_form_is_written_again() -> None:
    made = entry()
    form = {"mimeType": "application/x-www-form-urlencoded", "params": [{"name": "a b", "value": "é"}, {"name": "c"}]}
    made["request"]["postData"] = form
    found = one(har(made))
    assert found.payload == b"a+b=%C3%A9&c="
    assert "request_bytes" in found.missing


@pytest.mark.parametrize("document", ['{"log": [2, 1, 3]\n"request:"}', {"log": [1]}, {"log": {"entries": {}}}])
def test_what_is_no_har_is_refused(document: Any) -> None:
    with pytest.raises(ImportRefused):
        read(document)
    with pytest.raises(ImportRefused, match="no entries"):
        read(har())


def test_our_own_keeps_ids_chunks_and_the_end() -> None:
    builder = ExchangeBuilder(3).request({"model": "m", "messages": []}).response()
    builder.sse(delta(content="x", finish="stop")).event("response_failed", {"kind": "reset", "phase": "body"})
    exchange = fold(builder.events)
    assert exchange is not None
    document = "".join(str(piece) for piece in render("har", [rebuild(exchange)]))
    found = one(document)
    assert found.origin is not None
    assert found.origin.id == exchange.stream
    assert found.end == "response_failed"
    assert [(cut.end, cut.elapsed_ns) for cut in found.cuts or ()] == [
        (chunk.end, chunk.mono_ns - exchange.origin_ns) for chunk in exchange.chunks
    ]


def test_our_own_that_was_changed_is_refused() -> None:
    assert "was changed" in refusal(har(entry(_not_as_written="hash of version 2"), creator="recorder"))
