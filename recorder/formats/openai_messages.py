"""Messages of any dialect in the form of OpenAI's chat completions.

https://platform.openai.com/docs/api-reference/chat/create, ``messages``. What has no place there is left out:
reasoning, citations, tools that the provider ran itself, media that did not come as the URL of an image. Where that
would leave a message empty, or a tool's result without its call, there is no such form.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from recorder.core.json_text import dumps, plain, present, whole
from recorder.core.messages import (
    CitationPart,
    MediaPart,
    Message,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)

#: Other names of OpenAI's roles: Gemini; Cohere v1.
_SAME: Final = {"model": "assistant", "chatbot": "assistant"}
_ROLES: Final = frozenset({"developer", "system", "user", "assistant", "tool", "function"})
#: ``type`` of a call of a function; none says the same.
_FUNCTIONS: Final = frozenset({"function", "function_call", "tool_use"})
#: ``type`` of a call that the provider runs itself (Anthropic, OpenAI Responses).
_PROVIDERS: Final = frozenset(
    {
        *("server_tool_use", "mcp_tool_use", "web_search_call", "file_search_call", "code_interpreter_call"),
        *("image_generation_call", "mcp_call", "tool_search_call"),
    }
)


class NoPlaceError(Exception):
    """OpenAI's form has no place for what was said."""


def openai_messages(messages: Iterable[Message], answer: Message) -> list[dict[str, Any]]:
    """Return the messages of a request and an answer to it.

    :raises NoPlaceError: they cannot be told in that form.
    """
    dialogue = _Dialogue()
    for message in messages:
        dialogue.add(message, role_of(message))
    dialogue.add(answer, role_of(answer) if answer.role else "assistant")
    return dialogue.messages


def openai_answer(answer: Message) -> dict[str, Any]:
    """Return an answer alone.

    :raises NoPlaceError: it says nothing that has a place, or calls a tool with arguments that are not complete.
    """
    dialogue = _Dialogue()
    dialogue.add(answer, "assistant")
    if not dialogue.messages:
        raise NoPlaceError("the answer is empty")
    return dialogue.messages[-1]


def role_of(message: Message) -> str:
    """Return a message's role by OpenAI's name for it.

    :raises NoPlaceError: it has none.
    """
    role = (message.role or "").lower()
    role = _SAME.get(role, role)
    if role not in _ROLES:
        raise NoPlaceError(f"the role {message.role!r}")
    return role


def arguments_of(call: ToolCallPart) -> str:
    """Return a call's arguments as they came; where none came and that is complete, as the JSON they stand for.

    :raises NoPlaceError: they are not complete.
    """
    if not call.complete:
        raise NoPlaceError("arguments that are not known to be complete")
    return whole(call.arguments_text) or dumps(plain(call.arguments), ensure_ascii=False)


class _Dialogue:
    """Messages in OpenAI's form, with calls and results tied by ids.

    Dialects that tie them by name alone (Gemini, Ollama) have no ids: their calls are numbered.
    """

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self._numbered: list[tuple[str, str]] = []  # ids that were not sent and have no result yet, and the names
        self._numbers = 0

    def add(self, message: Message, role: str) -> None:
        """Append a message."""
        if role == "assistant":
            self._assistant(message)
            return
        for part in message.parts:
            if isinstance(part, ToolResultPart):
                self._result(part, message)
        rest = _sayable(message.parts)
        if not rest and message.parts:
            return
        content = _content(rest, pictures=role == "user")
        if role == "tool":
            answered = self._answered(message.tool_call_id, message.name)
            self.messages.append({"role": role, "tool_call_id": answered, "content": content})
        else:
            self.messages.append({"role": role, **present(name=plain(message.name)), "content": content})

    def _assistant(self, message: Message) -> None:
        parts = _sayable(message.parts)
        told: dict[str, Any] = {"role": "assistant", **present(name=plain(message.name))}
        texts = [part.text for part in parts if isinstance(part, TextPart)]
        refusals = [part.text for part in parts if isinstance(part, RefusalPart)]
        calls = [part for part in parts if isinstance(part, ToolCallPart) and not _run_by_provider(part, message)]
        if texts:
            told["content"] = whole("".join(texts))
        if refusals:
            told["refusal"] = whole("".join(refusals))
        for call in calls:
            if call.name is None or call.extras.get("type", "function") not in _FUNCTIONS:
                raise NoPlaceError("a call that is not of a function by its name")
            function = {"name": plain(call.name), "arguments": arguments_of(call)}
            if call.legacy:
                told["function_call"] = function
            else:
                entry = {"id": self._identity(call), "type": "function", "function": function}
                told.setdefault("tool_calls", []).append(entry)
        if not told.keys() & {"content", "refusal", "tool_calls", "function_call"}:
            if any(not isinstance(part, ToolCallPart) for part in parts):
                raise NoPlaceError("an answer in parts of other kinds")
            return
        self.messages.append(told)

    def _identity(self, call: ToolCallPart) -> str:
        if call.id:
            return whole(call.id)
        identity = f"call_{self._numbers}_not_sent"
        self._numbers += 1
        self._numbered.append((identity, call.name or ""))
        return identity

    def _answered(self, call_id: str | None, name: str | None) -> str:
        """Return the id of the call that a result answers: as sent, else that of the first open call of the name."""
        if call_id:
            return whole(call_id)
        for at, (identity, called) in enumerate(self._numbered):
            if name is None or name == called:
                del self._numbered[at]
                return identity
        raise NoPlaceError("a result without its call")

    def _result(self, part: ToolResultPart, message: Message) -> None:
        answered = self._answered(part.call_id or message.tool_call_id, part.name or message.name)
        self.messages.append({"role": "tool", "tool_call_id": answered, "content": result_text(part)})


def result_text(part: ToolResultPart) -> str:
    """Return what a tool answered as text.

    :raises NoPlaceError: it is neither text nor plain data.
    """
    if part.text is not None:
        return whole(part.text)
    if part.value is None:
        return ""
    if isinstance(part.value, list) or (isinstance(part.value, dict) and "type" in part.value):
        raise NoPlaceError("a result in blocks without text")
    return dumps(plain(part.value), ensure_ascii=False)


def _sayable(parts: Iterable[Part]) -> list[Part]:
    """The parts whose absence changes nothing that was said are left out; results have messages of their own."""
    return [part for part in parts if not isinstance(part, ReasoningPart | CitationPart | ToolResultPart)]


def _run_by_provider(call: ToolCallPart, message: Message) -> bool:
    if str(call.extras.get("type")) in _PROVIDERS:
        return True
    return call.id is not None and any(
        isinstance(part, ToolResultPart) and part.call_id == call.id for part in message.parts
    )


def _content(parts: list[Part], *, pictures: bool) -> str | list[dict[str, Any]]:
    """Return ``content``: a string where it is one text, else a list of texts and pictures."""
    found: list[dict[str, Any]] = []
    for part in parts:
        if isinstance(part, TextPart):
            found.append({"type": "text", "text": whole(part.text)})
        elif pictures and isinstance(part, MediaPart) and part.kind == "image" and part.url:
            found.append({"type": "image_url", "image_url": {"url": whole(part.url)}})
    if parts and not found:
        raise NoPlaceError("a message in parts of other kinds")
    if len(found) > 1 or (found and found[0]["type"] != "text"):
        return found
    return str(found[0]["text"]) if found else ""
