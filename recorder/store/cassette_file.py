"""The file of a cassette: read whole, replaced whole.

A cassette is replaced by renaming a complete file over it, so nobody ever reads half of one. Its problems are told
with the file, the line and what to do.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from recorder.core.cassette import Block, Cassette, read_cassette
from recorder.core.cassette_lines import (
    ChangedError,
    DuplicateError,
    LineError,
    NewerVersionError,
    header_line,
    stream_lines,
)
from recorder.core.events import CONVERSATION_TYPES, Event, StreamOpened
from recorder.errors import ChainBroken, ConfigurationError, CorruptRecording, StoreUnreachable
from recorder.locks import LOCKS_DIRECTORIES
from recorder.store.locks import StoreLock


@dataclass(frozen=True, slots=True)
class Rules:
    """What the first line of a cassette says of how it is recorded and matched.

    :ivar match: as JSON; None for strictly.
    :ivar redact: rules of redaction beside the built-in ones.
    """

    match: Mapping[str, Any] | None = None
    redact: Sequence[str] = ()


#: Strictly, and nothing redacted beside what always is.
NO_RULES: Final = Rules()


def read_file(path: Path) -> Cassette:
    """Return what a file says, its problems in it.

    :raises StoreUnreachable: there is none, or it cannot be read.
    :raises ConfigurationError: it is no cassette, or of a newer version.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise StoreUnreachable(f"there is no cassette {path}: record one, or check the name") from None
    except OSError as error:
        raise StoreUnreachable(f"the cassette {path} cannot be read ({error.strerror}): check its rights") from error
    try:
        return read_cassette(data)
    except NewerVersionError as error:
        raise ConfigurationError(f"{told(path, error)}: update recorder") from None
    except LineError as error:
        raise ConfigurationError(
            f'{told(path, error)}: the first line of a cassette is {{"cassette":1,…}}; '
            "`recorder import` reads the recordings of other tools"
        ) from None


def told(path: Path, problem: LineError) -> str:
    """Return a problem with its place."""
    return f"{path}, line {problem.number} {problem}"


def refused(path: Path, problem: LineError) -> CorruptRecording:
    """Return the error that tells of a problem, with what to do."""
    kind = ChainBroken if isinstance(problem, ChangedError) else CorruptRecording
    remedy = (
        f"`recorder cassette upgrade --accept {path}` keeps the first"
        if isinstance(problem, DuplicateError)
        else f"restore the file, record it again, or keep what is there by `recorder cassette upgrade --accept {path}`"
    )
    return kind(f"{told(path, problem)}: {remedy}")


def require_sound(path: Path, cassette: Cassette) -> None:
    """Refuse a cassette whose lines cannot be those that were written.

    :raises CorruptRecording: names the first problem.
    """
    if cassette.problems:
        raise refused(path, cassette.problems[0])


def events_of(path: Path, block: Block) -> list[Event]:
    """Return the events of one event stream.

    :raises CorruptRecording: a line cannot be read.
    :raises ChainBroken: they are not what was recorded.
    """
    try:
        return block.events()
    except LineError as error:
        raise refused(path, error) from None


class Written(NamedTuple):
    """An event stream as it is written: at least one event, and whether that is all there is of it."""

    opened: StreamOpened
    events: Sequence[Event]
    ends: bool = True

    @property
    def is_exchange(self) -> bool:
        """Whether it is an exchange, not the opening of a conversation."""
        return self.events[0].type not in CONVERSATION_TYPES


def content(streams: Iterable[Written], rules: Rules, *, recording: bool = False) -> bytes:
    """Return the bytes of a cassette with these event streams: what was recorded first comes first.

    :param recording: more will be appended.
    """
    ordered = sorted(streams, key=lambda one: (one.events[0].wall_ns, one.opened.stream))
    count = None if recording else sum(one.is_exchange for one in ordered)
    lines = [header_line(count, None if rules.match is None else dict(rules.match), rules.redact)]
    for one in ordered:
        lines += stream_lines(one.opened, one.events, ends=one.ends)
    return b"".join(lines)


def locked(path: Path) -> StoreLock:
    """Return the lock under which a cassette is written: that of its folder, so that nothing is left beside it."""
    return StoreLock(path.parent if LOCKS_DIRECTORIES else path.with_name(f".{path.name}.lock"))


def replace(path: Path, data: bytes) -> None:
    """Put *data* in the place of a file, at once.

    :raises StoreUnreachable: the file cannot be written.
    """
    made = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with made.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileNotFoundError):
            made.chmod(path.stat().st_mode & 0o777)
        made.replace(path)
    except OSError as error:
        with suppress(OSError):
            made.unlink()
        raise StoreUnreachable(f"the cassette {path} cannot be written ({error.strerror}): check its folder") from error
