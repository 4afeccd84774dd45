r"""A text in all the forms in which it can be read, each character with where it stands in the text itself.

A secret need not be written as it is: ``M\u00fcller`` in JSON, ``M\\u00fcller`` in JSON inside JSON (the arguments of a
tool call), ``M%C3%BCller`` in a URL, ``M&#252;ller`` in HTML, and all of it in base64. What is found in a view is found
in the text.
"""

from __future__ import annotations

import base64
import binascii
import html
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_to_bytes

_ESCAPE: Final = re.compile(r'\\(?:u([0-9a-fA-F]{4})|(["\\/bfnrt]))')
_SHORT: Final = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_PERCENT: Final = re.compile(r"(?:%[0-9A-Fa-f]{2})+")
_ZERO: Final = re.compile("\0")
_PLUS: Final = re.compile(r"\+")
#: What follows ``=`` in a link that somebody is shown.
_QUERY: Final = re.compile(r"(?<==)[^\s=&+\"'<>]+(?:\+[^\s=&+\"'<>]+)+")
_ENTITY: Final = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z]{2,8});")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]{8,}={0,2}")
#: The same broken over lines, as in RFC 2045 §6.8 (76 columns) and RFC 7468 (64); nothing is tried twice.
_LINES: Final = re.compile(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{16,}+(?:[ \t]*+\r?\n[ \t]*+[A-Za-z0-9+/_-]++)++={0,2}")
_LINE: Final = re.compile(r"[A-Za-z0-9+/_=-]+")
_SHORTEST_LINE: Final = 16  # but for the last one
#: The same broken over shorter lines, as words are that stand one below the other: only lines of one width are tried.
_NARROW: Final = re.compile(
    r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{4,15}(?:[ \t]*+\r?\n[ \t]*+[A-Za-z0-9+/_-]++)++={0,2}"
)
_NARROWEST: Final = 4
_WORDS_BEFORE: Final = 2
_CONTROL: Final = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_PAIR: Final = re.compile(r"[\ud800-\udbff][\udc00-\udfff]")
_BYTE: Final = re.compile("[\udc80-\udcff]")  # no UTF-8, as the error handler surrogateescape keeps it
_MISREAD: Final = re.compile("[\x80-\xff]{2,}")
_DEEPEST: Final = 3
_MOST: Final = 24
_LEAST_TEXT: Final = 4  # of so many bytes more than one is no UTF-8

#: ``(start, end, what stands there in another form)``; the texts of one have their places inside it where known.
_Change = tuple[int, int, str]


@dataclass(frozen=True, slots=True)
class View:
    """A text as it can be read.

    :ivar text: what is read.
    :ivar starts: where each of its characters begins in the text itself; None where they are the same.
    :ivar ends: where it ends.
    """

    text: str
    starts: Sequence[int] | None = None
    ends: Sequence[int] | None = None

    def place(self, start: int, end: int) -> tuple[int, int]:
        """Return where a part of the view, not an empty one, stands in the text itself."""
        if self.starts is None or self.ends is None:
            return start, end
        # A run that is read as a whole (base64) has one place for all its characters.
        return min(self.starts[start:end]), max(self.ends[start:end])


def views(text: str, *, literal: bool, form: bool = False) -> Iterator[View]:
    """Yield every view of *text*, the plain one first.

    :param literal: it is what stands between the quotes of a JSON string; else it is a text by itself.
    :param form: it is a URL or a form, where ``+`` is a space.
    """
    first = View(text)
    if literal:
        first = _changed(first, _unescaped(text))
    waiting = [(first, 0)]
    seen: set[str] = set()
    while waiting:
        view, depth = waiting.pop(0)
        if view.text in seen or len(seen) >= _MOST:
            continue
        seen.add(view.text)
        yield view
        if depth < _DEEPEST and not _is_binary(view.text):
            waiting += [(_changed(view, changes), depth + 1) for changes in _readings(view.text, form=form)]


def _is_binary(text: str) -> bool:
    """Whether most of it is no text, so that it has no other reading: a sound, an image."""
    return not text.isascii() and len(_BYTE.findall(text)) * _LEAST_TEXT > len(text)


def _readings(text: str, *, form: bool) -> Iterator[list[_Change]]:
    found = []
    if "\\" in text:
        found.append(_unescaped(text))
    if "%" in text:
        found.append(_unquoted(text))
    if form and "+" in text:
        found.append(_each(_PLUS, text, lambda _: " "))
    elif "+" in text and "=" in text:
        runs = (one.span() for one in _QUERY.finditer(text))
        found.append([(at, at + 1, " ") for start, end in runs for at in range(start, end) if text[at] == "+"])
    if "&" in text:
        found.append(_each(_ENTITY, text, html.unescape))
    if _BYTE.search(text):
        found.append(_each(_BYTE, text, lambda letter: chr(ord(letter) - 0xDC00)))
    if _MISREAD.search(text):
        found.append(_misread(text))
    if "\0" in text:  # UTF-16, of letters that have one byte
        found.append(_each(_ZERO, text, lambda _: ""))
    if _PAIR.search(text):
        found.append(_each(_PAIR, text, _joined))
    found.append(_unbased(text))
    if "\n" in text:
        found += [_unbroken(text), *_unbroken_narrow(text)]
    return (changes for changes in found if changes)


def _each(what: re.Pattern[str], text: str, read: Callable[[str], str]) -> list[_Change]:
    return [(one.start(), one.end(), read(one[0])) for one in what.finditer(text)]


def _joined(pair: str) -> str:
    return pair.encode("utf-16-le", "surrogatepass").decode("utf-16-le")


def _unescaped(text: str) -> list[_Change]:
    """The escapes of JSON (RFC 8259 §7); both halves of a surrogate pair are one."""
    changes: list[_Change] = []
    for one in _ESCAPE.finditer(text):
        letter = chr(int(one[1], 16)) if one[1] else _SHORT[one[2]]
        if changes and changes[-1][1] == one.start() and _PAIR.fullmatch(changes[-1][2] + letter):
            start, _, half = changes.pop()
            changes.append((start, one.end(), _joined(half + letter)))
        else:
            changes.append((one.start(), one.end(), letter))
    return changes


def _unquoted(text: str) -> list[_Change]:
    changes: list[_Change] = []
    for one in _PERCENT.finditer(text):
        raw = unquote_to_bytes(one[0])
        try:
            letters = raw.decode("utf-8")
        except UnicodeDecodeError:
            changes.append((one.start(), one.end(), raw.decode("latin-1")))
            continue
        changes += _by_letter(letters, one.start(), 3)
    return changes


def _misread(text: str) -> list[_Change]:
    """UTF-8 that was read as Latin-1, as headers are."""
    changes: list[_Change] = []
    for one in _MISREAD.finditer(text):
        try:
            letters = one[0].encode("latin-1").decode("utf-8")
        except UnicodeDecodeError:
            continue
        changes += _by_letter(letters, one.start(), 1)
    return changes


def _by_letter(letters: str, at: int, width: int) -> Iterator[_Change]:
    """Yield a change for each letter; *width* characters from *at* on are a byte of their UTF-8."""
    for letter in letters:
        end = at + width * len(letter.encode("utf-8"))
        yield at, end, letter
        at = end


def _unbased(text: str) -> list[_Change]:
    """What is base64 of a text (RFC 4648 §4, §5), cut or not."""
    changes: list[_Change] = []
    for one in _BASE64.finditer(text):
        letters = _decoded(one[0])
        if letters is not None:
            changes.append((one.start(), one.end(), letters))
    return changes


def _unbroken(text: str) -> list[_Change]:
    """What is base64 of a text, broken over lines. A word on the next line may stand behind it."""
    changes: list[_Change] = []
    for one in _LINES.finditer(text):
        lines = list(_LINE.finditer(text, one.start(), one.end()))
        last = next((at for at, line in enumerate(lines) if len(line[0]) < _SHORTEST_LINE), len(lines) - 1)
        for count in (last + 1, last):
            letters = _decoded("".join(line[0] for line in lines[:count])) if count > 1 else None
            if letters is not None:
                changes.append((one.start(), lines[count - 1].end(), letters))
                break
    return changes


def _unbroken_narrow(text: str) -> tuple[list[_Change], list[_Change]]:
    """The same where the lines are short: those of one width, and perhaps a shorter one after them.

    That one may as well be the first of those that follow, so these are read apart.
    """
    changes: tuple[list[_Change], list[_Change]] = [], []
    for one in _NARROW.finditer(text):
        lines = list(_LINE.finditer(text, one.start(), one.end()))
        at = turn = 0
        while at < len(lines):
            width = len(lines[at][0])
            end = next((to for to in range(at, len(lines)) if len(lines[to][0]) != width), len(lines))
            shorter = end < len(lines) and len(lines[end][0]) < width
            if _NARROWEST <= width < _SHORTEST_LINE:
                changes[turn % 2].extend(_joined_lines(lines[at : end + shorter], end - at))
            at, turn = end, turn + 1
    return changes


def _joined_lines(lines: Sequence[re.Match[str]], equal: int) -> Iterator[_Change]:
    """Yield what some lines are together, the first *equal* of which are of one width.

    A word before them, or behind them, may be of that width, and words are base64 of something: that is no text.
    """
    for first in range(min(equal, _WORDS_BEFORE + 1)):
        for after in dict.fromkeys((len(lines), equal, equal - 1)):
            letters = _decoded("".join(line[0] for line in lines[first:after])) if after - first > 1 else None
            if letters is not None and _CONTROL.search(letters) is None:
                yield lines[first].start(), lines[after - 1].end(), letters
                return


def _decoded(run: str) -> str | None:
    bare = run.rstrip("=").replace("-", "+").replace("_", "/")
    bare = bare[:-1] if len(bare) % 4 == 1 else bare
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4)).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return None


def _changed(view: View, changes: list[_Change]) -> View:
    """Return *view* with the changes made; each new character stands where all of the old ones stood."""
    if not changes:
        return view
    texts: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    old_starts: Sequence[int] = view.starts if view.starts is not None else range(len(view.text))
    old_ends: Sequence[int] = view.ends if view.ends is not None else range(1, len(view.text) + 1)
    at = 0
    for start, end, letters in changes:
        texts += [view.text[at:start], letters]
        starts += [*old_starts[at:start], *[min(old_starts[start:end])] * len(letters)]
        ends += [*old_ends[at:start], *[max(old_ends[start:end])] * len(letters)]
        at = end
    texts.append(view.text[at:])
    return View("".join(texts), [*starts, *old_starts[at:]], [*ends, *old_ends[at:]])
