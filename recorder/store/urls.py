"""Store URLs: what a user may write, and what is told to one who wrote something else."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from recorder.errors import ConfigurationError
from recorder.locations import as_url, cassette_path, sqlite_path

_SHAPES: Final = ("sqlite:///FILE", "postgresql://USER@HOST/DATABASE")
_SQLITE: Final = frozenset({"sqlite", "sqlite+pysqlite"})
_POSTGRES: Final = frozenset({"postgresql", "postgres", "postgresql+psycopg"})
_SHOWN: Final = frozenset(
    {"application_name", "channel_binding", "connect_timeout", "host", "port", "sslmode", "target_session_attrs"}
)
_PLAIN: Final = re.compile(r"[\w.,/:-]*")
# Such a text is the path of a file. No URL and no connection string is one, however badly it is written, and so
# none that has a password in it.
_PATH: Final = re.compile(r"(?:\.{0,2}/[\w./ +-]*\w|[\w./ +-]*\w\.[A-Za-z]\w{0,7})")

#: How a shell writes a home directory, one's own or another user's.
_HOME: Final = re.compile(r"~[^/]*/")


@dataclass(frozen=True, slots=True)
class StoreUrl:
    """Where a store is.

    :ivar name: the URL for people: no password, and of its query only what is known to be harmless.
    :ivar url: the URL with the driver that recorder uses.
    :ivar path: the file of a SQLite store, absolute; None for Postgres.
    :ivar cassette: the file of a cassette, absolute; None for a store.
    """

    name: str
    url: URL
    path: Path | None
    cassette: Path | None = None


def parse_url(text: str, *, cassettes: bool = False) -> StoreUrl:
    """Read a store URL: ``sqlite:///relative.db``, ``sqlite:////absolute.db`` or ``postgresql://…``.

    :param cassettes: the path of a cassette is fine too.
    :raises ConfigurationError: it is no URL, its scheme or driver is not known, the driver is not
        installed, or it names a SQLite database in memory, which would die with the process. What
        stands after the scheme is never quoted: a password may be anywhere in a URL that is wrong. A path is.
    """
    cassette = cassette_path(as_url(text))
    if cassette is not None:
        if not cassettes:
            raise ConfigurationError(f"{cassette} is a cassette, not a store: `recorder cassette` works on it")
        return StoreUrl(str(cassette), URL.create("cassette"), None, cassette)
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):  # ValueError: its port is no number, its address has no end
        if _PATH.fullmatch(text):
            raise ConfigurationError(
                f"{text!r} is a path, not a store URL: write {as_url(Path(text))}, or in Python give a pathlib.Path"
            ) from None
        raise ConfigurationError(f"what was given is not a store URL: write {' or '.join(_SHAPES)}") from None
    if url.drivername in _SQLITE:
        return _sqlite(text, url)
    if url.drivername in _POSTGRES:
        return _postgres(url)
    raise ConfigurationError(f"unknown store scheme {url.drivername!r}: recorder knows {' and '.join(_SHAPES)}")


def _sqlite(text: str, url: URL) -> StoreUrl:
    database = url.database
    in_memory = database == ":memory:" or url.query.get("mode") == "memory"
    if not database or in_memory or database.startswith("file:"):
        raise ConfigurationError(
            "a SQLite store must be a plain file, a recording in memory would die with the process: "
            "write sqlite:///FILE"
        )
    if url.host or url.username:
        raise ConfigurationError("a SQLite store is named by its file alone: write sqlite:///FILE")
    if "?" in text:  # also where nothing follows that SQLAlchemy takes for a query: it drops that without a word
        raise ConfigurationError(
            "a SQLite store is named by its file alone: write sqlite:///FILE, with %3F for a ? in its name"
        )
    if _HOME.match(database):
        raise ConfigurationError(
            "nobody replaces the ~ in a store's URL by a home directory: write the whole path, sqlite:////PATH, "
            "or sqlite:///./~… for a folder of that name"
        )
    return StoreUrl(f"sqlite:///{database}", url, sqlite_path(text))


def _postgres(url: URL) -> StoreUrl:
    if importlib.util.find_spec("psycopg") is None:
        raise ConfigurationError(
            "the Postgres driver is not installed: run pip install 'conversation-recorder[postgres]'"
        )
    if any("@" in (part or "") for part in (url.username, url.host, url.database)) or not 0 <= (url.port or 0) < 65536:
        raise ConfigurationError(
            "this is not a Postgres URL: write postgresql://USER:PASSWORD@HOST:PORT/DATABASE, "
            "in USER and PASSWORD with %40 for @, %2F for / and %3A for :"
        )
    # No `***` for the password, since people copy what they are shown.
    query = {
        name: value
        for name, value in url.query.items()
        if name in _SHOWN and all(_PLAIN.fullmatch(each) for each in ((value,) if isinstance(value, str) else value))
    }
    shown = URL.create("postgresql", url.username, None, url.host, url.port, url.database, query)
    return StoreUrl(shown.render_as_string(), url.set(drivername="postgresql+psycopg"), None)
