"""SQLite databases of other programs, read and never touched: not the file, nor what lies beside it.

Even a reader leaves traces: of a database with a write-ahead log, SQLite makes an index, takes locks in it, and may
move the log into the file. So a copy is read, with its log or its journal; what a program has written and not yet
moved is in it, and what it had not committed is not.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

from recorder.errors import ImportRefused

#: What every SQLite database begins with (https://sqlite.org/fileformat2.html#the_database_header).
MAGIC: Final = b"SQLite format 3\0"
_BESIDE: Final = ("", "-wal", "-journal")
_TRIES: Final = 5


class ForeignDatabase:
    """The tables of a database; views and virtual tables, which may run anything, are none.

    :param connection: to a copy of it.
    :raises ImportRefused: it is damaged, or encrypted.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        connection.row_factory = sqlite3.Row
        connection.text_factory = lambda text: text.decode("utf-8", "replace")
        with _reading():
            connection.execute("PRAGMA query_only = ON")
            connection.execute("PRAGMA trusted_schema = OFF")
            connection.execute("PRAGMA cell_size_check = ON")
            named = list(connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'"))
            self.tables: Mapping[str, frozenset[str]] = {
                name: self._columns(name) for name, made in named if str(made).upper().startswith("CREATE TABLE")
            }

    def _columns(self, table: str) -> frozenset[str]:
        found = self._connection.execute("SELECT name FROM pragma_table_info(?)", (table,))
        return frozenset(str(row["name"]) for row in found)

    def rows(self, table: str, *order: str, **equal: Any) -> Iterator[dict[str, Any]]:
        """Yield the rows of a table; of one that is not there, nothing.

        :param order: columns to sort by; those that are not there do not count.
        :param equal: values that columns must have; nothing has one that no column can have.
        :raises ImportRefused: the database is damaged.
        """
        columns = self.tables.get(table, frozenset())
        if not columns or not columns >= equal.keys() or not all(map(_is_storable, equal.values())):
            return
        where = " AND ".join(f"{_quoted(name)} = ?" for name in equal)
        sorted_by = ", ".join(_quoted(name) for name in order if name in columns)
        asked = f"SELECT * FROM {_quoted(table)}{where and ' WHERE ' + where}{sorted_by and ' ORDER BY ' + sorted_by}"
        with _reading():
            for row in self._connection.execute(asked, tuple(equal.values())):
                yield dict(row)


def _is_storable(value: Any) -> bool:
    if isinstance(value, int):
        return -(1 << 63) <= value < 1 << 63
    return value is None or isinstance(value, str | bytes | float)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise ImportRefused(f"its database cannot be read ({error})") from None


@contextmanager
def foreign_database(path: Path) -> Iterator[ForeignDatabase]:
    """Yield a database, as it was when this began.

    :raises ImportRefused: it cannot be read, or somebody writes to it all the time.
    :raises OSError: its file cannot be read, or there is no room for a copy.
    """
    with tempfile.TemporaryDirectory(prefix="recorder-import-") as folder:
        copy = _copied(path, Path(folder))
        with closing(sqlite3.connect(copy, isolation_level=None)) as connection:
            yield ForeignDatabase(connection)


def _copied(path: Path, folder: Path) -> Path:
    copy = folder / "copy"
    for _ in range(_TRIES):
        before = _states(path)
        for suffix in _BESIDE:
            target = copy.with_name(copy.name + suffix)
            target.unlink(missing_ok=True)
            if before[suffix] is not None:
                shutil.copyfile(path.with_name(path.name + suffix), target)
        if _states(path) == before:
            return copy
    raise ImportRefused("somebody writes to it all the time")


def _states(path: Path) -> dict[str, tuple[int, int] | None]:
    found: dict[str, tuple[int, int] | None] = {}
    for suffix in _BESIDE:
        beside = path.with_name(path.name + suffix)
        try:
            state = beside.stat()
            found[suffix] = (state.st_size, state.st_mtime_ns)
        except FileNotFoundError:
            found[suffix] = None
    return found
