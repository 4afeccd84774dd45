"""The event store: append-only events, spool bookkeeping, the first projections.

Frozen: once released, a migration is never edited. It imports nothing of recorder.
"""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

EVENT_TYPES = {
    1: "request_sent",
    2: "request_body_sent",
    3: "request_failed",
    4: "response_started",
    5: "chunk_received",
    6: "trailers_received",
    7: "response_completed",
    8: "response_truncated",
    9: "response_failed",
    10: "consumer_closed",
    11: "consumer_abandoned",
    12: "process_died",
    13: "recorder_closed",
    14: "gap_recorded",
    15: "conversation_named",
    16: "tags_set",
    17: "imported",
}

SQLITE_EVENTS = [
    """CREATE TABLE event_streams (
        stream BLOB NOT NULL PRIMARY KEY,
        format INTEGER NOT NULL,
        instance BLOB NOT NULL,
        secret BLOB NOT NULL
    ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX event_streams_instance ON event_streams (instance)",
    """CREATE TABLE events (
        position INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        stream BLOB NOT NULL,
        version INTEGER NOT NULL,
        type INTEGER NOT NULL,
        wall_ns INTEGER NOT NULL,
        mono_ns INTEGER NOT NULL,
        instance BLOB,
        flags INTEGER NOT NULL,
        meta TEXT,
        body BLOB,
        hash BLOB NOT NULL,
        UNIQUE (stream, version)
    ) STRICT""",
    "CREATE TABLE event_types (code INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL) STRICT",
    "CREATE TABLE spools (spool BLOB NOT NULL PRIMARY KEY, drained INTEGER NOT NULL) STRICT, WITHOUT ROWID",
    *(
        f"""CREATE TRIGGER {table}_no_{verb} BEFORE {verb.upper()} ON {table}
        BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"""
        for table in ("events", "event_streams")
        for verb in ("update", "delete")
    ),
]

POSTGRES_EVENTS = [
    """CREATE TABLE event_streams (
        stream uuid NOT NULL PRIMARY KEY,
        format smallint NOT NULL,
        instance uuid NOT NULL,
        secret bytea NOT NULL
    )""",
    "CREATE INDEX event_streams_instance ON event_streams (instance)",
    # Columns of eight bytes first: no padding between them.
    """CREATE TABLE events (
        position bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
        batch bigint NOT NULL,
        wall_ns bigint NOT NULL,
        mono_ns bigint NOT NULL,
        version integer NOT NULL,
        type smallint NOT NULL,
        flags smallint NOT NULL,
        stream uuid NOT NULL,
        instance uuid,
        hash bytea NOT NULL,
        meta text,
        body bytea,
        PRIMARY KEY (stream, version)
    )""",
    "CREATE INDEX events_feed ON events (batch, position)",
    # One row for each append: what orders the feed (see recorder/store/postgres.py).
    """CREATE TABLE batches (
        id bigint NOT NULL GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
        events integer NOT NULL
    )""",
    "CREATE INDEX batches_xid ON batches (xid)",
    "CREATE TABLE event_types (code smallint NOT NULL PRIMARY KEY, name text NOT NULL)",
    "CREATE TABLE spools (spool uuid NOT NULL PRIMARY KEY, drained bigint NOT NULL)",
    """CREATE FUNCTION recorder_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
    END $$""",
    *(
        f"""CREATE TRIGGER {table}_no_{verb} BEFORE {verb.upper()} ON {table}
        FOR EACH {"STATEMENT" if verb == "truncate" else "ROW"} EXECUTE FUNCTION recorder_append_only()"""
        for table in ("events", "event_streams")
        for verb in ("update", "delete", "truncate")
    ),
]

# Projections: the words in braces are the engine's types.
PROJECTIONS = [
    """CREATE TABLE exchanges (
        id {id} NOT NULL PRIMARY KEY,
        opening {id},
        call TEXT,
        attempt INTEGER NOT NULL,
        started_ns {big} NOT NULL,
        method TEXT NOT NULL,
        url TEXT NOT NULL,
        status INTEGER,
        model TEXT,
        verdict TEXT NOT NULL,
        chunks INTEGER NOT NULL,
        bytes {big} NOT NULL,
        duration_ns {big},
        first_chunk_ns {big},
        dialect TEXT NOT NULL,
        match_key {blob},
        match_places TEXT,
        last_version INTEGER NOT NULL,
        summary TEXT NOT NULL
    ){strict}""",
    "CREATE INDEX exchanges_started ON exchanges (started_ns)",
    "CREATE INDEX exchanges_match ON exchanges (match_key)",
    "CREATE INDEX exchanges_opening ON exchanges (opening)",
    "CREATE INDEX exchanges_call ON exchanges (call)",
    """CREATE TABLE openings (
        id {id} NOT NULL PRIMARY KEY,
        name TEXT,
        tags TEXT NOT NULL,
        first_ns {big} NOT NULL,
        last_ns {big} NOT NULL
    ){strict}""",
    "CREATE INDEX openings_name ON openings (name)",
    """CREATE TABLE projection_checkpoints (
        name TEXT NOT NULL PRIMARY KEY,
        xid {big} NOT NULL,
        position {big} NOT NULL
    ){strict}""",
]

SQLITE_TYPES = {"id": "BLOB", "big": "INTEGER", "blob": "BLOB", "strict": " STRICT"}
POSTGRES_TYPES = {"id": "uuid", "big": "bigint", "blob": "bytea", "strict": ""}

# For people: names and readable ids instead of codes and bytes.
EVENT_LOG = """CREATE VIEW event_log AS
    SELECT e.position, {stream} AS stream, e.version, coalesce(t.name, 'code ' || e.type) AS type, {at} AS at,
        e.wall_ns, e.mono_ns, {instance} AS instance, e.flags, e.meta, length(e.body) AS size, e.body, {hash} AS hash
    FROM events e
    LEFT JOIN event_streams s ON s.stream = e.stream
    LEFT JOIN event_types t ON t.code = e.type"""


def _sqlite_uuid(column: str) -> str:
    text = f"lower(hex({column}))"
    cuts = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
    return " || '-' || ".join(f"substr({text}, {start}, {size})" for start, size in cuts)


def _sqlite_view() -> str:
    return EVENT_LOG.format(
        stream=_sqlite_uuid("e.stream"),
        instance=_sqlite_uuid("coalesce(e.instance, s.instance)"),
        at="strftime('%Y-%m-%dT%H:%M:%S', e.wall_ns / 1000000000, 'unixepoch')"
        " || printf('.%09dZ', e.wall_ns % 1000000000)",
        hash="lower(hex(e.hash))",
    )


def _postgres_view() -> str:
    return EVENT_LOG.format(
        stream="e.stream",
        instance="coalesce(e.instance, s.instance)",
        at="to_char(to_timestamp(e.wall_ns / 1000000000) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS')"
        " || '.' || lpad((e.wall_ns % 1000000000)::text, 9, '0') || 'Z'",
        hash="encode(e.hash, 'hex')",
    )


def upgrade() -> None:
    connection = op.get_bind()
    sqlite = connection.dialect.name == "sqlite"
    types = SQLITE_TYPES if sqlite else POSTGRES_TYPES
    for statement in SQLITE_EVENTS if sqlite else POSTGRES_EVENTS:
        connection.exec_driver_sql(statement.replace("%", "%%") if not sqlite else statement)
    for statement in PROJECTIONS:
        connection.exec_driver_sql(statement.format(**types))
    for code, name in EVENT_TYPES.items():
        connection.exec_driver_sql(f"INSERT INTO event_types (code, name) VALUES ({code}, '{name}')")
    connection.exec_driver_sql(_sqlite_view() if sqlite else _postgres_view().replace("%", "%%"))
    if sqlite:
        connection.exec_driver_sql("PRAGMA application_id = 1380270916")  # "RECD"
        connection.exec_driver_sql("PRAGMA user_version = 1")


def downgrade() -> None:
    raise NotImplementedError("stores are not downgraded: restore a backup")
