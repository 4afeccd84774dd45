"""Records behind damage: all that are there, none that is not, and no time spent on what only looks like one."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.core.codec import EVENT, FRAME, encode_opened, event_record
from recorder.core.events import Event, StreamOpened
from recorder.core.record_search import FUTILE, RecordSearch
from tests.unit.core import records as made_up

OPENED = StreamOpened(b"s" * 16, b"i" * 16, b"k" * 32)
EVENT_1 = Event(b"s" * 16, 1, "chunk_received", 7, 8, b"i" * 16, 3, '{"a":1}', b"body\x00", b"h" * 32)


def _lookalike(instance: bytes, body: int) -> bytes:
    """The beginning of an event of which everything is right but its checksum: its payload is what follows it."""
    content = EVENT.pack(1, 0, bytes(16), 1, 0, 0, instance, bytes(32), 14, 0xFFFFFFFF, body)
    return FRAME.pack(len(content) + 14 + body + 1, 0, 2) + content


@given(st.lists(made_up.events, min_size=1, max_size=5), st.data())
def test_one_damaged_byte_hides_one_record(events: list[Event], data: st.DataObject) -> None:
    records = [event_record(event) for event in events]
    hit = data.draw(st.integers(0, len(events) - 1))
    at = sum(map(len, records[:hit])) + data.draw(st.integers(0, len(records[hit]) - 1))
    whole = bytearray(b"".join(records))
    whole[at] ^= data.draw(st.integers(1, 255))
    found = list(RecordSearch(bytes(whole)))
    assert [one.record for one in found] == events[:hit] + events[hit + 1 :]
    assert all(whole[one.start : one.end] == event_record(one.record) for one in found if isinstance(one.record, Event))
    assert list(RecordSearch(b"")) == []


def test_only_records_of_the_process_that_is_asked_for_are_found() -> None:
    other = StreamOpened(b"t" * 16, b".*?(][|\n........"[:16], b"k" * 32)
    records = [encode_opened(OPENED), encode_opened(other), event_record(EVENT_1)]
    records.append(event_record(EVENT_1._replace(instance=other.instance)))
    data = b"between" + b"\x02\x00\x01".join(records)
    assert len(list(RecordSearch(data))) == 4
    assert [one.record for one in RecordSearch(data, 0, b"i" * 16)] == [OPENED, EVENT_1]
    assert [one.record for one in RecordSearch(data, 0, other.instance)] == [
        other,
        EVENT_1._replace(instance=other.instance),
    ]
    assert [one.record for one in RecordSearch(data, len(data) - 20)] == []


@pytest.mark.parametrize(
    "pattern",
    [
        b"\x01\xf0\x00\x00----\x01\x00\x01",  # a size of megabytes, a checksum, a kind and a format
        b"\x00\x00\x00\x43----\x01\x00\x01",  # that of an opening
        b"\x00\x00\x00\xff----\x02\x00\x01",
        b"\x01\x00\x01",
        b"\x02\x00",
    ],
)
def test_what_only_begins_like_a_record_costs_no_reading(pattern: bytes) -> None:
    data = (pattern * (200_000 // len(pattern) + 1))[:200_000]
    search = RecordSearch(data + event_record(EVENT_1))
    assert [one.record for one in search] == ([] if search.exhausted else [EVENT_1])
    assert search.futile <= FUTILE * (len(data) + len(event_record(EVENT_1)))
    named = RecordSearch(data + event_record(EVENT_1), 0, b"i" * 16)
    assert [one.record for one in named] == [EVENT_1]
    assert named.futile == 0


@given(st.integers(1, 300), st.integers(0, 40), st.booleans())
def test_a_hostile_payload_is_read_a_few_times_at_most(count: int, filling: int, known: bool) -> None:
    """Each of *count* records claims all that follows, and only its checksum tells that it is none."""
    step = len(_lookalike(bytes(16), 0)) + filling
    size = count * step
    pieces = [_lookalike(b"i" * 16, size - number * step - step + filling).ljust(step) for number in range(count)]
    data = b"".join(pieces) + b" " * 14
    search = RecordSearch(data, 0, b"i" * 16 if known else None)
    assert list(search) == []
    assert search.futile <= FUTILE * len(data)
    assert search.exhausted == (sum(len(data) - number * step for number in range(count)) > FUTILE * len(data))


def test_a_search_counts_what_it_reads_for_nothing() -> None:
    damaged = bytearray(event_record(EVENT_1))
    damaged[-1] ^= 1
    search = RecordSearch(bytes(damaged) + event_record(EVENT_1))
    assert [one.start for one in search] == [len(damaged)]
    assert (search.futile, search.exhausted) == (len(damaged), False)
    cut = RecordSearch(struct.pack(">IIBH", 200, 0, 2, 1))
    assert (list(cut), cut.futile) == ([], 0)
