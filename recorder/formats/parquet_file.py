"""Parquet files, written a row group at a time: https://parquet.apache.org/docs/file-format/.

pyarrow writes them, which the extra ``parquet`` brings.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from recorder.errors import ConfigurationError

#: A row group is written when it has so many rows, or so many characters and bytes.
_ROWS: Final = 5_000
_SIZE: Final = 16 << 20
_TYPES: Final = {
    "text": "string",
    "count": "int64",
    "flag": "bool_",
    "ms": "float64",
    "bytes": "binary",
}

Row = dict[str, Any]


def parquet_file(name: str, columns: Mapping[str, str], rows: Iterable[Row]) -> Iterator[bytes]:
    """Yield a file, a row group at a time, in memory that does not grow with the number of rows.

    :param name: of the format, for people.
    :param columns: ``column -> type``, in their order: text, count (64 bits), flag, ms, bytes, or time (nanoseconds
        UTC, given as an integer).
    :param rows: a value that is missing is null.
    :raises ConfigurationError: pyarrow is not installed.
    """
    try:
        pyarrow, parquet = (importlib.import_module(module) for module in ("pyarrow", "pyarrow.parquet"))
    except ImportError as error:
        raise ConfigurationError(
            f"the format {name} needs pyarrow: run pip install 'conversation-recorder[parquet]'"
        ) from error
    types = {kind: getattr(pyarrow, made)() for kind, made in _TYPES.items()}
    types["time"] = pyarrow.timestamp("ns", tz="UTC")
    schema = pyarrow.schema([(column, types[kind]) for column, kind in columns.items()])
    sink = _Sink()
    with parquet.ParquetWriter(sink, schema, compression="zstd") as writer:
        for group in _groups(rows):
            writer.write_table(pyarrow.Table.from_pylist(group, schema=schema))
            yield sink.taken()
    yield sink.taken()


def _groups(rows: Iterable[Row]) -> Iterator[list[Row]]:
    group: list[Row] = []
    size = 0
    for row in rows:
        group.append(row)
        size += sum(len(value) for value in row.values() if isinstance(value, str | bytes))
        if len(group) >= _ROWS or size >= _SIZE:
            yield group
            group, size = [], 0
    if group:
        yield group


class _Sink:
    """A file that keeps what is written until it is taken. pyarrow writes to anything with these methods."""

    closed = False

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: Any) -> int:
        """Keep a copy: the writer uses its buffer again."""
        self._pieces.append(bytes(data))
        return len(self._pieces[-1])

    def flush(self) -> None:
        """Do nothing: there is nothing behind it."""

    def close(self) -> None:
        """Do nothing: what was written is still to be taken."""

    def taken(self) -> bytes:
        """Return what was written since."""
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)
