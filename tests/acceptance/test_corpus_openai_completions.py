"""Every text-completion stream of the corpus, against the texts that the openai SDK's decoder finds in it."""

from __future__ import annotations

import json

import pytest
from openai._streaming import SSEDecoder
from openai.types import Completion

from recorder.dialects.base import Clues, choose
from tests import corpus
from tests.acceptance.corpus_rebuilt import rebuilt_of

pytestmark = corpus.needs_corpus

NAMES = corpus.names("openai-completions")


def test_the_corpus_has_them_all() -> None:
    assert len(NAMES) == 2


@pytest.mark.parametrize("name", NAMES)
def test_same_as_the_sdk_reads_them(name: str) -> None:
    stream = corpus.stream(name)
    rebuilt = rebuilt_of(stream)
    (choice,) = rebuilt.answer.choices
    chunks = [
        Completion.construct(**json.loads(event.data))
        for event in SSEDecoder().iter_bytes(iter([stream.body]))
        if event.data != "[DONE]"
    ]
    entries = [entry for chunk in chunks for entry in chunk.choices]
    usages = [chunk.usage.to_dict() for chunk in chunks if chunk.usage]
    assert (rebuilt.answer.dialect, rebuilt.verdict, rebuilt.anomalies) == ("openai_completions", "complete", ())
    assert choice.message.text == "".join(entry.text for entry in entries)
    assert [choice.finish_reason] == [entry.finish_reason for entry in entries if entry.finish_reason]
    assert rebuilt.answer.usage == (usages[-1] if usages else None)
    assert rebuilt.answer.models == (chunks[0].model,)


@pytest.mark.parametrize("name", NAMES)
def test_recognised_by_the_bytes_alone(name: str) -> None:
    assert choose(Clues("", "", corpus.stream(name).body)).name == "openai_completions"
