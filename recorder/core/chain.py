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
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from recorder.core.events import TYPE_CODES, Event, StreamOpened
from recorder.errors import ChainBroken

_GENESIS: Final = b"recorder/genesis/v1\0"
_PAYLOAD: Final = b"recorder/payload/v1\0"
_EVENT: Final = b"recorder/event/v1\0"
_ABSENT: Final = 0xFFFFFFFFFFFFFFFF
_LINK: Final = struct.Struct(">18s32s16sQQQ16sHQ32s")
_U64: Final = struct.Struct(">Q")
_SALTED: Final = struct.Struct(">20s16sQ")
_SALTED_BODY_ONLY: Final = struct.Struct(">20s16sQQ")

_TYPE_NAMES: Final = {name: name.encode("ascii") for name in TYPE_CODES}
_sha256 = hashlib.sha256
_blake2b = hashlib.blake2b


def genesis(stream: bytes) -> bytes:
    """Return what the first event of *stream* names as its predecessor."""
    return _sha256(_GENESIS + stream).digest()


def commitment(secret: bytes, version: int, meta: bytes | None, body: bytes | None) -> bytes:
    """Return the salted commitment to a payload: 32 bytes.

    :param secret: the stream's secret; whoever does not have it cannot guess a short payload.
    """
    salt = _blake2b(_U64.pack(version), digest_size=16, key=secret).digest()
    size = _ABSENT if meta is None else len(meta)
    tail = _U64.pack(_ABSENT) if body is None else _U64.pack(len(body)) + body
    return _sha256(_SALTED.pack(_PAYLOAD, salt, size) + (meta or b"") + tail).digest()


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
    head = _LINK.pack(_EVENT, previous, stream, version, wall_ns, mono_ns, instance, flags, size, committed)
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


def linker(stream: bytes, secret: bytes) -> Callable[[bytes, Event], bytes]:
    """Return :func:`link` for the events of one stream, with everything that they share made ready.

    For audits, which do nothing else: it takes two thirds of the time.
    """
    salted = _blake2b(digest_size=16, key=secret)
    salt_of, pack_u64, pack_salted, pack_link, sha256 = salted.copy, _U64.pack, _SALTED.pack, _LINK.pack, _sha256
    no_body, names = pack_u64(_ABSENT), _TYPE_NAMES

    def linked(previous: bytes, event: Event) -> bytes:
        _, version, kind, wall_ns, mono_ns, instance, flags, meta, body, _, _ = event
        salt = salt_of()
        salt.update(pack_u64(version))
        tail = no_body if body is None else pack_u64(len(body)) + body
        size = 0 if body is None else len(body)
        if meta is None:
            committed = sha256(pack_salted(_PAYLOAD, salt.digest(), _ABSENT) + tail).digest()
        else:
            text = meta.encode("utf-8")
            size += len(text)
            committed = sha256(pack_salted(_PAYLOAD, salt.digest(), len(text)) + text + tail).digest()
        head = pack_link(_EVENT, previous, stream, version, wall_ns, mono_ns, instance, flags, size, committed)
        return sha256(head + (names.get(kind) or kind.encode("utf-8"))).digest()

    return linked


def hasher(
    stream: bytes, instance: bytes, secret: bytes
) -> Callable[[bytes, int, bytes, int, int, int, bytes | None, bytes | None], bytes]:
    """Return what hashes the events of one stream as they are recorded, with everything that they share made ready.

    The returned function takes previous hash, version, type name, wall and monotonic nanoseconds, flags,
    meta and body, and returns what :func:`event_hash` does: this is the hot path of recording.
    """
    salt_of, pack_u64, sha256 = _blake2b(digest_size=16, key=secret).copy, _U64.pack, _sha256
    pack_salted, pack_body_only, pack_link = _SALTED.pack, _SALTED_BODY_ONLY.pack, _LINK.pack
    no_body = pack_u64(_ABSENT)

    def hashed(
        previous: bytes,
        version: int,
        type_name: bytes,
        wall_ns: int,
        mono_ns: int,
        flags: int,
        meta: bytes | None,
        body: bytes | None,
    ) -> bytes:
        salt = salt_of()
        salt.update(pack_u64(version))
        if meta is None and body is not None:
            size = len(body)
            committed = sha256(pack_body_only(_PAYLOAD, salt.digest(), _ABSENT, size) + body)
        else:
            tail = no_body if body is None else pack_u64(len(body)) + body
            size = len(meta or b"") + len(body or b"")
            salted = pack_salted(_PAYLOAD, salt.digest(), _ABSENT if meta is None else len(meta))
            committed = sha256(salted + (meta or b"") + tail)
        return sha256(
            pack_link(_EVENT, previous, stream, version, wall_ns, mono_ns, instance, flags, size, committed.digest())
            + type_name
        ).digest()

    return hashed


@dataclass(frozen=True, slots=True)
class Finding:
    """What an audit reports: a value, not an exception.

    :ivar exchange: id of the event stream as text.
    :ivar version: version of the event, where there is one.
    :ivar field: the field that is wrong.
    :ivar kind: a stable word: ``hash``, ``version``, ``opening``, ``type``, ``meta``, ``order``,
        ``storage``.
    :ivar detail: one sentence.
    """

    exchange: str
    version: int | None
    field: str
    kind: str
    detail: str


class ChainVerifier:
    """Verifies one event stream incrementally: feed its events in order.

    :param opened: the stream's opening.
    """

    def __init__(self, opened: StreamOpened) -> None:
        self._opened = opened
        self.version = 0
        self.head = genesis(opened.stream)

    def feed(self, event: Event) -> None:
        """Take the next event.

        After a mismatch the verifier goes on from the *stored* hash, so that one changed event is
        reported once and not with everything that follows it.

        :raises ChainBroken: the version has a gap, or the hash does not verify.
        """
        expected = self.version + 1
        computed = link(self.head, self._opened.secret, event)
        self.version, self.head = event.version, event.hash
        if event.version != expected:
            raise ChainBroken(f"version {expected} is missing: {event.version} follows", position=event.position)
        if computed != event.hash:
            raise ChainBroken(f"hash of version {event.version} does not verify", position=event.position)
