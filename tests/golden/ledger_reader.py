"""A reader of ledgers and checkpoints, written from docs/format.md alone: nothing of recorder is imported."""

from __future__ import annotations

import base64
import hashlib
import re

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

EMPTY = hashlib.sha256().digest()


def blocks(page: str, kind: str) -> list[str]:
    """Return the blocks of the page that are marked so."""
    return re.findall(rf"```{kind}\n(.*?)```", page, re.DOTALL)


def fields(block: str) -> dict[str, str]:
    """Return the lines ``name = value`` of a block."""
    pairs = (line.partition("=") for line in block.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def log_id(origin: str) -> bytes:
    return hashlib.sha256(b"recorder/origin/v1\0" + origin.encode()).digest()


def entry(log: bytes, stream: bytes, length: int, head: bytes, state: int, sealed_ns: int, before: int) -> bytes:
    data = b"recorder/head/v1\0" + log + stream + length.to_bytes(8, "big") + head + state.to_bytes(1, "big")
    return data + sealed_ns.to_bytes(8, "big") + before.to_bytes(8, "big")


def leaf(data: bytes) -> bytes:
    return hashlib.sha256(b"\0" + data).digest()


def root(leaves: list[bytes]) -> bytes:
    if not leaves:
        return EMPTY
    if len(leaves) == 1:
        return leaves[0]
    k = below(len(leaves))
    return hashlib.sha256(b"\1" + root(leaves[:k]) + root(leaves[k:])).digest()


def below(number: int) -> int:
    """Return the largest power of two below a number."""
    power = 1
    while power * 2 < number:
        power *= 2
    return power


def inclusion(index: int, leaves: list[bytes]) -> list[bytes]:
    """RFC 9162 §2.1.3.1, as it stands there."""
    if len(leaves) == 1:
        return []
    k = below(len(leaves))
    if index < k:
        return [*inclusion(index, leaves[:k]), root(leaves[k:])]
    return [*inclusion(index - k, leaves[k:]), root(leaves[:k])]


def consistency(old: int, leaves: list[bytes], known: bool = True) -> list[bytes]:
    """RFC 9162 §2.1.4.1, as it stands there."""
    if old == len(leaves):
        return [] if known else [root(leaves)]
    k = below(len(leaves))
    if old <= k:
        return [*consistency(old, leaves[:k], known), root(leaves[k:])]
    return [*consistency(old - k, leaves[k:], False), root(leaves[:k])]


def public_key(vkey: str) -> tuple[str, bytes, bytes]:
    """Return name, key id and public key."""
    name, key_id, encoded = vkey.split("+", 2)
    data = base64.b64decode(encoded)
    assert data[:1] == b"\1"
    assert hashlib.sha256(name.encode() + b"\n" + data).hexdigest()[:8] == key_id
    return name, bytes.fromhex(key_id), data[1:]


def checkpoint(note: str, vkey: str) -> tuple[str, int, bytes]:
    """Return origin, size and root of a checkpoint after verifying it."""
    name, key_id, public = public_key(vkey)
    text, signatures = note.split("\n\n")
    verified = 0
    for line in signatures.splitlines():
        dash, by, encoded = line.split(" ")
        data = base64.b64decode(encoded)
        if (dash, by, data[:4]) == ("—", name, key_id):
            Ed25519PublicKey.from_public_bytes(public).verify(data[4:], text.encode() + b"\n")
            verified += 1
    assert verified
    origin, size, encoded = text.split("\n")[:3]
    return origin, int(size), base64.b64decode(encoded)
