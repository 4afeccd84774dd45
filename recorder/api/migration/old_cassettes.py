"""Which old cassette belongs to which test, and what its name is with us.

vcrpy's plugins name cassettes after tests in two ways: pytest-recording has a folder for each module, pytest-vcr one
for each folder of modules. Both leave the class of a method before its name, and write a parameter in brackets;
pytest-recording puts ``-`` where the name of a test has a character that some file system does not allow, so what such
a cassette was called after can only be told from the tests that pytest collects. Code names others, which is read as
far as it can be told without running it. What is left over in the end is told by name: nothing is dropped silently.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from recorder.api.cassette_names import Places
from recorder.api.migration.advice import Option
from recorder.api.migration.collecting import Collected, Item
from recorder.api.migration.known_tests import KnownTests
from recorder.api.migration.old_files import (
    SUFFIXES,
    files_below,
    is_named_like_one,
    is_one,
    near,
    old_name,
    those_below,
    why_unread,
)
from recorder.api.migration.paths import is_known, is_telling, matches
from recorder.api.migration.suite import Module, Test, Use
from recorder.api.migration.whole import beside as ours_beside
from recorder.api.migration.whole import targets, to_name, untested

_FOLDER: Final = "cassettes"


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
        """Add sources, and whose they are: nobody's where that is empty."""
        self.sources += [each for each in sources if each not in self.sources]
        if test and test not in self.tests:
            self.tests.append(test)


@dataclass(slots=True)
class Found:
    """What was found of a suite's old cassettes.

    :ivar moves: by their targets.
    :ivar missing: cassettes that tests name and that are not there: module, line, name.
    :ivar untold: what names cassettes in a way that cannot be told: module, line, what stands there.
    :ivar orphans: old cassettes that no test has, as far as that can be told.
    :ivar unread: files that may be old cassettes, each with why that cannot be told.
    :ivar to_name: folders and files that bring the orphans over, where they are named to ``recorder migrate``.
    :ivar is_guessed: the test of one of them may be another one, or a parameter another text.
    """

    moves: dict[Path, Move] = field(default_factory=dict)
    missing: list[tuple[Path, int, str]] = field(default_factory=list)
    untold: list[tuple[Path, int, str]] = field(default_factory=list)
    orphans: list[Path] = field(default_factory=list)
    unread: list[tuple[Path, str]] = field(default_factory=list)
    to_name: list[Path] = field(default_factory=list)
    is_guessed: bool = False

    @property
    def lacks(self) -> bool:
        """Whether something is left, or was guessed, that pytest may know more of."""
        return bool(self.untold or self.orphans or self.is_guessed)


class Finder:
    """Finds the old cassettes of modules.

    :param modules: of the suite, ``conftest.py`` and whatever else mentions vcrpy included.
    :param places: where our cassettes lie.
    :param collected: what pytest has collected of them; empty where it was not asked.
    :param roots: folders below which no old cassette is to be passed over.
    :param named: old cassettes that are brought over whosever they are, as those in roots without tests.
    :param directory: of all our cassettes; None: beside each module.
    """

    def __init__(
        self,
        modules: list[Module],
        places: Places,
        collected: Collected,
        roots: Iterable[Path],
        named: Iterable[Path] = (),
        directory: Path | None = None,
    ) -> None:
        self._modules, self._places, self._roots = modules, places, list(roots)
        self._asked, self._directory = list(named), directory
        self._untested = untested(self._roots, modules)
        self._tests = KnownTests(modules, collected.items)
        self._found = Found()
        self._used: set[Path] = set()

    def find(self) -> Found:
        """Return what there is."""
        for module in self._modules:
            for test in self._tests.of(module.path):
                self._of(module, test)
            for use in module.opened:
                self._open(module, use, module.path.name)
            if module.folder is not None and not is_known(module.folder) and not self._is_told_by_pytest(module):
                self._found.untold.append((module.path, module.folder_line, "fixture vcr_cassette_dir"))
        folders = {each for module in self._modules if self._tests.of(module.path) for each in self._folders(module)}
        beside = {near(path) for each in folders if each.is_dir() for path in each.iterdir() if is_named_like_one(path)}
        left = {*filter(is_one, beside), *those_below(self._roots)}
        self._whole(left)
        self._found.orphans = sorted(left - self._used)
        self._found.to_name = to_name(self._found.orphans, self._used, (each.path for each in self._modules))
        self._found.unread = list(self._unread(folders, left | self._used))
        return self._found

    def _whole(self, left: Set[Path]) -> None:
        """Have old cassettes moved whosever they are: those that were asked for, and that have been already."""
        asked = {one: one.parent for one in self._asked}
        asked |= {one: folder for folder in self._untested for one in those_below([folder])}
        if self._directory is None:
            asked |= {one: one.parent for one in left if ours_beside(one).exists() and one not in asked}
        options = [option for each in self._modules for option in each.options]
        for source, target, note in targets(sorted(asked.items()), self._directory):
            if source not in self._used:
                self._move(target, [source], "", options, note)

    def _unread(self, folders: Iterable[Path], read: Set[Path]) -> Iterator[tuple[Path, str]]:
        """Yield the files that may be old cassettes and cannot be read, each with why."""
        near_by = {near(path) for each in folders if each.is_dir() for path in each.iterdir()}
        of_cassettes = (each for each in self._untested if near(each) != Path())  # anything may lie where one just is
        near_by |= {near(path) for path in files_below(of_cassettes)}
        below = {near(path) for path in files_below(self._roots)}
        for path in sorted(near_by | below):
            if path.suffix not in SUFFIXES or path in read or path.is_dir():
                continue
            if reason := why_unread(path, is_a_cassette=path in near_by):
                yield path, reason

    def _is_told_by_pytest(self, of: Module) -> bool:
        """Whether pytest has told the folder of every test that a fixture serves."""
        served = [each for each in self._modules if of.path in (each.path, each.path.parent / "conftest.py")]
        below = [each for each in self._modules if each.path.is_relative_to(of.path.parent)]
        items = [item for each in (below if of.path.name == "conftest.py" else served) for item in self._items(each)]
        return bool(items) and all(item.folder is not None for item in items)

    def _items(self, module: Module) -> list[Item]:
        return self._tests.items_of(module.path)

    # Cassettes that are named after tests

    def _folders(self, module: Module) -> list[Path]:
        """Return the folders of a module: those that it names, pytest-recording's, and pytest-vcr's."""
        given = [item.folder for item in self._items(module) if item.folder is not None] + module.libraries
        if (fixture := self._folder_by_fixture(module.path)) is not None:
            given.append(fixture)
        named = [base / each for each in dict.fromkeys(given) for base in _bases(module.path)]
        beside = module.path.parent / _FOLDER
        return [*(each for each in named if each.is_dir()), beside / module.path.stem, beside]

    def _folder_by_fixture(self, path: Path) -> str | None:
        """Return what the nearest fixture ``vcr_cassette_dir`` returns, where its source tells."""
        nearest = sorted(self._modules, key=lambda each: len(each.path.parts), reverse=True)
        for each in nearest:
            is_seen = each.path == path or (each.path.name == "conftest.py" and path.is_relative_to(each.path.parent))
            if each.folder is not None and is_seen:
                return each.folder if each.folder and is_known(each.folder) else None
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
        for use in test.used:
            self._open(module, use, told, test)

    def _own(self, module: Module, test: Test, folders: list[Path]) -> Iterator[tuple[str, Path, str | None]]:
        """Yield the names of a test, one for each parameter, and its old cassettes."""
        seen: set[str] = set()
        items = [item for item in self._items(module) if item.name.partition("[")[0] == test.name]
        for folder in folders:
            for item in items:
                if item.cassette is not None and item.name not in seen:
                    for path in _files(folder, item.cassette):
                        seen.add(item.name)
                        yield item.name, path, None
            for path in sorted(folder.iterdir()) if folder.is_dir() else ():
                stem, bracket, parameter = path.stem.partition("[")
                if not is_named_like_one(path) or stem != test.old or path.stem in seen:
                    continue
                seen.add(path.stem)
                name = f"{test.name}{bracket}{parameter}"
                if not bracket or "-" not in parameter:
                    yield name, path, None
                    continue
                fits = [item.name for item in items if old_name(item.name) == path.stem]
                if len(fits) == 1:
                    yield fits[0], path, None
                else:
                    self._found.is_guessed = True
                    yield name, path, "its parameter may have had another character where '-' stands: check the name"

    # Cassettes that have names of their own

    def _open(self, module: Module, use: Use, told: str, test: Test | None = None) -> None:
        options = self._options(module, test)
        if use.path is None:
            path = self._named(module, use.function, use.line, [])
            if path is not None and test is not None:
                self._move(self._places.of_test(module.path, test.name), [path], told, options)
            elif path is not None:
                self._move_named(module, path, told, options)
        elif is_known(use.path):
            path = self._named(module, use.path, use.line, [])
            if path is not None:
                self._move_named(module, path, told, options)
        else:
            found = self._matching(module, use.path) if is_telling(use.path) else []
            for each in found:
                self._move_named(module, each, told, options, is_guess=True)
            if not found:
                self._found.untold.append((module.path, use.line, "use_cassette(…)"))

    def _move_named(
        self, module: Module, path: Path, told: str, options: list[Option], *, is_guess: bool = False
    ) -> None:
        """Have a cassette moved that code opens; one whose name is made from a test's becomes the test's own."""
        whose = self._tests.with_file(path.stem, module.path) if is_guess else None
        if whose is not None:
            home, test = whose
            self._move(self._places.of_test(home, test), [path], f"{home.name}::{test}", options)
            return
        self._found.is_guessed |= is_guess
        name = path.stem
        there = self._found.moves.get(self._places.named(module.path, name))
        if is_other := there is not None and near(path) not in there.sources:
            name = f"{path.parent.name}/{path.stem}"  # two that have one name would become one
        note = f'name it: @pytest.mark.recorded("{name}")' if is_guess or is_other else None
        self._move(self._places.named(module.path, name), [path], told, options, note)

    def _bases_of(self, module: Module) -> list[Path]:
        libraries = [text for each in (module, *self._modules) for text in each.libraries]
        bases = list(_bases(module.path))
        return bases + [base / library for library in dict.fromkeys(libraries) for base in _bases(module.path)]

    def _matching(self, module: Module, path: str) -> list[Path]:
        for base in self._bases_of(module):
            found = [one for one in matches(base, path) if is_one(one)]
            found = found or [one for suffix in SUFFIXES for one in matches(base, f"{path}{suffix}") if is_one(one)]
            if found:
                return found
        return []

    def _named(self, module: Module, name: str, line: int, folders: list[Path]) -> Path | None:
        """Return the file that a test names: below its folder, a library, its module or the current directory."""
        for base in [*folders, *self._bases_of(module)]:
            for path in _files(base, name):
                return path
        self._found.missing.append((module.path, line, name))
        return None

    def _move(
        self, target: Path, sources: list[Path], told: str, options: list[Option], note: str | None = None
    ) -> None:
        sources = list(map(near, sources))
        move = self._found.moves.setdefault(target, Move(target, options=options))
        move.take(sources, told)
        move.note = move.note or note
        self._used.update(sources)


def _files(folder: Path, name: str) -> Iterator[Path]:
    return (path for path in (folder / name, *(folder / f"{name}{suffix}" for suffix in SUFFIXES)) if path.is_file())


def _bases(module: Path) -> tuple[Path, Path]:
    return Path(os.curdir), module.parent
