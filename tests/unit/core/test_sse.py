"""The event-stream parser: WHATWG's rules, any partition, and what it reports."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.core.messages import Anomaly
from recorder.core.sse import ServerSentEvent, SSEParser
from tests import corpus


def parse(*pieces: bytes) -> tuple[list[ServerSentEvent], SSEParser]:
    parser = SSEParser()
    events = [event for piece in pieces for event in parser.feed(piece)]
    events += parser.close()
    return events, parser


def data_of(body: bytes) -> list[str]:
    return [event.data for event in parse(body)[0]]


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r"])
def test_every_line_end_ends_a_line(ending: bytes) -> None:
    body = b"event: a\ndata: 1\ndata:2\n\n: note\ndata: 3\n\n".replace(b"\n", ending)
    events, parser = parse(body)
    assert [(event.event, event.data) for event in events] == [("a", "1\n2"), ("", "3")]
    assert (parser.comments, parser.anomalies, parser.tail_bytes) == (1, [], 0)


def test_line_ends_may_be_mixed_and_unicode_line_separators_are_text() -> None:
    assert data_of("data: a\u2028b\u0085c\x0b\x0c\x1c\r\ndata: d\n\r".encode()) == ["a\u2028b\u0085c\x0b\x0c\x1c\nd"]


def test_only_one_space_after_the_colon_is_dropped() -> None:
    assert data_of(b"data:  did\n\ndata:\tx\n\ndata\n\n") == [" did", "\tx", ""]


def test_each_event_knows_the_bytes_that_made_it() -> None:
    body = b": ping\n\nid: 7\ndata: one\n\n\ndata: two\r\n\r\nevent: z\ndata: three\n\n"
    events, _ = parse(body)
    assert [body[event.start : event.end] for event in events] == [
        b"id: 7\ndata: one\n\n",
        b"data: two\r\n\r\n",
        b"event: z\ndata: three\n\n",
    ]
    assert [event.last_event_id for event in events] == ["7", "7", "7"]


def test_a_byte_order_mark_is_dropped_once_and_reported() -> None:
    events, parser = parse(b"\xef\xbb\xbfdata: 1\n\n")
    assert [(event.data, event.start, event.end) for event in events] == [("1", 3, 12)]
    assert [fact.kind for fact in parser.anomalies] == ["byte_order_mark"]
    assert data_of(b"\xef\xbb\xbf\xef\xbb\xbfdata:1\n\ndata:2\n\n") == ["2"]


def test_retry_is_kept_and_a_bad_one_is_a_fact() -> None:
    _, parser = parse(b"retry: 1500\nretry: 15x\nretry: -1\n\n")
    assert parser.retry_ms == 1500
    assert [(fact.kind, fact.detail) for fact in parser.anomalies] == [("bad_retry", "15x"), ("bad_retry", "-1")]


def test_nul_in_an_id_ignores_the_id() -> None:
    events, parser = parse(b"id: a\nid: b\0c\ndata: 1\n\n")
    assert events[0].last_event_id == "a"
    assert [(fact.kind, fact.start, fact.end) for fact in parser.anomalies] == [("nul_in_id", 6, 14)]


def test_an_unknown_field_is_dropped_and_reported_whole() -> None:
    events, parser = parse(b'error: {"code": 500}\n\ndata: x\n\n')
    assert [event.data for event in events] == ["x"]
    assert parser.anomalies == [Anomaly("unknown_field", 'error: {"code": 500}', 0, 21)]


def test_a_name_without_data_is_no_event_and_reported() -> None:
    events, parser = parse(b"event: ping\n\ndata: x\n\n")
    assert [(event.event, event.data) for event in events] == [("", "x")]
    assert [(fact.kind, fact.detail) for fact in parser.anomalies] == [("event_without_data", "ping")]


def test_invalid_utf8_is_replaced_and_reported_with_its_place() -> None:
    events, parser = parse(b"data: a\n\ndata: b\xffc\n\n")
    assert [event.data for event in events] == ["a", "b\ufffdc"]
    assert [(fact.kind, fact.start, fact.end) for fact in parser.anomalies] == [("invalid_utf8", 9, 20)]
    assert "0xff" in parser.anomalies[0].detail


@pytest.mark.parametrize(
    ("body", "tail"),
    [
        (b"data: a\n\ndata: [DONE]\n", 13),
        (b"data: a\n\ndata: [DO", 9),
        (b"data: a\n\nevent: x\n", 9),
        (b"data: a\n\n: a comment\n", 0),
        (b"data: a\n\n", 0),
        (b"data: a\n\n\n\n", 0),
    ],
)
def test_what_is_pending_at_the_end_is_dropped_and_counted(body: bytes, tail: int) -> None:
    events, parser = parse(body)
    assert [event.data for event in events] == ["a"]
    assert parser.tail_bytes == tail
    assert [fact.kind for fact in parser.anomalies] == ["unparsed_tail"] * bool(tail)


def test_a_final_cr_ends_the_block_when_the_body_ends() -> None:
    parser = SSEParser()
    assert parser.feed(b"data: a\r\r") == []
    assert [event.data for event in parser.close()] == ["a"]
    assert parser.tail_bytes == 0


EXOTIC = [
    *("data: é😀\u2028".encode(), b"data: \xc3", b"\xef\xbb\xbfdata: q"),
    *(b"event: \xc3\xa9", b"event: \xc3", b"retry: \xb2", b"data: \x0b\x1c\x85"),  # digits and line ends of Latin-1
]
LINES = st.sampled_from(
    [b"data: {}", b"data:x", b"data", b"event: e", b"id: 1", b"id: \0", b"retry: 3", b": c", b"", b"zz: 1", *EXOTIC]
)
BODIES = st.lists(st.tuples(LINES, st.sampled_from([b"\n", b"\n", b"\r\n", b"\r"])), max_size=25).map(
    lambda lines: b"".join(line + ending for line, ending in lines)
)


@settings(max_examples=300, deadline=None)
@given(body=BODIES | st.binary(max_size=60), cuts=st.lists(st.integers(0, 400), max_size=12))
def test_any_partition_gives_the_same_events_and_facts(body: bytes, cuts: list[int]) -> None:
    def outcome(pieces: list[bytes]) -> Any:
        events, parser = parse(*pieces)
        return events, parser.anomalies, parser.comments, parser.retry_ms, parser.tail_bytes

    edges = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    pieces = [body[a:b] for a, b in pairwise(edges)]
    whole = outcome([body])
    assert outcome(pieces) == whole
    assert outcome([body[at : at + 1] for at in range(len(body))]) == whole


@settings(max_examples=200, deadline=None)
@given(body=BODIES)
def test_the_fast_way_and_the_general_way_agree(body: bytes) -> None:
    """A reference written line by line after the specification's text."""
    text = body.decode("utf-8", "replace").removeprefix("\ufeff")
    expected: list[tuple[str, str]] = []
    data: list[str] = []
    name = ""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for line in lines[:-1]:
        if not line:
            if data:
                expected.append((name, "\n".join(data)))
            data, name = [], ""
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            data.append(value)
        elif field == "event":
            name = value
    assert [(event.event, event.data) for event in parse(body)[0]] == expected


@pytest.mark.parametrize("line", [b"data: x\ndata: ", b"event: x\nevent: ", b"data: "])
def test_long_lines_that_make_no_usual_block_cost_linear_time(line: bytes) -> None:
    body = line + b"x" * 3_000_000 + b"\nid: 1\n\n"
    began = time.perf_counter()
    parse(body * 2)
    assert time.perf_counter() - began < 5  # trying each end of each line would take hours


def test_a_long_line_byte_by_byte_costs_linear_time() -> None:
    body = b"data: " + b"x" * 300_000 + b"\n\n"
    began = time.perf_counter()
    events, _ = parse(*[body[at : at + 1] for at in range(len(body))])
    assert len(events[0].data) == 300_000
    assert time.perf_counter() - began < 5  # quadratic copying would take minutes


@corpus.needs_corpus
@pytest.mark.parametrize("case", corpus.sse_cases("wpt_cases.json"), ids=lambda case: case["name"])
def test_web_platform_tests(case: dict[str, Any]) -> None:
    body = case["body_latin1"].encode("latin-1")
    for pieces in ([body], [body[at : at + 1] for at in range(len(body))]):
        events, _ = parse(*pieces)
        assert [
            {"event": event.event or "message", "data": event.data, "last_event_id": event.last_event_id}
            for event in events
        ] == case["expected"]


#: Where an SDK's own test differs from the specification: it emits an event that has a name and no data.
EMITTED_BY_SDKS = {"test_event_missing_data", "test_multiple_events"}


@corpus.needs_corpus
@pytest.mark.parametrize("file", ["openai_sdk_streaming_cases.json", "anthropic_sdk_streaming_cases.json"])
def test_the_cases_of_the_sdks(file: str) -> None:
    cases = corpus.sse_cases(file)
    assert cases
    for case in cases:
        wanted: list[dict[str, str]] = []
        for line in case["sdk_assertions"]:
            if line.startswith("assert sse.event"):
                wanted.append({})
            if line.startswith("assert sse.event == "):
                wanted[-1]["event"] = line.partition(" == ")[2].strip('"')
        events, _ = parse(*(chunk.encode("latin-1") for chunk in case["chunks"]))
        if not wanted:  # about the SDK's errors, not about its events
            continue
        if case["name"] in EMITTED_BY_SDKS:
            assert events == []
            continue
        assert [event.event for event in events] == [item.get("event", "") for item in wanted], case["name"]
