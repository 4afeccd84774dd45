"""``logs.db`` of LLM (https://llm.datasette.io/en/stable/logging.html), of every age.

Until 2023 there is one table, ``log`` and later ``logs``; then ``responses`` and what belongs to them, each with its
prompt; since 2026 ``turns`` over a tree of messages (:mod:`recorder.formats.importing.llm_turns`). A database has all
that it ever had. A response of a conversation answers all of it so far, as LLM sends it. What a model's plugin kept of
the request and of the answer (``prompt_json``, ``response_json``) stands beside the messages; LLM has put references
for long texts there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import chain, count, groupby
from typing import Any, Final

from recorder.formats.importing.base import Foreign, Recording, Refused
from recorder.formats.importing.chats import History, call_of, chat, home_of, message_of
from recorder.formats.importing.llm_rows import answer_of, asked_of, attachment, result_of, row_of, says_whole, time_of
from recorder.formats.importing.llm_turns import turns
from recorder.formats.importing.source import Database, Source
from recorder.formats.importing.values import EntryError, json_bytes, ms_ns, refuse_empty, text

_SHAPE: Final = frozenset({"model", "prompt", "response"})


class LlmLogs:
    """LLM's logs."""

    name = "llm"
    help = "logs.db of LLM (llm.datasette.io)"
    order = 2

    def recognises(self, source: Source) -> bool:
        """A database with one of LLM's tables."""
        tables = source.database.tables if source.database is not None else {}
        asked = any(tables.get(name, frozenset()) >= _SHAPE for name in ("responses", "logs", "log"))
        return asked or "tip_message_hash" in tables.get("turns", ())

    def read(self, source: Source) -> Recording:
        """Return the recording; its version is the last of LLM's migrations."""
        database = source.database
        if database is None:
            return Recording(self.name, iter(()))
        done = [text(row.get("name")) for row in database.rows("_llm_migrations", "name")]
        return Recording(self.name, _entries(database), done[-1] if done else None)


#: Makes an exchange of a row; the number is its place in the file.
Reads = Callable[[int], Foreign]


def _entries(database: Database) -> Iterator[Foreign | Refused]:
    numbers = count(1)
    for reads in chain(_old(database, "log"), _old(database, "logs"), _responses(database), turns(database)):
        number = next(numbers)
        try:
            yield reads(number)
        except EntryError as error:
            yield Refused(number, str(error))
    refuse_empty(next(numbers) > 1, "responses")


def _old(database: Database, table: str) -> Iterator[Reads]:
    """The table of the first versions: a conversation is what has the same ``chat_id``, the id of its first row."""
    told: dict[str, _Told] = {}
    for at, row in enumerate(database.rows(table, "id"), 1):
        identity = text(row.get("id")) or str(at)
        root = text(row.get("chat_id")) or text(row.get("reply_to_id")) or identity
        if root not in told:
            # A number tells nothing apart in another file: what was asked first, and when, does.
            told[root] = _Told(database, "llm-log", f"{text(row.get('prompt'))} {_at(row)} {root}", None)
        told[identity] = told[root]
        yield _reader(told[root], row, identity, _Beside())


def _responses(database: Database) -> Iterator[Reads]:
    """Since 2023: responses, and tables of what belongs to them."""
    names = {text(row.get("id")): text(row.get("name")) for row in database.rows("conversations")}
    beside = _all_beside(database)
    rows = database.rows("responses", "conversation_id", "id")
    for identity, some in groupby(rows, lambda row: text(row.get("conversation_id"))):
        conversation = _Told(database, "llm", identity, names.get(identity))
        for row in some:
            one = text(row.get("id"))
            alone = conversation if identity else _Told(database, "llm", one, None)
            yield _reader(alone, row, one, beside.get(one, _Beside()))


def _reader(conversation: _Told, row: dict[str, Any], called: str, beside: _Beside) -> Reads:
    return lambda number: conversation.exchange(number, row, called, beside)


def _at(row: dict[str, Any]) -> Any:
    """The time of a row, under the names that it has had."""
    return next((row[name] for name in ("datetime_utc", "timestamp_utc", "timestamp") if row.get(name)), None)


class _Beside:
    """What other tables say of a response.

    :ivar fragments: ids by kind, ``prompt`` or ``system``; ``attached``, ``tools``: ids; ``calls``, ``results``: rows.
    """

    __slots__ = ("attached", "calls", "fragments", "results", "tools")

    def __init__(self) -> None:
        self.fragments: dict[str, list[Any]] = {"prompt": [], "system": []}
        self.attached: list[Any] = []
        self.tools: list[Any] = []
        self.calls: list[dict[str, Any]] = []
        self.results: list[tuple[dict[str, Any], list[Any]]] = []


def _all_beside(database: Database) -> dict[str, _Beside]:
    """Return what other tables say of each response, but for contents of fragments and attachments."""
    found: dict[str, _Beside] = defaultdict(_Beside)

    def rows(table: str, *order: str) -> Iterator[tuple[_Beside, dict[str, Any]]]:
        return ((found[text(row.get("response_id"))], row) for row in database.rows(table, *order))

    results: dict[Any, list[Any]] = defaultdict(list)
    for row in database.rows("tool_results_attachments", "order"):
        results[row.get("tool_result_id")].append(row.get("attachment_id"))
    for kind in ("prompt", "system"):
        for one, row in rows(f"{kind}_fragments", "order"):
            one.fragments[kind].append(row.get("fragment_id"))
    for one, row in rows("prompt_attachments", "order"):
        one.attached.append(row.get("attachment_id"))
    for one, row in rows("tool_responses", "tool_id"):
        one.tools.append(row.get("tool_id"))
    for one, row in rows("tool_calls", "id"):
        one.calls.append(row)
    for one, row in rows("tool_results", "id"):
        one.results.append((row, results[row.get("id")]))
    return found


class _Told:
    """One conversation, as far as it has been read.

    :param kind: whose ids these are.
    """

    def __init__(self, database: Database, kind: str, identity: str, name: str | None) -> None:
        self._database = database
        self._kind = kind
        self._home = home_of(kind, identity, name)
        self._history = History()
        self._system = ""

    def exchange(self, number: int, row: dict[str, Any], called: str, beside: _Beside) -> Foreign:
        """Return the exchange of the next row."""
        asked = [json_bytes(message) for message in self._asked(row, beside)]
        self._history.add(*asked)
        calls = [_call(one) for one in beside.calls]
        said = text(row.get("response"))
        message = message_of("assistant", [said], reasoning_content=text(row.get("reasoning")), tool_calls=calls)
        found = chat(
            number,
            self._history,
            asked_of(self._database, row, beside.tools),
            answer_of(row, message),
            home=self._home,
            called=called,
            key=(self._kind, self._home.id, called, str(message), *map(bytes.decode, asked)),
            started_ns=time_of(_at(row)),
            end_ns=ms_ns(row.get("duration_ms")),
            cut=self._history.cut,
            whole=says_whole(row),
        )
        if message is not None:
            self._history.add(json_bytes(message))
        return found

    def _asked(self, row: dict[str, Any], beside: _Beside) -> Iterator[dict[str, Any]]:
        """The messages that are new: a system prompt where it is another one, results of tools, the prompt."""
        contents = {kind: [self._fragment(one) for one in ids] for kind, ids in beside.fragments.items()}
        system = "\n\n".join(filter(None, map(str.strip, [*contents["system"], text(row.get("system"))])))
        if system and system != self._system:
            self._system = system
            yield {"role": "system", "content": system}
        for result, attached in beside.results:
            yield result_of(self._database, result, attached)
        prompt = "\n".join([*contents["prompt"], *filter(None, [text(row.get("prompt"))])])
        attached = [attachment(self._database, identity) for identity in beside.attached]
        message = message_of("user", [prompt, *attached])
        if message is not None:
            yield message

    def _fragment(self, identity: Any) -> str:
        return text(row_of(self._database, "fragments", identity).get("content"))


def _call(row: dict[str, Any]) -> dict[str, Any]:
    return call_of(text(row.get("name")), text(row.get("arguments")), text(row.get("tool_call_id")) or None)


IMPORTER = LlmLogs()
