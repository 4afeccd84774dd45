"""The dialect of legacy text completions, quirk by quirk."""

from __future__ import annotations

from typing import Any

import pytest

from recorder.core.exchange import fold
from recorder.core.messages import Answer, Message, OtherPart, TextPart, TokenCounts
from recorder.dialects.base import Clues, choose
from recorder.dialects.openai_completions import DIALECT
from recorder.dialects.rebuild import rebuild
from tests.building import URL as CHAT
from tests.building import ExchangeBuilder
from tests.building import delta as chat_delta
from tests.unit.dialects.answers import kinds, read_by
from tests.unit.dialects.wire import JSON, SSE, document, sse

URL = "https://api.example.test/v1/completions"
ELSEWHERE = "https://gateway.example.test/llm"


def chunk(text: Any = "", index: int = 0, finish: str | None = None, **fields: Any) -> dict[str, Any]:
    choice = {"index": index, "text": text, "finish_reason": finish, "logprobs": None} | fields
    return {"id": "cmpl-1", "object": "text_completion", "model": "m-1", "choices": [choice]}


USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
#: Whole answers for the contract suite.
STREAMS = [
    (SSE, sse(chunk("Kurs"), chunk(" €"), chunk(finish="stop"), done=True)),
    (SSE, sse(chunk("a", 1), chunk("b"), chunk("c", 1, "length"), chunk("d", 0, "stop"), done=True)),
    (JSON, document(chunk("Kurs €", finish="length") | {"usage": USAGE})),
]


def read(body: bytes) -> Answer:
    return read_by(DIALECT, Clues(URL, "", body))


def test_text_in_chunks_finish_reason_and_usage() -> None:
    last = chunk() | {"choices": [], "usage": USAGE}
    answer = read(sse(chunk("\n\n"), chunk("Why"), chunk(finish="stop"), last, done=True))
    (choice,) = answer.choices
    assert (choice.message.role, choice.message.parts) == (None, (TextPart("\n\nWhy"),))
    assert (choice.finish_reason, choice.finish, answer.usage) == ("stop", "stop", USAGE)
    assert answer.tokens == TokenCounts(input=3, output=2, total=5)
    assert (answer.ids, answer.models, answer.sentinel_seen, answer.anomalies) == (("cmpl-1",), ("m-1",), True, ())


def test_choices_are_told_apart() -> None:
    answer = read(STREAMS[1][1])
    assert [(one.index, one.message.text, one.finish) for one in answer.choices] == [
        (0, "bd", "stop"),
        (1, "ac", "length"),
    ]


def test_the_document() -> None:
    answer = read(STREAMS[2][1])
    assert (answer.shape, answer.whole, answer.choices[0].message.text) == ("json", True, "Kurs €")
    assert (answer.choices[0].finish, answer.usage) == ("length", USAGE)


def test_together_says_each_text_twice() -> None:
    values = [
        chunk(" and", delta={"role": "assistant", "content": " and", "token_id": 323}),
        chunk(".", delta={"role": "assistant", "content": ".", "token_id": 13}),
        chunk("", finish="eos", delta={"role": "assistant", "content": "", "token_id": 9}, seed=5),
    ]
    answer = read(sse(*[value | {"object": "completion.chunk"} for value in values], done=True))
    (choice,) = answer.choices
    assert (choice.message.role, choice.message.text, choice.finish) == ("assistant", " and.", "stop")
    assert (choice.message.extras, choice.extras) == ({"token_id": [323, 13, 9]}, {"seed": 5})
    assert answer.anomalies == ()
    other = read(sse(chunk("a", delta={"content": "b"}), chunk(None, delta={"content": "c"})))
    assert (other.choices[0].message.text, kinds(other)) == ("ac", ["text_differs"])


def test_log_probabilities_are_joined() -> None:
    one = {"tokens": ["a"], "token_logprobs": [-1], "top_logprobs": [{"a": -1}], "text_offset": [0]}
    two = {"tokens": ["b"], "token_logprobs": [-2], "top_logprobs": None, "text_offset": [1]}
    (choice,) = read(sse(chunk("a", logprobs=one), chunk("b", logprobs=two))).choices
    assert choice.logprobs == {
        "tokens": ["a", "b"],
        "token_logprobs": [-1, -2],
        "top_logprobs": [{"a": -1}],
        "text_offset": [0, 1],
    }


def test_fields_of_servers_are_kept() -> None:
    values = [
        chunk("a", stop_reason=None, prompt_logprobs=None),
        chunk("b", stop_reason=128, matched_stop="x", finish="stop"),
    ]
    answer = read(sse(*[value | {"system_fingerprint": "fp"} for value in values], done=True))
    assert answer.choices[0].extras == {"stop_reason": 128, "matched_stop": "x"}
    assert answer.extras == {"object": "text_completion", "system_fingerprint": "fp"}


def test_text_of_another_type_is_a_fact() -> None:
    answer = read(sse(chunk(5), chunk(["a"]), chunk("b"), {"choices": [7]}))
    assert (answer.choices[0].message.text, kinds(answer)) == ("b", ["text_malformed", "choice_malformed"])


@pytest.mark.parametrize("values", [(chunk("a"),), (chunk("a"), chunk(finish="stop"), chunk("b", 1))])
def test_a_cut_stream_is_truncated(values: Any) -> None:
    builder = ExchangeBuilder().request({"prompt": "x"}, url=URL).response().chunks(sse(*values)).completed()
    exchange = fold(builder.events)
    assert exchange is not None
    assert rebuild(exchange).verdict == "truncated"


@pytest.mark.parametrize(
    "frame", ['event: error\ndata: {"error": {"code": 1}}', 'data: {"error": {"code": 1}}', 'error: {"code": 1}']
)
def test_errors_under_status_200(frame: str) -> None:
    answer = read(sse(chunk("a")) + frame.encode() + b"\n\n")
    assert (answer.errors, answer.choices[0].message.text) == (({"code": 1},), "a")


@pytest.mark.parametrize("kind", ["", "text/event-stream", "application/json"])
@pytest.mark.parametrize(
    ("url", "body", "ours"),
    [
        (ELSEWHERE, sse(chunk("a")), True),
        (CHAT, sse(chunk("a")), True),
        (ELSEWHERE, b": ping\n\n" + sse({"choices": [{"text": "a"}]}), True),
        (ELSEWHERE, document(chunk("a")), True),
        (ELSEWHERE, document(chunk("a"))[:-9], True),
        (ELSEWHERE, sse(chunk("a") | {"object": "completion.chunk"}), True),
        (URL, document({"error": {"message": "m"}}), True),
        (URL + "?api-version=1", b"event: error\ndata: boom\n\n", True),
        (URL, sse(chat_delta(content="a")), False),
        (ELSEWHERE, sse(chat_delta(content="a", text="a")), False),
        (ELSEWHERE, sse({"choices": [{"text": "a", "delta": {"content": "a"}}]}), False),
        (URL, sse({"type": "message_start"}), False),
        (URL, document({"object": ["text_completion"]}), False),
        (ELSEWHERE, document({"error": {"message": "m"}}), False),
    ],
)
def test_the_bytes_tell_the_dialect(url: str, kind: str, body: bytes, ours: bool) -> None:
    assert (choose(Clues(url, kind, body)).name == "openai_completions") == ours


@pytest.mark.parametrize(
    ("url", "payload", "choices", "messages"),
    [
        (URL, {"prompt": "Hi", "model": "m"}, None, (Message(None, (TextPart("Hi"),)),)),
        (URL, {"prompt": "Hi", "suffix": "!", "n": 2}, 2, (Message(None, (TextPart("Hi"),), extras={"suffix": "!"}),)),
        (URL, {"prompt": ["a", "b"], "n": 2}, 4, (Message(None, (TextPart("a"),)), Message(None, (TextPart("b"),)))),
        (URL, {"prompt": ["a", "b"]}, 2, (Message(None, (TextPart("a"),)), Message(None, (TextPart("b"),)))),
        (URL, {"prompt": [1, 2]}, None, (Message(None, (OtherPart("tokens", [1, 2]),)),)),
        (
            URL,
            {"prompt": [[1], [2]]},
            2,
            (Message(None, (OtherPart("tokens", [1]),)), Message(None, (OtherPart("tokens", [2]),))),
        ),
        (URL, {"prompt": None, "n": "2"}, None, ()),
        (
            ELSEWHERE,
            {"prompt": {"a": 1}, "model": "m", "max_tokens": 5},
            None,
            (Message(None, (OtherPart("prompt", {"a": 1}),)),),
        ),
    ],
)
def test_requests_are_read(url: str, payload: Any, choices: int | None, messages: tuple[Message, ...]) -> None:
    reading = DIALECT.read_request(url, payload)
    assert reading is not None
    assert (reading.dialect, reading.choices, reading.messages) == ("openai_completions", choices, messages)


@pytest.mark.parametrize(
    ("url", "payload"),
    [
        (CHAT, {"prompt": "a cat", "model": "image", "n": 1, "size": "1024x1024"}),
        ("http://127.0.0.1:11434/api/generate", {"prompt": "Hi", "model": "m", "stream": True}),
        (ELSEWHERE, {"prompt": "Hi", "max_tokens": 3}),
        (URL, {"messages": [], "prompt": "x"}),
        (URL, {"model": "m"}),
        (URL, [1]),
    ],
)
def test_other_requests_are_not_read(url: str, payload: Any) -> None:
    assert DIALECT.read_request(url, payload) is None
