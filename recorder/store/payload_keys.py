"""The table of the keys that payloads are sealed under: a SQLite file apart from every store, for its user alone.

It is what makes an erasure reach copies that nobody remembers: a key that is destroyed here is gone from all of them.
So it must never lie where a store is copied to or from, and a backup of it has to be as short-lived as what it opens.

A recorder takes keys in batches, each batch in one commit that reaches the medium before any of its keys is used: no
payload is ever stored whose key could be lost with the power.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from recorder.core.json_text import rfc3339
from recorder.durable import make_directory, sync_directory
from recorder.errors import ConfigurationError
from recorder.store.rows import batched
from recorder.store.sqlite_file import connect

APPLICATION_ID: Final = 0x52454B59  # "REKY"
_TABLE: Final = (
    "CREATE TABLE IF NOT EXISTS payload_keys (id BLOB NOT NULL PRIMARY KEY, key BLOB, shared INTEGER NOT NULL, "
    "made_ns INTEGER NOT NULL, destroyed_ns INTEGER) STRICT, WITHOUT ROWID"
)
_OPTIONS: Final = ("PRAGMA busy_timeout = 2000", "PRAGMA trusted_schema = OFF", "PRAGMA mmap_size = 0")
_WRITER: Final = (
    *_OPTIONS,
    "PRAGMA synchronous = EXTRA",
    "PRAGMA secure_delete = ON",
    "PRAGMA fullfsync = ON",
)
_AT_ONCE: Final = 500
_TRUNCATED: Final = "PRAGMA journal_mode = TRUNCATE"


class KeyState(NamedTuple):
    """A key in the table.

    :ivar key: 32 bytes; None where it was destroyed.
    :ivar shared: several streams are sealed with it, since no other could be had.
    :ivar destroyed_ns: when it was destroyed.
    """

    key: bytes | None
    shared: bool
    destroyed_ns: int | None

    def fault(self) -> str:
        """Return why there is no key."""
        return f"its key was destroyed {rfc3339(self.destroyed_ns or 0)[:19]}Z"


class PayloadKeys:
    """A key table.

    :param path: the file; :meth:`make` makes it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def make(self) -> None:
        """Make the table where there is none.

        :raises ConfigurationError: it cannot be made, or something else is there.
        """
        try:
            make_directory(self.path.parent)
            if not self.path.exists():
                os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
                sync_directory(self.path.parent)
        except FileExistsError:
            pass  # another process was faster
        except OSError as error:
            raise self._fault(error.strerror or str(error)) from error
        with self._opened("mode=rw", _WRITER) as connection:
            identity = connection.execute("PRAGMA application_id").fetchone()[0]
            if identity != APPLICATION_ID:
                if connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
                    raise ConfigurationError(f"{self.path} is not a table of keys: give another file")
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(_TABLE)

    def add(self, keys: Sequence[tuple[bytes, bytes]], made_ns: int, *, shared: bool = False) -> None:
        """Add keys by their ids; when this returns they survive a loss of power.

        :raises ConfigurationError: the table cannot be written.
        """
        with self._opened("mode=rw", _WRITER) as connection, _transaction(connection):
            connection.executemany(
                "INSERT INTO payload_keys (id, key, shared, made_ns) VALUES (?, ?, ?, ?)",
                [(identity, key, int(shared), made_ns) for identity, key in keys],
            )

    def states(self, ids: Iterable[bytes]) -> dict[bytes, KeyState]:
        """Return those keys that the table has.

        :raises ConfigurationError: there is no table, or it cannot be read.
        """
        found: dict[bytes, KeyState] = {}
        with self._opened("mode=ro", _OPTIONS) as connection:
            for some in batched(list(dict.fromkeys(ids)), _AT_ONCE):
                sql = f"SELECT id, key, shared, destroyed_ns FROM payload_keys WHERE id IN ({_places(some)})"
                for identity, key, shared, destroyed_ns in connection.execute(sql, tuple(some)):
                    found[identity] = KeyState(key, bool(shared), destroyed_ns)
        return found

    def destroy(self, ids: Sequence[bytes], now_ns: int) -> None:
        """Destroy keys, and write the file anew without them; that they were there stays. Again does no harm.

        :raises ConfigurationError: the table cannot be written.
        """
        with self._opened("mode=rw", _WRITER) as connection:
            connection.execute(_TRUNCATED)  # what it held is in the log of the transaction until that is emptied
            with _transaction(connection):
                for some in batched(ids, _AT_ONCE):
                    connection.execute(
                        "UPDATE payload_keys SET key = NULL, destroyed_ns = coalesce(destroyed_ns, ?) "
                        f"WHERE id IN ({_places(some)})",
                        (now_ns, *some),
                    )
            connection.execute("VACUUM")

    def discard(self, ids: Sequence[bytes]) -> None:
        """Remove keys that were never used.

        :raises ConfigurationError: the table cannot be written.
        """
        with self._opened("mode=rw", _WRITER) as connection, _transaction(connection):
            for some in batched(ids, _AT_ONCE):
                connection.execute(f"DELETE FROM payload_keys WHERE id IN ({_places(some)})", tuple(some))

    @contextmanager
    def _opened(self, options: str, pragmas: tuple[str, ...]) -> Iterator[sqlite3.Connection]:
        try:
            if not self.path.is_file():
                raise self._fault("there is no such file")
            with closing(connect(self.path, options, pragmas)) as connection:
                yield connection
        except sqlite3.Error as error:
            raise self._fault(str(error)) from error
        except OSError as error:
            raise self._fault(error.strerror or str(error)) from error

    def _fault(self, reason: str) -> ConfigurationError:
        return ConfigurationError(
            f"the table of keys {self.path} cannot be used ({reason}): name it by RECORDER_PAYLOAD_KEYS"
        )


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:  # an interrupt too: of some keys without the others nothing would be known
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _places(ids: Sequence[bytes]) -> str:
    return ", ".join("?" * len(ids))
