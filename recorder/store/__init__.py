"""Where events live: one Protocol (base), two engines, their schema and its upkeep.

Nothing outside this package speaks SQL, and nothing in it knows a provider.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from recorder.errors import ConfigurationError
from recorder.store.base import EventLog, Synchronous
from recorder.store.cassette_file import NO_RULES, Rules

# SQLAlchemy takes a quarter of a second to import, which a test that plays a cassette does not need: the engines
# are imported when one is opened.
if TYPE_CHECKING:
    from recorder.store.sql import SqlStore

__all__ = ["NO_RULES", "Rules", "Synchronous", "open_events", "open_store"]


def open_store(url: str, *, write: bool, synchronous: Synchronous = "normal") -> SqlStore:
    """Open the store at *url*; the result is an :class:`~recorder.store.base.EventStore`.

    A writer creates a SQLite store and brings its schema up to date; a Postgres store must be at the
    right schema already. A reader changes nothing, ever; it sees a cassette as a store.

    :param synchronous: SQLite only. ``"normal"``: what is committed survives the death of the process;
        ``"full"``: and the loss of power. Postgres commits as its server is configured.
    :raises ConfigurationError: the URL is wrong, the driver is missing, the file is not a store.
    :raises StoreUnreachable: nobody answers, or the path cannot be opened.
    :raises StaleSchema: the schema is not the one of this version of recorder.
    :raises CorruptRecording: the store is damaged.
    """
    from recorder.store.urls import parse_url

    target = parse_url(url, cassettes=not write)
    if synchronous not in ("normal", "full"):
        raise ConfigurationError(f"synchronous is 'normal' or 'full', not {synchronous!r}")
    if target.cassette is not None:
        from recorder.store.cassette_view import CassetteView

        return CassetteView(target.cassette)
    if target.path is not None:
        from recorder.store.sqlite import SqliteStore

        return SqliteStore(target.path, target.name, write=write, synchronous=synchronous)
    from recorder.store.postgres import PostgresStore

    return PostgresStore(target, write=write)


def open_events(url: str, *, synchronous: Synchronous = "normal", rules: Rules | None = None) -> EventLog:
    """Open a store or a cassette for writing events, see :func:`open_store`.

    :param rules: of a cassette that has to be made.
    """
    from recorder.store.urls import parse_url

    target = parse_url(url, cassettes=True)
    if target.cassette is not None:
        from recorder.store.cassette import CassetteStore

        return CassetteStore(target.cassette, rules or NO_RULES, sync=synchronous == "full")
    return open_store(url, write=True, synchronous=synchronous)
