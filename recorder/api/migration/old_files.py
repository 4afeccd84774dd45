"""Old cassettes as files: what is one, where they lie, under which names."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

SUFFIXES: Final = (".yaml", ".yml", ".json")
_BEGINNING: Final = 1 << 16
_INTERACTIONS: Final = re.compile(rb'(?m)^interactions:|"interactions"\s*:')
_REPLACED: Final = re.compile(r"[<>?%*:|\"'/\\]")  # by pytest-recording
_PASSED_OVER: Final = frozenset({"node_modules", "__pycache__", "venv", "site-packages"})


def is_named_like_one(path: Path) -> bool:
    """Whether a file has one of the endings of vcrpy's cassettes."""
    return path.suffix in SUFFIXES and path.is_file()


def is_one(path: Path) -> bool:
    """Whether a file begins like a cassette of vcrpy's, whatever its name is."""
    try:
        with path.open("rb") as file:
            beginning = file.read(_BEGINNING)
    except OSError:
        return False
    return _INTERACTIONS.search(beginning) is not None and b"request" in beginning and b"uri" in beginning


def those_below(folders: Iterable[Path]) -> Iterator[Path]:
    """Yield every file below folders that is one; hidden folders and those of other people's code are left out."""
    for path in files_below(folders):
        if path.suffix in ("", *SUFFIXES) and is_one(path):
            yield near(path)


def files_below(folders: Iterable[Path]) -> Iterator[Path]:
    """Yield every file below folders but for hidden ones and those of other people's code, in order."""
    for folder in folders:
        for top, names, files in os.walk(folder):
            names[:] = sorted(name for name in names if name not in _PASSED_OVER and not name.startswith("."))
            yield from (Path(top) / name for name in sorted(files))


def near(path: Path) -> Path:
    """Return a path from the current directory, where it is below it."""
    here, there = Path.cwd(), Path(os.path.abspath(path))  # noqa: PTH100 (links stay as they are)
    return there.relative_to(here) if there.is_relative_to(here) else path


def old_name(test: str) -> str:
    """Return the stem of the cassette that pytest-recording gives a test."""
    name, bracket, parameter = test.partition("[")
    return _REPLACED.sub("-", ".".join(name.split(".")[-2:]) + bracket + parameter)


def name_in_node(test: str) -> str:
    """Return a test's name as ``request.node.name`` has it, where some systems allow it as the name of a file."""
    name, bracket, parameter = test.partition("[")
    return _REPLACED.sub("-", name.rpartition(".")[2] + bracket + parameter)
