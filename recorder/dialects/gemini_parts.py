"""The content of one Gemini message, part by part: of an answer as it streams in, or of a request.

``parts[{text, thought, thoughtSignature, functionCall, functionResponse, inlineData, fileData, executableCode,
codeExecutionResult, …}]`` (Google's reference of ``Content``). Names may be in snake_case in a request, as in any
JSON that is read as a protocol buffer. What is peculiar:

* a ``thoughtSignature`` comes on thoughts, on calls, on text and on empty text; on text it stands for the thoughts
  before it, which may not be shown, and is reasoning without text here;
* a ``functionCall`` is whole, with or without an id; only Vertex can stream its arguments
  (``streamFunctionCallArguments``): pieces under ``partialArgs`` by JSON path, until one without ``willContinue``. A
  piece may say the id and the name of its call again; a name without that id begins another call.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from recorder.core.json_text import DEEPEST, exact_number, whole
from recorder.core.messages import OtherPart, Part, ToolResultPart
from recorder.dialects.facts import Facts
from recorder.dialects.folding import CallFold, Place, ReasoningFold, TextFold, add_text, text_or_none
from recorder.dialects.media import media

_SNAKE: Final = re.compile(r"_([a-z])")
#: Beside what a part is; everything else beside it is kept with the message.
_BESIDE: Final = frozenset({"thought", "thoughtSignature"})
_CALL_OWN: Final = frozenset({"id", "name", "args", "partialArgs", "willContinue"})
_STEP: Final = re.compile(r"""\.([^.\[\]]+)|\[(\d+)\]|\['([^']*)'\]|\["([^"]*)"\]""")
_SHOWN: Final = 100
_VALUES: Final = ("stringValue", "numberValue", "boolValue", "nullValue")
_SUCCEEDED: Final = frozenset({"OUTCOME_OK", "1"})
_FAILED: Final = frozenset({"OUTCOME_FAILED", "OUTCOME_DEADLINE_EXCEEDED", "2", "3"})


def camel(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that are not null, with names in camelCase."""
    return {
        _SNAKE.sub(lambda found: found[1].upper(), name): value for name, value in fields.items() if value is not None
    }


class _Call(CallFold):
    """A function call.

    :ivar going_on: more pieces were announced.
    :ivar broken: pieces came that have no place in the arguments, or name another function.
    """

    __slots__ = ("_announced", "_facts", "broken", "going_on")

    def __init__(self, facts: Facts) -> None:
        super().__init__()
        self._facts = facts
        self.going_on = False
        self.broken = False
        self._announced: set[str] = set()  # paths of texts of which more is to come

    def take(self, fields: dict[str, Any], place: Place, sent: dict[str, Any]) -> None:
        """Take a ``functionCall``: the call, or the next pieces of it.

        :param sent: the very object that came, whose names may be others.
        """
        self.origin.add(place)
        name, identity, args = fields.get("name"), fields.get("id"), fields.get("args")
        if isinstance(name, str) and name:
            if self.name not in (None, name):
                self._break(f"a piece of a call of {self.name!r} names {name!r}", place)
            self.name = name
        if isinstance(identity, str) and identity:
            self.id = identity
        if isinstance(args, str):
            self.add(args, place)
        elif args is not None and self.take_value(args, self._facts.as_sent(sent, "args")):
            self._break("the arguments of a call come once more, and are others", place)
        pieces = fields.get("partialArgs")
        if pieces is not None and not isinstance(pieces, list):
            self._facts.lose("partial_args_malformed", f"partialArgs is a {type(pieces).__name__}", place)
        for piece in pieces if isinstance(pieces, list) else []:
            self._piece(piece, place)
        self.extras.update((key, value) for key, value in fields.items() if key not in _CALL_OWN)
        self.going_on = fields.get("willContinue") is True
        self.end = None if self.going_on else place[1]
        if self._announced and not self.going_on:
            self._break(f"the call ends, and more was to come of {_shown(min(self._announced))}", place)

    def _break(self, detail: str, place: Place) -> None:
        self.broken = True
        self._facts.note_once("partial_args_broken", detail, place)

    def _piece(self, piece: Any, place: Place) -> None:
        self.extras.setdefault("partialArgs", []).append(piece)
        fields = camel(piece) if isinstance(piece, dict) else {}
        kind = next((name for name in _VALUES if name in fields), None)
        path = fields.get("jsonPath")
        steps = _steps(path)
        if kind is None or not steps or not isinstance(path, str):
            self._break(f"a piece of arguments cannot be read: {_shown(repr(piece))}", place)
            return
        if self.value is None:
            self.value = [] if isinstance(steps[0], int) else {}
        elif self.sent is not None:
            self.value, self.sent = copy.deepcopy(self.value), None  # what came stays as it is, and is not all any more
        value = None if kind == "nullValue" else self._exactly(fields[kind], piece)
        if not _assign(self.value, steps, value):
            self._break(f"a piece of arguments has no place in them: {_shown(path)}", place)
        (self._announced.add if fields.get("willContinue") is True else self._announced.discard)(path)

    def _exactly(self, value: Any, piece: dict[str, Any]) -> Any:
        """Return what a piece says, of a number all of its digits."""
        if not isinstance(value, float):
            return value
        texts = (self._facts.as_sent(piece, name) for name in ("numberValue", "number_value"))
        sent = next((text for text in texts if text is not None), None)
        if sent is None or not sent[-1:].isdigit():  # NaN and Infinity, with which no arguments are complete
            return value
        try:
            return exact_number(sent)
        except ValueError:  # its exponent is too long to be read
            return value


def _shown(text: str) -> str:
    return whole(text)[:_SHOWN]


def _steps(path: Any) -> list[str | int]:
    """Return the names and indexes of a JSON path (RFC 9535, singular queries only).

    None where it is another one, or leads deeper than a JSON document may be nested.
    """
    if not isinstance(path, str) or not path.startswith("$"):
        return []
    steps: list[str | int] = []
    at = 1
    while at < len(path):
        found = _STEP.match(path, at)
        if found is None or len(steps) == DEEPEST:
            return []
        name, index, *quoted = found.groups()
        steps.append(int(index) if index is not None else name or next((text for text in quoted if text), ""))
        at = found.end()
    return steps


def _assign(held: Any, steps: list[str | int], value: Any) -> bool:
    """Put *value* at its place in *held*; text is appended to text. Return False where it has no place, or another."""
    for at, step in enumerate(steps):
        if isinstance(step, int) and isinstance(held, list):
            known = step < len(held)
            if step > len(held):
                return False
        elif isinstance(step, str) and isinstance(held, dict):
            known = step in held
        else:
            return False
        if at == len(steps) - 1:
            if known and not (isinstance(held[step], str) and isinstance(value, str)):
                return False
            fresh = held[step] + value if known else value
        else:
            fresh = held[step] if known else [] if isinstance(steps[at + 1], int) else {}
        if isinstance(step, int) and not known:
            held.append(fresh)
        else:
            held[step] = fresh
        held = fresh
    return True


class ContentFold:
    """What the parts of a message add up to.

    :param facts: where facts go.
    :ivar extras: what came beside the parts, each as the list of the values that came.
    """

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self.extras: dict[str, list[Any]] = {}
        self._parts: list[Part | TextFold | _Call] = []

    def take(self, part: Any, place: Place) -> None:
        """Take one entry of ``parts``."""
        fields = camel(part) if isinstance(part, dict) else {}
        kind = next((name for name in fields if name in _KINDS), None)
        if kind is None:
            named = next((name for name in fields if name not in _BESIDE), None)
            if named is None and isinstance(part, dict):
                self._signed(fields, place)
            else:
                self.add(OtherPart(named or "part", self._facts.exact(part), (place,)))
            return
        value = fields.pop(kind)
        if kind == "text" and isinstance(value, str):
            self._text(value, fields, place)
        elif kind == "functionCall" and isinstance(value, dict):
            self._call(value, fields, place)
        elif kind in _WHOLE and isinstance(value, dict):
            self.add(_WHOLE[kind](self._facts.exact(value), fields, place))
        else:
            if kind == "functionCall":
                self._facts.lose("tool_call_malformed", f"a functionCall is a {type(value).__name__}", place)
            self.add(OtherPart(kind, self._facts.exact(part), (place,)))
            return
        for name in fields.keys() - _BESIDE:
            self.extras.setdefault(name, []).append(fields[name])

    def add(self, part: Part) -> None:
        """Append a part that is whole."""
        self._parts.append(part)

    def parts(self, finished: bool) -> tuple[Part, ...]:
        """Return the parts; the calls of an answer that is not *finished* are not complete."""
        return tuple(_part(part, finished) for part in self._parts)

    def _text(self, text: str, fields: dict[str, Any], place: Place) -> None:
        if fields.get("thought"):
            self._thought(text, fields, place)
            return
        if text:
            add_text(self._parts, TextFold, text, place)
        self._signed(fields, place)

    def _thought(self, text: str, fields: dict[str, Any], place: Place) -> None:
        signature = fields.get("thoughtSignature")
        if not text and not signature:
            return
        last = self._parts[-1] if self._parts else None
        if not isinstance(last, ReasoningFold) or last.signature is not None:
            last = ReasoningFold()
            self._parts.append(last)
        last.add(text, place)
        if isinstance(signature, str):
            last.signature = signature

    def _signed(self, fields: dict[str, Any], place: Place) -> None:
        """Keep a signature that came without a thought."""
        signature = fields.get("thoughtSignature")
        if isinstance(signature, str) and signature:
            fold = ReasoningFold()
            fold.add("", place)
            fold.signature = signature
            self._parts.append(fold)

    def _call(self, value: dict[str, Any], fields: dict[str, Any], place: Place) -> None:
        held = camel(value)
        call = self._going_on(text_or_none(held.get("id")) or None, held.get("name"))
        if call is None:
            call = _Call(self._facts)
            if not held.get("name"):
                self._facts.lose_once("tool_call_not_begun", "a piece of a call that nothing began", place)
            self._parts.append(call)
        call.take(held, place, value)
        if "thoughtSignature" in fields:
            call.extras["thoughtSignature"] = fields["thoughtSignature"]

    def _going_on(self, identity: str | None, name: Any) -> _Call | None:
        """Return the call that a piece continues; None where it begins one."""
        calls = [part for part in self._parts if isinstance(part, _Call)]
        if identity is not None:
            known = next((call for call in reversed(calls) if call.going_on and call.id == identity), None)
            if known is not None:
                return known
        last = calls[-1] if calls else None
        another = last is None or bool(name) or None not in (identity, last.id)
        return last if last is not None and last.going_on and not another else None


def _part(part: Part | TextFold | _Call, finished: bool) -> Part:
    if isinstance(part, ReasoningFold):
        return part.reasoning()
    if isinstance(part, TextFold):
        return part.part()
    if isinstance(part, _Call):
        # ``args`` is left out where a function takes none.
        return part.part(finished=finished and not part.going_on and not part.broken, empty={})
    return part


def _response(value: dict[str, Any], beside: dict[str, Any], place: Place) -> Part:
    """A tool's result; of its fields Google names ``output`` and ``error``."""
    result = value.get("response")
    told = result if isinstance(result, dict) else {}
    whole = value if value.keys() - {"id", "name", "response"} else result
    failed = True if "error" in told else None
    identity, name = text_or_none(value.get("id")), text_or_none(value.get("name"))
    return ToolResultPart(identity, name, text_or_none(told.get("output")), failed, whole, (place,))


def _result(value: dict[str, Any], beside: dict[str, Any], place: Place) -> Part:
    """The result of code that Google ran."""
    outcome = str(value.get("outcome"))
    failed = False if outcome in _SUCCEEDED else True if outcome in _FAILED else None
    identity, text = text_or_none(value.get("id")), text_or_none(value.get("output"))
    return ToolResultPart(identity, None, text, failed, value, (place,))


def _media(value: dict[str, Any], beside: dict[str, Any], place: Place) -> Part:
    held = camel(value)
    named = held.pop("mimeType", None)
    family = named.partition("/")[0] if isinstance(named, str) else ""
    kind = family if family in ("image", "audio", "video") else "file"
    data, url = held.pop("data", None), held.pop("fileUri", None)
    held.update((name, beside[name]) for name in sorted(_BESIDE & beside.keys()))
    return media(kind, place, media_type=named, url=url, data=data, extras=held)


_WHOLE: Final[Mapping[str, Callable[[dict[str, Any], dict[str, Any], Place], Part]]] = {
    "functionResponse": _response,
    "codeExecutionResult": _result,
    "inlineData": _media,
    "fileData": _media,
}
_KINDS: Final = frozenset({"text", "functionCall", *_WHOLE})
