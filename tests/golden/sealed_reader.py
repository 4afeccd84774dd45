"""A reader of sealed payloads (event format v2), written from docs/format.md alone: nothing of recorder is imported.

AES-256-GCM is taken from ``cryptography``; the rest is Python.
"""

from __future__ import annotations

import hmac
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.golden.reader import ABSENT_64, Bytes, commitment, u64

TAG = b"recorder/sealed/v2\0"


def hkdf(key: bytes, salt: bytes, info: bytes) -> tuple[bytes, bytes]:
    """RFC 5869 with SHA-256, the first 64 bytes."""
    chosen = hmac.digest(salt, key, "sha256")
    first = hmac.digest(chosen, info + b"\x01", "sha256")
    return first, hmac.digest(chosen, first + info + b"\x02", "sha256")


def secrets_of(opening: dict[str, Any], keys: Mapping[bytes, bytes]) -> tuple[bytes, bytes]:
    """Return the secret and the payload key of a stream."""
    identity, salt = opening["secret"][:16], opening["secret"][16:]
    return hkdf(keys[identity], salt, TAG + opening["stream"])


def part(source: Bytes) -> bytes | None:
    size = source.number(8)
    return None if size == ABSENT_64 else source.take(size)


def opened_payload(payload_key: bytes, event: dict[str, Any]) -> tuple[bytes | None, bytes | None, bytes]:
    """Return meta, body and commitment."""
    sealed = Bytes(event["body"])
    head, nonce = sealed.take(40), sealed.take(12)
    said = TAG + event["stream"] + u64(event["version"]) + head
    parts = Bytes(AESGCM(payload_key).decrypt(nonce, sealed.data[sealed.at :], said))
    meta, body = part(parts), part(parts)
    assert parts.at == len(parts.data)
    assert int.from_bytes(head[:8], "big") == len(meta or b"") + len(body or b"")
    return meta, body, head[8:]


def unsealed(
    found: Iterator[tuple[str, dict[str, Any]]], keys: Mapping[bytes, bytes]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield openings and events as those of format 1: what is hashed is the same."""
    known: dict[bytes, tuple[bytes, bytes]] = {}
    for kind, value in found:
        if kind == "opened":
            assert value["format"] == 2
            known[value["stream"]] = secrets_of(value, keys)
            yield kind, {**value, "format": 1, "secret": known[value["stream"]][0]}
            continue
        secret, payload_key = known[value["stream"]]
        assert value["meta"] is None
        meta, body, committed = opened_payload(payload_key, value)
        whole = {**value, "meta": meta, "body": body}
        assert commitment(secret, whole) == committed
        yield kind, whole


def keys_in(path: Path) -> dict[bytes, bytes]:
    connection = sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)
    try:
        assert connection.execute("PRAGMA application_id").fetchone()[0] == 0x52454B59
        return dict(connection.execute("SELECT id, key FROM payload_keys WHERE key IS NOT NULL").fetchall())
    finally:
        connection.close()
