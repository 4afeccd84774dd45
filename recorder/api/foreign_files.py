"""Files that are to be imported: which they are, and what is in them."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from recorder.errors import ConfigurationError
from recorder.formats.importing.source import Source
from recorder.store.foreign import MAGIC, foreign_database

#: Folders that hold no recordings, and thousands of files.
_PASSED_OVER: Final = frozenset({".git", ".hg", ".svn", "node_modules", "__pycache__", ".venv"})
#: What lies beside a store's own file.
_BESIDE: Final = ("", "-wal", "-shm", "-journal", ".lock")
_SPOOL: Final = "-spool"


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
    def source(self) -> Iterator[Source]:
        """Yield its content.

        :raises ImportRefused: it is gzip, and damaged or too large; it is a database, and cannot be read.
        :raises OSError: there is no room for a copy of a database.
        """
        source = Source(MAGIC) if self.data is None else Source.of(self.data)
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
