"""The tests of a module: those that its source shows, and those that only pytest knows, as inherited ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from recorder.api.migration.collecting import Item
from recorder.api.migration.old_files import name_in_node, old_name
from recorder.api.migration.suite import Module, Test


class KnownTests:
    """Tells the tests of modules.

    :param modules: what their sources say.
    :param items: what pytest has collected.
    """

    def __init__(self, modules: Iterable[Module], items: Mapping[Path, list[Item]]) -> None:
        modules = list(modules)
        self._items = items
        written = {test.name.rpartition(".")[2]: test for each in modules for test in each.tests}
        self._tests = {each.path: self._with_inherited(each, written) for each in modules}
        self._by_file: dict[str, list[tuple[Path, str]]] = {}
        for path, tests in self._tests.items():
            for name in {*(test.name for test in tests), *(item.name for item in self.items_of(path))}:
                for stem in {old_name(name), name_in_node(name)}:
                    self._by_file.setdefault(stem, []).append((path, name))

    def _with_inherited(self, module: Module, written: Mapping[str, Test]) -> list[Test]:
        """Return a module's tests; one that it inherits says of its cassettes what it does where it is written."""
        found = {test.name: test for test in module.tests}
        for item in self.items_of(module.path):
            name = item.name.partition("[")[0]
            if name not in found:
                base = written.get(name.rpartition(".")[2])
                old = ".".join(name.split(".")[-2:])
                found[name] = Test(name, old, 1) if base is None else replace(base, name=name, old=old, used=[])
        return list(found.values())

    def of(self, module: Path) -> list[Test]:
        """Return the tests of a module."""
        return self._tests.get(module, [])

    def items_of(self, module: Path) -> list[Item]:
        """Return what pytest has collected of a module."""
        return self._items.get(module, [])

    def with_file(self, stem: str, module: Path) -> tuple[Path, str] | None:
        """Return the one test that a cassette is named after: of the module, or of those that it serves."""
        found = self._by_file.get(stem, [])
        own = [one for one in found if one[0] == module]
        if not own and module.name == "conftest.py":
            own = [one for one in found if one[0].is_relative_to(module.parent)]
        return own[0] if len(own) == 1 else None
