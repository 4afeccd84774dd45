"""Indexes for the filters of a search, and what finds one conversation without reading all exchanges.

``thread_key`` is the key of a request's last message, ``opening_name`` what an exchange says that its conversation is
called. Both come from the events: the projections make all rows again.

Frozen: once released, a migration is never edited. It imports nothing of recorder.
"""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

STATEMENTS = [
    "DELETE FROM projection_checkpoints",
    "ALTER TABLE exchange_rows ADD COLUMN thread_key {id}",
    "ALTER TABLE exchange_rows ADD COLUMN opening_name TEXT",
    "CREATE INDEX exchange_rows_thread ON exchange_rows (thread_key)",
    "CREATE INDEX exchange_rows_opening_name ON exchange_rows (opening_name)",
    "CREATE INDEX exchange_rows_model ON exchange_rows (model, started_ns)",
    "CREATE INDEX exchange_rows_verdict ON exchange_rows (verdict, started_ns)",
    "CREATE INDEX exchange_rows_status ON exchange_rows (status, started_ns)",
    "CREATE INDEX message_rows_follows ON message_rows (follows)",
]
# Beside finding what fits they tell the planner how much that is, which it cannot see in a comparison of texts.
POSTGRES_STATEMENTS = [
    "CREATE INDEX exchange_rows_tools ON exchange_rows USING gin (string_to_array(tools, '\n'))",
    "CREATE INDEX exchange_rows_finish ON exchange_rows USING gin (string_to_array(finish, ','))",
]


def upgrade() -> None:
    connection = op.get_bind()
    sqlite = connection.dialect.name == "sqlite"
    for statement in [*STATEMENTS, *([] if sqlite else POSTGRES_STATEMENTS)]:
        connection.exec_driver_sql(statement.format(id="BLOB" if sqlite else "uuid"))


def downgrade() -> None:
    raise NotImplementedError("stores are not downgraded: restore a backup")
