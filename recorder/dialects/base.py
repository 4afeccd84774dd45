"""What a dialect owes, and how one is chosen.

A dialect is one provider wire format. Adding one is adding one file to this package: a module whose
``DIALECT`` is an object of this Protocol; nothing else names it. Another package adds one by an entry point.
It is chosen by the bytes, the content type and the URL. What the request asked for (``stream: true``) does not
count: servers answer as they like.
"""

from __future__ import annotations

import copy
import importlib
import pkgutil
import re
import warnings
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache, cached_property
from importlib.metadata import entry_points
from itertools import islice
from operator import itemgetter
from typing import Any, Final, ParamSpec, Protocol, TypeVar
from urllib.parse import unquote

from recorder.core.eventstream import Frame, FrameParser
from recorder.core.json_text import parse_json, whole
from recorder.core.messages import Answer, RequestReading
from recorder.core.sse import SSEParser
from recorder.errors import DialectError

#: The entry point group of dialects: each names an object of :class:`Dialect`.
ENTRY_POINTS: Final = "recorder.dialects"
_Asked = ParamSpec("_Asked")
_Told = TypeVar("_Told")
_Found_co = TypeVar("_Found_co", covariant=True)
#: How many bytes of a body are looked at to recognise it.
HEAD: Final = 65536
_SAMPLES: Final = 8
#: How many bytes are looked through where what comes first says nothing.
_REACH: Final = 1 << 20
#: A claim that what comes later cannot better; a ping, an error or the URL alone make less.
_SURE: Final = 0.7
_STEP: Final = 4096
_BLANK: Final = re.compile(rb"(?:\xef\xbb\xbf)?\s*")
_SSE_LINE: Final = re.compile(rb"\s*(?:\xef\xbb\xbf)?\s*(?::|(?:data|event|id|retry|error)(?::|[\r\n]))")

_STREAMS: Final = ("sse", "ndjson")
#: What says only that somebody is still there.
WAITING: Final = frozenset({"ping", "pong", "keepalive", "keep-alive", "keep_alive", "heartbeat"})
_LABELS: Final = frozenset({"id", "type", "event", "object", "model", "status", "state", "time", "timestamp"})

#: The shapes that most dialects have: an event stream, one document, and what has not come yet.
SHAPES: Final = ("sse", "json", "empty")
#: Those, and one JSON value a line.
SHAPES_OR_LINES: Final = (*SHAPES, "ndjson")


def path_of(url: str) -> str:
    """Return the scheme, host and path of a URL, as dialects look at it: without query, fragment and last slash."""
    return url.partition("?")[0].partition("#")[0].rstrip("/")


#: Where URLs name the model: of Bedrock, of Vertex AI, of Azure, which calls a model that is set up a deployment.
_MODELS: Final = re.compile(
    r"/model/(?P<bedrock>[^/]+)/(?:invoke|converse)(?:-\w+)*$"
    r"|/publishers/[^/]+/models/(?P<vertex>[^/]+?)(?::|%3a)\w+$"
    r"|/openai/deployments/(?P<azure>[^/]+)/",
    re.IGNORECASE,
)


def model_in(url: str) -> str | None:
    """Return the model that a URL names; None where it names none."""
    found = _MODELS.search(path_of(url))
    return unquote(found[found.lastgroup]) if found and found.lastgroup else None


class Clues:
    """What a dialect is recognised by.

    :param url: the request's URL.
    :param content_type: the answer's ``content-type`` header; may lie, may be absent (empty).
    :param body: the body below its content coding.
    """

    def __init__(self, url: str, content_type: str, body: bytes) -> None:
        self.url = url
        self.path = path_of(url)
        self.content_type = content_type.partition(";")[0].strip().lower()
        self.body = body

    @cached_property
    def head(self) -> bytes:
        """The first bytes of the body, after a byte order mark and white space, which some servers send at first."""
        blank = _BLANK.match(self.body)
        start = blank.end() if blank else 0
        return self.body[start : start + HEAD]

    @cached_property
    def shape(self) -> str:
        """What the bytes are: ``sse``, ``json``, ``ndjson``, ``eventstream``, ``text``, ``binary`` or ``empty``."""
        if _is_eventstream(self.body):
            return "eventstream"
        head = self.head
        if not head:
            return "empty"
        if head[:1] in (b"{", b"["):
            first, newline, rest = head.partition(b"\n")
            return "ndjson" if newline and rest.lstrip()[:1] == b"{" and _is_json(first) else "json"
        if self.content_type == "application/vnd.amazon.eventstream":
            return "eventstream"  # its first frame is cut or damaged
        if _SSE_LINE.match(head) or self.content_type == "text/event-stream":
            return "sse"
        return "binary" if b"\0" in head else "text"

    @cached_property
    def samples(self) -> tuple[Any, ...]:
        """The JSON values of the first server-sent events or lines, or of the whole JSON document."""
        if self.shape == "json":
            return tuple(_values([self.body]))
        return tuple(_values(islice(self._texts(HEAD), _SAMPLES)))

    @property
    def silent(self) -> bool:
        """Whether it is a stream that says nothing so far of what it is: its URL does."""
        return self.shape in _STREAMS and all(map(_is_silent, self.samples))

    def later(self) -> Clues | None:
        """Return these clues with other samples: the first that have something in them, where the ones so far have not.

        Servers send signs that they are still there, as many as it takes. None where there are no other samples.
        """
        if self.shape not in _STREAMS or not all(map(_is_flat, self.samples)):
            return None
        found = islice((value for value in _values(self._texts(_REACH)) if not _is_flat(value)), _SAMPLES)
        later = copy.copy(self)
        later.samples = tuple(found)
        return later if later.samples else None

    def _texts(self, reach: int) -> Iterator[str | bytes]:
        """Yield what its first events or lines hold, as far as they are within so many bytes."""
        if self.shape == "sse":
            yield from (event.data for event in _parsed(SSEParser(), self.body[:reach]))
        elif self.shape == "ndjson":
            yield from (line for line in self.body[:reach].split(b"\n") if line.strip())

    @cached_property
    def frames(self) -> tuple[Frame, ...]:
        """The first frames of an AWS event stream; of another shape, none."""
        if self.shape != "eventstream":
            return ()
        return tuple(islice(_parsed(FrameParser(), self.body), _SAMPLES))


def _is_eventstream(body: bytes) -> bool:
    """Whether an AWS event-stream prelude begins *body*: two lengths and the CRC-32 of them."""
    return len(body) >= 12 and zlib.crc32(body[:8]) == int.from_bytes(body[8:12], "big")


class _Parser(Protocol[_Found_co]):
    def feed(self, chunk: bytes) -> Sequence[_Found_co]: ...


def _parsed(parser: _Parser[_Found_co], body: bytes) -> Iterator[_Found_co]:
    """What a parser finds in *body*, no more of it read than is asked for."""
    for at in range(0, len(body), _STEP):
        yield from parser.feed(body[at : at + _STEP])


def _values(texts: Iterable[str | bytes]) -> Iterator[Any]:
    """Yield the JSON values among some texts."""
    for text in texts:
        try:
            yield parse_json(text)
        except ValueError:
            continue


def _is_flat(value: Any) -> bool:
    """Whether a value has no other one in it."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return not any(held and isinstance(held, dict | list) for held in inner)


def _is_silent(value: Any) -> bool:
    """Whether a value is nothing but a sign of life: it has numbers, labels and states, and no text."""
    if not isinstance(value, dict) or not _is_flat(value):
        return not value
    told = {name for name, held in value.items() if isinstance(held, str) and held}
    kind = value.get("type") or "ping"
    return told <= _LABELS and isinstance(kind, str) and kind.lower() in WAITING


def _is_json(line: bytes) -> bool:
    try:
        parse_json(line)
    except ValueError:
        return False
    return True


def recognised(
    clues: Clues,
    likeness: Callable[[Any], float],
    *,
    head: re.Pattern[bytes],
    placed: bool,
    vague: Callable[[Any], bool],
    shapes: Collection[str] = SHAPES,
    head_size: int = HEAD,
) -> float:
    """Return how well a body fits a dialect, as :meth:`Dialect.claims` does: by its values, else by the URL.

    :param likeness: tells from 0 to 1 how much a JSON value looks like one of this dialect.
    :param head: what the first bytes have where no value can be read of them: the first one is long, or cut.
    :param placed: the URL is one of this dialect's.
    :param vague: tells whether a value may be of any dialect (an error, a ping): then the URL decides.
    :param shapes: those that a body of this dialect may have.
    :param head_size: how many bytes are looked at for *head*.
    """
    if clues.shape not in shapes:
        return 0.0
    if not clues.samples:
        if head.search(clues.head[:head_size]):
            return 0.9
        return 0.5 if placed else 0.0
    likely = max(map(likeness, clues.samples))
    if likely:
        return likely
    return 0.5 if placed and (clues.silent or any(map(vague, clues.samples))) else 0.0


def messages_of(payload: Any) -> list[dict[str, Any]] | None:
    """Return the ``messages`` of a request's payload; None where it has none, or where one is no object."""
    messages = payload.get("messages") if isinstance(payload, dict) else None
    if isinstance(messages, list) and all(isinstance(item, dict) for item in messages):
        return messages
    return None


class AnswerReader(Protocol):
    """Reads one body, in any pieces."""

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the body."""
        ...

    def close(self) -> Answer:
        """Take the end of the body and return what it says."""
        ...


class Dialect(Protocol):
    """One provider wire format."""

    @property
    def name(self) -> str:
        """A stable name, as in ``show --json``."""
        ...

    def claims(self, clues: Clues) -> float:
        """Return from 0 (not mine) to 1 (certainly mine) how well the body fits."""
        ...

    def read_request(self, url: str, payload: Any) -> RequestReading | None:
        """Return what the request's JSON *payload* says, or None where it is not of this dialect."""
        ...

    def reader(self, clues: Clues) -> AnswerReader:
        """Return a reader for the body that *clues* describe. It never raises, whatever the bytes."""
        ...


@cache
def dialects() -> tuple[Dialect, ...]:
    """Return every dialect, in the order of their names: those of this package, and those of others.

    Others register one under the entry point group :data:`ENTRY_POINTS`; what cannot be loaded is left out, with a
    warning, and so is one that has a name of ours. What they return is checked: :mod:`recorder.dialects.foreign`.
    """
    from recorder.dialects.foreign import ForeignDialect  # which needs what is here

    package = importlib.import_module(__package__ or "")
    modules = [
        importlib.import_module(f"{package.__name__}.{found.name}") for found in pkgutil.iter_modules(package.__path__)
    ]
    known: dict[str, Dialect] = {
        module.DIALECT.name: module.DIALECT for module in modules if hasattr(module, "DIALECT")
    }
    for point in entry_points(group=ENTRY_POINTS):
        try:
            found = ForeignDialect(point.load())
        except Exception as error:  # noqa: BLE001 - whatever is wrong with it, the others are read
            told = f"the dialect {point.name!r} cannot be loaded: {reason_of(error)}"
            warnings.warn(told, RuntimeWarning, stacklevel=2)
            continue
        if found.name in known:
            told = f"the dialect {point.name!r} has the name {found.name!r} of another one"
            warnings.warn(told, RuntimeWarning, stacklevel=2)
            continue
        known[found.name] = found
    return tuple(sorted(known.values(), key=lambda dialect: dialect.name))


def reason_of(error: Exception) -> str:
    """Return in one line why a dialect failed; its error may be of a class of somebody else's, too."""
    try:
        text = " ".join(whole(str(error)).split())
    except Exception:  # noqa: BLE001 - an error that cannot be shown is one all the same
        text = ""
    if isinstance(error, DialectError):
        return text
    return ": ".join(filter(None, (type(error).__name__, text)))


def choose(clues: Clues) -> Dialect:
    """Return the dialect that claims the body best; ``opaque`` claims everything a little."""
    found, claim = _best(clues)
    later = clues.later() if claim < _SURE else None
    if later is not None:
        other, better = _best(later)
        found = other if better > claim else found
    return found


def _best(clues: Clues) -> tuple[Dialect, float]:
    claims = [(dialect, _asked(dialect.claims, clues) or 0.0) for dialect in dialects()]
    return max(claims, key=itemgetter(1))


def failed_claims(clues: Clues) -> Iterator[str]:
    """Yield why dialects of other packages cannot tell whether a body is theirs, where none of ours takes it."""
    for dialect in dialects():
        try:
            dialect.claims(clues)
        except Exception as error:  # noqa: BLE001 - as where it was chosen
            yield f"the dialect {dialect.name} failed: {reason_of(error)}"


def _asked(method: Callable[_Asked, _Told], *args: _Asked.args, **named: _Asked.kwargs) -> _Told | None:
    """Return what a dialect answers; None where it fails, as one of another package may: that is not its own."""
    try:
        return method(*args, **named)
    except Exception:  # noqa: BLE001 - whatever is wrong with it, the others are asked
        return None


def read_request(url: str, payload: Any, answered_by: Dialect | None = None) -> RequestReading | None:
    """Return what a request says, as the dialect reads it that answered, else as the first one that can; or None.

    Payloads of several dialects look alike (``messages`` with roles): who answered is the better witness. Where the
    payload names no model, the URL may.
    """
    asked = dialects() if answered_by is None else (answered_by, *dialects())
    readings = (_asked(dialect.read_request, url, payload) for dialect in asked)
    reading = next((reading for reading in readings if reading is not None), None)
    if reading is None or reading.model:
        return reading
    return replace(reading, model=model_in(url))
