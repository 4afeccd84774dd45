"""A plugin of pytest for one run that only collects: it writes down which tests there are, and their old cassettes.

Loaded by ``-p`` in a process of its own, see :mod:`recorder.api.migration.collecting`. Of the user's fixtures, those
that name the folder or the cassette of a test are called, as a run of its tests would; what they raise counts as not
known.
"""

from __future__ import annotations

import inspect
import json
import os
from pathlib import Path
from typing import Any, Final

import pytest

from recorder.api.migration.collecting import VARIABLE
from recorder.pytest_plugin.marking import test_name

_NAMING: Final = {
    "folder": ("vcr_cassette_dir",),
    "cassette": ("default_cassette_name", "vcr_cassette_name"),
}
_THEIRS: Final = ("pytest_recording", "pytest_vcr")


class _Asking:
    """Stands for pytest's ``request``, as far as what names a cassette may look at it."""

    def __init__(self, item: pytest.Item, *, is_of_test: bool) -> None:
        module = item.getparent(pytest.Module)
        self.node = item if is_of_test or module is None else module
        self.module = getattr(item, "module", None)
        self.cls = getattr(item, "cls", None)
        self.function = getattr(item, "function", None)
        self.path, self.config, self.session = item.path, item.config, item.session
        self.fspath = getattr(item, "fspath", None)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Write a line for each test, also for those that are left out afterwards."""
    with Path(os.environ[VARIABLE]).open("w", encoding="utf-8") as file:
        for item in items:
            file.write(json.dumps({"path": str(item.path), "name": test_name(item), **_named(item)}) + "\n")


def _named(item: pytest.Item) -> dict[str, str]:
    """Return the folder and the name of a test's cassette, where the suite has fixtures of its own for them."""
    told: dict[str, str] = {}
    fixtures = item.session._fixturemanager  # what names a cassette need not be among a test's own fixtures
    for kind, names in _NAMING.items():
        for name in names:
            for definition in reversed(fixtures.getfixturedefs(name, item) or ()):
                if definition.func.__module__.partition(".")[0] not in _THEIRS:
                    value = _called(definition, item)
                    if value is not None:
                        told.setdefault(kind, value)
                    break
    return told


def _called(definition: pytest.FixtureDef[Any], item: pytest.Item) -> str | None:
    function = definition.func
    if inspect.isgeneratorfunction(function) or inspect.iscoroutinefunction(function):
        return None
    asking = _Asking(item, is_of_test=definition.scope == "function")
    given = {"request": asking} if "request" in definition.argnames else {}
    if len(given) != len(definition.argnames):
        return None
    try:
        value = function(**given)
    except Exception:  # noqa: BLE001 - of the user's code: what it raises only means that nothing is known
        return None
    return os.fspath(value) if isinstance(value, str | os.PathLike) else None
