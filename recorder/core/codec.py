"""Event format v1 as bytes: the record that spools, golden files and bundles hold.

::

    record    = size u32 | crc32 u32 | kind u8 | content          size counts kind and content
    opened    = format u16 | stream 16 | instance 16 | secret 32                     kind 1
    event     = format u16 | flags u16 | stream 16 | version u64 | wall_ns u64 | mono_ns u64
              | instance 16 | hash 32 | type_size u16 | meta_size u32 | body_size u32
              | type | meta | body                                                   kind 2

Integers are big-endian. A size of 0xFFFFFFFF says that meta or body is absent, which is not the same
as empty. A size of 0 is no record: a file whose space was allocated ahead ends there. The CRC (the one
of zlib, RFC 1952) covers kind and content; it finds torn writes, the hash chain finds everything else.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Final

from recorder.core.events import FORMAT_VERSION, SEALED_FORMAT, Event, StreamOpened
from recorder.errors import CorruptRecording

FRAME: Final = struct.Struct(">IIB")
OPENED: Final = struct.Struct(">H16s16s32s")
EVENT: Final = struct.Struct(">HH16sQQQ16s32sHII")
_SIZE: Final = struct.Struct(">I")
_NO_SIZE: Final = bytes(_SIZE.size)
_FRAMED_EVENT: Final = struct.Struct(FRAME.format + EVENT.format.removeprefix(">"))
_USUAL_TYPE: Final = b"chunk_received"
#: The same with the type's name; kind and format, and the sizes of type and meta, are one field each.
_USUAL_EVENT: Final = struct.Struct(f">II3sH16sQQQ16s32s6sI{len(_USUAL_TYPE)}s")
SIZES: Final = struct.Struct(">HII")  # of type, meta and body: the end of EVENT
OPENED_SIZE: Final = FRAME.size + OPENED.size
#: So much of a place tells where an append that was broken off there would have ended.
BROKEN_OFF_HEAD: Final = OPENED_SIZE + _FRAMED_EVENT.size
ABSENT: Final = 0xFFFFFFFF
KIND_OPENED: Final = 1
KIND_EVENT: Final = 2
_USUAL_KIND: Final = struct.pack(">BH", KIND_EVENT, FORMAT_VERSION)
_USUAL_SIZES: Final = struct.pack(">HI", len(_USUAL_TYPE), ABSENT)
_crc32 = zlib.crc32
_KIND_CHECK: Final = [_crc32(bytes((kind,))) for kind in range(256)]  # the checksum so far, after the kind
CHECK_OF_EVENT: Final = _KIND_CHECK[KIND_EVENT]


def encode_opened(opened: StreamOpened) -> bytes:
    """Return the record of a stream's opening."""
    content = OPENED.pack(opened.format, opened.stream, opened.instance, opened.secret)
    return _framed(KIND_OPENED, content)


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
    format_: int = FORMAT_VERSION,
) -> bytes:
    """Return the record of one event; the arguments are the fields of :class:`Event`, as bytes."""
    content = EVENT.pack(
        format_,
        flags,
        stream,
        version,
        wall_ns,
        mono_ns,
        instance,
        digest,
        len(type_name),
        ABSENT if meta is None else len(meta),
        ABSENT if body is None else len(body),
    )
    return _framed(KIND_EVENT, b"".join((content, type_name, meta or b"", body or b"")))


def _framed(kind: int, content: bytes) -> bytes:
    return FRAME.pack(len(content) + 1, _crc32(content, _KIND_CHECK[kind]), kind) + content


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
    """The bytes end inside a record, or zeros stand in its place: more may follow, or the writer died there."""


def ends_here(data: bytes) -> bool:
    """Whether *data* begins with zeros in the place of a record's size: allocated, and not written yet."""
    return data[: _SIZE.size] == _NO_SIZE


def broken_off_end(head: bytes, room: int) -> int:
    """Return how far an append reaches at most that its writer broke off, so that no whole record is there.

    One append is an event, or an opening and the first event after it. Where it is copied into memory, the
    size at its beginning comes last, and the first few bytes after it may come late, but the sizes inside an
    event come before its payload. So what is behind the end that they give was not written by that append.

    :param head: the first :data:`BROKEN_OFF_HEAD` bytes of the place, or all that there are.
    :param room: bytes from the place to the end of the file.
    :return: bytes from the place on; at most *room*.
    """
    if not ends_here(head):
        return _torn_end(head, room)
    kind = head[FRAME.size - 1] if len(head) >= FRAME.size else 0
    starts = {KIND_EVENT: (0,), KIND_OPENED: (OPENED_SIZE,), 0: (0, OPENED_SIZE)}.get(kind, ())
    ends = [start + _event_size(head, start) for start in starts]
    return max((end for end in ends if end <= room), default=min(FRAME.size, room))


def _torn_end(head: bytes, room: int) -> int:
    """The same where a size is there, and larger than what is left: a write that was cut short, or a damaged size."""
    if len(head) < _FRAMED_EVENT.size:
        return room
    size = int(_SIZE.unpack_from(head)[0]) + FRAME.size - 1
    return room if size == _event_size(head, 0) else FRAME.size


def _event_size(head: bytes, start: int) -> int:
    """Return the size of the event at *start*, or of as much as is known of it."""
    known = min(len(head) - start, _FRAMED_EVENT.size)
    if known < _FRAMED_EVENT.size:
        return known
    type_size, *payload = SIZES.unpack_from(head, start + known - SIZES.size)
    # An event has a type: what comes after an empty one is not a size, or only a part of it.
    sizes: list[int] = [type_size, *(size for size in payload if size != ABSENT)] if type_size else []
    return known + sum(sizes)


def decode_record(data: bytes | memoryview, offset: int) -> tuple[Event | StreamOpened, int]:
    """Return the record at *offset* and the offset after it.

    :raises TornRecord: *data* ends before the record does.
    :raises CorruptRecording: the checksum, the kind or the format is wrong.
    """
    if len(data) - offset < FRAME.size:
        raise TornRecord
    size, check, kind = FRAME.unpack_from(data, offset)
    start = offset + FRAME.size
    end = start + size - 1
    if size < 1 or end > len(data):
        raise TornRecord
    content = bytes(data[start:end])
    if _crc32(content, _KIND_CHECK[kind]) != check:
        raise CorruptRecording(f"record at byte {offset} fails its checksum")
    if kind == KIND_EVENT:
        return _decode_event(content, offset), end
    if kind == KIND_OPENED:
        return _decode_opened(content, offset), end
    raise CorruptRecording(f"record at byte {offset} is of unknown kind {kind}")


def decode_batch(data: bytes, offset: int = 0) -> tuple[list[StreamOpened], list[Event], int]:
    """Return the openings and the events of all whole records from *offset* on, and the offset after them.

    The drainer's hot path: one loop, no call for a usual record.

    :raises CorruptRecording: the first record is damaged; what stands before a later one is returned first.
    """
    openings: list[StreamOpened] = []
    events: list[Event] = []
    append, unpack, crc32, check_of_event = events.append, _USUAL_EVENT.unpack_from, _crc32, CHECK_OF_EVENT
    made, frame_size, header_size = tuple.__new__, FRAME.size, _USUAL_EVENT.size
    usual_kind, usual_sizes, usual_name = _USUAL_KIND, _USUAL_SIZES, _USUAL_TYPE
    last = last_instance = b""
    size_of_data = len(data)
    while size_of_data - offset >= frame_size:
        if size_of_data - offset >= header_size:
            size, check, kind, flags, stream, version, wall, mono, instance, digest, sizes, body_size, name = unpack(
                data, offset
            )
            start = offset + frame_size
            end = start - 1 + size
            at = offset + header_size
            # A chunk with a body and without meta, as almost all events are.
            if (
                sizes == usual_sizes
                and kind == usual_kind
                and name == usual_name
                and at + body_size == end <= size_of_data
                and crc32(data[start:end], check_of_event) == check
            ):
                if stream != last or instance != last_instance:  # else one object for all: they are kept for a while
                    last, last_instance = stream, instance
                usual = (
                    last,
                    version,
                    "chunk_received",
                    wall,
                    mono,
                    last_instance,
                    flags,
                    None,
                    data[at:end],
                    digest,
                    None,
                )
                append(made(Event, usual))
                offset = end
                continue
        try:
            record, offset = decode_record(data, offset)
        except TornRecord:
            break
        except CorruptRecording:
            if openings or events:
                break  # what stands before the damage is told first
            raise
        openings.append(record) if isinstance(record, StreamOpened) else append(record)
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
    if len(content) != OPENED.size:
        raise CorruptRecording(f"record at byte {offset}: a stream's opening of {len(content)} bytes")
    version, stream, instance, secret = OPENED.unpack(content)
    _check_format(version, offset)
    return StreamOpened(stream, instance, secret, version)


def _decode_event(content: bytes, offset: int) -> Event:
    try:
        (format_, flags, stream, version, wall_ns, mono_ns, instance, digest, type_size, meta_size, body_size) = (
            EVENT.unpack_from(content)
        )
    except struct.error:
        raise CorruptRecording(f"record at byte {offset}: an event of {len(content)} bytes") from None
    if format_ != FORMAT_VERSION:
        _check_format(format_, offset)
    at = EVENT.size + type_size
    name = str(content[EVENT.size : at], "ascii", "replace")
    meta: str | None = None
    if meta_size != ABSENT:
        meta = str(content[at : at + meta_size], "ascii", "replace")
        at += meta_size
    body: bytes | None = None
    if body_size != ABSENT:
        body = content[at : at + body_size]
        at += body_size
    if at != len(content):
        raise CorruptRecording(f"record at byte {offset}: its sizes do not add up")
    return Event(stream, version, name, wall_ns, mono_ns, instance, flags, meta, body, digest)


def _check_format(version: int, offset: int) -> None:
    if version not in (FORMAT_VERSION, SEALED_FORMAT):
        raise CorruptRecording(
            f"record at byte {offset} is of event format {version}; this version of recorder reads 1 and 2"
        )
