"""Records: there and back, torn anywhere, damaged anywhere."""

from __future__ import annotations

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.core.codec import (
    TornRecord,
    decode_batch,
    decode_record,
    decode_records,
    encode_opened,
    ends_here,
    event_record,
)
from recorder.core.events import Event, StreamOpened
from recorder.errors import CorruptRecording
from tests.unit.core import records as made_up

OPENED = StreamOpened(b"s" * 16, b"i" * 16, b"k" * 32)
EVENT = Event(b"s" * 16, 1, "chunk_received", 7, 8, b"i" * 16, 3, '{"a":1}', b"body\x00", b"h" * 32)


def _framed(kind: int, content: bytes) -> bytes:
    return struct.pack(">IIB", len(content) + 1, zlib.crc32(bytes((kind,)) + content), kind) + content


@given(st.lists(made_up.events | st.just(OPENED), max_size=5))
def test_what_is_encoded_is_decoded(records: list[Event | StreamOpened]) -> None:
    data = b"".join(event_record(r) if isinstance(r, Event) else encode_opened(r) for r in records)
    found = list(decode_records(data))
    assert [record for record, _ in found] == records
    assert [end for _, end in found][-1:] == [len(data)][: len(found)]
    openings, events, end = decode_batch(data)
    assert (openings, events) == (
        [r for r in records if isinstance(r, StreamOpened)],
        [r for r in records if isinstance(r, Event)],
    )
    assert end == len(data)


def test_an_absent_part_is_not_an_empty_one() -> None:
    for meta, body in ((None, None), ("", None), (None, b""), ("", b"")):
        (((record, _),)) = list(decode_records(event_record(EVENT._replace(meta=meta, body=body))))
        assert isinstance(record, Event)
        assert (record.meta, record.body) == (meta, body)


def test_torn_anywhere_it_is_torn_and_not_corrupt() -> None:
    whole = encode_opened(OPENED)
    data = whole + event_record(EVENT)
    for cut in range(len(whole), len(data)):
        assert [record for record, _ in decode_records(data[:cut])] == [OPENED]
        assert decode_batch(data[:cut]) == ([OPENED], [], len(whole))
        with pytest.raises(TornRecord):
            decode_record(data[:cut], len(whole))


def test_zeros_in_the_place_of_a_record_end_what_is_there() -> None:
    data = encode_opened(OPENED) + event_record(EVENT)
    for more in (bytes(4), bytes(500), bytes(4) + b"what was not finished"):
        assert [record for record, _ in decode_records(data + more)] == [OPENED, EVENT]
        assert decode_batch(data + more) == ([OPENED], [EVENT], len(data))
        assert ends_here(more)
    assert not ends_here(data)


def test_what_stands_before_damage_is_told_first() -> None:
    good, bad = encode_opened(OPENED) + event_record(EVENT), bytearray(event_record(EVENT))
    bad[-1] ^= 1
    data = good + bytes(bad) + good
    assert decode_batch(data) == ([OPENED], [EVENT], len(good))
    with pytest.raises(CorruptRecording, match="checksum"):
        decode_batch(data, len(good))


def test_any_flipped_bit_behind_the_size_is_found() -> None:
    data = event_record(EVENT)
    for at in range(4, len(data)):
        damaged = data[:at] + bytes((data[at] ^ 1,)) + data[at + 1 :]
        with pytest.raises(CorruptRecording):
            list(decode_records(damaged))
        with pytest.raises(CorruptRecording):
            decode_batch(damaged)


@pytest.mark.parametrize(
    ("record", "says"),
    [
        (_framed(9, b"x"), "unknown kind 9"),
        (_framed(1, b"short"), "an opening of 5 bytes"),
        (_framed(1, struct.pack(">H16s16s32s", 3, b"", b"", b"")), "event format 3"),
        (_framed(2, b"short"), "an event of 5 bytes"),
        (_framed(2, event_record(EVENT)[9:] + b"more"), "do not add up"),
        (_framed(2, b"\x00\x07" + event_record(EVENT)[11:]), "event format 7"),
    ],
)
def test_records_that_are_none(record: bytes, says: str) -> None:
    with pytest.raises(CorruptRecording, match=says.replace("an opening", "a stream's opening")):
        list(decode_records(record))
