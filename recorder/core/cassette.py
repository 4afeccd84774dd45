"""A cassette as a value: which lines belong to which exchange, and what is wrong with them.

Reading is lazy: a player that opens a thousand exchanges parses those that it plays. What can be told from the shape
of the file is told at once: a line that is none, an exchange that is missing, cut off or there twice. Whether an
exchange is what was recorded shows when its events are read, since its hash depends on every one of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from recorder.core.cassette_lines import (
    CASSETTE_VERSION,
    ChangedError,
    ConflictError,
    DuplicateError,
    LineError,
    NewerVersionError,
    parsed,
    read_end,
    read_events,
    read_more,
    read_opening,
    read_request,
    require_known,
)
from recorder.core.events import Event, StreamOpened

_EVENT: Final = b'{"event":'
_HEADER_MEMBERS: Final = frozenset({"cassette", "exchanges", "conversations", "recording", "match", "redact"})


@dataclass
class Block:
    """The lines of one event stream.

    :ivar number: of the line with which it begins, from 1.
    :ivar opening: what that line says.
    :ivar lines: those of its events, with their numbers.
    :ivar end: hash of its last event as its end line has it; None where it has none.
    """

    number: int
    opening: tuple[StreamOpened, int, int]
    is_exchange: bool
    lines: list[tuple[int, bytes]] = field(default_factory=list)
    end: bytes | None = None

    @property
    def stream(self) -> bytes:
        """Id of the event stream, 16 bytes."""
        return self.opening[0].stream

    @property
    def wall_ns(self) -> int:
        """When it began, UTC nanoseconds."""
        return self.opening[1]

    @property
    def last_number(self) -> int:
        """Number of its last line before the end line."""
        return self.lines[-1][0] if self.lines else self.number

    def first(self) -> Event | None:
        """Return its first event."""
        return next(read_events(self.opening, self.lines[:1]), None)

    def request(self) -> tuple[dict[str, Any], bytes] | None:
        """Return the facts and the bytes of its first event, where that is a request that was sent.

        :raises LineError: the line cannot be read.
        """
        return read_request(*self.lines[0]) if self.lines else None

    def readable(self) -> Iterator[Event]:
        """Yield its events, whatever the hash at the end says.

        :raises LineError: a line cannot be read.
        """
        return read_events(self.opening, self.lines)

    def events(self) -> list[Event]:
        """Return its events.

        :raises LineError: a line cannot be read, or they are not those whose hash stands at the end.
        """
        events = list(read_events(self.opening, self.lines))
        if self.end is not None and (events[-1].hash if events else None) != self.end:
            raise ChangedError(
                self.number,
                f"and those up to {self.last_number} are not what was recorded: one of them was changed, or is missing",
            )
        return events


@dataclass
class Cassette:
    """What the lines of a file say.

    :ivar version: of the cassette's format.
    :ivar exchanges: how many there have to be; None while something is recorded, or where a program was killed.
    :ivar conversations: how many openings of conversations there have to be.
    :ivar match: how requests are matched, as it stands in the file; None for strictly.
    :ivar redact: rules of redaction beside the built-in ones.
    :ivar blocks: its event streams by id, in the order of the file.
    :ivar problems: what is wrong with the lines, and then what is missing.
    :ivar is_torn: no line end stands at the end: nothing can be appended before the file was written again.
    """

    version: int = CASSETTE_VERSION
    exchanges: int | None = None
    conversations: int = 0
    match: dict[str, Any] | None = None
    redact: tuple[str, ...] = ()
    blocks: dict[bytes, Block] = field(default_factory=dict)
    problems: list[LineError] = field(default_factory=list)
    is_torn: bool = False

    @property
    def recording(self) -> bool:
        """Whether something is being recorded, or was when a program was killed."""
        return self.exchanges is None

    def exchange_blocks(self) -> Iterator[Block]:
        """Yield the event streams that are exchanges, in the order of the file."""
        return (block for block in self.blocks.values() if block.is_exchange)


def read_cassette(data: bytes) -> Cassette:
    """Return what a file says; its problems are in it.

    :raises LineError: its first line is not that of a cassette.
    :raises NewerVersionError: it is, of a version that is not known here.
    """
    if not data.strip():
        raise LineError(1, "is missing: the file is empty")
    lines = data.split(b"\n")
    torn = lines.pop()
    if torn.strip() and _is_whole(torn):  # of an editor that leaves out the last line's end
        lines.append(torn)
    cassette = _header(lines[0] if lines else torn)
    cassette.is_torn = bool(torn)
    reader = _Reader(cassette)
    for number, text in enumerate(lines[1:], 2):
        if text.startswith(_EVENT) and reader.current is not None:
            reader.current.lines.append((number, text))
        elif text.strip():
            try:
                reader.take(number, text)
            except LineError as error:
                cassette.problems.append(error)
    if torn.strip() and lines[-1] is not torn and not cassette.recording:
        cassette.problems.append(LineError(len(lines) + 1, "is cut off"))
    if not cassette.recording:
        cassette.problems += _missing(cassette, len(lines))
    return cassette


def _is_whole(text: bytes) -> bool:
    try:
        parsed(0, text)
    except LineError:
        return False
    return True


def _header(text: bytes) -> Cassette:
    value = parsed(1, text)
    version = value.get("cassette")
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise LineError(1, "does not begin a cassette")
    if version > CASSETTE_VERSION:
        raise NewerVersionError(1, f"is of version {version}, this version of recorder reads {CASSETTE_VERSION}")
    require_known(1, value, _HEADER_MEMBERS)
    found = Cassette(version)
    match, redact, exchanges = value.get("match"), value.get("redact", []), value.get("exchanges")
    conversations = value.get("conversations", 0)
    if match is not None and not isinstance(match, dict):
        raise LineError(1, "has as 'match' what is no object of rules")
    if not isinstance(redact, list) or not all(isinstance(rule, str) for rule in redact):
        raise LineError(1, "has as 'redact' what is no list of rules")
    for name, count in (("exchanges", exchanges), ("conversations", conversations)):
        if isinstance(count, bool) or not isinstance(count, int | None):
            raise LineError(1, f"has as {name!r} what is no number")
    if (exchanges is None) != (value.get("recording") is True):
        raise LineError(1, "tells not either a number of exchanges or that something is being recorded")
    found.match, found.redact = match, tuple(redact)
    found.exchanges, found.conversations = exchanges, conversations or 0
    return found


def _missing(cassette: Cassette, last: int) -> Iterator[LineError]:
    for block in cassette.blocks.values():
        if block.end is None:
            yield LineError(block.last_number, "is the last one of its exchange, whose end is missing")
    found = sum(1 for _ in cassette.exchange_blocks())
    for name, there, told in (
        ("exchanges", found, cassette.exchanges or 0),
        ("conversations", len(cassette.blocks) - found, cassette.conversations),
    ):
        if there < told:
            yield LineError(last, f"ends it, and {name} are missing: the first line tells of {told}, {there} are there")
        elif there > told:
            yield LineError(1, f"tells of {told} {name}, {there} are there")


class _Reader:
    """Takes the lines that are not just the next event."""

    def __init__(self, cassette: Cassette) -> None:
        self._cassette = cassette
        self.current: Block | None = None

    def take(self, number: int, text: bytes) -> None:
        try:
            value = parsed(number, text)
        except ConflictError:
            self.current = None  # the lines of two versions would make an exchange that never was
            raise
        if "event" in value:
            self._event(number, text)
        elif "exchange" in value or "conversation" in value:
            self._opening(number, value)
        elif "end" in value:
            self._end(number, value)
        elif "more" in value:
            self.current = self._known(number, read_more(number, value))
        else:
            raise LineError(number, "is neither the beginning of an exchange, nor an event, nor an end")

    def _event(self, number: int, text: bytes) -> None:
        if self.current is None:
            raise LineError(number, "is an event of no exchange")
        self.current.lines.append((number, text))

    def _opening(self, number: int, value: dict[str, Any]) -> None:
        self.current = None
        opening = read_opening(number, value)
        stream, blocks = opening[0].stream, self._cassette.blocks
        self.current = Block(number, opening, "exchange" in value)
        if stream in blocks:  # its lines are read, and go nowhere
            raise DuplicateError(number, f"begins an exchange that begins on line {blocks[stream].number} too")
        blocks[stream] = self.current

    def _end(self, number: int, value: dict[str, Any]) -> None:
        stream, head = read_end(number, value)
        block, self.current = self.current, None
        if block is None or block.stream != stream:
            block = self._known(number, stream)
        if block.end is not None:
            raise LineError(number, "ends an exchange that has ended before")
        block.end = head

    def _known(self, number: int, stream: bytes) -> Block:
        block = self._cassette.blocks.get(stream)
        if block is None:
            raise LineError(number, "names an exchange that has not begun")
        return block
