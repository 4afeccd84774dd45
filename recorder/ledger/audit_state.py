"""Where an audit was interrupted: a file from which it goes on.

What is in it is worth as much as the file: an auditor keeps it where nobody else writes. It is bound to the very state
of the store that was being checked, and refused for any other: what was checked before says nothing of what is there
now. Its last lines may be torn, as those of any file that is being written when a process dies: so it is written
whole, beside itself, and renamed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from recorder.core.chain import Finding
from recorder.core.clock_steps import ClockReadings
from recorder.errors import ConfigurationError
from recorder.ledger.audit_ranges import Range
from recorder.ledger.tally import Tally
from recorder.store.sql import SqlStore

_COUNTS = ("more", "events", "exchanges", "unfinished", "gaps", "spooled", "late", "older")


def identity_of(store: SqlStore, size: int) -> dict[str, Any]:
    """Return what tells one state of a store from every other.

    :param size: of its ledger.
    """
    end, (events, streams) = store.feed_end(), store.counts()
    ledger = {"origin": store.ledger.origin(), "size": size}
    return {"store": store.name, "end": [end.xid, end.position], "events": events, "streams": streams, **ledger}


class State:
    """What is done of an audit.

    :param path: the file; it is made when the first range is done, and removed at the end.
    :param identity: of the store, see :func:`identity_of`.
    :ivar ranges: in which the streams are checked; None where the file is not there yet.
    :ivar done: tallies of the first of them.
    :raises ConfigurationError: it cannot be read, is none of these files, or is of another store or another state.
    """

    def __init__(self, path: Path, identity: dict[str, Any]) -> None:
        self._path, self._identity = path, identity
        self.ranges: list[Range] | None = None
        self.done: list[Tally] = []
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"{path} cannot be read ({error}): remove it to begin anew") from None
        if not isinstance(told, dict) or told.get("recorder_audit") != 1:
            raise ConfigurationError(f"{path} is not the state of an audit: name another file")
        if told.get("of") != identity:
            raise ConfigurationError(
                f"{path} is of another store, or of this one before it changed: remove it to begin anew"
            )
        try:
            self.ranges = [Range(*map(_bytes, one)) for one in told["ranges"]]
            self.done = [_tally(one) for one in told["done"]]
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigurationError(f"{path} is damaged ({error!r}): remove it to begin anew") from None

    def begin(self, ranges: Sequence[Range]) -> None:
        """Take note of the ranges."""
        self.ranges = list(ranges)

    def add(self, tally: Tally) -> None:
        """Keep that one more range is done.

        :raises ConfigurationError: the file cannot be written.
        """
        self.done.append(tally)
        ranges = [[_hex(one.start), _hex(one.end)] for one in self.ranges or ()]
        told = {"recorder_audit": 1, "of": self._identity, "ranges": ranges, "done": [_json(one) for one in self.done]}
        beside = self._path.with_name(self._path.name + ".new")
        try:
            beside.write_text(json.dumps(told), encoding="utf-8")
            beside.replace(self._path)
        except OSError as error:
            raise ConfigurationError(f"{self._path} cannot be written ({error.strerror}): name another file") from error

    def end(self) -> None:
        """Remove the file: the audit is whole."""
        self._path.unlink(missing_ok=True)


def _hex(identity: bytes | None) -> str | None:
    return None if identity is None else identity.hex()


def _bytes(digits: str | None) -> bytes | None:
    return None if digits is None else bytes.fromhex(digits)


def _json(tally: Tally) -> dict[str, Any]:
    told: dict[str, Any] = {name: getattr(tally, name) for name in _COUNTS}
    told |= {"incomplete": tally.incomplete, "untimely": tally.untimely, "waiting_ns": tally.waiting_ns}
    told |= {"kept": tally.kept, "erased": {stream.hex(): count for stream, count in tally.erased.items()}}
    told["withheld"] = {stream.hex(): count for stream, count in tally.withheld.items()}
    told["again"] = [stream.hex() for stream in sorted(tally.again)]
    fields = ("exchange", "version", "field", "kind", "detail")
    told["findings"] = [[getattr(one, name) for name in fields] for one in tally.findings]
    told["clocks"] = tally.clocks.as_json()
    return told


def _tally(told: dict[str, Any]) -> Tally:
    made = Tally(**{name: told[name] for name in (*_COUNTS, "incomplete", "untimely", "waiting_ns", "kept")})
    made.erased = {bytes.fromhex(stream): count for stream, count in told["erased"].items()}
    made.withheld = {bytes.fromhex(stream): count for stream, count in told.get("withheld", {}).items()}
    made.again = set(map(bytes.fromhex, told["again"]))
    made.clocks = ClockReadings.from_json(told["clocks"])
    for one in told["findings"]:
        made.add(Finding(*one))
    return made
