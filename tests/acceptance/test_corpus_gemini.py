"""Every Gemini stream of the corpus against a naive reading of the same bytes: there is no SDK that adds them up."""

from __future__ import annotations

import json
from typing import Any

import pytest

from recorder.core.messages import Answer, CitationPart, ReasoningPart
from recorder.dialects.base import Clues, choose
from recorder.dialects.gemini import DIALECT
from tests import corpus
from tests.acceptance.corpus_rebuilt import rebuilt_of
from tests.acceptance.test_corpus_opaque import clues_of

pytestmark = corpus.needs_corpus

NAMES = corpus.names("gemini")


def naive(body: bytes) -> list[dict[str, Any]]:
    """Return the values of the lines after ``data:``, or of the array."""
    if body.lstrip()[:1] == b"[":
        values: list[dict[str, Any]] = json.loads(body)
        return values
    return [json.loads(line[5:]) for line in body.splitlines() if line.startswith(b"data:")]


def parts_of(values: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        part
        for value in values
        for candidate in value["candidates"]
        for part in candidate.get("content", {}).get("parts", [])
    ]


def read(body: bytes, cuts: list[int]) -> Answer:
    reader = DIALECT.reader(Clues("", "", body))
    at = 0
    for cut in [*cuts, len(body)]:
        reader.feed(body[at:cut])
        at = cut
    return reader.close()


def test_the_corpus_has_them_all() -> None:
    assert len(NAMES) == 50


@pytest.mark.parametrize("name", NAMES)
def test_recognised_with_and_without_a_url(name: str) -> None:
    for bare in (False, True):
        clues = clues_of(name, bare=bare)
        assert choose(clues).name == "gemini"
        assert DIALECT.claims(clues) >= 0.9


@pytest.mark.parametrize("name", NAMES)
def test_says_what_a_naive_reading_says(name: str) -> None:
    values = naive(clues_of(name).body)
    rebuilt = rebuilt_of(corpus.stream(name))
    answer = rebuilt.answer
    (choice,) = answer.choices
    parts = parts_of(values)
    texts = [part for part in parts if "text" in part]
    assert choice.message.text == "".join(part["text"] for part in texts if not part.get("thought"))
    reasoning = [part for part in choice.message.parts if isinstance(part, ReasoningPart)]
    assert "".join(part.text for part in reasoning) == "".join(part["text"] for part in texts if part.get("thought"))
    calls = [part["functionCall"] for part in parts if "functionCall" in part]
    assert [(call.name, call.id, call.arguments) for call in choice.message.tool_calls] == [
        (call["name"], call.get("id"), call["args"]) for call in calls
    ]
    assert all(call.complete for call in choice.message.tool_calls)
    finishes = [c["finishReason"] for value in values for c in value["candidates"] if "finishReason" in c]
    assert choice.finish_reasons == tuple(map(str, dict.fromkeys(finishes)))
    assert (rebuilt.verdict, answer.usage) == ("complete", values[-1]["usageMetadata"])
    assert (answer.events, answer.anomalies, answer.errors) == (len(values), (), ())
    assert answer.ids == tuple(dict.fromkeys(value["responseId"] for value in values))


@pytest.mark.parametrize("name", NAMES)
def test_no_signature_is_lost(name: str) -> None:
    """Each is where the part is that it came with, or in a part of its own."""
    stream = corpus.stream(name)
    rebuilt = rebuilt_of(stream)
    sent = [part["thoughtSignature"] for part in parts_of(naive(clues_of(name).body)) if "thoughtSignature" in part]
    shown = repr(rebuilt.answer.choices[0].message)
    assert all(shown.count(signature) == 1 for signature in sent)


@pytest.mark.parametrize("name", NAMES)
def test_a_prefix_says_less_and_only_the_whole_is_complete(name: str) -> None:
    body = clues_of(name).body
    whole = read(body, [])
    text = whole.choices[0].message.text
    step = max(1, len(body) // 40)
    for end in range(0, len(body) - 4, step):
        found = read(body[:end], [])
        for choice in found.choices:
            assert text.startswith(choice.message.text)
            if body.lstrip()[:1] == b"[":
                assert found.whole is False
            elif not choice.finish_reasons:
                assert not any(call.complete for call in choice.message.tool_calls)


@pytest.mark.parametrize("name", NAMES)
def test_the_pieces_of_the_transport_change_nothing(name: str) -> None:
    body = clues_of(name).body
    whole = read(body, [])
    for step in (1, 7, 1000):
        assert read(body, list(range(0, len(body), step))) == whole


def test_grounding_becomes_citations() -> None:
    grounded = [name for name in NAMES if b"groundingChunks" in clues_of(name).body]
    assert grounded
    for name in grounded:
        chunks = [
            chunk
            for value in naive(clues_of(name).body)
            for candidate in value["candidates"]
            for chunk in candidate.get("groundingMetadata", {}).get("groundingChunks", [])
        ]
        rebuilt = rebuilt_of(corpus.stream(name))
        cited = [part.value for part in rebuilt.answer.choices[0].message.parts if isinstance(part, CitationPart)]
        assert cited == chunks
