"""Whoever holds a store and wants it to say something else: edits its tables, and makes anew every hash he can.

He goes past recorder, by the engine's own driver, after switching off the triggers. The secrets of the streams are in
the store, so he can make chains and journals; the key of the ledger he has only where a test gives it to him.
"""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import psycopg

from recorder.clock import id_bytes, id_text
from recorder.core.chain import commitment, genesis, link
from recorder.core.events import TERMINAL_TYPES, TYPE_CODES, TYPE_NAMES, Event, StreamOpened, meta_text
from recorder.core.heads import ENDED, ENTRY_SIZE, OPEN, Head, Leaf, decode_entry, encode_entry, log_id
from recorder.core.merkle import Frontier, leaf_hash
from recorder.core.notes import Checkpoint
from recorder.ledger.keys import SigningKey

_EVENT = "stream, version, type, wall_ns, mono_ns, instance, flags, meta, body, hash"
_TABLES = ("events", "event_streams", "ledger", "ledger_leaves", "ledger_nodes", "checkpoints", "anchors")
_TABLES += ("erased_payloads",)


class Attacker:
    """A connection to the tables of a store; a context manager that commits.

    :param url: of the store.
    """

    def __init__(self, url: str) -> None:
        self._is_sqlite = url.startswith("sqlite")
        self._connection: Any = (
            sqlite3.connect(url.removeprefix("sqlite:///"))
            if self._is_sqlite
            else psycopg.connect(url.replace("+psycopg", ""))
        )
        if self._is_sqlite:
            for (name,) in self.rows("SELECT name FROM sqlite_master WHERE type = 'trigger'"):
                self.run(f"DROP TRIGGER {name}")
        else:
            for table in _TABLES:
                self.run(f"ALTER TABLE {table} DISABLE TRIGGER USER")

    def __enter__(self) -> Attacker:
        return self

    def __exit__(self, exc_type: object = None, *exc_info: object) -> None:
        if exc_type is None:
            self._connection.commit()
        else:
            self._connection.rollback()
        self._connection.close()

    # Tables

    def run(self, sql: str, *values: object) -> Any:
        """Run a statement; ``?`` stands for values, 16 bytes for an id."""
        if self._is_sqlite:
            return self._connection.execute(sql, values)
        ids = [uuid.UUID(bytes=one) if isinstance(one, bytes) and len(one) == 16 else one for one in values]
        return self._connection.execute(sql.replace("?", "%s"), ids)

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Return the rows of a query, ids as 16 bytes."""
        return [
            tuple(one.bytes if isinstance(one, uuid.UUID) else one for one in row) for row in self.run(sql, *values)
        ]

    def streams(self) -> dict[bytes, StreamOpened]:
        """Return all openings, in the order of their ids."""
        found = self.rows("SELECT stream, instance, secret, format FROM event_streams ORDER BY stream")
        return {row[0]: StreamOpened(row[0], row[1], bytes(row[2]), row[3]) for row in found}

    def events(self, stream: bytes) -> list[Event]:
        """Return the events of a stream as they are stored, in order."""
        instance = self.streams()[stream].instance
        rows = self.rows(f"SELECT {_EVENT} FROM events WHERE stream = ? ORDER BY version", stream)
        return [
            Event(*row[:2], TYPE_NAMES[row[2]], *row[3:5], row[5] or instance, row[6], row[7], row[8], row[9])
            for row in rows
        ]

    def journals(self) -> list[bytes]:
        """Return the streams of recorder processes, the oldest first."""
        return [one.stream for one in self.streams().values() if one.stream == one.instance]

    def exchanges(self) -> list[bytes]:
        """Return the streams of exchanges, in the order in which they began."""
        return [row[0] for row in self.rows("SELECT stream FROM events WHERE version = 1 AND type = 1 ORDER BY stream")]

    def put(self, stream: bytes, events: Sequence[Event]) -> None:
        """Replace all events of a stream."""
        instance = self.streams()[stream].instance
        batch, values = self._batch()
        self.run("DELETE FROM events WHERE stream = ?", stream)
        for event in events:
            own = None if event.instance == instance else event.instance
            fields = (stream, event.version, TYPE_CODES[event.type], event.wall_ns, event.mono_ns, own, event.flags)
            fields += (event.meta, event.body, event.hash, *values)
            self.run(f"INSERT INTO events ({_EVENT}{batch}) VALUES ({', '.join('?' * len(fields))})", *fields)

    def _batch(self) -> tuple[str, tuple[int, ...]]:
        if self._is_sqlite:
            return "", ()
        return ", batch", (self.rows("SELECT max(id) FROM batches")[0][0],)

    def add(self, opened: StreamOpened, events: Sequence[Event]) -> None:
        """Put a new stream among the others."""
        fields = (opened.stream, opened.instance, opened.secret, opened.format)
        self.run("INSERT INTO event_streams (stream, instance, secret, format) VALUES (?, ?, ?, ?)", *fields)
        self.put(opened.stream, chained(opened, events))

    def remove(self, stream: bytes) -> None:
        """Delete a stream with its opening."""
        self.run("DELETE FROM events WHERE stream = ?", stream)
        self.run("DELETE FROM event_streams WHERE stream = ?", stream)

    def change(self, stream: bytes, changed: Callable[[list[Event]], Iterable[Event]], *, rehash: bool = True) -> None:
        """Change the events of a stream, and make its versions and its chain anew."""
        events = list(changed(self.events(stream)))
        self.put(stream, chained(self.streams()[stream], events) if rehash else events)

    # What else he can make

    def fix_journals(self) -> None:
        """Make all journals say what is there now: lengths, heads, numbers; and each the one before it."""
        for journal in self.journals():
            number, kept = 0, []
            for event in self.events(journal):
                facts = json.loads(event.meta or "{}")
                named = facts.get("exchange", facts.get("stream"))
                if named is not None and not self._is_there(id_bytes(named)):
                    continue
                if event.type == "exchange_opened":
                    number += 1
                    facts["number"] = number
                    self._number(id_bytes(named), number)
                kept.append(event._replace(meta=meta_text(self._now(event, facts)) if event.meta else None))
            self.put(journal, chained(self.streams()[journal], kept))

    def _number(self, exchange: bytes, number: int) -> None:
        first = self.events(exchange)[0]
        facts = json.loads(first.meta or "{}")
        if facts.get("number") == number:
            return
        meta = meta_text(facts | {"number": number})
        self.change(exchange, lambda events: [first._replace(meta=meta), *events[1:]])

    def _is_there(self, stream: bytes) -> bool:
        return bool(self.rows("SELECT 1 FROM event_streams WHERE stream = ?", stream))

    def _now(self, event: Event, facts: dict[str, Any]) -> dict[str, Any]:
        told = facts.get("previous") if event.type == "instance_started" else facts
        if not isinstance(told, dict) or "length" not in told or not told["length"]:
            return facts
        events = self.events(id_bytes(told.get("exchange", told.get("stream"))))
        told["length"], told["head"] = len(events), events[-1].hash.hex()
        return facts

    def fix_leaves(self) -> None:
        """Make the entries of the ledger, and its tree, from the streams as they are; those that are gone are left out.

        What was sealed at some length is sealed at that length again, or at what there is.
        """
        origin = self.rows("SELECT origin FROM ledger")[0][0]
        log, last, leaves = log_id(origin), dict[bytes, tuple[int, int]](), list[Leaf]()
        there = self.streams()
        for number, entry in self.rows("SELECT number, entry FROM ledger_leaves ORDER BY number"):
            leaf = decode_entry(log, number, bytes(entry))
            stream = leaf.head.stream
            if stream not in there:
                continue
            events = self.events(stream)
            length = min(leaf.head.length, len(events))
            before, known = last.get(stream, (0, 0))
            if length <= known:
                continue
            leaves.append(Leaf(len(leaves), _head(events[:length]), leaf.sealed_ns, before))
            last[stream] = len(leaves), length
        self.put_leaves(log, leaves)

    def seal(self, streams: Iterable[bytes], sealed_ns: int) -> None:
        """Put the heads of streams at the end of the ledger."""
        origin = self.rows("SELECT origin FROM ledger")[0][0]
        log = log_id(origin)
        stored = self.rows("SELECT number, entry FROM ledger_leaves ORDER BY number")
        leaves = [decode_entry(log, number, bytes(entry)) for number, entry in stored]
        for stream in streams:
            before = max((leaf.number + 1 for leaf in leaves if leaf.head.stream == stream), default=0)
            leaves.append(Leaf(len(leaves), _head(self.events(stream)), sealed_ns, before))
        self.put_leaves(log, leaves)

    def put_leaves(self, log: bytes, leaves: Sequence[Leaf]) -> None:
        """Replace all of the ledger's entries and nodes."""
        self.run("DELETE FROM ledger_leaves")
        self.run("DELETE FROM ledger_nodes")
        tree = Frontier()
        for leaf in leaves:
            entry = encode_entry(log, leaf)
            assert len(entry) == ENTRY_SIZE
            columns = (leaf.number, leaf.head.stream, leaf.head.length, leaf.head.state, entry)
            self.run(
                "INSERT INTO ledger_leaves (number, stream, length, state, entry) VALUES (?, ?, ?, ?, ?)", *columns
            )
            for node in tree.append(leaf_hash(entry)):
                self.run("INSERT INTO ledger_nodes (level, number, hash) VALUES (?, ?, ?)", *node)

    def sign(self, key: SigningKey) -> list[str]:
        """Sign the ledger as it is, at the sizes that were signed and can be, and at its end; return the notes."""
        entries = [bytes(row[0]) for row in self.rows("SELECT entry FROM ledger_leaves ORDER BY number")]
        sizes = {row[0] for row in self.rows("SELECT size FROM checkpoints")} | {len(entries)}
        self.run("DELETE FROM checkpoints")
        tree, notes = Frontier(), []
        for entry in entries:
            tree.append(leaf_hash(entry))
            if tree.size in sizes:
                notes.append(key.signed(Checkpoint(key.public.name, tree.size, tree.root()).text))
                self.run("INSERT INTO checkpoints (size, note, made_ns) VALUES (?, ?, 1)", tree.size, notes[-1])
        return notes

    def erase(self, exchange: bytes) -> int:
        """Take the payloads of an exchange away, as an erasure does; return how many."""
        opened, count = self.streams()[exchange], 0
        for event in self.events(exchange):
            if event.meta is None and event.body is None:
                continue
            meta = None if event.meta is None else event.meta.encode()
            size = len(meta or b"") + len(event.body or b"")
            left = (exchange, event.version, size, commitment(opened.secret, event.version, meta, event.body))
            self.run("INSERT INTO erased_payloads (stream, version, size, commitment) VALUES (?, ?, ?, ?)", *left)
            where = "WHERE stream = ? AND version = ?"
            self.run(f"UPDATE events SET meta = NULL, body = NULL {where}", exchange, event.version)
            count += 1
        return count


def chained(opened: StreamOpened, events: Iterable[Event]) -> list[Event]:
    """Return events with versions and hashes as if they had been written one after the other."""
    previous, made = genesis(opened.stream), []
    for version, event in enumerate(events, 1):
        bare = event._replace(stream=opened.stream, version=version)
        previous = link(previous, opened.secret, bare)
        made.append(bare._replace(hash=previous))
    return made


def write_outside(path: Path, notes: Iterable[str]) -> None:
    """Replace what is kept of a log outside of its store."""
    path.write_text("".join(f"{note}\n" for note in notes), encoding="utf-8")


def _head(events: Sequence[Event]) -> Head:
    ended = any(event.type in TERMINAL_TYPES for event in events)
    return Head(events[0].stream, len(events), events[-1].hash, ENDED if ended else OPEN)


def name(stream: bytes) -> str:
    """Return an id as findings have it."""
    return id_text(stream)
