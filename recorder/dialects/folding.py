"""What the folds of all dialects are made of: parts that grow piece by piece, and what an answer adds up to.

Everything is appended in the order in which it came; nothing is summed, guessed or filled in. Each part keeps
where in the body it came from.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from recorder.core.json_sources import Sources
from recorder.core.json_text import dumps, parse_exactly, parse_json, plain, whole_text
from recorder.core.messages import (
    Answer,
    Choice,
    Message,
    Ranges,
    ReasoningPart,
    RefusalPart,
    TextPart,
    TokenCounts,
    Told,
    ToolCallPart,
    telling,
)
from recorder.dialects.facts import Facts
from recorder.dialects.facts import Place as Place  # a name of this module as well


class Origin:
    """Where the pieces of a part came from, neighbours joined.

    :ivar end: the byte after the last place; -1 where there is none.
    """

    __slots__ = ("_before", "_start", "end")

    def __init__(self) -> None:
        self._before: list[tuple[int, int]] = []
        self._start = self.end = -1

    def add(self, place: Place) -> None:
        """Take one more place; places come in order."""
        start, end = place
        if start > self.end:
            if self.end >= 0:
                self._before.append((self._start, self.end))
            self._start, self.end = place
        elif end > self.end:
            self.end = end

    @property
    def ranges(self) -> Ranges:
        """The places, as parts keep them."""
        return (*self._before, (self._start, self.end)) if self.end >= 0 else ()


class TextFold:
    """A text that grows."""

    __slots__ = ("_pieces", "origin")

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self.origin = Origin()

    def add(self, piece: str, place: Place) -> None:
        """Append *piece*."""
        self._pieces.append(piece)
        origin = self.origin
        if origin.end == place[0]:  # as Origin.add, without the call: nearly every event comes by here
            origin.end = place[1]
        else:
            origin.add(place)

    @property
    def text(self) -> str:
        """All of it; halves of surrogate pairs that came apart are joined."""
        return whole_text("".join(self._pieces))

    def __bool__(self) -> bool:
        return bool(self._pieces)

    def part(self) -> TextPart:
        """Return it as text."""
        return TextPart(self.text, self.origin.ranges)

    def refusal(self) -> RefusalPart:
        """Return it as a refusal."""
        return RefusalPart(self.text, self.origin.ranges)


class ReasoningFold(TextFold):
    """Reasoning that grows, with what comes beside its text.

    :ivar signature: the provider's signature over it; what comes later replaces it.
    :ivar encrypted: what only the provider can read.
    :ivar details: other fields of it, as sent.
    """

    __slots__ = ("details", "encrypted", "signature")

    def __init__(self) -> None:
        super().__init__()
        self.signature: str | None = None
        self.encrypted: str | None = None
        self.details: list[Any] = []

    def __bool__(self) -> bool:
        return bool(self._pieces or self.signature or self.encrypted or self.details)

    def reasoning(self) -> ReasoningPart:
        """Return it."""
        return ReasoningPart(
            self.text,
            details=tuple(self.details),
            signature=self.signature,
            encrypted=self.encrypted,
            ranges=self.origin.ranges,
        )


class CallFold:
    """A tool call that grows.

    :ivar pieces: of the arguments' text.
    :ivar value: arguments that came as a value instead.
    :ivar sent: the JSON text of that value, as it came; None where it is not known, or came in pieces.
    :ivar disputed: what came for it contradicts itself, or may belong to another call: whatever it parses to, nobody
        can tell that it is what was meant.
    :ivar begin: where it began, if that is not where the first of its pieces came.
    :ivar end: the byte after what said that nothing more of it comes; None while nothing did.
    """

    __slots__ = (
        *("begin", "disputed", "end", "extras", "id", "index", "legacy", "name", "origin", "pieces", "sent", "value"),
    )

    def __init__(self, index: int | None = None, *, legacy: bool = False) -> None:
        self.index = index
        self.legacy = legacy
        self.id: str | None = None
        self.name: str | None = None
        self.pieces: list[str] = []
        self.value: Any = None
        self.sent: str | None = None
        self.disputed = False
        self.begin: int | None = None
        self.end: int | None = None
        self.extras: dict[str, Any] = {}
        self.origin = Origin()

    def add(self, piece: str, place: Place) -> None:
        """Append *piece* to the arguments."""
        if piece:
            self.pieces.append(piece)
        self.origin.add(place)

    def take_value(self, value: Any, sent: str | None) -> bool:
        """Take arguments that came as a value; return whether there were others before.

        :param sent: the JSON text of the value, as it came; None where it is not known.
        """
        before = None if self.value is None else self._value_text
        self.value, self.sent = value, sent
        return before is not None and not same_json(before, self._value_text)

    @property
    def _value_text(self) -> str:
        if self.sent is not None:
            return self.sent
        return dumps(self.value, ensure_ascii=False, separators=(",", ":"))

    @property
    def text(self) -> str:
        """The arguments so far, as they came; of a value, its JSON, which is made here only where it is not known."""
        text = whole_text("".join(self.pieces))
        return whole_text(self._value_text) if self.value is not None and not text else text

    def _says_two(self) -> bool:
        """Whether its arguments came as a value and as text, and are not the same."""
        return self.value is not None and bool(self.pieces) and not same_json(self._value_text, self.text)

    def parses(self) -> bool:
        """Whether the arguments are a whole document so far."""
        if self.value is not None:
            return True
        try:
            parse_json("".join(self.pieces))
        except ValueError:
            return False
        return True

    def part(self, *, finished: bool, empty: Any = None) -> ToolCallPart:
        """Return it.

        :param finished: nothing more was to come; only then, and if its arguments parse, is the call complete, and
            never where it is disputed.
        :param empty: what no arguments at all stand for, where the dialect says what (Anthropic: an empty object);
            None where they stand for nothing.
        """
        text = self.text
        parsed: Any = None
        complete = finished and not self.disputed and not self._says_two()
        if complete and not text and empty is not None:
            parsed = empty
        elif complete:
            try:
                parsed = parse_exactly(text)
            except ValueError:
                complete = False
        return ToolCallPart(
            text,
            self.id,
            self.name,
            complete,
            parsed,
            self.index,
            self.legacy,
            self.extras,
            self.origin.ranges,
            Told(self.begin, self.end, made_here=self.value is not None and self.sent is None and not self.pieces),
        )


def same_json(one: str, other: str) -> bool:
    """Return whether two texts are the same, or the same JSON value written otherwise."""
    if one == other:
        return True
    try:
        # Compared as text: to Python 1, 1.0 and true are equal, and which of them a tool gets can matter.
        written = [dumps(parse_exactly(text), sort_keys=True) for text in (one, other)]
    except ValueError:
        return False
    return written[0] == written[1]


def text_or_none(value: Any) -> str | None:
    """Return *value* where it is a text, else None."""
    return value if isinstance(value, str) else None


def nonempty(value: Any) -> str | None:
    """Return *value* where it is a text that is not empty, else None."""
    return value if isinstance(value, str) and value else None


def add_text(parts: list[Any], kind: type[TextFold], piece: str, place: Place) -> None:
    """Append *piece* to the last of *parts* where that is a text of the *kind*, else to a new one after it."""
    last = parts[-1] if parts else None
    if type(last) is not kind:
        last = kind()
        parts.append(last)
    last.add(piece, place)


class AnswerFold(Facts):
    """What the values of an answer add up to, whatever the dialect.

    :ivar events: values taken.
    :ivar errors: error objects, as sent.
    :ivar extras: other top-level fields, the last value of each.
    :ivar sentinel: the end marker came.
    :ivar pending: a whole document says that the answer is still being made.
    :ivar unclear: something is missing in the midst of the answer: that its end came does not say that it is all there.
    """

    def __init__(self, dialect: str, sources: Sources | None = None) -> None:
        super().__init__(sources)
        self._dialect = dialect
        self.errors: list[Any] = []
        self.events = 0
        self.extras: dict[str, Any] = {}
        self.sentinel = False
        self.pending = False
        self.unclear = False
        self._usages: list[Any] = []
        self._ids: dict[str, None] = {}
        self._models: dict[str, None] = {}

    def take(self, value: Any, place: Place, name: str = "") -> None:
        """Take one JSON value of the answer: see :meth:`recorder.dialects.reading.Fold.take`."""
        self.events += 1
        if isinstance(value, dict):
            self.take_object(value, place, name)
        else:
            tell = self.note if value is None else self.lose
            tell("not_an_object", f"a {type(value).__name__} where an object belongs", place)

    def take_object(self, value: dict[str, Any], place: Place, name: str) -> None:
        """Take one object of the answer. A dialect says here what its objects are."""

    def usage(self, usage: Any) -> None:
        """Keep a report of usage."""
        if usage and (not self._usages or self._usages[-1] != usage):
            self._usages.append(usage)

    @property
    def usages(self) -> Sequence[Any]:
        """The reports so far."""
        return self._usages

    def identity(self, value: Any) -> None:
        """Keep the provider's id of the answer, if it is one."""
        if value and isinstance(value, str):
            self._ids[value] = None

    def model(self, value: Any) -> None:
        """Keep the name of the model that answered, if it is one."""
        if value and isinstance(value, str):
            self._models[value] = None

    def keep(self, value: Mapping[str, Any], own: Collection[str]) -> None:
        """Keep the fields of an object that have no place of their own: all that are not in *own*."""
        self.extras.update((key, held) for key, held in value.items() if key not in own and held is not None)

    def result(
        self,
        shape: str,
        choices: Iterable[Choice],
        *,
        whole: bool | None,
        tail: int,
        tokens: TokenCounts | None = None,
    ) -> Answer:
        """Return what came.

        :param shape: what the bytes are: see :class:`~recorder.core.messages.Answer`.
        :param whole: the body is one whole document; None for streams.
        :param tail: bytes at the end that make no event or document.
        """
        return Answer(
            dialect=self._dialect,
            shape=shape,
            understood=not (self.unclear and self.sentinel),
            whole=whole,
            choices=tuple(choices),
            usage_reports=tuple(self._usages),
            tokens=tokens,
            models=tuple(self._models),
            ids=tuple(self._ids),
            errors=tuple(self.errors),
            sentinel_seen=self.sentinel,
            events=self.events,
            unparsed_tail_bytes=tail,
            extras=self.extras,
            anomalies=tuple(self.anomalies),
            pending=self.pending,
            holes=() if whole else tuple(self.holes),  # of a whole document nothing is missing
        )


def message_of_request(read: Message, name_field: str) -> Message:
    """Return a message of a request, as what was taken for one piece of an answer says it.

    :param read: that piece; of its extras each has one value.
    :param name_field: the field that names the author or the tool.
    """
    extras = {key: values[0] for key, values in read.extras.items()}
    name, answered = text_or_none(extras.get(name_field)), text_or_none(extras.get("tool_call_id"))
    if name is not None:
        del extras[name_field]
    if answered is not None:
        del extras["tool_call_id"]
    return Message(read.role, read.parts, name, answered, extras)


_COUNTS: Final = ("input", "output", "total", "cached", "cache_written", "reasoning")


def tokens(reports: Iterable[Any], names: Mapping[str, Sequence[str]]) -> TokenCounts | None:
    """Return the token counts in *reports*; the last value of each kind counts.

    :param names: ``kind -> dotted paths`` at which it may be, the preferred one first; the kinds are the fields of
        :class:`~recorder.core.messages.TokenCounts`.
    """
    found: dict[str, int] = {}
    for report in telling(reports):
        for kind in _COUNTS:
            for path in names.get(kind, ()):
                value = _at(report, path)
                if type(value) is int:
                    found[kind] = value
                    break
    return TokenCounts(**found) if found else None


def _at(value: Any, path: str) -> Any:
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def reason_text(reason: Any) -> str | None:
    """Return a finish reason as it was sent: one that is no text, as JSON; an empty one, or null as a text, is none."""
    if reason is None or (isinstance(reason, str) and reason.lower() in ("", "null", "none")):
        return None
    return reason if isinstance(reason, str) else json.dumps(plain(reason))
