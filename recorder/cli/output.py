"""How things look on a terminal: tables, colours, short ids. Texts from outside cannot steer it."""

from __future__ import annotations

import codecs
import io
import os
import shutil
import sys
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import click

from recorder.core.characters import STEERING
from recorder.core.json_text import dumps

_COLOURS: Final = {
    "complete": "green",
    "truncated": "yellow",
    "aborted_by_client": "yellow",
    "errored": "red",
    "unknown": "magenta",
}
_GAP: Final = "  "
_NARROWEST: Final = 8


def colour() -> bool | None:
    """Return False where ``NO_COLOR`` asks for none (no-color.org), else None: only on a terminal."""
    return False if os.environ.get("NO_COLOR") else None


def short(identity: str) -> str:
    """Return the last 8 digits of an id: the first ones are the clock, and do not differ within a minute."""
    return identity[-8:]


def emit_json(value: Any) -> None:
    """Write one JSON object as a line of ASCII."""
    click.echo(dumps(value, allow_nan=False))


def clean(text: str, *, lines: bool = False) -> str:
    """Return *text* without what a terminal would obey: control characters become U+FFFD.

    :param lines: leave tabs, and line ends of every kind as ``\\n``.
    """
    for steering, shown in _LINES if lines else _ONE_LINE:
        text = text.replace(steering, shown)
    return STEERING.sub("\ufffd", text)


_LINES: Final = (("\r\n", "\n"), ("\r", "\n"))
_ONE_LINE: Final = (("\n", "\ufffd"), ("\t", "\ufffd"))


class Recorded:
    """Writes what was recorded to standard output: every byte of it, but to a terminal what is readable.

    A terminal obeys what it is sent: it sets its title, hides text, types answers. So it gets the text
    through :func:`clean`, and bytes as UTF-8. Everything else gets the text itself, escape sequences
    included, which click's ``echo`` would take out.
    """

    def __init__(self) -> None:
        self._is_terminal = sys.stdout.isatty()
        self._characters = codecs.getincrementaldecoder("utf-8")("replace")
        self._lines = io.IncrementalNewlineDecoder(None, translate=True)  # \r and \n may come in two pieces

    def text(self, piece: str) -> None:
        """Write a piece of text, at once."""
        sys.stdout.write(clean(self._lines.decode(piece), lines=True) if self._is_terminal else piece)
        sys.stdout.flush()

    def data(self, piece: bytes) -> None:
        """Write a piece of a body, at once."""
        if self._is_terminal:
            self.text(self._characters.decode(piece))
            return
        sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()

    def close(self) -> None:
        """Write what was held back because it could have been half of something."""
        if self._is_terminal:
            rest = self._lines.decode(self._characters.decode(b"", final=True), final=True)
            sys.stdout.write(clean(rest, lines=True))
            sys.stdout.flush()


def verdict(word: str) -> str:
    """Return a verdict in its colour."""
    return click.style(word, fg=_COLOURS.get(word))


def dim(text: str) -> str:
    """Return *text* as an aside."""
    return click.style(text, dim=True)


def duration(milliseconds: float | None) -> str:
    """Return a duration for people; empty where it is not known."""
    if milliseconds is None:
        return ""
    return f"{milliseconds:,.1f} ms" if milliseconds < 1000 else f"{milliseconds / 1000:,.2f} s"


def counted(number: int, noun: str) -> str:
    """Return ``1 event``, ``2 events``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def started(row: Mapping[str, Any]) -> str:
    """Return when an exchange was sent, to the second; empty where it was imported and nothing tells.

    :param row: an object of ``list --json``, ``search --json`` or ``tail --json``.
    """
    at = row.get("started_at")
    return "" if at is None else f"{at[5:10]} {at[11:19]}"


def home(row: Mapping[str, Any]) -> str:
    """Return the conversation that an exchange is in: its name, or the end of its id.

    :param row: as of :func:`started`.
    """
    return row.get("conversation_name") or short(row.get("conversation", ""))


def tell_nothing_fits() -> None:
    """Tell on standard error that the filters leave nothing."""
    click.echo("nothing is recorded that fits", err=True)


def tell_more(shown: int) -> None:
    """Tell on standard error that there is more than was shown, and how to get it."""
    click.echo(f"there are more: give -n, as in -n {shown * 5}", err=True)


def terminal_width() -> int | None:
    """Return the width to keep to, in columns; None where the output is no terminal and COLUMNS is not set."""
    if sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdigit():
        return shutil.get_terminal_size().columns
    return None


def columns_of(text: str) -> int:
    """Return how many columns a text takes (Unicode UAX #11: wide characters two, combining ones none)."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def cut(text: str, width: int) -> str:
    """Return *text* in at most *width* columns, an ellipsis at its end where something is missing."""
    if columns_of(text) <= width:
        return text
    while text and columns_of(text) > width - 1:
        text = text[:-1]
    return text + "…"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    :ivar right: numbers stand at the right.
    :ivar shrinks: its texts may be cut.
    :ivar spare: order in which columns are left out where there is no room, 1 first; 0 for never.
    :ivar colour: returns a cell's text in its colour.
    """

    title: str
    right: bool = False
    shrinks: bool = False
    spare: int = 0
    colour: Any = None


def table(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int | None) -> list[str]:
    """Return the lines of a table, its head first; a column whose cells are all empty is left out.

    :param width: the columns that there are room for; None for any number.
    """
    cells = [[clean(cell) for cell in row] for row in rows]
    used = [number for number in range(len(columns)) if any(row[number] for row in cells)]
    sizes = {
        number: max([columns_of(columns[number].title), *(columns_of(row[number]) for row in cells)]) for number in used
    }
    if width is not None:
        _fit(columns, sizes, width)
    lines = [dim(_line(columns, sizes, [column.title for column in columns], plain=True))]
    return lines + [_line(columns, sizes, row, plain=False) for row in cells]


def print_table(columns: Sequence[Column], rows: Sequence[Sequence[str]], *, empty: str) -> None:
    """Print rows in columns as wide as the terminal; of none, *empty* on standard error."""
    if not rows:
        click.echo(empty, err=True)
    for line in table(columns, rows, terminal_width()) if rows else ():
        click.echo(line)


def _fit(columns: Sequence[Column], sizes: dict[int, int], width: int) -> None:
    def excess() -> int:
        return sum(sizes.values()) + len(_GAP) * (len(sizes) - 1) - width

    for number in [number for number in sizes if columns[number].shrinks]:
        sizes[number] = max(min(sizes[number], _NARROWEST), sizes[number] - max(excess(), 0))
    for number in sorted((number for number in sizes if columns[number].spare), key=lambda n: columns[n].spare):
        if excess() > 0:
            del sizes[number]


def _line(columns: Sequence[Column], sizes: dict[int, int], row: Sequence[str], *, plain: bool) -> str:
    shown = []
    for number, size in sizes.items():
        column, text = columns[number], cut(row[number], size)
        pad = " " * (size - columns_of(text))
        coloured = text if plain or column.colour is None else column.colour(text)
        shown.append(pad + coloured if column.right else coloured + pad)
    return _GAP.join(shown).rstrip()
