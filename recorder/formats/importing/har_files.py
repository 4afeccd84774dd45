"""Bodies that a HAR has not in it but in files beside it, under ``_file``: Playwright's ``content: "attach"``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from recorder.errors import ImportRefused
from recorder.formats.importing.base import Absent
from recorder.formats.importing.source import Folder, Source
from recorder.formats.importing.values import EntryError, mapping_or_empty


class Attached:
    """The files of one entry.

    :param folder: where the HAR was found; None where nobody knows.
    :ivar absent: those that are not there.
    """

    def __init__(self, folder: Folder | None) -> None:
        self._folder = folder
        self._found: set[str] = set()
        self.absent: list[Absent] = []

    def content(self, side: str, holder: dict[str, Any]) -> bytes | None:
        """Return the bytes of the file that *holder* names; None where it names none, or it is not there.

        :param side: whose body it is, ``request`` or ``response``.
        :raises EntryError: it is there, and cannot be read.
        """
        name = _named(holder)
        if name is None:
            return None
        try:
            found = None if self._folder is None else self._folder.content(name)
        except ImportRefused as error:
            raise EntryError(str(error)) from None
        if found is None:
            self.absent.append(Absent(side, name))
        else:
            self._found.add(side)
        return found

    def has(self, side: str) -> bool:
        """Whether a side's body was in a file."""
        return side in self._found

    def lacks(self, side: str) -> bool:
        """Whether a side's body is in a file that is not there."""
        return any(one.side == side for one in self.absent)


def files_named(source: Source) -> Iterator[str]:
    """Yield the names of the files that a HAR names instead of bodies."""
    log = mapping_or_empty(mapping_or_empty(source.json).get("log"))
    entries = log.get("entries")
    for entry in map(mapping_or_empty, entries if isinstance(entries, list) else ()):
        posted = mapping_or_empty(entry.get("request")).get("postData")
        content = mapping_or_empty(entry.get("response")).get("content")
        yield from filter(None, map(_named, map(mapping_or_empty, (posted, content))))


def _named(holder: dict[str, Any]) -> str | None:
    """The file that is named where a text would stand."""
    name = holder.get("_file")
    return name if isinstance(name, str) and name and not holder.get("text") else None
