"""The message of Cohere's ``/v2/chat``: what its events add up to, or a whole one.

See :mod:`recorder.dialects.cohere_v2` for the format and its source.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from recorder.core.messages import CitationPart, Message, OtherPart, Part
from recorder.dialects.facts import Facts
from recorder.dialects.folding import CallFold, Place, ReasoningFold, TextFold, text_or_none
from recorder.dialects.openai_parts import media_part

#: Fields of a message and of a call that have a place of their own.
MESSAGE_OWN: Final = frozenset({"role", "content", "tool_plan", "tool_calls", "citations"})
_CALL_OWN: Final = frozenset({"id", "type", "function"})
#: Where in its message an event has what it brings.
_SAID_IN: Final = {
    **dict.fromkeys(("content-start", "content-delta"), "content"),
    "tool-plan-delta": "tool_plan",
    **dict.fromkeys(("tool-call-start", "tool-call-delta"), "tool_calls"),
}


class _Call(CallFold):
    """A call.

    :ivar ended: its end came.
    :ivar displaces: it began under the index of a call that had not ended.
    """

    __slots__ = ("displaces", "ended")

    def __init__(self, index: int | None = None, *, ended: bool = False, displaces: bool = False) -> None:
        super().__init__(index)
        self.ended = ended
        self.displaces = displaces

    def take(self, entry: Any, place: Place, facts: Facts) -> None:
        """Take a call, or the next piece of it.

        :param facts: who knows how its arguments were written.
        """
        fields = entry if isinstance(entry, dict) else {}
        function = fields.get("function")
        function = function if isinstance(function, dict) else {}
        identity, name, arguments = fields.get("id"), function.get("name"), function.get("arguments")
        if isinstance(identity, str) and identity:
            self.id = identity
        if isinstance(name, str) and name:
            self.name = name
        self.add(arguments if isinstance(arguments, str) else "", place)
        if arguments is not None and not isinstance(arguments, str) and not self.pieces:
            self.take_value(arguments, facts.as_sent(function, "arguments"))
        self.extras.update((key, value) for key, value in fields.items() if key not in _CALL_OWN and value is not None)


class MessageFold:
    """What the events of a message add up to; a whole message is one delta.

    :param facts: who knows how what came was written.
    """

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._role: str | None = None
        self._parts: list[Part | TextFold | _Call] = []
        self._blocks: dict[tuple[Any, str], TextFold] = {}
        self._calls: dict[Any, _Call] = {}
        self._extras: dict[str, list[Any]] = {}

    def message(self, message: dict[str, Any], place: Place) -> None:
        """Take a message: whole, or as far as ``message-start`` has it."""
        role = message.get("role")
        if isinstance(role, str) and role:
            self._role = role
        self.plan(message.get("tool_plan"), place)
        content = message.get("content")
        for at, block in enumerate(content if isinstance(content, list) else [content]):
            self.block(at, block, place)
        calls = message.get("tool_calls")
        for entry in calls if isinstance(calls, list) else []:
            call = _Call(ended=True)
            call.take(entry, place, self._facts)
            call.end = place[1]
            self._parts.append(call)
        self.cite(message.get("citations"), place)
        for name, value in message.items():
            if name not in MESSAGE_OWN and value is not None:
                self._extras.setdefault(name, []).append(value)

    def plan(self, text: Any, place: Place) -> None:
        """Take a piece of the tool plan."""
        self._grow(None, "tool_plan", text, place)

    def block(self, index: Any, block: Any, place: Place) -> None:
        """Take a block of content, or the next piece of it."""
        if isinstance(block, str):
            self._grow(index, "text", block, place)
            return
        block = self._facts.exact(block)
        if not isinstance(block, dict):
            if block is not None:
                self._parts.append(OtherPart("content", block, (place,)))
            return
        known = [name for name in ("thinking", "text") if isinstance(block.get(name), str)]
        for name in known:
            self._grow(index, name, block[name], place)
        if not known and block.keys() - {"type"}:
            self._parts.append(
                media_part("image_url", block, place) or OtherPart(str(block.get("type") or "content"), block, (place,))
            )

    def call(self, index: Any, entry: Any, place: Place, *, start: bool) -> bool:
        """Take a call, or the next piece of it.

        :param start: a call begins; one that says the id of the call under its index again is that call.
        :returns: whether it began where another had not ended.
        """
        key = index if isinstance(index, int | str) else None
        known = self._calls.get(key)
        identity = entry.get("id") if isinstance(entry, dict) else None
        displaces = start and known is not None and (known.id is None or known.id != identity)
        if known is None or displaces:
            known = self._calls[key] = _Call(index if type(index) is int else None, displaces=displaces)
            self._parts.append(known)
        known.take(entry, place, self._facts)
        return displaces

    def call_ended(self, index: Any, place: Place) -> None:
        """Take the end of a call."""
        call = self._calls.pop(index if isinstance(index, int | str) else None, None)
        if call is not None:
            call.add("", place)
            call.ended, call.end = True, place[1]

    def calls_at(self, index: Any) -> bool:
        """Whether a call has an index that has not ended."""
        return (index if isinstance(index, int | str) else None) in self._calls

    def cite(self, citations: Any, place: Place) -> None:
        """Take citations, one or several."""
        for item in citations if isinstance(citations, list) else [] if citations is None else [citations]:
            self._parts.append(_citation(item, place))

    def finished(self, *, complete: bool, ended: bool = False) -> Message:
        """Return the message.

        :param complete: nothing was cut.
        :param ended: the message came to its end; only then does a call without arguments have none.
        """
        parts: list[Part] = []
        for part in self._parts:
            if isinstance(part, _Call):
                empty: Any = {} if ended and not part.displaces else None
                parts.append(part.part(finished=complete and part.ended, empty=empty))
            elif isinstance(part, ReasoningFold):
                field = next(name for (_, name), fold in self._blocks.items() if fold is part)
                parts.append(replace(part.reasoning(), fields=(field,)))
            else:
                parts.append(part.part() if isinstance(part, TextFold) else part)
        return Message(self._role, tuple(parts), extras=self._extras)

    def _grow(self, index: Any, name: str, text: Any, place: Place) -> None:
        if not isinstance(text, str) or not text:
            return
        key = (index if isinstance(index, int | str) else None, name)
        if key not in self._blocks:
            self._blocks[key] = TextFold() if name == "text" else ReasoningFold()
            self._parts.append(self._blocks[key])
        self._blocks[key].add(text, place)


def _citation(value: Any, place: Place) -> CitationPart:
    fields = value if isinstance(value, dict) else {}
    sources = fields.get("sources")
    source = sources[0] if isinstance(sources, list) and sources else None
    document = source.get("document") if isinstance(source, dict) else None
    found = [fields.get("text")]
    found += [document.get(name) if isinstance(document, dict) else None for name in ("url", "title")]
    text, url, title = map(text_or_none, found)
    return CitationPart(value, text, url, title, (place,))


def unreadable(kind: str, event: dict[str, Any]) -> str:
    """Return, in words, what of an event cannot be read of that which it brings; nothing where all of it can."""
    delta = event.get("delta")
    message = delta.get("message") if isinstance(delta, dict) else None
    for name, held in (("delta", delta), ("message", message)):
        if not isinstance(held, dict | None):
            return f"the {name} is a {type(held).__name__}"
    field = _SAID_IN.get(kind)
    said = message.get(field) if isinstance(message, dict) else None
    if field != "tool_calls":
        return "" if isinstance(said, str | dict | list | None) else f"{field} is a {type(said).__name__}"
    function = said.get("function") if isinstance(said, dict) else None
    if not isinstance(function, dict):
        return f"the call is a {type(function if isinstance(said, dict) else said).__name__}"
    arguments = function.get("arguments")
    if kind == "tool-call-delta" and not isinstance(arguments, str | None):
        return f"the arguments go on with a {type(arguments).__name__}"
    return ""
