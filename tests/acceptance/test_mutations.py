"""Random changes to a store, by somebody without the key: none passes that changes what the store says."""

from __future__ import annotations

import random
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest
from sqlalchemy.engine import make_url

from recorder.errors import RecorderError
from recorder.ledger.audit import Asked, audit
from recorder.recording.recovery import Spooled
from recorder.store import open_store
from recorder.store.upkeep import damage
from tests.acceptance.attacked import NOW, fill
from tests.attacker import Attacker
from tests.postgres_server import GivenServer, PostgresServer

#: What a store says: the columns by table, the first of them the key. Positions and times of rows say nothing.
SAYING: Final = {
    "events": ("stream", "version", "type", "wall_ns", "mono_ns", "instance", "flags", "meta", "body", "hash"),
    "event_streams": ("stream", "format", "instance", "secret"),
    "ledger": ("number", "origin", "log_id"),
    "ledger_leaves": ("number", "stream", "length", "state", "entry"),
    "ledger_nodes": ("level", "number", "hash"),
    "checkpoints": ("size", "note"),
}
KEYS: Final = {"events": 2, "ledger_nodes": 2}


def said(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """Return what a store says, but for checkpoints that it no longer has: others commit to the same."""
    with Attacker(url) as one:
        found = {
            table: sorted(one.rows(f"SELECT {', '.join(columns)} FROM {table}"), key=repr)
            for table, columns in SAYING.items()
        }
        found["event_streams"].sort()
        return found


def found_in(url: str) -> bool:
    """Return whether an audit finds anything, or refuses the store."""
    try:
        with closing(open_store(url, write=False)) as store:
            asked = Asked(now_ns=NOW, damage=damage(store))
            return bool(audit(url, store, Spooled, asked).findings)
    except RecorderError:
        return True


class Mutation:
    """One random change.

    :param chance: the source of it.
    """

    def __init__(self, chance: random.Random, attacker: Attacker) -> None:
        self._chance, self._attacker = chance, attacker
        self._table = chance.choices(list(SAYING), [6, 2, 1, 3, 2, 1])[0]
        self._columns = SAYING[self._table]
        self._keys = self._columns[: KEYS.get(self._table, 1)]

    def __call__(self) -> str:
        kind = self._chance.choice((self._value, self._value, self._deletion, self._swap, self._tail))
        return f"{kind.__name__} in {self._table}: {kind()}"

    def _rows(self) -> list[tuple[Any, ...]]:
        return sorted(self._attacker.rows(f"SELECT {', '.join(self._columns)} FROM {self._table}"), key=repr)

    def _set(self, row: tuple[Any, ...], column: str, value: object) -> None:
        where = " AND ".join(f"{key} = ?" for key in self._keys)
        self._attacker.run(f"UPDATE {self._table} SET {column} = ? WHERE {where}", value, *row[: len(self._keys)])

    def _delete(self, row: tuple[Any, ...]) -> None:
        where = " AND ".join(f"{key} = ?" for key in self._keys)
        self._attacker.run(f"DELETE FROM {self._table} WHERE {where}", *row[: len(self._keys)])

    def _value(self) -> object:
        """Change a value a little."""
        row, place = self._chance.choice(self._rows()), self._chance.randrange(len(self._columns))
        column, value = self._columns[place], row[place]
        if value is None:
            changed: object = {"meta": "{}", "body": b"", "instance": bytes(16)}[column]
        elif isinstance(value, int):
            changed = value + 1_000_000 if column in ("version", "number", "size") else value ^ 1
        elif isinstance(value, str):
            at = self._chance.randrange(len(value))
            changed = value[:at] + chr(ord(value[at]) ^ 1) + value[at + 1 :]
        else:
            data = bytearray(value or b"\0")
            data[self._chance.randrange(len(data))] ^= 1 << self._chance.randrange(8)
            changed = bytes(data)
        self._set(row, column, changed)
        return column

    def _deletion(self) -> object:
        self._delete(row := self._chance.choice(self._rows()))
        return row[0]

    def _swap(self) -> object:
        """Let two rows have each other's value."""
        own = [column for column in self._columns if column not in self._keys]
        column = self._chance.choice(own)
        place = self._columns.index(column)
        one, other = self._chance.choice(self._rows()), self._chance.choice(self._rows())
        self._set(one, column, other[place])
        self._set(other, column, one[place])
        return column

    def _tail(self) -> object:
        """Take the last rows away."""
        rows = sorted(self._rows(), key=lambda row: row[: len(self._keys)])
        for row in rows[-self._chance.randrange(1, 4) :]:
            self._delete(row)
        return len(rows)


def mutated(url: str, chance: random.Random) -> str:
    """Change something; what the tables themselves refuse is not tried."""
    while True:
        try:
            with Attacker(url) as attacker:
                return Mutation(chance, attacker)()
        except (sqlite3.Error, psycopg.Error):
            continue


def check(url: str, seed: int, before: dict[str, list[tuple[Any, ...]]]) -> None:
    what = mutated(url, random.Random(seed))
    after = said(url)
    gone = set(before["checkpoints"]) - set(after["checkpoints"])
    changed = after | {"checkpoints": []} != before | {"checkpoints": []} or set(after["checkpoints"]) - set(
        before["checkpoints"]
    )
    if changed:
        assert found_in(url), f"seed {seed}: {what}"
    elif not gone:
        assert not found_in(url), f"seed {seed}: {what}"


def on_sqlite(made: Path, folder: Path, seeds: range) -> None:
    url = f"sqlite:///{made}"
    before = said(url)
    assert not found_in(url)
    for seed in seeds:
        copy = folder / f"{seed}.db"
        shutil.copy(made, copy)
        check(f"sqlite:///{copy}", seed, before)
        copy.unlink()


def on_postgres(url: str, server: PostgresServer | GivenServer, seeds: range) -> None:
    before = said(url)
    assert not found_in(url)
    for seed in seeds:
        copy = server.create_database(str(make_url(url).database))
        check(copy, seed, before)
        server.drop_database(copy)


def test_a_sample_on_sqlite(sqlite_url: str, tmp_path: Path) -> None:
    fill(sqlite_url)
    on_sqlite(Path(sqlite_url.removeprefix("sqlite:///")), tmp_path, range(30))


def test_a_sample_on_postgres(postgres_url: str, postgres_server: PostgresServer | GivenServer) -> None:
    fill(postgres_url)
    on_postgres(postgres_url, postgres_server, range(1000, 1006))


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_two_thousand_on_sqlite(sqlite_url: str, tmp_path: Path) -> None:
    fill(sqlite_url)
    on_sqlite(Path(sqlite_url.removeprefix("sqlite:///")), tmp_path, range(2000))


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_two_hundred_on_postgres(postgres_url: str, postgres_server: PostgresServer | GivenServer) -> None:
    fill(postgres_url)
    on_postgres(postgres_url, postgres_server, range(1000, 1200))


def flipped(file: Path, chance: random.Random) -> None:
    """Change bits of a file, wherever they are."""
    data = bytearray(file.read_bytes())
    for _ in range(chance.choice((1, 1, 4, 64))):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    file.write_bytes(data)


def _says(url: str) -> object:
    try:
        return said(url)
    except Exception as error:  # of a damaged file: that nothing is said is one of the things that may be said
        return f"{type(error).__name__}"


@pytest.mark.parametrize("count", [40, pytest.param(1000, marks=[pytest.mark.soak, pytest.mark.timeout(3600)])])
def test_flipped_bits_of_a_file(count: int, sqlite_url: str, tmp_path: Path) -> None:
    fill(sqlite_url)
    made = Path(sqlite_url.removeprefix("sqlite:///"))
    before = said(sqlite_url)
    for seed in range(count):
        copy = tmp_path / f"{seed}.db"
        shutil.copy(made, copy)
        flipped(copy, random.Random(seed))
        noticed = found_in(f"sqlite:///{copy}")
        assert noticed or _says(f"sqlite:///{copy}") == before, f"seed {seed}"
        copy.unlink()


def test_an_older_file_in_the_place_of_a_newer_one(sqlite_url: str, tmp_path: Path) -> None:
    made = Path(sqlite_url.removeprefix("sqlite:///"))
    fill(sqlite_url, processes=2)
    shutil.copy(made, tmp_path / "older.db")
    fill(sqlite_url, processes=3)
    assert not found_in(sqlite_url)
    shutil.copy(tmp_path / "older.db", made)
    assert found_in(sqlite_url)
