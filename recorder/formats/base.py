"""What a format owes, and how one is found.

A format is one way to write exchanges down. Adding one is adding one file to this package: a module
whose ``FORMAT`` is an object of this Protocol; nothing else names it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Protocol, runtime_checkable

from recorder.core.conversation import Conversation
from recorder.core.events import Event
from recorder.core.rebuilt import Rebuilt
from recorder.core.registry import registered
from recorder.errors import ConfigurationError

#: What a format yields: text, or bytes where it is no text.
Piece = str | bytes


@runtime_checkable
class Rereadable(Protocol):
    """Exchanges that are read anew whenever they are iterated, and kept nowhere."""

    def __iter__(self) -> Iterator[Rebuilt]:
        """Yield each exchange."""
        ...

    def changed(self) -> Iterable[tuple[str, str]]:
        """Return the id of each that is not as it was written, with what its hash chain says."""
        ...


@runtime_checkable
class Noting(Protocol):
    """Exchanges that take note of those that a format has no place for."""

    def __iter__(self) -> Iterator[Rebuilt]:
        """Yield each exchange."""
        ...

    def left_out(self, reason: str) -> None:
        """Take note of one.

        :param reason: what the format has no place for, in a few words.
        """
        ...


@runtime_checkable
class NotingChoices(Protocol):
    """Exchanges that take note of those of their answers that a format has no place for, though it has for others."""

    def choice_left_out(self, exchange: str, choice: int, reason: str) -> None:
        """Take note of one.

        :param exchange: the id of its exchange; ``choice``: its index there.
        :param reason: why the format has no place for it, in a few words.
        """
        ...


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

    @property
    def is_binary(self) -> bool:
        """Whether it is no text: nothing for a terminal."""
        ...

    def render(self, exchanges: Iterable[Rebuilt], conversation: Conversation | None = None) -> Iterator[Piece]:
        """Yield the document, piece by piece, in memory that does not grow with the number of exchanges.

        An exchange that the format has no place for is left out, never bent to fit.

        :param exchanges: in the order in which they were sent, conversation by conversation.
        :param conversation: the conversation they make, where they make one; else each may say where it stands
            (:attr:`~recorder.core.rebuilt.Rebuilt.place`).
        :raises ConfigurationError: the format cannot hold them at all.
        """
        ...


class EventFormat(Protocol):
    """One way to write events down as they were recorded; a module whose ``EVENT_FORMAT`` is one adds it."""

    @property
    def name(self) -> str:
        """The name after ``--format``."""
        ...

    @property
    def help(self) -> str:
        """What it is for, in a few words: shown by ``recorder export --help``."""
        ...

    @property
    def is_binary(self) -> bool:
        """Whether it is no text: nothing for a terminal."""
        ...

    def render(self, streams: Iterable[Iterable[Event]]) -> Iterator[Piece]:
        """Yield the document, piece by piece, in memory that does not grow with the number of events.

        :param streams: the events of each event stream, in order.
        :raises ConfigurationError: the format cannot hold them at all.
        """
        ...


@cache
def event_formats() -> dict[str, EventFormat]:
    """Return every format of events of this package by its name."""
    return {each.name: each for each in registered(__package__ or "", "EVENT_FORMAT")}


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
