"""The Bedrock Converse dialect, quirk by quirk."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.core.exchange import fold
from recorder.core.messages import (
    Answer,
    CitationPart,
    MediaPart,
    OtherPart,
    ReasoningPart,
    TextPart,
    TokenCounts,
    ToolCallPart,
    ToolResultPart,
)
from recorder.core.rebuilt import Rebuilt
from recorder.dialects.base import Clues, choose, read_request
from recorder.dialects.bedrock_converse import DIALECT
from recorder.dialects.bedrock_invoke import DIALECT as INVOKE
from recorder.dialects.rebuild import rebuild
from tests.building import ExchangeBuilder
from tests.unit.dialects.wire import EVENTSTREAM, JSON, SSE, document, excepted, frame, framed, sse

HOST = "https://bedrock-runtime.region.example"
URL = f"{HOST}/model/vendor.model-v1%3A0/converse-stream"
USAGE = {"inputTokens": 5, "outputTokens": 7, "totalTokens": 12, "cacheReadInputTokens": 3}

STARTED = framed("messageStart", {"role": "assistant", "p": "abc"})
METADATA = framed("metadata", {"metrics": {"latencyMs": 5}, "usage": USAGE, "p": "abcdef"})


def opened(index: Any, **start: Any) -> bytes:
    return framed("contentBlockStart", {"contentBlockIndex": index, "start": start, "p": "a"})


def piece(index: Any, **delta: Any) -> bytes:
    return framed("contentBlockDelta", {"contentBlockIndex": index, "delta": delta, "p": "abcd"})


def stopped(index: Any) -> bytes:
    return framed("contentBlockStop", {"contentBlockIndex": index, "p": "ab"})


def ended(reason: Any = "end_turn", **fields: Any) -> bytes:
    return framed("messageStop", {"stopReason": reason, "p": "abc", **fields}) + METADATA


def called(index: int = 0, **fields: Any) -> bytes:
    return opened(index, toolUse={"toolUseId": "t1", "name": "buy", **fields})


DOCUMENT = {
    "output": {
        "message": {
            "role": "assistant",
            "content": [
                {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "s"}}},
                {"text": "Hi"},
                {"toolUse": {"toolUseId": "t1", "name": "buy", "input": {"lots": 1}}},
            ],
        }
    },
    "stopReason": "tool_use",
    "usage": USAGE,
    "metrics": {"latencyMs": 5},
}

#: Whole answers for the contract suite.
STREAMS = [
    (EVENTSTREAM, STARTED + piece(0, text="Kurs ") + piece(0, text="€") + stopped(0) + ended()),
    (
        EVENTSTREAM,
        STARTED
        + piece(0, reasoningContent={"text": "hm"})
        + piece(0, reasoningContent={"signature": "s"})
        + stopped(0)
        + called(1)
        + piece(1, toolUse={"input": ""})
        + piece(1, toolUse={"input": '{"lots":1'})
        + piece(1, toolUse={"input": "0}"})
        + stopped(1)
        + ended("tool_use"),
    ),
    (JSON, document(DOCUMENT)),
]


def read(body: bytes, kind: str = EVENTSTREAM) -> Answer:
    reader = DIALECT.reader(Clues(URL, kind, body))
    reader.feed(body)
    return reader.close()


def rebuilt(body: bytes, kind: str = EVENTSTREAM, url: str = URL) -> Rebuilt:
    built = ExchangeBuilder().request({}, url=url).response(headers=[("content-type", kind)])
    exchange = fold(built.chunks(body).completed().events)
    assert exchange is not None
    return rebuild(exchange)


def parts(*frames: bytes) -> tuple[Any, ...]:
    return read(b"".join(frames)).choices[0].message.parts


def kinds(answer: Answer) -> list[str]:
    return [fact.kind for fact in answer.anomalies]


def test_text_and_metadata_after_the_stop_reason() -> None:
    answer = read(STARTED + piece(0, text="Hel") + piece(0, text="lo") + stopped(0) + ended())
    (choice,) = answer.choices
    assert (choice.message.role, choice.message.parts) == ("assistant", (TextPart("Hello"),))
    assert (choice.finish_reasons, choice.finish, choice.extras) == (("end_turn",), "stop", {})
    assert (answer.sentinel_seen, answer.usage_reports, answer.events) == (True, (USAGE,), 6)
    assert answer.tokens == TokenCounts(input=5, output=7, total=12, cached=3)
    assert (answer.extras, answer.anomalies) == ({"metrics": {"latencyMs": 5}}, ())


def test_it_is_complete_with_its_stop_reason_and_truncated_without() -> None:
    whole = STARTED + piece(0, text="a") + stopped(0) + ended()
    assert rebuilt(whole).verdict == "complete"
    assert rebuilt(whole[: -len(METADATA)]).verdict == "complete"
    assert rebuilt(STARTED + piece(0, text="a") + stopped(0)).verdict == "truncated"


@pytest.mark.parametrize(
    ("reason", "finish", "verdict"),
    [
        ("end_turn", "stop", "complete"),
        ("stop_sequence", "stop", "complete"),
        ("tool_use", "tool_calls", "complete"),
        ("max_tokens", "length", "complete"),
        ("model_context_window_exceeded", "length", "complete"),
        ("guardrail_intervened", "content_filter", "complete"),
        ("content_filtered", "content_filter", "complete"),
        ("malformed_model_output", "error", "errored"),
        ("malformed_tool_use", "error", "errored"),
        ("something_new", "other", "complete"),
        (7, "other", "complete"),
    ],
)
def test_stop_reasons(reason: Any, finish: str, verdict: str) -> None:
    found = rebuilt(STARTED + ended(reason))
    assert (found.answer.choices[0].finish, found.verdict) == (finish, verdict)
    assert found.answer.choices[0].finish_reason == str(reason)


def test_a_call_in_fragments() -> None:
    call = called(0, type="tool_use") + piece(0, toolUse={"input": '{"q": 2.'}) + piece(0, toolUse={"input": "50}"})
    assert parts(STARTED, call, stopped(0), ended("tool_use")) == (
        ToolCallPart('{"q": 2.50}', "t1", "buy", True, {"q": 2.5}, 0),
    )


def test_a_call_without_arguments_has_none() -> None:
    assert parts(STARTED, called(), piece(0, toolUse={"input": ""}), stopped(0), ended("tool_use")) == (
        ToolCallPart("", "t1", "buy", True, {}, 0),
    )


@pytest.mark.parametrize("sent", ["", '{"q": 1', '{"q": 1}'])
@pytest.mark.parametrize("reason", ["max_tokens", "content_filtered", "guardrail_intervened", "malformed_tool_use"])
def test_a_call_that_was_cut_is_never_complete(sent: str, reason: str) -> None:
    begun = STARTED + called() + piece(0, toolUse={"input": sent})
    for body in (begun, begun + ended(reason), begun + stopped(0) + ended(reason)):
        (call,) = parts(body)
        assert (call.complete, call.arguments_text) == (False, sent)


def test_a_tool_that_the_provider_runs() -> None:
    result = {"toolUseId": "t1", "type": "interpreter_result", "status": "success"}
    output = [{"json": {"stdOut": "7"}}, {"text": "seven"}]
    answer = read(
        STARTED
        + called(0, type="server_tool_use")
        + piece(0, toolUse={"input": "{}"})
        + stopped(0)
        + opened(1, toolResult=result)
        + piece(1, toolResult=output[:1])
        + piece(1, toolResult=output[1:])
        + stopped(1)
        + ended()
    )
    call, found = answer.choices[0].message.parts
    assert call == ToolCallPart("{}", "t1", "buy", True, {}, 0, extras={"type": "server_tool_use"})
    assert found == ToolResultPart("t1", None, "seven", False, {**result, "content": output})
    assert len(found.ranges) == 1
    failed = opened(0, toolResult={"toolUseId": "t1", "status": "error"})
    assert parts(STARTED, failed, piece(0, toolResult=[{"text": "no"}])) == (ToolResultPart("t1", None, "no", True),)


def test_reasoning_its_signature_and_what_only_the_provider_reads() -> None:
    sealed = [base64.b64encode(part).decode() for part in (b"a", b"bc", b"abc")]
    assert parts(
        STARTED,
        piece(0, reasoningContent={"text": "so "}),
        piece(0, reasoningContent={"text": "so"}),
        piece(0, reasoningContent={"signature": "s"}),
        stopped(0),
        piece(1, reasoningContent={"redactedContent": sealed[0]}),
        piece(1, reasoningContent={"redactedContent": sealed[1]}),
        piece(1, reasoningContent={"mood": 1}),
    ) == (ReasoningPart("so so", signature="s"), ReasoningPart("", encrypted=sealed[2], details=({"mood": 1},)))


def test_citations_come_before_the_text_and_are_kept_after_it() -> None:
    near = {"title": "policy", "sourceContent": [{"text": "20 days"}], "location": {"documentChar": {"start": 0}}}
    far = {"location": {"web": {"url": "https://a.example", "domain": "a.example"}}}
    assert parts(STARTED, piece(0, citation=near), piece(0, citation=far), piece(0, text="20"), stopped(0)) == (
        TextPart("20"),
        CitationPart(near, "20 days", None, "policy"),
        CitationPart(far, None, "https://a.example"),
    )


def test_images_come_in_pieces() -> None:
    def source(data: bytes) -> dict[str, Any]:
        return {"source": {"bytes": base64.b64encode(data).decode()}}

    (image, failed, stored) = parts(
        STARTED,
        opened(0, image={"format": "png"}),
        piece(0, image=source(b"ab")),
        piece(0, image=source(b"c")),
        opened(1, image={"format": "png"}),
        piece(1, image={"error": {"message": "no"}}),
        opened(2, image={"format": "webp"}),
        piece(2, image={"source": {"s3Location": {"uri": "s3://b/k"}}}),
    )
    assert isinstance(image, MediaPart)
    assert (image.kind, image.media_type, image.size, image.extras) == ("image", "image/png", 3, {})
    assert failed.extras == {"format": "png", "error": {"message": "no"}}
    assert (stored.url, stored.media_type) == ("s3://b/k", "image/webp")


def test_a_block_for_each_piece_of_text() -> None:
    body = b"".join(piece(index, text=text) + stopped(index) for index, text in enumerate("abc"))
    answer = read(STARTED + body + ended())
    assert answer.choices[0].message.text == "abc"
    assert answer.anomalies == ()


def test_blocks_interleave_and_tools_owe_a_start() -> None:
    answer = read(
        STARTED + piece(4, text="b") + piece(1, text="a") + piece(4, text="b") + piece(5, toolUse={"input": "{}"})
    )
    assert answer.choices[0].message.parts == (TextPart("a"), TextPart("bb"), ToolCallPart("{}", index=5))
    assert kinds(answer) == ["block_not_started"]


def test_an_exception_frame_is_an_error_under_status_200() -> None:
    body = STARTED + piece(0, text="a") + excepted("throttlingException", "Too many")
    found = rebuilt(body)
    error = {":exception-type": "throttlingException", "message": "Too many"}
    assert (found.verdict, found.answer.errors, found.answer.choices[0].message.text) == ("errored", (error,), "a")
    alone = rebuilt(excepted("modelStreamErrorException", "no"), "")
    assert (alone.answer.dialect, alone.verdict) == ("bedrock_converse", "errored")
    told = {":message-type": "error", ":error-code": "500", ":error-message": "lost"}
    unmodeled = rebuilt(STARTED + frame(b"", told) + frame(b"<html>", told))
    assert unmodeled.answer.errors == (
        {":error-code": "500", ":error-message": "lost"},
        {":error-code": "500", ":error-message": "lost", "payload": "<html>"},
    )


@pytest.mark.parametrize("byte", [5, 30, -20])
def test_a_damaged_frame_leaves_the_answer_unfinished(byte: int) -> None:
    whole = [STARTED, called(), piece(0, toolUse={"input": '{"q":1'}), piece(0, toolUse={"input": "0"})]
    damaged = bytearray(whole[3])
    damaged[byte] ^= 1
    found = rebuilt(b"".join([*whole[:3], damaged, piece(0, toolUse={"input": "}"}), stopped(0), ended("tool_use")]))
    assert found.verdict == "unknown"
    assert kinds(found.answer) == ["frame_damaged"]
    (call,) = found.answer.choices[0].message.tool_calls
    assert (call.arguments_text, call.complete, call.arguments) == ('{"q":1}', False, None)


def test_a_damaged_first_frame_too() -> None:
    damaged = bytearray(STARTED)
    damaged[0] ^= 0x40
    body = bytes(damaged) + piece(0, text="a") + stopped(0) + ended()
    for kind, url, shape in ((EVENTSTREAM, "http://gateway.example/", "eventstream"), ("", URL, "binary")):
        found = rebuilt(body, kind, url)
        assert (found.answer.dialect, found.verdict, found.answer.shape) == ("bedrock_converse", "unknown", shape)
        assert found.answer.choices[0].message.text == "a"


def test_a_cut_frame_is_the_tail() -> None:
    answer = read(STARTED + piece(0, text="a")[:-1])
    assert (kinds(answer), answer.unparsed_tail_bytes) == (["unparsed_tail"], len(piece(0, text="a")) - 1)


def test_a_payload_that_is_no_json_is_a_fact() -> None:
    told = {":event-type": "contentBlockDelta", ":message-type": "event"}
    assert kinds(read(STARTED + frame(b"{no", told) + frame(b"7", told))) == ["data_unparsed", "not_an_object"]


def test_a_document() -> None:
    answer = read(document(DOCUMENT), JSON)
    (choice,) = answer.choices
    assert choice.message.parts == (
        ReasoningPart("hm", signature="s"),
        TextPart("Hi"),
        ToolCallPart('{"lots":1}', "t1", "buy", True, {"lots": 1}),
    )
    assert (choice.message.role, choice.finish, answer.usage) == ("assistant", "tool_calls", USAGE)
    assert answer.extras == {"metrics": {"latencyMs": 5}}
    cut = read(document(DOCUMENT | {"stopReason": "max_tokens"}), JSON)
    assert not cut.choices[0].message.tool_calls[0].complete


def test_blocks_of_a_document_that_have_no_form_of_their_own() -> None:
    cited = {"content": [{"text": "20"}, {"text": " days"}], "citations": [{"title": "policy"}]}
    content = [{"citationsContent": cited}, {"guardContent": {"text": {"text": "x"}}}, {"cachePoint": {}}, 7]
    message = {"output": {"message": {"role": "assistant", "content": content}, "x": 1}, "stopReason": "end_turn"}
    answer = read(document(message), JSON)
    assert answer.choices[0].message.parts == (
        TextPart("20 days"),
        CitationPart({"title": "policy"}, title="policy"),
        OtherPart("guardContent", content[1]),
        OtherPart("cachePoint", content[2]),
        OtherPart("content", 7),
    )
    assert answer.extras == {"x": 1}


@pytest.mark.parametrize("value", [{"message": "no"}, {"Message": "no"}, {"__type": "ThrottlingException"}])
def test_error_documents_under_its_url(value: dict[str, Any]) -> None:
    found = rebuilt(document(value), JSON)
    assert (found.answer.dialect, found.answer.errors, found.verdict) == ("bedrock_converse", (value,), "errored")


def test_server_sent_events_with_the_same_values() -> None:
    body = sse(
        {"messageStart": {"role": "assistant"}},
        {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": "Hi"}}},
        {"contentBlockStop": {"contentBlockIndex": 0}},
        {"messageStop": {"stopReason": "end_turn"}},
        {"metadata": {"usage": USAGE}, "note": 1},
    )
    found = rebuilt(body, SSE, "https://gateway.example/x")
    assert (found.answer.dialect, found.verdict) == ("bedrock_converse", "complete")
    assert (found.answer.choices[0].message.text, found.answer.usage) == ("Hi", USAGE)
    assert found.answer.extras == {"note": 1}
    error = {"throttlingException": {"message": "no"}}
    assert rebuilt(sse({"messageStart": {"role": "assistant"}}, error), SSE).answer.errors == (error,)


def test_unknown_events_starts_deltas_and_fields_are_kept() -> None:
    answer = read(
        framed("initial-response", {})
        + framed("messageStart", {"role": "assistant", "mood": 1})
        + framed("newEvent", {"a": 1})
        + opened(0, newStart={"b": 1})
        + piece(0, newDelta={"c": 1})
        + piece(0, text=7)
        + ended(additionalModelResponseFields={"d": 1})
    )
    assert answer.choices[0].message.extras == {"newStart": [{"b": 1}], "newDelta": [{"c": 1}], "text": [7]}
    assert answer.extras == {
        "mood": 1,
        "newEvent": {"a": 1},
        "additionalModelResponseFields": {"d": 1},
        "metrics": {"latencyMs": 5},
    }
    assert kinds(answer) == ["unknown_event", "unknown_start", "unknown_delta"]


def test_what_is_out_of_order_is_a_fact() -> None:
    answer = read(
        STARTED
        + framed("messageStart", {"role": "user"})
        + framed("contentBlockStart", {"contentBlockIndex": 0, "start": 1})
        + framed("contentBlockDelta", {"contentBlockIndex": 0, "delta": 1})
        + ended()
        + ended("max_tokens")
        + piece(0, text="late")
    )
    assert answer.choices[0].finish_reasons == ("end_turn", "max_tokens")
    assert kinds(answer) == [
        "role_changed",
        "start_malformed",
        "delta_malformed",
        "after_end_marker",
        "finish_reason_changed",
    ]


@pytest.mark.parametrize(
    ("body", "claimed"),
    [
        (STREAMS[0][1][:40], True),
        (document(DOCUMENT)[:120], True),
        (b"", True),
        (document({"object": "chat.completion", "choices": []}), False),
        (document({"output": {"choices": []}}), False),
        (framed("chunk", {"bytes": base64.b64encode(b'{"generation": "a", "stop_reason": null}').decode()}), False),
        (b"<html>no</html>", False),
    ],
)
def test_what_it_claims_under_its_url(body: bytes, claimed: bool) -> None:
    assert (choose(Clues(URL, "", body)).name == "bedrock_converse") is claimed


def test_what_it_claims_by_the_bytes_alone() -> None:
    for kind, body in STREAMS:
        for told in (kind, "", "text/plain"):
            assert DIALECT.claims(Clues("", told, body)) >= 0.9
    assert DIALECT.claims(Clues("", "", document({"metadata": {"usage": {}}}))) == 0.0
    assert DIALECT.claims(Clues("", "", framed("records", {}))) == 0.0
    large = framed("messageStart", {"role": "assistant", "p": "x" * 70_000})
    assert DIALECT.claims(Clues("", "", large)) == 1.0


def test_a_request() -> None:
    paper = {"format": "txt", "name": "policy", "source": {"text": "words"}}
    payload = {
        "system": [{"text": "Be kind."}],
        "inferenceConfig": {},
        "messages": [
            {"role": "user", "content": [{"text": "Hi"}, {"document": paper}]},
            {"role": "assistant", "content": [{"toolUse": {"toolUseId": "t", "name": "buy", "input": {}}}]},
            {
                "role": "user",
                "content": [
                    {"toolResult": {"toolUseId": "t", "content": [{"text": "done"}], "status": "success"}},
                    {"toolResult": {"toolUseId": "t", "content": [{"json": {"a": 1}}]}},
                    {"image": {"format": "png", "source": {"bytes": "AAAA"}}},
                    {"document": {"format": "pdf", "name": "p", "source": {"bytes": "AAAA"}}},
                ],
            },
        ],
    }
    for url, model in ((URL, "vendor.model-v1:0"), ("https://gateway.example/x", None)):
        reading = read_request(url, payload)
        assert reading is not None
        assert (reading.dialect, reading.model) == ("bedrock_converse", model)
        system, first, second, third = reading.messages
        assert (system.role, system.text) == ("system", "Be kind.")
        assert first.parts == (TextPart("Hi"), OtherPart("document", {"document": paper}))
        assert second.parts == (ToolCallPart("{}", "t", "buy", True, {}),)
        assert third.parts[:2] == (
            ToolResultPart("t", None, "done", False),
            ToolResultPart("t", value={"toolUseId": "t", "content": [{"json": {"a": 1}}]}),
        )
        image, file = third.parts[2:]
        assert isinstance(image, MediaPart)
        assert isinstance(file, MediaPart)
        assert (image.media_type, image.size) == ("image/png", 3)
        assert (file.kind, file.extras) == ("file", {"name": "p", "format": "pdf"})


def test_requests_that_are_not_its_own() -> None:
    for payload in (
        {"messages": [{"role": "user", "content": "x"}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]},
        {"messages": []},
        {"messages": 1},
        [],
    ):
        assert DIALECT.read_request("https://a.example/v1/messages", payload) is None


ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "contentBlockIndex",
                    "start",
                    "delta",
                    "toolUse",
                    "toolResult",
                    "reasoningContent",
                    "citation",
                    "image",
                    "text",
                    "input",
                    "content",
                    "source",
                    "bytes",
                    "usage",
                    "stopReason",
                    "role",
                    "toolUseId",
                    "name",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)
NAMES = [
    "messageStart",
    "contentBlockStart",
    "contentBlockDelta",
    "contentBlockStop",
    "messageStop",
    "metadata",
    "chunk",
]


@given(st.lists(st.tuples(st.sampled_from(NAMES), ANY), max_size=8))
def test_nothing_raises_whatever_the_frames_hold(events: list[tuple[str, Any]]) -> None:
    body = b"".join(framed(name, value) for name, value in events)
    inside = [{"bytes": base64.b64encode(document({name: value})).decode()} for name, value in events]
    for frames in (body, b"".join(framed("chunk", value) for value in inside)):
        for dialect in (DIALECT, INVOKE):
            clues = Clues(URL, EVENTSTREAM, frames)
            assert 0.0 <= dialect.claims(clues) <= 1.0
            reader = dialect.reader(clues)
            reader.feed(frames)
            for choice in reader.close().choices:
                assert all(part.ranges for part in choice.message.parts)
        rebuilt(frames)
