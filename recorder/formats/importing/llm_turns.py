"""LLM's logs since 2026: turns over a tree of messages, each stored once and known by the hash of all above it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

from recorder.core.json_text import whole_text
from recorder.formats.importing.base import Foreign
from recorder.formats.importing.chats import MOST_BYTES, MOST_MESSAGES, beginning, call_of, chat, home_of, message_of
from recorder.formats.importing.llm_rows import (
    answer_of,
    asked_of,
    attachment,
    json_or_text,
    result_of,
    row_of,
    says_whole,
    time_of,
)
from recorder.formats.importing.source import Database
from recorder.formats.importing.values import EntryError, json_bytes, mapping_or_empty, ms_ns, text, word

_KEPT: Final = 4096  # messages that are not read again


def turns(database: Database) -> Iterator[Callable[[int], Foreign]]:
    """Yield what makes an exchange of each turn, in their order."""
    names = {text(row.get("id")): text(row.get("name")) for row in database.rows("threads")}
    tree = _Tree(database)
    for row in database.rows("turns", "id"):
        yield partial(_exchange, tree, row, names)


def _exchange(tree: _Tree, row: dict[str, Any], names: dict[str, str], number: int) -> Foreign:
    database, thread, called = tree.database, text(row.get("thread_id")), text(row.get("id"))
    parent, tip = (text(row.get(f"{name}_message_hash")) or None for name in ("parent", "tip"))
    before, cut = tree.messages(parent)
    said, _ = tree.messages(tip, until=parent)
    tools = (one.get("tool_id") for one in database.rows("turn_tools", turn_id=row.get("id")))
    answer, others = _answer(said)
    return chat(
        number,
        map(json_bytes, before),
        asked_of(database, row, tools),
        answer_of(row, answer, messages=others or None),
        home=home_of("llm", thread or called, names.get(thread)),
        called=called,
        key=("llm-turn", called, tip or "", parent or ""),
        started_ns=time_of(row.get("datetime_utc")),
        end_ns=ms_ns(row.get("duration_ms")),
        cut=cut,
        whole=says_whole(row),
    )


def _answer(said: list[dict[str, Any]]) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
    """Return the last message of the assistant, and those before and behind it, where a turn has several."""
    own = [at for at, message in enumerate(said) if message.get("role") == "assistant"]
    if not own:
        return None, said
    return said[own[-1]], [*said[: own[-1]], *said[own[-1] + 1 :]]


class _Tree:
    """The messages of a database."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._read: dict[str, tuple[str | None, list[dict[str, Any]], int]] = {}

    def messages(self, tip: str | None, until: str | None = None) -> tuple[list[dict[str, Any]], bool]:
        """Return the messages down to *tip*, or the last of them; and whether there are more.

        :param until: leave out this one and those above it.
        :raises EntryError: one is not there, or they go in a circle.
        """
        found: list[list[dict[str, Any]]] = []
        path: list[str] = []
        size, at = 0, tip
        seen: set[str] = set()
        while at is not None and at != until:
            if at in seen:
                raise EntryError("its messages go in a circle")
            seen.add(at)
            path.append(at)
            at, messages, written = self._message(at)
            size += written
            if found and (size > MOST_BYTES or len(found) >= MOST_MESSAGES):
                kept = found[beginning(path[:-1]) :: -1]
                return [one for messages in kept for one in messages], True
            found.append(messages)
        return [one for messages in reversed(found) for one in messages], False

    def _message(self, identity: str) -> tuple[str | None, list[dict[str, Any]], int]:
        if identity not in self._read:
            if len(self._read) >= _KEPT:
                self._read.clear()
            row = next(self.database.rows("messages", hash=identity), None)
            if row is None:
                raise EntryError(f"the message {identity:.40} that it names is not there")
            told = list(self._told(text(row.get("role")), identity))
            size = len(json.dumps(told))
            self._read[identity] = (text(row.get("parent_hash")) or None, told, size)
        return self._read[identity]

    def _told(self, role: str, identity: str) -> Iterator[dict[str, Any]]:
        """A message in the form of OpenAI's; results of tools are messages by themselves."""
        blocks: list[Any] = []
        calls: list[dict[str, Any]] = []
        thoughts: list[str] = []
        for part in self.database.rows("parts", "position", message_hash=identity):
            kind, held = text(part.get("type")), mapping_or_empty(json_or_text(part.get("payload")))
            if kind == "text":
                blocks.append(self._text(part, held))
            elif kind == "reasoning":
                thoughts.append(self._text(part, held))
            elif kind == "tool_call":
                arguments = whole_text(json.dumps(held.get("arguments"), ensure_ascii=False))
                calls.append(call_of(word(held.get("name")), arguments, word(held.get("tool_call_id")) or None))
            elif kind == "tool_result":
                attached = held.get("attachments")
                ids = [mapping_or_empty(one).get("id") for one in attached] if isinstance(attached, list) else []
                yield result_of(self.database, {key: word(value) for key, value in held.items()}, map(word, ids))
            elif kind == "attachment":
                blocks.append(attachment(self.database, word(mapping_or_empty(held.get("attachment")).get("id"))))
            else:
                blocks.append({**held, "type": kind or "part"})
        message = message_of(role, blocks, reasoning_content="\n\n".join(filter(None, thoughts)), tool_calls=calls)
        if message is not None:
            yield message

    def _text(self, part: dict[str, Any], held: dict[str, Any]) -> str:
        """The text of a part: by itself, or in pieces, some of which are fragments."""
        pieces = held.get("text_ref")
        if not isinstance(pieces, list):
            return text(part.get("text")) or word(held.get("text"))
        return "".join(map(self._piece, map(mapping_or_empty, pieces)))

    def _piece(self, piece: dict[str, Any]) -> str:
        if "literal" in piece:
            return word(piece["literal"])
        return text(row_of(self.database, "fragments", piece.get("fragment")).get("content"))
