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

    :ivar most: how much all that is unpacked of it may be, in bytes: a small zip stands for more than any disk holds.
    """

    def __init__(self, source: Source, most: int = LARGEST) -> None:
        self._archive = zipfile.ZipFile(io.BytesIO(source.raw))
        self.most = most

    def unpacked(self, name: str) -> bytes:
        """Return the bytes of a file in it.

        :raises ImportRefused: it is damaged, encrypted or too large.
        """
        try:
            with self._archive.open(name) as member:
                data = member.read(self.most + 1)
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
            raise ImportRefused(f"{name} in it cannot be unpacked ({error})") from None
        if len(data) > self.most:
            raise ImportRefused(f"{name} in it unpacks to more than {self.most:,} bytes")
        return data

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
    """A folder in a zip, for a file that names others beside it. What is unpacked of it counts together."""

    def __init__(self, archive: Zip, folder: str) -> None:
        self._zip, self._folder = archive, folder

    def content(self, name: str) -> bytes | None:
        """Return the bytes of a file below it; None where there is none that may be read.

        :raises ImportRefused: it is damaged, encrypted or too large.
        """
        place = posixpath.normpath(posixpath.join(self._folder, name))
        if not is_inside(name) or not self._zip.holds(place):
            return None
        data = self._zip.unpacked(place)
        self._zip.most -= len(data)
        return data
