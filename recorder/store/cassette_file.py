"""The file of a cassette: read whole, replaced whole.

A cassette is replaced by renaming a complete file over it, so nobody ever reads half of one. Its problems are told
with the file, the line and what to do.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from recorder.core.cassette import Block, Cassette, read_cassette
from recorder.core.cassette_lines import (
    ChangedError,
    ConflictError,
    DuplicateError,
    LineError,
    NewerVersionError,
    header_line,
    stream_lines,
)
from recorder.core.events import Event, StreamOpened, stream_kind
from recorder.durable import sync_directory, write_all
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

_UPDATE: Final = "update recorder"
_NO_CASSETTE: Final = (
    'the first line of a cassette is {"cassette":1,…}: restore the file, or bring what another tool recorded here by '
    "`recorder import`"
)


def read_file(path: Path) -> Cassette:
    """Return what a file says, its problems in it.

    :raises StoreUnreachable: there is none, or it cannot be read.
    :raises ConfigurationError: it is no cassette, or of a newer version.
    :raises CorruptRecording: git has left a conflict in its first line.
    """
    return _read(path, Path.read_bytes)


def read_first_line(path: Path) -> Cassette:
    """Return what the first line of a file says: its rules, and no exchange. It raises what :func:`read_file` does."""
    return _read(path, _first_line)


def _first_line(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.readline()


def _read(path: Path, bytes_of: Callable[[Path], bytes]) -> Cassette:
    try:
        data = bytes_of(path)
    except FileNotFoundError:
        raise StoreUnreachable(f"there is no cassette {path}: record one, or check the name") from None
    except OSError as error:
        raise StoreUnreachable(
            f"the cassette {path} cannot be read ({error.strerror}): check its name and its rights"
        ) from error
    try:
        return read_cassette(data)
    except ConflictError as error:
        raise refused(path, error) from None
    except NewerVersionError as error:
        raise ConfigurationError(f"{told(path, error)}: {_UPDATE}") from None
    except LineError as error:
        remedy = "restore the file, or remove it and record it again" if not data.strip() else _NO_CASSETTE
        raise ConfigurationError(f"{told(path, error)}: {remedy}") from None


def told(path: Path, problem: LineError) -> str:
    """Return a problem with its place."""
    return f"{path}, line {problem.number} {problem}"


def refused(path: Path, problem: LineError) -> CorruptRecording:
    """Return the error that tells of a problem, with what to do."""
    kind = ChainBroken if isinstance(problem, ChangedError) else CorruptRecording
    accept = f"`recorder cassette upgrade --accept {path}`"
    if isinstance(problem, NewerVersionError):
        remedy = _UPDATE
    elif isinstance(problem, ConflictError):
        remedy = (
            "take one side by `git checkout --ours` or `--theirs`, or take git's marks out to keep the exchanges of "
            f"both, then run {accept}"
        )
    elif isinstance(problem, DuplicateError):
        remedy = f"{accept} keeps the first"
    else:
        remedy = f"restore the file, record it again, or keep what is there by {accept}"
    return kind(f"{told(path, problem)}: {remedy}")


def left_open(path: Path) -> str:
    """Return what is told of a cassette that has not been written to its end."""
    return (
        f"{path} is being recorded, or its program was killed: "
        f"where nothing runs any more, `recorder recover --store {path}` finishes it"
    )


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
        return stream_kind(self.events[0].type) == "exchange"


def content(streams: Iterable[Written], rules: Rules, *, recording: bool = False) -> bytes:
    """Return the bytes of a cassette with these event streams: what was recorded first comes first.

    :param recording: more will be appended.
    """
    ordered = sorted(streams, key=lambda one: (one.events[0].wall_ns, one.opened.stream))
    exchanges = sum(one.is_exchange for one in ordered)
    match = None if rules.match is None else dict(rules.match)
    count = None if recording else exchanges
    lines = [header_line(count, match, rules.redact, conversations=len(ordered) - exchanges)]
    for one in ordered:
        lines += stream_lines(one.opened, one.events, ends=one.ends)
    return b"".join(lines)


def followed(path: Path) -> Path:
    """Return the file that a path leads to: a symbolic link stays, and what it names is written."""
    return Path(os.path.realpath(path))


def locked(path: Path) -> StoreLock:
    """Return the lock under which a cassette is written: that of its folder, so that nothing is left beside it."""
    path = followed(path)
    if LOCKS_DIRECTORIES:
        return StoreLock(path.parent, is_folder=True)
    return StoreLock(path.with_name(f".{path.name}.lock"))


def make_folder(path: Path) -> None:
    """Make the folder of a cassette, where it is missing.

    :raises StoreUnreachable: it cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(path, error) from error


def replace(path: Path, data: bytes) -> None:
    """Put *data* in the place of a file, at once and to last; the caller has its lock.

    :raises StoreUnreachable: the file cannot be written.
    """
    path = followed(path)
    made = path.with_name(f".{path.name}.new")  # always the same: what a killed process leaves is written over
    try:
        with made.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileNotFoundError):
            made.chmod(path.stat().st_mode & 0o777)
        made.replace(path)
        sync_directory(path.parent)
    except OSError as error:
        with suppress(OSError):
            made.unlink()
        raise _unwritable(path, error) from error


def append(path: Path, data: bytes, *, sync: bool) -> None:
    """Write *data* at the end of a file; the caller has its lock.

    :param sync: return when it would survive a loss of power.
    :raises StoreUnreachable: not all of it could be written; some of it may be there.
    """
    try:
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | getattr(os, "O_BINARY", 0))
        try:
            write_all(fd, data)
            if sync:
                os.fsync(fd)
        finally:
            os.close(fd)
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> StoreUnreachable:
    return StoreUnreachable(f"the cassette {path} cannot be written ({error.strerror}): check its folder and its disk")
