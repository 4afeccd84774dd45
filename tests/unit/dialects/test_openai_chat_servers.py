"""The OpenAI chat dialect: what servers send that one runs oneself, each by name."""

from __future__ import annotations

from typing import Any

import pytest

from recorder.core.messages import ReasoningPart, TokenCounts
from recorder.dialects.base import Clues, choose
from tests.building import delta
from tests.unit.dialects.chat import calls, read, streamed, tool, verdict
from tests.unit.dialects.wire import document, sse


def test_vllm_counts_on_every_chunk_and_tells_token_ids() -> None:
    def piece(text: str, number: int, ids: list[int], finish: str | None = None) -> dict[str, Any]:
        chunk = delta(content=text, finish=finish) | {"usage": {"prompt_tokens": 3, "completion_tokens": number}}
        chunk["choices"][0] |= {"token_ids": ids, "stop_reason": 7 if finish else None}
        return chunk

    first = piece("", 0, []) | {"prompt_token_ids": [1, 2, 3]}
    answer = streamed(first, piece("a", 1, [10]), piece("b", 3, [11, 12], "stop"))
    assert answer.tokens == TokenCounts(input=3, output=3)
    assert len(answer.usage_reports) == 3
    assert answer.choices[0].extras == {"token_ids": [10, 11, 12], "stop_reason": 7}
    assert answer.extras["prompt_token_ids"] == [1, 2, 3]


@pytest.mark.parametrize(
    "frame",
    [
        {"error": {"object": "error", "message": "m", "code": 400}},
        {"object": "error", "message": "m", "type": "BadRequestError", "code": 400},
    ],
)
def test_vllm_reports_errors_in_two_forms(frame: dict[str, Any]) -> None:
    body = sse(delta(content="a"), frame, done=True)
    assert read(body).errors == (frame.get("error", frame),)
    assert verdict(body) == "errored"
    assert verdict(document(frame), "application/json") == "errored"


def test_vllm_renamed_its_reasoning() -> None:
    for name in ("reasoning_content", "reasoning"):
        (choice,) = streamed(delta(**{name: "h"}), delta(**{name: "m"})).choices
        assert choice.message.parts == (ReasoningPart("hm", (name,)),)


def test_sglang_has_empty_reasons_and_says_all_again_with_no_usage() -> None:
    first = delta(role="assistant", content="a", finish="") | {"usage": {"prompt_tokens": 3, "completion_tokens": 1}}
    last = delta(content="", finish="stop") | {"usage": {"prompt_tokens": 0, "completion_tokens": 0}}
    last["choices"][0] |= {"message": {"role": "assistant", "content": "ab"}, "matched_stop": 151645}
    answer = streamed(first, delta(content="b"), last)
    (choice,) = answer.choices
    assert (choice.message.text, choice.finish_reasons) == ("ab", ("stop",))
    assert choice.extras == {"matched_stop": 151645}
    assert answer.usage_reports == (first["usage"], last["usage"])  # as it was observed
    assert (answer.usage, answer.tokens) == (first["usage"], TokenCounts(3, 1))
    assert answer.anomalies == ()


@pytest.mark.parametrize("none", ["null", "None", "NULL", ""])
def test_dashscope_writes_that_there_is_no_reason_as_a_text(none: str) -> None:
    first, second = delta(content="a", finish=none), delta(content="b", finish=none)
    answer = streamed(first, second, delta(finish="stop"), done=False)
    assert (answer.choices[0].message.text, answer.choices[0].finish_reasons) == ("ab", ("stop",))
    assert answer.anomalies == ()
    assert verdict(sse(first, second)) == "truncated"
    call = delta(tool_calls=[tool(0, id="a", name="f", arguments="{}")], finish=none)
    assert calls(streamed(call, done=False)) == [("a", "f", "{}", False)]


ZEROS = {"prompt_tokens": 0, "completion_tokens": 0}
COUNTS = {"prompt_tokens": 5, "completion_tokens": 2}


@pytest.mark.parametrize(
    ("reports", "told", "counted"),
    [
        ([COUNTS, ZEROS], 0, (5, 2)),
        ([COUNTS, ZEROS | {"prompt_tokens_details": {"cached_tokens": 0}, "cost": None}], 0, (5, 2)),
        ([ZEROS], 0, (0, 0)),
        ([ZEROS, COUNTS], 1, (5, 2)),
        ([COUNTS, COUNTS | {"completion_tokens": 0}], 1, (5, 0)),
        ([COUNTS, {"completion_tokens": 0}], 1, (5, 0)),  # a single count says what it says
    ],
)
def test_a_report_of_nothing_but_zeros_takes_nothing_back(
    reports: list[dict[str, Any]], told: int, counted: tuple[int, int]
) -> None:
    answer = streamed(*(delta(content="a") | {"usage": report} for report in reports), delta(finish="stop"))
    assert answer.tokens is not None
    assert (answer.tokens.input, answer.tokens.output) == counted
    assert (answer.usage, answer.usage_reports) == (reports[told], tuple(reports))


def test_llamacpp_tells_timings_and_some_forks_no_end() -> None:
    last = delta(finish="stop") | {"timings": {"prompt_n": 3, "predicted_ms": 1.5}, "usage": {"total_tokens": 4}}
    body = sse(delta(content="a"), last)
    answer = read(body)
    assert (answer.extras["timings"], answer.usage) == (last["timings"], {"total_tokens": 4})
    assert (answer.sentinel_seen, verdict(body)) == (False, "complete")


def test_llamacpp_reports_an_error_in_a_field_of_its_own_name() -> None:
    body = sse(delta(content="a")) + b'error: {"code":500,"message":"slot"}\n\n'
    assert read(body).errors == ({"code": 500, "message": "slot"},)
    assert verdict(body) == "errored"


def test_ollama_gives_every_call_the_index_0_and_may_name_no_reason() -> None:
    both = [tool(id="a", name="f", arguments="{}"), tool(id="b", name="f", arguments="{}")]
    assert [one[:2] for one in calls(streamed(delta(tool_calls=both)))] == [("a", "f"), ("b", "f")]
    body = sse(delta(role="assistant", content="Hi"), delta(content="", role="assistant"), done=True)
    assert verdict(body) == "complete"
    assert read(body).choices[0].finish is None


@pytest.mark.parametrize("kind", ["text_completion", "completion", ""])
def test_chat_chunks_under_another_name_are_chat(kind: str) -> None:
    """Old versions of TGI call them text_completion."""
    body = sse(delta(content="Hi") | {"object": kind}, delta(finish="stop") | {"object": kind}, done=True)
    assert choose(Clues("", "", body)).name == "openai_chat"
    assert verdict(body) == "complete"
