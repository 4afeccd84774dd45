"""How alembic reaches a store.

At run time recorder.store.revisions has opened a connection and begun a transaction; both arrive in
``config.attributes["connection"]``. From the command line a developer names the store with
``-x url=…``; the tables of the present code are then compared with it (``alembic check``).
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import context


def _is_ours(name: str | None, kind: str, _: Any) -> bool:
    """Whether a comparison looks at it: SQLite's full-text index is made of tables that are SQLite's own."""
    return not (kind == "table" and (name or "").startswith("message_index"))


def run(connection: sa.Connection, metadata: sa.MetaData | None) -> None:
    if metadata is not None and connection.dialect.name == "postgresql":
        # SQLAlchemy has no xid8, and another class for tsvector: without this a comparison passes over them or errs.
        own = {
            "xid8": type(metadata.tables["batches"].c.xid.type),
            "tsvector": type(metadata.tables["message_rows"].c.words.type),
        }
        connection.dialect.ischema_names = {**connection.dialect.ischema_names, **own}  # type: ignore[attr-defined]
    context.configure(
        connection=connection,
        target_metadata=metadata,
        transactional_ddl=True,  # alembic believes that SQLite has none
        compare_server_default=False,
        include_name=_is_ours,
    )
    with context.begin_transaction():
        context.run_migrations()


def developer_engine(url: str) -> sa.Engine:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    if engine.dialect.name == "sqlite":

        @sa.event.listens_for(engine, "connect")
        def _no_implicit_begin(connection: Any, _: Any) -> None:
            connection.isolation_level = None

        @sa.event.listens_for(engine, "begin")
        def _begin(connection: sa.Connection) -> None:
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def run_for_developer() -> None:
    from recorder.store.tables import metadata_for

    arguments = context.get_x_argument(as_dictionary=True)
    if "url" not in arguments:
        raise SystemExit("name the store: alembic -x url=sqlite:///some.db COMMAND")
    with developer_engine(arguments["url"]).begin() as connection:
        run(connection, metadata_for(connection.dialect.name))


given = context.config.attributes.get("connection")
if given is not None:
    run(given, context.config.attributes.get("metadata"))
else:
    run_for_developer()
