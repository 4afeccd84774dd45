"""ChatGPT's data export: ``conversations.json``, or the zip that holds it. OpenAI publishes no specification of it.

A conversation is a tree of messages: an edited question and an answer that was made again are branches. Messages of
the assistant that follow each other are one answer (thoughts, then the text), up to a call: one whose ``recipient`` is
a tool calls that tool. An exchange is an answer with all the messages from the root of the tree down to it, or a last
message that nobody answered. Its time is that of the message that it answers. Nothing tells which branch was looked at
last, nor what ChatGPT itself put before the messages.

Each message is kept as the file has it as well (``chatgpt``): those since the answer before with the request, those
of the answer with the answer.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from typing import Any, Final

from recorder.core.json_text import parse_json, present
from recorder.errors import ImportRefused
from recorder.formats.importing.base import Foreign, Home, Recording, Refused
from recorder.formats.importing.chats import MOST_BYTES, MOST_MESSAGES, beginning, call_of, chat, home_of, message_of
from recorder.formats.importing.source import ZIP, Source
from recorder.formats.importing.values import (
    EntryError,
    epoch_ns,
    json_bytes,
    mapping,
    mapping_or_empty,
    refuse_empty,
    word,
)
from recorder.formats.importing.zipped import Zip, members

_MEMBER: Final = re.compile(r"(?:.*/)?conversations(?:-\d+)?\.json")
_FINISHED: Final = "finished_successfully"  # the status of a message that is whole
#: Kinds of content that hold one text, and where.
_TEXTS: Final = {
    **dict.fromkeys(("code", "execution_output", "tether_quote", "system_error", "sonic_webpage"), "text"),
    "tether_browsing_display": "result",
}


class ChatGpt:
    """ChatGPT's data export."""

    name = "chatgpt"
    help = "ChatGPT's data export: conversations.json, or the zip that holds it"
    order = 25

    def recognises(self, source: Source) -> bool:
        """A list of conversations, or one, each with its tree; or a zip with such a list."""
        if source.raw.startswith(ZIP):
            return bool(members(source, _MEMBER))
        value = source.json if source.looks_like_json else None
        first = value[0] if isinstance(value, list) and value else value
        return isinstance(first, dict) and isinstance(first.get("mapping"), dict)

    def read(self, source: Source) -> Recording:
        """Return the recording."""
        if source.raw.startswith(ZIP):
            return Recording(self.name, _entries(_unzipped(source)))
        value = source.required_json()
        return Recording(self.name, _entries(iter(value if isinstance(value, list) else [value])))


def _unzipped(source: Source) -> Iterator[Any]:
    """Yield the conversations in a zip.

    :raises ImportRefused: it is damaged, encrypted or too large.
    """
    archive = Zip(source)
    for name in members(source, _MEMBER):
        try:
            value = parse_json(archive.unpacked(name))
        except ValueError as error:
            raise ImportRefused(f"{name} in it is no whole JSON document ({error})") from None
        yield from value if isinstance(value, list) else [value]


def _entries(conversations: Iterator[Any]) -> Iterator[Foreign | Refused]:
    number = 0
    for value in conversations:
        try:
            tree = _Tree(mapping(value, "conversation"))
            ends = tree.ends()
        except EntryError as error:
            number += 1
            yield Refused(number, str(error))
            continue
        for leaf in ends:
            number += 1
            try:
                yield tree.exchange(number, leaf)
            except EntryError as error:
                yield Refused(number, str(error))
    refuse_empty(number > 0, "messages")


class _Tree:
    """The messages of one conversation.

    :raises EntryError: it has no tree, or its messages go in a circle.
    """

    def __init__(self, conversation: dict[str, Any]) -> None:
        nodes = mapping(conversation.get("mapping"), "mapping")
        self._nodes = {name: mapping_or_empty(node) for name, node in nodes.items()}
        self._said = {name: _said(mapping_or_empty(node.get("message"))) for name, node in self._nodes.items()}
        self._answers = {name for name, said in self._said.items() if said and said["role"] == "assistant"}
        self._calls = {name for name in self._answers if "tool_calls" in (self._said[name] or {})}
        self._hear_silent_tools()
        self._times = {name: epoch_ns(self._original(name).get("create_time")) for name in nodes}
        self._written = {name: json_bytes(said) for name, said in self._said.items() if said is not None}
        self._parents = self._found_parents()
        self._home = self._found_home(conversation)

    def _hear_silent_tools(self) -> None:
        """Take in the tools that answered a call with nothing: without them, the call would seem to be unanswered."""
        silent = {name for name, said in self._said.items() if said is None and self._role(name) == "tool"}
        above = self._found_parents() if silent else {}
        silent = {name for name in silent if above.get(name) in self._calls}
        self._said |= {name: self._nothing(name) for name in silent}
        above = self._found_parents() if silent else {}
        # Of several that follow each other, the first one is the answer.
        self._said |= {name: None for name in silent if above.get(name) not in self._calls}

    def _role(self, name: str) -> str:
        return word(mapping_or_empty(self._original(name).get("author")).get("role"))

    def _nothing(self, name: str) -> dict[str, Any]:
        told = word(mapping_or_empty(self._original(name).get("author")).get("name")) or None
        return {"role": self._role(name), "content": "", **present(name=told)}

    def _goes_on(self, before: str, name: str) -> bool:
        """Whether a message belongs to the same answer as the one before it.

        Messages of the assistant that follow each other are one, but what it says after it called a tool, it says when
        it has the result, wherever that is.
        """
        both = before in self._answers and name in self._answers
        return both and (before not in self._calls or name in self._calls)

    def _found_parents(self) -> dict[str, str]:
        """The nearest message above each that says something: some nodes hold nothing."""
        above: dict[str, str] = {}
        for name, node in self._nodes.items():
            parent = node.get("parent")
            if isinstance(parent, str) and parent in self._nodes:
                above[name] = parent
            children = node.get("children")
            for child in children if isinstance(children, list) else ():
                if isinstance(child, str) and child in self._nodes:
                    above.setdefault(child, name)
        return {name: at for name, at in self._nearest(above).items() if at is not None}

    def _nearest(self, above: dict[str, str]) -> dict[str, str | None]:
        found: dict[str, str | None] = {}
        for name in self._nodes:
            silent = [name]
            at = above.get(name)
            while at is not None and self._said[at] is None and at not in found:
                silent.append(at)
                if len(silent) > len(self._nodes):
                    raise EntryError("its messages go in a circle")
                at = above.get(at)
            if at is not None and self._said[at] is None:
                at = found[at]
            found.update(dict.fromkeys(silent, at))
        return found

    def _found_home(self, conversation: dict[str, Any]) -> Home:
        told = word(conversation.get("conversation_id")) or word(conversation.get("id")) or min(self._nodes, default="")
        try:
            own = str(uuid.UUID(told))
        except ValueError:
            own = None
        return home_of("chatgpt", told, conversation.get("title"), own=own)

    def ends(self) -> list[str]:
        """The last message of every answer, and of every branch, in the order of the file."""
        below: dict[str, list[str]] = {}
        for name, parent in self._parents.items():
            if self._said[name] is not None:
                below.setdefault(parent, []).append(name)
        found = [
            name
            for name, said in self._said.items()
            if said is not None
            and (
                name not in below
                or (name in self._answers and not all(self._goes_on(name, after) for after in below[name]))
            )
        ]
        if self._written and not found:
            raise EntryError("its messages go in a circle")
        return found

    def _path(self, name: str) -> tuple[list[str], bool]:
        """The messages down to one, or the last of them; and whether there are more."""
        path, size, seen = [name], 0, {name}
        while (parent := self._parents.get(path[-1])) is not None:
            if parent in seen:
                raise EntryError("its messages go in a circle")
            size += len(self._written[parent])
            if size > MOST_BYTES or len(path) > MOST_MESSAGES:
                return path[beginning(path) :: -1], True
            path.append(parent)
            seen.add(parent)
        return path[::-1], False

    def exchange(self, number: int, last: str) -> Foreign:
        """Return the exchange that ends with a message.

        :raises EntryError: its messages go in a circle, or cannot be written as JSON.
        """
        turns: list[list[str]] = []
        answers = self._answers
        path, cut = self._path(last)
        for name in path:
            if turns and self._goes_on(turns[-1][-1], name):
                turns[-1].append(name)
            else:
                turns.append([name])
        answer = turns.pop() if last in answers else []
        new: list[str] = []
        for turn in reversed(turns):
            if turn[-1] in answers:
                break
            new[:0] = turn
        messages = [self._written[turn[0]] if len(turn) == 1 else json_bytes(self._joined(turn)) for turn in turns]
        told = self._joined(answer) if answer else None
        times = (self._times[turn[-1]] for turn in reversed(turns))
        return chat(
            number,
            messages,
            {"chatgpt": [self._original(name) for name in new]},
            None if told is None else self._answer(answer, told),
            home=self._home,
            called=last,
            key=("chatgpt", self._home.id, *answer, last, json.dumps(told or self._said[last])),
            started_ns=next(filter(None, times), None),
            cut=cut,
            end="response_truncated" if answer and _broken_off(self._original(answer[-1])) else None,
            whole=bool(answer) and self._original(answer[-1]).get("status") == _FINISHED,
        )

    def _answer(self, names: list[str], told: dict[str, Any]) -> dict[str, Any]:
        originals = [self._original(name) for name in names]
        about = [mapping_or_empty(one.get("metadata")) for one in originals]
        finish = mapping_or_empty(about[-1].get("finish_details")).get("type")
        if about[-1].get("is_error") is True:
            finish = "error"
        elif _broken_off(originals[-1]) and finish != "interrupted":
            finish = originals[-1].get("status")  # whatever else it says: it finished nothing
        model = next(filter(None, (word(one.get("model_slug")) for one in reversed(about))), None)
        choice = {"index": 0, "message": told} | ({"finish_reason": finish} if isinstance(finish, str) else {})
        return present(id=names[-1], model=model) | {"choices": [choice], "chatgpt": originals}

    def _original(self, name: str) -> dict[str, Any]:
        return mapping_or_empty(self._nodes[name].get("message"))

    def _joined(self, names: list[str]) -> dict[str, Any]:
        return _joined([said for name in names if (said := self._said[name]) is not None])


def _broken_off(message: dict[str, Any]) -> bool:
    """Whether the file itself says that an answer is not whole: interrupted, or still under way."""
    finish = mapping_or_empty(mapping_or_empty(message.get("metadata")).get("finish_details")).get("type")
    status = message.get("status")
    return finish == "interrupted" or (isinstance(status, str) and status != _FINISHED)


def _said(message: dict[str, Any]) -> dict[str, Any] | None:
    """Return a message in the form of OpenAI's; None where nothing is said in it."""
    author = mapping_or_empty(message.get("author"))
    role = word(author.get("role"))
    if not role:
        return None
    content = mapping_or_empty(message.get("content"))
    kind, recipient = word(content.get("content_type")), word(message.get("recipient"))
    name = word(author.get("name")) or None
    if role == "assistant" and kind == "thoughts":
        return message_of(role, (), reasoning_content=_thoughts(content.get("thoughts")))
    blocks = list(_blocks(kind, content))
    if role == "assistant" and recipient not in ("", "all") and all(isinstance(block, str) for block in blocks):
        return message_of(role, (), tool_calls=[call_of(recipient, "".join(blocks))])
    attached = mapping_or_empty(message.get("metadata")).get("attachments")
    files = (
        [{**one, "type": "attachment"} for one in attached if isinstance(one, dict)]
        if isinstance(attached, list)
        else []
    )
    return message_of(role, [*blocks, *files], name=name)


def _blocks(kind: str, content: dict[str, Any]) -> Iterator[Any]:
    """Yield what a content holds: texts, and blocks of other kinds as they are."""
    parts = content.get("parts")
    if isinstance(parts, list):
        for part in parts:
            if isinstance(part, dict):
                yield {**part, "type": word(part.get("content_type")) or "part"}
            elif part is not None:
                yield part if isinstance(part, str) else json.dumps(part)
        return
    text = content.get(_TEXTS.get(kind, "text"))
    if isinstance(text, str):
        yield text
    elif content.keys() - {"content_type"}:
        yield {**content, "type": kind or "content"}


def _thoughts(value: Any) -> str:
    """The texts of thoughts: what was thought, else its summary."""
    found = [mapping_or_empty(one) for one in value] if isinstance(value, list) else []
    return "\n\n".join(filter(None, (word(one.get("content")) or word(one.get("summary")) for one in found)))


def _joined(messages: list[dict[str, Any]]) -> dict[str, Any]:
    """Return messages of one author as one."""
    if len(messages) == 1:
        return messages[0]
    blocks: list[Any] = []
    for content in (one.get("content", "") for one in messages):
        blocks += content if isinstance(content, list) else [content]
    thoughts = "\n\n".join(one["reasoning_content"] for one in messages if "reasoning_content" in one)
    calls = [call for one in messages for call in one.get("tool_calls", ())]
    told = message_of(messages[-1]["role"], blocks, reasoning_content=thoughts, tool_calls=calls)
    return told or messages[-1]


IMPORTER = ChatGpt()
