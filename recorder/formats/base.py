"""What a format owes, and how one is found.

A format is one way to write exchanges down. Adding one is adding one file to this package: a module
whose ``FORMAT`` is an object of this Protocol; nothing else names it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Protocol

from recorder.core.conversation import Conversation
from recorder.core.rebuilt import Rebuilt
from recorder.core.registry import registered
from recorder.errors import ConfigurationError

#: What a format yields: text, or bytes where it is no text.
Piece = str | bytes


class Format(Protocol):
    """One way to write exchanges down."""

    @property
    def name(self) -> str:
        """The name after ``--format``."""
        ...

    @property
    def help(self) -> str:
        """What it is for, in a few words: shown by ``recorder export --help``."""
        ...

    def render(self, exchanges: Iterable[Rebuilt], conversation: Conversation | None = None) -> Iterator[Piece]:
        """Yield the document, piece by piece, in memory that does not grow with the number of exchanges.

        An exchange that the format has no place for is left out, never bent to fit.

        :param exchanges: in the order in which they were sent.
        :param conversation: the conversation they make, where they make one.
        :raises ConfigurationError: the format cannot hold them at all.
        """
        ...


@cache
def formats() -> dict[str, Format]:
    """Return every format of this package by its name."""
    return {each.name: each for each in registered(__package__ or "", "FORMAT")}


def render(name: str, exchanges: Iterable[Rebuilt], conversation: Conversation | None = None) -> Iterator[Piece]:
    """Return *exchanges* in the format *name*, piece by piece.

    :raises ConfigurationError: there is no such format.
    """
    known = formats()
    if name not in known:
        raise ConfigurationError(f"unknown format {name!r}: use one of {', '.join(sorted(known))}")
    return known[name].render(exchanges, conversation)
