"""Deframing and rendering are inverse: what the socket returned is what the tape returns."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.core.deframing import Deframer, Piece, head_end
from recorder.core.events import FRAME_CLOSED, FRAME_END, READ_END, VERBATIM, Event, meta_text
from recorder.core.tape import Tape, render

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def events_of(pieces: list[Piece], framing: str) -> list[Event]:
    def event(version: int, kind: str, flags: int, meta: str | None, body: bytes | None) -> Event:
        return Event(b"s" * 16, version, kind, 0, version, b"i" * 16, flags, meta, body, b"")

    start = event(2, "response_started", READ_END, meta_text({"status": 200, "framing": framing}), HEAD)
    return [event(1, "request_sent", 0, "{}", b""), start] + [
        event(3 + n, piece.type, piece.flags, piece.meta, piece.body) for n, piece in enumerate(pieces)
    ]


def record(reads: list[bytes], framing: str, length: int | None = None, *, eof: bool = True) -> list[Piece]:
    deframer = Deframer(framing, length)
    pieces = deframer.begin()
    for read in reads:
        if not deframer.done:
            pieces += deframer.feed(read)
    if eof and not deframer.done:
        pieces.append(deframer.end_of_input())
    return pieces


def tape_of(pieces: list[Piece], framing: str) -> Tape:
    return render(events_of(pieces, framing))


def body_of(pieces: list[Piece]) -> bytes:
    return b"".join(p.body or b"" for p in pieces if p.type == "chunk_received" and not p.flags & VERBATIM)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted({place % (len(data) + 1) for place in places}), len(data)]
    return [data[a:b] for a, b in pairwise(edges) if a < b]


SIZE_LINES = st.sampled_from(["%x\r\n", "%X\r\n", "0%x\r\n", "%x;name=value\r\n", "%x \r\n", "%x\n"])
FRAMES = st.lists(st.tuples(st.binary(min_size=1, max_size=40), SIZE_LINES), max_size=8)
TRAILERS = [b"0\r\nX-Sum: 1\r\nX-More: 2\r\n\r\n", b"0;last\r\nA: b\r\n\r\n"]
ENDS = st.sampled_from([b"0\r\n\r\n", b"00\r\n\r\n", *TRAILERS, b"", b"5\r\nab"])
PLACES = st.lists(st.integers(0, 2000), max_size=30)


@given(FRAMES, ENDS, PLACES)
@settings(max_examples=400, deadline=None)
def test_any_partition_of_a_chunked_body_renders_the_same_reads(frames, end, places):
    wire = b"".join((line % len(data)).encode() + data + b"\r\n" for data, line in frames) + end
    reads = cut(wire, places)
    pieces = record(reads, "chunked")
    tape = tape_of(pieces, "chunked")
    assert [read.data for read in tape.reads][1:] == reads
    whole = b"".join(data for data, _ in frames) + (b"ab" if end.startswith(b"5") else b"")
    assert body_of(pieces) == whole
    assert tape.end == ("response_completed" if end.startswith(b"0") else "response_truncated")


@given(st.binary(max_size=300), PLACES, st.integers(0, 400))
@settings(max_examples=200, deadline=None)
def test_any_partition_of_a_body_of_known_length(body, places, length):
    reads = cut(body, places)
    pieces = record(reads, "length", length)
    tape = tape_of(pieces, "length")
    assert body_of(pieces) == body[:length]
    assert tape.end == ("response_completed" if len(body) >= length else "response_truncated")
    if len(body) <= length:
        assert [read.data for read in tape.reads][1:] == reads


@given(st.binary(max_size=300), PLACES)
def test_a_close_delimited_body_ends_with_the_connection(body, places):
    reads = cut(body, places)
    tape = tape_of(record(reads, "close"), "close")
    assert [read.data for read in tape.reads][1:] == reads
    assert tape.end == "response_completed"


def test_a_whole_plain_frame_needs_no_meta():
    assert record([b"5\r\nhello\r\n"], "chunked", eof=False) == [
        Piece("chunk_received", FRAME_END | READ_END | FRAME_CLOSED, None, b"hello", 3)
    ]


def test_frames_of_one_read_are_pieces_of_their_own():
    pieces = record([b"1\r\na\r\n2\r\nbc\r\n"], "chunked", eof=False)
    assert [(p.body, bool(p.flags & READ_END)) for p in pieces] == [(b"a", False), (b"bc", True)]


@pytest.mark.parametrize("line", [b"zz\r\n", b"-1\r\n", b"\r\n", b"5 5\r\n"])
def test_a_malformed_size_is_kept_verbatim(line):
    reads = [b"2\r\nab\r\n", line + b"rest", b"more"]
    deframer = Deframer("chunked")
    pieces = [piece for read in reads for piece in deframer.feed(read)]
    assert deframer.malformed
    assert not deframer.done
    assert [p.flags & VERBATIM for p in pieces] == [0, VERBATIM, VERBATIM, VERBATIM]
    assert [read.data for read in tape_of(pieces, "chunked").reads][1:] == reads


def test_a_malformed_size_line_over_several_reads_keeps_every_byte():
    reads = [b"2\r\nab", b"\r", b"\nz", b"z\r\n"]
    deframer = Deframer("chunked")
    pieces = [piece for read in reads for piece in deframer.feed(read)]
    assert [read.data for read in tape_of(pieces, "chunked").reads[1:]] == reads


def test_what_follows_the_end_is_kept():
    (piece,) = record([b"0\r\n\r\nHTTP/1.1 garbage"], "chunked")
    assert (piece.type, piece.body) == ("response_completed", b"HTTP/1.1 garbage")


@pytest.mark.parametrize(("framing", "length"), [("none", None), ("length", 0)])
def test_a_response_without_a_body_is_complete_at_its_head(framing, length):
    assert [p.type for p in Deframer(framing, length).begin()] == ["response_completed"]
    (piece,) = Deframer(framing, length).feed(b"hello")  # what came with the head
    assert (piece.type, piece.body) == ("response_completed", b"hello")


def test_the_state_names_what_was_announced_and_what_lies_in_the_framing():
    deframer = Deframer("length", 10)
    deframer.feed(b"abc")
    assert deframer.state() == {"received": 3, "expected": 10}
    deframer = Deframer("chunked")
    deframer.feed(b"1\r\na\r\n5")
    assert deframer.state() == {"received": 1, "tail": "5"}


@pytest.mark.parametrize(
    ("data", "end"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\nbody", 19),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nA: b\r\n\r\nx", 50),
        (b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", 28),
        (b"HTTP/1.1 200 OK\nA: b\n\nbody", 22),
        (b"HTTP/1.1 200 OK\r\nA: b\r\n", -1),
        (b"HTTP/1.1 100 Continue\r\n\r\n", -1),
        (b"", -1),
    ],
)
def test_where_a_head_ends(data, end):
    assert head_end(data) == end
