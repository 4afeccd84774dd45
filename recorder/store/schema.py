"""The schema of the store at a URL: which revision it has, and bringing it to the one of this code."""

from __future__ import annotations

import sqlite3

from recorder.store import revisions, sqlite_file
from recorder.store.failures import translating
from recorder.store.urls import StoreUrl, parse_url


def state(target: StoreUrl) -> tuple[str | None, tuple[str, ...]]:
    """Return the revision of a store, None where it has no schema, and those that :func:`upgrade` would apply.

    :raises StaleSchema: its schema is newer than this code.
    :raises StoreUnreachable: it cannot be reached.
    :raises ConfigurationError: it is something else.
    """
    if target.path is not None:
        sqlite_file.require_store(target.path, target.name)
        engine = sqlite_file.reading_engine(target.path)
    else:
        from recorder.store import postgres_sessions  # needs a driver that need not be installed

        engine = postgres_sessions.reading_engine(target)
    try:
        with translating(target.name, sqlite3.Error), engine.connect() as connection:
            return revisions.revision(connection), revisions.pending(connection)
    finally:
        engine.dispose()


def upgrade(url: str) -> tuple[str, ...]:
    """Bring a store to the schema of this code; create it where there is none (``recorder db upgrade``).

    :returns: the revisions that were applied, oldest first.
    :raises StaleSchema: its schema is newer than this code.
    :raises StoreUnreachable: nobody answers, or the path cannot be written.
    :raises ConfigurationError: the URL is wrong, or names something that is not a store.
    """
    target = parse_url(url)
    if target.path is not None:
        with translating(target.name, sqlite3.Error):
            return sqlite_file.prepare(target.path, target.name, "normal")
    from recorder.store import postgres_sessions

    return postgres_sessions.prepare(target)
