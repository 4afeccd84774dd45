"""Messages that can be searched, and the views for people who bring their own SQL (docs/format.md, "Views").

The table ``exchanges`` makes room for the view of that name. It is a projection: it is made again from the events.

Frozen: once released, a migration is never edited. It imports nothing of recorder.
"""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# The words in braces are the engine's types.
TABLES = [
    "DROP TABLE exchanges",
    "DELETE FROM projection_checkpoints",
    """CREATE TABLE exchange_rows (
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
        finish TEXT,
        tools TEXT,
        input_tokens {big},
        output_tokens {big},
        total_tokens {big},
        cached_tokens {big},
        cache_written_tokens {big},
        reasoning_tokens {big},
        match_key {blob},
        match_places TEXT,
        last_version INTEGER NOT NULL,
        summary TEXT NOT NULL
    ){strict}""",
    "CREATE INDEX exchange_rows_started ON exchange_rows (started_ns)",
    "CREATE INDEX exchange_rows_match ON exchange_rows (match_key)",
    "CREATE INDEX exchange_rows_opening ON exchange_rows (opening)",
    "CREATE INDEX exchange_rows_call ON exchange_rows (call)",
    """CREATE TABLE message_rows (
        {number}
        key {id} NOT NULL {unique},
        exchange {id} NOT NULL,
        started_ns {big} NOT NULL,
        answered {small} NOT NULL,
        place INTEGER NOT NULL,
        follows {id},
        thread_key {id},
        role TEXT,
        text TEXT,
        reasoning TEXT,
        rest TEXT,
        finish TEXT
        {words}
    ){strict}""",
    "CREATE INDEX message_rows_exchange ON message_rows (exchange)",
    "CREATE INDEX message_rows_thread ON message_rows (thread_key)",
    "CREATE INDEX message_rows_started ON message_rows (started_ns)",
    """CREATE TABLE call_rows (
        exchange {id} NOT NULL,
        choice INTEGER NOT NULL,
        place INTEGER NOT NULL,
        call_id TEXT,
        name TEXT,
        arguments TEXT NOT NULL,
        complete {small} NOT NULL,
        PRIMARY KEY (exchange, choice, place)
    ){strict}""",
]

SQLITE_TYPES = {
    "id": "BLOB",
    "big": "INTEGER",
    "small": "INTEGER",
    "blob": "BLOB",
    "strict": " STRICT",
    "number": "number INTEGER NOT NULL PRIMARY KEY,",
    "unique": "UNIQUE",
    "words": "",
}
POSTGRES_TYPES = {
    "id": "uuid",
    "big": "bigint",
    "small": "smallint",
    "blob": "bytea",
    "strict": "",
    "number": "",
    "unique": "PRIMARY KEY",
    "words": ", words tsvector NOT NULL",
}

# https://sqlite.org/fts5.html#external_content_tables: the index holds no text of its own. No triggers keep it right:
# with trusted_schema off, older versions of SQLite refuse triggers that write to a virtual table.
SQLITE_INDEX = [
    """CREATE VIRTUAL TABLE message_index USING fts5(
        text, reasoning, rest, content='message_rows', content_rowid='number',
        tokenize='unicode61 remove_diacritics 2'
    )""",
]
POSTGRES_INDEX = ["CREATE INDEX message_rows_words ON message_rows USING gin (words)"]

# What is in braces is written differently by the engines.
VIEWS = [
    """CREATE VIEW exchanges AS
    SELECT {e.id} AS id, {e.opening} AS conversation, o.name AS conversation_name, e.call, e.attempt,
        {known_at} AS started_at, e.started_ns, e.method, e.url, e.status, e.model, e.verdict, e.finish,
        e.dialect, {chunks} AS chunks, e.bytes, e.duration_ns / 1e6 AS duration_ms,
        e.first_chunk_ns / 1e6 AS first_chunk_ms
    FROM exchange_rows e LEFT JOIN openings o ON o.id = e.opening""",
    # A message that is sent back is the answer that it was: it is told once, as the answer.
    """CREATE VIEW messages AS
    SELECT {key} AS id, {m.follows} AS follows, {m.exchange} AS exchange, {known_at} AS started_at,
        CASE m.answered WHEN 1 THEN 'answered' ELSE 'sent' END AS side, m.place, m.role, m.text, m.reasoning,
        m.finish
    FROM message_rows m LEFT JOIN exchange_rows e ON e.id = m.exchange
    WHERE m.answered = 1 OR NOT EXISTS (SELECT 1 FROM message_rows a WHERE a.thread_key = m.key)""",
    """CREATE VIEW tool_calls AS
    SELECT {c.exchange} AS exchange, {known_at} AS started_at, c.choice, c.place, c.call_id, c.name, c.arguments,
        c.complete
    FROM call_rows c JOIN exchange_rows e ON e.id = c.exchange""",
    """CREATE VIEW usage AS
    SELECT {e.id} AS exchange, {known_at} AS started_at, e.model, e.input_tokens, e.output_tokens, e.total_tokens,
        e.cached_tokens, e.cache_written_tokens, e.reasoning_tokens
    FROM exchange_rows e
    WHERE coalesce(e.input_tokens, e.output_tokens, e.total_tokens, e.cached_tokens, e.cache_written_tokens,
        e.reasoning_tokens) IS NOT NULL""",
]


def _sqlite_uuid(column: str) -> str:
    text = f"lower(hex({column}))"
    cuts = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
    parts = " || '-' || ".join(f"substr({text}, {start}, {size})" for start, size in cuts)
    return f"CASE WHEN {column} IS NOT NULL THEN {parts} END"


def _sqlite_at(column: str) -> str:
    return (
        f"strftime('%Y-%m-%dT%H:%M:%S', {column} / 1000000000, 'unixepoch') || printf('.%09dZ', {column} % 1000000000)"
    )


def _postgres_at(column: str) -> str:
    return (
        f"to_char(to_timestamp({column} / 1000000000) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS') || '.' || "
        f"lpad(({column} % 1000000000)::text, 9, '0') || 'Z'"
    )


def _where_known(name: str, meaning: str) -> str:
    """NULL where an imported exchange does not tell it: its key is not in the summary, then.

    In the JSON of a summary only a key reads so: inside a text, the quotes would have backslashes before them.
    """
    return f"""CASE WHEN e.summary LIKE '%"{name}": %' THEN {meaning} END"""


SQLITE_WORDS = {
    "{e.id}": _sqlite_uuid("e.id"),
    "{e.opening}": _sqlite_uuid("e.opening"),
    "{known_at}": _where_known("started_at", _sqlite_at("e.started_ns")),
    "{chunks}": _where_known("chunks", "e.chunks"),
    "{key}": _sqlite_uuid("coalesce(m.thread_key, m.key)"),
    "{m.follows}": _sqlite_uuid("m.follows"),
    "{m.exchange}": _sqlite_uuid("m.exchange"),
    "{c.exchange}": _sqlite_uuid("c.exchange"),
}
POSTGRES_WORDS = {
    "{e.id}": "e.id",
    "{e.opening}": "e.opening",
    "{known_at}": _where_known("started_at", _postgres_at("e.started_ns")),
    "{chunks}": _where_known("chunks", "e.chunks"),
    "{key}": "coalesce(m.thread_key, m.key)",
    "{m.follows}": "m.follows",
    "{m.exchange}": "m.exchange",
    "{c.exchange}": "c.exchange",
}


def upgrade() -> None:
    connection = op.get_bind()
    sqlite = connection.dialect.name == "sqlite"
    statements = [statement.format(**(SQLITE_TYPES if sqlite else POSTGRES_TYPES)) for statement in TABLES]
    statements += SQLITE_INDEX if sqlite else POSTGRES_INDEX
    for view in VIEWS:
        for word, meaning in (SQLITE_WORDS if sqlite else POSTGRES_WORDS).items():
            view = view.replace(word, meaning)
        statements.append(view)
    for statement in statements:
        connection.exec_driver_sql(statement if sqlite else statement.replace("%", "%%"))


def downgrade() -> None:
    raise NotImplementedError("stores are not downgraded: restore a backup")
