"""Event streams as a bundle has them: the project's records, and two more for what is not there.

::

    emptied = u16 format | u16 flags | stream 16 | u64 version | u64 wall_ns | u64 mono_ns | instance 16 | hash 32
              | u64 size | commitment 32 | u8 why | u16 type size | type                                 kind 3
    begins  = stream 16 | u64 version | hash 32                                                          kind 4

An event whose payload is withheld or erased keeps its size and its commitment, so that its hash can still be made. Of a
stream of which something is withheld the secret is not given, else a short payload could be guessed. A journal may
begin in the middle: with the version and the hash after which it goes on.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from recorder.core.chain import commitment
from recorder.core.codec import FRAME, encode_opened, event_record
from recorder.core.events import FORMAT_VERSION, Event, StreamOpened
from recorder.store.erased import ErasedPayload

KIND_EMPTIED: Final = 3
KIND_BEGINS: Final = 4
WITHHELD: Final = 1
ERASED: Final = 2
_EMPTIED: Final = struct.Struct(">HH16sQQQ16s32sQ32sBH")
_BEGINS: Final = struct.Struct(">16sQ32s")


def stream_records(
    opened: StreamOpened,
    events: Iterable[Event],
    erased: Mapping[int, ErasedPayload],
    *,
    withheld: bool = False,
    after: Event | None = None,
) -> Iterator[bytes]:
    """Yield the file of an event stream, record by record.

    :param events: its events in order, from the one behind *after* on.
    :param erased: what is left of payloads that were erased, by version.
    :param withheld: give no payload at all.
    :param after: the event before the first; None: the stream comes from its beginning.
    """
    secret = opened.secret
    yield encode_opened(replace(opened, secret=bytes(len(secret))) if withheld else opened)
    if after is not None:
        yield _framed(KIND_BEGINS, _BEGINS.pack(opened.stream, after.version, after.hash))
    for event in events:
        left = erased.get(event.version)
        if left is not None:
            yield emptied_record(event, left, ERASED)
        elif withheld:
            yield emptied_record(event, left_of(secret, event), WITHHELD)
        else:
            yield event_record(event)


def left_of(secret: bytes, event: Event) -> ErasedPayload:
    """Return the size of an event's payload and the commitment to it.

    :param secret: that of its stream.
    """
    meta = None if event.meta is None else event.meta.encode("ascii")
    size = len(meta or b"") + len(event.body or b"")
    return ErasedPayload(size, commitment(secret, event.version, meta, event.body))


def emptied_record(event: Event, left: ErasedPayload, why: int) -> bytes:
    """Return the record of an event whose payload is not given.

    :param why: :data:`WITHHELD` or :data:`ERASED`.
    """
    name = event.type.encode("ascii")
    place = (FORMAT_VERSION, event.flags, event.stream, event.version, event.wall_ns, event.mono_ns, event.instance)
    content = _EMPTIED.pack(*place, event.hash, left.size, left.commitment, why, len(name))
    return _framed(KIND_EMPTIED, content + name)


def _framed(kind: int, content: bytes) -> bytes:
    return FRAME.pack(len(content) + 1, zlib.crc32(content, zlib.crc32(bytes((kind,)))), kind) + content
