"""Tool calls of the OpenAI chat format, in every shape that is sent under its name.

The rules, in order, for a fragment of a stream:

1. its index is known: it continues that call, **unless** both have an id and the ids differ (Ollama, some
   Gemini proxies and Cerebras give every call the index 0), or neither has an id, the fragment names a
   function and the call's arguments are a whole document already: then it is a new call;
2. its index is new: a new call, wherever counting starts;
3. it has no index (Gemini proxies, Mistral in 2024): it continues the call with its id; with an unknown id it
   is a new call; without an id it is a new call if it names a function, unless the last call has that name and
   unfinished arguments; else it continues the last call.

An id or a name that comes again is taken once. The rule that made a call of a reused index is reported as
the anomaly ``tool_index_reused``.
"""

from __future__ import annotations

import json
from typing import Any, Final

from recorder.core.json_text import parse_json, whole_text
from recorder.core.messages import Anomaly, ToolCallPart

_OWN: Final = frozenset({"index", "id", "type", "function", "custom"})


class _Call:
    __slots__ = ("arguments", "extras", "id", "index", "legacy", "name", "value")

    def __init__(self, index: int | None, legacy: bool = False) -> None:
        self.index = index
        self.legacy = legacy
        self.id: str | None = None
        self.name: str | None = None
        self.arguments: list[str] = []
        self.value: Any = None  # arguments that came as an object
        self.extras: dict[str, Any] = {}

    def whole(self) -> bool:
        """Whether the arguments are a whole document so far."""
        if self.value is not None:
            return True
        try:
            parse_json("".join(self.arguments))
        except ValueError:
            return False
        return True

    def part(self, finished: bool) -> ToolCallPart:
        text = whole_text("".join(self.arguments))
        if self.value is not None and not text:
            text = json.dumps(self.value, ensure_ascii=False, separators=(",", ":"))
        parsed: Any = None
        complete = finished and "custom" not in self.extras
        if complete:
            try:
                parsed = parse_json(text, strict=True)
            except ValueError:
                complete = False
        return ToolCallPart(text, self.id, self.name, complete, parsed, self.index, self.legacy, self.extras)


class ToolCalls:
    """The calls of one choice, fragment by fragment.

    :param anomalies: where facts go.
    """

    def __init__(self, anomalies: list[Anomaly]) -> None:
        self._anomalies = anomalies
        self._calls: list[_Call] = []
        self._by_index: dict[int, _Call] = {}
        self._function: _Call | None = None

    def take(self, entry: Any, place: tuple[int, int], *, whole: bool = False) -> None:
        """Take one entry of ``tool_calls``; *whole* says that it is a call and no fragment."""
        if not isinstance(entry, dict):
            self._note("tool_call_malformed", f"an entry of tool_calls is a {type(entry).__name__}", place)
            return
        function = entry.get("function")
        if not isinstance(function, dict):
            function = {}
        call = self._new(entry) if whole else self._call_for(entry, function, place)
        identity = entry.get("id")
        if isinstance(identity, str) and identity and not call.id:
            call.id = identity
        custom = entry.get("custom")
        if isinstance(custom, dict):
            call.extras["custom"] = True
            function = {"name": custom.get("name"), "arguments": custom.get("input")}
        self._function_fields(call, function, place)
        if not _OWN.issuperset(entry):
            call.extras.update((key, value) for key, value in entry.items() if key not in _OWN and value is not None)

    def take_function(self, entry: Any, place: tuple[int, int]) -> None:
        """Take a legacy ``function_call``."""
        if not isinstance(entry, dict):
            self._note("tool_call_malformed", f"function_call is a {type(entry).__name__}", place)
            return
        if self._function is None:
            self._function = _Call(None, legacy=True)
            self._calls.append(self._function)
        self._function_fields(self._function, entry, place)

    def parts(self, finished: bool) -> list[ToolCallPart]:
        """Return the calls; only *finished* ones can be complete."""
        return [call.part(finished) for call in self._calls]

    def __bool__(self) -> bool:
        return bool(self._calls)

    def _call_for(self, entry: dict[str, Any], function: dict[str, Any], place: tuple[int, int]) -> _Call:
        index, identity, name = entry.get("index"), entry.get("id") or None, function.get("name") or None
        if not isinstance(index, int):
            return self._unindexed(entry, identity, name)
        call = self._by_index.get(index)
        if call is None:
            return self._new(entry)
        if identity is not None and call.id:
            reused = identity != call.id
        else:
            reused = identity is None and not call.id and name is not None and call.whole()
        if reused:
            self._note("tool_index_reused", f"index {index} again with another call: taken as a new call", place)
            return self._new(entry)
        return call

    def _unindexed(self, entry: dict[str, Any], identity: Any, name: Any) -> _Call:
        if identity is not None:
            known = next((call for call in self._calls if call.id == identity), None)
            return known or self._new(entry)
        last = self._calls[-1] if self._calls else None
        if last is None or (name is not None and (name != last.name or last.whole())):
            return self._new(entry)
        return last

    def _new(self, entry: dict[str, Any]) -> _Call:
        index = entry.get("index")
        call = _Call(index if isinstance(index, int) else None)
        if call.index is not None:
            self._by_index[call.index] = call
        self._calls.append(call)
        return call

    def _function_fields(self, call: _Call, function: dict[str, Any], place: tuple[int, int]) -> None:
        name = function.get("name")
        if isinstance(name, str) and name and name != call.name:
            if call.name:
                self._note("tool_name_continued", f"{call.name!r} is followed by {name!r}: joined", place)
            call.name = (call.name or "") + name
        arguments = function.get("arguments")
        if isinstance(arguments, str):
            if arguments:
                call.arguments.append(arguments)
        elif arguments is not None:
            self._note("tool_arguments_object", f"the arguments came as a {type(arguments).__name__}", place)
            call.value = arguments

    def _note(self, kind: str, detail: str, place: tuple[int, int]) -> None:
        self._anomalies.append(Anomaly(kind, detail, *place))
