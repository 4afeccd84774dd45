"""Which cassette belongs to which test: one name on every system, and never one for two tests. Pure.

``tests/test_bot.py::TestDesk::test_buys[EURUSD]`` has ``tests/cassettes/test_bot/TestDesk.test_buys[EURUSD].jsonl``.
What some system does not allow in a name is replaced, and a digest of the whole name follows, so that two parameters
which look the same afterwards have two cassettes.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path, PurePath
from typing import Final

SUFFIX: Final = ".jsonl"
#: Ends the name of what is recorded to take a cassette's place; it stands in no name of a test.
BESIDE: Final = "~new"
#: Ends the name of what a run recorded to take a cassette's place that was killed, once it is set aside.
KILLED: Final = "~killed"

_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_.,=+@\[\]-]")
_RESERVED: Final = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)", re.IGNORECASE)  # names of devices, on Windows
_MOST: Final = 120  # characters, far below the 255 bytes that file systems allow


def cassette_name(test: str) -> str:
    """Return the name of a test's cassette, without its ending.

    :param test: name of the test inside its module, as in ``TestDesk.test_buys[EURUSD]``.
    """
    safe = _UNSAFE.sub("_", test)
    if len(safe) > _MOST:
        safe = safe[:_MOST]
    if safe == test and not _RESERVED.match(safe):
        return safe
    digest = hashlib.sha256(test.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{safe.rstrip('.')}-{digest}" if not _RESERVED.match(safe) else f"test-{safe}-{digest}"


def unsafe_parts(name: str) -> list[str]:
    """Return the parts of a given name that some system does not allow."""
    parts = PurePath(name).parts
    return [part for part in parts if part != PurePath(name).anchor and part != ".." and cassette_name(part) != part]


def beside(cassette: Path) -> Path:
    """Return where something is recorded that may take a cassette's place."""
    return with_ending(cassette, BESIDE)


def with_ending(cassette: Path, ending: str) -> Path:
    """Return the path of a file beside a cassette, whose name has this at its end."""
    return cassette.with_name(f"{cassette.name.removesuffix(SUFFIX)}{ending}{SUFFIX}")


def is_beside(cassette: Path) -> bool:
    """Whether a file was recorded to take a cassette's place, and has not done so."""
    _, separator, ending = cassette.name.removesuffix(SUFFIX).rpartition("~")
    return bool(separator) and f"~{ending.rstrip('0123456789')}" in (BESIDE, KILLED)


class Places:
    """Where cassettes lie.

    :param root: root directory of the tests.
    :param directory: of all cassettes; None: a folder ``cassettes`` beside each module of tests.
    """

    def __init__(self, root: Path, directory: Path | None) -> None:
        self._root = root
        self._directory = directory

    def folder_of(self, module: Path) -> Path:
        """Return the folder of the cassettes that are named after the tests of a module."""
        return self.named_folder(module) / self._inside(module)

    def named_folder(self, module: Path) -> Path:
        """Return the folder of the cassettes that a module's tests name."""
        return module.parent / "cassettes" if self._directory is None else self._directory

    def _inside(self, module: Path) -> PurePath:
        if self._directory is None or not module.is_relative_to(self._root):
            return PurePath(module.stem)
        return module.relative_to(self._root).with_suffix("")

    def of_test(self, module: Path, test: str) -> Path:
        """Return the cassette of a test."""
        return self.folder_of(module) / f"{cassette_name(test)}{SUFFIX}"

    def named(self, module: Path, name: str) -> Path:
        """Return the cassette that a module's test names; its ending may be left out."""
        named = name if name.endswith(SUFFIX) else f"{name}{SUFFIX}"
        return Path(os.path.normpath(self.named_folder(module) / named))
