"""Redaction of whole exchanges: every place in which a secret can stand, every way in which it can be written there."""

from __future__ import annotations

import base64
import gzip
import json
import re
from dataclasses import replace
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from recorder.core.conversation import Conversation, Relation
from recorder.core.export_redaction import REDACTED, ExportRedaction
from recorder.core.messages import Anomaly
from recorder.core.rebuilt import as_json
from recorder.dialects.rebuild import rebuild
from tests.building import ExchangeBuilder, delta
from tests.redacting import holds, texts_of
from tests.unit.core.redacted_exchanges import (
    EVENTS,
    FAILURE,
    MAIL,
    SECRET,
    STOP,
    TOKENS,
    asked,
    call,
    coded,
    cut,
    cut_bytes,
    documents,
    exchange,
    page,
    redacted,
    told,
    user,
)
from tests.unit.dialects.wire import framed


def failing(kind: str, facts: dict[str, Any]) -> ExchangeBuilder:
    return ExchangeBuilder().request({}).event(kind, facts)


PLACES = {
    "text": asked(user("hi"), *told(f"I am {SECRET}!")),
    "one delta": asked(user("hi"), delta(content=f"I am {SECRET}!"), STOP),
    "reasoning": asked(
        user("hi"), *(delta(reasoning_content=piece) for piece in cut(SECRET)), delta(content="x"), STOP
    ),
    "refusal": asked(user("hi"), *(delta(refusal=piece) for piece in cut(SECRET)), STOP),
    "arguments": asked(user("hi"), *call(*cut(json.dumps({"name": SECRET}, ensure_ascii=False)))),
    "escaped arguments": asked(user("hi"), *call(*cut(json.dumps({"name": SECRET}), 3))),
    "choices side by side": asked(
        {"n": 2}, *(delta(i, content=p) for p in cut(SECRET) for i in (0, 1)), STOP, delta(1, "stop")
    ),
    "log probabilities": asked(
        {},
        {
            **STOP,
            "choices": [
                {"index": 0, "delta": {"content": SECRET}, "finish_reason": "stop", "logprobs": {"content": TOKENS}}
            ],
        },
    ),
    "an error event": asked({}, {"error": {"message": f"bad {SECRET}"}}),
    "an unknown field": asked({}, {**STOP, "x_custom": {SECRET: [SECRET]}}),
    "request text": asked(user(SECRET)),
    "request parts": asked(user([{"type": "text", "text": SECRET[:5]}, {"type": "text", "text": SECRET[5:]}])),
    "request name": asked({**user("x"), "metadata": {SECRET: 1}}),
    "tool result in JSON in JSON": asked(user(json.dumps({"r": json.dumps({"name": SECRET})}))),
    "a data URL": asked(
        user(
            [
                {
                    "type": "image_url",
                    "image_url": {"url": "data:text/plain;base64," + base64.b64encode(f"x {SECRET}".encode()).decode()},
                }
            ]
        )
    ),
    "URL": asked(user("x"), url=f"https://a.test/v1/chat/completions?who={quote(SECRET)}"),
    "URL, plus": asked(user("x"), url=f"https://a.test/v1/chat/completions?who={quote_plus(SECRET)}"),
    "a form": asked(
        f"a=1&who={quote_plus(SECRET)}".encode(), headers=[("content-type", "application/x-www-form-urlencoded")]
    ),
    "no JSON": asked(f"who: {SECRET}".encode(), headers=[("content-type", "text/plain")]),
    "request header": asked(
        user("x"), headers=[("x-who", quote(SECRET)), ("x-b", base64.b64encode(SECRET.encode()).decode())]
    ),
    "header": ExchangeBuilder().request({}).response(headers=[EVENTS, ("x-who", quote(SECRET))]).sse(STOP).completed(),
    "reason": ExchangeBuilder().request({}).response(400, quote(SECRET)).sse(STOP).completed(),
    "a page": page(502, f"<h1>bad {SECRET}</h1>".encode()),
    "a page with entities": page(502, b"<h1>bad Zo&euml; Smith-Waterman</h1>"),
    "other lines": ExchangeBuilder()
    .request({})
    .response()
    .chunks(f": {SECRET}\n\nerror: {SECRET}\n\n".encode())
    .completed(),
    "a broken event": ExchangeBuilder()
    .request({})
    .response()
    .chunks(f'data: {{"a": "{SECRET}\n\n'.encode())
    .completed(),
    "a failure": failing("request_failed", {"kind": "dns", "phase": "connect", "error": FAILURE}),
    "a name": asked({}, conversation="o", name=f"desk of {SECRET}"),
    "frames": ExchangeBuilder()
    .request({})
    .response(headers=[])
    .chunks(*(framed("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": piece}}) for piece in cut(SECRET)))
    .completed(),
}


@pytest.mark.parametrize("name", PLACES)
def test_a_text_is_left_out_wherever_it_stands(name: str) -> None:
    redacted(PLACES[name])


def test_the_recording_stays_and_the_rest_of_the_bytes_too() -> None:
    before = exchange(asked(user("hi"), *told(f"I am {SECRET}!")))
    body = before.exchange.body
    after = redacted(asked(user("hi"), *told(f"I am {SECRET}!")))
    assert before.exchange.body == body
    assert texts_of(after) == ["I am [redacted]!"]
    events, events_after = body.split(b"\n\n"), after.exchange.body.split(b"\n\n")
    assert len(events) == len(events_after)
    differing = [at for at, pair in enumerate(zip(events, events_after, strict=True)) if pair[0] != pair[1]]
    assert differing == [1, 2, 3, 4, 5]  # "I am" stands in the first
    assert [json.loads(event[6:])["choices"][0]["delta"]["content"] for event in events_after[:6]] == [
        *("I am", " [redacted]", "", "", ""),
        "!",
    ]
    assert after.exchange.request == before.exchange.request
    assert as_json(after)["findings"] == [{"kind": REDACTED, "detail": "rule 1 (text): 1", "count": 1}]
    assert after.exchange.response is not None
    assert after.exchange.response.redacted == ("export:body:",)


def test_chunks_and_their_times_stay_whatever_they_cut() -> None:
    body = f"data: {json.dumps(delta(content=SECRET), ensure_ascii=False)}\n\ndata: [DONE]\n\n".encode()
    builder = ExchangeBuilder().request({}).response().chunks(*(bytes([byte]) for byte in body)).completed()
    before, after = exchange(builder), redacted(builder)
    assert [chunk.mono_ns for chunk in after.exchange.chunks] == [chunk.mono_ns for chunk in before.exchange.chunks]
    ends = [chunk.end for chunk in after.exchange.chunks]
    assert ends == sorted(ends)
    assert [chunk.start for chunk in after.exchange.chunks] == [0, *ends[:-1]]
    assert ends[-1] == len(after.exchange.body)


@pytest.mark.parametrize("kept", [100, -3])
def test_a_coded_body_is_put_below_its_coding(kept: int) -> None:
    chunks, body = coded(b"".join(f"data: {json.dumps(value)}\n\n".encode() for value in told(f"I am {SECRET}!")))
    headers = [EVENTS, ("content-encoding", "gzip"), ("x-a", "b")]
    builder = ExchangeBuilder().request({}).response(headers=headers).chunks(*chunks[:kept]).completed()
    after = redacted(builder)
    assert after.exchange.response is not None
    assert after.exchange.response.headers == (EVENTS, ("x-a", "b"))
    assert after.exchange.body.startswith(body[:60])
    assert after.evidence.coding_cut == (kept < 0)
    origin = after.arrivals.of(after.answer.choices[0].message.parts[0].ranges)
    assert origin is not None
    assert (origin.first_chunk or 0) < (origin.last_chunk or 0)


def test_a_coded_body_without_a_secret_stays_coded() -> None:
    chunks, _ = coded(b'data: {"a": 1}\n\n')
    builder = ExchangeBuilder().request({}).response(headers=[EVENTS, ("content-encoding", "gzip")]).chunks(*chunks)
    before = exchange(builder.completed())
    assert ExportRedaction([f"text:{SECRET}"], rebuild).exchange(before) is before


def test_announced_lengths_are_those_of_what_is_exported() -> None:
    document = json.dumps({"x": SECRET}).encode()
    length = len(document)
    headers = [("content-type", "application/json"), ("content-length", str(length))]
    builder = ExchangeBuilder().request(user(SECRET), headers=headers)
    after = redacted(builder.response(headers=headers, framing="length", length=length).chunks(document).completed())
    response, request = after.exchange.response, after.exchange.request
    assert response is not None
    assert request is not None
    assert response.length == len(after.exchange.body)
    assert response.header("content-length") == str(len(after.exchange.body))
    assert dict(request.headers)["content-length"] == str(len(request.payload))
    assert request.redacted == ("export:body:",)


def test_every_prefix_of_a_stream_that_was_cut_is_redacted() -> None:
    values = [{"choices": [{"delta": {"content": piece}, "index": 0}]} for piece in cut(f"I am {SECRET}!")]
    body = b"".join(f"data: {json.dumps(value)}\n\n".encode() for value in values)
    for end in range(len(body)):
        builder = ExchangeBuilder().request({}).response().chunks(body[:end]).event("response_truncated", {})
        after = ExportRedaction([f"text:{SECRET}"], rebuild).exchange(exchange(builder))
        said = "".join(re.findall(r'"content": "((?:[^"\\]|\\u....)*)', after.exchange.body.decode()))
        assert SECRET not in json.loads(f'"{said}"')


def test_text_that_no_dialect_reads_is_redacted_over_events() -> None:
    pieces = [f"data: {piece}\n\n".encode() for piece in cut(f"I am {SECRET}!")]
    before = exchange(ExchangeBuilder().request({}).response().chunks(*pieces).completed())
    after = ExportRedaction([f"text:{SECRET}"], rebuild).exchange(before)
    assert after.exchange.body.replace(b"data: ", b"").replace(b"\n", b"") == b"I am [redacted]!"


def test_a_request_under_gzip_is_put_below_it() -> None:
    packed = gzip.compress(json.dumps(user(SECRET)).encode())
    before = exchange(asked(packed, headers=[("content-encoding", "gzip"), ("x-a", "b")]))
    after = ExportRedaction([f"text:{SECRET}"], rebuild).exchange(before).exchange.request
    assert after is not None
    assert after.headers == (("x-a", "b"),)
    assert after.json == user("[redacted]")


def test_what_is_in_no_frame_is_filled_with_zeros() -> None:
    whole = framed("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": SECRET}})
    builder = (
        ExchangeBuilder().request({}).response(headers=[]).chunks(whole + whole[:-9]).event("response_truncated", {})
    )
    before = exchange(builder)
    after = redacted(builder)
    assert after.evidence.unparsed_tail_bytes == before.evidence.unparsed_tail_bytes
    assert after.exchange.body.endswith(whole[:12] + bytes(len(whole) - 21))


def test_numbers_become_texts_and_a_call_stays_whole() -> None:
    number = "4111111111111111"
    builder = asked({"card": int(number), "messages": []}, *call(*cut(f'{{"card": {number}, "n": [1]}}', 5)))
    after = redacted(builder, "detect:card", secret=number)
    (tool,) = after.answer_messages[0].tool_calls
    assert (tool.complete, tool.arguments) == (True, {"card": "[redacted]", "n": [1]})
    assert after.exchange.request is not None
    assert after.exchange.request.json["card"] == "[redacted]"


def test_a_path_selects_places_and_what_stands_there_in_a_request_is_a_secret() -> None:
    payload = {**user(f"I am {MAIL}"), "user": {"email": MAIL, "age": 41, "ok": True, "none": None}}
    after = redacted(asked(payload, *told(f"Hello {MAIL}")), "json:$.user", secret=MAIL)
    assert after.exchange.request is not None
    assert after.exchange.request.json["user"] == {**dict.fromkeys(("email", "age", "ok"), "[redacted]"), "none": None}
    assert texts_of(after) == ["Hello [redacted]"]
    after = redacted(asked({}, *told(MAIL)), "json:$.choices[*].delta.content", secret=MAIL)
    assert texts_of(after) == ["[redacted]" * len(cut(MAIL))]


def test_what_a_rule_finds_once_is_left_out_everywhere() -> None:
    first = exchange(asked(user("my password: hunter-22"), *told("Thanks.")))
    second = replace(exchange(asked(user("again"), *told("You said hunter-22?"))))
    redaction = ExportRedaction([r"re:(?<=password: )\S+"], rebuild)
    for each in redaction.exchanges([second, first]):
        assert not holds(documents(each)["json"], "hunter-22")
    assert redaction.totals == {"rule 1 (re)": 2}


def test_what_was_found_in_an_iterator_is_left_out_of_what_follows() -> None:
    first, second = exchange(asked(user("password: hunter-22"))), exchange(asked(user("hunter-22")))
    found = list(ExportRedaction([r"re:(?<=password: )\S+"], rebuild).exchanges(iter([first, second])))
    assert not any(holds(documents(each)["json"], "hunter-22") for each in found)


def test_without_rules_everything_is_as_it_is() -> None:
    before = exchange(asked(user("hi")))
    assert list(ExportRedaction([], rebuild).exchanges([before])) == [before]


def test_several_rules_each_count_their_own() -> None:
    redaction = ExportRedaction(["detect:email", r"re:\b\d{4}-\d{4}\b", "text:nobody"], rebuild)
    after = redaction.exchange(exchange(asked(user(f"{MAIL} 1234-5678"), *told(f"To {MAIL}, about 1234-5678"))))
    assert texts_of(after) == ["To [redacted], about [redacted]"]
    assert list(redaction.totals.values()) == [2, 2, 0]
    assert [fact.detail for fact in after.anomalies] == ["rule 1 (detect:email): 2, rule 2 (re): 2"]


def test_a_conversation_is_redacted_too() -> None:
    redaction = ExportRedaction([f"text:{SECRET}"], rebuild)
    relations = {"a": Relation("continues", "b", (Anomaly("x", "y"),))}
    found = redaction.conversation(Conversation("c", f"desk of {SECRET}", ("a",)), relations)
    assert (found.name, found.relations) == ("desk of [redacted]", relations)
    assert redaction.conversation(Conversation("c"), {}).name is None


FORM = [("content-type", "application/x-www-form-urlencoded")]


@pytest.mark.parametrize(
    "written", ["Anna+Lee%20Smith", "Anna+Lee+Smith", "%41nna%20Lee%20Smith", "%2541nna%2520Lee+Smith"]
)
@pytest.mark.parametrize("rule", ["text:Anna Lee Smith", r"re:Anna\s+Lee\s+Smith"])
def test_a_form_in_an_answer_and_a_link_in_a_text_are_read(written: str, rule: str) -> None:
    body = cut_bytes(f"a=1&name={written}".encode())
    form = redacted(
        ExchangeBuilder().request({}).response(headers=FORM).chunks(*body).completed(), rule, secret="Anna Lee Smith"
    )
    assert form.exchange.body == b"a=1&name=[redacted]"
    link = redacted(asked(user("x"), *told(f"see https://a.test/?q={written}")), rule, secret="Anna Lee Smith")
    assert texts_of(link) == ["see https://a.test/?q=[redacted]"]


def test_a_text_that_begins_with_what_is_left_out_stays_a_text() -> None:
    """With the marker's bracket it would be taken for JSON, and the export refused."""
    after = redacted(page(502, f"{SECRET} is not here".encode(), "text/plain"))
    assert (after.answer.shape, after.exchange.body) == ("text", b"~redacted~ is not here")


def test_the_name_of_a_file_that_was_imported_is_looked_through() -> None:
    facts = {
        "file": f"{SECRET}.har",
        "format": "har",
        "missing": ["chunk_times"],
        "set_aside": [["response", "x", SECRET]],
    }
    builder = ExchangeBuilder().event("imported", facts).request(user("hi")).response().sse(STOP).completed()
    imported = redacted(builder).exchange.imported
    assert imported == {**facts, "file": "[redacted].har", "set_aside": [["response", "x", "[redacted]"]]}


def test_an_id_that_every_event_repeats_is_no_text_in_pieces() -> None:
    """Its end and the next one's beginning made a number that nobody had written."""
    values = [{**value, "id": "94-chat-12"} for value in told("the answer is here")]
    before = exchange(asked(user("hi"), *values))
    after = ExportRedaction([r"re:\d{4,}"], rebuild).exchange(before)
    assert after.exchange == before.exchange


def test_how_often_a_rule_found_something_is_nothing_that_it_could_find() -> None:
    after = ExportRedaction([r"re:41|\(re\): \d"], rebuild).exchange(exchange(asked(user("I am 41"))))
    assert [fact.detail for fact in after.anomalies] == ["rule 1 (re): 1"]


def test_a_number_that_is_a_delta_by_itself_becomes_a_text() -> None:
    after = ExportRedaction([r"re:\b\d{2}\b"], rebuild).exchange(
        exchange(asked(user("x"), *call('{"age": ', "32", "}")))
    )
    assert after.answer_messages[0].tool_calls[0].arguments == {"age": "[redacted]"}
