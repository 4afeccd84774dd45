"""Cassettes that belong to no test. What was not collected is not judged.

A cassette that is named after a test is an orphan where the whole module was collected and has no such test any more,
or where the module is gone; one that tests name, where all modules that could name it were collected. A test that the
command line left out by ``-k``, ``-m`` or ``--deselect`` was collected all the same; where it names single tests or
only those that failed last, nothing is known of the rest. Nor is a cassette an orphan that waits for a test which vcrpy
still records: its name, an old cassette beside it, or code that opens old ones says so.
"""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from recorder.api.cassette_names import SUFFIX, Places
from recorder.pytest_plugin.marking import marked, test_name
from recorder.pytest_plugin.not_yet_moved import has_an_old_one, is_of_vcrpy, opens_cassettes, waiting_for


class Collected:
    """What was collected of the tests."""

    def __init__(self, config: pytest.Config, places: Places) -> None:
        self._places = places
        self._root = config.rootpath
        self._patterns: list[str] = config.getini("python_files")
        self._ignored: list[str] = config.getini("norecursedirs")
        self._all = {config.rootpath / path for path in config.getini("testpaths")} or {config.rootpath}
        self._modules: dict[str, Path] = {}
        self._waiting: set[Path] = set()
        self._recorders: dict[Path, list[pytest.Item]] = {}
        self._own: set[Path] = set()
        given = [_path_of(config, argument) for argument in config.args]
        self._single = {path for path, is_whole in given if not is_whole}
        self._whole = {path for path, is_whole in given if is_whole}
        self._is_partial = bool(config.getoption("lf", False))

    def began(self, collector: pytest.Collector) -> None:
        """Note a module that is being collected."""
        if isinstance(collector, pytest.Module):
            self._modules[collector.nodeid] = collector.path

    def failed(self, nodeid: str) -> None:
        """Note that a module could not be collected: nothing is known of its tests."""
        self._modules.pop(nodeid, None)

    def saw(self, item: pytest.Item) -> None:
        """Note a test: where vcrpy records it, its cassettes wait for it."""
        if is_of_vcrpy(item):
            self._waiting.update(waiting_for(item, self._places))

    def has(self, item: pytest.Item, cassette: Path) -> None:
        """Note whose a cassette is; a test with a fault only plays it."""
        if marked(item)[1].get("fault") is None:
            self._recorders.setdefault(cassette, []).append(item)
        if cassette == self._places.of_test(item.path, test_name(item)):
            self._own.add(cassette)

    def recorders_of(self, cassette: Path) -> set[str] | None:
        """Return the ids of the tests that may record a cassette, also of those that are left out by the command line.

        :return: None where others may do so, of modules that were not collected: whose a cassette is that tests name
            cannot be told from their source; where one is named after its test, others name it as it is.
        """
        found = self._recorders.get(cassette, [])
        collected = set() if self._is_partial else set(self._modules.values()) - self._single
        for directory in {item.path.parent for item in found}:
            folder = self._places.named_folder(directory / "module.py")
            there = set(self._tests_in(directory) if folder.parent == directory else self._tests_below())
            name = os.path.relpath(cassette, folder).removesuffix(SUFFIX).replace(os.sep, "/").encode()
            for module in there - collected:
                if cassette not in self._own or name in module.read_bytes():
                    return None
        return {item.nodeid for item in found}  # by now: pytest-xdist has added their groups

    def orphans(self, named: set[Path]) -> set[Path]:
        """Return the cassettes that are there and belong to no test.

        :param named: those that belong to one, or were used by one.
        """
        if self._is_partial or not named:
            return set()  # a run without a recorded test knows nothing of cassettes
        collected = {path for path in self._modules.values() if path not in self._single}
        modules = {path for path in collected if not opens_cassettes(path, self._root)}
        found: set[Path] = set()
        for module in modules:
            found |= _cassettes(self._places.folder_of(module), deep=False)
        for directory in {module.parent for module in modules}:
            found |= self._of_directory(directory, modules)
        left = {path for path in found - named - self._waiting if not has_an_old_one(path)}
        if not left:
            return left
        from recorder.api.cassette_reports import begins_like_one

        return {path for path in left if begins_like_one(path)}

    def _of_directory(self, directory: Path, modules: set[Path]) -> set[Path]:
        """Return the cassettes that the modules of a directory name, and those of modules that are gone."""
        if not self._is_whole(directory):
            return set()
        folder = self._places.named_folder(directory / "module.py")
        there = set(self._tests_in(directory) if folder.parent == directory else self._tests_below())
        found = _cassettes(folder, deep=False) if there <= modules else set()
        homes = {self._places.folder_of(module) for module in there}
        below = {path.parent for path in _cassettes(folder, deep=True)} - {folder} - homes
        # A folder that is named as those of modules are; others hold what tests name.
        gone = [home for home in below if self._is_of_tests(f"{home.name}.py")]
        return found.union(*(_cassettes(home, deep=False) for home in gone))

    def _is_whole(self, directory: Path) -> bool:
        """Whether every module that shares the folder of cassettes with those of a directory was to be collected."""
        if self._places.named_folder(directory / "module.py").parent == directory:
            return any(directory.is_relative_to(whole) for whole in self._whole)
        return self._all <= self._whole or self._root in self._whole

    def _tests_in(self, directory: Path) -> Iterator[Path]:
        return (path for path in directory.glob("*.py") if self._is_of_tests(path.name))

    def _tests_below(self) -> Iterator[Path]:
        """Yield the modules of tests of the whole run."""
        for top in self._all:
            for folder, folders, names in os.walk(top):
                folders[:] = [
                    name for name in folders if not any(fnmatch.fnmatch(name, each) for each in self._ignored)
                ]
                yield from (Path(folder, name) for name in names if self._is_of_tests(name))

    def _is_of_tests(self, name: str) -> bool:
        return _fits(name, self._patterns)


def _fits(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatch(name, pattern) for pattern in patterns)


def _path_of(config: pytest.Config, argument: str) -> tuple[Path, bool]:
    """Return the file or directory that an argument names, and whether all of it."""
    name, separator, _ = argument.partition("::")
    return (config.invocation_params.dir / name).resolve(), not separator


def _cassettes(folder: Path, *, deep: bool) -> set[Path]:
    found: Iterable[Path] = folder.rglob(f"*{SUFFIX}") if deep else folder.glob(f"*{SUFFIX}")
    return {path for path in found if path.is_file()}
