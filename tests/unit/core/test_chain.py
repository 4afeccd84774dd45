"""The hash chain: what it is, byte by byte, and what it finds."""

from __future__ import annotations

import hashlib

import pytest

from recorder.core.chain import ChainVerifier, check, commitment, event_hash, genesis, left_of, link
from recorder.core.events import Event, StreamOpened
from recorder.errors import ChainBroken
from tests.building import ExchangeBuilder


def _u64(value: int) -> bytes:
    return value.to_bytes(8, "big")


def test_it_is_what_the_format_says() -> None:
    """Written down again from the format's description, with nothing of the module's."""
    stream, instance, secret = b"s" * 16, b"i" * 16, b"k" * 32
    meta, body = b'{"a":1}', b"\x00body"
    salt = hashlib.blake2b(_u64(1), digest_size=16, key=secret).digest()
    parts = _u64(len(meta)) + meta + _u64(len(body)) + body
    committed = hashlib.sha256(b"recorder/payload/v1\0" + salt + parts).digest()
    assert commitment(secret, 1, meta, body) == committed
    first = hashlib.sha256(b"recorder/genesis/v1\0" + stream).digest()
    assert genesis(stream) == first
    head = b"recorder/event/v1\0" + first + stream + _u64(1) + _u64(10) + _u64(20) + instance + b"\0\5"
    expected = hashlib.sha256(head + _u64(len(meta) + len(body)) + committed + b"request_sent").digest()
    assert event_hash(first, stream, 1, b"request_sent", 10, 20, instance, 5, 12, committed) == expected
    event = Event(stream, 1, "request_sent", 10, 20, instance, 5, meta.decode(), body, b"")
    assert link(first, secret, event) == expected


def test_absent_and_empty_are_committed_to_apart() -> None:
    absent = (2**64 - 1).to_bytes(8, "big")
    salt = hashlib.blake2b(_u64(2), digest_size=16, key=b"k" * 32).digest()
    expected = hashlib.sha256(b"recorder/payload/v1\0" + salt + absent + absent).digest()
    assert commitment(b"k" * 32, 2, None, None) == expected
    assert len({commitment(b"k" * 32, 1, meta, body) for meta in (None, b"") for body in (None, b"")}) == 4


def _events() -> tuple[ExchangeBuilder, list[Event]]:
    builder = ExchangeBuilder().request({"a": 1}).response().chunks(b"one", b"two", b"three").completed()
    return builder, builder.events


def _findings(builder: ExchangeBuilder, events: list[Event]) -> list[str]:
    verifier, found = ChainVerifier(builder.opened), []
    for event in events:
        try:
            verifier.feed(event)
        except ChainBroken as broken:
            found.append(str(broken))
    return found


def test_a_whole_stream_verifies() -> None:
    assert _findings(*_events()) == []


@pytest.mark.parametrize(
    "change",
    [
        {"type": "trailers_received"},
        {"wall_ns": 1},
        {"mono_ns": 1},
        {"instance": b"x" * 16},
        {"flags": 0},
        {"meta": "{}"},
        {"body": b"twp"},
        {"body": None},
        {"stream": b"x" * 16},
    ],
)
def test_any_changed_field_is_found_once(change: dict[str, object]) -> None:
    builder, events = _events()
    events[3] = events[3]._replace(**change, position=77)  # type: ignore[arg-type]
    assert _findings(builder, events) == ["hash of version 4 does not verify"]


def test_a_missing_event_is_a_gap_and_two_that_changed_places_are_more() -> None:
    builder, events = _events()
    assert _findings(builder, events[:3] + events[4:]) == ["version 4 is missing: 5 follows"]
    swapped = [*events[:2], events[3], events[2], *events[4:]]
    assert _findings(builder, swapped)[0] == "version 3 is missing: 4 follows"


def test_a_finding_tells_its_position() -> None:
    builder, events = _events()
    with pytest.raises(ChainBroken) as raised:
        ChainVerifier(builder.opened).feed(events[0]._replace(wall_ns=0, position=5))
    assert raised.value.position == 5


def test_another_secret_does_not_verify() -> None:
    builder, events = _events()
    other = ExchangeBuilder(2).opened
    verifier = ChainVerifier(other._replace(stream=builder.opened.stream) if hasattr(other, "_replace") else other)
    with pytest.raises(ChainBroken):
        verifier.feed(events[0])


def test_a_stream_is_checked_up_to_the_first_event_that_is_not_what_was_written() -> None:
    built = ExchangeBuilder().request(b"{}").response().chunks(b"a", b"b", b"c").completed()
    check(built.opened, built.events)
    check(None, [])
    with pytest.raises(ChainBroken, match="the opening is missing"):
        check(None, built.events)
    for version, fields, told in (
        (4, {"body": b"x"}, "hash of version 4 does not verify"),
        (1, {"instance": b"short"}, "version 1 holds what was never written"),
        (2, {"wall_ns": "text"}, "an event holds what was never written"),
        (3, {"flags": 1 << 40}, "an event holds what was never written"),
    ):
        events = list(built.events)
        events[version - 1] = events[version - 1]._replace(**fields)
        with pytest.raises(ChainBroken, match=told):
            check(built.opened, events)


def test_what_is_left_of_payloads_verifies_in_their_place() -> None:
    builder, events = _events()
    left = {event.version: left_of(builder.opened, event) for event in events}
    erased = [event._replace(meta=None, body=None) for event in events]
    unsalted = StreamOpened(builder.opened.stream, builder.opened.instance, bytes(32))
    check(unsalted, erased, left)
    check(builder.opened, [*erased[:2], *events[2:]], left)  # some of them: the secret is still there


@pytest.mark.parametrize("version", range(1, 7))
def test_a_payload_that_nothing_is_left_of_is_missed(version: int) -> None:
    builder, events = _events()
    left = {event.version: left_of(builder.opened, event) for event in events}
    erased = [event._replace(meta=None, body=None) for event in events]
    size, committed = left[version]
    for other in ((size + 1, committed), (size, commitment(b"k" * 32, version, None, b"x")), None):
        told = {**left, version: other} if other is not None else {n: one for n, one in left.items() if n != version}
        with pytest.raises(ChainBroken, match=f"version {version} "):
            check(StreamOpened(builder.opened.stream, builder.opened.instance, bytes(32)), erased, told)


def test_a_payload_that_is_there_is_never_taken_for_erased() -> None:
    builder, events = _events()
    left = {event.version: left_of(builder.opened, event) for event in events}
    changed = [event._replace(body=b"another") if event.type == "chunk_received" else event for event in events]
    with pytest.raises(ChainBroken):
        check(builder.opened, changed, left)
