"""The drainer as a process of its own: the recorder's process has its interpreter to itself.

``python -m recorder.recording.drainer_process`` is started by :class:`ProcessDrainer` and follows the
spool files of one recorder process. What it needs it gets as one line of JSON on standard input (the
store's URL holds a password, and arguments are for everybody to see)::

    {"directory": …, "instance": hex, "store": URL, "synchronous": "normal" | "full", "match": …, "redact": […],
     "dead": [hex, …], "brought": null | as below}

``match`` and ``redact`` are the rules of a cassette; ``dead`` names recorders whose event streams are to be sealed;
``brought`` is what a process before this one has brought to the store.

It reports on standard output, a line of JSON whenever something has changed::

    {"drained": {file id: offset}, "events": n, "conflicts": n, "error": null | reason, "damage": null | where,
     "damaged_lanes": [lane, …], "sealing": as recorder.ledger.sealer.Sealing,
     "brought": as recorder.recording.brought.Brought.facts}

While the store does not answer, there is a line ``{"error": reason}`` each second, and ``{"error": null}`` when it does
again.

The line ``seal STREAM SECONDS`` has it drain everything and seal it, and is answered by a line of its own, with
``{"receipt": …}`` or ``{"refused": class of the error, "because": its text}``. Of each checkpoint that was signed there
is a line ``{"signed": note}``. The line ``stop`` has it drain
everything and end. Standard input that just closes means that the owner died: then it ends at once, and what is left
is recovery's.
"""

from __future__ import annotations

import json
import logging
import os
import select
import sys
import threading
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal, cast

from recorder.clock import SystemClock
from recorder.core.codec import ends_here
from recorder.errors import CorruptRecording, RecorderError
from recorder.locks import LockFile
from recorder.recording.brought import Brought
from recorder.recording.drain import Drainer
from recorder.recording.rounds import INTERVAL
from recorder.recording.spool_file import HEADER_SIZE, is_zero, lane_of, read_header, read_records, spool_files
from recorder.store import Rules, open_events

_log = logging.getLogger("recorder")

_SECOND: Final = 1_000_000_000  # nanoseconds
_LOOK_EVERY: Final = 50  # rounds between two looks whether the owner lives


@dataclass(frozen=True, slots=True)
class FollowedFile:
    """A spool file of another process, open for reading."""

    id: bytes
    lane: int
    path: Path
    fd: int

    def read(self, start: int, size: int) -> bytes:
        """Return up to *size* bytes from *start* on."""
        return read_records(self.fd, self.path, start, size)

    def holds_more(self, end: int) -> bool:
        """Whether there is anything behind byte *end* of a file that is no longer appended to."""
        return not is_zero(self.fd, self.path, end)


class FollowedSpool:
    """The spool files of another process.

    :param directory: the spool directory.
    :param instance: id of that process's recorder.
    """

    def __init__(self, directory: Path, instance: bytes) -> None:
        self._directory = directory
        self.instance = instance
        self._files: dict[Path, FollowedFile] = {}
        self._foreign: set[Path] = set()

    def files(self) -> list[FollowedFile]:
        """Return the files, oldest first; only the last one of a lane is still appended to."""
        for path in spool_files(self._directory):
            if path not in self._files and path not in self._foreign:
                with suppress(FileNotFoundError):
                    self._look_at(path)
        return [self._files[path] for path in sorted(self._files)]

    def _look_at(self, path: Path) -> None:
        try:
            header = read_header(path)
        except CorruptRecording:
            self._foreign.add(path)
            return
        if header.instance != self.instance:
            self._foreign.add(path)
            return
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0))
        self._files[path] = FollowedFile(header.spool, lane_of(path), path, fd)

    def drop(self, spool: bytes) -> None:
        """Remove the file of that id: it is drained whole and no longer appended to."""
        for path in [path for path, file in self._files.items() if file.id == spool]:
            path.unlink(missing_ok=True)
            os.close(self._files.pop(path).fd)

    def is_drained(self, drained: Mapping[bytes, int]) -> bool:
        """Whether the store has everything that is in the files.

        :param drained: how far the store has each, by id.
        """
        return all(
            not file.read(start, 1) or ends_here(file.read(start, HEADER_SIZE))
            for file in self.files()
            if (start := drained.get(file.id, HEADER_SIZE))
        )

    def check(self) -> None:
        """Do nothing: what became of its files is for their owner to see."""

    def owner_lives(self) -> bool:
        """Whether the process whose files these are still holds their locks."""
        for path in list(self._files):
            with suppress(OSError), ExitStack() as held:
                lock = LockFile(path, flags=os.O_RDWR)
                held.callback(lock.close)
                if lock.acquire(blocking=False):
                    lock.release()
                    return False
                return True
        return True

    def close(self) -> None:
        """Close the files."""
        for file in self._files.values():
            os.close(file.fd)
        self._files.clear()


class _Orders:
    """What comes in on standard input."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._pending = b""

    def first_line(self) -> bytes:
        while b"\n" not in self._pending:
            data = os.read(self._fd, 65536)
            if not data:
                return b""
            self._pending += data
        line, _, self._pending = self._pending.partition(b"\n")
        return line

    def next(self, timeout: float) -> str | None:
        """Return the line that the owner says within *timeout* seconds; ``died`` where it says nothing any more."""
        if b"\n" not in self._pending:
            if not select.select([self._fd], [], [], timeout)[0]:
                return None
            data = os.read(self._fd, 65536)
            if not data:
                return "died"
            self._pending += data
            if b"\n" not in self._pending:
                return None
        line, _, self._pending = self._pending.partition(b"\n")
        return line.decode()


def run(orders: _Orders, reports: _Reports, drainer: Drainer, spool: FollowedSpool) -> bool:
    """Drain until told to stop, or until the owner is dead; return whether it was told."""
    rounds = 0
    while True:
        drainer.round()
        reports.tell()
        rounds += 1
        said = orders.next(INTERVAL)
        if said == "stop":
            drainer.drain()
            reports.tell()
            return True
        if said is not None and said.startswith("seal "):
            _, stream, seconds = said.split()
            reports.answer({"asked": stream} | _sealed(drainer, bytes.fromhex(stream), float(seconds)))
        if said == "died" or (rounds % _LOOK_EVERY == 0 and not spool.owner_lives()):
            return False


def _sealed(drainer: Drainer, stream: bytes, seconds: float) -> dict[str, Any]:
    try:
        return {"receipt": drainer.seal(stream, seconds).as_json()}
    except RecorderError as error:
        return {"refused": type(error).__name__, "because": str(error)}


class _Reports:
    """What goes out on standard output."""

    def __init__(self, drainer: Drainer, fd: int, notes: list[str]) -> None:
        self._drainer = drainer
        self._fd = fd
        self._notes = notes
        self._last: dict[str, Any] = {}
        self._writing = threading.Lock()

    def tell(self) -> None:
        """Tell how draining is doing, if that has changed, and the newest checkpoint."""
        if self._notes:
            self.answer({"signed": self._notes[-1]})
            self._notes.clear()
        drainer = self._drainer
        drained = {identity.hex(): offset for identity, offset in drainer.drained.items()}
        counts = {"events": drainer.events, "conflicts": drainer.conflicts}
        damage = {"damage": drainer.damage, "damaged_lanes": sorted(drainer.damaged_lanes)}
        sealing = asdict(drainer.sealing)
        now = {"drained": drained, **counts, "error": drainer.error, **damage, "sealing": sealing}
        now |= {"brought": drainer.brought.facts()}
        seen = now | {"sealing": sealing | {"lag_ns": sealing["lag_ns"] // _SECOND}}  # not a line every round
        if seen != self._last:
            self._last = seen
            self.answer(now)

    def answer(self, facts: dict[str, Any]) -> None:
        """Write a line."""
        data = json.dumps(facts).encode() + b"\n"
        with self._writing:
            while data:
                data = data[os.write(self._fd, data) :]

    def tell_silent(self, reason: str | None) -> None:
        """Tell of a store that does not answer, from another thread than the one that calls it."""
        self._last = {}  # what is told next is news
        with suppress(OSError):  # the owner died: the next look at it ends this process
            self.answer({"error": reason})


def main() -> int:
    """Run as a process; return its exit code: 0 after ``stop``, 2 without orders."""
    _log.setLevel(logging.ERROR)  # the rest the owner tells in its own log
    clock = SystemClock()
    orders = _Orders(sys.stdin.fileno())
    line = orders.first_line()
    if not line:
        return 2
    order = json.loads(line)
    spool = FollowedSpool(Path(order["directory"]), bytes.fromhex(order["instance"]))
    synchronous = cast(Literal["normal", "full"], order["synchronous"])
    rules = Rules(order["match"], order["redact"])
    dead = [bytes.fromhex(one) for one in order.get("dead", [])]
    notes: list[str] = []
    drainer = Drainer(
        spool,
        lambda: open_events(order["store"], synchronous=synchronous, rules=rules),
        clock,
        dead=dead,
        signed=notes.append,
        brought=Brought(order.get("brought")),
        silent=lambda reason: reports.tell_silent(reason),
    )
    told, reports = False, _Reports(drainer, sys.stdout.fileno(), notes)
    with suppress(BrokenPipeError):  # the owner died: as above
        told = run(orders, reports, drainer, spool)
    # The bookkeeping of files that the owner is about to remove is forgotten; of others recovery needs it.
    drainer.stop(0, lambda drained: told and spool.is_drained(drained))
    with suppress(BrokenPipeError):
        reports.tell()  # what was sealed last
    spool.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
