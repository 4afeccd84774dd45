"""httprr, ReqLLM, raw event streams, OpenAI's JSON Lines, our own exports; and what is none of them."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.core.exchange import fold
from recorder.dialects.rebuild import rebuild
from recorder.errors import ImportRefused
from recorder.formats.base import render
from recorder.formats.importing.base import LACKS, Cut, Foreign, Refused, importers
from tests.building import ExchangeBuilder, delta
from tests.unit.formats.importing.reading import one, read, rebuilt_of, recording, refusal
from tests.unit.formats.importing.test_cassettes import GO, RUBY, VCRPY
from tests.unit.formats.importing.test_har import entry, har

REQUEST = b"POST http://localhost:11434/api/chat HTTP/1.1\r\nHost: localhost:11434\r\n\r\n{}"


def trace(*answers: bytes) -> bytes:
    pairs = (b"%d %d\n" % (len(REQUEST), len(answer)) + REQUEST + answer for answer in answers)
    return b"httprr trace v1\n" + b"".join(pairs)


def test_httprr() -> None:
    found = one(trace(b"HTTP/1.1 200 OK\r\nX: y\r\n\r\nhi"))
    assert (found.method, found.url, found.payload) == ("POST", "http://localhost:11434/api/chat", b"{}")
    assert (found.status, found.reason, found.response_headers, found.body) == (200, "OK", (("X", "y"),), b"hi")
    assert found.versions == {"request": "HTTP/1.1", "response": "HTTP/1.1"}


@pytest.mark.parametrize(
    ("stored", "body"),
    [
        (b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n", b"abcde"),
        (b"3\nabc\n0\n\n", b"abc"),
        (b'{"not": "framed"}', b'{"not": "framed"}'),
        (b"3\r\nabcdef", b"3\r\nabcdef"),
    ],
)
def test_chunks_in_httprr_are_taken_off_where_they_are_there(stored: bytes, body: bytes) -> None:
    assert one(trace(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + stored)).body == body


def test_damaged_httprr() -> None:
    good = b"HTTP/1.1 200 OK\r\n\r\n"
    entries = recording(trace(good, good)[:-3]).entries
    assert isinstance(next(entries), Foreign)
    with pytest.raises(ImportRefused, match="3 bytes are missing"):
        next(entries)
    with pytest.raises(ImportRefused, match="no sizes"):
        read(b"httprr trace v1\nx\n")
    with pytest.raises(ImportRefused, match="version 2"):
        read(b"httprr trace v2\n")
    assert "no end" in refusal(trace(b"HTTP/1.1 200 OK\r\n"))


def test_req_llm() -> None:
    value: dict[str, Any] = {
        "captured_at": "2025-10-14T19:38:47.237294Z",
        "request": {"method": "post", "url": "https://a.test", "headers": {"x": ["y"]}, "body": {"b64": "e30="}},
        "response": {"status": 200, "headers": {}, "body": None},
        "chunks": [{"b64": base64.b64encode(piece).decode()} for piece in (b"data: 1\n", b"\n")],
    }
    found = one(value)
    assert (found.method, found.payload, found.body, found.cuts) == ("POST", b"{}", b"data: 1\n\n", (Cut(8), Cut(9)))
    assert "chunk_boundaries" not in found.missing
    del value["chunks"]
    value["response"]["body"] = {"a": 1}
    assert one(value).body == b'{"a":1}'
    assert "response_bytes" in one(value).missing
    value["response"]["body"] = {"b64": "!"}
    assert "no base64" in refusal(value)


@pytest.mark.parametrize("body", [b"data: {}\n\n", b": ping\r\n\r\nevent: a\r\ndata: b\r\n\r\n", b"id: 1\rdata: x\r\r"])
def test_a_stream_of_events_alone(body: bytes) -> None:
    found = one(b"\xef\xbb\xbf" + body)
    assert found.body == b"\xef\xbb\xbf" + body
    assert (found.status, found.end) == (None, None)
    assert {"request", "response_head", "end"} <= set(found.missing)


def test_examples_for_fine_tuning() -> None:
    said = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
    lines = [{"messages": said, "tools": []}, {"messages": said[:1]}, {"other": 1}]
    data = "\n".join(map(json.dumps, lines)) + "\nno json\n"
    first, *refused = read(data)
    assert isinstance(first, Foreign)
    assert json.loads(first.payload) == {"messages": said[:1], "tools": []}
    assert json.loads(first.body)["choices"] == [{"index": 0, "message": said[1]}]
    assert {"request_head", "request_bytes", "response_bytes"} <= set(first.missing)
    assert rebuilt_of(first).verdict == "complete"  # an example stands for a whole answer
    assert [type(each) for each in refused] == [Refused] * 3
    lines_told = [each.reason for each in read("\n\n" + data.replace("\n", "\n\n")) if isinstance(each, Refused)]
    assert [reason.rpartition("(line ")[2] for reason in lines_told[:2]] == ["5)", "7)"]
    assert lines_told[2].startswith("line 9 is no JSON (")


def test_results_of_a_batch() -> None:
    line = {"custom_id": "1", "response": {"status_code": 200, "request_id": "r", "body": {"id": "x"}}, "error": None}
    found = one(json.dumps(line) + "\n")
    assert (found.status, found.body) == (200, b'{"id":"x"}')
    assert found.called == "1"
    assert "without a response" in refusal(json.dumps({"custom_id": "1", "response": None}))


def test_requests_of_a_batch_are_requests_without_an_answer() -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "q"}]}
    line = {"custom_id": "r1", "method": "POST", "url": "/v1/chat/completions", "body": body}
    found = one(json.dumps(line) + "\n")
    assert (found.method, found.url, json.loads(found.payload)) == ("POST", "/v1/chat/completions", body)
    assert (found.status, found.body, found.end, found.called) == (None, b"", None, "r1")
    assert {"request_head", "response_head", "response_body", "end"} <= {*found.missing, "end"} <= LACKS.keys()
    rebuilt = rebuilt_of(found)
    assert (rebuilt.verdict, [message.text for message in rebuilt.request_messages]) == ("unknown", ["q"])
    assert (rebuilt.reading.model if rebuilt.reading else None, rebuilt.answer.choices) == ("m", ())
    assert "no mapping" in refusal(json.dumps(line | {"body": "q"}))


def test_results_of_anthropics_batches() -> None:
    message = {
        "id": "msg", "type": "message", "role": "assistant", "model": "c", "stop_reason": "end_turn",
        "content": [{"type": "text", "text": "hi"}], "usage": {"input_tokens": 1, "output_tokens": 1},
    }  # fmt: skip
    error = {"type": "error", "error": {"type": "invalid_request_error", "message": "no"}}
    results = [
        {"type": "succeeded", "message": message},
        {"type": "errored", "error": error},
        {"type": "expired"},
        {"type": "succeeded"},
    ]
    lines = "".join(json.dumps({"custom_id": f"a{at}", "result": each}) + "\n" for at, each in enumerate(results))
    assert recording(lines).format == "anthropic-batch"
    answered, failed, *refused = read(lines)
    assert isinstance(answered, Foreign)
    assert isinstance(failed, Foreign)
    assert (rebuilt_of(answered).verdict, rebuilt_of(answered).answer_messages[0].text) == ("complete", "hi")
    assert (answered.called, rebuilt_of(failed).verdict) == ("a0", "errored")
    assert [each.reason for each in refused if isinstance(each, Refused)] == [
        "its request has no answer: it is expired (line 3)",
        "its request has no answer: it is succeeded (line 4)",
    ]


def test_requests_of_anthropics_batches() -> None:
    params = {"model": "c", "max_tokens": 9, "messages": [{"role": "user", "content": "q"}], "system": "Be."}
    found = one(json.dumps({"custom_id": "a", "params": params}) + "\n")
    assert (json.loads(found.payload), found.body, rebuilt_of(found).verdict) == (params, b"", "unknown")
    assert [message.text for message in rebuilt_of(found).request_messages] == ["Be.", "q"]


def test_preferences_are_refused_by_name() -> None:
    said = [{"role": "assistant", "content": "y"}]
    line = {"input": {"messages": []}, "preferred_output": said, "non_preferred_output": said}
    with pytest.raises(ImportRefused, match="holds preferences for fine-tuning"):
        read(json.dumps(line) + "\n")


@pytest.mark.parametrize("name", ["json", "jsonl"])
def test_our_own_export(name: str) -> None:
    builder = ExchangeBuilder(3).request({"messages": []}).response().sse(delta(content="x", finish="stop")).completed()
    exchange = fold(builder.events)
    assert exchange is not None
    document = "".join(str(piece) for piece in render(name, [rebuild(exchange)]))
    found = one(document)
    assert found.body == exchange.body
    assert exchange.request is not None
    assert found.payload == exchange.request.payload
    assert [cut.end for cut in found.cuts or ()] == [chunk.end for chunk in exchange.chunks]
    assert found.missing == ()
    without = json.loads(document) if name == "jsonl" else json.loads(document)["exchanges"][0]
    del without["recording"]
    assert "has no bodies" in refusal(json.dumps(without) if name == "jsonl" else {"exchanges": [without]})
    changed = without | {"recording": {}, "findings": [{"kind": "not_as_written", "detail": "hash"}]}
    assert "was changed" in refusal(json.dumps(changed))
    assert "no UUID" in refusal(json.dumps(changed | {"findings": [], "id": "x"}))


@pytest.mark.parametrize(
    "data", [b"", b" \n", b"# Read me\n", b"{}", b"[]", b'{"a": [', b"\0" * 64, b"\x1f\x8b", b"1: 2\n"]
)
def test_what_is_no_recording_is_refused_in_one_sentence(data: bytes) -> None:
    with pytest.raises(ImportRefused) as caught:
        read(data)
    assert "\n" not in str(caught.value)


SAMPLES = [
    VCRPY.encode(),
    RUBY.encode(),
    GO.encode(),
    json.dumps(har(entry())).encode(),
    trace(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"),
    b'{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}\n',
]


@given(st.sampled_from(SAMPLES), st.data())
def test_whatever_happens_to_a_file_it_is_read_or_refused(sample: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(sample)))
    end = data.draw(st.integers(at, min(len(sample), at + 40)))
    changed = sample[:at] + data.draw(st.binary(max_size=20)) + sample[end:]
    found = []
    with suppress(ImportRefused):
        found = read(changed)
    for each in found:
        if isinstance(each, Foreign):
            assert set(each.missing) <= LACKS.keys()
        else:
            assert each.reason


def test_every_importer_is_found_and_told_apart() -> None:
    names = [each.name for each in importers()]
    assert len(set(names)) == len(names) >= 9
    assert all(each.help for each in importers())
