"""Markdown: a transcript for people.

Every text that came from outside stands in a fence (or a code span) that is longer than any run of backticks
in it, so that no message can pass for a heading, a role or another message. An answer that is not complete
says so before its first word; what is not as it was written, at the top and again at the exchange; what the program
changed in the history that it sent back, before the messages. Messages that an exchange repeats from the one it
extends are not shown again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from recorder.core.conversation import Conversation
from recorder.core.json_text import dumps, plain, whole
from recorder.core.linked import Linked
from recorder.core.message_json import part_json
from recorder.core.message_text import part_title, reports_told, tokens_text
from recorder.core.messages import (
    Anomaly,
    Answer,
    Message,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from recorder.core.rebuilt import Rebuilt, changes_of, place_of
from recorder.formats.base import Rereadable
from recorder.formats.endings import WARNINGS, started, titled
from recorder.formats.repeats import Repeats

#: What the line above a part that is neither text nor a call tells already.
_TOLD: Final = frozenset(
    {"type", "kind", "call_id", "name", "failed", "url", "title", "media_type", "file_id", "bytes"}
)

_WIDEST: Final = 30  # of the names in a table


class Markdown:
    """A transcript for people."""

    name = "markdown"
    help = "a transcript to read"
    is_binary = False

    def render(self, exchanges: Iterable[Rebuilt], conversation: Conversation | None = None) -> Iterator[str]:
        """Yield the heading, a note where exchanges are not as they were written, then one piece for each exchange.

        Exchanges of several conversations get the heading of theirs where it begins.
        """
        if conversation is not None:
            yield from _heading(conversation.id, conversation.name, conversation.one_of)
        exchanges = exchanges if isinstance(exchanges, Rereadable) else list(exchanges)
        yield from _changed(exchanges)
        repeats = Repeats(conversation)
        last: str | None = None
        home: str | None = None
        for rebuilt in exchanges:
            place = place_of(rebuilt, conversation)
            if conversation is None and rebuilt.place is not None and place.conversation != home:
                home = place.conversation
                yield from _heading(place.conversation or rebuilt.id, place.name)
            forked = place.parent if place.parent is not None and place.parent != last else None
            yield "".join(_exchange(rebuilt, repeats.take(rebuilt) or 0, forked, changes_of(rebuilt, conversation)))
            last = rebuilt.id


def _heading(identity: str, name: str | None, one_of: int | None = None) -> Iterator[str]:
    what = "Conversation" if one_of is None else f"One of {one_of:,} exchanges of the conversation"
    yield f"# {what} {code(name or identity)}\n\n"
    if name is not None:
        yield f"id {code(identity)}\n\n"


def _changed(exchanges: Rereadable | list[Rebuilt]) -> Iterator[str]:
    """Yield what the hash chains say against the recording: whoever reads on must know it first."""
    if isinstance(exchanges, Rereadable):
        told = list(exchanges.changed())
    else:
        told = [(one.id, one.not_as_written) for one in exchanges if one.not_as_written is not None]
    if told:
        yield "> **Not as written**: the recording was changed or damaged after it was made.\n"
        yield "".join(f"> Exchange {code(identity)}: {code(detail)}\n" for identity, detail in told) + "\n"


def _exchange(rebuilt: Rebuilt, repeated: int, forked: str | None, changes: Sequence[Anomaly]) -> Iterator[str]:
    exchange = rebuilt.exchange
    yield f"## Exchange {code(rebuilt.id)}\n\n"
    facts = [started(exchange)]
    if exchange.request is not None:
        asked = [code(told) for told in (exchange.request.method, exchange.request.url) if told]
        facts += [" ".join(asked)] if asked else []  # chats that are imported tell neither
    if exchange.response is not None:
        facts.append(f"status {exchange.response.status}")
    if rebuilt.model is not None:
        facts.append(f"model {code(rebuilt.model)}")
    facts.append(f"verdict {code(rebuilt.verdict)}")
    yield " · ".join(facts) + "\n\n"
    if rebuilt.not_as_written is not None:
        yield f"> **Not as written**: {code(rebuilt.not_as_written)}\n\n"
    if rebuilt.erased is not None:
        yield f"> **Erased**: {code(rebuilt.erased)}\n\n"
    if rebuilt.unknown_events is not None:
        yield f"> **Not read**: {code(rebuilt.unknown_events)}\n\n"
    yield from (f"> **Lost**: {code(told)}\n\n" for told in rebuilt.lost)
    if forked is not None:
        yield f"Goes on from exchange {code(forked)}.\n\n"
    if changes:
        yield "> **History changed**: what was sent back is not what was said before.\n"
        yield "".join(f"> {code(change.kind)}: {code(change.detail)}\n" for change in changes) + "\n"
    for message in rebuilt.request_messages[repeated:]:
        yield from _message(message, message.role or "role not sent")
    yield from _warning(rebuilt)
    for title, choice in titled(rebuilt.answer.choices):
        yield from _message(choice.message, title)
        if choice.finish_reason is not None:
            yield f"finish reason {code(choice.finish_reason)}\n\n"
    yield from _usage(rebuilt.answer)
    yield from map(_link, rebuilt.links)


def _usage(answer: Answer) -> Iterator[str]:
    counts = tokens_text(answer.tokens)
    if counts is not None:
        yield f"tokens: {counts}\n\n"
    first, last, between = reports_told(answer.usage_reports)
    yield from (f"usage {code(json.dumps(plain(report)))}\n\n" for report in first)
    if between:
        yield f"usage: {between:,} more reports between these two\n\n"
    yield from (f"usage {code(json.dumps(plain(report)))}\n\n" for report in last)


def _link(linked: Linked) -> str:
    facts = _table(linked.fact_rows())
    told = f"Its facts, as they were recorded:\n\n{facts}" if facts else ""
    return f"### Led to {code(linked.title)}\n\n{_table(linked.rows())}{told}"


def _table(rows: Iterable[tuple[str, str]]) -> str:
    """Return rows of a name and a text in a fence, each on one line, so that no text passes for a row."""
    told = [(_line(name), _line(text)) for name, text in rows]
    width = min(max((len(name) for name, _ in told), default=0), _WIDEST)
    return fenced("\n".join(f"{name:{width}}  {text}" for name, text in told)) if told else ""


def _line(text: str) -> str:
    return "".join(each if each.isprintable() else f"U+{ord(each):04X}" for each in whole(text))


def _warning(rebuilt: Rebuilt) -> Iterator[str]:
    warning = WARNINGS.get(rebuilt.verdict)
    if warning is None:
        return
    evidence = rebuilt.evidence
    end = code(evidence.transport_end or "no event yet")
    yield f"> **{rebuilt.verdict}**: {warning} The transport ended with {end}"
    yield f", status {evidence.http_status}.\n" if evidence.http_status is not None else ".\n"
    for frame in evidence.error_frames:
        yield f"> Error sent: {code(json.dumps(plain(frame), ensure_ascii=False))}\n"
    if evidence.failure:
        yield f"> Failure: {code(json.dumps(plain(evidence.failure), ensure_ascii=False))}\n"
    yield "\n"


def _message(message: Message, title: str) -> Iterator[str]:
    yield f"### {code(title)}\n\n"
    if message.name is not None:
        yield f"name {code(message.name)}\n\n"
    if message.tool_call_id is not None:
        yield f"answers call {code(message.tool_call_id)}\n\n"
    for part in message.parts:
        yield from _part(part)


def _part(part: Part) -> Iterator[str]:
    if isinstance(part, TextPart):
        yield fenced(part.text)
    elif isinstance(part, ReasoningPart):
        yield "*reasoning*\n\n" + fenced(part.text)
    elif isinstance(part, RefusalPart):
        yield "*refusal*\n\n" + fenced(part.text)
    elif isinstance(part, ToolCallPart):
        yield f"*tool call* {code(part.name or 'name not sent')}"
        yield f" {code(part.id)}" if part.id else ""
        yield "\n\n" if part.complete else " — **arguments not known to be complete**\n\n"
        yield fenced(part.arguments_text, "json" if part.complete else "")
    else:
        shown = part_json(part)
        title = part_title(part) or shown.pop("kind", "part")
        text = shown.pop("text", None) if isinstance(part, ToolResultPart) else None
        yield f"*{code(title)}*\n\n" + (fenced(text) if text else "")
        rest = {key: value for key, value in shown.items() if key not in _TOLD}
        if rest:
            yield fenced(dumps(rest.get("value", rest), ensure_ascii=False, indent=2), "json")


def fenced(text: str, language: str = "") -> str:
    """Return *text* in a fence longer than any run of backticks in it (CommonMark §4.5)."""
    text = whole(text)
    fence = "`" * max(3, _longest_run(text) + 1)
    return f"{fence}{language}\n{text}\n{fence}\n\n"


def code(text: str) -> str:
    """Return *text* as a code span on one line (CommonMark §6.1)."""
    text = re.sub(r"\s+", " ", whole(text)).strip() or " "
    ticks = "`" * (_longest_run(text) + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{ticks}{pad}{text}{pad}{ticks}"


def _longest_run(text: str) -> int:
    return max(map(len, re.findall(r"`+", text)), default=0)


FORMAT = Markdown()
