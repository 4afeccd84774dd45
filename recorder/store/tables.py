"""The schema as the present code sees it; migrations/versions/ is what makes it.

``alembic check`` proves in tests that the two agree. Keys follow docs/design.md, "Beyond one
machine": every primary key begins with what a cluster would distribute by, nothing refers from
events to another table, nothing relies on a global order of positions.
"""

from __future__ import annotations

import uuid
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine, UserDefinedType


class Identity16(TypeDecorator[bytes]):
    """A 16-byte id: BLOB on SQLite, uuid on Postgres."""

    impl = LargeBinary
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the engine's own type."""
        native: TypeEngine[Any] = Uuid(as_uuid=True) if dialect.name == "postgresql" else LargeBinary()
        return dialect.type_descriptor(native)

    def process_bind_param(self, value: bytes | None, dialect: Dialect) -> Any:
        """Turn 16 bytes into what the driver takes."""
        return uuid.UUID(bytes=value) if value is not None and dialect.name == "postgresql" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> bytes | None:
        """Turn what the driver gives into 16 bytes."""
        return value.bytes if isinstance(value, uuid.UUID) else value


class Xid8(UserDefinedType[int]):
    """A 64-bit transaction id of Postgres (13 and newer)."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """Return the type's name in DDL."""
        return "xid8"


class SearchedWords(UserDefinedType[str]):
    """Words with their places, as Postgres searches them (tsvector); what goes in is its text form."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """Return the type's name in DDL."""
        return "tsvector"


# STRICT tables of SQLite know one integer type.
_SMALL = Integer().with_variant(SmallInteger(), "postgresql")
_BIG = Integer().with_variant(BigInteger(), "postgresql")


def _events(metadata: MetaData, *own: Any) -> Table:
    return Table(
        "events",
        metadata,
        Column("stream", Identity16, nullable=False),
        Column("version", Integer, nullable=False),
        Column("type", _SMALL, nullable=False),
        Column("wall_ns", _BIG, nullable=False),
        Column("mono_ns", _BIG, nullable=False),
        Column("instance", Identity16),
        Column("flags", _SMALL, nullable=False),
        Column("meta", Text),
        Column("body", LargeBinary),
        Column("hash", LargeBinary, nullable=False),
        *own,
    )


#: The openings of event streams, for statements.
event_streams = Table(
    "event_streams",
    MetaData(),
    Column("stream", Identity16, primary_key=True),
    Column("format", _SMALL, nullable=False),
    Column("instance", Identity16, nullable=False),
    Column("secret", LargeBinary, nullable=False),
    Index("event_streams_instance", "instance"),
)


def metadata_for(engine: str) -> MetaData:
    """Return the tables of *engine*: ``sqlite`` or ``postgresql``."""
    metadata = MetaData()
    event_streams.to_metadata(metadata)
    Table(
        "event_types",
        metadata,
        Column("code", _SMALL, primary_key=True, autoincrement=False),
        Column("name", Text, nullable=False),
    )
    Table(
        "spools",
        metadata,
        Column("spool", Identity16, primary_key=True),
        Column("drained", _BIG, nullable=False),
    )
    if engine == "postgresql":
        _events(
            metadata,
            Column("position", BigInteger, Identity(always=True), nullable=False),
            Column("batch", BigInteger, nullable=False),
            Index("events_feed", "batch", "position"),
            PrimaryKeyConstraint("stream", "version"),
        )
        Table(
            "batches",
            metadata,
            Column("id", BigInteger, Identity(always=True), primary_key=True),
            Column("xid", Xid8, nullable=False, server_default=text("pg_current_xact_id()")),
            Column("events", Integer, nullable=False),
            Index("batches_xid", "xid"),
        )
    else:
        _events(
            metadata,
            Column("position", Integer, primary_key=True, autoincrement=True),
            UniqueConstraint("stream", "version"),
        )
    for table in (*records.tables.values(), *caches.tables.values()):
        if table not in (messages, exchanges):
            table.to_metadata(metadata)
    if engine == "postgresql":
        _exchanges(
            metadata,
            Index("exchange_rows_tools", text("string_to_array(tools, '\n')"), postgresql_using="gin"),
            Index("exchange_rows_finish", text("string_to_array(finish, ',')"), postgresql_using="gin"),
        )
        _messages(metadata, *_searched(), Index("message_rows_words", "words", postgresql_using="gin"))
    else:
        _exchanges(metadata)
        _messages(metadata, Column("number", Integer, primary_key=True), UniqueConstraint("key"), primary=False)
    return metadata


#: What stands beside the events and cannot be built again from them; triggers keep it append-only.
records = MetaData()

ledger = Table(
    "ledger",
    records,
    Column("number", _SMALL, CheckConstraint("number = 1"), primary_key=True, autoincrement=False),
    Column("origin", Text, nullable=False),
    Column("log_id", LargeBinary, nullable=False),
)

ledger_leaves = Table(
    "ledger_leaves",
    records,
    Column("number", _BIG, primary_key=True, autoincrement=False),
    Column("stream", Identity16, nullable=False),
    Column("length", _BIG, nullable=False),
    Column("state", _SMALL, nullable=False),
    Column("entry", LargeBinary, nullable=False),
    Index("ledger_leaves_stream", "stream", "number"),
)

#: Hashes of complete subtrees: node (level, number) is over the 2**level leaves from number * 2**level on.
ledger_nodes = Table(
    "ledger_nodes",
    records,
    Column("level", _SMALL, primary_key=True, autoincrement=False),
    Column("number", _BIG, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary, nullable=False),
)

checkpoints = Table(
    "checkpoints",
    records,
    Column("size", _BIG, primary_key=True, autoincrement=False),
    Column("note", Text, nullable=False),
    Column("made_ns", _BIG, nullable=False),
)

anchors = Table(
    "anchors",
    records,
    Column("id", Identity16, primary_key=True),
    Column("size", _BIG, nullable=False),
    Column("anchor", Text, nullable=False),
    Column("made_ns", _BIG, nullable=False),
    Column("evidence", LargeBinary, nullable=False),
)

#: What an erasure leaves of a payload: what the hash of its event is made with.
erased_payloads = Table(
    "erased_payloads",
    records,
    Column("stream", Identity16, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("size", _BIG, nullable=False),
    Column("commitment", LargeBinary, nullable=False),
)

#: The projections' tables: caches that can be dropped and built again from events.
caches = MetaData()


def _known(name: str, column: str) -> Index:
    """An index of what few rows have, in which the others are not."""
    known = text(f"{column} IS NOT NULL")
    return Index(name, column, sqlite_where=known, postgresql_where=known)


def _exchanges(metadata: MetaData, *own: Any) -> Table:
    return Table(
        "exchange_rows",
        metadata,
        Column("id", Identity16, primary_key=True),
        Column("opening", Identity16),
        Column("opening_name", Text),
        Column("thread_key", Identity16),
        Column("goes_on_from", Identity16),
        Column("kept_as", Identity16),
        Column("last_item", Identity16),
        Column("call", Text),
        Column("attempt", Integer, nullable=False),
        Column("started_ns", _BIG, nullable=False),
        Column("method", Text, nullable=False),
        Column("url", Text, nullable=False),
        Column("status", Integer),
        Column("model", Text),
        Column("verdict", Text, nullable=False),
        Column("chunks", Integer, nullable=False),
        Column("bytes", _BIG, nullable=False),
        Column("duration_ns", _BIG),
        Column("first_chunk_ns", _BIG),
        Column("dialect", Text, nullable=False),
        Column("finish", Text),
        Column("tools", Text),
        Column("input_tokens", _BIG),
        Column("output_tokens", _BIG),
        Column("total_tokens", _BIG),
        Column("cached_tokens", _BIG),
        Column("cache_written_tokens", _BIG),
        Column("reasoning_tokens", _BIG),
        Column("match_key", LargeBinary),
        Column("match_places", Text),
        Column("last_version", Integer, nullable=False),
        Column("summary", Text, nullable=False),
        Index("exchange_rows_started", "started_ns"),
        Index("exchange_rows_match", "match_key"),
        Index("exchange_rows_opening", "opening"),
        Index("exchange_rows_call", "call"),
        Index("exchange_rows_thread", "thread_key"),
        _known("exchange_rows_goes_on_from", "goes_on_from"),
        _known("exchange_rows_kept_as", "kept_as"),
        _known("exchange_rows_last_item", "last_item"),
        Index("exchange_rows_opening_name", "opening_name"),
        Index("exchange_rows_model", "model", "started_ns"),
        Index("exchange_rows_verdict", "verdict", "started_ns"),
        Index("exchange_rows_status", "status", "started_ns"),
        *own,
    )


exchanges = _exchanges(caches)

openings = Table(
    "openings",
    caches,
    Column("id", Identity16, primary_key=True),
    Column("name", Text),
    Column("tags", Text, nullable=False),
    Column("first_ns", _BIG, nullable=False),
    Column("last_ns", _BIG, nullable=False),
    Index("openings_name", "name"),
)


def _messages(metadata: MetaData, *own: Any, primary: bool = True) -> Table:
    return Table(
        "message_rows",
        metadata,
        Column("key", Identity16, primary_key=primary, nullable=False),
        Column("exchange", Identity16, nullable=False),
        Column("started_ns", _BIG, nullable=False),
        Column("answered", _SMALL, nullable=False),
        Column("place", Integer, nullable=False),
        Column("follows", Identity16),
        Column("thread_key", Identity16),
        Column("role", Text),
        Column("text", Text),
        Column("reasoning", Text),
        Column("rest", Text),
        Column("finish", Text),
        Index("message_rows_exchange", "exchange"),
        Index("message_rows_thread", "thread_key"),
        Index("message_rows_started", "started_ns"),
        Index("message_rows_follows", "follows"),
        *own,
    )


def _searched() -> tuple[Column[Any], ...]:
    return (Column("words", SearchedWords, nullable=False),)


#: Every message once, with what both engines have; SQLite numbers the rows for its full-text index besides.
messages = _messages(caches)

#: The same as Postgres has it.
messages_with_words = _messages(MetaData(), *_searched())

calls = Table(
    "call_rows",
    caches,
    Column("exchange", Identity16, primary_key=True),
    Column("choice", Integer, primary_key=True, autoincrement=False),
    Column("place", Integer, primary_key=True, autoincrement=False),
    Column("call_id", Text),
    Column("name", Text),
    Column("arguments", Text, nullable=False),
    Column("complete", _SMALL, nullable=False),
)

links = Table(
    "link_rows",
    caches,
    Column("stream", Identity16, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("exchange", Identity16, nullable=False),
    Column("at_ns", _BIG, nullable=False),
    Index("link_rows_id", "kind", "id"),
    Index("link_rows_exchange", "exchange"),
)

projection_checkpoints = Table(
    "projection_checkpoints",
    caches,
    Column("name", Text, primary_key=True),
    Column("xid", _BIG, nullable=False),
    Column("position", _BIG, nullable=False),
)
