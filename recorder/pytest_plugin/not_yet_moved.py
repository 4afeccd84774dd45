"""Tests that vcrpy still records, in a suite that moves to us a test at a time: their cassettes wait for them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from recorder.api.cassette_names import Places
from recorder.pytest_plugin.marking import test_name

_MARKS: Final = ("vcr", "default_cassette")
_FIXTURES: Final = frozenset({"vcr", "vcr_cassette"})
_OLD: Final = (".yaml", ".yml", ".json")
_CALLS: Final = (
    b"use_cassette",
    b"VCRTestCase",
    b"VCRMixin",
)  # in code: which test uses which cassette shows as it runs


def is_of_vcrpy(item: pytest.Item) -> bool:
    """Whether one of vcrpy's plugins, or its class for unittest, records a test."""
    if any(item.get_closest_marker(name) is not None for name in _MARKS):
        return True
    if not _FIXTURES.isdisjoint(getattr(item, "fixturenames", ())):
        return True
    of_class: type | None = getattr(item, "cls", None)
    return of_class is not None and any(base.__module__.partition(".")[0] == "vcr" for base in of_class.__mro__)


def waiting_for(item: pytest.Item, places: Places) -> Iterator[Path]:
    """Yield the cassettes that ``recorder migrate`` has made for a test."""
    yield places.of_test(item.path, test_name(item))
    for marker in item.iter_markers("default_cassette"):
        for name in marker.args[:1]:
            if isinstance(name, str):
                yield places.named(item.path, f"{item.path.stem}/{Path(name).with_suffix('').as_posix()}")


def has_an_old_one(cassette: Path) -> bool:
    """Whether a cassette of vcrpy's with the same name lies beside one."""
    return any(cassette.with_name(f"{cassette.stem}{suffix}").is_file() for suffix in _OLD)


def opens_cassettes(module: Path, root: Path) -> bool:
    """Whether a module, or a ``conftest.py`` that it sees, opens cassettes of vcrpy's in its code."""
    above = [folder / "conftest.py" for folder in module.parents if folder == root or folder.is_relative_to(root)]
    return any(_says(path) for path in (module, *above))


def _says(path: Path) -> bool:
    try:
        source = path.read_bytes()
    except OSError:  # there is no such conftest.py
        return False
    return any(call in source for call in _CALLS)
