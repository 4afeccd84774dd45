"""Every Ollama stream of the corpus against a naive reading of the same lines."""

from __future__ import annotations

import json
from typing import Any

import pytest

from recorder.core.messages import TextPart
from recorder.dialects.base import Clues, choose
from recorder.dialects.ollama import DIALECT
from tests import corpus
from tests.acceptance.corpus_rebuilt import rebuilt_of
from tests.acceptance.test_corpus_opaque import clues_of

pytestmark = corpus.needs_corpus

NAMES = corpus.names("ollama")


def naive(body: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in body.split(b"\n") if line]


def test_the_corpus_has_them_all() -> None:
    assert len(NAMES) == 10


@pytest.mark.parametrize("name", NAMES)
def test_recognised_with_and_without_a_url(name: str) -> None:
    for bare in (False, True):
        clues = clues_of(name, bare=bare)
        assert choose(clues).name == "ollama"
        assert DIALECT.claims(clues) == 1.0


@pytest.mark.parametrize("name", NAMES)
def test_says_what_a_naive_reading_says(name: str) -> None:
    body = clues_of(name).body
    values = naive(body)
    rebuilt = rebuilt_of(corpus.stream(name))
    answer, last = rebuilt.answer, values[-1]
    (choice,) = answer.choices
    text = "".join(value["message"]["content"] if "message" in value else value["response"] for value in values)
    assert choice.message.parts == (TextPart(text),)
    assert (choice.finish_reason, rebuilt.verdict, answer.sentinel_seen) == (last["done_reason"], "complete", True)
    assert answer.tokens is not None
    assert (answer.tokens.input, answer.tokens.output) == (last["prompt_eval_count"], last["eval_count"])
    assert answer.extras["total_duration"] == last["total_duration"]
    assert (answer.events, answer.models, answer.anomalies) == (len(values), (last["model"],), ())


@pytest.mark.parametrize("name", NAMES)
def test_only_the_whole_is_finished(name: str) -> None:
    body = clues_of(name).body
    ends = [at for at, byte in enumerate(body) if byte == ord("\n")][:-1]
    for end in [1, 40, *ends[:: max(1, len(ends) // 20)]]:
        clues = Clues("", "", body[:end])
        reader = DIALECT.reader(clues)
        reader.feed(body[:end])
        answer = reader.close()
        assert (answer.sentinel_seen, answer.whole) in ((False, None), (False, False))
        if end > 70:
            assert choose(clues).name == "ollama"
