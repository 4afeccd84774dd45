"""What folds produce, whatever the dialect: messages with parts, choices, an answer.

Law: what was not sent is absent (None, or an empty tuple), never a default. Text is as sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

#: Kind of the anomaly that a hash chain is broken; its detail names the first event that is changed or missing.
NOT_AS_WRITTEN: Final = "not_as_written"

#: Kind of the anomaly that there is no payload any more; without :data:`NOT_AS_WRITTEN`, it was erased on record.
ERASED: Final = "erased"

#: Kind of the anomaly that an event is of a type that nobody here knows: of a newer recorder, or damaged.
UNKNOWN_TYPE: Final = "unknown_type"


@dataclass(frozen=True, slots=True)
class Anomaly:
    """Something unusual in a recording: a fact, not an exception.

    :ivar kind: a stable snake_case word.
    :ivar detail: one sentence, or the text that is unusual.
    :ivar start: first byte in the decoded body, where it has a place there.
    :ivar end: the byte after it.
    :ivar version: the event it is about, where it is about one.
    """

    kind: str
    detail: str
    start: int | None = None
    end: int | None = None
    version: int | None = None


#: Where something came from: ``(first byte, byte after the last)`` in the decoded body, in order, neighbours joined.
#: It tells where a part came from, not what it is: equal parts may differ in it.
Ranges = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class TextPart:
    """Text of a message.

    :ivar ranges: the bytes of the decoded body that made it: whole server-sent events, lines or frames.
    """

    text: str
    ranges: Ranges = field(default=(), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class ReasoningPart:
    """What the model thought, as far as the provider shows it.

    :ivar text: the text; empty where only an opaque form came.
    :ivar fields: the fields of the wire that carried this very text, where several can.
    :ivar details: structured reasoning as sent, fragments joined.
    :ivar signature: the provider's signature over it, as sent.
    :ivar encrypted: reasoning that only the provider can read, as sent.
    :ivar ranges: as of :class:`TextPart`.
    """

    text: str
    fields: tuple[str, ...] = ()
    details: tuple[Any, ...] = ()
    signature: str | None = None
    encrypted: str | None = None
    ranges: Ranges = field(default=(), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class RefusalPart:
    """The model's refusal in its own field."""

    text: str
    ranges: Ranges = field(default=(), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class CitationPart:
    """A source that the model names for the text before it.

    :ivar value: the citation as sent.
    :ivar text: the passage it quotes, where one was sent.
    :ivar url: where the source is, where that was sent.
    :ivar title: what the source is called, where that was sent.
    """

    value: Any
    text: str | None = None
    url: str | None = None
    title: str | None = None
    ranges: Ranges = field(default=(), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class ToolResultPart:
    """What a tool answered, in a request or by a tool that the provider runs itself.

    :ivar call_id: id of the call that it answers.
    :ivar name: the tool's name, where it was sent.
    :ivar text: its text, all pieces joined; None where it has none.
    :ivar failed: the tool failed, where that was said.
    :ivar value: the result as sent, where it is more than text. A number with more digits than a float holds is a
        :class:`~decimal.Decimal`; ``str`` of a number with a fraction or an exponent is how it was sent.
    """

    call_id: str | None = None
    name: str | None = None
    text: str | None = None
    failed: bool | None = None
    value: Any = None
    ranges: Ranges = field(default=(), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class MediaPart:
    """An image, a sound, a video or a file, by reference: its bytes stay where they are recorded.

    :ivar kind: ``image``, ``audio``, ``video`` or ``file``.
    :ivar media_type: its MIME type, where one was sent.
    :ivar url: where it is, where it came as a URL (a ``data:`` URL is inline).
    :ivar file_id: the provider's id of it.
    :ivar size: bytes that came inline, after base64.
    :ivar sha256: their SHA-256, hex.
    :ivar extras: other fields, as sent.
    """

    kind: str
    media_type: str | None = None
    url: str | None = None
    file_id: str | None = None
    size: int | None = None
    sha256: str | None = None
    extras: Mapping[str, Any] = field(default_factory=dict)
    ranges: Ranges = field(default=(), compare=False, repr=False)


class Told(NamedTuple):
    """How a tool call was told, as far as its dialect can say.

    :ivar begin: the first byte of what began it, where that is not the first of its pieces.
    :ivar end: the byte after what said that nothing more of it comes; None where nothing did.
    :ivar made_here: its arguments came as a value that stands nowhere in one piece, so their text was made here.
    """

    begin: int | None = None
    end: int | None = None
    made_here: bool = False


@dataclass(frozen=True, slots=True)
class ToolCallPart:
    """A call of a tool that the model asks for.

    :ivar arguments_text: the arguments exactly as they came, however incomplete: the text that the dialect sends, or,
        where it sends a JSON value, the text of that value in the body.
    :ivar complete: the arguments parse *and* the call is known to be finished, with nothing missing in its midst.
    :ivar arguments: the parsed arguments; meaningless unless *complete*. A number with more digits than a float holds
        is a :class:`~decimal.Decimal`.
    :ivar index: its index on the wire, where one was sent.
    :ivar legacy: it came as ``function_call``.
    :ivar extras: other fields of the call, as sent.
    :ivar told: where it began and ended.
    """

    arguments_text: str
    id: str | None = None
    name: str | None = None
    complete: bool = False
    arguments: Any = None
    index: int | None = None
    legacy: bool = False
    extras: Mapping[str, Any] = field(default_factory=dict)
    ranges: Ranges = field(default=(), compare=False, repr=False)
    told: Told = field(default=Told(), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class OtherPart:
    """A part that has no form of its own here, as sent."""

    kind: str
    value: Any
    ranges: Ranges = field(default=(), compare=False, repr=False)


Part = TextPart | ReasoningPart | RefusalPart | ToolCallPart | ToolResultPart | CitationPart | MediaPart | OtherPart


class _Canonical:
    """Room for what stands for a message among others, where somebody has made it: it comes again with every request.

    No field: it is made of these (:mod:`recorder.core.conversation`), and says nothing that they do not.
    """

    __slots__ = ("canonical",)

    canonical: bytes


@dataclass(frozen=True, slots=True)
class Message(_Canonical):
    """One message of a request or of an answer.

    :ivar role: as sent; None when it was not.
    :ivar name: the author's or the function's name, where one was given.
    :ivar tool_call_id: the call that a tool's message answers.
    :ivar extras: other fields, as sent; of a stream, the list of the values that came.
    """

    role: str | None
    parts: tuple[Part, ...] = ()
    name: str | None = None
    tool_call_id: str | None = None
    extras: Mapping[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """All text parts, joined."""
        return "".join(part.text for part in self.parts if isinstance(part, TextPart))

    @property
    def tool_calls(self) -> tuple[ToolCallPart, ...]:
        """The calls among the parts."""
        return tuple(part for part in self.parts if isinstance(part, ToolCallPart))


#: A field of a message that was not sent: it is the calls that the results after it repeat, one of each result. It
#: holds the names of the fields that repeat them, as a tuple: no value that came as JSON is one.
REPEATED_BY: Final = "repeated_by"

#: What a finish reason of any provider comes down to.
FINISHES: Final = frozenset(
    {"stop", "length", "tool_calls", "content_filter", "refusal", "error", "paused", "cancelled", "other"}
)


@dataclass(frozen=True, slots=True)
class TokenCounts:
    """Tokens as the provider counted them, under one name for each kind; what was not sent is None.

    Cumulative reports are not summed: the last value of each kind counts, but for those of a report of nothing but
    zeros that follows others (:func:`telling`).

    :ivar input: of the request, as the provider counts it: with cached ones or without.
    :ivar output: of the answer.
    :ivar total: as sent; never computed.
    :ivar cached: of the request, read from a cache.
    :ivar cache_written: of the request, written to a cache.
    :ivar reasoning: of the answer, spent on reasoning.
    """

    input: int | None = None
    output: int | None = None
    total: int | None = None
    cached: int | None = None
    cache_written: int | None = None
    reasoning: int | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the answers to a request.

    :ivar finish_reasons: every non-empty reason that was sent, in order, equal neighbours once; usually one.
    :ivar logprobs: as sent, lists of fragments joined.
    :ivar extras: other fields of the choice, the last value of each.
    :ivar failed: a finish reason says that the provider failed.
    :ivar finish: the last reason in the words of :data:`FINISHES`; None where none was sent.
    """

    index: int
    message: Message
    finish_reasons: tuple[str, ...] = ()
    logprobs: Mapping[str, Any] | None = None
    extras: Mapping[str, Any] = field(default_factory=dict)
    failed: bool = False
    finish: str | None = None

    @property
    def finish_reason(self) -> str | None:
        """The last reason that was sent."""
        return self.finish_reasons[-1] if self.finish_reasons else None


@dataclass(frozen=True, slots=True)
class RequestReading:
    """What a dialect reads from a request.

    :ivar choices: how many answers were asked for, where it says so.
    """

    dialect: str
    messages: tuple[Message, ...] = ()
    model: str | None = None
    choices: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a dialect reads from a body.

    :ivar shape: what the bytes are: ``sse``, ``json``, ``ndjson``, ``eventstream``, ``text``, ``binary`` or
        ``empty``.
    :ivar understood: the dialect can tell from the bytes whether the answer is finished; not so where it does not
        know the format, or something is missing in the midst of an answer that came to its end.
    :ivar whole: the body is one whole document; None where the shape does not have such a notion.
    :ivar pending: the document says that the answer is still being made: it is to be asked for again.
    :ivar usage_reports: every usage that was sent, in order, equal neighbours once; never summed.
    :ivar tokens: what they say, in one form for all dialects; None where there is none.
    :ivar models: the models that answered, each once, in order.
    :ivar ids: the provider's ids of the answer, each once, in order.
    :ivar errors: error objects that came in the body, as sent.
    :ivar sentinel_seen: the dialect's end marker came.
    :ivar events: server-sent events (or documents) read.
    :ivar unparsed_tail_bytes: bytes at the end that make no whole event or document.
    :ivar extras: other top-level fields, the last value of each.
    :ivar holes: where in its midst something could not be read, or (both ends the same) seems to be missing: what was
        open there may lack a part.
    :ivar items: the parts by the ids that the provider gave them, where a later request may name these instead.
    """

    dialect: str
    shape: str
    understood: bool = False
    whole: bool | None = None
    choices: tuple[Choice, ...] = ()
    usage_reports: tuple[Any, ...] = ()
    tokens: TokenCounts | None = None
    models: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    errors: tuple[Any, ...] = ()
    sentinel_seen: bool = False
    events: int = 0
    unparsed_tail_bytes: int = 0
    extras: Mapping[str, Any] = field(default_factory=dict)
    anomalies: tuple[Anomaly, ...] = ()
    pending: bool = False
    holes: Ranges = field(default=(), compare=False, repr=False)
    items: Mapping[str, tuple[Part, ...]] = field(default_factory=dict, compare=False, repr=False)

    @property
    def usage(self) -> Any:
        """The last usage that was sent and that says something, see :func:`telling`; or None."""
        told = telling(self.usage_reports)
        return told[-1] if told else None


def telling(reports: Iterable[Any]) -> list[Any]:
    """Return the reports of usage without those of nothing but zeros that follow others: they take nothing back.

    SGLang ends a stream with one, after it has counted. A single count that is 0 says so.
    """
    found: list[Any] = []
    for report in reports:
        counts = list(_numbers(report))
        if not found or any(counts) or len(counts) < 2:
            found.append(report)
    return found


def _numbers(value: Any) -> Iterator[float]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if isinstance(value, int | float):
        yield value
    for one in inner:
        yield from _numbers(one)
