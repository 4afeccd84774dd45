"""The zip file of a bundle, in its only allowed form: each of its bytes follows from the files in it, or is checked.

A zip has slack: comments, extra fields, dates, gaps between members, second headers that contradict the first, names
that stand there twice. So this reads no zip in general. It takes a directory, makes from it the headers that there
must be, and compares them with those that are there; and the last member, ``bundle.sha256``, is the SHA-256 of every
byte before it, since deflate can say one thing in several ways.
"""

from __future__ import annotations

import hashlib
import re
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

SEAL_NAME = "bundle.sha256"
MAX_MEMBERS = 65_000
MAX_NAME = 160
MAX_UNPACKED = 64 << 30
_PIECE = 1 << 16
_STORED, _DEFLATED = 0, 8
_DATE = 0x0021  # 1980-01-01, the first day that a zip can name
_MADE_BY = 0x0314  # Unix, for the file's mode
_MODE = 0o100644 << 16
_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")


class Damaged(Exception):  # noqa: N818 - what it tells, not what it is
    """The file is no bundle, or not the one that was made; its text says where."""


class Member(NamedTuple):
    """One file of the zip; *start* is where its packed bytes begin."""

    name: str
    method: int
    crc: int
    packed: int
    size: int
    start: int


def local_header(name: str, method: int, crc: int, packed: int, size: int) -> bytes:
    """Return what stands before a member's bytes (PKWARE APPNOTE 4.3.7)."""
    text = name.encode("ascii")
    return _LOCAL.pack(b"PK\3\4", 20, 0, method, 0, _DATE, crc, packed, size, len(text), 0) + text


def central_header(name: str, method: int, crc: int, packed: int, size: int, offset: int) -> bytes:
    """Return a member's line of the directory (4.3.12); *offset* is that of its local header."""
    text = name.encode("ascii")
    fields = (20, 0, method, 0, _DATE, crc, packed, size, len(text), 0, 0, 0, 0, _MODE, offset)
    return _CENTRAL.pack(b"PK\1\2", _MADE_BY, *fields) + text


def end_record(members: int, size: int, offset: int) -> bytes:
    """Return the last bytes of the zip (4.3.16): how many members, and where their directory stands."""
    return _END.pack(b"PK\5\6", 0, 0, members, members, size, offset, 0)


class Container:
    """The members of a bundle.

    :param file: opened for reading bytes; it must be seekable.
    :raises Damaged: anything in it is not as it has to be.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.members: dict[str, Member] = {}
        directory_at = self._read_directory()
        self._check_order(directory_at)
        self._check_seal()

    def _read_directory(self) -> int:
        total = self._file.seek(0, 2)
        tail = self._bytes(max(0, total - _END.size), _END.size)
        if len(tail) < _END.size or tail[:4] != b"PK\5\6":
            raise Damaged("the file does not end as a bundle does: it is cut off, something was added, or it is none")
        count, size, offset = map(int, _END.unpack(tail)[4:7])
        if tail != end_record(count, size, offset) or offset + size + _END.size != total:
            raise Damaged("the end of the zip is not in its only allowed form")
        if count > MAX_MEMBERS or size > count * (_CENTRAL.size + MAX_NAME):
            raise Damaged("the directory of the zip is larger than that of a bundle can be")
        found = self._bytes(offset, size)
        at = 0
        for _ in range(count):
            at = self._take(found, at)
        if at != len(found):
            raise Damaged("the directory of the zip has bytes that belong to no file")
        return offset

    def _take(self, directory: bytes, at: int) -> int:
        """Take one line of the directory; return where the next begins."""
        if len(directory) - at < _CENTRAL.size:
            raise Damaged("the directory of the zip is cut off")
        fields = _CENTRAL.unpack_from(directory, at)
        method, crc, packed, size, length, offset = fields[4], *fields[7:11], fields[16]
        end = at + _CENTRAL.size + length
        text = directory[at + _CENTRAL.size : end]
        name = text.decode("ascii", "replace")
        if length > MAX_NAME or not _NAME.fullmatch(name):
            raise Damaged("the zip has a file whose name no bundle has")
        if directory[at:end] != central_header(name, method, crc, packed, size, offset):
            raise Damaged(f"{name}: its line in the directory of the zip is not in the only allowed form")
        if name in self.members:
            raise Damaged(f"{name} is there twice")
        if method != (_STORED if name == SEAL_NAME else _DEFLATED) or (method == _STORED and packed != size):
            raise Damaged(f"{name} is not packed as it has to be")
        header = local_header(name, method, crc, packed, size)
        if self._bytes(offset, len(header)) != header:
            raise Damaged(f"{name}: what stands before it is not what the directory of the zip says")
        self.members[name] = Member(name, method, crc, packed, size, offset + len(header))
        return int(end)

    def _check_order(self, directory_at: int) -> None:
        names = list(self.members)
        if names[-1:] != [SEAL_NAME] or names[:-1] != sorted(names[:-1]):
            raise Damaged(f"the files are not in the order of their names, with {SEAL_NAME} at the end")
        if sum(member.size for member in self.members.values()) > MAX_UNPACKED:
            raise Damaged("unpacked, the files would be larger than those of a bundle can be")
        at = 0
        for member in self.members.values():
            header = len(local_header(*member[:5]))
            if member.start != at + header:
                raise Damaged(f"{member.name} does not begin where the file before it ends")
            at = member.start + member.packed
        if at != directory_at:
            raise Damaged("there are bytes between the last file and the directory of the zip")

    def _check_seal(self) -> None:
        sealed = self.members[SEAL_NAME]
        end = sealed.start - len(local_header(*sealed[:5]))
        digest = hashlib.sha256()
        for piece in self._pieces(0, end):
            digest.update(piece)
        if self._bytes(sealed.start, sealed.size) != digest.hexdigest().encode() + b"\n":
            raise Damaged("the bytes of the file are not those that were written: its SHA-256 is another one")
        if zlib.crc32(digest.hexdigest().encode() + b"\n") != sealed.crc:
            raise Damaged(f"{SEAL_NAME} fails its checksum")

    def _bytes(self, offset: int, size: int) -> bytes:
        self._file.seek(offset)
        return self._file.read(size)

    def _pieces(self, offset: int, end: int) -> Iterator[bytes]:
        while offset < end:
            piece = self._bytes(offset, min(_PIECE, end - offset))
            if not piece:
                raise Damaged("the file became shorter while it was read")
            yield piece
            offset += len(piece)

    def names(self, folder: str) -> list[str]:
        """Return the names of the files in *folder*, in order."""
        return [name for name in self.members if name.startswith(folder + "/")]

    def chunks(self, name: str) -> Iterator[bytes]:
        """Yield a member's bytes, in pieces of at most 64 KiB.

        :raises Damaged: they are not what the directory of the zip says.
        """
        member = self.members[name]
        unpacker = zlib.decompressobj(-15)
        size, crc = 0, 0
        for packed in self._pieces(member.start, member.start + member.packed):
            rest = packed
            while rest or not packed:
                try:
                    piece = unpacker.decompress(rest, _PIECE)
                except zlib.error:
                    raise Damaged(f"{name} cannot be unpacked") from None
                rest = unpacker.unconsumed_tail
                size, crc = size + len(piece), zlib.crc32(piece, crc)
                if size > member.size or unpacker.unused_data:
                    raise Damaged(f"{name} is not as large as the directory of the zip says")
                if piece:
                    yield piece
        # What is left in the unpacker once it has been given everything.
        while not unpacker.eof:
            piece = unpacker.decompress(b"", _PIECE)
            size, crc = size + len(piece), zlib.crc32(piece, crc)
            if not piece or size > member.size:
                break
            yield piece
        if not unpacker.eof or size != member.size or crc != member.crc:
            raise Damaged(f"{name} is not what the directory of the zip says: cut off, or another checksum")

    def read(self, name: str, limit: int) -> bytes:
        """Return a member's bytes.

        :raises Damaged: there is no such member, or it is larger than *limit*.
        """
        member = self.members.get(name)
        if member is None:
            raise Damaged(f"{name} is missing")
        if member.size > limit:
            raise Damaged(f"{name} is larger than {limit:,} bytes")
        return b"".join(self.chunks(name))
