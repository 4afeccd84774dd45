"""A reader of event format v1, written from docs/format.md alone: nothing of recorder is imported.

It is what someone would write in another language, in the shortest Python.
"""

from __future__ import annotations

import base64
import calendar
import hashlib
import itertools
import json
import re
import sqlite3
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ABSENT_32 = 0xFFFFFFFF
ABSENT_64 = 0xFFFFFFFFFFFFFFFF


def u16(value: int) -> bytes:
    return value.to_bytes(2, "big")


def u64(value: int) -> bytes:
    return value.to_bytes(8, "big")


def part(value: bytes | None) -> bytes:
    return u64(ABSENT_64) if value is None else u64(len(value)) + value


def genesis(stream: bytes) -> bytes:
    return hashlib.sha256(b"recorder/genesis/v1\0" + stream).digest()


def salt(secret: bytes, version: int) -> bytes:
    return hashlib.blake2b(u64(version), key=secret, digest_size=16).digest()


def commitment(secret: bytes, event: dict[str, Any]) -> bytes:
    salted = b"recorder/payload/v1\0" + salt(secret, event["version"])
    return hashlib.sha256(salted + part(event["meta"]) + part(event["body"])).digest()


def event_hash(previous: bytes, secret: bytes, event: dict[str, Any]) -> bytes:
    size = len(event["meta"] or b"") + len(event["body"] or b"")
    return hashlib.sha256(
        b"recorder/event/v1\0"
        + previous
        + event["stream"]
        + u64(event["version"])
        + u64(event["wall_ns"])
        + u64(event["mono_ns"])
        + event["instance"]
        + u16(event["flags"])
        + u64(size)
        + commitment(secret, event)
        + event["type"]
    ).digest()


class Bytes:
    """Takes fields from the front of a byte string."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, size: int) -> bytes:
        assert self.at + size <= len(self.data), "the record is too short"
        self.at += size
        return self.data[self.at - size : self.at]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")


def opened(content: Bytes) -> dict[str, Any]:
    return {
        "format": content.number(2),
        "stream": content.take(16),
        "instance": content.take(16),
        "secret": content.take(32),
    }


def event(content: Bytes) -> dict[str, Any]:
    found: dict[str, Any] = {
        "format": content.number(2),
        "flags": content.number(2),
        "stream": content.take(16),
        "version": content.number(8),
        "wall_ns": content.number(8),
        "mono_ns": content.number(8),
        "instance": content.take(16),
        "hash": content.take(32),
    }
    type_size, meta_size, body_size = content.number(2), content.number(4), content.number(4)
    found["type"] = content.take(type_size)
    found["meta"] = None if meta_size == ABSENT_32 else content.take(meta_size)
    found["body"] = None if body_size == ABSENT_32 else content.take(body_size)
    return found


def records(data: bytes) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield ("opened", …) and ("event", …) from a run of records; stop where one is torn."""
    source = Bytes(data)
    while len(data) - source.at >= 8:
        size, check = source.number(4), source.number(4)
        if source.at + size > len(data):
            return
        framed = source.take(size)
        assert zlib.crc32(framed) == check, "damaged"
        content = Bytes(framed[1:])
        found = ("opened", opened(content)) if framed[0] == 1 else ("event", event(content))
        assert framed[0] in (1, 2)
        assert content.at == len(content.data), "something is left over"
        yield found


def spool(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    data = path.read_bytes()
    assert data.startswith(b"recorder-spool\x01\n")
    return records(data[48:])


def database(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the same from a SQLite store."""
    connection = sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)
    connection.row_factory = sqlite3.Row
    try:
        assert connection.execute("PRAGMA application_id").fetchone()[0] == 0x52454344
        openings = {row["stream"]: dict(row) for row in connection.execute("SELECT * FROM event_streams")}
        for row in openings.values():
            yield "opened", row
        names = dict(connection.execute("SELECT code, name FROM event_types").fetchall())
        for row in map(dict, connection.execute("SELECT * FROM events ORDER BY stream, version")):
            row["type"] = names[row["type"]].encode()
            row["meta"] = None if row["meta"] is None else row["meta"].encode()
            row["instance"] = row["instance"] or openings[row["stream"]]["instance"]
            yield "event", row
    finally:
        connection.close()


def cassette(text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the same from a cassette that nobody is recording to; an event's hash is computed, and told at the end."""
    first, *lines = (json.loads(line) for line in text.split("\n") if line)
    assert first["cassette"] == 1
    begun: dict[str, Any] = {}
    head, counts = b"", {"exchange": 0, "conversation": 0}
    for line in lines:
        kind = next(iter(line))
        if kind in counts:
            counts[kind] += 1
            stream, begun, head, version = identity(line[kind]), line, genesis(identity(line[kind])), 0
            secret, wall_ns = bytes.fromhex(line["salt"]), nanoseconds(line["at"])
            yield "opened", {"stream": stream, "secret": secret, "format": line.get("format", 1)}
        elif kind == "event":
            version += 1
            body = octets(line["body"]) if "body" in line else None
            if "json" in line:
                body = json.dumps(line["json"], ensure_ascii=False, separators=(",", ":")).encode()
            if "json_spaced" in line:
                body = json.dumps(line["json_spaced"]).encode()
            if "head" in line:
                body = ("\r\n".join(line["head"]) + "\r\n\r\n").encode("latin-1") + (body or b"")
            meta = json.dumps(line["meta"], sort_keys=True, separators=(",", ":")) if "meta" in line else None
            meta = line.get("meta_text", meta)
            found = {
                "stream": stream,
                "version": version,
                "type": line["event"].encode(),
                "flags": line.get("flags", 0),
            }
            found |= {"wall_ns": wall_ns + line["ns"] + line.get("skew", 0), "mono_ns": begun["mono"] + line["ns"]}
            found |= {"instance": identity(line.get("instance", begun["instance"])), "body": body}
            found["meta"] = None if meta is None else meta.encode("ascii")
            found["hash"] = head = event_hash(head, secret, found)
            yield "event", found
        else:
            assert (kind, identity(line["end"]), bytes.fromhex(line["hash"])) == ("end", stream, head)
    assert (counts["exchange"], counts["conversation"]) == (first["exchanges"], first.get("conversations", 0))


def octets(value: Any) -> bytes:
    """Return the bytes that stand in a cassette as text, as base64, or as a list of these."""
    if isinstance(value, list):
        return b"".join(map(octets, value))
    return value.encode() if isinstance(value, str) else base64.b64decode(value["base64"])


def identity(text: str) -> bytes:
    return bytes.fromhex(text.replace("-", ""))


def nanoseconds(at: str) -> int:
    seconds, fraction = at.removesuffix("Z").split(".")
    return calendar.timegm(time.strptime(seconds, "%Y-%m-%dT%H:%M:%S")) * 10**9 + int(fraction)


def verify(found: Iterator[tuple[str, dict[str, Any]]]) -> dict[bytes, list[dict[str, Any]]]:
    """Return the events of every stream, each one's number and hash recomputed."""
    secrets: dict[bytes, bytes] = {}
    streams: dict[bytes, list[dict[str, Any]]] = {}
    for kind, value in found:
        if kind == "opened":
            assert value["format"] == 1
            secrets[value["stream"]] = value["secret"]
            streams[value["stream"]] = []
            continue
        before = streams[value["stream"]]
        previous = before[-1]["hash"] if before else genesis(value["stream"])
        assert value["version"] == len(before) + 1
        assert event_hash(previous, secrets[value["stream"]], value) == value["hash"]
        before.append(value)
    return streams


def reads(events: list[dict[str, Any]]) -> list[bytes]:
    """Return what the reads of the socket returned after the head, from "Chunks" of docs/format.md.

    ``meta`` is parsed already.
    """
    wire = bytearray()
    cuts: list[int] = []
    chunked = unclosed = False
    begins = True
    for found in events:
        kind, meta, body, flags = found["type"], found["meta"] or {}, found["body"] or b"", found["flags"]
        if kind == b"response_started":
            chunked = meta["framing"] == "chunked"
            continue
        if kind not in (b"chunk_received", b"trailers_received", b"response_completed"):
            continue
        if chunked and not flags & 8:
            plain = b"\r\n" if unclosed else b""
            if kind == b"chunk_received":
                plain += b"%x\r\n" % len(body) if begins else b""
            elif kind == b"trailers_received":
                plain += b"0\r\n"
            else:
                plain = b"\r\n" if trailers(events) else plain + b"0\r\n\r\n"
            pre = meta["pre"].encode("latin-1") if "pre" in meta else plain
            cuts += [len(wire) + offset for offset in meta.get("reads", ())]
            wire += pre
        wire += body + (b"\r\n" if flags & 4 else b"")
        begins, unclosed = bool(flags & 1), flags & 5 == 1
        if kind == b"trailers_received":
            unclosed = False
        if flags & 2:
            cuts.append(len(wire))
    edges = sorted({0, *cuts, len(wire)})
    return [bytes(wire[first:last]) for first, last in itertools.pairwise(edges)]


def trailers(events: list[dict[str, Any]]) -> bool:
    return any(found["type"] == b"trailers_received" for found in events)


def vectors(page: str) -> list[dict[str, str]]:
    """Return the blocks marked ``vector`` of docs/format.md, each as its lines ``name = value``."""
    found = []
    for block in re.findall(r"```vector\n(.*?)```", page, re.DOTALL):
        pairs = (line.partition("=") for line in block.splitlines())
        found.append({name.strip(): value.strip() for name, _, value in pairs})
    return found
