"""A store whose payloads are sealed, and the table of its keys."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from recorder import Recorder
from recorder.locations import payload_keys_file
from tests.commands import run
from tests.erasing import ORIGIN, Recorded, conversed
from tests.recorded import traces

#: What must stand nowhere in the clear: words of prompts and answers, of a conversation's name and of its tags.
WORDS = ("Zwetschgenknoedel", "annakarenina", "tagofhers", "the others", "v1/chat/completions")
SAID = [trace for word in WORDS for trace in traces(word)]


def record(url: str, **options: Any) -> Recorded:
    """Record a conversation of two exchanges, and an exchange of somebody else, all sealed."""
    with Recorder(url, encrypt=True, **options) as recorder:
        return conversed(recorder)


def recorded(url: str, **options: Any) -> Recorded:
    """The same in a store with a ledger."""
    assert run("keys", "init", "--origin", ORIGIN, "--store", url).exit_code == 0
    return record(url, **options)


def keys_in_table() -> list[bytes]:
    """Return every key that the table has yet."""
    with closing(sqlite3.connect(payload_keys_file())) as connection:
        return [row[0] for row in connection.execute("SELECT key FROM payload_keys WHERE key IS NOT NULL")]


def hide_table(folder: Path) -> Path:
    """Put the table of keys away; return where it is."""
    away = folder / "away.keys"
    payload_keys_file().rename(away)
    return away
