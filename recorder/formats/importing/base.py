"""What an importer owes, and how the one for a file is found: by what is in it, never by its name.

An importer is pure: bytes in, foreign exchanges out. Adding one is adding one file to this package: a module
whose ``IMPORTER`` is an object of :class:`Importer`; nothing else names it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import accumulate
from typing import Any, Final, NamedTuple, Protocol

from recorder.core.exchange import Headers, first_header
from recorder.core.registry import registered
from recorder.formats.importing.source import Source

#: What a foreign recording may lack, as ``missing`` of an ``imported`` event says it (docs/format.md).
LACKS: Final[Mapping[str, str]] = {
    "request": "the request",
    "request_head": "method, URL or headers of the request",
    "request_body": "the body of the request",
    "request_bytes": "the bytes of the request's body: it is written again from its value",
    "response_head": "status and headers of the answer",
    "response_body": "the body of the answer, or a part of it",
    "websocket_messages": "what was sent over a WebSocket after the answer",
    "response_bytes": "the bytes of the answer's body: it is written again from its value",
    "content_coding": "the coded bytes of a body that is stored decoded",
    "chunk_boundaries": "where the chunks were cut",
    "chunk_times": "when the chunks arrived",
    "started_at": "when the request was sent",
    "started_at_outside": "when the request was sent: outside of 1970 to 2116",
    "head_time": "when the head of the answer arrived",
    "end_time": "when the answer ended",
    "end": "how the exchange ended",
    "answer_end": "whether the answer is whole",
    "header_values": "values of headers, replaced before the import",
    "http_version": "the versions of HTTP",
}
#: What the file does tell, beside what it does not: the store cannot keep it.
NOT_KEPT: Final[Mapping[str, str]] = {"started_at_outside": "started_at"}
#: What a recording lacks that holds no HTTP: messages, of which request and answer are written again.
MESSAGES: Final = ("request_head", "request_bytes", "response_head", "response_bytes", "http_version", "end")
#: What a recording lacks that holds no times.
UNTIMED: Final = ("started_at", "head_time", "end_time", "chunk_times")
#: What a recording lacks that holds bodies in one piece.
WHOLE: Final = ("chunk_boundaries", "chunk_times")


@dataclass(frozen=True, slots=True)
class Cut:
    """Where a chunk ends in the body, and when it arrived, nanoseconds after the request; None: not known.

    :ivar flags: those of our own event, where it is one.
    """

    end: int
    elapsed_ns: int | None = None
    flags: int | None = None


def cuts_after(pieces: Iterable[bytes]) -> tuple[Cut, ...]:
    """Return the chunks of a body that came in these pieces, at times that are not known."""
    return tuple(map(Cut, accumulate(map(len, pieces))))


@dataclass(frozen=True, slots=True)
class Origin:
    """What a recording of our own says of an exchange that it had been given already.

    :ivar id: its id, 16 bytes.
    :ivar redacted_request: places that had been redacted, as in our own events; ``redacted_response`` of the answer.
    :ivar before: where it had been imported from before it was exported: ``imported`` and ``imported_at`` of the
        export; empty where it had not been imported.
    """

    id: bytes
    call: str | None = None
    attempt: int | None = None
    redacted_request: tuple[str, ...] = ()
    redacted_response: tuple[str, ...] = ()
    before: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Home:
    """The conversation that an exchange is in.

    :ivar id: of the conversation, a UUID as text.
    :ivar name: which no other conversation has; None where it has none.
    """

    id: str
    name: str | None = None


class Absent(NamedTuple):
    """A file that has a body, by its name, and cannot be had.

    :ivar side: whose body: of the ``request``, or of the ``response``.
    """

    side: str
    name: str


@dataclass(frozen=True, slots=True)
class Foreign:
    """An exchange as something else recorded it. What is not known is None, and its name is in ``missing``.

    :ivar status: of the answer; None where there is none.
    :ivar body: of the answer, as the file has it: coded or not.
    :ivar cuts: the chunks of the body, the last one ending where it does; None where they are not known.
    :ivar started_ns: wall time of the request, UTC nanoseconds.
    :ivar head_ns: from the request to the head of the answer; ``end_ns`` to its end.
    :ivar end: type of the event that ends it; None where nothing tells how it ended.
    :ivar failure: facts of that event.
    :ivar missing: names of :data:`LACKS`.
    :ivar versions: of HTTP, by side (``request``, ``response``).
    :ivar recorded: when it was written down, in the words of the file; it was over then.
    :ivar framing: of the answer, where our own recording says it.
    :ivar gaps: the recording says itself that bytes are missing from it.
    :ivar home: the conversation that it is in, where the file says so.
    :ivar called: its name in the file, where exchanges have names there.
    :ivar key: what makes it the same exchange in another file of this kind, where that is not all that it holds.
    :ivar told: :func:`~recorder.core.told_digest.told_digest` of what the file says of it beside its bodies; None where
        it says nothing, or something else read it than what reads here.
    :ivar untold: why that is None though the file says something, in a few words.
    :ivar number: its place in the file, from 1.
    :ivar absent: files that the file names instead of bodies, and that are not beside it.
    """

    number: int
    method: str = ""
    url: str = ""
    request_headers: Headers = ()
    payload: bytes = b""
    status: int | None = None
    reason: str = ""
    response_headers: Headers = ()
    body: bytes = b""
    cuts: tuple[Cut, ...] | None = None
    started_ns: int | None = None
    head_ns: int | None = None
    end_ns: int | None = None
    end: str | None = "response_completed"
    failure: Mapping[str, Any] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    recorded: str | None = None
    gaps: bool = False
    framing: str | None = None
    origin: Origin | None = None
    home: Home | None = None
    called: str | None = None
    key: bytes | None = None
    told: bytes | None = None
    untold: str | None = None
    absent: tuple[Absent, ...] = ()

    def header(self, name: str) -> str | None:
        """Return the first value of a header of the answer."""
        return first_header(self.response_headers, name)


@dataclass(frozen=True, slots=True)
class Refused:
    """An entry of a file that cannot be imported.

    :ivar reason: what is wrong with it, in one sentence.
    """

    number: int
    reason: str


@dataclass(frozen=True, slots=True)
class Recording:
    """A foreign file, being read.

    :ivar format: name of the importer.
    :ivar version: of the format; None where it has none.
    :ivar creator: what wrote it, where it says so.
    :ivar entries: its exchanges in order, read as they are asked for. Asking may raise
        :class:`~recorder.errors.ImportRefused` where the file cannot be read any further.
    """

    format: str
    entries: Iterator[Foreign | Refused]
    version: str | None = None
    creator: str | None = None


class Importer(Protocol):
    """Reads one format."""

    @property
    def name(self) -> str:
        """The format's name, in reports and in ``imported`` events."""
        ...

    @property
    def help(self) -> str:
        """What it reads, in a few words."""
        ...

    @property
    def order(self) -> int:
        """Who is asked first, where the bytes could be several formats: the smallest number."""
        ...

    def recognises(self, source: Source) -> bool:
        """Whether *source* is of this format, so far as can be told without reading all of it."""
        ...

    def read(self, source: Source) -> Recording:
        """Return the recording.

        :raises ImportRefused: it is of this format and cannot be read.
        """
        ...


@cache
def importers() -> tuple[Importer, ...]:
    """Return every importer of this package, in the order in which they are asked."""
    return tuple(sorted(registered(__package__ or "", "IMPORTER"), key=lambda each: (each.order, each.name)))


def importer_for(source: Source) -> Importer | None:
    """Return the first importer that recognises *source*; None where none does."""
    return next((each for each in importers() if each.recognises(source)), None)
