"""A cassette's lines: the events of exchanges as JSON that people read and git compares.

JSON Lines (https://jsonlines.org), UTF-8. Every line says by its first member what it is::

    {"cassette": 1, "exchanges": 2, "match": {…}, "redact": […]}      the first line
    {"exchange": ID, "at": …, "mono": …, "instance": ID, "salt": …}   an exchange begins ("conversation": its opening)
    {"event": "request_sent", "ns": 0, "head": […], "json": {…}}      its events, in order
    {"event": "chunk_received", "ns": 61042, "body": "data: …"}
    {"end": ID, "hash": …}                                            it is all there

Nothing of the events is lost: from these lines they come back bit for bit, and their hashes with them. The hash at
the end tells whether a line was changed; the numbers in the first line, whether an exchange is missing. What stands in
no table of docs/format.md is refused: a member that is misspelt would otherwise be one that is left out.

While something is recorded, the first line has ``"recording": true`` instead of a number, exchanges that run at the
same time stand among each other, and ``{"more": ID}`` says whose events follow. A program that is killed leaves it so.
"""

from __future__ import annotations

import json
import re
import struct
import uuid
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from recorder.core.cassette_body import STYLES, head_lines, head_of, payload, payload_of, written
from recorder.core.chain import genesis, link
from recorder.core.events import CONVERSATION_TYPES, FORMAT_VERSION, TYPE_CODES, Event, StreamOpened, meta_text
from recorder.core.json_text import parse_json, rfc3339, scan_value
from recorder.core.sealing import hasher

#: The version of the cassette's format that is written here.
CASSETTE_VERSION: Final = 1

_HEADED: Final = frozenset({"request_sent", "response_started"})
_ID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_encode: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode
_encode_ascii: Final = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
#: What ends a line for some programs, is not seen, or turns the text around it: no reviewer could read what is there.
_UNSEEN: Final = re.compile("[\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]")
_EVENT_MEMBERS: Final = frozenset(
    {"event", "ns", "skew", "flags", "instance", "head", "body", *STYLES, "meta", "meta_text"}
)
_CHUNK_MEMBERS: Final = frozenset({"event", "ns", "skew", "flags", "body"})
_CONFLICT: Final = (b"<<<<<<< ", b"||||||| ", b"=======", b">>>>>>> ")
_OPENING_MEMBERS: Final = frozenset({"at", "mono", "instance", "salt", "format"})


class LineError(ValueError):
    """A line of a cassette that cannot be read.

    :param number: of the line, from 1.
    """

    def __init__(self, number: int, message: str) -> None:
        super().__init__(message)
        self.number = number


class NewerVersionError(LineError):
    """A line that only another version of recorder can read."""


class ConflictError(LineError):
    """A line that git leaves where two versions of a file could not be merged."""


class DuplicateError(LineError):
    """An exchange begins that is there already."""


class ChangedError(LineError):
    """The lines of an exchange are not those that were written."""


def line(value: Any) -> bytes:
    """Return a value as one line."""
    text = _encode(value)
    if not text.isascii() and _UNSEEN.search(text):
        text = _UNSEEN.sub(_escaped, text)
    try:
        return text.encode("utf-8") + b"\n"
    except UnicodeEncodeError:  # half of a surrogate pair in what a server has said
        return _encode_ascii(value).encode("ascii") + b"\n"


def _escaped(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


def _text(identity: bytes) -> str:
    return str(uuid.UUID(bytes=identity))


def header_line(
    exchanges: int | None, match: dict[str, Any] | None = None, redact: Sequence[str] = (), *, conversations: int = 0
) -> bytes:
    """Return the first line.

    :param exchanges: how many there are; None while something is recorded.
    :param conversations: how many openings of conversations there are.
    :param match: how requests are matched; None for strictly.
    :param redact: rules of redaction beside the built-in ones.
    """
    value: dict[str, Any] = {"cassette": CASSETTE_VERSION}
    value |= {"recording": True} if exchanges is None else {"exchanges": exchanges}
    if conversations and exchanges is not None:
        value["conversations"] = conversations
    if match:
        value["match"] = match
    if redact:
        value["redact"] = list(redact)
    return line(value)


def opening_line(opened: StreamOpened, first: Event) -> bytes:
    """Return the line with which an event stream begins.

    :param first: its first event, whose times are those that the others count from.
    """
    kind = "conversation" if first.type in CONVERSATION_TYPES else "exchange"
    value: dict[str, Any] = {kind: _text(opened.stream), "at": rfc3339(first.wall_ns), "mono": first.mono_ns}
    value |= {"instance": _text(opened.instance), "salt": opened.secret.hex()}
    if opened.format != FORMAT_VERSION:
        value["format"] = opened.format
    return line(value)


def event_line(event: Event, opened: StreamOpened, first: Event) -> bytes:
    """Return the line of one event."""
    elapsed = event.mono_ns - first.mono_ns
    value: dict[str, Any] = {"event": event.type, "ns": elapsed}
    if skew := event.wall_ns - first.wall_ns - elapsed:
        value["skew"] = skew
    if event.flags:
        value["flags"] = event.flags
    if event.instance != opened.instance:
        value["instance"] = _text(event.instance)
    facts = None if event.meta is None else _facts(event.meta)
    value |= _bytes_of(event, facts)
    if event.meta is not None:
        value |= {"meta_text": event.meta} if facts is None else {"meta": facts}
    return line(value)


def _facts(meta: str) -> dict[str, Any] | None:
    """Return the facts whose text is *meta*, to the letter; None where there are none."""
    try:
        facts = parse_json(meta, strict=True)
        return facts if isinstance(facts, dict) and meta_text(facts) == meta else None
    except ValueError:
        return None


def _bytes_of(event: Event, facts: dict[str, Any] | None) -> dict[str, Any]:
    body = event.body
    if body is None:
        return {}
    if event.type not in _HEADED:
        return {"body": written(body)}
    size = facts.get("head", len(body)) if facts is not None and event.type == "request_sent" else len(body)
    lines = head_lines(body[:size]) if isinstance(size, int) and size >= 0 else None
    return {"body": written(body)} if lines is None else {"head": lines, **payload(body[size:])}


def more_line(stream: bytes) -> bytes:
    """Return the line after which events of another event stream follow."""
    return line({"more": _text(stream)})


def end_line(stream: bytes, head: bytes) -> bytes:
    """Return the line that ends an event stream: all that there is of it stands before.

    :param head: hash of its last event.
    """
    return line({"end": _text(stream), "hash": head.hex()})


def stream_lines(opened: StreamOpened, events: Sequence[Event], *, ends: bool = True) -> Iterator[bytes]:
    """Yield the lines of an event stream that has at least one event.

    :param ends: that is all there is of it.
    """
    yield opening_line(opened, events[0])
    for event in events:
        yield event_line(event, opened, events[0])
    if ends:
        yield end_line(opened.stream, events[-1].hash)


# Reading


def parsed(number: int, text: bytes) -> dict[str, Any]:
    """Return what a line says.

    :raises LineError: it is no JSON object.
    """
    if text.startswith(_CONFLICT):
        raise ConflictError(number, "is what git leaves of a conflict")
    try:
        value = _value(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise LineError(number, "is no JSON object")
    return value


def _value(text: bytes) -> Any:
    """As ``json.loads``, which looks for an encoding and for spaces first, and takes twice as long."""
    told = text.decode("utf-8")
    try:
        value, end = scan_value(told, 0)
    except StopIteration:  # it begins with something else: spaces, a byte order mark
        return json.loads(text)
    return value if end == len(told) else json.loads(text)


def require_unambiguous(number: int, text: bytes) -> None:
    """Refuse a line in which an object has a member twice: people may read the one, and what is played is the other.

    It takes twice as long as reading the line, and is for who checks a file.

    :raises LineError: it has one.
    """
    twice: list[str] = []

    def paired(pairs: list[tuple[str, Any]]) -> None:
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                twice.append(name)
            seen.add(name)

    json.loads(text, object_pairs_hook=paired)
    if twice:
        raise LineError(number, f"has the member {twice[0]!r} twice")


def require_known(number: int, value: dict[str, Any], known: frozenset[str]) -> None:
    """Refuse a line with a member that nothing here would read.

    :raises LineError: it has one.
    """
    if not value.keys() <= known:
        raise LineError(number, f"has a member that is not known: {min(value.keys() - known)!r}")


def read_opening(number: int, value: dict[str, Any]) -> tuple[StreamOpened, int, int]:
    """Return what an opening line says: the opening, wall time and monotonic time of the first event.

    :raises LineError: it cannot be read.
    """
    name = "exchange" if "exchange" in value else "conversation"
    require_known(number, value, _OPENING_MEMBERS | {name})
    secret = _hexadecimal(number, value, "salt", 32)
    stream, instance = _identity(number, value, name), _identity(number, value, "instance")
    opened = StreamOpened(stream, instance, secret, _integer(number, value, "format", FORMAT_VERSION))
    if opened.format != FORMAT_VERSION:
        told = f"is of event format {opened.format}, this version of recorder reads {FORMAT_VERSION}"
        raise NewerVersionError(number, told)
    return opened, _wall_ns(number, value.get("at")), _integer(number, value, "mono")


def read_events(opening: tuple[StreamOpened, int, int], lines: Iterable[tuple[int, bytes]]) -> Iterator[Event]:
    """Yield the events of a stream with the hashes that they must have, from their numbered lines.

    :raises LineError: a line cannot be read.
    """
    opened, wall_ns, mono_ns = opening
    stream, head, hash_of = opened.stream, genesis(opened.stream), hasher(opened)
    for version, (number, text) in enumerate(lines, 1):
        value = parsed(number, text)
        require_known(number, value, _EVENT_MEMBERS)
        kind = value.get("event")
        if not isinstance(kind, str) or kind not in TYPE_CODES:
            raise NewerVersionError(number, f"is an event of a type that is not known here: {kind!r}")
        elapsed, skew, flags = value.get("ns"), value.get("skew", 0), value.get("flags", 0)
        if not type(elapsed) is type(skew) is type(flags) is int:  # True is one, and no number
            raise LineError(number, f"has no whole number as {_wrong(value)!r}")
        wall, mono = wall_ns + elapsed + skew, mono_ns + elapsed
        meta, body, instance = _meta(number, value), _body(number, value), opened.instance
        try:
            if "instance" in value:
                instance = _identity(number, value, "instance")
                event = Event(stream, version, kind, wall, mono, instance, flags, meta, body, b"")
                head = link(head, opened.secret, event)
            else:
                facts = None if meta is None else meta.encode("ascii")
                head = hash_of(head, version, kind.encode("ascii"), wall, mono, flags, facts, body)
        except (struct.error, OverflowError) as error:  # a number that no field has room for
            raise LineError(number, f"holds what no event can ({error})") from None
        yield Event(stream, version, kind, wall, mono, instance, flags, meta, body, head)


def read_request(number: int, text: bytes) -> tuple[dict[str, Any], bytes] | None:
    """Return the facts and the bytes of a line that tells of a request; None where it tells of something else.

    Its hash is not reckoned, and its facts are as they are read: for an index of a whole file.

    :raises LineError: it cannot be read.
    """
    value = parsed(number, text)
    meta = value.get("meta")
    if value.get("event") != "request_sent" or not isinstance(meta, dict) or "meta_text" in value:
        return None
    require_known(number, value, _EVENT_MEMBERS)
    return meta, _body(number, value) or b""


def read_end(number: int, value: dict[str, Any]) -> tuple[bytes, bytes]:
    """Return what an end line says: the event stream, and the hash of its last event.

    :raises LineError: it cannot be read.
    """
    require_known(number, value, frozenset({"end", "hash"}))
    return _identity(number, value, "end"), _hexadecimal(number, value, "hash", 32)


def read_more(number: int, value: dict[str, Any]) -> bytes:
    """Return the event stream that a ``more`` line names.

    :raises LineError: it cannot be read.
    """
    require_known(number, value, frozenset({"more"}))
    return _identity(number, value, "more")


def _wrong(value: dict[str, Any]) -> str:
    return next(
        name for name in ("ns", "skew", "flags") if type(value.get(name, None if name == "ns" else 0)) is not int
    )


def _body(number: int, value: dict[str, Any]) -> bytes | None:
    text = value.get("body")
    try:
        if type(text) is str and value.keys() <= _CHUNK_MEMBERS:
            return text.encode("utf-8")
        head = head_of(value["head"]) if "head" in value else None
        rest = payload_of(value)
    except ValueError as error:  # UnicodeEncodeError is one
        raise LineError(number, f"has a body that cannot be read ({error})") from None
    return rest if head is None else head + (rest or b"")


def _meta(number: int, value: dict[str, Any]) -> str | None:
    text = value.get("meta_text")
    if "meta" in value:
        if text is not None:
            raise LineError(number, "has both meta and meta_text")
        try:
            return meta_text(value["meta"])
        except ValueError:
            raise LineError(number, "has facts with a number that JSON does not have") from None
    if text is not None and not (isinstance(text, str) and text.isascii()):
        raise LineError(number, "has a meta_text that is no text of ASCII characters")
    return text


def _integer(number: int, value: dict[str, Any], name: str, default: int | None = None) -> int:
    found = value.get(name, default)
    if isinstance(found, bool) or not isinstance(found, int):
        raise LineError(number, f"has no whole number as {name!r}")
    return found


def _identity(number: int, value: dict[str, Any], name: str) -> bytes:
    text = value.get(name)
    if type(text) is str and _ID.fullmatch(text):
        return bytes.fromhex(text.replace("-", ""))  # uuid.UUID takes ten times as long
    raise LineError(number, f"has no id as {name!r}")


def _hexadecimal(number: int, value: dict[str, Any], name: str, size: int) -> bytes:
    try:
        found = bytes.fromhex(value[name])
    except (KeyError, ValueError, TypeError):
        found = b""
    if len(found) != size:
        raise LineError(number, f"has no {2 * size} hexadecimal digits as {name!r}")
    return found


def _wall_ns(number: int, text: Any) -> int:
    """Read the time that :func:`~recorder.core.json_text.rfc3339` writes: nanoseconds since 1970."""
    try:
        seconds, _, fraction = text.removesuffix("Z").partition(".")
        since = datetime.fromisoformat(f"{seconds}+00:00") - _EPOCH
        return (since.days * 86400 + since.seconds) * 1_000_000_000 + int(fraction.ljust(9, "0")[:9])
    except (AttributeError, ValueError, TypeError):
        raise LineError(number, "has no time as 'at'") from None
