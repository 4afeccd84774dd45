"""The ledger with its checkpoints and anchors, what was erased, links; event types of journals.

An erasure may set ``meta`` and ``body`` of an event to NULL where ``erased_payloads`` tells of it, and the secret of a
stream to zeros where it tells of all its events. Every other change is refused as before.

Frozen: once released, a migration is never edited. It imports nothing of recorder.
"""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

EVENT_TYPES = {
    18: "instance_started",
    19: "exchange_opened",
    20: "exchange_closed",
    21: "stream_written",
    22: "clock_sampled",
    23: "events_dropped",
    24: "configuration_changed",
    25: "key_created",
    26: "key_rotated",
    27: "payload_erased",
    28: "hold_placed",
    29: "hold_released",
    30: "accessed",
    31: "anchored",
    32: "instance_stopped",
    33: "linked",
    34: "retention_set",
    35: "redaction_set",
    36: "redaction_lifted",
}

# The words in braces are the engine's types.
TABLES = [
    """CREATE TABLE ledger (
        number {small} NOT NULL PRIMARY KEY CHECK (number = 1),
        origin TEXT NOT NULL,
        log_id {blob} NOT NULL
    ){strict}""",
    """CREATE TABLE ledger_leaves (
        number {big} NOT NULL PRIMARY KEY,
        stream {id} NOT NULL,
        length {big} NOT NULL,
        state {small} NOT NULL,
        entry {blob} NOT NULL
    ){strict}""",
    "CREATE INDEX ledger_leaves_stream ON ledger_leaves (stream, number)",
    """CREATE TABLE ledger_nodes (
        level {small} NOT NULL,
        number {big} NOT NULL,
        hash {blob} NOT NULL,
        PRIMARY KEY (level, number)
    ){strict_by_key}""",
    """CREATE TABLE checkpoints (
        size {big} NOT NULL PRIMARY KEY,
        note TEXT NOT NULL,
        made_ns {big} NOT NULL
    ){strict}""",
    """CREATE TABLE anchors (
        id {id} NOT NULL PRIMARY KEY,
        size {big} NOT NULL,
        anchor TEXT NOT NULL,
        made_ns {big} NOT NULL,
        evidence {blob} NOT NULL
    ){strict}""",
    """CREATE TABLE erased_payloads (
        stream {id} NOT NULL,
        version INTEGER NOT NULL,
        size {big} NOT NULL,
        commitment {blob} NOT NULL,
        PRIMARY KEY (stream, version)
    ){strict_by_key}""",
    """CREATE TABLE link_rows (
        stream {id} NOT NULL PRIMARY KEY,
        kind TEXT NOT NULL,
        id TEXT NOT NULL,
        exchange {id} NOT NULL,
        at_ns {big} NOT NULL
    ){strict}""",
    "CREATE INDEX link_rows_id ON link_rows (kind, id)",
    "CREATE INDEX link_rows_exchange ON link_rows (exchange)",
]

SQLITE_TYPES = {
    "id": "BLOB",
    "big": "INTEGER",
    "small": "INTEGER",
    "blob": "BLOB",
    "strict": " STRICT",
    "strict_by_key": " STRICT, WITHOUT ROWID",
}
POSTGRES_TYPES = {
    "id": "uuid",
    "big": "bigint",
    "small": "smallint",
    "blob": "bytea",
    "strict": "",
    "strict_by_key": "",
}

APPEND_ONLY = ("ledger", "ledger_leaves", "ledger_nodes", "checkpoints", "anchors", "erased_payloads")

# An event keeps all but its payload; a stream keeps all but its secret.
EVENT_ERASED = """NEW.meta IS NULL AND NEW.body IS NULL
        AND {same}
        AND EXISTS (SELECT 1 FROM erased_payloads p WHERE p.stream = OLD.stream AND p.version = OLD.version)"""
STREAM_ERASED = """NEW.secret = {zeros}
        AND {same}
        AND EXISTS (SELECT 1 FROM erased_payloads p WHERE p.stream = OLD.stream)
        AND NOT EXISTS (SELECT 1 FROM events e WHERE e.stream = OLD.stream AND (
            e.meta IS NOT NULL OR e.body IS NOT NULL OR NOT EXISTS (
                SELECT 1 FROM erased_payloads p WHERE p.stream = e.stream AND p.version = e.version)))"""
EVENT_KEPT = ("position", "stream", "version", "type", "wall_ns", "mono_ns", "instance", "flags", "hash")
STREAM_KEPT = ("stream", "format", "instance")


def _sqlite_triggers() -> list[str]:
    def same(columns: tuple[str, ...]) -> str:
        return " AND ".join(f"NEW.{column} IS OLD.{column}" for column in columns)

    allowed = {
        "events": EVENT_ERASED.format(same=same(EVENT_KEPT)),
        "event_streams": STREAM_ERASED.format(same=same(STREAM_KEPT), zeros="zeroblob(32)"),
    }
    statements = []
    for table, condition in allowed.items():
        statements.append(f"DROP TRIGGER {table}_no_update")
        statements.append(
            f"""CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table}
        WHEN NOT coalesce({condition}, 0)
        BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"""
        )
    statements += [
        f"""CREATE TRIGGER {table}_no_{verb} BEFORE {verb.upper()} ON {table}
        BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"""
        for table in APPEND_ONLY
        for verb in ("update", "delete")
    ]
    return statements


def _postgres_triggers() -> list[str]:
    def same(columns: tuple[str, ...]) -> str:
        return " AND ".join(f"NEW.{column} IS NOT DISTINCT FROM OLD.{column}" for column in columns)

    allowed = {
        "events": EVENT_ERASED.format(same=same(("batch", *EVENT_KEPT))),
        "event_streams": STREAM_ERASED.format(same=same(STREAM_KEPT), zeros="decode(repeat('00', 32), 'hex')"),
    }
    statements = []
    for table, condition in allowed.items():
        statements.append(
            f"""CREATE FUNCTION recorder_{table}_erased() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF {condition} THEN
            RETURN NEW;
        END IF;
        RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
    END $$"""
        )
        statements.append(f"DROP TRIGGER {table}_no_update ON {table}")
        statements.append(
            f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} "
            f"FOR EACH ROW EXECUTE FUNCTION recorder_{table}_erased()"
        )
    statements += [
        f"""CREATE TRIGGER {table}_no_{verb} BEFORE {verb.upper()} ON {table}
        FOR EACH {"STATEMENT" if verb == "truncate" else "ROW"} EXECUTE FUNCTION recorder_append_only()"""
        for table in APPEND_ONLY
        for verb in ("update", "delete", "truncate")
    ]
    return statements


def upgrade() -> None:
    connection = op.get_bind()
    sqlite = connection.dialect.name == "sqlite"
    for statement in TABLES:
        connection.exec_driver_sql(statement.format(**(SQLITE_TYPES if sqlite else POSTGRES_TYPES)))
    for statement in _sqlite_triggers() if sqlite else _postgres_triggers():
        connection.exec_driver_sql(statement if sqlite else statement.replace("%", "%%"))
    for code, name in EVENT_TYPES.items():
        connection.exec_driver_sql(f"INSERT INTO event_types (code, name) VALUES ({code}, '{name}')")


def downgrade() -> None:
    raise NotImplementedError("stores are not downgraded: restore a backup")
