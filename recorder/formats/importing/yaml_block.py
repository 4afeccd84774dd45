"""The block style of YAML as emitters write it, read in less time than a parser of all of YAML takes.

Nearly all cassettes are what the emitters of PyYAML, Psych and Go make of mappings, lists and texts: a line for each
key and item, scalars plain, quoted or literal, no flow style but ``{}`` and ``[]``. One expression reads such a line.
Whatever else there is in YAML (anchors, most tags, folded block scalars, comments, flow collections, documents after
the first, characters that it refuses) is :class:`Unusual`: nothing is guessed, a parser has to read it. What is read
here has the value that it has there.

YAML 1.1 (https://yaml.org/spec/1.1/): §5.1 characters, §9.1 flow scalars and their folding, §9.2 block collections,
§9.3.1 literal lines.
"""

from __future__ import annotations

import base64
import re
import sys
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, Final

#: Indentation, dash, key, and one of: text without quotes, in single quotes, in double quotes, an empty collection,
#: what stands before literal lines.
_Line = tuple[str, str | None, str | None, str | None, str | None, str | None, str | None, str | None]

#: A scalar without quotes that stands in one line, as text; a colon or a number sign in it is no mark.
_INSIDE: Final = r"[^\n\t:\#]*(?:(?::(?=\S)|(?<!\ )\#)[^\n\t:\#]*)*(?<!\ )"
_UNQUOTED: Final = rf"""(?:[^\s\-?:,\[\]{{}}\#&*!|>'"%@`]|-(?=[A-Za-z0-9])){_INSIDE}"""
_KEY: Final = r"[A-Za-z0-9_$][\w$.-]{0,200}"
_LINE: Final = re.compile(
    rf"""
    (?!\ *\n) (\ {{0,100}}) (-\ )?
    (?: ({_KEY}) : (?:\ |(?=\n)) )?
    (?:
      ({_UNQUOTED})
      | '([^']*(?:''[^']*)*)'
      | "([^"\\]*(?:\\.[^"\\]*)*)"
      | (\{{\}}|\[\])
      | ((?:!!?binary\ )?\|[-+]?)
      |
    )
    \n
    """,
    re.VERBOSE | re.DOTALL,
)
_END: Final[_Line] = ("", None, None, None, None, None, None, None)
_PRINTABLE: Final = bytes([9, 10, *range(32, 127)])
#: Beyond ASCII, what YAML has not, or has for line breaks.
_REFUSED: Final = re.compile("[^\t\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
#: Where a plain scalar begins with something else, it is text.
MAY_BE_OTHER: Final = frozenset("-+.0123456789~nNtTfFyYoO")

_MARKER: Final = re.compile(r"\n(?:---|\.\.\.)")
_INDENT: Final = re.compile(r"\n*( {1,100})(?=[^ \n])")
_INDENTED: Final = re.compile(r"\n +(?=[^ \n]|\Z)")
_UNEVEN: Final = re.compile(r"\n[^\n\0]|\n\Z")
#: In double quotes: breaks with the white space around them, the first one escaped or not; an escaped character.
_ESCAPE: Final = re.compile(
    r"\\\n[ \t\n]*|(?<![ \t])[ \t]+\n[ \t\n]*|\n[ \t\n]*"
    r"|\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))",
    re.DOTALL,
)
_NAMED: Final = 4  # the group of the last kind
_SPACED: Final = re.compile(r"\\[ \t][ \t]+\n")
_ESCAPED: Final = {  # §5.7
    "0": "\0",
    "a": "\a",
    "b": "\b",
    "t": "\t",
    "\t": "\t",
    "n": "\n",
    "v": "\v",
    "f": "\f",
    "r": "\r",
    "e": "\x1b",
    " ": " ",
    '"': '"',
    "/": "/",
    "\\": "\\",
    "N": "\x85",
    "_": "\xa0",
    "L": "\u2028",
    "P": "\u2029",
}


class Unusual(Exception):  # noqa: N818 - nothing is wrong
    """Something stands in the document that is not read here."""


def block_items(data: bytes, plain: Callable[[str], Any]) -> Iterator[tuple[str | None, Any]]:
    """Yield what a document holds, as it is read.

    :param data: without a byte order mark.
    :param plain: returns the value of a scalar without quotes that begins with one of :data:`MAY_BE_OTHER`.
    :returns: ``(key, value)`` of a mapping, where a list yields each of its items under its key; of a list, its
        items under None.
    :raises Unusual: what follows is not read here.
    """
    block = _Block(_text(data), plain)
    if block.line[1] is None:
        yield from block.entries()
    else:
        yield from ((None, item) for item in block.items())
    if block.line is not _END:
        raise Unusual


def _text(data: bytes) -> str:
    if data.isascii():
        if data.translate(None, _PRINTABLE):
            raise Unusual
        text = data.decode("ascii")
    else:
        try:
            text = data.decode()
        except UnicodeDecodeError:
            raise Unusual from None
        if _REFUSED.search(text):
            raise Unusual
    if text.endswith("\n...\n"):  # the end of a document, as Ruby writes it
        text = text[:-4]
    return text.removeprefix("---\n")


@cache
def _deeper_lines(column: int) -> re.Pattern[str]:
    """Return what matches lines in which a scalar without quotes goes on that stands in that column."""
    return re.compile(rf"(?: {{{column + 1},100}}(?=[^\s:#]){_INSIDE}\n)+")


@cache
def _literal_lines(column: int) -> re.Pattern[str]:
    return re.compile(f"(?:(?:{' ' * column}[^\\n]*)?\n)+")


@cache
def _pairs(column: int) -> re.Pattern[str]:
    """Return what matches keys in that column, each with a list of one short text in the next line.

    So the headers of a request are written, which are most of the lines of a cassette.
    """
    indent = " " * column
    return re.compile(rf"""(?:{indent}{_KEY}:\n{indent}- (?:{_UNQUOTED}|'[^'\n]*')\n(?!{indent}(?:-\ |\ )))+""")


class _Block:
    """Makes values of lines.

    :ivar line: the first one that is not read yet.
    """

    line: _Line

    def __init__(self, text: str, plain: Callable[[str], Any]) -> None:
        # What has no break at its end is given one, which no scalar may have.
        self._is_open = not text.endswith("\n")
        self._text, self._plain = text + "\n" * self._is_open, plain
        self._until = len(text.rstrip("\n"))
        self._start = self._end = 0  # of the line
        self._advance()

    def entries(self) -> Iterator[tuple[str, Any]]:
        """Yield the entries of the document, the items of lists one by one."""
        if self.line[0]:
            raise Unusual
        while self.line is not _END:
            _, dash, key, text, single, double, empty, literal = line = self.line
            if dash is not None or key is None:
                raise Unusual
            name = self._name(key)
            if empty == "[]":
                self._advance()  # a list without items
            elif not (text is single is double is empty is literal):
                yield name, self._scalar(line, 0)
            elif self._advance()[1] is None:
                yield name, self._nested(0)
            else:
                yield from ((name, item) for item in self.items())
            if self.line[0]:
                raise Unusual

    def items(self) -> Iterator[Any]:
        """Yield the items of the list whose first one is in the line."""
        line = self.line
        column = len(line[0])
        while line[1] is not None and len(line[0]) == column:
            yield self._item(line, column)
            line = self.line

    def _advance(self) -> _Line:
        """Pass over the line; return the one after it."""
        self._start = self._end
        if self._start >= self._until:
            self.line = _END
        else:
            found = _LINE.match(self._text, self._start)
            if found is None:
                raise Unusual
            self._end = found.end()
            self.line = line = found.groups()  # type: ignore[assignment]  # the expression has as many groups
            if line[1] is line[2] is None:  # a scalar alone: nothing before it may be taken for whole
                raise Unusual
        return self.line

    def _item(self, line: _Line, column: int) -> Any:
        """Return the item in the line, of a list in that column."""
        _, _, key, text, single, double, empty, literal = line
        if key is not None:
            return self._mapping(column + 2)
        if text is single is double is empty is literal:
            raise Unusual
        return self._scalar(line, column)

    def _scalar(self, line: _Line, column: int) -> Any:
        """Return the scalar in the line, in a mapping or a list in that column, and pass over it."""
        _, _, _, text, single, double, empty, literal = line
        if literal is not None:
            return self._literal(literal, column)
        if text is not None and (more := _deeper_lines(column).match(self._text, self._end)):
            self._end = more.end()
            text = " ".join([text, *(each.strip(" ") for each in more[0].splitlines())])
        line = self._advance()
        if text is not None:
            if len(line[0]) > column:
                raise Unusual
            return text if text[0] not in MAY_BE_OTHER else self._plain(text)
        if single is not None:
            return _single(single)
        if double is not None:
            return _double(double)
        return [] if empty == "[]" else {}

    def _literal(self, told: str, column: int) -> str | bytes:
        """Return the literal lines below the line (§9.3.1), and pass over them.

        :param told: what stands before them: whether they are base64, and what becomes of the breaks at their end.
        """
        first = _INDENT.match(self._text, self._end)
        if first is None or len(first[1]) <= column:
            raise Unusual
        found = _literal_lines(len(first[1])).match(self._text, self._end)
        if found is None or (self._is_open and found.end() == len(self._text)):
            raise Unusual
        self._end = found.end()
        self._advance()
        text = f"\n{found[0]}".replace(f"\n{first[1]}", "\n")[1:]
        if told[-1] != "+":
            text = text.rstrip("\n") + ("\n" if told[-1] == "|" else "")
        if told[0] == "|":
            return text
        try:
            return base64.b64decode("".join(text.split()), validate=True)
        except ValueError:
            raise Unusual from None

    def _nested(self, column: int) -> Any:
        """Return what begins in the line, below a key in that column with nothing beside it."""
        line = self.line
        inner = len(line[0])
        if line[1] is None:
            return self._mapping(inner) if inner > column else None
        return list(self.items()) if inner >= column else None

    def _mapping(self, column: int) -> dict[str, Any]:
        """Return the mapping whose first entry is in the line, perhaps after a dash."""
        built: dict[str, Any] = {}
        line = self.line
        while True:
            _, _, key, text, single, double, empty, literal = line
            if key is None:
                raise Unusual
            if not (text is single is double is empty is literal):  # no two of them are ever there
                built[self._name(key)] = self._scalar(line, column)
            elif not self._take_pairs(built, column):
                self._advance()
                built[self._name(key)] = self._nested(column)
            line = self.line
            inner = len(line[0])
            if inner != column or line[1] is not None or line is _END:
                break
        if inner > column or (inner == column and line[1] is not None):
            raise Unusual
        return built

    def _name(self, key: str) -> str:
        return key if key[0] not in MAY_BE_OTHER else str(self._plain(key))

    def _take_pairs(self, built: dict[str, Any], column: int) -> bool:
        """Take entries of one short text each, of a mapping in that column; return whether there were some."""
        found = _pairs(column).match(self._text, self._start)
        if found is None:
            return False
        lines = found[0].split("\n")
        for key, item in zip(lines[::2], lines[1::2], strict=False):  # the last one is empty
            text = item[column + 2 :]
            quoted = text[0] == "'"
            value = text[1:-1] if quoted else self._plain(text) if text[0] in MAY_BE_OTHER else text
            built[self._name(key[column:-1])] = [value]
        self._end = found.end()
        self._advance()
        return True


def _single(text: str) -> str:
    """Return what a text in single quotes stands for."""
    if "''" in text:
        text = text.replace("''", "'")
    return text if "\n" not in text else _folded(text)


def _folded(text: str) -> str:
    """Return a text of several lines with its breaks folded: a lone one is a space, of some the first is nothing."""
    if _MARKER.search(text):
        raise Unusual
    # As emitters write it, every line but the first and the empty ones begins with the same white space, and none ends
    # with any: no line has to be looked at by itself then. A null character stands in no document.
    if (indent := _INDENTED.search(text)) is not None:
        joined = text.replace(indent[0], "\0")
        if not (_UNEVEN.search(joined) or " \n" in text or f"{indent[0]} " in text or "\t" in text):
            return joined.replace("\n\0", "\n").replace("\0", " ")
    first, *lines, last = text.split("\n")
    folded, breaks = [first.rstrip(" \t")], 0
    for line in lines:
        if line := line.strip(" \t"):
            folded += ("\n" * breaks or " ", line)
            breaks = 0
        else:
            breaks += 1
    folded += ("\n" * breaks or " ", last.lstrip(" \t"))
    return "".join(folded)


def _double(text: str) -> str:
    """Return what a text in double quotes stands for."""
    if "\n" in text and (_MARKER.search(text) or _SPACED.search(text)):
        raise Unusual
    return _ESCAPE.sub(_unescaped, text) if "\\" in text or "\n" in text else text


def _unescaped(found: re.Match[str]) -> str:
    if found.lastindex is None:
        breaks = found[0].count("\n") - 1
        return "\n" * breaks if breaks or found[0][0] == "\\" else " "
    told = found[found.lastindex]
    if found.lastindex == _NAMED:
        if told not in _ESCAPED:
            raise Unusual
        return _ESCAPED[told]
    code = int(told, 16)
    if code > sys.maxunicode or 0xD800 <= code <= 0xDFFF:
        raise Unusual
    return chr(code)
