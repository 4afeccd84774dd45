r"""The hash chain of an event stream.

Every event's hash commits to the one before it, and to its payload through a salted commitment, so
that a payload can be erased later while the chain still verifies (docs/format.md has test vectors)::

    genesis    = SHA-256("recorder/genesis/v1\0" | stream)
    salt       = BLAKE2b-128(key=secret, u64 version)                       RFC 7693, keyed
    commitment = SHA-256("recorder/payload/v1\0" | salt 16 | part(meta) | part(body))
    hash       = SHA-256("recorder/event/v1\0" | previous 32 | stream 16 | u64 version | u64 wall_ns
                         | u64 mono_ns | instance 16 | u16 flags | u64 size | commitment 32 | type)

``part(x)`` is ``u64 length | x``, with a length of 2^64-1 for an absent part; ``size`` is the number
of payload bytes (meta and body). Every field but the last has a fixed size, so no two inputs collide
by moving bytes from one field to the next. The tags separate the domains.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from recorder.core.events import SEALED_FORMAT, Event, StreamOpened
from recorder.errors import ChainBroken, CorruptRecording

_GENESIS: Final = b"recorder/genesis/v1\0"
PAYLOAD_TAG: Final = b"recorder/payload/v1\0"
EVENT_TAG: Final = b"recorder/event/v1\0"
_CHUNK: Final = b"chunk_received"
ABSENT: Final = 0xFFFFFFFFFFFFFFFF
_LINK: Final = struct.Struct(">18s32s16sQQQ16sHQ32s")
LINK_CHUNK: Final = struct.Struct(_LINK.format + f"{len(_CHUNK)}s")
U64: Final = struct.Struct(">Q")
_SALTED: Final = struct.Struct(">20s16sQ")
SALTED_BODY: Final = struct.Struct(">20s16sQQ")  # with the length of the body, after an absent meta

#: What a payload begins with that is sealed (:mod:`recorder.core.sealed_payloads`): its size, and the commitment to it.
SEALED_HEAD: Final = struct.Struct(">Q32s")
#: The shortest one: with a nonce, two parts that are absent, and the check of the cipher.
SEALED_LEAST: Final = SEALED_HEAD.size + 12 + 2 * U64.size + 16

NOTHING_ERASED: Final[Mapping[int, tuple[int, bytes]]] = MappingProxyType({})

_sha256 = hashlib.sha256
_blake2b = hashlib.blake2b


def genesis(stream: bytes) -> bytes:
    """Return what the first event of *stream* names as its predecessor."""
    return _sha256(_GENESIS + stream).digest()


def commitment(secret: bytes, version: int, meta: bytes | None, body: bytes | None) -> bytes:
    """Return the salted commitment to a payload: 32 bytes.

    :param secret: the stream's secret; whoever does not have it cannot guess a short payload.
    """
    salt = _blake2b(U64.pack(version), digest_size=16, key=secret).digest()
    size = ABSENT if meta is None else len(meta)
    tail = U64.pack(ABSENT) if body is None else U64.pack(len(body)) + body
    return _sha256(_SALTED.pack(PAYLOAD_TAG, salt, size) + (meta or b"") + tail).digest()


def event_hash(
    previous: bytes,
    stream: bytes,
    version: int,
    type_name: bytes,
    wall_ns: int,
    mono_ns: int,
    instance: bytes,
    flags: int,
    size: int,
    committed: bytes,
) -> bytes:
    """Return the hash of one event: 32 bytes.

    :param previous: hash of the event before, or :func:`genesis`.
    :param size: payload bytes, meta and body together.
    :param committed: the payload's :func:`commitment`.
    """
    head = _LINK.pack(EVENT_TAG, previous, stream, version, wall_ns, mono_ns, instance, flags, size, committed)
    return _sha256(head + type_name).digest()


def link(previous: bytes, secret: bytes, event: Event) -> bytes:
    """Return the hash that *event* must have after *previous*."""
    meta = None if event.meta is None else event.meta.encode("utf-8")
    body = event.body
    size = len(meta or b"") + len(body or b"")
    return event_hash(
        previous,
        event.stream,
        event.version,
        event.type.encode("utf-8"),
        event.wall_ns,
        event.mono_ns,
        event.instance,
        event.flags,
        size,
        commitment(secret, event.version, meta, body),
    )


def told_of(event: Event) -> tuple[int, bytes] | None:
    """Return size of, and commitment to, a payload that is sealed; None where nothing that was sealed stands there."""
    stored = event.body
    if event.meta is not None or not isinstance(stored, bytes) or len(stored) < SEALED_LEAST:
        return None
    size, committed = SEALED_HEAD.unpack_from(stored)
    return size, committed


def follows(opened: StreamOpened, previous: bytes, event: Event) -> bool:
    """Return whether an event, as it is stored, has the hash that it must have after *previous*; sealed or not."""
    if opened.format != SEALED_FORMAT:
        return link(previous, opened.secret, event) == event.hash
    told = told_of(event)
    if told is None:
        return False
    place = (event.stream, event.version, event.type.encode(), event.wall_ns, event.mono_ns, event.instance)
    return event_hash(previous, *place, event.flags, *told) == event.hash


@dataclass(frozen=True, slots=True)
class Finding:
    """What an audit reports: a value, not an exception.

    :ivar exchange: id of the event stream as text.
    :ivar version: version of the event, where there is one.
    :ivar field: the field that is wrong.
    :ivar kind: a stable word. Of events: ``hash``, ``version``, ``opening``, ``type``, ``meta``, ``order``,
        ``storage``, ``erasure``. Of what is missing: ``omitted``. Of the ledger: ``leaf``, ``tree``, ``signature``,
        ``key``. Of what is said elsewhere: ``journal``, ``rolled_back``, ``rewritten``, ``unsigned``, ``anchor``. Of
        times: ``clock``, ``back_dated``. Of views: ``projection``.
    :ivar detail: one sentence.
    """

    exchange: str
    version: int | None
    field: str
    kind: str
    detail: str


_EVER: Final = (1 << 63) - 1  # beyond every version; a larger one would make counting them slow
_LARGEST: Final = (1 << 64) - 1  # of times, and of differences of two: a u64 holds each


@dataclass(slots=True)
class Window:
    """Which chunks :meth:`ChainVerifier.pass_chunks` takes by itself: those of which nobody has to look at more.

    :ivar until: the version before which they are.
    :ivar earliest: the least ``wall_ns``, ``latest`` the largest.
    :ivar least: the least difference of ``wall_ns`` and ``mono_ns``, ``most`` the largest.
    """

    until: int = _EVER
    earliest: int = 0
    latest: int = _LARGEST
    least: int = -_LARGEST
    most: int = _LARGEST


_ALL: Final = Window()


class ChainVerifier:
    """Verifies one event stream incrementally: feed its events in order.

    :param opened: the stream's opening.
    :ivar passed: the last chunk that :meth:`pass_chunks` took, if the last call took any.
    """

    def __init__(self, opened: StreamOpened) -> None:
        self._opened = opened
        self._salted = _blake2b(digest_size=16, key=opened.secret)
        self._own = opened.instance if len(opened.instance) == 16 else None  # whose size need not be looked at again
        self.version = 0
        self.head = genesis(opened.stream)
        self.passed: Event | None = None

    def pass_chunks(self, events: Iterator[Event], window: Window = _ALL) -> Event | None:
        """Take what a stream mostly consists of: stored chunks without facts of their own, which verify.

        Written out for speed, since the audit of a large store does nothing else; it takes half the time.

        :param window: which of them.
        :returns: the first event that is none of these or does not verify, not taken; None at the end.
        """
        salt_of, pack_u64, pack_salted, pack_link = self._salted.copy, U64.pack, SALTED_BODY.pack, LINK_CHUNK.pack
        sha256, payload_tag, event_tag, chunk, absent = _sha256, PAYLOAD_TAG, EVENT_TAG, _CHUNK, ABSENT
        stream, own, head, version = self._opened.stream, self._own, self.head, self.version
        earliest, latest, least, most, passed = window.earliest, window.latest, window.least, window.most, None
        try:
            for following, event in zip(range(version + 1, min(window.until, _EVER)), events, strict=False):
                _, found, kind, wall_ns, mono_ns, instance, flags, meta, body, digest, position = event
                if meta is not None or kind != "chunk_received" or found != following or body is None or not position:
                    return event
                try:
                    if not (earliest <= wall_ns <= latest and least <= wall_ns - mono_ns <= most):
                        return event
                    if instance is not own and len(instance) != 16:  # struct fills up or cuts off: the hash may hold
                        return event
                    salt = salt_of()
                    salt.update(pack_u64(found))
                    size = len(body)
                    committed = sha256(pack_salted(payload_tag, salt.digest(), absent, size) + body).digest()
                    linked = pack_link(
                        event_tag, head, stream, found, wall_ns, mono_ns, instance, flags, size, committed, chunk
                    )
                    if sha256(linked).digest() != digest:
                        return event
                except (struct.error, TypeError):  # values of a type or size that was never written
                    return event
                head, version, passed = digest, found, event
            return next(events, None)
        finally:
            self.head, self.version, self.passed = head, version, passed

    def verifies(self, event: Event) -> bool:
        """Return whether *event* has the hash that it must have after the last one."""
        return follows(self._opened, self.head, event)

    def verifies_without(self, event: Event, size: int, committed: bytes) -> bool:
        """Return whether *event*, whose payload was erased, has the hash that it must have after the last one.

        :param size: of its payload; *committed*: the commitment to it.
        """
        return event.hash == event_hash(
            self.head,
            event.stream,
            event.version,
            event.type.encode(),
            event.wall_ns,
            event.mono_ns,
            event.instance,
            event.flags,
            size,
            committed,
        )

    def skip_to(self, event: Event) -> None:
        """Go on after *event*, whatever came before it and whether or not it verifies."""
        digest: object = event.hash  # what was read, which may be what was never written
        self.version = event.version
        self.head = digest if isinstance(digest, bytes) else b""

    def feed(self, event: Event, left: tuple[int, bytes] | None = None) -> None:
        """Take the next event.

        After a mismatch the verifier goes on from the *stored* hash, so that one changed event is
        reported once and not with everything that follows it.

        :param left: size and commitment of its payload, where that was erased.
        :raises ChainBroken: the version has a gap, or the hash does not verify.
        """
        expected = self.version + 1
        verifies = self.verifies(event) if left is None else self.verifies_without(event, *left)
        self.skip_to(event)
        if event.version != expected:
            raise ChainBroken(f"version {expected} is missing: {event.version} follows", position=event.position)
        if not verifies:
            raise ChainBroken(f"hash of version {event.version} does not verify", position=event.position)


def left_of(opened: StreamOpened, event: Event) -> tuple[int, bytes]:
    """Return the size of a payload and the commitment to it: what verifies in its place when it is erased.

    :raises CorruptRecording: its stream is sealed, and nothing that was sealed stands there.
    """
    if opened.format == SEALED_FORMAT:
        told = told_of(event)
        if told is None:
            raise CorruptRecording(f"version {event.version} holds nothing that was sealed: see `recorder verify`")
        return told
    meta = None if event.meta is None else event.meta.encode()
    size = len(meta or b"") + len(event.body or b"")
    return size, commitment(opened.secret, event.version, meta, event.body)


def check(
    opened: StreamOpened | None, events: Iterable[Event], erased: Mapping[int, tuple[int, bytes]] = NOTHING_ERASED
) -> None:
    """Check one event stream by its chain, up to the first event that is not what was written.

    :param opened: its opening; None where that is missing.
    :param erased: by version, size and commitment of the payloads that were erased on record.
    :raises ChainBroken: with the event that is changed or missing.
    """
    stored = iter(events)
    if opened is None:
        if next(stored, None) is not None:
            raise ChainBroken("the opening is missing, so no hash can be checked")
        return
    try:
        verifier = ChainVerifier(opened)
        while (event := verifier.pass_chunks(stored)) is not None:
            if len(event.instance) != 16:  # struct fills up or cuts off: the hash may hold all the same
                raise ChainBroken(f"version {event.version} holds what was never written", position=event.position)
            gone = event.meta is None and event.body is None
            verifier.feed(event, erased.get(event.version) if gone else None)
    except (struct.error, TypeError, ValueError, AttributeError):  # values of a type or size that was never written
        raise ChainBroken("an event holds what was never written") from None
