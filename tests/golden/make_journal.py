"""Made the golden files of a journal, once: ``python -m tests.golden.make_journal``.

As with those of v1, they are never made again: what was written has to stay readable as it was.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recorder import Recorder
from recorder.recording import journal, surroundings
from recorder.recording.lanes import JOURNAL
from recorder.recording.tap import Call, ExchangeTap
from tests.golden.make import CHUNKED, HEAD, HERE, URL, FixedClock, expected


def _started(configuration: Mapping[str, Any], previous: object) -> dict[str, Any]:
    """Return the facts of a process on a machine that is nobody's."""
    facts: dict[str, Any] = {**surroundings.started_facts(configuration, None), "pid": 7, "host": "golden.example"}
    facts |= {"system": "Linux 6.1.0 x86_64", "boot": "00000000-0000-4000-8000-000000000007", "python": "3.11.0"}
    return facts


def make(into: Path) -> None:
    """Record two exchanges and a conversation's opening, and keep what the store and the journal's spool hold."""
    database, spool, values = (into / f"journal.{suffix}" for suffix in ("db", "spool", "json"))
    if any(path.exists() for path in (database, spool, values)):
        sys.exit("the golden files of the journal exist: they are never made again")
    journal.started_facts = _started  # type: ignore[assignment]  # once, in a program of its own
    with tempfile.TemporaryDirectory() as directory:
        made = Path(directory) / "journal.db"
        recorder = Recorder(made, clock=FixedClock(7))
        path = recorder._path
        assert path is not None
        with recorder.conversation("golden"):
            for answer in (b"5\r\nhello\r\n0\r\n\r\n", b"2\r\nno\r\n"):
                tap = ExchangeTap(path, Call("golden"))
                tap.request_sent("POST", URL, HEAD, b"{}", {"client": "golden"})
                tap.response_started(CHUNKED, 200, "chunked", None, ends_read=True)
                tap.received(answer)
        recorder.flush()
        (written,) = [file for file in path._spool.files() if file.lane == JOURNAL]
        spool.write_bytes(written.path.read_bytes()[: written.size])
        recorder.close()
        database.write_bytes(made.read_bytes())
        values.write_text(json.dumps(expected(made), indent=1) + "\n")


if __name__ == "__main__":
    make(HERE)
