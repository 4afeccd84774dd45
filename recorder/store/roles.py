"""Roles of a Postgres server: one that may record and change nothing, one that may only read.

What a role may do is a wall that the server keeps up against whoever has its password, a recording program that was
taken over for instance. It is no evidence: the owner of the tables and the server's administrator stand above it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import psycopg
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from recorder.errors import ConfigurationError
from recorder.store import revisions
from recorder.store.failures import translating
from recorder.store.postgres_sessions import writing_engine
from recorder.store.urls import StoreUrl, parse_url

_NO_PRIVILEGE: Final = "42501"  # SQLSTATE insufficient_privilege
_READ: Final = "SELECT"
_ADD: Final = "SELECT, INSERT"
_CACHE: Final = "SELECT, INSERT, UPDATE, DELETE"

#: What recording, draining, projecting, sealing and anchoring need, by table; of the others, and of the views, SELECT.
#: tests/integration/test_db_grant.py takes each away and sees something fail.
WRITER: Final[Mapping[str, str]] = {
    "event_streams": _ADD,
    "events": _ADD,
    "batches": _ADD,
    "ledger_leaves": _ADD,
    "ledger_nodes": _ADD,
    "checkpoints": _ADD,
    "anchors": _ADD,
    # Bookkeeping and caches, no evidence.
    "spools": _CACHE,
    "projection_checkpoints": _CACHE,
    "exchange_rows": _CACHE,
    "openings": _CACHE,
    "message_rows": "SELECT, INSERT, DELETE",
    "call_rows": "SELECT, INSERT, DELETE",
    "link_rows": _CACHE,
}
_ABOVE_READING: Final = ("INSERT", "UPDATE", "DELETE", "TRUNCATE", "TRIGGER")
TABLES: Final = frozenset(WRITER) | {"alembic_version", "erased_payloads", "event_types", "ledger"}
VIEWS: Final = frozenset({"event_log", "exchanges", "messages", "tool_calls", "usage"})


def grant(url: str, *, writer: str | None = None, auditor: str | None = None) -> list[str]:
    """Give roles of a Postgres server what they need on a store, and take away what else they had on it.

    All of it or nothing. A role that is not there is made, without a login: grant it to those who log in.

    :param writer: a role for programs that record: it reads, adds events and leaves, and keeps caches.
    :param auditor: a role that reads.
    :returns: the roles that were made.
    :raises ConfigurationError: the store is in SQLite; a role could still change what was recorded, since it owns the
        tables, is a superuser or has rights through another role; or whoever is connected may not grant.
    :raises StaleSchema: the store has not the schema of this code.
    """
    target = parse_url(url)
    if target.path is not None:
        raise ConfigurationError(
            f"{target.name} is a SQLite file, which knows no roles: give its file to one user, copies to auditors"
        )
    wanted = [(role, rights) for role, rights in ((writer, WRITER), (auditor, {})) if role is not None]
    if not wanted:
        raise ConfigurationError("there is no role to grant to: give --writer ROLE, --auditor ROLE or both")
    if writer == auditor:
        raise ConfigurationError(f"the role {writer} cannot be writer and auditor at once: give two roles")
    return _granted(target, wanted)


def _granted(target: StoreUrl, wanted: list[tuple[str, Mapping[str, str]]]) -> list[str]:
    engine = writing_engine(target)
    try:
        with translating(target.name, psycopg.Error), engine.connect() as connection, connection.begin():
            revisions.require_head(connection, target.name)
            return [role for role, rights in wanted if _give(connection, target.name, role, rights)]
    finally:
        engine.dispose()


def _give(connection: Connection, name: str, role: str, rights: Mapping[str, str]) -> bool:
    """Grant to one role; return whether it had to be made."""
    quoted = connection.dialect.identifier_preparer.quote_identifier(role)
    schema, tables = _relations(connection)
    # Without this, Postgres grants nothing and says so only in a warning.
    if not _owns(connection, None):
        raise ConfigurationError(f"the user of {name} may not grant: connect as the owner of the tables")
    try:
        made = _made(connection, role, quoted)
        connection.exec_driver_sql(f"GRANT USAGE ON SCHEMA {schema} TO {quoted}")
        for table, qualified in tables.items():
            connection.exec_driver_sql(f"REVOKE ALL ON {qualified} FROM {quoted}")
            connection.exec_driver_sql(f"GRANT {rights.get(table, _READ)} ON {qualified} TO {quoted}")
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) == _NO_PRIVILEGE:
            told = " ".join(str(error.orig).split())
            raise ConfigurationError(
                f"the user of {name} may not grant ({told}): connect as the owner of the tables"
            ) from error
        raise
    _check(connection, role, tables, rights)
    return made


def _owns(connection: Connection, role: str | None) -> bool:
    """Return whether a role, or the user who is connected, may do all that the owner of some table may."""
    sql = (
        "SELECT {}(pg_has_role({}, c.relowner, 'MEMBER')) FROM pg_class c WHERE c.relname = ANY(%s) "
        "AND c.relkind = 'r' AND c.relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'events'::regclass)"
    )
    if role is None:
        return bool(connection.exec_driver_sql(sql.format("bool_and", "current_user"), (sorted(TABLES),)).scalar())
    return bool(connection.exec_driver_sql(sql.format("bool_or", "%s"), (role, sorted(TABLES))).scalar())


def _made(connection: Connection, role: str, quoted: str) -> bool:
    if connection.exec_driver_sql("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)).scalar():
        return False
    connection.exec_driver_sql(f"CREATE ROLE {quoted} NOLOGIN")
    return True


def _relations(connection: Connection) -> tuple[str, dict[str, str]]:
    """Return the schema that the store is in, and its tables and views by name, each as statements have it."""
    rows = connection.exec_driver_sql(
        "SELECT c.relname, quote_ident(n.nspname), quote_ident(n.nspname) || '.' || quote_ident(c.relname) "
        "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relname = ANY(%s) AND c.relnamespace = "
        "(SELECT relnamespace FROM pg_class WHERE oid = 'events'::regclass) AND c.relkind IN ('r', 'v') ORDER BY 1",
        (sorted(TABLES | VIEWS),),
    ).all()
    return rows[0][1], {name: qualified for name, _, qualified in rows}


def _check(connection: Connection, role: str, tables: Mapping[str, str], rights: Mapping[str, str]) -> None:
    """Refuse a role that has more than it was given: as a superuser, an owner, or through another role.

    :raises ConfigurationError: it has.
    """
    if _owns(connection, role):
        raise ConfigurationError(
            f"the role {role} could still change everything: it is a superuser, owns tables of the store or is a "
            "member of a role that does; give another role"
        )
    for name in sorted(TABLES & set(tables)):
        allowed = rights.get(name, _READ)
        for right in (each for each in _ABOVE_READING if each not in allowed):
            if _may(connection, role, tables[name], right):
                raise ConfigurationError(
                    f"the role {role} could still {right} {name}: everybody may, or another role that it is a member "
                    "of; give another role, or REVOKE that"
                )


def _may(connection: Connection, role: str, table: str, right: str) -> Any:
    which = "has_any_column_privilege" if right in ("INSERT", "UPDATE") else "has_table_privilege"
    return connection.exec_driver_sql(f"SELECT {which}(%s, %s, %s)", (role, table, right)).scalar()
