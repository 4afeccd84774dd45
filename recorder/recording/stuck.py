"""Spool files that the drainer cannot read on: damaged ones, and those that wait for an event of another file."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol

from recorder.clock import Clock

_log = logging.getLogger("recorder")

_ON_ITS_WAY: Final = 10_000_000_000  # nanoseconds that an event of another lane may take to come


class Waiting(Protocol):
    """A spool file whose next event follows on one of another file."""

    @property
    def id(self) -> bytes:
        """Id of the file."""
        ...

    @property
    def lane(self) -> int:
        """Files of one lane follow one another."""
        ...

    @property
    def path(self) -> Path:
        """Where it lies."""
        ...


class Stuck:
    """What holds a drainer up, and since when.

    :ivar damage: which spool files cannot be read on, and where; or None.
    :ivar lanes: the lanes that they are in.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._held: dict[bytes, int] = {}  # files that wait for an event of another one, and since when
        self.damage: str | None = None
        self.lanes: frozenset[int] = frozenset()

    @property
    def only_held(self) -> bool:
        """Whether files wait for events that may still come."""
        return bool(self._held) and self.damage is None

    def holds(self, spool: bytes) -> bool:
        """Whether the file of that id waits."""
        return spool in self._held

    def note_held(self, held: Sequence[Waiting], drained: Mapping[bytes, int], damaged: dict[int, str]) -> None:
        """Take note of files that wait for an event: as damage, where that is lost.

        It is, where a file is damaged. Else it may only be on its way, as long as it does not take too long.
        """
        now = self._clock.monotonic_ns()
        self._held = {file.id: self._held.get(file.id, now) for file in held}
        for file in held:
            if damaged or now - self._held[file.id] > _ON_ITS_WAY:
                told = "an event follows on one that is missing"
                damaged.setdefault(file.lane, f"{file.path.name}, after byte {drained[file.id]}: {told}")

    def note_damage(self, damaged: Mapping[int, str]) -> None:
        """Take note of what cannot be read on, by lane; the first time it is told."""
        first, self.damage = self.damage is None, "; ".join(damaged.values()) or None
        self.lanes = frozenset(damaged)
        if damaged and first:
            _log.error(
                "recorder: a spool file is damaged; what is behind that place stays there until this process ends, "
                "then `recorder recover` sets the file aside and says where: %s",
                self.damage,
            )
