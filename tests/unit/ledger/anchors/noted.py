"""Signed checkpoints for tests: their signatures are of nobody, which no anchor looks at."""

from __future__ import annotations

import base64
import hashlib

from recorder.core.notes import Checkpoint

ORIGIN = "log.example/desk"


def note(size: int, *, origin: str = ORIGIN, root: bytes | None = None, signatures: int = 1) -> bytes:
    """Return a note over a checkpoint of *size* leaves."""
    digest = hashlib.sha256(b"%d" % size).digest() if root is None else root
    line = f"— {origin} {base64.b64encode(bytes(68)).decode()}\n"
    return (Checkpoint(origin, size, digest).text + "\n" + line * signatures).encode()
