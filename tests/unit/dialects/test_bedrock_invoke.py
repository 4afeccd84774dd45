"""The Bedrock InvokeModel dialect: frames that hold other dialects, and models that have none."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from recorder.core.messages import Answer, OtherPart, ReasoningPart, TextPart, TokenCounts, ToolCallPart
from recorder.core.rebuilt import Rebuilt
from recorder.dialects.base import Clues, choose, read_request
from recorder.dialects.bedrock_invoke import DIALECT
from tests.building import delta
from tests.unit.dialects.answers import kinds, read_by, rebuilt_from
from tests.unit.dialects.wire import EVENTSTREAM, JSON, document, excepted, framed, sse

HOST = "https://bedrock-runtime.region.example"
URL = f"{HOST}/model/vendor.model-v1%3A0/invoke-with-response-stream"
METRICS = {"inputTokenCount": 8, "outputTokenCount": 9, "invocationLatency": 5, "firstByteLatency": 1}
LAST = {"amazon-bedrock-invocationMetrics": METRICS}


def chunk(value: Any, **fields: Any) -> bytes:
    raw = value if isinstance(value, bytes) else json.dumps(value, ensure_ascii=False).encode()
    return framed("chunk", {"bytes": base64.b64encode(raw).decode(), "p": "abc", **fields})


CLAUDE = [
    {"type": "message_start", "message": {"id": "msg_1", "role": "assistant", "model": "m", "content": []}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "hm"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "id": "t", "name": "buy"}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": '{"lots":1'}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": "0}"}},
    {"type": "content_block_stop", "index": 1},
    {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 7}},
    {"type": "message_stop", **LAST},
]
NOVA = [
    {"messageStart": {"role": "assistant"}},
    {"contentBlockDelta": {"delta": {"text": "Kurs "}, "contentBlockIndex": 0}},
    {"contentBlockStop": {"contentBlockIndex": 0}},
    {"contentBlockDelta": {"delta": {"text": "€"}, "contentBlockIndex": 1}},
    {"contentBlockStop": {"contentBlockIndex": 1}},
    {"messageStop": {"stopReason": "end_turn"}},
    {"metadata": {"usage": {"inputTokens": 5, "outputTokens": 10}}, **LAST},
]
LLAMA = [
    {"generation": "Hel", "prompt_token_count": 4, "generation_token_count": 1, "stop_reason": None},
    {"generation": "lo", "prompt_token_count": None, "generation_token_count": 2, "stop_reason": None},
    {"generation": "", "prompt_token_count": None, "generation_token_count": 3, "stop_reason": "stop", **LAST},
]
TITAN = {"inputTextTokenCount": 5, "results": [{"tokenCount": 2, "outputText": "Hi", "completionReason": "FINISH"}]}


def chunks(*values: Any) -> bytes:
    return b"".join(map(chunk, values))


#: Whole answers for the contract suite.
STREAMS = [
    (EVENTSTREAM, chunks(*CLAUDE)),
    (EVENTSTREAM, chunks(*NOVA)),
    (EVENTSTREAM, chunks(*LLAMA)),
    (JSON, document(TITAN)),
]


def read(body: bytes, kind: str = EVENTSTREAM) -> Answer:
    return read_by(DIALECT, Clues(URL, kind, body))


def rebuilt(body: bytes, kind: str = EVENTSTREAM, url: str = URL) -> Rebuilt:
    return rebuilt_from(body, kind, url)


def test_claude_inside() -> None:
    frames = [chunk(value) for value in CLAUDE]
    answer = read(b"".join(frames))
    (choice,) = answer.choices
    thought, call = choice.message.parts
    assert (thought, call) == (ReasoningPart("hm"), ToolCallPart('{"lots":10}', "t", "buy", True, {"lots": 10}, 1))
    ends = [sum(map(len, frames[: n + 1])) for n in range(len(frames))]
    assert thought.ranges == ((ends[0], ends[2]),)
    assert call.ranges == ((ends[3], ends[6]),)
    assert (answer.dialect, answer.shape, answer.events) == ("bedrock_invoke", "eventstream", len(CLAUDE))
    assert (choice.message.role, choice.finish, answer.sentinel_seen) == ("assistant", "tool_calls", True)
    assert (answer.ids, answer.models) == (("msg_1",), ("m",))
    assert answer.usage_reports == ({"output_tokens": 7}, METRICS)
    assert answer.tokens == TokenCounts(input=8, output=7)
    assert (answer.extras, answer.anomalies) == ({}, ())


def test_other_frames_between_those_of_a_part_are_not_its_own() -> None:
    first, between, second = chunk(NOVA[1]), framed("newEvent", {}), chunk(NOVA[1])
    (part,) = read(first + between + second).choices[0].message.parts
    assert part.ranges == ((0, len(first)), (len(first + between), len(first + between + second)))


def test_nova_inside() -> None:
    answer = read(chunks(*NOVA))
    assert answer.choices[0].message.parts == (TextPart("Kurs "), TextPart("€"))
    assert answer.tokens == TokenCounts(input=5, output=10)
    assert answer.usage_reports == ({"inputTokens": 5, "outputTokens": 10}, METRICS)


def test_openai_chat_inside() -> None:
    answer = read(chunks(delta(role="assistant", content="Hi"), delta(finish="stop") | LAST) + chunk(b"[DONE]"))
    (choice,) = answer.choices
    assert (choice.message.text, choice.finish, answer.sentinel_seen) == ("Hi", "stop", True)
    assert rebuilt(chunks(delta(content="Hi"))).verdict == "truncated"


def test_values_over_several_lines_and_with_a_byte_order_mark() -> None:
    raw = [b"\xef\xbb\xbf" + json.dumps(value, indent=1).replace("\n", "\r\n").encode() for value in NOVA]
    assert read(chunks(*raw)).choices == read(chunks(*NOVA)).choices


def test_llama() -> None:
    answer = read(chunks(*LLAMA))
    (choice,) = answer.choices
    assert (choice.message.role, choice.message.parts) == (None, (TextPart("Hello"),))
    assert (choice.finish_reasons, choice.finish, choice.extras) == (("stop",), "stop", {})
    assert answer.usage_reports == (
        {"prompt_token_count": 4, "generation_token_count": 1},
        {"generation_token_count": 2},
        {"generation_token_count": 3},
        METRICS,
    )
    assert answer.tokens == TokenCounts(input=4, output=3)


@pytest.mark.parametrize(
    ("values", "reason", "finish", "tokens"),
    [
        (
            [{"outputText": "Hi", "index": 0, "totalOutputTextTokenCount": 2, "completionReason": "LENGTH"} | LAST],
            "LENGTH",
            "length",
            TokenCounts(input=8, output=2),
        ),
        (
            [
                {"completion": "H", "stop_reason": None, "stop": None},
                {"completion": "i", "stop_reason": "stop_sequence", "stop": "\n\nHuman:"} | LAST,
            ],
            "stop_sequence",
            "stop",
            TokenCounts(input=8, output=9),
        ),
        (
            [{"generations": [{"id": "g", "text": "Hi", "finish_reason": "COMPLETE"}], "id": "c"}],
            "COMPLETE",
            "stop",
            None,
        ),
        (
            [{"text": "Hi", "is_finished": False}, {"is_finished": True, "finish_reason": "MAX_TOKENS"}],
            "MAX_TOKENS",
            "length",
            None,
        ),
        (
            [{"outputs": [{"text": "H", "stop_reason": None}]}, {"outputs": [{"text": "i", "stop_reason": "length"}]}],
            "length",
            "length",
            None,
        ),
        (
            [{"id": 1, "completions": [{"data": {"text": "Hi"}, "finishReason": {"reason": "endoftext"}}]}],
            "endoftext",
            "stop",
            None,
        ),
        ([{"outputText": "Hi", "completionReason": "NEW"}], "NEW", "other", None),
    ],
)
def test_models_without_a_dialect(values: list[Any], reason: str, finish: str, tokens: Any) -> None:
    found = rebuilt(chunks(*values))
    (choice,) = found.answer.choices
    assert (found.answer.dialect, found.verdict) == ("bedrock_invoke", "complete")
    assert (choice.message.parts, choice.finish_reason, choice.finish) == ((TextPart("Hi"),), reason, finish)
    assert found.answer.tokens == tokens
    assert found.answer.anomalies == ()


def deepseek(text: str, reason: str | None, **fields: Any) -> dict[str, Any]:
    return {"choices": [{"text": text, "stop_reason": reason}], **fields}


@pytest.mark.parametrize(("reason", "finish"), [("stop", "stop"), ("length", "length")])
def test_deepseek_says_its_reason_under_another_name(reason: str, finish: str) -> None:
    begun, last = deepseek("Hel", None), deepseek("lo", reason)
    for body, kind, url in (
        (chunks(begun, last | LAST), EVENTSTREAM, URL),
        (chunks(begun, last), EVENTSTREAM, URL),  # without metrics: the reason says that it ended
        (document(deepseek("Hello", reason)), JSON, f"{HOST}/model/us.deepseek.r1-v1%3A0/invoke"),
    ):
        found = rebuilt(body, kind, url)
        (choice,) = found.answer.choices
        assert (choice.message.text, choice.finish_reasons, choice.finish) == ("Hello", (reason,), finish)
        assert (found.verdict, found.answer.dialect, kinds(found.answer)) == ("complete", "bedrock_invoke", [])
    assert rebuilt(chunks(begun)).verdict == "truncated"


def test_what_vllm_says_beside_its_reason_is_no_reason() -> None:
    entry = {"index": 0, "text": "Hi", "stop_reason": "\n", "finish_reason": "stop", "logprobs": None}
    answer = read(chunks({"object": "text_completion", "choices": [entry]}, LAST))
    assert (answer.choices[0].finish_reasons, answer.choices[0].extras) == (("stop",), {"stop_reason": "\n"})


def test_a_stop_text_and_other_fields_are_kept() -> None:
    answer = read(chunks({"completion": "a", "stop_reason": "x", "stop": "|", "model": "claude-2"}))
    assert (answer.choices[0].extras, answer.models) == ({"stop": "|"}, ("claude-2",))
    listed = {"generations": [{"id": "g", "text": "a", "likelihood": 1}], "prompt": "p", "id": "c"}
    answer = read(chunks(listed))
    # as Cohere's own dialect reads it
    assert (answer.choices[0].extras, answer.extras) == ({"likelihood": 1, "id": "g"}, {"prompt": "p"})
    assert answer.ids == ("c",)
    data = {"completions": [{"data": {"text": "a", "tokens": [1]}}]}
    assert read(chunks(data)).choices[0].extras == {"data": {"tokens": [1]}}


def test_several_answers() -> None:
    values = [{"generations": [{"text": "a"}, {"text": "b", "index": 3, "finish_reason": "ERROR"}, 7]}]
    answer = read(chunks(*values))
    assert [(choice.index, choice.message.text, choice.failed) for choice in answer.choices] == [
        (0, "a", False),
        (3, "b", True),
    ]
    assert answer.choices[0].message.parts[1] == OtherPart("payload", 7)


def test_an_error_between_and_the_verdict() -> None:
    found = rebuilt(chunks(*LLAMA[:2]) + excepted("modelTimeoutException", "late"))
    error = {":exception-type": "modelTimeoutException", "message": "late"}
    assert (found.verdict, found.answer.errors) == ("errored", (error,))
    assert found.answer.choices[0].message.text == "Hello"
    assert rebuilt(chunks(*LLAMA[:2])).verdict == "truncated"
    assert rebuilt(excepted("throttlingException", "no")).answer.dialect == "bedrock_invoke"
    inner = rebuilt(chunks({"message": "no"}))
    assert (inner.verdict, inner.answer.errors) == ("errored", ({"message": "no"},))


def test_a_call_that_was_cut_is_never_complete() -> None:
    for end in range(5, 8):
        (call,) = read(chunks(*CLAUDE[:end])).choices[0].message.tool_calls
        assert not call.complete
    whole = bytearray(chunks(*CLAUDE))
    whole[len(chunks(*CLAUDE[:6])) + 90] ^= 1
    found = rebuilt(bytes(whole))
    assert found.verdict == "unknown"
    assert not found.answer.choices[0].message.tool_calls[0].complete


def test_unknown_payloads_are_kept() -> None:
    answer = read(chunks({"images": ["x"]}, [1], {"inputTextTokenCount": 3}, {**LAST}))
    assert answer.choices[0].message.parts == (OtherPart("payload", {"images": ["x"]}), OtherPart("payload", [1]))
    assert (answer.tokens, kinds(answer)) == (TokenCounts(input=3, output=9), ["unknown_payload"])
    assert all(part.ranges for part in answer.choices[0].message.parts)


def test_frames_that_hold_no_value_are_facts() -> None:
    answer = read(
        framed("initial-response", {})
        + chunk(b"\xff")
        + framed("chunk", {"bytes": "!"})
        + framed("chunk", {"bytes": 7})
        + framed("newEvent", {"a": 1})
        + chunk(LLAMA[0], q=1)
    )
    assert kinds(answer) == ["data_unparsed", "data_unparsed", "data_unparsed", "unknown_event"]
    assert answer.extras == {"newEvent": {"a": 1}, "q": 1}


def test_facts_inside_point_to_the_frames() -> None:
    first, second = chunk(CLAUDE[0]), chunk({"type": "new_event"})
    (fact,) = read(first + second).anomalies
    assert (fact.kind, fact.start, fact.end) == ("unknown_event", len(first), len(first + second))


def test_documents_of_models_without_a_dialect() -> None:
    found = rebuilt(document(TITAN), JSON, f"{HOST}/model/amazon.titan/invoke")
    (choice,) = found.answer.choices
    assert (found.answer.dialect, found.verdict, choice.message.text) == ("bedrock_invoke", "complete", "Hi")
    assert (choice.finish, found.answer.tokens) == ("stop", TokenCounts(input=5, output=2))
    assert read(document({"generation": "a", "stop_reason": "length"}), JSON).choices[0].finish == "length"


def test_documents_of_models_with_a_dialect_are_its_own() -> None:
    message = CLAUDE[0]["message"] | {"type": "message", "stop_reason": "end_turn"}
    assert choose(Clues(f"{HOST}/model/m/invoke", "", document(message))).name == "anthropic_messages"
    nova = {"output": {"message": {"role": "assistant", "content": []}}, "stopReason": "end_turn"}
    assert choose(Clues(f"{HOST}/model/m/invoke", "", document(nova))).name == "bedrock_converse"


def test_error_documents_under_its_url() -> None:
    found = rebuilt(document({"message": "no"}), JSON)
    assert (found.answer.dialect, found.verdict, found.answer.errors) == (
        "bedrock_invoke",
        "errored",
        ({"message": "no"},),
    )


@pytest.mark.parametrize(
    ("body", "claimed"),
    [
        (chunk(LLAMA[0])[:60], True),
        (framed("chunk", {"bytes": base64.b64encode(b"plain").decode()}), True),
        (b"", True),
        (document({"generation": "a", "stop_reason": None})[:20], True),
        (framed("messageStart", {"role": "assistant"}), False),
        (document({"a": 1}), False),
        (sse(LLAMA[0]), False),
    ],
)
def test_what_it_claims_under_its_url(body: bytes, claimed: bool) -> None:
    assert (choose(Clues(URL, "", body)).name == "bedrock_invoke") is claimed


def test_what_it_claims_by_the_bytes_alone() -> None:
    for kind, body in STREAMS:
        for told in (kind, "", "text/plain"):
            assert DIALECT.claims(Clues("", told, body)) >= 0.9
    plain = framed("chunk", {"bytes": base64.b64encode(b"plain").decode()})  # as the agents of Bedrock answer
    assert choose(Clues("", "", plain)).name == "opaque"
    assert DIALECT.reader(Clues("", "", sse(LLAMA[0]))).close().dialect == "bedrock_invoke"


def test_requests() -> None:
    def read_at(url: str, payload: Any) -> Any:
        reading = read_request(url, payload)
        return reading and (reading.dialect, reading.model, [(one.role, one.text) for one in reading.messages])

    said = [{"role": "user", "content": [{"text": "Hi"}]}]
    typed = [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]
    model = "vendor.model-v1:0"
    claude = {"anthropic_version": "bedrock-2023-05-31", "messages": typed, "system": "Be kind."}
    ours = DIALECT.read_request(URL, claude)
    assert ours is not None
    assert (ours.model, [message.role for message in ours.messages]) == (model, ["system", "user"])
    assert DIALECT.read_request(URL, {"messages": said, "schemaVersion": "messages-v1"}) is not None
    assert read_at(URL, {"prompt": "Go on"}) == ("bedrock_invoke", model, [(None, "Go on")])
    titan = {"inputText": "Go on", "textGenerationConfig": {}}
    assert read_at("", titan) == ("bedrock_invoke", None, [(None, "Go on")])
    assert DIALECT.read_request("", {"prompt": "x"}) is None
    assert DIALECT.read_request(URL, {"images": []}) is None
    assert DIALECT.read_request(URL, []) is None
