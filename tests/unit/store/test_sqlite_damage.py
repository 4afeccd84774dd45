"""A SQLite store whose file was damaged: one clear line, and nothing taken for what it is not."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import pytest

from recorder.errors import CorruptRecording, RecorderError
from recorder.store import open_store
from recorder.store.base import FeedCursor
from tests.unit.store.filled import filled


def test_damaged_pages_are_one_clear_line(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    open_store(f"sqlite:///{path}", write=True).close()
    empty = path.stat().st_size // 8192  # the schema and the first page of each table
    built = filled(path, 3000)
    data = bytearray(path.read_bytes())
    for page in range(empty, len(data) // 8192 - 2):
        data[page * 8192 : page * 8192 + 200] = b"\xff" * 200
    path.write_bytes(data)
    store = open_store(f"sqlite:///{path}", write=False)
    for read in (
        lambda: list(store.events(built.opened.stream)),
        lambda: [list(events) for _, events in store.walk()],
        lambda: store.feed(FeedCursor(), 10_000),
    ):
        with pytest.raises(CorruptRecording, match="is damaged: run `recorder db check`"):
            read()
    store.close()


def test_a_flipped_byte_is_left_to_the_chain_or_reported(tmp_path: Path) -> None:
    """Whatever byte of the file is flipped, readers get an event or an error of ours, nothing else."""
    path = tmp_path / "x.db"
    built = filled(path, 12)
    whole = path.read_bytes()
    body = whole.index(b"\x05" * 300)
    meta = whole.index(b'"attempt"')
    places = [meta, *range(body - 120, body + 330, 7), *range(0, len(whole), 1013)]
    for place in places:
        data = bytearray(whole)
        data[place] ^= 0xC1
        path.write_bytes(data)
        try:
            store = open_store(f"sqlite:///{path}", write=False)
        except RecorderError:
            continue
        try:
            for read in (
                lambda store=store: list(store.events(built.opened.stream)),
                lambda store=store: [list(events) for _, events in store.walk()],
            ):
                with suppress(RecorderError):
                    read()
        finally:
            store.close()


def test_a_value_of_another_type_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    built = filled(path, 3)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("UPDATE sqlite_master SET sql = replace(sql, 'STRICT', '') WHERE name = 'events'")
        connection.execute("DELETE FROM sqlite_master WHERE type = 'trigger'")
        connection.commit()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE events SET body = 'text' WHERE version = 4")
        connection.commit()
    store = open_store(f"sqlite:///{path}", write=False)
    with pytest.raises(CorruptRecording, match="position 4 is damaged: run `recorder verify`") as caught:
        list(store.events(built.opened.stream))
    assert caught.value.position == 4
    store.close()
