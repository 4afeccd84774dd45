"""What finds the exchanges of one conversation whose history the provider keeps.

``goes_on_from`` is the key of what a request names that it goes on from, ``kept_as`` that of an answer as requests name
it, ``last_item`` that of the last item of an answer. All come from the events: the projections make all rows again.

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


def upgrade() -> None:
    connection = op.get_bind()
    sqlite = connection.dialect.name == "sqlite"
    for statement in STATEMENTS:
        connection.exec_driver_sql(statement.format(id="BLOB" if sqlite else "uuid"))


def downgrade() -> None:
    raise NotImplementedError("stores are not downgraded: restore a backup")
