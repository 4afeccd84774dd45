"""Every stream of the corpus, cut anywhere: pieces change nothing, and no beginning passes for the whole.

The sample that runs by default is small; ``pytest -m soak`` takes 1,000 partitions and every prefix.

What does not depend on the bytes is made once, and of all prefixes, most are read by readers that go on where one was
copied (tests/resuming.py).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from recorder.core.content_coding import undo
from recorder.core.exchange import Exchange, fold
from recorder.core.messages import Answer
from recorder.core.rebuilt import Rebuilt
from recorder.dialects.base import Clues, Dialect, choose
from recorder.dialects.rebuild import rebuild
from recorder.dialects.remembered import Remembered
from tests import corpus
from tests.building import URL, ExchangeBuilder
from tests.resuming import resume

pytestmark = corpus.needs_corpus


def exchanges_of(stream: corpus.CorpusStream, ends: Iterable[int]) -> Iterator[tuple[int, Exchange]]:
    """Yield the exchanges whose answers end early, each as :func:`exchange_of` makes it, without its events."""
    whole = exchange_of(stream, stream.body)
    (chunk,) = whole.chunks
    for number, end in enumerate(ends):
        body = stream.body[:end]
        exchange = replace(whole, body=body, chunks=(chunk._replace(end=end),)) if end else exchange_of(stream, b"")
        if number % 1000 == 0:
            assert exchange == exchange_of(stream, body)
        yield end, exchange


def exchange_of(stream: corpus.CorpusStream, body: bytes) -> Exchange:
    request = stream.sidecar["request"]
    headers = [(name, str(value)) for name, value in stream.sidecar["response"]["headers"] or []]
    builder = ExchangeBuilder().request((request["body"] or "").encode(), url=request["url"] or URL)
    builder.response(stream.sidecar["response"]["status"] or 200, headers=headers).chunks(body)
    found = fold(builder.completed().events)
    assert found is not None
    return found


def read(dialect: Dialect, clues: Clues, cuts: Sequence[int]) -> Answer:
    reader, at = dialect.reader(clues), 0
    for cut in [*cuts, len(clues.body)]:
        reader.feed(clues.body[at:cut])
        at = cut
    return reader.close()


def with_places(answer: Answer) -> Any:
    return answer, [[part.ranges for part in choice.message.parts] for choice in answer.choices]


def partitions(size: int, count: int, seed: str) -> Iterator[Sequence[int]]:
    """Yield where a body is cut: at every byte, then as many times at random."""
    yield range(1, size)
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


def check_prefixes(name: str, ends: Iterable[int]) -> None:
    stream = corpus.stream(name)
    check = prefix_check(stream)
    for end, exchange in exchanges_of(stream, ends):
        check(end, rebuild(exchange))


def prefix_check(stream: corpus.CorpusStream) -> Callable[[int, Rebuilt], None]:
    """Return what checks one that is rebuilt of a beginning of a stream."""
    whole = rebuild(exchange_of(stream, stream.body))
    known = [call for _, of_choice in said(whole) for call in of_choice]
    # Whoever says more after the finish reason, and sends no end marker before it, cannot be seen through.
    goes_on = any(fact.kind == "delta_after_finish" for fact in whole.anomalies)

    def check(end: int, found: Rebuilt) -> None:
        if found.answer.dialect == whole.answer.dialect and found.verdict == "complete" and not goes_on:
            assert said(found) == said(whole), end
        for choice in found.answer.choices:
            for call in choice.message.tool_calls:
                if call.complete:
                    assert (call.name, call.arguments_text) in known, end

    return check


def check_all_prefixes(name: str, ends: range) -> None:
    """Check each of so many, by readers that go on where one was copied; of some, that this makes no difference."""
    stream = corpus.stream(name)
    check = prefix_check(stream)
    whole = exchange_of(stream, stream.body)
    assert whole.response is not None
    headers = whole.response.header
    body = undo(stream.body, headers("content-encoding")).body
    dialect = choose(Clues(stream.sidecar["request"]["url"] or URL, headers("content-type") or "", body))
    again: list[tuple[Exchange, Rebuilt]] = []
    remembered = Remembered()  # they all have the same request
    with pytest.MonkeyPatch.context() as patch:
        resume(patch, dialect)
        for end, exchange in exchanges_of(stream, ends):
            found = rebuild(exchange, remembered)
            check(end, found)
            if end % AGAIN == 0 or end == ends[-1]:
                again.append((exchange, found))
    for exchange, found in again:
        assert rebuild(exchange) == found


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


#: Each stream with the first of so many prefixes: no test takes minutes, and workers share out the long streams.
AT_ONCE = 5_000
#: Of so many prefixes, one is also rebuilt from its first byte.
AGAIN = 251
PREFIXES = [(name, first) for name in NAMES for first in range(0, max(corpus.size(name), 1), AT_ONCE)]


@pytest.mark.soak
@pytest.mark.parametrize(("name", "first"), PREFIXES)
def test_no_beginning_at_all_passes_for_the_whole(name: str, first: int) -> None:
    check_all_prefixes(name, range(first, min(first + AT_ONCE, corpus.size(name))))


def test_every_prefix_of_every_stream_is_in_the_soak_tier() -> None:
    """Neither one less nor one twice, but for the whole."""
    taken: dict[str, int] = {}
    for name, first in PREFIXES:
        assert taken.get(name, 0) == first
        taken[name] = min(first + AT_ONCE, corpus.size(name))
    assert taken == {name: len(corpus.stream(name).body) for name in NAMES}
    assert len(taken) == len(NAMES) >= 368
