"""The entries of the ledger, byte by byte, and what is refused as one."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.core.heads import ENDED, ENTRY_SIZE, OPEN, Head, Leaf, decode_entry, encode_entry, log_id
from recorder.errors import CorruptRecording

LOG = log_id("recorder/0123456789abcdef")
LEAF = Leaf(7, Head(b"s" * 16, 3, b"h" * 32, ENDED), 1_790_000_000_000_000_000, 5)


def test_it_is_what_the_format_says() -> None:
    assert hashlib.sha256(b"recorder/origin/v1\0recorder/0123456789abcdef").digest() == LOG
    entry = encode_entry(LOG, LEAF)
    expected = b"recorder/head/v1\0" + LOG + b"s" * 16 + (3).to_bytes(8, "big") + b"h" * 32 + b"\1"
    assert entry == expected + LEAF.sealed_ns.to_bytes(8, "big") + (5).to_bytes(8, "big")
    assert len(entry) == ENTRY_SIZE == 122


@settings(deadline=None)
@given(
    number=st.integers(0, 2**63 - 1),
    stream=st.binary(min_size=16, max_size=16),
    length=st.integers(1, 2**64 - 1),
    digest=st.binary(min_size=32, max_size=32),
    state=st.sampled_from((OPEN, ENDED)),
    sealed_ns=st.integers(0, 2**64 - 1),
    back=st.integers(0, 2**63),
)
def test_what_is_encoded_is_decoded(
    number: int, stream: bytes, length: int, digest: bytes, state: int, sealed_ns: int, back: int
) -> None:
    leaf = Leaf(number, Head(stream, length, digest, state), sealed_ns, min(back, number))
    assert decode_entry(LOG, number, encode_entry(LOG, leaf)) == leaf


@settings(deadline=None)
@given(at=st.integers(0, ENTRY_SIZE - 1), bit=st.integers(0, 7))
def test_a_changed_bit_is_refused_or_another_leaf(at: int, bit: int) -> None:
    entry = bytearray(encode_entry(LOG, LEAF))
    entry[at] ^= 1 << bit
    try:
        found = decode_entry(LOG, LEAF.number, bytes(entry))
    except CorruptRecording:
        assert at < 17 + 32 or at in range(65, 73) or at == 105 or at >= 114
        return
    assert found != LEAF
    assert encode_entry(LOG, found) == entry


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (b"", "entry 7 of the ledger has 0 bytes and not 122"),
        (encode_entry(LOG, LEAF) + b"\0", "entry 7 of the ledger has 123 bytes and not 122"),
        (b"x" + encode_entry(LOG, LEAF)[1:], "entry 7 of the ledger is not a head of an event stream: it begins with"),
        (encode_entry(log_id("other"), LEAF), f"entry 7 of the ledger is of another log: {log_id('other').hex()}, not"),
        (
            encode_entry(LOG, LEAF)[:105] + b"\2" + encode_entry(LOG, LEAF)[106:],
            "entry 7 of the ledger cannot be: there is no state 2",
        ),
        (
            encode_entry(LOG, LEAF)[:65] + b"\0" * 8 + encode_entry(LOG, LEAF)[73:],
            "entry 7 of the ledger cannot be: a head has at least one event",
        ),
        (
            encode_entry(LOG, LEAF)[:-1] + b"\x08",
            "entry 7 of the ledger cannot be: the leaf before it, 7, would not come before it",
        ),
    ],
)
def test_damage_is_told(entry: bytes, message: str) -> None:
    with pytest.raises(CorruptRecording) as raised:
        decode_entry(LOG, 7, entry)
    assert str(raised.value).startswith(message)


@pytest.mark.parametrize(
    "leaf",
    [
        replace(LEAF, head=replace(LEAF.head, stream=b"s")),
        replace(LEAF, head=replace(LEAF.head, hash=b"h" * 31)),
        replace(LEAF, head=replace(LEAF.head, length=0)),
        replace(LEAF, head=replace(LEAF.head, length=2**64)),
        replace(LEAF, head=replace(LEAF.head, state=2)),
        replace(LEAF, sealed_ns=-1),
        replace(LEAF, before=8),
    ],
)
def test_what_is_out_of_range_is_not_encoded(leaf: Leaf) -> None:
    with pytest.raises(ValueError, match=r"range|bytes|event|state|before"):
        encode_entry(LOG, leaf)


def test_a_log_id_has_its_size() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        encode_entry(b"log", LEAF)
