"""Stores with a ledger, made event by event with fixed times, ids and secrets: the same bytes each time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import text

from recorder.clock import id_text
from recorder.core.chain import genesis, link
from recorder.core.events import TERMINAL_TYPES, Event, StreamOpened, meta_text
from recorder.core.heads import ENDED, OPEN, Head
from recorder.core.notes import Checkpoint, NoteKey, sign_note
from recorder.ledger.bundle_streams import left_of
from recorder.ledger.keys import SigningKey
from recorder.store import open_store
from recorder.store.sql import SqlStore
from recorder.store.urls import parse_url

ORIGIN = "example.test/desk"
BEGAN = 1_790_000_000_000_000_000
STEP = 1_000_000
HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nhost: api.example.test\r\nauthorization: Bearer not-a-token\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


class Key:
    """A ledger's key, from a seed."""

    def __init__(self, origin: str = ORIGIN, seed: int = 1) -> None:
        private = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
        self.public = NoteKey(origin, private.public_key().public_bytes_raw())
        self.sign = private.sign

    @classmethod
    def of(cls, signing: SigningKey) -> Key:
        """Return a key that lies where recorder keeps it."""
        made = cls.__new__(cls)
        made.public, made.sign = signing.public, signing.sign
        return made

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(self.public.text.encode()).hexdigest()


@dataclass
class Stream:
    """One event stream in the making."""

    opened: StreamOpened
    events: list[Event] = field(default_factory=list)

    @property
    def id(self) -> str:
        return id_text(self.opened.stream)

    @property
    def head(self) -> Head:
        ended = any(event.type in TERMINAL_TYPES for event in self.events)
        return Head(self.opened.stream, len(self.events), self.events[-1].hash, ENDED if ended else OPEN)


class Desk:
    """A recorder process with its journal, and the store that it writes.

    :param url: of a store that is made, or gets more.
    :param family: a digit in its ids, so that those of two processes differ.
    """

    def __init__(self, url: str, key: Key | None = None, family: int = 1) -> None:
        self.url, self.key, self.family = url, key, family
        self._ticks = self._ids = 0
        self._sealed: dict[bytes, int] = {}
        self.streams: list[Stream] = []
        self._number = 0
        self.instance = self.new_id()
        self.journal = self.opened(self.instance)
        facts = {"recorder": "0.1.0", "host": "desk-1", "pid": 4711, "python": "3.11", "system": "Linux"}
        configuration = {"durability": "delivered"}
        digest = hashlib.sha256(meta_text(configuration).encode()).hexdigest()
        self.put(self.journal, "instance_started", {**facts, "configuration": configuration, "digest": digest})
        self.sample()

    def new_id(self) -> bytes:
        self._ids += 1
        return bytes.fromhex(f"0190aaaabbbb70008{self.family:03x}{self._ids:012x}")

    def opened(self, stream: bytes) -> Stream:
        secret = hashlib.sha256(b"secret" + stream).digest()
        made = Stream(StreamOpened(stream, self.instance, secret))
        self.streams.append(made)
        return made

    def put(self, stream: Stream, kind: str, facts: Any = None, body: bytes | None = None, flags: int = 0) -> Event:
        self._ticks += 1
        meta = None if facts is None else meta_text(facts)
        previous = stream.events[-1].hash if stream.events else genesis(stream.opened.stream)
        times = (BEGAN + self._ticks * STEP, self._ticks * STEP)
        version = len(stream.events) + 1
        bare = Event(stream.opened.stream, version, kind, *times, self.instance, flags, meta, body, b"")
        event = bare._replace(hash=link(previous, stream.opened.secret, bare))
        stream.events.append(event)
        return event

    def sample(self) -> None:
        facts = {"synchronized": True, "maxerror_us": 900, "exchanges": self._number}
        self.put(self.journal, "clock_sampled", facts)

    def conversation(self, name: str) -> Stream:
        stream = self.opened(self.new_id())
        self.put(stream, "conversation_named", {"name": name})
        self._written(stream, "conversation")
        return stream

    def exchange(self, prompt: str, words: list[str], within: Stream | None = None, *, ends: bool = True) -> Stream:
        self._number += 1
        stream = self.opened(self.new_id())
        self.put(self.journal, "exchange_opened", {"number": self._number, "exchange": stream.id})
        asked = {"model": "m", "stream": True, "messages": [{"role": "user", "content": prompt}]}
        facts = {
            "call": stream.id,
            "attempt": 1,
            "method": "POST",
            "url": "https://api.example.test/v1/chat/completions",
            "head": len(HEAD),
            "client": "tests",
            "number": self._number,
        }
        if within is not None:
            facts |= {"conversation": within.id, "name": json.loads(within.events[0].meta or "")["name"]}
        self.put(stream, "request_sent", facts, HEAD + json.dumps(asked).encode())
        self.put(stream, "response_started", {"status": 200, "framing": "chunked"}, CHUNKED)
        for data in answer(words):
            self.put(stream, "chunk_received", None, data, 7)
        if ends:
            self.end(stream)
        return stream

    def end(self, stream: Stream) -> None:
        self.put(stream, "response_completed")
        told = {"exchange": stream.id, "length": len(stream.events), "head": stream.events[-1].hash.hex()}
        self.put(self.journal, "exchange_closed", told)

    def link(self, kind: str, identity: str, exchange: Stream) -> Stream:
        stream = self.opened(self.new_id())
        facts = {"kind": kind, "id": identity, "exchange": exchange.id, "facts": {"side": "buy"}}
        self.put(stream, "linked", facts)
        self._written(stream, "link")
        return stream

    def _written(self, stream: Stream, kind: str) -> None:
        told = {"stream": stream.id, "length": len(stream.events), "head": stream.events[-1].hash.hex(), "kind": kind}
        self.put(self.journal, "stream_written", told)

    # The store

    def save(self) -> None:
        """Write what is new to the store."""
        with closing(open_store(self.url, write=True)) as store:
            known = [stream for stream in self.streams if store.opening(stream.opened.stream) is not None]
            new = [stream.opened for stream in self.streams if stream not in known]
            store.append(new, [event for stream in self.streams for event in stream.events])

    def seal(self, *streams: Stream) -> int:
        """Write what is new, seal the streams (all of them, where none is named), sign; return the ledger's size."""
        self.save()
        assert self.key is not None
        with closing(open_store(self.url, write=True)) as store:
            store.ledger.found(self.key.public.name)
            store.ledger.append([stream.head for stream in streams or self.streams], self.now())
            return checkpointed(store, self.key)

    def now(self) -> int:
        self._ticks += 1
        return BEGAN + self._ticks * STEP


def checkpointed(store: SqlStore, key: Key) -> int:
    """Sign the ledger of a store as it is, and return its size."""
    size = store.ledger.size()
    checkpoint = Checkpoint(key.public.name, size, store.ledger.root(size))
    store.ledger.add_checkpoint(size, sign_note(checkpoint.text, key.public, key.sign), BEGAN)
    return size


def answer(words: list[str]) -> Iterator[bytes]:
    """Yield an answer as OpenAI streams it, a chunk for each word."""
    for number, word in enumerate([*words, None]):
        delta = {} if word is None else {"content": word} | ({"role": "assistant"} if not number else {})
        finish = "stop" if word is None else None
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        data = {"id": "c-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
        yield b"data: " + json.dumps(data).encode() + b"\n\n"
    yield b"data: [DONE]\n\n"


def small(url: str, key: Key | None = None, name: str = "Wirtschaft €") -> tuple[Desk, list[Stream], Stream]:
    """Fill a store with three exchanges of a conversation, the last of which led to an order; sealed with a key.

    :returns: the process, its exchanges, the link.
    """
    desk = Desk(url, key)
    talk = desk.conversation(name)
    exchanges = []
    for number in range(3):
        exchanges.append(desk.exchange(f"EURUSD? {number}", ["Buy", " 1", " lot"], talk))
        if key is not None and number < 2:
            desk.seal()
    link = desk.link("order", "12345", exchanges[2])
    desk.seal() if key is not None else desk.save()
    return desk, exchanges, link


def url_of(folder: Path, name: str = "desk.db") -> str:
    """Return the URL of a SQLite store in a folder."""
    return f"sqlite:///{folder / name}"


def erase(url: str, stream: Stream, upto: int | None = None) -> int:
    """Do to a store what an erasure does to the payloads of an exchange; return how many there were."""
    events = stream.events[:upto]
    left = [(event, left_of(stream.opened.secret, event)) for event in events]
    with closing(open_store(url, write=True)) as store, store.writing() as connection:
        identity = _bound(store, stream.opened.stream)
        for event, one in left:
            values = {"s": identity, "v": event.version, "n": one.size, "c": one.commitment}
            connection.execute(text("INSERT INTO erased_payloads VALUES (:s, :v, :n, :c)"), values)
            connection.execute(
                text("UPDATE events SET meta = NULL, body = NULL WHERE stream = :s AND version = :v"), values
            )
        if upto is None:
            connection.execute(
                text("UPDATE event_streams SET secret = :z WHERE stream = :s"), {"z": bytes(32), "s": identity}
            )
    return len(left)


def _bound(store: SqlStore, stream: bytes) -> Any:
    return stream if parse_url(store.name).path is not None else stream.hex()
