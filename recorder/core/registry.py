"""Packages whose modules register themselves: adding one is adding a file, and nothing else names it."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any


def registered(package: str, name: str) -> list[Any]:
    """Return what the modules of *package* have under *name*, in the order of the modules' names.

    A module that has nothing there is passed over.
    """
    found = pkgutil.iter_modules(importlib.import_module(package).__path__)
    modules = [importlib.import_module(f"{package}.{each.name}") for each in found]
    return [getattr(module, name) for module in modules if hasattr(module, name)]
