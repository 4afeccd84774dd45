"""Where events live: one Protocol (base), two engines, their schema and its upkeep.

Nothing outside this package speaks SQL, and nothing in it knows a provider.
"""

from __future__ import annotations

from recorder.errors import ConfigurationError
from recorder.store.sql import SqlStore
from recorder.store.sqlite import SqliteStore
from recorder.store.sqlite_file import Synchronous
from recorder.store.urls import parse_url

__all__ = ["Synchronous", "open_store"]


def open_store(url: str, *, write: bool, synchronous: Synchronous = "normal") -> SqlStore:
    """Open the store at *url*; the result is an :class:`~recorder.store.base.EventStore`.

    A writer creates a SQLite store and brings its schema up to date; a Postgres store must be at the
    right schema already. A reader changes nothing, ever.

    :param synchronous: SQLite only. ``"normal"``: what is committed survives the death of the process;
        ``"full"``: and the loss of power. Postgres commits as its server is configured.
    :raises ConfigurationError: the URL is wrong, the driver is missing, the file is not a store.
    :raises StoreUnreachable: nobody answers, or the path cannot be opened.
    :raises StaleSchema: the schema is not the one of this version of recorder.
    :raises CorruptRecording: the store is damaged.
    """
    target = parse_url(url)
    if synchronous not in ("normal", "full"):
        raise ConfigurationError(f"synchronous is 'normal' or 'full', not {synchronous!r}")
    if target.path is not None:
        return SqliteStore(target.path, target.name, write=write, synchronous=synchronous)
    from recorder.store.postgres import PostgresStore

    return PostgresStore(target, write=write)
