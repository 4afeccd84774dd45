"""Entries of one array that give the same index: none is lost, and none is merged with another one."""

from __future__ import annotations

from typing import Any

import pytest

from recorder.core.rebuilt import Rebuilt
from recorder.dialects.numbering import Numbering, index_of
from tests.building import URL
from tests.unit.dialects.answers import kinds, rebuilt_from
from tests.unit.dialects.chat import tool
from tests.unit.dialects.wire import JSON, SSE, document, sse

LEGACY = "https://api.example.test/v1/completions"
GEMINI = "https://api.example.test/v1beta/models/m:generateContent"


def both(*choices: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"id": "x", "object": "chat.completion", "choices": list(choices)} | fields


def message(text: str, quantity: int, index: int = 0, finish: str | None = "tool_calls") -> dict[str, Any]:
    call = tool(None, id=text, type="function", name="buy", arguments=f'{{"qty":{quantity}}}')
    said = {"role": "assistant", "content": text, "tool_calls": [call]}
    return {"index": index, "message": said, "finish_reason": finish}


def piece(text: str, index: int = 0, finish: str | None = None) -> dict[str, Any]:
    return {"index": index, "delta": {"content": text} if text else {}, "finish_reason": finish}


def asked(body: bytes, kind: str = JSON, url: str = URL, count: int = 2) -> Rebuilt:
    return rebuilt_from(body, kind, url, {"model": "m", "n": count, "messages": [], "prompt": "p"})


def said(rebuilt: Rebuilt) -> list[tuple[int, str, str | None]]:
    return [(choice.index, choice.message.text, choice.finish_reason) for choice in rebuilt.answer.choices]


@pytest.mark.parametrize("kind", [JSON, SSE])
def test_two_messages_with_one_index_are_two_choices(kind: str) -> None:
    answer = both(message("first", 1), message("second", 2))
    rebuilt = asked(document(answer) if kind == JSON else sse(answer, done=True), kind)
    assert said(rebuilt) == [(0, "first", "tool_calls"), (1, "second", "tool_calls")]
    calls = [call for choice in rebuilt.answer.choices for call in choice.message.tool_calls]
    assert [(call.id, call.arguments_text, call.complete) for call in calls] == [
        ("first", '{"qty":1}', True),
        ("second", '{"qty":2}', True),
    ]
    assert [fact.kind for fact in rebuilt.anomalies] == ["index_repeated"]
    assert rebuilt.verdict == "complete"


def test_each_of_them_is_finished_by_itself() -> None:
    rebuilt = asked(sse(both(message("first", 1), message("second", 2, finish="length")), done=True), SSE)
    assert [choice.message.tool_calls[0].complete for choice in rebuilt.answer.choices] == [True, False]


def test_an_index_that_another_entry_gives_is_its_own() -> None:
    rebuilt = asked(document(both(message("a", 1), message("b", 2), message("c", 3, index=1))), count=3)
    assert [(index, text) for index, text, _ in said(rebuilt)] == [(0, "a"), (1, "c"), (2, "b")]


def test_deltas_of_one_index_in_one_chunk_go_on() -> None:
    first, last = both(piece("a"), piece("b")), both(piece("c"), piece("", finish="stop"))
    chunks = [chunk | {"object": "chat.completion.chunk"} for chunk in (first, last)]
    rebuilt = asked(sse(*chunks, done=True), SSE, count=1)
    assert (said(rebuilt), kinds(rebuilt.answer)) == ([(0, "abc", "stop")], ["index_repeated"])
    assert rebuilt.verdict == "complete"
    assert asked(sse(*chunks, done=True), SSE).verdict == "unknown"  # two were asked for


def test_a_delta_after_one_that_is_finished_in_the_same_chunk_is_another_choice() -> None:
    chunk = both(piece("a", finish="stop"), piece("b", finish="stop"))
    rebuilt = asked(sse(chunk | {"object": "chat.completion.chunk"}, done=True), SSE)
    assert said(rebuilt) == [(0, "a", "stop"), (1, "b", "stop")]
    again = both(piece("a", finish="stop"), piece("", finish="stop"))
    assert said(asked(sse(again, done=True), SSE)) == [(0, "a", "stop")]


@pytest.mark.parametrize("finish", ["stop", None])
def test_texts_of_legacy_completions(finish: str | None) -> None:
    texts = [{"text": text, "index": 0, "finish_reason": finish} for text in "ab"]
    rebuilt = asked(document({"object": "text_completion", "choices": texts}), url=LEGACY)
    assert said(rebuilt) == [(0, "a", finish), (1, "b", finish)]
    assert "index_repeated" in kinds(rebuilt.answer)


@pytest.mark.parametrize("kind", [JSON, SSE])
def test_candidates(kind: str) -> None:
    def one(text: str) -> dict[str, Any]:
        return {"index": 0, "content": {"role": "model", "parts": [{"text": text}]}, "finishReason": "STOP"}

    value = {"candidates": [one("a"), one("b")]}
    rebuilt = rebuilt_from(document(value) if kind == JSON else sse(value), kind, GEMINI, {"contents": []})
    assert said(rebuilt) == [(0, "a", "STOP"), (1, "b", "STOP")]
    assert kinds(rebuilt.answer) == ["index_repeated"]


def test_a_number_is_the_same_from_one_array_to_the_next() -> None:
    numbering = Numbering()
    entries = [{"index": 0}, {"index": 0}, 7]
    for _ in range(2):
        assert [numbering.number(0, nth, nth, entries) for nth in (0, 1)] == [0, 1]
    assert numbering.number(1, 0, 0, [{"index": 1}]) == 2  # the 1 is taken by then


def test_indexes_that_are_texts_are_numbers() -> None:
    chunks = [both(piece("a") | {"index": "0"}), both(piece("b") | {"index": "1"})]
    chunks += [both(piece("c", finish="stop") | {"index": place}) for place in ("1", "0")]
    rebuilt = asked(sse(*(chunk | {"object": "chat.completion.chunk"} for chunk in chunks), done=True), SSE)
    assert said(rebuilt) == [(0, "ac", "stop"), (1, "bc", "stop")]
    assert (kinds(rebuilt.answer), rebuilt.verdict) == (["choice_without_index"], "complete")
    candidates = [{"index": place, "content": {"parts": [{"text": place}]}} for place in ("1", "0")]
    rebuilt = rebuilt_from(sse(*({"candidates": [one]} for one in candidates)), SSE, GEMINI, {"contents": []})
    assert said(rebuilt) == [(0, "0", None), (1, "1", None)]


@pytest.mark.parametrize(
    ("given", "index"),
    [(3, 3), ("3", 3), ("", None), ("x", None), ("²", None), ("9" * 10, None), (True, None), (1.5, None), (None, None)],
)
def test_what_is_an_index(given: Any, index: int | None) -> None:
    assert index_of({"index": given}) == index
    assert index_of([given]) is None
