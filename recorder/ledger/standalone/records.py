r"""The records of an event stream, and its hash chain, read in pieces so that no payload is ever held whole.

::

    record  = u32 size | u32 crc32 | u8 kind | content
    opened  = u16 format | stream 16 | instance 16 | secret 32                                           kind 1
    event   = u16 format | u16 flags | stream 16 | u64 version | u64 wall_ns | u64 mono_ns | instance 16 | hash 32
              | u16 type size | u32 meta size | u32 body size | type | meta | body                       kind 2
    emptied = u16 format | u16 flags | stream 16 | u64 version | u64 wall_ns | u64 mono_ns | instance 16 | hash 32
              | u64 size | commitment 32 | u8 why | u16 type size | type                                 kind 3
    begins  = stream 16 | u64 version | hash 32                                                          kind 4
"""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

_FRAME = struct.Struct(">IIB")
_OPENED = struct.Struct(">H16s16s32s")
_PLACE = struct.Struct(">HH16sQQQ16s32s")  # what events and emptied ones begin with
_PARTS = struct.Struct(">HII")
_EMPTIED = struct.Struct(">Q32sBH")
_BEGINS = struct.Struct(">16sQ32s")
_U64 = struct.Struct(">Q")
_ABSENT_32, _ABSENT_64 = 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF
_EVENT_TAG = b"recorder/event/v1\0"
_HASHED = struct.Struct(">32s16sQQQ16sHQ32s")
_META_KEPT = 1 << 20
WHYS = {1: "withheld", 2: "erased"}


class Broken(Exception):  # noqa: N818 - what it tells, not what it is
    """The records of a stream are not as they were written, at *version* (None: before the first), in *field*."""

    def __init__(self, version: int | None, field: str, kind: str, detail: str) -> None:
        super().__init__(detail)
        self.version, self.field, self.kind, self.detail = version, field, kind, detail


class Entry(NamedTuple):
    """One event.

    :ivar stream: id of the event stream.
    :ivar meta: its facts as they were hashed; None where there are none, or they are larger than 1 MiB.
    :ivar why: 0, or why its payload is not there: a number of :data:`WHYS`.
    """

    version: int
    type: str
    wall_ns: int
    mono_ns: int
    instance: bytes
    size: int
    meta: bytes | None
    why: int
    hash: bytes
    stream: bytes


class _Source:
    """Bytes that come in pieces, taken in the sizes that records have."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._held, self.check = pieces, b"", 0

    def ended(self) -> bool:
        while not self._held:
            piece = next(self._pieces, None)
            if piece is None:
                return True
            self._held = piece
        return False

    def parts(self, size: int, version: int | None = None) -> Iterator[bytes]:
        """Yield *size* bytes as they come, and count them into the checksum."""
        while size:
            if self.ended():
                raise Broken(version, "record", "record", "a record is cut off")
            part, self._held = self._held[:size], self._held[size:]
            self.check = zlib.crc32(part, self.check)
            size -= len(part)
            yield part

    def take(self, size: int, version: int | None = None) -> bytes:
        return b"".join(self.parts(size, version))


class StreamReader:
    """Reads one event stream and checks it: records, versions, hashes.

    :param stream: the id that the stream has to have.
    :param pieces: the bytes of its file.
    :raises Broken: it does not begin as a stream does.
    """

    def __init__(self, stream: bytes, pieces: Iterator[bytes]) -> None:
        self._source = _Source(pieces)
        self.stream = stream
        kind, size, check = self._frame(None)
        if kind != 1 or size != _OPENED.size:
            raise Broken(None, "opening", "opening", "it does not begin with its opening")
        version, found, self.instance, self._secret = _OPENED.unpack(self._source.take(size))
        self._settle(check, None)
        if found != stream or version != 1:
            raise Broken(None, "opening", "opening", "the opening is of another event stream, or another format")
        #: The hash of the last event that was read, and its version.
        self.head, self.version = hashlib.sha256(b"recorder/genesis/v1\0" + stream).digest(), 0
        #: The version from which on events are here: later than 1 where it is the end of a long stream.
        self.first = 1
        self._begun = False

    def _frame(self, version: int | None) -> tuple[int, int, int]:
        """Return kind, size of the content and checksum of the next record."""
        size, check, kind = _FRAME.unpack(self._source.take(_FRAME.size, version))
        if size < 1:
            raise Broken(version, "record", "record", "a record without a size")
        self._source.check = zlib.crc32(bytes((kind,)))
        return kind, size - 1, check

    def _settle(self, check: int, version: int | None) -> None:
        if self._source.check != check:
            raise Broken(version, "record", "record", "a record fails its checksum")

    def entries(self) -> Iterator[Entry]:
        """Yield every event, checked.

        :raises Broken: at the first that is not what was written.
        """
        while not self._source.ended():
            expected = self.version + 1
            kind, size, check = self._frame(expected)
            if kind == 4 and not self._begun and size == _BEGINS.size:
                self._begin(check)
            elif kind in (2, 3):
                self._begun = True
                yield self._entry(kind, size, check, expected)
            else:
                raise Broken(expected, "record", "record", f"a record of kind {kind} has no place here")

    def _begin(self, check: int) -> None:
        stream, version, self.head = _BEGINS.unpack(self._source.take(_BEGINS.size))
        self._settle(check, None)
        if stream != self.stream or not 0 < version < _ABSENT_64:
            raise Broken(None, "opening", "opening", "it goes on from an event of another stream")
        self.version, self.first, self._begun = version, version + 1, True

    def _entry(self, kind: int, size: int, check: int, expected: int) -> Entry:
        source = self._source
        if size < _PLACE.size + (_PARTS.size if kind == 2 else _EMPTIED.size):
            raise Broken(expected, "record", "record", "a record that is too short for an event")
        head = _PLACE.unpack(source.take(_PLACE.size, expected))
        form, flags, stream, version, wall_ns, mono_ns, instance, digest = head
        if kind == 2:
            type_size, meta_size, body_size = _PARTS.unpack(source.take(_PARTS.size, expected))
            name = source.take(type_size, expected)
            total, committed, meta = self._payload(version, meta_size, body_size, expected)
            held, why = total, 0
            length = _PLACE.size + _PARTS.size + type_size
        else:
            total, committed, why, type_size = _EMPTIED.unpack(source.take(_EMPTIED.size, expected))
            name, meta, held = source.take(type_size, expected), None, 0
            length = _PLACE.size + _EMPTIED.size + type_size
        self._settle(check, expected)
        if size != length + held or form != 1 or why not in (0, *WHYS) or (kind == 3) != bool(why):
            raise Broken(expected, "record", "record", "the sizes in a record do not add up")
        if stream != self.stream or version != expected:
            raise Broken(expected, "version", "version", f"version {expected} is missing: {version} follows")
        fields = (self.head, stream, version, wall_ns, mono_ns, instance, flags, total, committed)
        linked = hashlib.sha256(_EVENT_TAG + _HASHED.pack(*fields) + name).digest()
        text = name.decode("ascii", "replace")
        if linked != digest:
            raise Broken(version, "hash", "hash", f"{text} is not what was written: its hash does not verify")
        self.head, self.version = digest, version
        return Entry(version, text, wall_ns, mono_ns, instance, total, meta, why, digest, stream)

    def _payload(self, version: int, meta_size: int, body_size: int, at: int) -> tuple[int, bytes, bytes | None]:
        """Read a payload; return its size, its commitment, and the facts."""
        salt = hashlib.blake2b(_U64.pack(version), digest_size=16, key=self._secret).digest()
        digest = hashlib.sha256(b"recorder/payload/v1\0" + salt)
        total, kept = 0, []
        for part_size, is_meta in ((meta_size, True), (body_size, False)):
            absent = part_size == _ABSENT_32
            digest.update(_U64.pack(_ABSENT_64 if absent else part_size))
            for part in () if absent else self._source.parts(part_size, at):
                digest.update(part)
                if is_meta and part_size <= _META_KEPT:
                    kept.append(part)
            total += 0 if absent else part_size
        return total, digest.digest(), b"".join(kept) or None


def facts_of(entry: Entry) -> dict[str, Any]:
    """Return the facts of an event; none where they are withheld, erased, or no JSON object."""
    try:
        facts = json.loads(entry.meta.decode("ascii")) if entry.meta else {}
    except (ValueError, RecursionError):
        return {}
    return facts if isinstance(facts, dict) else {}
