"""Made the golden files of event format v1, once: ``python -m tests.golden.make``.

They are never made again: what was written in v1 has to stay readable as it was. This file is kept to
show where they come from, and to make those of a v2. It refuses to overwrite.

The events go through the real tap, stream writers and spool; recovery brings them to the store, as it
does after a process has died. The clock goes on by a millisecond a look.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from recorder.clock import id_text
from recorder.core.events import Event
from recorder.core.redaction import Redaction
from recorder.recording.recovery import recover
from recorder.recording.spool import Receipt, Spool
from recorder.recording.streams import StreamWriter
from recorder.recording.tap import Call, ExchangeTap
from recorder.store import open_store

HERE = Path(__file__).parent
URL = "https://api.example.test/v1/chat/completions"
HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nhost: api.example.test\r\nauthorization: Bearer not-a-token\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


class FixedClock:
    """Clocks that go on by a millisecond a look; ids and secrets that are counted.

    :param family: a digit in its ids, so that those of two clocks differ.
    """

    def __init__(self, family: int = 0) -> None:
        self._family = family
        self._wall, self._mono, self._ids, self._secrets = (itertools.count(1) for _ in range(4))

    def wall_ns(self) -> int:
        return 1_790_000_000_000_000_000 + next(self._wall) * 1_000_000

    def monotonic_ns(self) -> int:
        return 5_000_000_000 + next(self._mono) * 1_000_000

    def sleep(self, seconds: float) -> None:
        del seconds

    def new_id(self) -> bytes:
        return bytes.fromhex(f"0190aaaabbbb70008{self._family:03x}{next(self._ids):012x}")

    def secret(self, size: int) -> bytes:
        return hashlib.shake_128(b"golden" + next(self._secrets).to_bytes(8, "big")).digest(size)


class FailingSpool:
    """Refuses the appends that it is told to refuse."""

    error = "no space left"

    def __init__(self, spool: Spool, refused: set[int]) -> None:
        self._spool = spool
        self._refused = refused
        self._count = itertools.count(1)

    def append(self, record: bytes, *, sync: bool = False, receipt: Receipt | None = None) -> bool:
        if next(self._count) in self._refused:
            if receipt is not None:
                receipt.safe = False
            return False
        return self._spool.append(record, sync=sync, receipt=receipt)


class GoldenPath:
    """What a tap needs of a write path: streams, redaction, a place to write to."""

    must_record = False

    def __init__(self, directory: Path, clock: FixedClock) -> None:
        self.clock = clock
        self.redaction = Redaction(b"golden")
        self.instance = clock.new_id()
        self.spool = Spool(directory, self.instance, FixedClock(1), durability="delivered", wait=0)

    def open_stream(self, spool: Any = None) -> StreamWriter:
        identity, secret = self.clock.new_id(), self.clock.secret(32)
        return StreamWriter(spool or self.spool, self.clock, identity, self.instance, secret)

    def begin(self, exchange: object) -> tuple[GoldenPath, StreamWriter]:
        """Nobody closes this path, and nobody has to know the exchange."""
        del exchange
        return self, self.open_stream()

    def check(self, writer: object) -> None:
        """Nothing fails here."""

    def announce(self, writer: object) -> None:
        """There is no journal."""

    def defers(self, work: object) -> bool:
        """Everything is told at once."""
        del work
        return False

    def write(
        self,
        writer: StreamWriter,
        type_name: bytes,
        flags: int = 0,
        meta: bytes | None = None,
        body: bytes | None = None,
    ) -> None:
        assert writer.write(type_name, flags, meta, body)


def exchange(path: GoldenPath, payload: bytes = b'{"model":"m-1","stream":true}', **extra: Any) -> ExchangeTap:
    tap = ExchangeTap(path, Call(id_text(path.clock.new_id()), conversation=extra.pop("conversation", {})))  # type: ignore[arg-type]
    tap.request_sent("POST", URL, HEAD, payload, {"client": "golden", **extra})
    return tap


def record(path: GoldenPath) -> list[ExchangeTap]:
    """Write at least one event of every type that the write path knows."""
    named = path.open_stream()
    path.write(named, b"conversation_named", 0, b'{"name":"golden"}')
    path.write(named, b"tags_set", 0, b'{"tags":{"place":"K\\u00f6ln"}}')
    belongs = {"conversation": id_text(named.id), "name": "golden"}

    whole = exchange(path, connection=1, reused=False, conversation=belongs)
    whole.response_started(CHUNKED, 200, "chunked", None, ends_read=True)
    for wire in (
        b"a\r\ndata: \xe2\x82\xac\n\r\n",
        b"6\r\n worl",
        b"d\r\n7;x=1\r\ndata:",
        b" \n\r\n0\r",
        b"\nset-cookie: a=secret\r\n\r\n",
    ):
        whole.received(wire)

    sized = exchange(path, connection=1, reused=True)
    sized.response_started(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", 200, "length", 5, ends_read=True)
    sized.received(b"hello")

    streamed = exchange(path, b"", streamed=True)
    streamed.request_body_sent(b"first,")
    streamed.request_body_sent(b"second")
    streamed.response_started(CHUNKED, 200, "chunked", None, ends_read=False)
    streamed.received(b"5\r\nhello\r\n5\r\nwor")
    streamed.end_of_input()

    refused = exchange(path, unsent=True)
    refused.request_failed(
        "refused", "connect", {"type": "builtins.ConnectionRefusedError", "message": "[Errno 111] no", "errno": 111}
    )
    reset = exchange(path)
    reset.response_started(CHUNKED, 200, "chunked", None, ends_read=True)
    reset.received(b"5\r\nhello\r\n5\r\n")
    reset.failed("reset", {"type": "builtins.ConnectionResetError", "message": "reset", "errno": 104, "args": [104]})

    odd = exchange(path)
    odd.response_started(CHUNKED, 200, "chunked", None, ends_read=True)
    odd.received(b"zz\r\nnot a size")
    odd.end_of_input()

    left = exchange(path)
    left.response_started(CHUNKED, 200, "chunked", None, ends_read=True)
    left.received(b"5\r\nhello\r\n")
    left.closed(4, abandoned=False)
    dropped = exchange(path)
    dropped.response_started(CHUNKED, 200, "chunked", None, ends_read=True)
    dropped.closed(0, abandoned=True)

    gap = path.open_stream(FailingSpool(path.spool, {2, 3, 4}))
    redacted = HEAD.replace(b"Bearer not-a-token", b"Bearer ~redacted~authorization~0123456789abcdef~")
    facts = {"attempt": 1, "call": "c", "client": "golden", "head": len(redacted), "method": "POST", "url": URL}
    gap.write(b"request_sent", 0, json.dumps(facts, separators=(",", ":")).encode(), redacted)
    for number in range(2):
        gap.write(b"chunk_received", 7, None, b"lost %d" % number)
    gap.write(b"response_completed")
    gap.mend()

    closed = exchange(path)
    closed.recorder_closed()
    running = exchange(path)  # never ends: recovery will say process_died
    running.response_started(CHUNKED, 200, "chunked", None, ends_read=True)
    running.received(b"5\r\nhello\r\n")
    return [whole, sized, streamed, refused, reset, odd, left, dropped, closed, running]


def expected(database: Path) -> list[dict[str, Any]]:
    store = open_store(f"sqlite:///{database}", write=False)
    try:
        return [
            {
                "stream": opening.stream.hex(),
                "instance": opening.instance.hex(),
                "secret": opening.secret.hex(),
                "format": opening.format,
                "events": [described(event) for event in store.events(opening.stream)],
            }
            for opening in store.openings()
        ]
    finally:
        store.close()


def described(event: Event) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "version": event.version,
        "type": event.type,
        "wall_ns": event.wall_ns,
        "mono_ns": event.mono_ns,
        "instance": event.instance.hex(),
        "flags": event.flags,
        "hash": event.hash.hex(),
    }
    if event.meta is not None:
        facts["meta"] = event.meta
    if event.body is not None:
        facts["body"] = base64.b64encode(event.body).decode()
    return facts


def make(into: Path) -> None:
    database, spool, values = (into / f"v1.{suffix}" for suffix in ("db", "spool", "json"))
    if any(path.exists() for path in (database, spool, values)):
        sys.exit("the golden files of v1 exist: they are never made again")
    with tempfile.TemporaryDirectory() as directory:
        clock = FixedClock()
        path = GoldenPath(Path(directory) / "spools", clock)
        taps = record(path)
        (written,) = path.spool.directory.glob("*.spool")
        spool.write_bytes(written.read_bytes())
        path.spool.close(drained=False)  # as if the process had died here
        made = Path(directory) / "v1.db"
        store = open_store(f"sqlite:///{made}", write=True)
        recover(path.spool.directory, store, clock, clock.new_id())
        store.close()
        del taps
        database.write_bytes(made.read_bytes())
        values.write_text(json.dumps(expected(made), indent=1) + "\n")


if __name__ == "__main__":
    make(HERE)
