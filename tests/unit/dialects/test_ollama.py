"""Ollama, quirk by quirk."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from recorder.core.messages import Answer, MediaPart, OtherPart, ReasoningPart, TextPart
from recorder.core.rebuilt import Rebuilt
from recorder.dialects.base import Clues, choose
from recorder.dialects.ollama import DIALECT
from tests.building import URL as OPENAI
from tests.unit.dialects.answers import kinds, only, read_by, rebuilt_from
from tests.unit.dialects.wire import JSON, NDJSON, document, ndjson, sse

URL = "http://127.0.0.1:11434/api/chat"
GENERATE = "http://127.0.0.1:11434/api/generate"
WHEN = {"model": "m:1b", "created_at": "2026-01-02T03:04:05.678901Z"}
COUNTS = {"prompt_eval_count": 15, "eval_count": 50}
TIMES = {"total_duration": 313801125, "load_duration": 41717917, "eval_duration": 243926334}


def chat(content: str = "", **message: Any) -> dict[str, Any]:
    return {**WHEN, "message": {"role": "assistant", "content": content, **message}, "done": False}


def text(response: str, **fields: Any) -> dict[str, Any]:
    return {**WHEN, "response": response, "done": False, **fields}


def done(value: dict[str, Any], reason: str | None = "stop") -> dict[str, Any]:
    told = {} if reason is None else {"done_reason": reason}
    return {**value, "done": True, **told, **COUNTS, **TIMES}


CALLS = [{"function": {"name": "buy", "arguments": {"lots": 10}}}]
#: Whole answers for the contract suite.
STREAMS = [
    (NDJSON, ndjson(chat("Kurs"), chat(" €"), done(chat()))),
    (NDJSON, ndjson(chat(thinking="h"), chat(thinking="m"), chat("ok"), done(chat(), None))),
    (NDJSON, ndjson(chat(tool_calls=CALLS), chat(tool_calls=CALLS), done(chat()))),
    (NDJSON, ndjson(text("", thinking="hm"), text("O"), done(text("k")) | {"context": [1, 2]})),
    (JSON, document(done(chat("Hi", thinking="hm", tool_calls=CALLS)))),
    (JSON, json.dumps(done(text("Hi"))).encode()),
]


def read(body: bytes, url: str = URL) -> Answer:
    clues = Clues(url, "", body)
    assert choose(clues).name == "ollama"
    return read_by(DIALECT, clues)


def rebuilt(body: bytes, kind: str = NDJSON, url: str = URL) -> Rebuilt:
    return rebuilt_from(body, kind, url)


def test_a_chat_with_counts_and_durations() -> None:
    answer = read(ndjson(chat("Hel"), chat("lo"), done(chat())))
    choice = only(answer)
    assert (choice.message.role, choice.message.parts) == ("assistant", (TextPart("Hello"),))
    assert (choice.finish_reasons, choice.finish, choice.index) == (("stop",), "stop", 0)
    assert (answer.models, answer.sentinel_seen, answer.whole, answer.events) == (("m:1b",), True, None, 3)
    assert (answer.usage_reports, answer.extras) == ((COUNTS,), {"created_at": WHEN["created_at"], **TIMES})
    assert answer.tokens is not None
    assert (answer.tokens.input, answer.tokens.output, answer.tokens.total) == (15, 50, None)
    assert answer.anomalies == ()


def test_generate_has_no_role() -> None:
    answer = read(ndjson(text("", thinking="hm"), text("a"), done(text("b")) | {"context": [1]}), GENERATE)
    assert (only(answer).message.role, only(answer).message.parts) == (None, (ReasoningPart("hm"), TextPart("ab")))
    assert answer.extras["context"] == [1]


def test_thinking_before_and_amid_the_text() -> None:
    answer = read(
        ndjson(chat("", thinking="a"), chat("", thinking="b"), chat("c"), chat(thinking="d"), done(chat("e")))
    )
    assert only(answer).message.parts == (ReasoningPart("ab"), TextPart("c"), ReasoningPart("d"), TextPart("e"))


def test_each_part_knows_its_lines() -> None:
    lines = [ndjson(chat(thinking="a")), ndjson(chat("b")), ndjson(done(chat("c")))]
    parts = only(read(b"".join(lines))).message.parts
    first = len(lines[0])
    assert [part.ranges for part in parts] == [((0, first),), ((first, sum(map(len, lines))),)]


def test_calls_are_whole_and_each_is_one() -> None:
    numbered = [{"id": "call_1", "function": {"index": 1, "name": "sell", "arguments": {}, "x": 1}, "y": 2}]
    answer = read(ndjson(chat(tool_calls=CALLS), chat(tool_calls=numbered), done(chat())))
    first, second = only(answer).message.tool_calls
    assert (first.name, first.id, first.index, first.arguments, first.complete) == (
        "buy",
        None,
        None,
        {"lots": 10},
        True,
    )
    assert (first.arguments_text, first.extras) == ('{"lots": 10}', {})
    assert (second.name, second.id, second.index, second.arguments) == ("sell", "call_1", 1, {})
    assert (second.complete, second.extras) == (True, {"x": 1, "y": 2})


def test_a_call_without_the_end_or_at_the_limit_is_not_complete() -> None:
    for body in (ndjson(chat(tool_calls=CALLS)), ndjson(chat(tool_calls=CALLS), done(chat(), "length"))):
        (call,) = only(read(body)).message.tool_calls
        assert (call.complete, call.arguments_text) == (False, '{"lots": 10}')


def test_odd_calls_are_kept() -> None:
    text = [{"function": {"name": "f", "arguments": '{"a":1}'}}]
    (call,) = only(read(ndjson(done(chat(tool_calls=text))))).message.tool_calls
    assert (call.arguments, call.complete) == ({"a": 1}, True)
    parts = only(read(ndjson(done(chat(tool_calls=[7, {"function": 1}]))))).message.parts
    assert parts == (OtherPart("tool_calls", 7), OtherPart("tool_calls", {"function": 1}))
    (none,) = only(read(ndjson(done(chat(tool_calls=[{"function": {"name": "f"}}]))))).message.tool_calls
    assert not none.complete


@pytest.mark.parametrize(
    ("reason", "finish"),
    [("stop", "stop"), ("length", "length"), ("load", "other"), ("unload", "other"), (None, None)],
)
def test_reasons(reason: str | None, finish: str | None) -> None:
    found = rebuilt(ndjson(done(chat("a"), reason)))
    assert (only(found.answer).finish_reason, only(found.answer).finish, found.verdict) == (reason, finish, "complete")


def test_loading_a_model_is_a_whole_answer_that_says_nothing() -> None:
    found = rebuilt(
        document({**WHEN, "message": {"role": "assistant", "content": ""}, "done_reason": "load", "done": True})
    )
    assert (found.verdict, only(found.answer).message.parts) == ("complete", ())


def test_without_done_nothing_is_complete() -> None:
    for body in (ndjson(chat("a"), chat("b")), ndjson(chat("a")), document(chat("a")), ndjson(text("a"))):
        found = rebuilt(body)
        assert (found.verdict, found.answer.whole, found.answer.sentinel_seen) == ("truncated", None, False)


def test_a_cut_line_is_the_tail() -> None:
    body = ndjson(chat("a"), done(chat("b")))[:-3]
    found = rebuilt(body)
    assert (found.verdict, only(found.answer).message.text) == ("truncated", "a")
    assert (found.answer.unparsed_tail_bytes, kinds(found.answer)) == (
        len(body) - len(ndjson(chat("a"))),
        ["unparsed_tail"],
    )
    first = rebuilt(ndjson(chat("a" * 50))[:-20])
    assert (first.answer.dialect, first.answer.whole, first.verdict) == ("ollama", False, "truncated")
    assert choose(Clues("", "", ndjson(chat("a" * 50))[:-20])).name == "ollama"


@pytest.mark.parametrize("body", [ndjson(chat("a"), {"error": "boom"}), ndjson({"error": "boom"})])
def test_an_error_line_under_status_200(body: bytes) -> None:
    found = rebuilt(body)
    assert (found.answer.dialect, found.answer.errors, found.verdict) == ("ollama", ("boom",), "errored")
    assert kinds(found.answer) == []


def test_objects_after_the_end_and_objects_without_a_message() -> None:
    answer = read(ndjson(chat("a"), {**WHEN, "done": False}, done(chat()), chat("b"), 7))
    assert (only(answer).message.text, kinds(answer)) == ("a", ["no_choices", "after_end_marker", "not_an_object"])


def test_another_answer_after_the_end_is_not_joined_to_the_first() -> None:
    again = {**done(chat("SELL", tool_calls=CALLS), "length"), "model": "n", "eval_count": 9}
    found = rebuilt(ndjson(chat("BU"), done(chat("Y")), again, {"error": "late"}))
    answer = found.answer
    assert (only(answer).message.parts, only(answer).finish_reasons) == ((TextPart("BUY"),), ("stop",))
    assert (answer.models, answer.usage_reports, answer.errors) == (("m:1b",), (COUNTS,), ("late",))
    assert (kinds(answer), rebuilt(ndjson(done(chat("BUY")), again)).verdict) == (["after_end_marker"], "complete")


def test_logprobs_images_and_fields_of_the_message() -> None:
    probable = {"token": "a", "logprob": -0.5}
    values = [
        chat("a") | {"logprobs": [probable]},
        done(chat("b", images=["AAAA", 5], mood="x")) | {"logprobs": [probable]},
    ]
    choice = only(read(ndjson(*values)))
    assert choice.logprobs == {"logprobs": [probable, probable]}
    digest = hashlib.sha256(b"\0\0\0").hexdigest()
    picture = MediaPart("image", size=3, sha256=digest)
    assert choice.message.parts == (TextPart("ab"), picture, OtherPart("images", 5))
    assert choice.message.extras == {"mood": ["x"]}
    made = only(read(document({**WHEN, "image": "AAAA", "done": True}), GENERATE))
    assert made.message.parts == (picture,)


def test_values_of_another_kind() -> None:
    odd = {**WHEN, "message": {"role": 5, "content": [1], "thinking": {}}, "done": False}
    answer = read(ndjson(odd, {**WHEN, "message": 5, "response": "", "done": True}))
    assert only(answer).message.parts == (OtherPart("thinking", {}), OtherPart("content", [1]))
    assert kinds(answer) == ["message_malformed"]


def test_a_gateway_may_send_events() -> None:
    found = rebuilt(sse(chat("a"), done(chat("b"))), "text/event-stream")
    assert (found.answer.dialect, found.verdict, only(found.answer).message.text) == ("ollama", "complete", "ab")


@pytest.mark.parametrize(
    ("url", "body", "claim"),
    [
        ("", ndjson(chat("a"), chat("b")), 1.0),
        (OPENAI, document(done(text("a"))), 1.0),
        ("", document({"model": "m", "message": {}, "done": False}), 0.9),
        (URL, b"", 0.5),
        (GENERATE, b'{"error":"model not found"}', 0.5),
        ("", b'{"error":"model not found"}', 0.0),
        (URL, b'{"status":"success"}', 0.0),
        (URL, b"404 page not found", 0.0),
        ("", ndjson({"status": "pulling manifest"}, {"status": "success"}), 0.0),
        ("", document({"model": "m", "created_at": 5, "response": "x"}), 0.0),
        ("", document({"model": "m", "embeddings": [[0.1]], "done": True}), 0.0),
    ],
)
def test_claims(url: str, body: bytes, claim: float) -> None:
    assert DIALECT.claims(Clues(url, "", body)) == claim


def test_reads_a_chat() -> None:
    payload = {
        "model": "m",
        "messages": [
            {"role": "system", "content": "s"},
            {"role": "user", "content": "look", "images": ["AAAA"]},
            {"role": "assistant", "content": "", "thinking": "hm", "tool_calls": CALLS},
            {"role": "tool", "content": "ok", "tool_name": "buy", "tool_call_id": "c"},
        ],
    }
    reading = DIALECT.read_request(URL, payload)
    assert reading is not None
    assert (reading.dialect, reading.model, reading.choices) == ("ollama", "m", None)
    system, user, assistant, tool = reading.messages
    assert (system.role, system.text, user.text, user.parts[1].ranges) == ("system", "s", "look", ((0, 0),))
    assert assistant.parts[0] == ReasoningPart("hm")
    assert assistant.tool_calls[0].complete
    assert (tool.role, tool.name, tool.tool_call_id, tool.text, tool.extras) == ("tool", "buy", "c", "ok", {})


def test_reads_a_prompt() -> None:
    reading = DIALECT.read_request(GENERATE, {"model": "m", "system": "s", "prompt": "p", "images": ["AAAA"]})
    assert reading is not None
    assert [(message.role, message.text) for message in reading.messages] == [("system", "s"), (None, "p")]
    assert isinstance(reading.messages[1].parts[1], MediaPart)
    assert DIALECT.read_request(GENERATE, {"prompt": ""}) is not None


def test_a_request_at_another_address_is_known_by_ollamas_fields() -> None:
    asked = {"messages": [{"role": "user", "content": "x"}]}
    assert DIALECT.read_request("https://gateway.example/x", asked) is None
    assert DIALECT.read_request("https://gateway.example/x", {**asked, "keep_alive": "5m"}) is not None
    assert DIALECT.read_request("https://gateway.example/x", {**asked, "options": {"num_ctx": 1}}) is not None
    assert DIALECT.read_request("https://gateway.example/x", {**asked, "options": {"x": 1}}) is None


@pytest.mark.parametrize("payload", [None, [], {}, {"model": "m"}])
def test_other_requests_are_not_read(payload: Any) -> None:
    assert DIALECT.read_request(URL, payload) is None
