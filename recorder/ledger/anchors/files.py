"""Checkpoints in files elsewhere: one file that only grows, or a directory with one file for each.

*Elsewhere* is what makes it an anchor: a share of another owner, a bucket that keeps what it was given, a medium that
is written once. Folders are not made: where a share is not mounted, that has to be noticed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from recorder.core.events import meta_text
from recorder.durable import fdatasync, sync_directory, write_all
from recorder.errors import AnchorFailed
from recorder.ledger.anchors.base import Checked, checkpoint_of, digest_of
from recorder.locks import LockFile

#: Seconds between two checkpoints that are anchored in files.
EVERY_S: Final = 60.0
_SIGNATURE: Final = "— ".encode()
_TEXT_LINES: Final = 4  # origin, size, root, and the empty line before the signatures
_PROVES: Final = (
    "whoever keeps that place can tell whether the log was changed, cut or put back since: it must still grow out of "
    "this checkpoint"
)
_NOT_PROVED: Final = (
    "when it was written there, and that nobody who can write there changed it as well: it is as good as its keeper"
)


@dataclass(frozen=True, slots=True)
class FileAnchor:
    """A file at whose end each checkpoint is written, with an empty line after it.

    :ivar path: the file; it is made where it is missing, its folder is not.
    """

    path: Path
    every_s: float = EVERY_S

    @property
    def name(self) -> str:
        """``file:`` and the path."""
        return f"file:{self.path}"

    def leave(self, note: bytes) -> bytes:
        """Write a checkpoint at the end and through to the disk; the evidence says where it is."""
        try:
            start = self._append(note)
        except OSError as error:
            raise _unusable(self.name, error) from error
        return meta_text({"at": start, "sha256": digest_of(note)}).encode()

    def _append(self, note: bytes) -> int:
        new = not self.path.exists()
        # O_APPEND and not for reading: all that a file with the attribute "append only" allows.
        file = LockFile(self.path, flags=os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            file.acquire()
            size = os.lseek(file.fd, 0, os.SEEK_END)
            last = self._end(len(note) + 1)
            if last == note + b"\n":
                return size - len(last)
            # What a crash has left of a note ends here: with an empty line where it is whole, else without one.
            fresh = b"" if not last or last.endswith(b"\n\n") else b"\n"
            write_all(file.fd, fresh + note + b"\n")
            fdatasync(file.fd)
        finally:
            file.close()
        if new:
            sync_directory(self.path.parent)
        return size + len(fresh)

    def _end(self, size: int) -> bytes | None:
        try:
            with self.path.open("rb") as file:
                file.seek(max(file.seek(0, os.SEEK_END) - size, 0))
                return file.read()
        except PermissionError:  # a box into which one can only drop things
            return None

    def give_up(self) -> None:
        """Do nothing: a file that hangs does so with its disk, and ends with this process."""

    def check(self, note: bytes, evidence: bytes) -> Checked:
        """Look whether the file has that checkpoint, at its place or anywhere."""
        try:
            found = self._is_at(_place(evidence), note) or note in self._notes()
        except OSError as error:
            return _not_checked(f"{self.name} cannot be read here ({error.strerror})")
        return _held(self.name, note) if found else _missing(self.name, note)

    def _is_at(self, start: int, note: bytes) -> bool:
        with self.path.open("rb") as file:
            file.seek(start)
            return file.read(len(note)) == note

    def _notes(self) -> Iterator[bytes]:
        with self.path.open("rb") as file:
            yield from notes_in(file)

    def held(self) -> Iterator[bytes]:
        """Yield the checkpoints in the file."""
        try:
            yield from self._notes()
        except OSError as error:
            raise _unusable(self.name, error) from error


@dataclass(frozen=True, slots=True)
class DirectoryAnchor:
    """A directory with a file for each checkpoint, for reading only, named by its log, size and digest.

    :ivar path: the directory; it must be there.
    """

    path: Path
    every_s: float = EVERY_S

    @property
    def name(self) -> str:
        """``directory:`` and the path."""
        return f"directory:{self.path}"

    def leave(self, note: bytes) -> bytes:
        """Write a checkpoint to a file of its own and through to the disk; the evidence is the file's name."""
        checkpoint = checkpoint_of(note)
        log = digest_of(checkpoint.origin.encode())[:8]
        file = self.path / f"{log}-{checkpoint.size:012d}-{digest_of(note)[:16]}.note"
        try:
            if not (file.exists() and file.read_bytes() == note):
                self._write(file, note)
        except OSError as error:
            raise _unusable(self.name, error) from error
        return meta_text({"file": file.name, "sha256": digest_of(note)}).encode()

    def _write(self, file: Path, note: bytes) -> None:
        partial = file.with_suffix(f".{os.getpid()}.partial")
        fd = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            write_all(fd, note)
            fdatasync(fd)
        finally:
            os.close(fd)
        partial.rename(file)
        with suppress(PermissionError):  # of another owner, by a share's rules: it is there all the same
            file.chmod(0o444)
        sync_directory(self.path)

    def give_up(self) -> None:
        """Do nothing: a file that hangs does so with its disk, and ends with this process."""

    def check(self, note: bytes, evidence: bytes) -> Checked:
        """Look whether the directory has that checkpoint."""
        try:
            found = any(file.read_bytes() == note for file in self._files(checkpoint_of(note).size))
        except OSError as error:
            return _not_checked(f"{self.name} cannot be read here ({error.strerror})")
        return _held(self.name, note) if found else _missing(self.name, note)

    def _files(self, size: int | None = None) -> list[Path]:
        self.path.stat()  # glob is silent about a folder that is missing
        return sorted(self.path.glob("*.note" if size is None else f"*-{size:012d}-*.note"), key=_size_first)

    def held(self) -> Iterator[bytes]:
        """Yield the checkpoints in the directory."""
        try:
            for file in self._files():
                yield file.read_bytes()
        except OSError as error:
            raise _unusable(self.name, error) from error


def notes_in(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the signed checkpoints among lines; what a crash has left of one is passed over.

    :param lines: with their line feeds; after each note comes an empty line, or the end.
    """
    text: list[bytes] = []
    signatures: list[bytes] = []
    for line in lines:
        if text and text[-1] == b"\n" and line.startswith(_SIGNATURE) and line.endswith(b"\n"):
            signatures.append(line)
            continue
        if signatures and line == b"\n" and len(text) == _TEXT_LINES:
            yield b"".join([*text, *signatures])
        if signatures:
            text, signatures = [], []
        text = [*text[1 - _TEXT_LINES :], line]
    if signatures and len(text) == _TEXT_LINES:
        yield b"".join([*text, *signatures])


def _size_first(file: Path) -> tuple[str, str]:
    log, _, rest = file.name.partition("-")
    return rest, log


def _place(evidence: bytes) -> int:
    """Return where evidence says that a note is; the beginning where it does not say so."""
    try:
        at = json.loads(evidence)["at"]
    except (ValueError, KeyError, TypeError):
        return 0
    return at if type(at) is int and 0 <= at < 1 << 62 else 0


def _unusable(name: str, error: OSError) -> AnchorFailed:
    return AnchorFailed(
        f"the anchor {name} cannot be used ({error.strerror}): check that it is mounted and may be written"
    )


def _held(name: str, note: bytes) -> Checked:
    told = f"{name} holds this checkpoint of {checkpoint_of(note).size:,} leaves"
    return Checked("confirmed", told, _PROVES, _NOT_PROVED)


def _missing(name: str, note: bytes) -> Checked:
    told = f"{name} does not hold this checkpoint of {checkpoint_of(note).size:,} leaves, which was left there"
    return Checked("contradicted", told, "either it was removed there, or it was made up here", _NOT_PROVED)


def _not_checked(why: str) -> Checked:
    return Checked("not checked", why, "nothing until somebody looks there", _NOT_PROVED)
