"""An event's hash and its record, made in one step: the hot path of recording.

What comes out is what :mod:`recorder.core.chain` and :mod:`recorder.core.codec` make of the same fields;
for a chunk without facts of its own, as almost all events are, it is written out here in one function.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Callable
from typing import Final, Protocol

from recorder.core import chain, codec
from recorder.core.events import FORMAT_VERSION, StreamOpened

_CHUNK: Final = b"chunk_received"
_CHUNK_HEAD: Final = struct.Struct(f"{codec.EVENT.format}{len(_CHUNK)}s")

#: Takes previous hash, version, type name, wall and monotonic nanoseconds, flags, meta and body, text already
#: encoded; returns hash and record.
Sealer = Callable[[bytes, int, bytes, int, int, int, bytes | None, bytes | None], tuple[bytes, bytes]]


#: Takes what a :data:`Sealer` does, and returns the hash: all that reading needs.
Hasher = Callable[[bytes, int, bytes, int, int, int, bytes | None, bytes | None], bytes]


def hasher(opened: StreamOpened) -> Hasher:
    """Return what hashes the events of one stream, with everything that they share made ready."""
    stream, instance, secret = opened.stream, opened.instance, opened.secret
    salt_of, sha256 = hashlib.blake2b(digest_size=16, key=secret).copy, hashlib.sha256
    pack_version, pack_salted, pack_link = chain.U64.pack, chain.SALTED_BODY.pack, chain.LINK_CHUNK.pack
    payload_tag, event_tag, no_meta, chunk = chain.PAYLOAD_TAG, chain.EVENT_TAG, chain.ABSENT, _CHUNK

    def hash_of(
        previous: bytes,
        version: int,
        type_name: bytes,
        wall_ns: int,
        mono_ns: int,
        flags: int,
        meta: bytes | None,
        body: bytes | None,
    ) -> bytes:
        if meta is not None or body is None or type_name != chunk:
            committed = chain.commitment(secret, version, meta, body)
            size = len(meta or b"") + len(body or b"")
            return chain.event_hash(
                previous, stream, version, type_name, wall_ns, mono_ns, instance, flags, size, committed
            )
        size = len(body)
        salt = salt_of()
        salt.update(pack_version(version))
        committed = sha256(pack_salted(payload_tag, salt.digest(), no_meta, size) + body).digest()
        return sha256(
            pack_link(event_tag, previous, stream, version, wall_ns, mono_ns, instance, flags, size, committed, chunk)
        ).digest()

    return hash_of


#: Makes of an opening the one that is stored, and what hashes and encodes the events of its stream.
Opening = Callable[[StreamOpened], tuple[StreamOpened, Sealer]]


def in_the_clear(opened: StreamOpened) -> tuple[StreamOpened, Sealer]:
    """Return an opening as it is, and what hashes and encodes the events of its stream: nothing is encrypted."""
    return opened, sealer(opened)


class Openings(Protocol):
    """How the event streams of a recorder are opened: with payloads that are sealed, or in the clear."""

    def opening(self, opened: StreamOpened) -> tuple[StreamOpened, Sealer]:
        """Return the opening that is stored, and what hashes, seals and encodes the events of its stream."""
        ...

    def check(self) -> str | None:
        """Return why the next stream cannot be opened as it should be; None where it can."""
        ...

    def close(self) -> None:
        """Take note that no stream is opened any more."""
        ...


class InTheClear:
    """Opens event streams whose payloads are not sealed."""

    opening = staticmethod(in_the_clear)

    def check(self) -> None:
        """Nothing is needed."""

    def close(self) -> None:
        """Nothing is kept."""


def sealer(opened: StreamOpened) -> Sealer:
    """Return what hashes and encodes the events of one stream, with everything that they share made ready."""
    stream, instance, hash_of, crc32 = opened.stream, opened.instance, hasher(opened), zlib.crc32
    pack_head, pack_frame, kind, check = _CHUNK_HEAD.pack, codec.FRAME.pack, codec.KIND_EVENT, codec.CHECK_OF_EVENT
    absent, chunk, chunk_size, format_ = codec.ABSENT, _CHUNK, len(_CHUNK), FORMAT_VERSION

    def seal(
        previous: bytes,
        version: int,
        type_name: bytes,
        wall_ns: int,
        mono_ns: int,
        flags: int,
        meta: bytes | None,
        body: bytes | None,
    ) -> tuple[bytes, bytes]:
        digest = hash_of(previous, version, type_name, wall_ns, mono_ns, flags, meta, body)
        if meta is not None or body is None or type_name != chunk:
            return digest, codec.encode_event(
                stream, version, type_name, wall_ns, mono_ns, instance, flags, meta, body, digest
            )
        content = (
            pack_head(
                format_,
                flags,
                stream,
                version,
                wall_ns,
                mono_ns,
                instance,
                digest,
                chunk_size,
                absent,
                len(body),
                chunk,
            )
            + body
        )
        return digest, pack_frame(len(content) + 1, crc32(content, check), kind) + content

    return seal
