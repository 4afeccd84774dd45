"""The zip file of an evidence bundle, written in its only form (docs/format.md, "Evidence bundles").

Same files, same bytes: names in order, no dates, no extra fields, and at the end the SHA-256 of all that stands before
it. What is written here is what :mod:`recorder.ledger.standalone.container` demands.
"""

from __future__ import annotations

import hashlib
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, NamedTuple

from recorder.errors import ConfigurationError
from recorder.ledger.standalone.container import (
    MAX_MEMBERS,
    MAX_UNPACKED,
    SEAL_NAME,
    central_header,
    end_record,
    local_header,
)

_STORED: Final = 0
_DEFLATED: Final = 8
_LEVEL: Final = 9
_MOST_BYTES: Final = 0xFFFF_0000  # what 32 bits can say, less the directory's last record
_PIECE: Final = 1 << 16


class _Packed(NamedTuple):
    crc: int
    packed: int
    size: int
    offset: int  # in the temporary file


class BundleZip:
    """Takes files in any order, in pieces, and writes the zip. A context manager.

    :param beside: a folder for the temporary file in which the packed files wait.
    """

    def __init__(self, beside: Path) -> None:
        self._waiting: BinaryIO = tempfile.TemporaryFile(dir=beside)  # noqa: SIM115 - closed by __exit__
        self._packed: dict[str, _Packed] = {}
        self._digests: dict[str, str] = {}

    def add(self, name: str, pieces: Iterable[bytes]) -> None:
        """Take a file.

        :raises ValueError: there is one of that name.
        """
        if name in self._packed:
            raise ValueError(f"the bundle has {name} already")
        offset = self._waiting.tell()
        packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
        digest, crc, size = hashlib.sha256(), 0, 0
        for piece in pieces:
            digest.update(piece)
            crc, size = zlib.crc32(piece, crc), size + len(piece)
            self._waiting.write(packer.compress(piece))
        self._waiting.write(packer.flush())
        self._packed[name] = _Packed(crc, self._waiting.tell() - offset, size, offset)
        self._digests[name] = digest.hexdigest()

    def digests(self) -> dict[str, str]:
        """Return the SHA-256 of every file so far, by name, in order of the names."""
        return dict(sorted(self._digests.items()))

    def write(self, out: BinaryIO) -> None:
        """Write the zip.

        :raises ConfigurationError: it would be larger than a bundle can be.
        """
        self._check_size()
        sealed, directory, at = hashlib.sha256(), [], 0
        for name in sorted(self._packed):
            one = self._packed[name]
            header = local_header(name, _DEFLATED, one.crc, one.packed, one.size)
            directory.append(central_header(name, _DEFLATED, one.crc, one.packed, one.size, at))
            for piece in self._pieces(header, one):
                sealed.update(piece)
                at += out.write(piece)
        line = sealed.hexdigest().encode() + b"\n"
        fields = (SEAL_NAME, _STORED, zlib.crc32(line), len(line), len(line))
        directory.append(central_header(*fields, at))
        at += out.write(local_header(*fields) + line)
        listed = b"".join(directory)
        out.write(listed + end_record(len(directory), len(listed), at))

    def _check_size(self) -> None:
        packed = sum(one.packed + 2 * len(local_header(name, 0, 0, 0, 0)) for name, one in self._packed.items())
        unpacked = sum(one.size for one in self._packed.values())
        largest = max((one.size for one in self._packed.values()), default=0)
        if max(packed, largest) > _MOST_BYTES or unpacked > MAX_UNPACKED or len(self._packed) >= MAX_MEMBERS:
            raise ConfigurationError(
                f"a bundle holds up to 4 GB and {MAX_MEMBERS:,} files, and this would be larger: "
                "make several, each of a shorter time"
            )

    def _pieces(self, header: bytes, one: _Packed) -> Iterator[bytes]:
        yield header
        self._waiting.seek(one.offset)
        rest = one.packed
        while rest:
            piece = self._waiting.read(min(_PIECE, rest))
            rest -= len(piece)
            yield piece

    def __enter__(self) -> BundleZip:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._waiting.close()
