"""The content of a file that is to be imported, looked at from several sides, each worked out once."""

from __future__ import annotations

import codecs
import io
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Protocol

from recorder.core.json_text import parse_json
from recorder.errors import ImportRefused

_BOM: Final = b"\xef\xbb\xbf"
_GZIP: Final = b"\x1f\x8b"
ZIP: Final = b"PK\x03\x04"
#: Byte order marks of text that is not UTF-8, the longer ones first: PowerShell's ``>`` writes UTF-16.
_WIDE: Final = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_HEAD: Final = 64 * 1024
#: A file that unpacks to more is refused: it would be held in memory.
LARGEST: Final = 512 * 1024 * 1024
_STEP: Final = 1024 * 1024
_NO_JSON: Final = object()


class Database(Protocol):
    """The tables of a database that somebody opened."""

    @property
    def tables(self) -> Mapping[str, frozenset[str]]:
        """The columns of each table."""
        ...

    def rows(self, table: str, *order: str, **equal: Any) -> Iterator[dict[str, Any]]:
        """Yield the rows of a table, sorted by some columns, where others have these values.

        :raises ImportRefused: the database is damaged.
        """
        ...


class Folder(Protocol):
    """Where a file was found, for one that names others beside it."""

    def content(self, name: str) -> bytes | None:
        """Return the bytes of a file below it; None where there is none that may be read.

        :param name: relative to the folder.
        :raises ImportRefused: it is there, and cannot be read.
        """
        ...


@dataclass(frozen=True)
class Source:
    """A file's bytes.

    :ivar raw: unpacked where they were gzip, in UTF-8 where they were UTF-16 or UTF-32; of a database no more than its
        first.
    :ivar database: what it is, where it is one.
    :ivar recoded: they were text in UTF-16 or UTF-32, so that nobody knows the bytes that somebody sent.
    :ivar folder: where the file was found; None where that is not known.
    """

    raw: bytes
    database: Database | None = None
    recoded: bool = False
    folder: Folder | None = None

    @classmethod
    def of(cls, data: bytes, folder: Folder | None = None) -> Source:
        """Return the source that a file's bytes are.

        :raises ImportRefused: it is gzip (RFC 1952), and damaged or too large; or a zip that is cut.
        """
        raw = _unpacked(data) if data.startswith(_GZIP) else data
        if raw.startswith(ZIP) and not zipfile.is_zipfile(io.BytesIO(raw)):  # its directory stands at its end
            raise ImportRefused("its zip ends before its own end")
        text = _narrowed(raw)
        return cls(raw, folder=folder) if text is None else cls(text, recoded=True, folder=folder)

    @cached_property
    def data(self) -> bytes:
        """The bytes without a byte order mark."""
        return self.raw.removeprefix(_BOM)

    @cached_property
    def head(self) -> bytes:
        """Its beginning, without white space before it."""
        return self.data[:_HEAD].lstrip()

    @property
    def looks_like_json(self) -> bool:
        """Whether it begins as an object or an array of JSON does."""
        return self.head[:1] in (b"{", b"[")

    @cached_property
    def _parsed(self) -> tuple[Any, str]:
        if not self.looks_like_json:
            return _NO_JSON, "it does not begin as JSON does"
        try:
            return parse_json(self.data), ""
        except ValueError as error:
            return _NO_JSON, " ".join(str(error).split())

    @property
    def json(self) -> Any:
        """Its value as one JSON document; None where it is none."""
        value = self._parsed[0]
        return None if value is _NO_JSON else value

    @cached_property
    def first_line(self) -> Any:
        """The JSON value of its first line that is not blank; None where it is none."""
        if self.head[:1] != b"{":
            return None
        start = self.data.index(b"{")
        end = self.data.find(b"\n", start)
        try:
            return parse_json(self.data[start : None if end < 0 else end])
        except ValueError:
            return None

    def holds(self, pattern: bytes) -> bool:
        """Whether a regular expression (many lines) matches somewhere in the beginning."""
        return re.search(pattern, self.head, re.MULTILINE) is not None

    def required_json(self) -> Any:
        """Return its value as one JSON document.

        :raises ImportRefused: it is none.
        """
        value, wrong = self._parsed
        if value is _NO_JSON:
            raise ImportRefused(f"it is no whole JSON document ({wrong})")
        return value

    def unknown(self) -> str:
        """Return why no importer knows it, in one sentence."""
        if not self.head and not self.data.strip():
            return "it is empty"
        if self.looks_like_json and self._parsed[0] is _NO_JSON and self.first_line is None:
            return f"it is no whole JSON document ({self._parsed[1]})"
        named = _wide(self.raw)
        if named is not None:
            return f"it begins as text in {named.upper()} does, and is none"
        if self.raw.startswith(ZIP):
            return "it is a zip with neither a HAR nor an export of ChatGPT in it"
        return "it is in none of the known formats"

    @property
    def advice(self) -> str | None:
        """What to do where no importer knows it, where that can be said."""
        return "unpack it, and import what it holds" if self.raw.startswith(ZIP) else None


def _wide(data: bytes) -> str | None:
    """Return the encoding that a byte order mark tells, where it is not UTF-8."""
    return next((name for mark, name in _WIDE if data.startswith(mark)), None)


def _narrowed(data: bytes) -> bytes | None:
    """Return as UTF-8 what a byte order mark says is text in UTF-16 or UTF-32; None where it is no such text."""
    name = _wide(data)
    try:
        return None if name is None else data.decode(name).encode()
    except UnicodeDecodeError:  # any file may begin so
        return None


def _unpacked(data: bytes) -> bytes:
    """Unpack all members of a gzip file."""
    pieces: list[bytes] = []
    size, left = 0, data
    while left.startswith(_GZIP):
        engine = zlib.decompressobj(31)
        try:
            given = left
            while given and not engine.eof:
                pieces.append(engine.decompress(given, _STEP))
                size += len(pieces[-1])
                given = engine.unconsumed_tail
                if size > LARGEST:
                    raise ImportRefused(f"it unpacks to more than {LARGEST:,} bytes")
        except zlib.error as error:
            raise ImportRefused(f"its gzip is damaged ({error})") from None
        if not engine.eof:
            raise ImportRefused("its gzip ends before its own end")
        left = engine.unused_data
    return b"".join(pieces)
