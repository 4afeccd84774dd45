"""OpenAI's JSON Lines for fine-tuning: ``{"messages": […], "tools": […]}``, one training example a line.

https://platform.openai.com/docs/guides/supervised-fine-tuning, "Formatting your data"; the API reference calls a line
``FineTuneChatRequestInput``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from recorder.core.conversation import Conversation
from recorder.core.history_names import kept_by_provider
from recorder.core.history_resumed import token_sent
from recorder.core.json_text import dumps, plain
from recorder.core.messages import Choice, Message
from recorder.core.rebuilt import Rebuilt
from recorder.formats.leaves import Examples, leaf_lines
from recorder.formats.openai_messages import NoPlaceError, openai_answer, openai_messages
from recorder.formats.tools import offered_tools

_ASKED_IN: Final = "openai_chat"
#: Finishes that cut an answer. The example could not say so.
_CUT: Final = frozenset({"length", "content_filter", "error", "paused", "cancelled"})


class OpenAIJsonLines:
    """Training examples: the conversation up to and with an answer.

    A line for each choice of each exchange that no other exchange extends. Nothing here can say that an answer is not
    whole, so there is none of one whose verdict is not ``complete``, whose finish reason says that it was cut, or whose
    recording was changed afterwards; nor of one to a request whose history the provider keeps, as the line would not
    have what was said before. What has no place is left out, and where that would change what was asked or
    answered, the whole line: see :mod:`recorder.formats.openai_messages`. Where the request was OpenAI's own, its
    messages and functions are as they were sent.
    """

    name = "openai-jsonl"
    help = "complete answers as OpenAI's JSONL for fine-tuning"
    is_binary = False

    def render(self, exchanges: Iterable[Rebuilt], conversation: Conversation | None = None) -> Iterator[str]:
        """Yield the lines."""
        return leaf_lines(exchanges, conversation, _lines)


def teachable(rebuilt: Rebuilt) -> Iterator[Choice]:
    """Yield the choices that can stand for whole answers."""
    whole = rebuilt.verdict == "complete" and rebuilt.not_as_written is None
    if whole and rebuilt.request_messages and not _is_kept(rebuilt):
        yield from (choice for choice in rebuilt.answer.choices if choice.finish not in _CUT)


def begun(rebuilt: Rebuilt) -> Examples:
    """Return the lines of an exchange, none yet, with why those of its answers have none that are not whole."""
    found = Examples()
    if rebuilt.answer.choices:
        taught = {choice.index for choice in teachable(rebuilt)}
        found.left_out = {
            choice.index: untaught(rebuilt) for choice in rebuilt.answer.choices if choice.index not in taught
        }
    return found


def untaught(rebuilt: Rebuilt) -> str:
    """Return why none of its choices stands for a whole answer, in a few words."""
    if rebuilt.not_as_written is not None:
        return "what was changed after it was recorded"
    if rebuilt.verdict != "complete":
        return "an answer that is not complete"
    if not rebuilt.request_messages:
        return "a request without messages"
    if _is_kept(rebuilt):
        return "a request whose history the provider keeps"
    return "an answer that was cut" if rebuilt.answer.choices else "no answer"


def _is_kept(rebuilt: Rebuilt) -> bool:
    """Whether something was said before that the request does not have, be it the beginning of the answer."""
    return any(kept_by_provider(rebuilt)) or token_sent(rebuilt) is not None


def _lines(rebuilt: Rebuilt) -> list[str]:
    found, reason = begun(rebuilt), untaught(rebuilt)
    request = rebuilt.exchange.request
    payload = request.exact_json if request else None
    sent = payload["messages"] if _is_own(rebuilt) and isinstance(payload, dict) else None
    offered = _offered(payload) if sent is not None else {"tools": offered_tools(payload)}
    for choice in teachable(rebuilt):
        try:
            messages = [*plain(sent), _answer(choice.message)] if sent is not None else _mapped(rebuilt, choice.message)
        except NoPlaceError as error:
            reason = found.left_out[choice.index] = str(error)
            continue
        example = {"messages": messages} | {key: value for key, value in offered.items() if value not in (None, [])}
        found.append(dumps(example, ensure_ascii=False, allow_nan=False) + "\n")
    if not found:
        raise NoPlaceError(reason)
    return found


def _is_own(rebuilt: Rebuilt) -> bool:
    return rebuilt.reading is not None and rebuilt.reading.dialect == _ASKED_IN


def _offered(payload: Any) -> dict[str, Any]:
    """Return what else of a request belongs to an example, as sent; of the tools, the functions."""
    tools = payload.get("tools")
    functions = [tool for tool in tools if _is_function(tool)] if isinstance(tools, list) else None
    rest = {key: payload.get(key) for key in ("functions", "parallel_tool_calls")}
    found: dict[str, Any] = plain({"tools": functions, **rest})
    return found


def _is_function(tool: Any) -> bool:
    return isinstance(tool, dict) and tool.get("type") == "function" and isinstance(tool.get("function"), dict)


def _answer(answer: Message) -> dict[str, Any]:
    told = openai_answer(answer)
    if not any(told.get(key) for key in ("content", "refusal", "tool_calls", "function_call")):
        raise NoPlaceError("nothing was said")
    return told


def _mapped(rebuilt: Rebuilt, answer: Message) -> list[dict[str, Any]]:
    messages = openai_messages(rebuilt.request_messages, answer)
    _answer(answer)
    return messages


FORMAT = OpenAIJsonLines()
