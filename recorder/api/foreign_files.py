"""Files that are to be imported: which they are, and what is in them."""

from __future__ import annotations

import hashlib
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from recorder.errors import ConfigurationError, ImportRefused
from recorder.formats.importing.har_files import files_named
from recorder.formats.importing.source import LARGEST, Source
from recorder.formats.importing.zipped import is_inside
from recorder.store.foreign import MAGIC, foreign_database

#: Folders that hold no recordings, and thousands of files.
_PASSED_OVER: Final = frozenset({".git", ".hg", ".svn", "node_modules", "__pycache__", ".venv"})
#: What lies beside a store's own file.
_BESIDE: Final = ("", "-wal", "-shm", "-journal", ".lock")
_SPOOL: Final = "-spool"
_GZIP: Final = b"\x1f\x8b"
_BEGINNING: Final = 1 << 16


def files_in(paths: Iterable[Path]) -> list[tuple[Path, bool]]:
    """Return the files of *paths*, folders walked in the order of names, each with whether it was found in one.

    :raises ConfigurationError: a path does not exist.
    """
    found: dict[Path, bool] = {}
    for path in paths:
        if path.is_dir():
            for one in _walked(path):
                found.setdefault(one, True)
        elif path.exists():
            found[path] = False
        else:
            raise ConfigurationError(f"{path} does not exist: give files or folders with recordings")
    return list(found.items())


def _walked(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.is_symlink():
            if path.name not in _PASSED_OVER:
                yield from _walked(path)
        elif path.is_file():
            yield path


def is_part_of(path: Path, store: Path | None) -> bool:
    """Whether a file is that of a SQLite store, or lies beside it for SQLite.

    Whoever opens and closes such a file takes away the locks that its own process has on it.
    """
    if store is None:
        return False
    parts = [store.with_name(store.name + suffix) for suffix in _BESIDE]
    if any(part.exists() and path.exists() and path.samefile(part) for part in parts):
        return True
    place = path.resolve()
    spool = store.resolve().with_name(store.name + _SPOOL)
    return place.parent == spool or place in [part.resolve() for part in parts]


class Beside:
    """The folder of a file that names others: what it may read of them.

    :param file: what names them.
    :param store: the store that is written, no part of which is read: see :func:`is_part_of`.
    """

    def __init__(self, file: Path, store: Path | None) -> None:
        self._folder, self._store = file.parent, store

    def place(self, name: str) -> Path | None:
        """Return the file in the folder, or below it, that has a name; None where there is none, or a link leads out.

        :returns: without links in its path.
        """
        if not is_inside(name):
            return None
        try:
            found = (self._folder / name).resolve(strict=True)
            below = found.is_relative_to(self._folder.resolve()) and found.is_file()
        except (OSError, ValueError, RuntimeError):  # a name that no system has, or links in a circle
            return None
        return found if below and not is_part_of(found, self._store) else None

    def content(self, name: str) -> bytes | None:
        """Return the bytes of a file; None where there is none that may be read.

        :raises ImportRefused: it is there, and cannot be read, or is too large.
        """
        place = self.place(name)
        if place is None:
            return None
        try:
            with place.open("rb") as file:
                data = file.read(LARGEST + 1)
        except OSError as error:
            raise ImportRefused(f"{name} beside it cannot be read ({error.strerror})") from None
        if len(data) > LARGEST:
            raise ImportRefused(f"{name} beside it has more than {LARGEST:,} bytes")
        return data


def bodies_of_hars(paths: Iterable[Path], store: Path | None) -> dict[Path, Path]:
    """Return which files HARs among *paths* name instead of bodies, without links, each with a HAR that names it.

    What cannot be read here is told when it is imported. A HAR that names files is none, also where it is named itself.
    """
    found: dict[Path, Path] = {}
    naming: set[Path] = set()
    for path in paths:
        if not path.is_file() or is_part_of(path, store):  # what a pipe holds, it holds once
            continue
        try:
            if _may_name_files(path):
                beside = Beside(path, store)
                places = [*filter(None, map(beside.place, files_named(Source.of(path.read_bytes()))))]
                found.update(dict.fromkeys(places, path))
                naming.update([path.resolve()] if places else [])
        except (OSError, ImportRefused, MemoryError):
            continue
    return {body: har for body, har in found.items() if body not in naming}


def _may_name_files(path: Path) -> bool:
    """Whether a file begins as a HAR does, gzipped or not."""
    with path.open("rb") as file:
        head = file.read(_BEGINNING)
    if head.startswith(_GZIP):
        try:
            head = zlib.decompressobj(31).decompress(head, _BEGINNING)
        except zlib.error:
            return False
    plain = head.replace(b"\0", b"")  # in UTF-16 as well
    return b"{" in plain[:64] and b'"log"' in plain


@dataclass(frozen=True, slots=True)
class ForeignFile:
    """A file that something else wrote: its bytes, or a database.

    :ivar sha256: of its bytes, hexadecimal.
    """

    path: Path
    data: bytes | None
    sha256: str
    size: int

    @classmethod
    def read(cls, path: Path) -> ForeignFile:
        """Read a file; of a database no more than its hash.

        :raises OSError: it cannot be read.
        """
        with path.open("rb") as file:
            head = file.read(len(MAGIC))
            if head == MAGIC:
                file.seek(0)
                return cls(path, None, hashlib.file_digest(file, "sha256").hexdigest(), path.stat().st_size)
            data = head + file.read()
        return cls(path, data, hashlib.sha256(data).hexdigest(), len(data))

    @contextmanager
    def source(self, store: Path | None = None) -> Iterator[Source]:
        """Yield its content.

        :param store: the store that is written.
        :raises ImportRefused: it is gzip, and damaged or too large; it is a database, and cannot be read.
        :raises OSError: there is no room for a copy of a database.
        """
        source = Source(MAGIC) if self.data is None else Source.of(self.data, Beside(self.path, store))
        if not source.raw.startswith(MAGIC):
            yield source
        elif self.data is None:
            with foreign_database(self.path) as database:
                yield Source(MAGIC, database)
        else:
            with tempfile.TemporaryDirectory(prefix="recorder-import-") as folder:
                unpacked = Path(folder) / "unpacked"
                unpacked.write_bytes(source.raw)
                with foreign_database(unpacked) as database:
                    yield Source(MAGIC, database)
