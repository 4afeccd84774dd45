"""Foreign exchanges as event streams: an ``imported`` event first, credentials out, chained as any other.

The id of an exchange is a UUID (version 8, RFC 9562 §5.8) made from what the exchange holds and from how many equal
ones stand before it in its file. So the same recording has the same ids, in whatever file and however often it is
imported; one that grew brings what is new. What our own export holds keeps its ids.

The events have the times of the file, from a monotonic clock that begins at 0 with the request. Where the file has
none, they have the wall time of the import (of an export of ours, of the first one), and ``missing`` of the
``imported`` event says so.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from recorder.clock import id_text
from recorder.core.chain import genesis, link
from recorder.core.content_coding import is_coded
from recorder.core.events import (
    FRAME_CLOSED,
    FRAME_END,
    READ_END,
    Event,
    GapRecordedMeta,
    ImportedMeta,
    StreamOpened,
    meta_text,
)
from recorder.core.exchange import Headers, is_without_body
from recorder.core.json_text import present
from recorder.core.redaction import MARKER, Redacted, Redaction
from recorder.core.version import __version__
from recorder.formats.importing.base import Foreign, Origin
from recorder.formats.importing.values import iso_ns, version_8

_WHOLE_FRAME: Final = FRAME_END | READ_END | FRAME_CLOSED
#: What tools leave in the place of a credential.
_REPLACED: Final = re.compile(
    r"(?im)^(?:bearer |basic )?[*<\[{( ]*"
    r"(?:redacted|filtered|masked|scrubbed|removed|hidden|x{3,}|\*{3,}|<[a-z_ ]+>)[*>\]}) ]*$"
)
#: One of these is in every such value: to look for them costs a tenth of what the expression does.
_HINTS: Final = ("***", "xxx", ">", "redacted", "filtered", "masked", "scrubbed", "removed", "hidden")
_encode: Final = json.JSONEncoder(separators=(",", ":")).encode
_LENGTH: Final = re.compile(r"[0-9]{1,18}")
#: How long the names are of the headers that say how a body is framed and coded.
_DECIDING: Final = frozenset(map(len, ("content-encoding", "content-length", "transfer-encoding")))
_BREAKS: Final = re.compile(r"[\r\n\0]+")
_NO_ORIGIN: Final = Origin(b"")


@dataclass(frozen=True, slots=True)
class File:
    """Where foreign exchanges come from.

    :ivar name: of the file, without folders.
    :ivar sha256: of its bytes, hexadecimal.
    """

    name: str
    sha256: str
    size: int
    format: str
    version: str | None = None
    creator: str | None = None


class Made(NamedTuple):
    """The events of an exchange, what is missing from it, and what its file says of it beside its bodies.

    The last is None where it cannot be held against these events, as they are not what the file has: for what reason.
    """

    opened: StreamOpened
    events: list[Event]
    missing: tuple[str, ...]
    told: bytes | None = None
    untold: str | None = None


@dataclass
class Identities:
    """Gives foreign exchanges their ids, one file at a time."""

    _seen: Counter[bytes] = field(default_factory=Counter)

    def of(self, foreign: Foreign) -> bytes:
        """Return the id of the next exchange of a file, 16 bytes."""
        if foreign.origin is not None:
            return foreign.origin.id
        digest = _content(foreign) if foreign.key is None else foreign.key
        self._seen[digest] += 1
        told = hashlib.sha256(b"recorder/import/v1\0" + digest + self._seen[digest].to_bytes(8, "big")).digest()
        return version_8(told)


def _content(foreign: Foreign) -> bytes:
    told = [foreign.method, foreign.url, foreign.status, foreign.reason, foreign.started_ns, foreign.end]
    fields = [foreign.request_headers, foreign.response_headers]
    head = _encode([told, fields, len(foreign.payload)]).encode("ascii")
    return hashlib.sha256(b"".join((len(head).to_bytes(8, "big"), head, foreign.payload, foreign.body))).digest()


class Writer:
    """Makes the event streams of one import.

    :param redaction: what is done to requests and heads.
    :param instance: id of this import, 16 bytes.
    :param secret: returns so many random bytes.
    :param now_ns: wall time of the import.
    """

    def __init__(self, redaction: Redaction, instance: bytes, secret: Callable[[int], bytes], now_ns: int) -> None:
        self._redaction, self._instance, self._secret, self._now_ns = redaction, instance, secret, now_ns
        self._count = 0

    def begin(self, instance: bytes) -> None:
        """Go on as another process: each transaction of an import has a journal of its own."""
        self._instance = instance

    def made(self, identity: bytes, foreign: Foreign, file: File) -> Made:
        """Return the events of an exchange."""
        self._count += 1
        opened = StreamOpened(identity, self._instance, self._secret(32))
        stream = _Stream(opened, self._now_ns + self._count, foreign)  # so that they sort as in their files
        kept, notes = coherent(foreign)
        facts = _imported(kept, file, notes)
        stream.tell("imported", facts, at_ns=None)
        missing = tuple(facts["missing"])
        as_told = kept is foreign  # what is hidden here, or set aside, the file tells as it was before
        if "request" not in missing:
            as_told &= self._request(stream, kept)
        if kept.status is not None:
            as_told &= self._response_head(stream, kept, notes)
        _body(stream, kept, notes.framing)
        if kept.gaps:
            stream.tell("gap_recorded", _gap(self._now_ns), at_ns=None)
        self._end(stream, kept)
        if as_told or foreign.told is None:
            return Made(opened, stream.events, missing, foreign.told, foreign.untold)
        return Made(opened, stream.events, missing, None, "this import hides or sets aside something of it")

    def _request(self, stream: _Stream, foreign: Foreign) -> bool:
        """Tell it; return whether it can be read as the file has it."""
        seen = Redacted()
        head = self._redaction.head(_request_head(foreign), seen)
        url = self._redaction.url(foreign.url, seen)
        payload = self._redaction.body(foreign.payload, seen)
        origin = foreign.origin or _NO_ORIGIN
        facts = present(
            call=origin.call or id_text(stream.id),
            attempt=origin.attempt or 1,
            method=foreign.method,
            url=url,
            head=len(head),
            redacted=_places(seen, origin.redacted_request) or None,
            conversation=foreign.home.id if foreign.home is not None else None,
            name=foreign.home.name if foreign.home is not None else None,
        )
        stream.tell("request_sent", facts, head + payload)
        return url == foreign.url and payload == foreign.payload

    def _response_head(self, stream: _Stream, foreign: Foreign, notes: Notes) -> bool:
        """Tell it; return whether it is as the file has it."""
        seen = Redacted()
        written = _head(f"HTTP/1.1 {foreign.status} {foreign.reason}", foreign.response_headers)
        head = self._redaction.head(written, seen)
        told: dict[str, Any] = {"status": foreign.status, "framing": notes.framing}
        length = foreign.header("content-length")
        if notes.framing == "length" and length is not None and _LENGTH.fullmatch(length.strip()):
            told["length"] = int(length)
        places = _places(seen, (foreign.origin or _NO_ORIGIN).redacted_response)
        if places:
            told |= {"redacted": places, "grew": len(head) - len(written)}
        stream.tell("response_started", told, head, at_ns=foreign.head_ns, flags=READ_END)
        return head == written

    def _end(self, stream: _Stream, foreign: Foreign) -> None:
        if foreign.end is None and foreign.origin is not None:
            return  # it had not ended when it was exported
        end = foreign.end or "recorder_closed"  # what followed is not recorded
        facts: dict[str, Any] = dict(foreign.failure)
        if isinstance(facts.get("error"), dict):
            facts["error"] = {name: self._said(value) for name, value in facts["error"].items()}
        if end not in ("response_completed", "request_failed") and foreign.origin is None:
            facts.setdefault("received", len(foreign.body))
        stream.tell(end, facts or None, at_ns=foreign.end_ns)

    def _said(self, value: Any) -> Any:
        """What an error says, without credentials; as a recorder does it, which has no fingerprints there."""
        if isinstance(value, list):
            return [self._said(one) for one in value]
        return MARKER.sub("~redacted~", self._redaction.url(value, Redacted())) if isinstance(value, str) else value


def _gap(now_ns: int) -> GapRecordedMeta:
    reason = "the recording that was exported had gaps"
    return GapRecordedMeta(events=0, bytes=0, from_ns=now_ns, to_ns=now_ns, reason=reason)


def _places(seen: Redacted, before: Iterable[str]) -> list[str]:
    return list(dict.fromkeys([*before, *seen.places]))


class _Stream:
    """Events, each chained to the one before."""

    def __init__(self, opened: StreamOpened, imported_ns: int, foreign: Foreign) -> None:
        self.id, self._opened = opened.stream, opened
        self._imported_ns, self._started_ns = imported_ns, foreign.started_ns
        before = iso_ns(foreign.origin.before.get("imported_at")) if foreign.origin is not None else None
        self._first_ns = imported_ns if before is None else before  # so that they sort as in the store it comes from
        self._head = genesis(opened.stream)
        self._mono_ns = 0
        self.events: list[Event] = []

    def tell(
        self,
        kind: str,
        facts: Mapping[str, Any] | None,
        body: bytes | None = None,
        *,
        at_ns: int | None = 0,
        flags: int = 0,
    ) -> None:
        """Append an event.

        :param at_ns: nanoseconds after the request; None: when the one before it was, for all that is known.
        """
        self._mono_ns = max(self._mono_ns, at_ns or 0)
        if kind == "imported":
            wall = self._imported_ns
        else:
            wall = self._first_ns if self._started_ns is None else self._started_ns + self._mono_ns
        told = None if facts is None else meta_text(facts)
        opened, version = self._opened, len(self.events) + 1
        event = Event(self.id, version, kind, wall, self._mono_ns, opened.instance, flags, told, body, b"")
        self._head = link(self._head, opened.secret, event)
        self.events.append(Event(*event[:9], self._head))


@dataclass(slots=True)
class Notes:
    """What is told of an exchange whose headers and body contradicted each other.

    :ivar framing: of the answer as it is kept.
    :ivar set_aside: side, name and value of headers that are not true of the body as the file has it.
    """

    framing: str = ""
    set_aside: list[list[str]] = field(default_factory=list)
    lacks: list[str] = field(default_factory=list)


def coherent(foreign: Foreign) -> tuple[Foreign, Notes]:
    """Return *foreign* with headers that are true of its body, and what was done: so it can be answered from again.

    Recorders store decoded bodies under ``content-encoding`` and change bodies without changing ``content-length``.
    Such a header is taken out of the head and kept in the ``imported`` event.
    """
    names = {name.lower(): value.strip() for name, value in foreign.response_headers if len(name) in _DECIDING}
    notes = Notes(_framing(foreign, names))
    coding, length = names.get("content-encoding", "").lower(), names.get("content-length")
    # Our own recordings are what came over the wire, and of what was cut the length is that of the whole.
    untrue = set()
    if foreign.origin is None and foreign.end in (None, "response_completed"):
        if (
            foreign.body
            and coding not in ("", "identity")
            and not is_coded(foreign.body, coding.rpartition(",")[2].strip())
        ):
            untrue.add("content-encoding")
            notes.lacks.append("content_coding")
        if length is not None and notes.framing != "none" and length != str(len(foreign.body)):
            untrue.add("content-length")
            notes.framing = "close" if notes.framing == "length" else notes.framing
            if not foreign.body and coding in ("", "identity") and _LENGTH.fullmatch(length) and int(length):
                notes.lacks.append("response_body")
    if not untrue:
        return foreign, notes
    notes.set_aside += [["response", name, value] for name, value in foreign.response_headers if name.lower() in untrue]
    kept = tuple(field for field in foreign.response_headers if field[0].lower() not in untrue)
    return replace(foreign, response_headers=kept), notes


def _framing(foreign: Foreign, names: Mapping[str, str]) -> str:
    """How the end of the answer's body is told (RFC 9112 §6.3)."""
    if foreign.framing is not None:
        return foreign.framing
    if is_without_body(foreign.method, foreign.status or 200):
        return "none"
    if names.get("transfer-encoding", "").lower() == "chunked":
        return "chunked"
    return "length" if _LENGTH.fullmatch(names.get("content-length", "")) else "close"


def _imported(foreign: Foreign, file: File, notes: Notes) -> ImportedMeta:
    lacks = dict.fromkeys((*foreign.missing, *notes.lacks))
    if foreign.end is None:
        lacks["end"] = None
    replaced = _replaced(request=foreign.request_headers, response=foreign.response_headers)
    if replaced:
        lacks["header_values"] = None
    told = ImportedMeta(
        file=file.name,
        sha256=file.sha256,
        size=file.size,
        entry=foreign.number,
        format=file.format,
        by=f"recorder {__version__}",
        missing=sorted(lacks),
    )
    if file.version is not None:
        told["version"] = file.version
    if file.creator is not None:
        told["creator"] = file.creator
    if foreign.recorded is not None:
        told["recorded_at"] = foreign.recorded
    if foreign.versions:
        told["http"] = dict(foreign.versions)
    if foreign.called is not None:
        told["called"] = foreign.called
    if foreign.origin is not None:
        told["before"] = dict(foreign.origin.before)
    if replaced:
        told["replaced"] = replaced
    if notes.set_aside:
        told["set_aside"] = notes.set_aside
    return told


def _replaced(**sides: Headers) -> list[str]:
    """Return the headers whose values something had replaced before."""
    values = "\n".join([value for fields in sides.values() for _, value in fields])
    lowered = values.lower()
    if not any(hint in lowered for hint in _HINTS) or _REPLACED.search(values) is None:
        return []
    found = (
        f"{side}:{name.lower()}"
        for side, fields in sides.items()
        for name, value in fields
        if _REPLACED.fullmatch(value)
    )
    return list(dict.fromkeys(found))


def _request_head(foreign: Foreign) -> bytes:
    if not foreign.method and not foreign.url:
        return b""
    try:
        parts = urlsplit(foreign.url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    except ValueError:  # a bracket that opens no IPv6 address
        target = "/" + foreign.url.partition("#")[0].partition("://")[2].partition("/")[2]
    return _head(f"{foreign.method} {target} HTTP/1.1", foreign.request_headers)


def _head(start: str, fields: Iterable[tuple[str, str]]) -> bytes:
    lines = [start, *(f"{name}: {value}" for name, value in fields)]
    joined = "\n".join(lines)
    if joined.count("\n") != len(lines) - 1 or "\r" in joined or "\0" in joined:
        joined = "\n".join(_BREAKS.sub(" ", line) for line in lines)
    head = joined.replace("\n", "\r\n") + "\r\n\r\n"
    try:
        return head.encode("latin-1")
    except UnicodeEncodeError:
        return head.encode("utf-8", "replace")


def _body(stream: _Stream, foreign: Foreign, framing: str) -> None:
    flags = _WHOLE_FRAME if framing == "chunked" else READ_END
    if foreign.cuts is None:
        if foreign.body:
            stream.tell("chunk_received", None, foreign.body, at_ns=foreign.end_ns, flags=flags)
        return
    at = 0
    for cut in foreign.cuts:
        stream.tell(
            "chunk_received",
            None,
            foreign.body[at : cut.end],
            at_ns=cut.elapsed_ns,
            flags=flags if cut.flags is None else cut.flags,
        )
        at = cut.end
