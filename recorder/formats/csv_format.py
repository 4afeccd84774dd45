"""CSV of exchanges (RFC 4180): what ``list --json`` tells of each, its tokens, its finish, its error."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from recorder.core.conversation import Conversation
from recorder.core.json_text import plain
from recorder.core.message_json import tokens_json
from recorder.core.messages import Choice
from recorder.core.rebuilt import Rebuilt, place_of, relation_of, summary
from recorder.formats.endings import error_text

_LISTED: Final = ("id", "conversation", "conversation_name", "started_at", "method", "url", "status", "model")
_MEASURED: Final = ("verdict", "chunks", "bytes", "duration_ms", "first_chunk_ms", "dialect")
_TOKENS: Final = ("input", "output", "total", "cached", "cache_written", "reasoning")
COLUMNS: Final = (
    *_LISTED,
    *_MEASURED,
    *(f"tokens_{kind}" for kind in _TOKENS),
    "finish",
    "finish_reasons",
    "tools",
    "error",
    "call",
    "attempt",
    "parent",
    "not_as_written",
    "history_findings",
)

#: What makes a spreadsheet calculate a cell (OWASP, "CSV Injection"), in its full-width forms too.
_FORMULA: Final = re.compile("'*[=+\\-@\t\r\n＝＋－＠]")
_QUOTED: Final = re.compile("^'|[\",\r\n]")
#: What is no TEXTDATA of RFC 4180 and stops readers: controls but tab, line feed and carriage return.
_CONTROLS: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


class Csv:
    """One row for each exchange, after a row of names; UTF-8 without a byte order mark, lines end CRLF.

    A text that begins with ``=``, ``+``, ``-``, ``@``, a tab, a line end or a full-width form of them has a ``'``
    before it and stands in quotes, as OWASP advises, so that no spreadsheet calculates what was recorded; a program
    that wants the text takes one ``'`` away where nothing but more of them comes before such a character. Control
    characters are U+FFFD.

    A cell is empty where nothing is known. ``finish`` has the finish in the words that all dialects share,
    ``finish_reasons`` as it was sent; of several choices as ``INDEX=FINISH``, those that were not finished left out.
    An answer that is not complete says so under ``verdict``, a recording that was changed under ``not_as_written``.
    ``history_findings`` is how many changes of the history it sent back; empty for one exchange alone.
    """

    name = "csv"
    help = "a table of exchanges, safe to open in a spreadsheet"
    is_binary = False

    def render(self, exchanges: Iterable[Rebuilt], conversation: Conversation | None = None) -> Iterator[str]:
        """Yield the names, then a row for each exchange."""
        yield _line(COLUMNS)
        for rebuilt in exchanges:
            row = _row(rebuilt, conversation)
            yield _line([_cell(row.get(column)) for column in COLUMNS])


def _row(rebuilt: Rebuilt, conversation: Conversation | None) -> dict[str, Any]:
    exchange, choices = rebuilt.exchange, rebuilt.answer.choices
    place = place_of(rebuilt, conversation)
    relation = relation_of(rebuilt, conversation)
    told = summary(rebuilt, conversation=place.conversation)
    return {
        **told,
        "conversation_name": place.name,
        **{f"tokens_{kind}": count for kind, count in (tokens_json(rebuilt.answer.tokens) or {}).items()},
        "finish": _of_choices(choices, [choice.finish for choice in choices]),
        "finish_reasons": _of_choices(choices, [choice.finish_reason for choice in choices]),
        "tools": " ".join(told.get("tools", ())) or None,
        "error": error_text(rebuilt.evidence),
        "call": exchange.call,
        "attempt": exchange.attempt,
        "parent": place.parent,
        "not_as_written": rebuilt.not_as_written,
        "history_findings": None if relation is None else len(relation.findings),
    }


def _of_choices(choices: tuple[Choice, ...], values: list[str | None]) -> str | None:
    if len(choices) == 1:
        return values[0]
    return " ".join(f"{choice.index}={value}" for choice, value in zip(choices, values, strict=True) if value) or None


def _cell(value: Any) -> str:
    if not isinstance(value, str):
        return "" if value is None else str(value)
    text = _CONTROLS.sub("\ufffd", str(plain(value)))
    return "'" + text if _FORMULA.match(text) else text


def _line(cells: Iterable[str]) -> str:
    return ",".join(map(_quoted, cells)) + "\r\n"


def _quoted(cell: str) -> str:
    """Return a cell in quotes where it needs them (RFC 4180 §2.6, §2.7) or was made harmless."""
    if _QUOTED.search(cell) is None:
        return cell
    return '"' + cell.replace('"', '""') + '"'


FORMAT = Csv()
