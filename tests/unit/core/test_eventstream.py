"""AWS event-stream frames: against botocore, for every partition, and whatever the damage."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.eventstream import EventStreamBuffer, ParserError
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.core.eventstream import Frame, FrameParser
from tests import corpus
from tests.unit.dialects.wire import frame

NAMES = st.text(min_size=1, max_size=20).filter(lambda name: len(name.encode()) < 256)
VALUES = st.one_of(
    st.booleans().map(lambda value: bytes([not value])),
    st.binary(min_size=1, max_size=1).map(lambda raw: b"\x02" + raw),
    st.binary(min_size=2, max_size=2).map(lambda raw: b"\x03" + raw),
    st.binary(min_size=4, max_size=4).map(lambda raw: b"\x04" + raw),
    st.binary(min_size=8, max_size=8).map(lambda raw: b"\x05" + raw),
    st.binary(max_size=40).map(lambda raw: b"\x06" + len(raw).to_bytes(2, "big") + raw),
    st.text(max_size=20).map(lambda text: b"\x07" + len(text.encode()).to_bytes(2, "big") + text.encode()),
    st.binary(min_size=8, max_size=8).map(lambda raw: b"\x08" + raw),
    st.binary(min_size=16, max_size=16).map(lambda raw: b"\x09" + raw),
)
HEADERS = st.dictionaries(NAMES, VALUES, max_size=4).map(
    lambda named: b"".join(bytes([len(name.encode())]) + name.encode() + value for name, value in named.items())
)
FRAMES = st.lists(st.builds(frame, st.binary(max_size=60), HEADERS), max_size=5)


def read(body: bytes, cuts: list[int] | None = None) -> tuple[list[Frame], FrameParser]:
    parser = FrameParser()
    found, at = [], 0
    for cut in [*sorted(cuts or []), len(body)]:
        found += parser.feed(body[at:cut])
        at = cut
    return found + parser.close(), parser


def facts(parser: FrameParser) -> Any:
    return parser.anomalies, parser.tail_bytes, bool(parser.lost)


def by_botocore(body: bytes) -> list[tuple[dict[str, Any], bytes]] | None:
    buffer = EventStreamBuffer()
    buffer.add_data(body)
    try:
        return [(message.headers, message.payload) for message in buffer]
    except ParserError:
        return None


@given(FRAMES)
def test_the_same_frames_as_botocore(frames: list[bytes]) -> None:
    found, parser = read(b"".join(frames))
    assert [(dict(one.headers), one.payload) for one in found] == by_botocore(b"".join(frames))
    assert facts(parser) == ([], 0, False)
    assert [one.end for one in found] == [len(b"".join(frames[: n + 1])) for n in range(len(frames))]
    assert [one.start for one in found] == [0, *(one.end for one in found)][: len(found)]


@given(
    body=st.one_of(FRAMES.map(b"".join), st.binary(max_size=100)),
    flips=st.lists(st.integers(0, 10_000)),
    data=st.data(),
)
@settings(max_examples=300)
def test_any_partition_and_any_damage_give_the_same_and_never_raise(
    body: bytes, flips: list[int], data: st.DataObject
) -> None:
    damaged = bytearray(body)
    for flip in flips if body else []:
        damaged[flip % len(body)] ^= 1 << flip % 8
    whole, parser = read(bytes(damaged))
    cuts = data.draw(st.lists(st.integers(0, len(body)), max_size=6))
    for parts in (cuts, list(range(len(body)))):
        again, other = read(bytes(damaged), parts)
        assert (again, facts(other)) == (whole, facts(parser))
    covered = [(one.start, one.end) for one in whole]
    covered += [(fact.start or 0, fact.end or 0) for fact in parser.anomalies if fact.kind in LOSSES]
    covered.sort()
    assert [start for start, _ in covered] == [0, *(end for _, end in covered)][: len(covered)]
    assert (covered[-1][1] if covered else 0) == len(body)


LOSSES = ("frame_damaged", "unparsed_tail")
THREE = [frame(payload, {":event-type": "x"}) for payload in (b"one", b"two", b"three")]


@pytest.mark.parametrize("byte", range(len(THREE[0])))
def test_one_damaged_byte_costs_one_frame(byte: int) -> None:
    damaged = bytearray(THREE[0])
    damaged[byte] ^= 0x40
    found, parser = read(bytes(damaged) + THREE[1] + THREE[2])
    assert [one.payload for one in found] == [b"two", b"three"]
    assert by_botocore(bytes(damaged)) in (None, [])
    (fact,) = parser.anomalies
    assert (fact.kind, fact.start, fact.end) == ("frame_damaged", 0, len(damaged))
    assert bool(parser.lost)


def test_what_stands_between_frames_is_skipped() -> None:
    found, parser = read(THREE[0] + b"HTTP/1.1 500 \r\n\r\n" + THREE[1])
    assert [one.payload for one in found] == [b"one", b"two"]
    assert [(fact.kind, fact.end) for fact in parser.anomalies] == [("frame_damaged", len(THREE[0]) + 17)]


@pytest.mark.parametrize("end", range(1, len(THREE[0])))
def test_a_cut_frame_is_the_tail(end: int) -> None:
    found, parser = read(THREE[1] + THREE[0][:end])
    assert [one.payload for one in found] == [b"two"]
    assert (parser.tail_bytes, bool(parser.lost)) == (end, False)
    assert [fact.kind for fact in parser.anomalies] == ["unparsed_tail"]


def test_damage_at_the_end_is_the_tail_too() -> None:
    found, parser = read(THREE[0] + b"x" * 30)
    assert [one.payload for one in found] == [b"one"]
    assert (parser.tail_bytes, bool(parser.lost)) == (30, True)


@pytest.mark.parametrize(
    "headers",
    [
        b"\x05abc",  # the name is cut
        b"\x01a\x07\x00\x09abc",  # the value is cut
        b"\x01a\x0a",  # a type that does not exist
        b"\x01\xff\x00",  # a name that is no UTF-8
        b"\x01a\x07\x00\x01\xff",  # a text that is no UTF-8
        b"\x01a\x04\x00",  # an integer that is cut
        b"\x01a",  # no type
    ],
)
def test_headers_that_cannot_be_read_leave_the_payload(headers: bytes) -> None:
    found, parser = read(frame(b"data", b"\x01z\x00" + headers))
    assert [(dict(one.headers), one.payload) for one in found] == [({"z": True}, b"data")]
    assert [fact.kind for fact in parser.anomalies] == ["headers_damaged"]


def test_of_a_header_that_comes_twice_the_first_counts() -> None:
    found, parser = read(frame(b"", b"\x01z\x00\x01z\x01"))
    assert dict(found[0].headers) == {"z": True}
    assert [fact.kind for fact in parser.anomalies] == ["header_repeated"]


def test_lengths_beyond_the_limits_are_damage() -> None:
    found, parser = read(frame(b"x" * (24 * 1024 * 1024 + 1), b""))
    assert (found, bool(parser.lost)) == ([], True)


@corpus.needs_corpus
@pytest.mark.parametrize("name", [*corpus.names("bedrock-converse"), *corpus.names("bedrock-invoke")])
def test_real_streams_as_botocore_reads_them(name: str) -> None:
    body = corpus.stream(name).body
    for cuts in ([], list(range(0, len(body), 7))):
        found, parser = read(body, cuts)
        assert [(dict(one.headers), one.payload) for one in found] == by_botocore(body)
        assert facts(parser) == ([], 0, False)
