r"""What the ledger commits to: how far each event stream had come when it was sealed.

An entry has a fixed size, so no two of them collide by moving bytes from one field to the next::

    log_id = SHA-256("recorder/origin/v1\0" | origin in UTF-8)
    entry  = "recorder/head/v1\0" 17 | log_id 32 | stream 16 | u64 length | head 32 | u8 state
             | u64 sealed_ns | u64 before                                                       122 bytes

It names its log, so that it means nothing in another one, and the leaf of the same stream before it, so that all
leaves of a stream can be walked from the newest back (docs/format.md has test vectors).
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from typing import Final

from recorder.errors import CorruptRecording

#: The states of a head.
OPEN: Final = 0
ENDED: Final = 1

_ORIGIN_TAG: Final = b"recorder/origin/v1\0"
_TAG: Final = b"recorder/head/v1\0"
_ENTRY: Final = struct.Struct(">17s32s16sQ32sBQQ")
ENTRY_SIZE: Final = _ENTRY.size  # bytes


@dataclass(frozen=True, slots=True)
class Head:
    """How far an event stream has come.

    :ivar stream: its 16-byte id.
    :ivar length: how many events it has.
    :ivar hash: hash of the last one, 32 bytes; it commits to all before.
    :ivar state: :data:`OPEN`, or :data:`ENDED` where its end is among them.
    """

    stream: bytes
    length: int
    hash: bytes
    state: int = OPEN


@dataclass(frozen=True, slots=True)
class Leaf:
    """A head in the ledger.

    :ivar number: its place in the ledger, from 0.
    :ivar head: what was sealed.
    :ivar sealed_ns: when, UTC nanoseconds by the sealing machine's clock.
    :ivar before: number of the leaf of this stream before it, plus 1; 0: it is the first.
    """

    number: int
    head: Head
    sealed_ns: int
    before: int = 0


def log_id(origin: str) -> bytes:
    """Return the 32-byte id of the log that goes by the name *origin*."""
    return hashlib.sha256(_ORIGIN_TAG + origin.encode()).digest()


def encode_entry(log: bytes, leaf: Leaf) -> bytes:
    """Return the bytes that the ledger's tree has as a leaf: :data:`ENTRY_SIZE` of them.

    :param log: the :func:`log_id`.
    :raises ValueError: a field is out of range.
    """
    fault = _fault(leaf.number, leaf.head, leaf.before)
    if len(log) != 32 or len(leaf.head.stream) != 16 or len(leaf.head.hash) != 32:
        fault = "a log id and a hash have 32 bytes, a stream's id 16"
    if fault is not None:
        raise ValueError(fault)
    head = leaf.head
    try:
        return _ENTRY.pack(_TAG, log, head.stream, head.length, head.hash, head.state, leaf.sealed_ns, leaf.before)
    except struct.error as error:
        raise ValueError(f"a number is out of range: {error}") from None


def decode_entry(log: bytes, number: int, entry: bytes) -> Leaf:
    """Return the leaf that an entry says; only the one that encodes to these very bytes.

    :param log: the :func:`log_id` of the ledger that has it.
    :param number: its place there.
    :raises CorruptRecording: it is no entry, is one of another log, or says what cannot be at its place.
    """
    name = f"entry {number} of the ledger"
    if len(entry) != ENTRY_SIZE:
        raise CorruptRecording(f"{name} has {len(entry)} bytes and not {ENTRY_SIZE}")
    tag, found, stream, length, digest, state, sealed_ns, before = _ENTRY.unpack(entry)
    if tag != _TAG:
        raise CorruptRecording(f"{name} is not a head of an event stream: it begins with {tag!r}")
    if found != log:
        raise CorruptRecording(f"{name} is of another log: {found.hex()}, not {log.hex()}")
    head = Head(stream, length, digest, state)
    fault = _fault(number, head, before)
    if fault is not None:
        raise CorruptRecording(f"{name} cannot be: {fault}")
    return Leaf(number, head, sealed_ns, before)


def _fault(number: int, head: Head, before: int) -> str | None:
    if head.length == 0:
        return "a head has at least one event"
    if head.state not in (OPEN, ENDED):
        return f"there is no state {head.state}"
    if before > number:
        return f"the leaf before it, {before - 1}, would not come before it"
    return None
