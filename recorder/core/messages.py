"""What folds produce, whatever the dialect: messages with parts, choices, an answer.

Law: what was not sent is absent (None, or an empty tuple), never a default. Text is as sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

#: Kind of the anomaly that a hash chain is broken; its detail names the first event that is changed or missing.
NOT_AS_WRITTEN: Final = "not_as_written"


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


@dataclass(frozen=True, slots=True)
class TextPart:
    """Text of a message."""

    text: str


@dataclass(frozen=True, slots=True)
class ReasoningPart:
    """What the model thought, as far as the provider shows it.

    :ivar text: the text; empty where only an opaque form came.
    :ivar fields: the fields of the wire that carried this very text.
    :ivar details: structured reasoning as sent (signatures, encrypted blocks), fragments joined.
    """

    text: str
    fields: tuple[str, ...] = ()
    details: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class RefusalPart:
    """The model's refusal in its own field."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCallPart:
    """A call of a tool that the model asks for.

    :ivar arguments_text: the arguments exactly as they came, however incomplete.
    :ivar complete: the arguments parse *and* the call is known to be finished.
    :ivar arguments: the parsed arguments; meaningless unless *complete*.
    :ivar index: its index on the wire, where one was sent.
    :ivar legacy: it came as ``function_call``.
    :ivar extras: other fields of the call, as sent.
    """

    arguments_text: str
    id: str | None = None
    name: str | None = None
    complete: bool = False
    arguments: Any = None
    index: int | None = None
    legacy: bool = False
    extras: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OtherPart:
    """A part that has no form of its own here (image, audio, reference …), as sent."""

    kind: str
    value: Any


Part = TextPart | ReasoningPart | RefusalPart | ToolCallPart | OtherPart


@dataclass(frozen=True, slots=True)
class Message:
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


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the answers to a request.

    :ivar finish_reasons: every non-empty reason that was sent, in order, equal neighbours once; usually one.
    :ivar logprobs: as sent, lists of fragments joined.
    :ivar extras: other fields of the choice, the last value of each.
    :ivar failed: a finish reason says that the provider failed.
    """

    index: int
    message: Message
    finish_reasons: tuple[str, ...] = ()
    logprobs: Mapping[str, Any] | None = None
    extras: Mapping[str, Any] = field(default_factory=dict)
    failed: bool = False

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
    :ivar understood: the dialect can tell from the bytes whether the answer is finished.
    :ivar whole: the body is one whole document; None where the shape does not have such a notion.
    :ivar usage_reports: every usage that was sent, in order, equal neighbours once; never summed.
    :ivar models: the models that answered, each once, in order.
    :ivar ids: the provider's ids of the answer, each once, in order.
    :ivar errors: error objects that came in the body, as sent.
    :ivar sentinel_seen: the dialect's end marker came.
    :ivar events: server-sent events (or documents) read.
    :ivar unparsed_tail_bytes: bytes at the end that make no whole event or document.
    :ivar extras: other top-level fields, the last value of each.
    """

    dialect: str
    shape: str
    understood: bool = False
    whole: bool | None = None
    choices: tuple[Choice, ...] = ()
    usage_reports: tuple[Any, ...] = ()
    models: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    errors: tuple[Any, ...] = ()
    sentinel_seen: bool = False
    events: int = 0
    unparsed_tail_bytes: int = 0
    extras: Mapping[str, Any] = field(default_factory=dict)
    anomalies: tuple[Anomaly, ...] = ()

    @property
    def usage(self) -> Any:
        """The last usage that was sent, or None."""
        return self.usage_reports[-1] if self.usage_reports else None
