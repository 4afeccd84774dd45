"""Event format v1 as bytes: the record that spools, golden files and bundles hold.

::

    record    = size u32 | crc32 u32 | kind u8 | content          size counts kind and content
    opened    = format u16 | stream 16 | instance 16 | secret 32                     kind 1
    event     = format u16 | flags u16 | stream 16 | version u64 | wall_ns u64 | mono_ns u64
              | instance 16 | hash 32 | type_size u16 | meta_size u32 | body_size u32
              | type | meta | body                                                   kind 2

Integers are big-endian. A size of 0xFFFFFFFF says that meta or body is absent, which is not the same
as empty. The CRC (the one of zlib, RFC 1952) covers kind and content; it finds torn writes, the hash
chain finds everything else.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Final

from recorder.core.events import FORMAT_VERSION, Event, StreamOpened
from recorder.errors import CorruptRecording

_FRAME: Final = struct.Struct(">IIB")
_OPENED: Final = struct.Struct(">H16s16s32s")
_EVENT: Final = struct.Struct(">HH16sQQQ16s32sHII")
_ABSENT: Final = 0xFFFFFFFF
_KIND_OPENED: Final = 1
_KIND_EVENT: Final = 2
_crc32 = zlib.crc32
_KIND_CHECK: Final = [_crc32(bytes((kind,))) for kind in range(256)]  # the checksum so far, after the kind


def encode_opened(opened: StreamOpened) -> bytes:
    """Return the record of a stream's opening."""
    content = _OPENED.pack(opened.format, opened.stream, opened.instance, opened.secret)
    return _framed(_KIND_OPENED, content)


def encode_event(
    stream: bytes,
    version: int,
    type_name: bytes,
    wall_ns: int,
    mono_ns: int,
    instance: bytes,
    flags: int,
    meta: bytes | None,
    body: bytes | None,
    digest: bytes,
) -> bytes:
    """Return the record of one event; the arguments are the fields of :class:`Event`, as bytes.

    This is the hot path: it takes fields rather than an object, and text already encoded.
    """
    content = (
        _EVENT.pack(
            FORMAT_VERSION,
            flags,
            stream,
            version,
            wall_ns,
            mono_ns,
            instance,
            digest,
            len(type_name),
            _ABSENT if meta is None else len(meta),
            _ABSENT if body is None else len(body),
        )
        + type_name
        + (meta or b"")
        + (body or b"")
    )
    return _framed(_KIND_EVENT, content)


def _framed(kind: int, content: bytes) -> bytes:
    return _FRAME.pack(len(content) + 1, _crc32(content, _KIND_CHECK[kind]), kind) + content


def event_record(event: Event) -> bytes:
    """Return the record of *event*."""
    return encode_event(
        event.stream,
        event.version,
        event.type.encode("ascii"),
        event.wall_ns,
        event.mono_ns,
        event.instance,
        event.flags,
        None if event.meta is None else event.meta.encode("ascii"),
        event.body,
        event.hash,
    )


class TornRecord(Exception):  # noqa: N818 - not an error: the end of what is there
    """The bytes end inside a record: more may follow, or the writer died in the middle."""


def decode_record(data: bytes | memoryview, offset: int) -> tuple[Event | StreamOpened, int]:
    """Return the record at *offset* and the offset after it.

    :raises TornRecord: *data* ends before the record does.
    :raises CorruptRecording: the checksum, the kind or the format is wrong.
    """
    if len(data) - offset < _FRAME.size:
        raise TornRecord
    size, check, kind = _FRAME.unpack_from(data, offset)
    start = offset + _FRAME.size
    end = start + size - 1
    if size < 1:
        raise CorruptRecording(f"record at byte {offset} has no content")
    if end > len(data):
        raise TornRecord
    content = bytes(data[start:end])
    if _crc32(content, _KIND_CHECK[kind]) != check:
        raise CorruptRecording(f"record at byte {offset} fails its checksum")
    if kind == _KIND_EVENT:
        return _decode_event(content, offset), end
    if kind == _KIND_OPENED:
        return _decode_opened(content, offset), end
    raise CorruptRecording(f"record at byte {offset} is of unknown kind {kind}")


def decode_batch(data: bytes, offset: int = 0) -> tuple[list[StreamOpened], list[Event], int]:
    """Return the openings and the events of all whole records from *offset* on, and the offset after them.

    The drainer's hot path: one loop, no call per record.

    :raises CorruptRecording: a whole record is damaged.
    """
    openings: list[StreamOpened] = []
    events: list[Event] = []
    size_of_data, header = len(data), _FRAME.size
    frame, crc32, checks, decode = _FRAME.unpack_from, _crc32, _KIND_CHECK, _decode_event
    while size_of_data - offset >= header:
        size, check, kind = frame(data, offset)
        end = offset + header - 1 + size
        if end > size_of_data:
            break
        content = data[offset + header : end]
        if kind == _KIND_EVENT and crc32(content, checks[kind]) == check:
            events.append(decode(content, offset))
        else:  # everything else is rare
            record, end = decode_record(data, offset)
            openings.append(record) if isinstance(record, StreamOpened) else events.append(record)
        offset = end
    return openings, events, offset


def decode_records(data: bytes | memoryview, offset: int = 0) -> Iterator[tuple[Event | StreamOpened, int]]:
    """Yield each whole record from *offset* on with the offset after it; stop at a torn end.

    :raises CorruptRecording: a whole record is damaged.
    """
    while True:
        try:
            record, offset = decode_record(data, offset)
        except TornRecord:
            return
        yield record, offset


def _decode_opened(content: bytes, offset: int) -> StreamOpened:
    if len(content) != _OPENED.size:
        raise CorruptRecording(f"record at byte {offset}: a stream's opening of {len(content)} bytes")
    version, stream, instance, secret = _OPENED.unpack(content)
    _check_format(version, offset)
    return StreamOpened(stream, instance, secret, version)


def _decode_event(content: bytes, offset: int) -> Event:
    try:
        (format_, flags, stream, version, wall_ns, mono_ns, instance, digest, type_size, meta_size, body_size) = (
            _EVENT.unpack_from(content)
        )
    except struct.error:
        raise CorruptRecording(f"record at byte {offset}: an event of {len(content)} bytes") from None
    if format_ != FORMAT_VERSION:
        _check_format(format_, offset)
    at = _EVENT.size + type_size
    name = str(content[_EVENT.size : at], "ascii", "replace")
    meta: str | None = None
    if meta_size != _ABSENT:
        meta = str(content[at : at + meta_size], "ascii", "replace")
        at += meta_size
    body: bytes | None = None
    if body_size != _ABSENT:
        body = content[at : at + body_size]
        at += body_size
    if at != len(content):
        raise CorruptRecording(f"record at byte {offset}: its sizes do not add up")
    return Event(stream, version, name, wall_ns, mono_ns, instance, flags, meta, body, digest)


def _check_format(version: int, offset: int) -> None:
    if version != FORMAT_VERSION:
        raise CorruptRecording(
            f"record at byte {offset} is of event format {version}; this version of recorder reads {FORMAT_VERSION}"
        )
