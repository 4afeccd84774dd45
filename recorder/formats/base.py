"""What a format owes, and how one is found.

A format is one way to write exchanges down. Adding one is adding one file to this package: a module
whose ``FORMAT`` is an object of this Protocol; nothing else names it.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Protocol

from recorder.core.conversation import Conversation
from recorder.core.rebuilt import Rebuilt
from recorder.errors import ConfigurationError


class Format(Protocol):
    """One way to write exchanges down."""

    @property
    def name(self) -> str:
        """The name after ``--format``."""
        ...

    def render(self, exchanges: Iterable[Rebuilt], conversation: Conversation | None = None) -> Iterator[str]:
        """Yield the text, piece by piece.

        :param exchanges: in the order in which they were sent.
        :param conversation: the conversation they make, where they make one.
        """
        ...


@cache
def formats() -> dict[str, Format]:
    """Return every format of this package by its name."""
    package = importlib.import_module(__package__ or "")
    names = (found.name for found in pkgutil.iter_modules(package.__path__))
    modules = [importlib.import_module(f"{package.__name__}.{name}") for name in names]
    return {module.FORMAT.name: module.FORMAT for module in modules if hasattr(module, "FORMAT")}


def render(name: str, exchanges: Iterable[Rebuilt], conversation: Conversation | None = None) -> Iterator[str]:
    """Return the text of *exchanges* in the format *name*, piece by piece.

    :raises ConfigurationError: there is no such format.
    """
    known = formats()
    if name not in known:
        raise ConfigurationError(f"unknown format {name!r}: use one of {', '.join(sorted(known))}")
    return known[name].render(exchanges, conversation)
