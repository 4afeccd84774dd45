"""What finds the exchanges of one conversation whose history the provider keeps, or is sent back in pieces.

``goes_on_from`` is the key of what a request names that it goes on from, ``kept_as`` that of an answer as requests name
it, ``last_item`` that of the last item of an answer. All come from the events: the projections make all rows again.
The row of a message that ends several of the model has a ``thread_key``, too: its key is one of its own.

Frozen: once released, a migration is never edited. It imports nothing of recorder.
"""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

STATEMENTS = [
    "DELETE FROM projection_checkpoints",
    "ALTER TABLE exchange_rows ADD COLUMN goes_on_from {id}",
    "ALTER TABLE exchange_rows ADD COLUMN kept_as {id}",
    "ALTER TABLE exchange_rows ADD COLUMN last_item {id}",
    # Most exchanges have none: they cost nothing.
    "CREATE INDEX exchange_rows_goes_on_from ON exchange_rows (goes_on_from) WHERE goes_on_from IS NOT NULL",
    "CREATE INDEX exchange_rows_kept_as ON exchange_rows (kept_as) WHERE kept_as IS NOT NULL",
    "CREATE INDEX exchange_rows_last_item ON exchange_rows (last_item) WHERE last_item IS NOT NULL",
]
# As before, but that what is sent is told apart from answers by more than that it has no thread_key.
VIEW = """VIEW messages AS
    SELECT {key} AS id, {follows} AS follows, {exchange} AS exchange,
        CASE WHEN e.summary LIKE '%"started_at": %' THEN {at} END AS started_at,
        CASE m.answered WHEN 1 THEN 'answered' ELSE 'sent' END AS side, m.place, m.role, m.text, m.reasoning,
        m.finish
    FROM message_rows m LEFT JOIN exchange_rows e ON e.id = m.exchange
    WHERE m.answered = 1 OR NOT EXISTS (
        SELECT 1 FROM message_rows a WHERE a.thread_key = coalesce(m.thread_key, m.key) AND a.answered = 1
    )"""


def _sqlite_uuid(column: str) -> str:
    text = f"lower(hex({column}))"
    cuts = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
    parts = " || '-' || ".join(f"substr({text}, {start}, {size})" for start, size in cuts)
    return f"CASE WHEN {column} IS NOT NULL THEN {parts} END"


SQLITE_WORDS = {
    "{key}": _sqlite_uuid("coalesce(m.thread_key, m.key)"),
    "{follows}": _sqlite_uuid("m.follows"),
    "{exchange}": _sqlite_uuid("m.exchange"),
    "{at}": "strftime('%Y-%m-%dT%H:%M:%S', e.started_ns / 1000000000, 'unixepoch') || "
    "printf('.%09dZ', e.started_ns % 1000000000)",
}
POSTGRES_WORDS = {
    "{key}": "coalesce(m.thread_key, m.key)",
    "{follows}": "m.follows",
    "{exchange}": "m.exchange",
    "{at}": "to_char(to_timestamp(e.started_ns / 1000000000) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS') "
    "|| '.' || lpad((e.started_ns % 1000000000)::text, 9, '0') || 'Z'",
}


def upgrade() -> None:
    connection = op.get_bind()
    sqlite = connection.dialect.name == "sqlite"
    for statement in STATEMENTS:
        connection.exec_driver_sql(statement.format(id="BLOB" if sqlite else "uuid"))
    view = VIEW
    for word, meaning in (SQLITE_WORDS if sqlite else POSTGRES_WORDS).items():
        view = view.replace(word, meaning)
    if sqlite:
        connection.exec_driver_sql("DROP VIEW messages")
        connection.exec_driver_sql(f"CREATE {view}")
    else:  # who may read it stays as it was granted
        connection.exec_driver_sql(f"CREATE OR REPLACE {view}".replace("%", "%%"))


def downgrade() -> None:
    raise NotImplementedError("stores are not downgraded: restore a backup")
