"""Which old cassette belongs to which test, and what its name is with us.

vcrpy's plugins name cassettes after tests in two ways: pytest-recording has a folder for each module, pytest-vcr one
for each folder of modules. Both leave the class of a method before its name, and write a parameter in brackets;
pytest-recording puts ``-`` where the name of a test has a character that some file system does not allow, so what such
a cassette was called after can only be told from the tests that pytest collects.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from recorder.api.cassette_names import Places
from recorder.api.migration.advice import Option
from recorder.api.migration.suite import Module, Test

SUFFIXES: Final = (".yaml", ".yml", ".json")
_FOLDER: Final = "cassettes"
_REPLACED: Final = re.compile(r"[<>?%*:|\"'/\\]")  # by pytest-recording


@dataclass(slots=True)
class Move:
    """A cassette of ours that old ones become.

    :ivar target: where it lies.
    :ivar sources: the old ones, the first of them being the test's own.
    :ivar tests: whose it is, as ``test_bot.py::TestDesk.test_buys``.
    :ivar options: that were given to vcrpy for it.
    :ivar note: what could not be told for certain.
    """

    target: Path
    sources: list[Path] = field(default_factory=list)
    tests: list[str] = field(default_factory=list)
    options: list[Option] = field(default_factory=list)
    note: str | None = None

    def take(self, sources: Iterable[Path], test: str) -> None:
        """Add sources, and whose they are."""
        self.sources += [each for each in sources if each not in self.sources]
        if test not in self.tests:
            self.tests.append(test)


@dataclass(slots=True)
class Found:
    """What was found of a suite's old cassettes.

    :ivar moves: by their targets.
    :ivar missing: cassettes that tests name and that are not there: module, line, name.
    :ivar orphans: old cassettes that no test has.
    """

    moves: dict[Path, Move] = field(default_factory=dict)
    missing: list[tuple[Path, int, str]] = field(default_factory=list)
    orphans: list[Path] = field(default_factory=list)


class Finder:
    """Finds the old cassettes of modules.

    :param modules: of the suite, ``conftest.py`` and whatever else mentions vcrpy included.
    :param places: where our cassettes lie.
    :param collected: names of the tests of a module, parameters and all; empty where they are not known.
    """

    def __init__(self, modules: list[Module], places: Places, collected: Mapping[Path, list[str]]) -> None:
        self._modules, self._places, self._collected = modules, places, collected
        self._found = Found()
        self._used: set[Path] = set()

    def find(self) -> Found:
        """Return what there is."""
        for module in self._modules:
            for test in module.tests:
                self._of(module, test)
            for name, line in module.opened:
                self._open(module, name, line, module.path.name)
        folders = {folder for module in self._modules if module.tests for folder in self._folders(module)}
        beside = {path for folder in folders if folder.is_dir() for path in folder.iterdir() if _is_old(path)}
        self._found.orphans = sorted(beside - self._used)
        return self._found

    # Cassettes that are named after tests

    def _folders(self, module: Module) -> list[Path]:
        """Return the folders of a module: pytest-recording's, pytest-vcr's, and one that a fixture names."""
        given = self._given_folder(module.path)
        beside = module.path.parent / _FOLDER
        return [*([given] if given is not None else []), beside / module.path.stem, beside]

    def _given_folder(self, path: Path) -> Path | None:
        """Return what the nearest fixture ``vcr_cassette_dir`` returns."""
        nearest = sorted(self._modules, key=lambda each: len(each.path.parts), reverse=True)
        for each in nearest:
            is_seen = each.path == path or (each.path.name == "conftest.py" and path.is_relative_to(each.path.parent))
            if each.folder and is_seen:
                return next((base / each.folder for base in _bases(each.path) if (base / each.folder).is_dir()), None)
        return None

    def _options(self, module: Module, test: Test | None) -> list[Option]:
        """Return the options that hold for a test: the last one of a name counts."""
        above = [
            each
            for each in self._modules
            if each.path.name == "conftest.py" and each is not module and module.path.is_relative_to(each.path.parent)
        ]
        held = [*sorted(above, key=lambda each: len(each.path.parts)), module]
        return [*(option for each in held for option in each.options), *(test.options if test is not None else ())]

    def _of(self, module: Module, test: Test) -> None:
        told = f"{module.path.name}::{test.name}"
        options = self._options(module, test)
        folders = self._folders(module)
        extra = [self._named(module, name, test.line, folders) for name in test.cassettes]
        extras = [path for path in extra if path is not None]
        if test.default is not None:
            default = self._named(module, test.default, test.line, folders)
            if default is not None:
                name = Path(test.default).with_suffix("").as_posix()
                target = self._places.named(module.path, f"{module.path.stem}/{name}")
                self._move(target, [default, *extras], told, options)
        else:
            own = list(self._own(module, test, folders))
            for name, path, note in own:
                target = self._places.of_test(module.path, name)
                self._move(target, [path, *extras], f"{module.path.name}::{name}", options, note)
            if extras and not own:
                self._move(self._places.of_test(module.path, test.name), extras, told, options)
        for name in test.used:
            self._open(module, name, test.line, told, test)

    def _own(self, module: Module, test: Test, folders: list[Path]) -> Iterator[tuple[str, Path, str | None]]:
        """Yield the names of a test, one for each parameter, and its old cassettes."""
        seen: set[str] = set()
        for folder in folders:
            for path in sorted(folder.iterdir()) if folder.is_dir() else ():
                stem, bracket, parameter = path.stem.partition("[")
                if not _is_old(path) or stem != test.old or path.stem in seen:
                    continue
                seen.add(path.stem)
                name = f"{test.name}{bracket}{parameter}"
                if not bracket or "-" not in parameter:
                    yield name, path, None
                    continue
                fits = [each for each in self._collected.get(module.path, ()) if _as_old(each) == path.stem]
                if len(fits) == 1:
                    yield fits[0], path, None
                else:
                    yield name, path, "its parameter may have had another character where '-' stands: check the name"

    # Cassettes that have names of their own

    def _open(self, module: Module, name: str, line: int, told: str, test: Test | None = None) -> None:
        path = self._named(module, name, line, [])
        if path is not None:
            self._move(self._places.named(module.path, path.stem), [path], told, self._options(module, test))

    def _named(self, module: Module, name: str, line: int, folders: list[Path]) -> Path | None:
        """Return the file that a test names: below its folder, a library, its module or the current directory."""
        libraries = [text for each in (module, *self._modules) for text in each.libraries]
        bases = [*folders, *_bases(module.path)]
        bases += [base / library for library in dict.fromkeys(libraries) for base in _bases(module.path)]
        for base in bases:
            for candidate in (base / name, *(base / f"{name}{suffix}" for suffix in SUFFIXES)):
                if candidate.is_file():
                    return candidate
        self._found.missing.append((module.path, line, name))
        return None

    def _move(
        self, target: Path, sources: list[Path], told: str, options: list[Option], note: str | None = None
    ) -> None:
        move = self._found.moves.setdefault(target, Move(target, options=options))
        move.take(sources, told)
        move.note = move.note or note
        self._used.update(sources)


def needs_collecting(modules: Iterable[Module]) -> bool:
    """Whether there is an old cassette whose test only pytest can tell."""
    folders = {folder for each in modules for folder in _likely(each)}
    names = [path.name for folder in folders if folder.is_dir() for path in folder.iterdir() if _is_old(path)]
    return any("-" in name.partition("[")[2] for name in names)


def _likely(module: Module) -> tuple[Path, Path]:
    return module.path.parent / _FOLDER, module.path.parent / _FOLDER / module.path.stem


def _bases(module: Path) -> tuple[Path, Path]:
    return Path(os.curdir), module.parent


def _is_old(path: Path) -> bool:
    return path.suffix in SUFFIXES and path.is_file()


def _as_old(test: str) -> str:
    """Return the stem of the cassette that pytest-recording gives a test."""
    name, bracket, parameter = test.partition("[")
    return _REPLACED.sub("-", ".".join(name.split(".")[-2:]) + bracket + parameter)
