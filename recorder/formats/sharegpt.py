"""ShareGPT, as LLaMA-Factory reads it: one training example a line.

https://github.com/hiyouga/LLaMA-Factory/blob/main/data/README.md, "Sharegpt Format": ``human`` and ``observation``
stand in odd places, ``gpt`` and ``function_call`` in even ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any, Final

from recorder.core.conversation import Conversation
from recorder.core.json_text import dumps
from recorder.core.messages import MediaPart, Message, OtherPart
from recorder.core.rebuilt import Rebuilt
from recorder.formats.leaves import leaf_lines
from recorder.formats.openai_jsonl import begun, teachable, untaught
from recorder.formats.openai_messages import NoPlaceError, openai_messages
from recorder.formats.tools import offered_tools

_ASKED: Final = {"user": "human", "tool": "observation", "function": "observation"}
_INSTRUCTED: Final = frozenset({"system", "developer"})


class ShareGpt:
    """Training examples: ``{"conversations": [{"from", "value"}], "system", "tools"}``.

    The same answers as in ``openai-jsonl``; none that is not whole, for nothing here can say so. Left out too is what
    the alternation has no place for: two messages of one side in a row, an answer that says something and calls a tool
    as well, instructions in the middle, media. Instructions at the beginning are joined by an empty line, and so are
    several texts of one message. One call is an object with ``name`` and ``arguments``, several at once are a list of
    them; the results of several are a list of texts in one ``observation``. ``system`` and ``tools`` (the functions as
    JSON text) are there in every line and empty where nothing was sent: loaders want the same columns everywhere.
    """

    name = "sharegpt"
    help = "complete answers as LLaMA-Factory's ShareGPT"
    is_binary = False

    def render(self, exchanges: Iterable[Rebuilt], conversation: Conversation | None = None) -> Iterator[str]:
        """Yield the lines."""
        return leaf_lines(exchanges, conversation, _lines)


def _lines(rebuilt: Rebuilt) -> list[str]:
    found, reason = begun(rebuilt), untaught(rebuilt)
    request = rebuilt.exchange.request
    functions = [tool["function"] for tool in offered_tools(request.exact_json if request else None)]
    tools = _json(functions) if functions else ""
    for choice in teachable(rebuilt):
        try:
            system, turns = _turns(rebuilt.request_messages, choice.message)
        except NoPlaceError as error:
            reason = found.left_out[choice.index] = str(error)
            continue
        example = {"conversations": turns, "system": system, "tools": tools}
        found.append(_json(example) + "\n")
    if not found:
        raise NoPlaceError(reason)
    return found


def _turns(asked: tuple[Message, ...], answer: Message) -> tuple[str, list[dict[str, str]]]:
    for message in (*asked, answer):
        if any(isinstance(part, MediaPart | OtherPart) for part in message.parts):
            raise NoPlaceError("something that is no text")
    messages = openai_messages(asked, answer)
    instructions = [_text(message) for message in messages if message["role"] in _INSTRUCTED]
    if any(message["role"] in _INSTRUCTED for message in messages[len(instructions) :]):
        raise NoPlaceError("instructions in the middle")
    turns: list[dict[str, str]] = []
    for side, group in groupby(map(_turn, messages[len(instructions) :]), key=lambda turn: turn["from"]):
        values = [turn["value"] for turn in group]
        if len(values) > 1 and side != "observation":
            raise NoPlaceError("two messages of one side in a row")
        value = values[0] if len(values) == 1 else _json(values)
        turns.append({"from": side, "value": value})
    alternates = all((turn["from"] in _ASKED.values()) == (at % 2 == 0) for at, turn in enumerate(turns))
    if not turns or len(turns) % 2 or not alternates or not turns[-1]["value"].strip():
        raise NoPlaceError("sides that do not take turns")
    return "\n\n".join(instructions), turns


def _turn(message: dict[str, Any]) -> dict[str, str]:
    if message["role"] in _ASKED:
        return {"from": _ASKED[message["role"]], "value": _text(message)}
    said = message.get("content") or message.get("refusal") or ""
    calls = [call["function"] for call in message.get("tool_calls", ())] or [message.get("function_call")]
    if calls == [None]:
        return {"from": "gpt", "value": said}
    if said.strip():
        raise NoPlaceError("text beside a call")
    # The arguments are spliced in as they came: parsing would change numbers.
    objects = [f'{{"name": {_json(call["name"])}, "arguments": {call["arguments"]}}}' for call in calls if call]
    return {"from": "function_call", "value": objects[0] if len(objects) == 1 else f"[{', '.join(objects)}]"}


def _json(value: Any) -> str:
    return dumps(value, ensure_ascii=False, allow_nan=False)


def _text(message: dict[str, Any]) -> str:
    content = message["content"]
    return content if isinstance(content, str) else "\n\n".join(str(part["text"]) for part in content)


FORMAT = ShareGpt()
