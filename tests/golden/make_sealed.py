"""Made the golden files of event format v2 (sealed payloads), once: ``python -m tests.golden.make_sealed``.

As :mod:`tests.golden.make`, which has the exchanges that are recorded; the table of keys is kept beside them.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from recorder.locations import PAYLOAD_KEYS_VARIABLE
from recorder.recording.payload_sealing import PayloadSealing
from recorder.recording.recovery import recover
from recorder.recording.streams import StreamWriter
from recorder.store import open_store
from recorder.store.payload_keys import PayloadKeys
from tests.golden.make import HERE, FixedClock, GoldenPath, expected, record


class SealedPath(GoldenPath):
    """The same write path, with payloads that are sealed."""

    def __init__(self, directory: Path, clock: FixedClock, keys: Path) -> None:
        super().__init__(directory, clock)
        self.sealing = PayloadSealing(PayloadKeys(keys), clock)

    def open_stream(self, spool: Any = None) -> StreamWriter:
        identity, secret = self.clock.new_id(), self.clock.secret(32)
        return StreamWriter(
            spool or self.spool, self.clock, identity, self.instance, secret, opening=self.sealing.opening
        )


def make(into: Path) -> None:
    database, spool, values, keys = (into / f"v2.{suffix}" for suffix in ("db", "spool", "json", "keys"))
    if any(path.exists() for path in (database, spool, values, keys)):
        sys.exit("the golden files of v2 exist: they are never made again")
    os.environ[PAYLOAD_KEYS_VARIABLE] = str(keys)
    with tempfile.TemporaryDirectory() as directory:
        clock = FixedClock(2)
        path = SealedPath(Path(directory) / "spools", clock, keys)
        taps = record(path)
        (written,) = path.spool.directory.glob("*.spool")
        spool.write_bytes(written.read_bytes())
        path.spool.close(drained=False)  # as if the process had died here
        made = Path(directory) / "v2.db"
        store = open_store(f"sqlite:///{made}", write=True)
        recover(path.spool.directory, store, clock, clock.new_id())
        store.close()
        del taps
        path.sealing.close()
        database.write_bytes(made.read_bytes())
        values.write_text(json.dumps(expected(made), indent=1) + "\n")


if __name__ == "__main__":
    make(HERE)
