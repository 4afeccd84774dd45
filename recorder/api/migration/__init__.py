"""A suite of vcrpy's moves to us: its cassettes under the names of its tests, and a report of what has to change.

The old cassettes are read, never changed; test code is read, never changed, and no test is run. Where its source does
not tell whose a cassette is, pytest is asked to collect the tests. A decorator alone would not carry a test over: vcrpy
patches the libraries, here the code under test is given a session. So what to write is told for each place, and written
by a person.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recorder.api.cassette_names import Places
from recorder.api.migration.collecting import Collected, collect
from recorder.api.migration.moving import Moved, moved
from recorder.api.migration.old_cassettes import Finder, Found
from recorder.api.migration.old_files import files_below, is_named_like_one, is_one, near
from recorder.api.migration.suite import Module, Place, read_module
from recorder.api.migration.whole import untested
from recorder.errors import ConfigurationError


@dataclass(slots=True)
class Migration:
    """What a migration has found and done.

    :ivar moved: one for each cassette of ours.
    :ivar places: what has to change in the tests, in the order of the files.
    :ivar missing: old cassettes that tests name and that are not there: module, line, name.
    :ivar untold: what names cassettes in a way that cannot be told: module, line, what stands there.
    :ivar orphans: old cassettes that no test has, as far as that can be told.
    :ivar to_name: what brings those over whole, where it is named: folders and files.
    :ivar unread: modules, and files that may be old cassettes, that could not be read, each with why.
    :ivar uncollected: why pytest could not tell the tests, where that might have helped; empty: it could.
    """

    moved: list[Moved] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    missing: list[tuple[Path, int, str]] = field(default_factory=list)
    untold: list[tuple[Path, int, str]] = field(default_factory=list)
    orphans: list[Path] = field(default_factory=list)
    to_name: list[Path] = field(default_factory=list)
    unread: list[tuple[Path, str]] = field(default_factory=list)
    uncollected: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether everything that is there was, or could be, brought over."""
        left = self.missing or self.untold or self.orphans or self.unread
        return all(one.is_whole for one in self.moved) and not left

    @property
    def secrets(self) -> Counter[str]:
        """Places at which values stood in plain text in old files, with how many."""
        return sum((one.strictness.secrets for one in self.moved), Counter())

    def lines(self) -> Iterator[dict[str, Any]]:
        """Yield the lines of ``migrate --json``."""
        yield from (one.as_json() for one in self.moved)
        for place in self.places:
            told = {"found": place.found, "instead": place.instead}
            yield {"kind": "change", "file": str(place.path), "line": place.line, "column": place.column, **told}
        for path, line, name in self.missing:
            yield {"kind": "missing", "file": str(path), "line": line, "name": name}
        for path, line, found in self.untold:
            yield {"kind": "untold", "file": str(path), "line": line, "found": found}
        yield from ({"kind": "orphan", "file": str(path)} for path in self.orphans)
        yield from ({"kind": "unread", "file": str(path), "reason": reason} for path, reason in self.unread)
        yield {
            "kind": "summary",
            "cassettes": len(self.moved),
            "exchanges": sum(one.exchanges for one in self.moved),
            "statuses": dict(Counter(one.status for one in self.moved)),
            "stricter": dict(Counter(each.kind for one in self.moved for each in one.strictness.found)),
            "secrets": sum(self.secrets.values()),
            "changes": len(self.places),
        }


def migrate(
    paths: Iterable[Path],
    *,
    directory: Path | None = None,
    redact: Iterable[str] = (),
    dry: bool = False,
    told: Callable[[Moved], None] = lambda _: None,
) -> Migration:
    """Bring the cassettes of a suite over, and return what was found.

    :param paths: modules of tests, and folders with some; old cassettes, and folders in which there are no tests, whose
        cassettes are brought over whosever they are.
    :param directory: of all our cassettes, as the setting ``recorder_cassette_dir`` names it; None: beside each module.
    :param redact: rules of redaction beside the built-in ones.
    :param dry: nothing is written.
    :param told: is given what became of each cassette, as soon as it is known.
    :raises ConfigurationError: a path does not exist; PyYAML is not installed; a rule is none.
    :raises StoreError: a cassette cannot be written.
    """
    paths, found, modules = list(paths), Migration(), list[Module]()
    for path in _modules(paths):
        if (module := _read(path, found)) is not None:
            modules.append(module)
    found.places = [place for module in modules for place in sorted(module.places, key=_position)]
    named = [near(path) for path in paths if _is_old(path)]
    folders = [near(path) for path in paths if path.is_dir()]
    above = {*(path.parent for path in named), *untested(folders, modules)}
    modules += _configured_above(above, {module.path for module in modules}, found)
    places = Places(Path(), directory)

    def looked_for(collected: Collected) -> Found:
        return Finder(modules, places, collected, folders, named, directory).find()

    old = looked_for(Collected())
    if modules and old.lacks:
        collected = collect([path for path in paths if not _is_old(path)], [module.path for module in modules])
        old = looked_for(collected)
        found.uncollected = collected.failure if old.lacks else ""
    found.missing, found.untold, found.orphans, found.to_name = old.missing, old.untold, old.orphans, old.to_name
    found.unread += old.unread
    for move in old.moves.values():
        one = moved(move, redact, dry=dry)
        found.moved.append(one)
        told(one)
    return found


def _is_old(path: Path) -> bool:
    return is_named_like_one(path) or (path.is_file() and path.suffix != ".py" and is_one(path))


def _configured_above(folders: Iterable[Path], known: Set[Path], found: Migration) -> Iterator[Module]:
    """Yield what each ``conftest.py`` says that holds for folders which are brought over whole."""
    above = {one / "conftest.py" for folder in folders for one in (folder, *folder.parents)}
    for path in sorted(above - known):
        if path.is_file() and (module := _read(path, found)) is not None:
            yield module


def _read(path: Path, found: Migration) -> Module | None:
    try:
        return read_module(path)
    except (SyntaxError, ValueError) as error:
        found.unread.append((path, f"it is no Python ({' '.join(str(error).split())})"))
    except OSError as error:
        found.unread.append((path, f"it cannot be read ({error.strerror})"))
    return None


def _position(place: Place) -> tuple[int, int]:
    return place.line, place.column


def _modules(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield the modules that may say something to vcrpy, each once."""
    seen: set[Path] = set()
    for path in paths:
        if not path.exists():
            raise ConfigurationError(
                f"{path} does not exist: give modules of tests, folders with some, or old cassettes and their folders"
            )
        for one in map(near, _below(path) if path.is_dir() else [] if _is_old(path) else [path]):
            if one not in seen:
                seen.add(one)
                yield one


def _below(folder: Path) -> Iterator[Path]:
    return (path for path in files_below([folder]) if path.suffix == ".py")
