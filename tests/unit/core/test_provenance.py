"""Which chunks made a part, and when they came."""

from __future__ import annotations

import gzip
import json
import zlib

import pytest

from recorder.core.exchange import Chunk, fold
from recorder.core.message_json import AnswerJson
from recorder.core.provenance import Arrivals, Provenance
from recorder.dialects.rebuild import rebuild
from tests.building import ExchangeBuilder, delta

CHUNKS = [Chunk(3, 0, 10, 1_005), Chunk(4, 10, 10, 1_006), Chunk(5, 10, 30, 1_009)]


@pytest.mark.parametrize(
    ("ranges", "expected"),
    [
        (((0, 5),), (1, 1, 5, 5)),
        (((0, 10),), (1, 1, 5, 5)),
        (((9, 11),), (1, 3, 5, 9)),
        (((10, 30),), (3, 3, 9, 9)),
        (((0, 2), (25, 30)), (1, 3, 5, 9)),
    ],
)
def test_the_first_and_the_last_chunk_that_have_a_byte_of_it(
    ranges: tuple[tuple[int, int], ...], expected: tuple[int, int, int, int]
) -> None:
    found = Arrivals(CHUNKS, [chunk.end for chunk in CHUNKS], 1_000).of(ranges)
    assert found == Provenance(ranges, *expected)


def test_what_is_not_known_is_not_told() -> None:
    assert Arrivals(CHUNKS, None, 1_000).of(()) is None
    assert Arrivals(CHUNKS, None, 1_000).of(((0, 5),)) == Provenance(((0, 5),))
    assert Arrivals((), (), 0).of(((0, 5),)) == Provenance(((0, 5),))


@pytest.mark.parametrize("coding", ["", "gzip"])
def test_parts_of_an_answer_know_their_chunks_below_the_content_coding_too(coding: str) -> None:
    deltas = (delta(content="Bu"), delta(content="y"), delta(refusal="No"), delta(finish="stop"))
    frames = [b"data: %s\n\n" % json.dumps(each).encode() for each in deltas]
    headers = [("content-type", "text/event-stream")]
    if coding:
        headers.append(("content-encoding", coding))
        frames = _flushed(frames)
    built = ExchangeBuilder().request().response(headers=headers).chunks(*frames).completed()
    exchange = fold(built.events)
    assert exchange is not None
    rebuilt = rebuild(exchange)
    (choice,) = rebuilt.answer.choices
    text, refusal = AnswerJson(rebuilt.arrivals).message(choice.message)["parts"]
    assert (text["text"], text["origin"]["chunks"]) == ("Buy", [1, 2])
    assert (refusal["text"], refusal["origin"]["chunks"]) == ("No", [3, 3])
    assert text["origin"]["first_ms"] < text["origin"]["last_ms"] < refusal["origin"]["first_ms"]
    body = gzip.decompress(exchange.body) if coding else exchange.body
    ((start, end),) = text["origin"]["bytes"]
    assert body[start:end].count(b"content") == 2


def _flushed(frames: list[bytes]) -> list[bytes]:
    """Each frame compressed so that it can be read as soon as it arrives."""
    engine = zlib.compressobj(wbits=31)
    coded = [engine.compress(frame) + engine.flush(zlib.Z_SYNC_FLUSH) for frame in frames]
    return [*coded, engine.flush()]
