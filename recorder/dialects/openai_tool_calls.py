"""Tool calls of the OpenAI chat format, in every shape that is sent under its name.

The rules, in order, for a fragment of a stream:

1. its index is known: with an id that came under that index it continues the call of that id; with another
   id it is a new call (Ollama, some Gemini proxies and Cerebras give every call the index 0). Without an id it
   continues the call that had the index last, **unless** it names a function and that has no id either and
   arguments that are a whole document already, or it names **another** function and that has no id, or has
   arguments already, or the fragment has a ``type``, as the first one of a call has: then it is a new call;
2. its index is new: a new call, wherever counting starts;
3. it has no index (Gemini proxies, Mistral in 2024): it continues the call with its id; with an unknown id it
   is a new call; without an id it is a new call if it names a function, unless the last call has that name and
   unfinished arguments; else it continues the last call.

So a name is only continued where the call has an id and no arguments yet, and the piece brings nothing else that a call
begins with. No server is known to send names in pieces, though the SDKs join them: it is the anomaly
``tool_name_continued``, and such a call is not complete. Where neither of two names has an id, and the first call no
arguments, they could as well be one name: the second call is complete only if it has a ``type``.

An id or a name that comes again is taken once. An empty id is none, and so is ``"null"``, which clients of
Mistral make of an absent one. The rule that made a call of a reused index is reported as the anomaly
``tool_index_reused``; that fragments of several calls alternate under one index, as ``tool_calls_alternate``.
"""

from __future__ import annotations

import json
from typing import Any, Final

from recorder.core.messages import ToolCallPart
from recorder.dialects.facts import Facts
from recorder.dialects.folding import CallFold, same_json

_OWN: Final = frozenset({"index", "id", "type", "function", "custom"})


_SHOWN: Final = 200
_NO_IDS: Final = frozenset({None, "", "null"})


def _known_by(call: CallFold) -> str | None:
    """The id of a call, where it tells the call from others."""
    return None if call.id in _NO_IDS else call.id


def _index(entry: dict[str, Any]) -> int | None:
    index = entry.get("index")
    return index if type(index) is int else None


def _identity(entry: dict[str, Any]) -> str | None:
    identity = entry.get("id")
    return identity if isinstance(identity, str) and identity not in _NO_IDS else None


def _has_arguments(call: CallFold) -> bool:
    return bool(call.pieces) or call.value is not None


def _goes_on_to_another(call: CallFold, name: Any) -> bool:
    """Whether *name* is another one than that of a call whose arguments have begun."""
    return bool(call.name and name) and name != call.name and _has_arguments(call)


def _begins(call: CallFold, name: str, entry: dict[str, Any]) -> bool:
    """Whether a fragment without an id begins another call than the one that had its index last."""
    unknown = _known_by(call) is None
    if unknown and call.parses():
        return True
    differs = bool(call.name) and name != call.name
    return differs and (unknown or _has_arguments(call) or "type" in entry)


class ToolCalls:
    """The calls of one choice, fragment by fragment.

    :param facts: where facts go.
    """

    def __init__(self, facts: Facts) -> None:
        self._as_sent = facts.as_sent
        self._note = facts.note
        self._lose = facts.lose
        self._calls: list[CallFold] = []
        self._by_index: dict[int, CallFold] = {}  # the call that had the index last
        self._by_id: dict[tuple[int, str], CallFold] = {}
        self._alternating: set[int] = set()
        self._function: CallFold | None = None

    def take(self, entry: Any, place: tuple[int, int], *, whole: bool = False) -> None:
        """Take one entry of ``tool_calls``; *whole* says that it is a call and no fragment."""
        if not isinstance(entry, dict):
            self._lose("tool_call_malformed", f"an entry of tool_calls is a {type(entry).__name__}", place)
            return
        function = entry.get("function")
        if not isinstance(function, dict):
            if function is not None:
                self._lose("tool_call_malformed", f"function is a {type(function).__name__}", place)
            function = {}
        call = self._new(entry) if whole else self._call_for(entry, function, place)
        identity = entry.get("id")
        if identity and not isinstance(identity, str):
            call.extras["id"] = identity
        elif identity and _known_by(call) is None:
            call.id = identity
            if call.index is not None and _identity(entry) is not None:
                self._by_id.setdefault((call.index, identity), call)
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
            self._lose("tool_call_malformed", f"function_call is a {type(entry).__name__}", place)
            return
        if self._function is None or _goes_on_to_another(self._function, entry.get("name")):
            if self._function is not None:
                self._note("function_call_repeated", f"after {self._function.name!r} comes another call", place)
            self._function = CallFold(legacy=True)
            self._calls.append(self._function)
        self._function_fields(self._function, entry, place)

    def parts(self, finished: bool, end: int | None) -> list[ToolCallPart]:
        """Return the calls; only *finished* ones can be complete.

        :param end: the byte after the finish reason, where one came.
        """
        for call in self._calls:
            call.end = end
        return [call.part(finished=finished and "custom" not in call.extras) for call in self._calls]

    def settle(self, said: ToolCalls) -> bool:
        """Take what the calls of a whole message, which came beside the deltas, add to those that deltas made.

        A call that is said otherwise, or not at all, stays as the deltas made it and is not complete: who acts on the
        message acts on another. No calls at all take nothing back.

        :returns: whether they differ.
        """
        rest, differs = list(said._calls), bool(self._calls and said._calls and len(said._calls) != len(self._calls))
        for call in self._calls if rest else ():
            twin = next((one for one in rest if _known_by(one) == _known_by(call) is not None), None)
            if twin is None:
                twin = next((one for one in rest if None in (_known_by(one), _known_by(call))), None)
            if twin is None:
                differs = call.disputed = True
                continue
            rest.remove(twin)
            call.id, call.name = call.id or twin.id, call.name or twin.name
            if not call.text:
                call.pieces, call.value, call.sent = twin.pieces, twin.value, twin.sent
            if call.name != twin.name or not same_json(call.text, twin.text):
                differs = call.disputed = True
        self._calls += rest
        return differs

    def __bool__(self) -> bool:
        return bool(self._calls)

    def _call_for(self, entry: dict[str, Any], function: dict[str, Any], place: tuple[int, int]) -> CallFold:
        index, identity, name = _index(entry), _identity(entry), function.get("name") or None
        if index is None:
            if entry.get("index") is not None:
                told = f"the index of a fragment is {entry['index']!r:.50}: taken for the last call"
                sure = identity is not None or len(self._calls) < 2
                (self._note if sure else self._lose)("tool_index_malformed", told, place)
            return self._unindexed(entry, identity, name)
        call = self._by_index.get(index)
        if call is None:
            return self._new(entry)
        if identity is not None:
            known = self._by_id.get((index, identity))
            if known is not None:
                return self._known(index, known, place)
            reused = _known_by(call) is not None
        else:
            reused = name is not None and _begins(call, name, entry)
        if reused:
            self._note("tool_index_reused", f"index {index} again with another call: taken as a new call", place)
            new = self._new(entry)
            new.disputed = identity is None and not _has_arguments(call) and "type" not in entry
            return new
        return call

    def _known(self, index: int, call: CallFold, place: tuple[int, int]) -> CallFold:
        if call is not self._by_index[index]:
            self._by_index[index] = call
            if index not in self._alternating:
                self._alternating.add(index)
                self._note("tool_calls_alternate", f"fragments under index {index} are told apart by their ids", place)
        return call

    def _unindexed(self, entry: dict[str, Any], identity: str | None, name: Any) -> CallFold:
        if identity is not None:
            known = next((call for call in self._calls if _known_by(call) == identity), None)
            return known or self._new(entry)
        last = self._calls[-1] if self._calls else None
        if last is None or (name is not None and (name != last.name or last.parses())):
            return self._new(entry)
        return last

    def _new(self, entry: dict[str, Any]) -> CallFold:
        call = CallFold(_index(entry))
        if call.index is not None:
            self._by_index[call.index] = call
        self._calls.append(call)
        return call

    def _function_fields(self, call: CallFold, function: dict[str, Any], place: tuple[int, int]) -> None:
        name = function.get("name")
        if name is not None and not isinstance(name, str):
            self._lose("tool_call_malformed", f"the name of a function is a {type(name).__name__}", place)
        elif name and name != call.name:
            if call.name:
                self._note("tool_name_continued", f"{call.name!r} is followed by {name!r}: joined", place)
                call.disputed = True
            call.name = (call.name or "") + name
        arguments = function.get("arguments")
        call.add(arguments if isinstance(arguments, str) else "", place)
        if isinstance(arguments, str):
            if arguments and call.value is not None:
                self._replaced(call, place)
                call.disputed = True
        elif arguments is not None and call.pieces:
            told = f"arguments that came as text go on with a {type(arguments).__name__}"
            self._lose("tool_arguments_malformed", told, place)
        elif arguments is not None:
            self._note("tool_arguments_object", f"the arguments came as a {type(arguments).__name__}", place)
            if call.take_value(arguments, self._as_sent(function, "arguments")):
                self._replaced(call, place)

    def _replaced(self, call: CallFold, place: tuple[int, int]) -> None:
        self._note("tool_arguments_replaced", f"{json.dumps(call.value)[:_SHOWN]} is followed by others", place)
