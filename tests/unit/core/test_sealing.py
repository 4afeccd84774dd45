"""The hot path of recording: what it makes is what chain and codec make."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from recorder.core.chain import commitment, event_hash
from recorder.core.codec import encode_event
from recorder.core.events import TYPE_CODES, StreamOpened
from recorder.core.sealing import sealer

_parts = st.none() | st.binary(max_size=40)
_u64s = st.integers(0, 2**64 - 1)


@given(
    st.binary(min_size=32, max_size=32),
    _u64s,
    st.sampled_from([b"chunk_received", *(name.encode() for name in TYPE_CODES)]),
    _u64s,
    _u64s,
    st.integers(0, 65535),
    _parts,
    _parts,
)
def test_hash_and_record_are_those_of_the_format(
    previous: bytes,
    version: int,
    kind: bytes,
    wall_ns: int,
    mono_ns: int,
    flags: int,
    meta: bytes | None,
    body: bytes | None,
) -> None:
    stream, instance, secret = b"s" * 16, b"i" * 16, b"k" * 32
    size = len(meta or b"") + len(body or b"")
    committed = commitment(secret, version, meta, body)
    digest = event_hash(previous, stream, version, kind, wall_ns, mono_ns, instance, flags, size, committed)
    record = encode_event(stream, version, kind, wall_ns, mono_ns, instance, flags, meta, body, digest)
    seal = sealer(StreamOpened(stream, instance, secret))
    assert seal(previous, version, kind, wall_ns, mono_ns, flags, meta, body) == (digest, record)
