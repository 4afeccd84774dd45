"""Files in a zip."""

from __future__ import annotations

import io
import posixpath
import re
import stat
import zipfile
import zlib
from pathlib import PurePosixPath, PureWindowsPath

from recorder.errors import ImportRefused
from recorder.formats.importing.source import LARGEST, ZIP, Source


def members(source: Source, pattern: re.Pattern[str]) -> list[str]:
    """Return the names of the files in a zip that match *pattern*, sorted; none where it is no zip."""
    if not source.raw.startswith(ZIP):
        return []
    try:
        with zipfile.ZipFile(io.BytesIO(source.raw)) as archive:
            return sorted({name for name in archive.namelist() if pattern.fullmatch(name)})
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return []


def is_inside(name: str) -> bool:
    """Whether a name, relative to a folder, leads to a place in it, on any system."""
    flavours = (PurePosixPath(name), PureWindowsPath(name))
    leads_out = any(path.is_absolute() or path.drive or path.root or ".." in path.parts for path in flavours)
    return bool(name) and "\0" not in name and not leads_out


class Zip:
    """A zip that is held in memory.

    :param most: how many bytes a file in it may have, and all that others name together: a small zip may stand for more
        than any disk holds.
    """

    def __init__(self, source: Source, most: int = LARGEST) -> None:
        self._archive = zipfile.ZipFile(io.BytesIO(source.raw))
        self._most = self._left = most

    def unpacked(self, name: str) -> bytes:
        """Return the bytes of a file in it.

        :raises ImportRefused: it is damaged, encrypted or too large.
        """
        data = self._read(name, self._most)
        if len(data) > self._most:
            raise ImportRefused(f"{name} in it unpacks to more than {self._most:,} bytes")
        return data

    def named(self, name: str) -> bytes:
        """Return the bytes of a file that another one names: all of these count together, however often one is named.

        :raises ImportRefused: it is damaged, encrypted or too large.
        """
        data = self._read(name, self._left)
        if len(data) > self._left:
            raise ImportRefused(f"{name} and what else is named in it unpack to more than {self._most:,} bytes")
        self._left -= len(data)
        return data

    def _read(self, name: str, most: int) -> bytes:
        """Return the bytes of a file; of one with more than *most*, one byte more than that."""
        try:
            with self._archive.open(name) as member:
                return member.read(most + 1)
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
            raise ImportRefused(f"{name} in it cannot be unpacked ({error})") from None

    def beside(self, name: str) -> ZipFolder:
        """Return the folder in it that a file stands in."""
        return ZipFolder(self, posixpath.dirname(name))

    def holds(self, name: str) -> bool:
        """Whether it has a file of this name, and no link."""
        try:
            found = self._archive.getinfo(name)
        except KeyError:
            return False
        return not found.is_dir() and not stat.S_ISLNK(found.external_attr >> 16)


class ZipFolder:
    """A folder in a zip, for a file that names others beside it."""

    def __init__(self, archive: Zip, folder: str) -> None:
        self._zip, self._folder = archive, folder

    def content(self, name: str) -> bytes | None:
        """Return the bytes of a file below it; None where there is none that may be read.

        :raises ImportRefused: it is damaged, encrypted or too large.
        """
        place = posixpath.normpath(posixpath.join(self._folder, name))
        return self._zip.named(place) if is_inside(name) and self._zip.holds(place) else None
