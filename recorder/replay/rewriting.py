"""Bodies of streams, written anew for a fault: other boundaries, other events."""

from __future__ import annotations

import hashlib
import heapq
import json
import re
from itertools import pairwise
from typing import Final

_CRLF: Final = b"\r\n"
_EVENT_END: Final = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_DONE: Final = re.compile(rb"^data: ?\[DONE\]\s*$")


def split_events(body: bytes) -> list[bytes]:
    """Return the server-sent events of a body, each with the blank line that ends it; what is left comes last."""
    edges = [0, *(found.end() for found in _EVENT_END.finditer(body)), len(body)]
    return [body[a:b] for a, b in pairwise(edges) if a < b]


def is_done(event: bytes) -> bool:
    """Whether an event is the ``[DONE]`` that ends a stream of OpenAI's."""
    return _DONE.match(event) is not None


def random_cuts(body: bytes, seed: int) -> list[bytes]:
    """Return a body cut at random places, one every eight bytes or so."""
    edges = sorted({0, len(body), *sample(len(body), len(body) // 8 + 1, seed)})
    return [body[a:b] for a, b in pairwise(edges)]


def sample(below: int, count: int, seed: int) -> list[int]:
    """Return so many different numbers from 0 to *below*, chosen at random, in order: for a seed the same everywhere.

    They are those whose hashes are the smallest.
    """
    salt = b"%d " % seed

    def order(number: int) -> bytes:
        return hashlib.blake2b(salt + b"%d" % number, digest_size=16).digest()

    return sorted(heapq.nsmallest(count, range(below), key=order))


def with_crlf(body: bytes) -> list[bytes]:
    """Return a body whose lines end in CRLF, cut between CR and LF."""
    return re.split(rb"(?<=\r)(?=\n)", re.sub(rb"\r\n|\r|\n", _CRLF, body))


def error_event(error: object) -> bytes:
    """Return the event that tells of an error inside a stream."""
    return b"data: " + json.dumps({"error": error}, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n\n"
