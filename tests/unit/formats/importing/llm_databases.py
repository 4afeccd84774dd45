"""Makes databases as LLM has made them over the years, with a few rows in each."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

OLDEST = (
    "CREATE TABLE log (provider TEXT, system TEXT, prompt TEXT, chat_id TEXT, response TEXT, model TEXT,"
    " timestamp TEXT)"
)
OLD = (
    "CREATE TABLE logs (id INTEGER PRIMARY KEY, model TEXT, prompt TEXT, system TEXT, prompt_json TEXT,"
    " options_json TEXT, response TEXT, response_json TEXT, reply_to_id INTEGER, chat_id INTEGER,"
    " duration_ms INTEGER, datetime_utc TEXT)"
)
RESPONSES = (
    "CREATE TABLE conversations (id TEXT PRIMARY KEY, name TEXT, model TEXT)",
    "CREATE TABLE responses (id TEXT PRIMARY KEY, model TEXT, prompt TEXT, system TEXT, prompt_json TEXT,"
    " options_json TEXT, response TEXT, response_json TEXT, conversation_id TEXT, duration_ms INTEGER,"
    " datetime_utc TEXT)",
)
LATER = (
    *(f"ALTER TABLE responses ADD COLUMN {name}" for name in ("input_tokens INTEGER", "output_tokens INTEGER")),
    *(f"ALTER TABLE responses ADD COLUMN {name} TEXT" for name in ("token_details", "schema_id", "resolved_model")),
    "ALTER TABLE responses ADD COLUMN reasoning TEXT",
    "CREATE TABLE schemas (id TEXT PRIMARY KEY, content TEXT)",
    "CREATE TABLE attachments (id TEXT PRIMARY KEY, type TEXT, path TEXT, url TEXT, content BLOB)",
    'CREATE TABLE prompt_attachments (response_id TEXT, attachment_id TEXT, "order" INTEGER)',
    "CREATE TABLE fragments (id INTEGER PRIMARY KEY, hash TEXT, content TEXT, datetime_utc TEXT, source TEXT)",
    'CREATE TABLE prompt_fragments (response_id TEXT, fragment_id INTEGER, "order" INTEGER)',
    'CREATE TABLE system_fragments (response_id TEXT, fragment_id INTEGER, "order" INTEGER)',
    "CREATE TABLE tools (id INTEGER PRIMARY KEY, hash TEXT, name TEXT, description TEXT, input_schema TEXT)",
    "CREATE TABLE tool_responses (tool_id INTEGER, response_id TEXT)",
    "CREATE TABLE tool_calls (id INTEGER PRIMARY KEY, response_id TEXT, tool_id INTEGER, name TEXT, arguments TEXT,"
    " tool_call_id TEXT)",
    "CREATE TABLE tool_results (id INTEGER PRIMARY KEY, response_id TEXT, tool_id INTEGER, name TEXT, output TEXT,"
    " tool_call_id TEXT, exception TEXT)",
    'CREATE TABLE tool_results_attachments (tool_result_id INTEGER, attachment_id TEXT, "order" INTEGER)',
    "CREATE TABLE _llm_migrations (name TEXT PRIMARY KEY, applied_at TEXT)",
)
TURNS = (
    "CREATE TABLE messages (hash TEXT PRIMARY KEY, parent_hash TEXT, role TEXT, provider_metadata TEXT)",
    "CREATE TABLE parts (id INTEGER PRIMARY KEY, message_hash TEXT, position INTEGER, type TEXT, tool_name TEXT,"
    " text TEXT, payload TEXT)",
    "CREATE TABLE threads (id TEXT PRIMARY KEY, name TEXT, tip_message_hash TEXT, forked_from TEXT, datetime_utc TEXT)",
    "CREATE TABLE turns (id TEXT PRIMARY KEY, thread_id TEXT, parent_message_hash TEXT, tip_message_hash TEXT,"
    " model TEXT, resolved_model TEXT, options_json TEXT, schema_id TEXT, input_tokens INTEGER, output_tokens INTEGER,"
    " token_details TEXT, duration_ms INTEGER, datetime_utc TEXT, response_json TEXT)",
    "CREATE TABLE turn_tools (turn_id TEXT, tool_id INTEGER, instance_id INTEGER)",
)


class Logs:
    """A database that is being made.

    :param statements: that make its tables.
    """

    def __init__(self, path: Path, *statements: str) -> None:
        self.path = path
        self.run(*statements)

    def run(self, *statements: str) -> None:
        """Run statements."""
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.execute("PRAGMA synchronous = OFF")
            for statement in statements:
                connection.execute(statement)

    def add(self, table: str, **values: Any) -> None:
        """Insert a row; lists and mappings become JSON."""
        told = [json.dumps(one) if isinstance(one, dict | list) else one for one in values.values()]
        columns = ", ".join(f'"{name}"' for name in values)
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.execute("PRAGMA synchronous = OFF")
            places = ", ".join("?" * len(told))
            connection.execute(f"INSERT INTO {table} ({columns}) VALUES ({places})", told)


def oldest(path: Path) -> Logs:
    """Return the one of April 2023."""
    logs = Logs(path, OLDEST)
    for at, (prompt, response, chat) in enumerate([("a?", "A", None), ("b?", "B", 1), ("c?", "C", None)]):
        logs.add("log", prompt=prompt, response=response, chat_id=chat, model="m", timestamp=f"2023-04-01 10:00:0{at}")
    return logs


def old(path: Path) -> Logs:
    """Return the one of July 2023."""
    logs = Logs(path, OLD)
    told = {"prompt_json": {"messages": []}, "response_json": {"model": "m-0613", "finish_reason": "stop"}}
    first = {"prompt": "a?", "system": "Be.", "response": "A", "model": "m", "duration_ms": 1500}
    logs.add("logs", id=4, datetime_utc="2023-07-01T10:00:00.123456", options_json={"temperature": 1}, **told, **first)
    logs.add("logs", id=9, datetime_utc="2023-07-01T10:01:00", prompt="b?", response="B", model="m", chat_id=4)
    return logs


def recent(path: Path) -> Logs:
    """Return one of 2025: a conversation with a tool, an attachment, fragments, a schema."""
    logs = Logs(path, *RESPONSES, *LATER)
    for name in ("m001_initial", "m022_response_reasoning"):
        logs.add("_llm_migrations", name=name, applied_at="2025-06-01")
    logs.add("conversations", id="01jconv0000000000000000001", name="Weather", model="m")
    same = {"conversation_id": "01jconv0000000000000000001", "model": "m"}
    usage = {"input_tokens": 12, "output_tokens": 3, "token_details": {"prompt_tokens_details": {"cached_tokens": 2}}}
    logs.add("responses", id="01j1", prompt="Rain?", system="Be.", response="", duration_ms=20,
             datetime_utc="2025-06-01T10:00:00+00:00", resolved_model="m-2025", reasoning="Hm", schema_id="s",
             options_json={"seed": 1}, response_json={"id": "chatcmpl-1", "usage": {}}, **usage, **same)  # fmt: skip
    logs.add("responses", id="01j2", prompt="", response="It rains.", datetime_utc="2025-06-01T10:00:01+00:00", **same)
    logs.add("responses", id="01j3", prompt="And this?", system="Be.", response="A cat", **same)
    logs.add("responses", id="01j9", prompt="alone", response="yes", model="other")
    logs.add("schemas", id="s", content={"type": "object"})
    logs.add("tools", id=1, hash="h", name="weather", description="d", input_schema={"type": "object"})
    logs.add("tool_responses", tool_id=1, response_id="01j1")
    logs.add("tool_calls", response_id="01j1", tool_id=1, name="weather", arguments='{"at": "x"}', tool_call_id="c1")
    logs.add("tool_results", id=5, response_id="01j2", name="weather", output="wet", tool_call_id="c1", exception="E")
    logs.add("attachments", id="img", type="image/png", content=b"\x89PNG")
    logs.add("attachments", id="url", type="image/png", url="https://h.test/a.png")
    logs.add("attachments", id="pdf", type="application/pdf", path="reports/a.pdf")
    logs.add("tool_results_attachments", tool_result_id=5, attachment_id="url", order=0)
    for at, name in enumerate(("img", "pdf", "gone")):
        logs.add("prompt_attachments", response_id="01j3", attachment_id=name, order=at)
    for at, content in enumerate(("first", "second", "be brief"), 1):
        logs.add("fragments", id=at, hash=str(at), content=content)
    for order, fragment in enumerate((2, 1)):
        logs.add("prompt_fragments", response_id="01j9", fragment_id=fragment, order=order)
    logs.add("system_fragments", response_id="01j9", fragment_id=3, order=0)
    return logs


def newest(path: Path) -> Logs:
    """Return one of 2026: turns over a tree of messages, with a fork."""
    logs = Logs(path, *RESPONSES, *LATER, *TURNS)
    logs.add("threads", id="01thread", name="Trip")
    logs.add("fragments", id=1, hash="1", content="a long novel")
    logs.add("attachments", id="img", type="image/png", content=b"\x89PNG")
    tree = [("u1", None, "user"), ("a1", "u1", "assistant"), ("t1", "a1", "tool"), ("a2", "t1", "assistant"),
            ("a3", "u1", "assistant")]  # fmt: skip
    for name, parent, role in tree:
        logs.add("messages", hash=name, parent_hash=parent, role=role)
    pieces = [{"literal": "Read "}, {"fragment": 1}, {"literal": "!"}]
    logs.add("parts", message_hash="u1", position=0, type="text", payload={"text_ref": pieces})
    logs.add("parts", message_hash="u1", position=1, type="attachment", payload={"attachment": {"id": "img"}})
    logs.add("parts", message_hash="a1", position=0, type="reasoning", text="Hm")
    call = {"name": "look", "arguments": {"at": 1}, "tool_call_id": "c1"}
    logs.add("parts", message_hash="a1", position=1, type="tool_call", tool_name="look", payload=call)
    result = {"name": "look", "output": "seen", "tool_call_id": "c1", "attachments": [{"id": "img"}]}
    logs.add("parts", message_hash="t1", position=0, type="tool_result", tool_name="look", payload=result)
    logs.add("parts", message_hash="a2", position=0, type="text", text="Done.")
    logs.add("parts", message_hash="a3", position=0, type="text", text="Otherwise.")
    logs.add("parts", message_hash="a3", position=1, type="of 2031", payload={"x": 1})
    for at, (parent, tip) in enumerate([("u1", "a1"), ("t1", "a2"), ("u1", "a3")], 1):
        logs.add("turns", id=f"01turn{at}", thread_id="01thread", parent_message_hash=parent, tip_message_hash=tip,
                 model="m", resolved_model="m-1", input_tokens=at, datetime_utc=f"2026-06-01T10:00:0{at}+00:00",
                 duration_ms=7, response_json={"stop_reason": "end_turn"})  # fmt: skip
    return logs
