"""Folders of old cassettes that are brought over whole, whosever they are: each beside itself, under its own name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from pathlib import Path
from typing import Final, NamedTuple

from recorder.api.cassette_names import SUFFIX
from recorder.api.migration.old_files import SUFFIXES, near
from recorder.api.migration.suite import Module

_FOLDER: Final = "cassettes"


class Whole(NamedTuple):
    """An old cassette, and what it becomes.

    :ivar note: how a test names it.
    """

    source: Path
    target: Path
    note: str


def untested(folders: Iterable[Path], modules: Iterable[Module]) -> list[Path]:
    """Return the folders in which nothing is tested: they were named for the cassettes in them."""
    testing = [near(module.path) for module in modules if module.tests or module.opened]
    return [folder for folder in folders if not any(one.is_relative_to(near(folder)) for one in testing)]


def beside(source: Path) -> Path:
    """Return where an old cassette is brought over to that lies beside it."""
    stem = source.name.removesuffix(source.suffix) if source.suffix in SUFFIXES else source.name
    return source.with_name(stem + SUFFIX)


def targets(sources: Iterable[tuple[Path, Path]], directory: Path | None) -> Iterator[Whole]:
    """Yield what becomes of old cassettes: two that have one name but for the ending keep theirs.

    :param sources: each with the folder in which it was found.
    :param directory: of all our cassettes; None: each lies beside its old one.
    """
    taken: set[Path] = set()
    for source, folder in sources:
        base = source if directory is None else directory / source.relative_to(folder)
        target = beside(base)
        if target in taken:
            target = base.with_name(base.name + SUFFIX)
        taken.add(target)
        yield Whole(source, target, _note(target, folder, directory))


def _note(target: Path, folder: Path, directory: Path | None) -> str:
    home = directory or next((each for each in target.parents if each.name == _FOLDER), None)
    name = target.relative_to(home or (folder if target.is_relative_to(folder) else target.parent))
    told = f'name it: @pytest.mark.recorded("{name.as_posix().removesuffix(SUFFIX)}")'
    return told if home is not None else f"{told}, with the setting recorder_cassette_dir = {folder.as_posix()}"


def to_name(left: Iterable[Path], used: Set[Path], modules: Iterable[Path]) -> list[Path]:
    """Return what brings old cassettes over whole that are left: folders in which nothing else lies, and files.

    :param used: old cassettes that a test has.
    :param modules: of tests.
    """
    busy = {parent for path in (*used, *modules) for parent in path.parents}
    found: dict[Path, None] = {}
    for path in left:
        free = [each for each in path.parents if each not in busy and each != each.parent and each != Path()]
        found[free[-1] if free else path] = None
    return list(found)
