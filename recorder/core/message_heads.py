"""The heads of HTTP messages, as they came over the wire."""

from __future__ import annotations

from collections.abc import Iterable

Headers = tuple[tuple[str, str], ...]


def answer_head(head: bytes) -> tuple[str, int, str, Headers]:
    """Return version, status, reason and headers of the last answer in *head*: 100 and 103 may stand before it."""
    version, status, reason = "", 0, ""
    headers: Headers = ()
    for block in head.replace(b"\r\n", b"\n").split(b"\n\n"):
        lines = block.strip(b"\n").split(b"\n")
        words = lines[0].decode("latin-1").split(" ", 2)
        if words[0].startswith("HTTP/"):
            version = words[0]
            status = int(words[1]) if len(words) > 1 and words[1].isascii() and words[1].isdigit() else 0
            reason = words[2] if len(words) > 2 else ""
            headers = header_fields(lines[1:])
    return version, status, reason, headers


def header_fields(lines: Iterable[bytes]) -> Headers:
    """Return the header fields of *lines* (RFC 9112 §5; folded lines are joined, §5.2)."""
    found: list[tuple[str, str]] = []
    for raw in lines:
        line = raw.decode("latin-1").rstrip("\r\n")
        if line[:1] in (" ", "\t") and found:
            name, value = found[-1]
            found[-1] = (name, f"{value} {line.strip()}")
            continue
        name, colon, value = line.partition(":")
        if colon:
            found.append((name.strip(), value.strip()))
    return tuple(found)
