"""Old cassettes as files: what is one, where they lie, under which names."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from recorder.errors import ImportRefused
from recorder.formats.importing.values import Unreadable
from recorder.formats.importing.yaml_data import items

_YAML: Final = (".yaml", ".yml")
SUFFIXES: Final = (*_YAML, ".json")
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
    is_cut = len(beginning) == _BEGINNING  # a long payload stands before the URL
    return (
        _INTERACTIONS.search(beginning) is not None
        and b"request" in beginning
        and (is_cut or b"uri" in beginning or b"url" in beginning)
    )


def why_unread(path: Path, *, is_a_cassette: bool) -> str:
    """Return why nothing can be told of a file that is named like an old cassette; empty where something can.

    :param is_a_cassette: it lies where only those do, so that YAML has to be some.
    :raises ConfigurationError: PyYAML is not installed.
    """
    try:
        with path.open("rb") as file:
            data = file.read() if is_a_cassette and path.suffix in _YAML else b"is not looked into"
    except FileNotFoundError:
        return "it leads to a file that is gone" if path.is_symlink() else ""
    except OSError as error:
        return f"it cannot be read ({error.strerror})"
    if not data.strip():
        return "it is empty"
    if path.suffix in _YAML and is_a_cassette:
        try:
            return next((held.reason for _, held in items(data) if isinstance(held, Unreadable)), "")
        except ImportRefused as error:
            return str(error)
    return ""


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
