"""Stores to be attacked: six calls of three processes, sealed while they ran, or the last two not sealed."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

from recorder.clock import SystemClock
from recorder.core.chain import Finding
from recorder.core.heads import log_id
from recorder.ledger import keys
from recorder.ledger.audit import Asked, audit
from recorder.ledger.outside import SignedCheckpoints
from recorder.ledger.report import Report
from recorder.locations import signed_checkpoints
from recorder.recording.recovery import Spooled
from recorder.store import open_store
from tests.sealed import BEGAN, STEP, Desk, Key

ORIGIN = "example.com/desk"
HOUR = 3_600_000_000_000
NOW = BEGAN + 5 * HOUR


class Clocked(Desk):
    """A recorder process that begins at some hour, seals outside too, and stops in good order."""

    def __init__(self, url: str, key: Key, family: int, hour: int) -> None:
        self._hour = hour
        super().__init__(url, key, family)

    def at(self) -> None:
        """Move the clocks to the hour at which the process begins."""
        self._ticks = max(self._ticks, self._hour * HOUR // STEP)

    def new_id(self) -> bytes:
        self.at()
        self._ids += 1
        milliseconds = (BEGAN + self._ticks * STEP) // 1_000_000
        return bytes.fromhex(f"{milliseconds:012x}70008{self.family:03x}{self._ids:012x}")

    def sealed(self) -> None:
        """Seal everything, and keep the checkpoint outside."""
        size = self.seal()
        assert self.key is not None
        with closing(open_store(self.url, write=False)) as store:
            note = dict(store.ledger.checkpoints())[size]
        outside = SignedCheckpoints(ORIGIN, [self.key.public])
        with outside:
            outside.append(note)
        outside.close()

    def stop(self) -> None:
        """End the journal."""
        self.sample()
        self.put(self.journal, "instance_stopped", {})


def two_calls(desk: Clocked, *, seals: bool) -> None:
    """Record two calls and stop; sealed when the first has ended, and at the end."""
    for number in range(2):
        desk.exchange(f"EURUSD? {desk.family}.{number}", ["Buy", " 1", " lot"])
        if seals and not number:
            desk.sealed()
    desk.stop()
    desk.sealed() if seals else desk.save()


def fill(url: str, *, seals: bool = True, processes: int = 3) -> None:
    """Fill a store.

    :param seals: whether the calls of the last process are sealed as well.
    """
    key = Key.of(keys.load(ORIGIN) or keys.create(ORIGIN, SystemClock()))
    previous: Desk | None = None
    for family in range(1, processes + 1):
        desk = Clocked(url, key, family, family)
        if previous is not None:
            follow(desk, previous)
        two_calls(desk, seals=seals or family < processes)
        previous = desk


def follow(desk: Desk, previous: Desk) -> None:
    """Have a journal name the one before it: it begins anew."""
    first = desk.journal.events[0].facts
    told = previous.journal
    first["previous"] = {"stream": told.id, "length": len(told.events), "head": told.events[-1].hash.hex()}
    desk.journal.events.clear()
    desk.put(desk.journal, "instance_started", first)
    desk.sample()


def verify(url: str, *trusted: str, **asked: Any) -> Report:
    """Audit a store, four hours after it was written."""
    with closing(open_store(url, write=False)) as store:
        return audit(url, store, Spooled, Asked(now_ns=NOW, keys=trusted, **asked))


def outside_file() -> Path:
    """Return the file of what was signed."""
    return signed_checkpoints(log_id(ORIGIN))


def layers(findings: tuple[Finding, ...]) -> str:
    """Return by what findings were caught: C chain, J journal, S ledger, E outside, T times and stamps."""
    return "".join(sorted({_layer(finding) for finding in findings}))


def _layer(finding: Finding) -> str:
    if finding.kind == "omitted":
        return "J" if "journal" in finding.detail else "S"
    return next(letter for letter, kinds in _LAYERS.items() if finding.kind in kinds)


_LAYERS = {
    "C": {"hash", "version", "opening", "type", "order", "storage", "meta", "erasure"},
    "J": {"journal"},
    "S": {"leaf", "tree", "signature"},
    "E": {"rewritten", "rolled_back", "unsigned"},
    "T": {"clock", "back_dated", "anchor"},
}
