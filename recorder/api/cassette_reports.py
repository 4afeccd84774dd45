"""Cassettes as files that people keep: found in folders, listed, checked to the last line."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from recorder.api.cassette_rules import require_readable
from recorder.clock import id_text
from recorder.core.cassette import Block
from recorder.core.cassette_lines import ConflictError, LineError, parsed, require_unambiguous
from recorder.core.echoes import echoed_in
from recorder.core.events import TERMINAL_TYPES, Event
from recorder.core.exchange import fold
from recorder.core.json_text import present, rfc3339
from recorder.core.redaction import Redacted, Redaction
from recorder.errors import ConfigurationError, CorruptRecording, RecorderError, StoreUnreachable
from recorder.locations import CASSETTE_SUFFIX, known_fingerprint_key
from recorder.store.cassette_file import left_open, read_file, refused

_BEGINNING: Final = 1 << 16
_HEADER: Final = re.compile(rb'(?m)^[^\w{]*\{\s*"cassette"\s*:')
_TORN: Final = re.compile(rb'[^\w{]*\{\s*"cassette')
_OPENING: Final = frozenset({"at", "mono", "instance", "salt"})  # of an exchange, whose file has lost its first line


def cassettes_in(paths: Iterable[Path], pass_over: Callable[[Path], None] = lambda _: None) -> Iterator[Path]:
    """Yield the cassettes that paths name: files as they are, and what begins like one below folders, in order.

    :param pass_over: is given the files below folders that are JSON lines of something else.
    :raises StoreUnreachable: one of them is not there.
    """
    for path in paths:
        if path.is_dir():
            for one in sorted(path.rglob(f"*{CASSETTE_SUFFIX}")):
                if one.is_file() and begins_like_one(one):
                    yield one
                elif one.is_file():
                    pass_over(one)
        elif path.exists():
            yield path
        else:
            raise StoreUnreachable(f"there is no cassette {path}: check the name")


def begins_like_one(path: Path) -> bool:
    """Whether a file begins like a cassette, be it damaged: its first line says so, or is what git, or somebody who
    has taken the first line out, leaves of one. What cannot be read may be one.
    """
    try:
        with path.open("rb") as file:
            beginning = file.read(_BEGINNING)
    except OSError:
        return True
    first, whole, _ = beginning.partition(b"\n")
    try:
        value = parsed(1, first.removeprefix(b"\xef\xbb\xbf"))
    except ConflictError:
        return _HEADER.search(beginning) is not None
    except LineError:
        return (_HEADER.match(beginning) if whole else _TORN.match(beginning)) is not None
    return "cassette" in value or value.keys() >= _OPENING


@dataclass(slots=True)
class CassetteReport:
    """What a cassette holds, and what is wrong with it.

    :ivar path: as it was given.
    :ivar exchanges: how many are there; ``unfinished`` of them have no end.
    :ivar first_ns: when the first of them was sent, UTC nanoseconds; ``last_ns`` the last one.
    :ivar size: of the file, in bytes.
    :ivar match: how requests are matched; None for strictly.
    :ivar redact: rules of redaction beside the built-in ones.
    :ivar requests: method and URL of each.
    :ivar problems: what is wrong, each with its place and what to do.
    """

    path: Path
    exchanges: int = 0
    unfinished: int = 0
    first_ns: int | None = None
    last_ns: int | None = None
    size: int = 0
    match: Mapping[str, Any] | None = None
    redact: tuple[str, ...] = ()
    requests: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return a line of ``cassette list --json`` and ``cassette check --json``."""
        return present(
            file=str(self.path),
            exchanges=self.exchanges,
            unfinished=self.unfinished,
            first_at=None if self.first_ns is None else rfc3339(self.first_ns),
            last_at=None if self.last_ns is None else rfc3339(self.last_ns),
            size=self.size,
            match=dict(self.match) if self.match else None,
            redact=list(self.redact) or None,
            requests=self.requests,
            problems=self.problems,
        )


def look(path: Path) -> CassetteReport:
    """Return what a cassette holds, every line of it read and every hash compared; what is wrong is in it."""
    found = CassetteReport(path)
    try:
        cassette = read_file(path)
        found.size = path.stat().st_size
    except (RecorderError, OSError) as error:
        found.problems.append(str(error))
        return found
    found.match, found.redact = cassette.match, cassette.redact
    found.problems += [str(refused(path, problem)) for problem in cassette.problems]
    try:
        require_readable(path, cassette)
    except ConfigurationError as error:
        found.problems.append(str(error))
    for block in cassette.blocks.values():
        _look_at(path, block, found)
    if cassette.recording:
        found.problems.append(left_open(path))
    return found


def _in_the_clear(path: Path, events: Sequence[Event], rules: Sequence[str]) -> Iterator[str]:
    """Yield what is told of an exchange with a credential that would be redacted if it were recorded now."""
    seen = Redacted()
    with suppress(CorruptRecording, ConfigurationError):  # that is told already
        redaction = Redaction(b"nothing is redacted with it: it is only looked what would be", rules)
        for event in events:
            body = event.body or b""
            head = event.facts.get("head", 0) if event.type == "request_sent" else len(body)
            if event.type in ("request_sent", "response_started"):
                redaction.head(body[:head], seen)
            if event.type in ("request_sent", "request_body_sent"):
                payload = body[head:] if event.type == "request_sent" else body
                if redaction.body(payload, seen) != payload:
                    seen.places += [] if any(place.startswith("body:") for place in seen.places) else ["body:"]
    if seen.places:
        told = ", ".join(dict.fromkeys(seen.places))
        yield (
            f"{path}: {id_text(events[0].stream)} was recorded before the credentials in it were redacted ({told}): "
            "record it again"
        )


def _echoes(path: Path, events: Sequence[Event]) -> Iterator[str]:
    """Yield what is told of an answer that repeats a credential; nothing where this machine did not record it."""
    key = known_fingerprint_key()
    if key is None:
        return
    with suppress(CorruptRecording):  # that is told already
        exchange = fold(events)
        if exchange is None or exchange.imported is not None:
            return  # what another tool has put in a credential's place stands in many places
        name = id_text(exchange.stream)
        for kind in echoed_in(exchange, Redaction(key).fingerprint):
            yield (
                f"{path}: the answer of {name} repeats a credential of its request ({kind}): record it with one "
                f"that is none, or take it out by `recorder cassette prune {path} {name}`"
            )


def _look_at(path: Path, block: Block, found: CassetteReport) -> None:
    events: list[Event] = []
    try:
        events = block.events()
        for number, text in block.lines:
            require_unambiguous(number, text)
    except LineError as error:
        found.problems.append(str(refused(path, error)))
    if not block.is_exchange:
        return
    found.exchanges += 1
    found.first_ns = block.wall_ns if found.first_ns is None else min(found.first_ns, block.wall_ns)
    found.last_ns = block.wall_ns if found.last_ns is None else max(found.last_ns, block.wall_ns)
    found.unfinished += not any(event.type in TERMINAL_TYPES for event in events)
    found.problems += [*_in_the_clear(path, events, found.redact), *_echoes(path, events)]
    asked = next((event for event in events if event.type == "request_sent"), None)
    if asked is not None:
        with suppress(CorruptRecording):
            found.requests.append(f"{asked.facts.get('method', '')} {asked.facts.get('url', '')}".strip())
