"""Every Cohere stream of the corpus, of both versions of the API, against a naive reading of the same events."""

from __future__ import annotations

import json
from typing import Any

import pytest

from recorder.core.messages import CitationPart, ReasoningPart
from recorder.dialects.base import Clues, choose, dialects
from tests import corpus
from tests.acceptance.corpus_rebuilt import rebuilt_of
from tests.acceptance.test_corpus_opaque import clues_of

pytestmark = corpus.needs_corpus

FIRST, SECOND = corpus.names("cohere-v1"), corpus.names("cohere-v2")
BY_NAME = {dialect.name: dialect for dialect in dialects()}


def naive(body: bytes) -> list[dict[str, Any]]:
    """Return the objects on the lines, after ``data:`` or by themselves."""
    lines = [line.removeprefix(b"data:").strip() for line in body.split(b"\n")]
    return [json.loads(line) for line in lines if line.startswith(b"{")]


def joined(values: list[dict[str, Any]], *path: str) -> str:
    """Return the texts at a path in the events, one after the other."""
    texts = []
    for value in values:
        found: Any = value
        for key in path:
            found = found.get(key) if isinstance(found, dict) else None
        texts.append(found if isinstance(found, str) else "")
    return "".join(texts)


def test_the_corpus_has_them_all() -> None:
    assert (len(FIRST), len(SECOND)) == (2, 6)


@pytest.mark.parametrize("name", [*FIRST, *SECOND])
def test_recognised_with_and_without_a_url(name: str) -> None:
    expected = "cohere_v1" if name in FIRST else "cohere_v2"
    for bare in (False, True):
        clues = clues_of(name, bare=bare)
        assert choose(clues).name == expected
        assert BY_NAME[expected].claims(clues) == 1.0


@pytest.mark.parametrize("name", SECOND)
def test_version_2_says_what_a_naive_reading_says(name: str) -> None:
    values = naive(clues_of(name).body)
    rebuilt = rebuilt_of(corpus.stream(name))
    answer = rebuilt.answer
    (choice,) = answer.choices
    assert choice.message.text == joined(values, "delta", "message", "content", "text")
    reasoning = [part.text for part in choice.message.parts if isinstance(part, ReasoningPart)]
    assert "".join(reasoning) == joined(values, "delta", "message", "content", "thinking")
    cited = [part.value for part in choice.message.parts if isinstance(part, CitationPart)]
    assert cited == [value["delta"]["message"]["citations"] for value in values if value["type"] == "citation-start"]
    starts = [value["delta"]["message"]["tool_calls"] for value in values if value["type"] == "tool-call-start"]
    assert [(call.id, call.name) for call in choice.message.tool_calls] == [
        (start["id"], start["function"]["name"]) for start in starts
    ]
    assert all(call.complete for call in choice.message.tool_calls)
    last = next(value["delta"] for value in values if value["type"] == "message-end")
    assert (choice.finish_reason, answer.usage, answer.sentinel_seen) == (last["finish_reason"], last["usage"], True)
    assert (rebuilt.verdict, answer.anomalies, answer.ids) == ("complete", (), (values[0]["id"],))


@pytest.mark.parametrize("name", FIRST)
def test_version_1_says_what_a_naive_reading_says_and_nothing_twice(name: str) -> None:
    values = naive(clues_of(name).body)
    rebuilt = rebuilt_of(corpus.stream(name))
    answer = rebuilt.answer
    (choice,) = answer.choices
    events = [value for value in values if value["event_type"] == "text-generation"]
    response = values[-1]["response"]
    whole = response["text"] if "text" in response else response["generations"][0]["text"]
    assert choice.message.text == joined(events, "text") == whole
    cited = [part for part in choice.message.parts if isinstance(part, CitationPart)]
    assert [part.value for part in cited] == response.get("citations", [])
    assert all(part.url and part.title for part in cited)
    assert (choice.finish_reason, rebuilt.verdict) == (values[-1]["finish_reason"], "complete")
    assert (answer.sentinel_seen, answer.anomalies) == (True, ())


@pytest.mark.parametrize("name", [*FIRST, *SECOND])
def test_only_the_whole_is_finished(name: str) -> None:
    body = clues_of(name).body
    lines = [at for at, byte in enumerate(body) if byte == ord("\n")]
    end_marker = b"stream-end" if name in FIRST else b"event: message-end"
    ends = [at for at in lines if at < body.index(end_marker)]
    for end in [1, 40, *ends[:: max(1, len(ends) // 20)]]:
        reader = BY_NAME["cohere_v1" if name in FIRST else "cohere_v2"].reader(Clues("", "", body[:end]))
        reader.feed(body[:end])
        answer = reader.close()
        assert not answer.sentinel_seen
        assert not answer.whole
