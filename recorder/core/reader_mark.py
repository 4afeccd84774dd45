"""By what something was read: two readings may be held against each other where both have the same mark.

Bytes stay and readings get better. So an export says by what its bodies were read, and an import that reads them anew
compares the two only where that was what reads here; else each version would accuse the exports of those before it.
A number that somebody has to raise would be forgotten once: the mark is made of the sources themselves.
"""

from __future__ import annotations

import hashlib
import platform
from functools import cache
from importlib.metadata import entry_points
from importlib.resources import files
from importlib.resources.abc import Traversable
from importlib.util import find_spec
from typing import Final

#: What reads bodies, and what writes down what was read: packages of this one, and modules.
_SOURCES: Final = ("core", "dialects", "formats/json_format.py", "formats/jsonl.py")
#: Where dialects of other packages are named; what makes these the same is not known here.
_FOREIGN: Final = "recorder.dialects"
#: Modules that undo content codings, where they are installed.
_CODINGS: Final = ("brotli", "brotlicffi", "zstandard")


@cache
def reader_mark() -> str | None:
    """Return what is the same where bodies are read the same, 32 hexadecimal digits.

    :return: None where nobody can tell: the sources are not there, or a dialect of another package reads as well.
    """
    if entry_points(group=_FOREIGN):
        return None
    digest = hashlib.sha256()
    for name in _SOURCES:
        sources = _sources(files("recorder").joinpath(name))
        if not sources:
            return None
        for text in sources:
            digest.update(hashlib.sha256(text).digest())
    python = platform.python_implementation(), *platform.python_version_tuple()[:2]
    codings = [coding for coding in _CODINGS if find_spec(coding) is not None]
    digest.update(repr((python, codings)).encode("ascii"))
    return digest.hexdigest()[:32]


def _sources(place: Traversable) -> list[bytes]:
    """The sources of a module, or of all in a package, in the order of their names."""
    if place.is_dir():
        return [text for one in sorted(place.iterdir(), key=lambda one: one.name) for text in _sources(one)]
    return [place.read_bytes()] if place.name.endswith(".py") and place.is_file() else []
