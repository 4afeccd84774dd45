"""Every stream of the corpus, cut anywhere: pieces change nothing, and no beginning passes for the whole.

The sample that runs by default is small; ``pytest -m soak`` takes 1,000 partitions and every prefix.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from recorder.core.content_coding import undo
from recorder.core.exchange import Exchange, fold
from recorder.core.messages import Answer
from recorder.core.rebuilt import Rebuilt
from recorder.dialects.base import Clues, Dialect, choose
from recorder.dialects.rebuild import rebuild
from tests import corpus
from tests.building import URL, ExchangeBuilder

pytestmark = corpus.needs_corpus


def exchange_of(stream: corpus.CorpusStream, body: bytes) -> Exchange:
    request = stream.sidecar["request"]
    headers = [(name, str(value)) for name, value in stream.sidecar["response"]["headers"] or []]
    builder = ExchangeBuilder().request((request["body"] or "").encode(), url=request["url"] or URL)
    builder.response(stream.sidecar["response"]["status"] or 200, headers=headers).chunks(body)
    found = fold(builder.completed().events)
    assert found is not None
    return found


def read(dialect: Dialect, clues: Clues, cuts: list[int]) -> Answer:
    reader, at = dialect.reader(clues), 0
    for cut in [*cuts, len(clues.body)]:
        reader.feed(clues.body[at:cut])
        at = cut
    return reader.close()


def with_places(answer: Answer) -> Any:
    return answer, [[part.ranges for part in choice.message.parts] for choice in answer.choices]


def partitions(size: int, count: int, seed: str) -> Iterator[list[int]]:
    yield list(range(1, size)) if size <= 20_000 else list(range(1, size, 7))
    draw = random.Random(seed)
    for _ in range(count):
        yield sorted(draw.sample(range(1, size), min(draw.randint(1, 40), size - 1))) if size > 1 else []


def check_partitions(name: str, count: int) -> None:
    stream = corpus.stream(name)
    whole = exchange_of(stream, stream.body)
    assert whole.response is not None
    body = undo(stream.body, whole.response.header("content-encoding")).body
    clues = Clues(stream.sidecar["request"]["url"] or URL, whole.response.header("content-type") or "", body)
    dialect = choose(clues)
    expected = with_places(read(dialect, clues, []))
    for cuts in partitions(len(body), count, name):
        assert with_places(read(dialect, clues, cuts)) == expected


def said(rebuilt: Rebuilt) -> list[tuple[str, list[Any]]]:
    return [(choice.message.text, calls(choice.message.tool_calls)) for choice in rebuilt.answer.choices]


def calls(found: Any) -> list[Any]:
    return [(call.name, call.arguments_text) for call in found]


def check_prefixes(name: str, ends: list[int]) -> None:
    stream = corpus.stream(name)
    whole = rebuild(exchange_of(stream, stream.body))
    known = [call for _, of_choice in said(whole) for call in of_choice]
    # Whoever says more after the finish reason, and sends no end marker before it, cannot be seen through.
    goes_on = any(fact.kind == "delta_after_finish" for fact in whole.anomalies)
    for end in ends:
        found = rebuild(exchange_of(stream, stream.body[:end]))
        if found.answer.dialect == whole.answer.dialect and found.verdict == "complete" and not goes_on:
            assert said(found) == said(whole), end
        for choice in found.answer.choices:
            for call in choice.message.tool_calls:
                if call.complete:
                    assert (call.name, call.arguments_text) in known, end


NAMES = corpus.names("")
SAMPLE = NAMES[::4]


@pytest.mark.parametrize("name", SAMPLE)
def test_pieces_change_nothing(name: str) -> None:
    check_partitions(name, 1)


@pytest.mark.parametrize("name", SAMPLE)
def test_no_beginning_passes_for_the_whole(name: str) -> None:
    size = len(corpus.stream(name).body)
    draw = random.Random(name)
    check_prefixes(name, sorted(draw.sample(range(size), min(4, size))))


@pytest.mark.soak
@pytest.mark.parametrize("name", NAMES)
def test_a_thousand_partitions_change_nothing(name: str) -> None:
    check_partitions(name, 1000)


@pytest.mark.soak
@pytest.mark.parametrize("name", NAMES)
def test_no_beginning_at_all_passes_for_the_whole(name: str) -> None:
    size = len(corpus.stream(name).body)
    step = max(1, size // 4000)
    check_prefixes(name, list(range(0, size, step)))
