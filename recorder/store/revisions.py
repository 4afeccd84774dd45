"""Schema revisions: which one an open store has, which one this code needs, and the way between them.

The migrations travel in the wheel as ``recorder/migrations``; in a checkout they lie beside the
package. alembic is imported only where a store is not at :data:`HEAD`, since it takes longer to
import than a store takes to open.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, inspect

from recorder.errors import StaleSchema, StoreError
from recorder.store.failures import HALF
from recorder.store.tables import metadata_for

if TYPE_CHECKING:
    from alembic.config import Config

HEAD: Final = "0005"
#: The loggers to which alembic tells what it does while it is imported and while it migrates.
_CHATTY: Final = ("alembic.runtime.migration", "alembic.runtime.plugins")


def migrations_path() -> Path:
    """Return the folder of the migrations, installed or in a checkout.

    :raises StoreError: the installation lacks it.
    """
    package = Path(__file__).resolve().parent.parent
    for folder in (package / "migrations", package.parent / "migrations"):
        if (folder / "env.py").is_file():
            return folder
    raise StoreError("the installation of recorder is incomplete, its migrations are missing: install it again")


def alembic_config(connection: Connection) -> Config:
    """Return alembic's configuration for an open connection; no alembic.ini is read."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(migrations_path()).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def revision(connection: Connection) -> str | None:
    """Return the revision of the store, None where there is no schema yet."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return None if found is None else str(found)


def pending(connection: Connection) -> tuple[str, ...]:
    """Return the revisions that :func:`migrate` would apply, oldest first.

    :raises StaleSchema: the store's revision is not one of this version of recorder, or it has tables and no revision.
    """
    current = revision(connection) or _revision_beside_tables(connection)
    if current == HEAD:
        return ()
    with _unheard():
        from alembic.script import ScriptDirectory

        script = ScriptDirectory.from_config(alembic_config(connection))
        known = [step.revision for step in script.walk_revisions()]  # newest first
    if current is None:
        return tuple(reversed(known))
    if current not in known:
        raise StaleSchema(
            f"the store has schema {current}, which is newer than {HEAD}, the newest that this version of recorder "
            "knows: upgrade recorder (pip install --upgrade conversation-recorder)"
        )
    return tuple(reversed(known[: known.index(current)]))


def _revision_beside_tables(connection: Connection) -> str | None:
    """Return the revision of a store that another process may be making at this moment, None where there is no schema.

    :raises StaleSchema: there are tables of the schema, and nothing tells their revision.
    """
    taken = sorted(metadata_for(connection.dialect.name).tables.keys() & inspect(connection).get_table_names())
    current = revision(connection) if taken else None
    if taken and current is None:
        raise StaleSchema(f"the store {HALF} ({', '.join(taken)})")
    return current


def migrate(connection: Connection) -> tuple[str, ...]:
    """Bring the store to :data:`HEAD` within the transaction that *connection* is in.

    :returns: the revisions that were applied.
    :raises StaleSchema: as :func:`pending`.
    """
    steps = pending(connection)
    if steps:
        with _unheard():
            from alembic import command

            command.upgrade(alembic_config(connection), "head")
    return steps


@contextmanager
def _unheard() -> Iterator[None]:
    """Keep from the user's log what alembic tells of our migrations, and nothing else.

    A program that migrates a database of its own, in another thread at this very moment, still reads of
    it: only what this thread logs is held back, by filters that are gone when the block ends. Neither a
    level nor a handler is touched. Warnings pass.
    """
    own = threading.get_ident()

    def passes(record: logging.LogRecord) -> bool:
        return threading.get_ident() != own or record.levelno >= logging.WARNING

    loggers = [logging.getLogger(name) for name in _CHATTY]
    for logger in loggers:
        logger.addFilter(passes)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(passes)


def require_head(connection: Connection, name: str) -> None:
    """Refuse a store whose schema is not the one of this code.

    :raises StaleSchema: with what to do about it.
    """
    current = revision(connection)
    if current == HEAD:
        return
    pending(connection)  # refuses the newer ones, and half of one
    state = "has no recorder schema" if current is None else f"has schema {current}, not {HEAD}"
    raise StaleSchema(f"{name} {state}: run `recorder db upgrade --store {name}`")
