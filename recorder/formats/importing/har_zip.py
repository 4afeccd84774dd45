"""HARs in a zip, as Playwright writes them: bodies are files of their own, beside the HAR that names them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from recorder.errors import ImportRefused
from recorder.formats.importing.base import Foreign, Recording, Refused
from recorder.formats.importing.har import IMPORTER as HAR
from recorder.formats.importing.source import Source
from recorder.formats.importing.zipped import Zip, members

#: What macOS puts into a zip beside each file is none.
_MEMBER: Final = re.compile(r"(?!__MACOSX/)(?:.*/)?(?!\._)[^/]*\.har", re.IGNORECASE)


class HarZip:
    """A zip with one HAR or several."""

    name = "har-zip"
    help = "a zip with HARs and the bodies that they name, as Playwright writes it"
    order = 26  # after ChatGPT's export: somebody may have given it a HAR

    def recognises(self, source: Source) -> bool:
        """A file in it is called a HAR."""
        return bool(members(source, _MEMBER))

    def read(self, source: Source) -> Recording:
        """Return the recording: that of the HAR, or of several all the entries, numbered through."""
        archive, names = Zip(source), members(source, _MEMBER)
        if len(names) == 1:
            return _read(archive, names[0])
        return Recording(HAR.name, _entries(archive, names))


def _read(archive: Zip, name: str) -> Recording:
    held = Source.of(archive.unpacked(name), archive.beside(name))
    if not HAR.recognises(held):
        raise ImportRefused(f"{name} in it is no HAR")
    return HAR.read(held)


def _entries(archive: Zip, names: list[str]) -> Iterator[Foreign | Refused]:
    number = 0
    for name in names:
        try:
            for entry in _read(archive, name).entries:
                number += 1
                yield replace(entry, number=number)
        except ImportRefused as error:
            number += 1
            yield Refused(number, f"{name} in it is not read: {error}")


IMPORTER = HarZip()
