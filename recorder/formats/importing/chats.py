"""Conversations that something kept as messages, without HTTP: each answer is an exchange.

Request and answer are written again in the form of OpenAI's chat completions, which has a place for most of what is
kept, and ``missing`` says so. A request has the messages before the answer; how the program sent them, nothing tells.
Of a very long conversation it has the last ones: each request has them again, and a model does not take more either.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from recorder.core.json_text import parse_json, present
from recorder.formats.importing.base import MESSAGES, UNTIMED, WHOLE, Foreign, Home
from recorder.formats.importing.values import json_bytes, made_id, word

_TOLD_APART = 8
#: What a request has of the messages before it, at most.
MOST_MESSAGES: Final = 1000
MOST_BYTES: Final = 256 * 1024


class History:
    """The last messages of a conversation, each as JSON, as many as a request has of them.

    Where they are too many, half of them go at once: then many requests begin with the same message, see
    :func:`beginning`.
    """

    def __init__(self) -> None:
        self._messages: deque[bytes] = deque()
        self._size = 0
        self.cut = False

    def add(self, *messages: bytes) -> None:
        """Take the next messages; the first ones are left out where they are too many."""
        self._messages.extend(messages)
        self._size += sum(map(len, messages))
        if len(self._messages) <= MOST_MESSAGES and self._size <= MOST_BYTES:
            return
        while len(self._messages) > 1 and (len(self._messages) > MOST_MESSAGES // 2 or self._size > MOST_BYTES // 2):
            self._size -= len(self._messages.popleft())
            self.cut = True

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._messages)


def beginning(path: Sequence[str]) -> int:
    """Return with which message of a long conversation a request begins: its place in *path*.

    If every request had as many messages as it may, each would begin with another one, so that none went on from the
    one before, and every message would stand in the store's tables once for each of them. So it is one of the upper
    half, by its name, and most of the time the one with which the request before began.

    :param path: names of messages, the last one first: as many as a request may have of them.
    """
    half = range(len(path) // 2, len(path))
    return max(half, key=lambda at: hashlib.blake2b(path[at].encode("utf-8", "surrogatepass"), digest_size=8).digest())


def home_of(kind: str, identity: str, name: Any, *, own: str | None = None) -> Home:
    """Return the conversation of a file that has a name there, which need not be its alone.

    Conversations of one name are one, so the end of its id stands behind the name.

    :param kind: whose ids these are.
    :param own: the id as a UUID, where it is one.
    """
    title = word(name).strip()
    return Home(own or made_id(kind, identity), f"{title} ({identity[-_TOLD_APART:]})" if title else None)


def message_of(role: str, blocks: Iterable[Any], **fields: Any) -> dict[str, Any] | None:
    """Return a message; None where nothing is in it.

    :param blocks: texts, and other blocks of content; a content of one text is that text.
    :param fields: what else it has; None is left out.
    """
    content = [block for block in blocks if block != ""]
    told = {name: value for name, value in fields.items() if value}
    if not content and not told.keys() - {"name", "tool_call_id"}:
        return None
    if len(content) == 1 and isinstance(content[0], str):
        return {"role": role, "content": content[0], **told}
    parts = [{"type": "text", "text": block} if isinstance(block, str) else block for block in content]
    return {"role": role, **({"content": parts} if parts else {}), **told}


def call_of(name: str, arguments: str, identity: str | None = None) -> dict[str, Any]:
    """Return a call of a tool: of a function where its arguments are a JSON object, else one with free text."""
    try:
        is_object = isinstance(parse_json(arguments), dict)
    except ValueError:
        is_object = False
    held = {"name": name, "arguments": arguments} if is_object else {"name": name, "input": arguments}
    kind = "function" if is_object else "custom"
    return present(id=identity, type=kind) | {kind: held}


def chat(
    number: int,
    messages: Iterable[bytes],
    request: Mapping[str, Any],
    answer: Mapping[str, Any] | None,
    *,
    home: Home,
    called: str,
    key: Iterable[str],
    started_ns: int | None,
    end_ns: int | None = None,
    cut: bool = False,
    end: str | None = None,
    whole: bool = False,
) -> Foreign:
    """Return an exchange that is told by its messages.

    :param messages: of the request, each as JSON: many requests have the same ones.
    :param request: what else it has.
    :param answer: fields of the answer; None where none is kept.
    :param key: what makes it the same exchange in another file.
    :param cut: the request has not all the messages before it.
    :param end: type of the event that ends it, where the file tells.
    :param whole: the file says that the answer came to its end, otherwise than by a finish reason.
    """
    ended = whole or end is not None or answer is None or _has_reason(answer)
    known = {"started_at": started_ns, "end_time": end_ns}
    untold = [name for name in UNTIMED if known.get(name) is None]
    return Foreign(
        number,
        payload=b'{"messages":[' + b",".join(messages) + b"]" + json_bytes(request).replace(b"{", b",", 1),
        body=b"" if answer is None else json_bytes({"object": "chat.completion", **answer}),
        started_ns=started_ns,
        end_ns=end_ns,
        end=end,
        missing=(
            *MESSAGES,
            *(("request_body",) if cut else ()),
            *(() if answer is not None else ("response_body",)),
            *(() if ended else ("answer_end",)),
            *untold,
            *WHOLE,
        ),
        home=home,
        called=called,
        key=hashlib.sha256("".join(f"{len(one)}:{one}" for one in key).encode("utf-8", "surrogatepass")).digest(),
    )


def _has_reason(answer: Mapping[str, Any]) -> bool:
    """Whether each choice has a finish reason."""
    return all(choice.get("finish_reason") is not None for choice in answer.get("choices", ()))
