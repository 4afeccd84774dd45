"""Base64 amid text: pictures, sounds and files that came inline. Nobody looks for its letters, which fill an index.

It is told from words by what it is made of, and by no list of words. Of random bytes, two in five letters are capitals,
two in five are not, and digits and capitals stand anywhere; so four of a kind in a row are rare. Words, and names put
together of them (paths, slugs, ``camelCase``, ``UPPER_CASE``, compounds), are runs of letters of one kind with
separators between, and a name in another alphabet (hexadecimal, with ``/`` and ``-``) is no base64 at all. Too short a
run could be either, and counts as a word. Pure.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Final

_LETTER: Final = "[A-Za-z0-9+/_-]"
#: A run of its letters; in JSON that is not parsed, a slash may be escaped. It is one where it is long enough.
_RUN: Final = re.compile(rf"(?<!{_LETTER})(?=[A-Za-z0-9+/_\\-]{{129}})(?:{_LETTER}++|\\/)++={{0,2}}")
_SHORTEST: Final = 129  # a name of more letters is rare, an icon of fewer bytes as well
#: Lines of one width, as of RFC 2045 §6.8 (76) and RFC 7468 (64), and a shorter one; or as JSON has them, not parsed.
_BREAK: Final = r"(?:[ \t]*+(?:\r?\n|\\r\\n|\\n)[ \t]*+)"
_LINES: Final = re.compile(
    rf"(?:(?<![A-Za-z0-9+/_\\-])|(?<=\\n)){_LETTER}{{48,80}}+(?:{_BREAK}{_LETTER}{{1,80}}+)+(?!{_LETTER})"
)
_LONG: Final = re.compile(r"[A-Za-z0-9+/_\\-]{48}")  # what most texts have nowhere
_LINE_END: Final = re.compile(_BREAK)
_SHORTEST_LINE: Final = 48
_LOOKED_AT: Final = 8192  # letters of a run, by which the rest is judged as well
_DATA_URL: Final = re.compile(r"data:[^,\s\"'<>()]{0,200};base64,[A-Za-z0-9+/_=%-]*+", re.IGNORECASE)

_SEPARATORS: Final = re.compile(r"[+/_-]+")
#: What words are made of: a few letters of one kind in a row.
_WORDLIKE: Final = re.compile(r"[A-Z]?[a-z]{3,}|[A-Z]{4,}")
_WORD: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
_HEXADECIMAL: Final = re.compile(r"(?:0[xX])?[0-9A-Fa-f]+")
_MOST_ZEROS: Final = 0.2  # of the letters, A: bytes that are 0, of which padded and small numbers are full
_MOST_SEPARATORS: Final = 0.11  # of random bytes it is one in 32 letters, of paths one in eight
#: So many separators are not all the same one by chance: each alphabet has two of them.
_MOST_OF_ONE: Final = 16
_FEWEST: Final = (("A", "Z", 0.1), ("a", "z", 0.08), ("0", "9", 0.015))
#: Letters that are small, and those that are in something like a word: of random bytes together 0.66, the more
#: precisely the more there are; of words 1.2 and more.
_WORDLIKE_MOST: Final = (0.66, 5.3)


def base64_in(text: str) -> list[tuple[int, int]]:
    """Return where base64 stands in a text: the first character of each, and the one after the last, in order."""
    found: list[tuple[int, int]] = []
    if "ase64," in text or "ASE64," in text:
        found += [one.span() for one in _DATA_URL.finditer(text)]
    if _LONG.search(text):
        found += _lines_in(text) if "\n" in text or r"\n" in text else ()
        runs = (one for one in _RUN.finditer(text) if len(one[0]) >= _SHORTEST)
        found += [one.span() for one in runs if is_base64(one[0])]
    return _joined(sorted(found))


def is_base64(run: str) -> bool:
    """Whether a run of the letters of base64 is base64 (RFC 4648 §4, §5), rather than a name of many letters."""
    bare = run[:_LOOKED_AT].replace("\\/", "/").rstrip("=")
    letters = _SEPARATORS.sub("", bare)
    size = len(letters)
    if size < _SHORTEST_LINE:
        return False
    if letters.count("A") > _MOST_ZEROS * size:
        return True
    both = not set("+/").isdisjoint(bare) and not set("-_").isdisjoint(bare)  # one alphabet or the other
    if both or _HEXADECIMAL.fullmatch(letters) or len(bare) - size > _MOST_SEPARATORS * len(bare):
        return False
    used = [count for mark in "+/-_" if (count := bare.count(mark))]
    if len(used) == 1 and used[0] > _MOST_OF_ONE:
        return False
    counts = [sum(first <= letter <= last for letter in letters) / size for first, last, _ in _FEWEST]
    if any(count < least for count, (_, _, least) in zip(counts, _FEWEST, strict=True)):
        return False
    wordlike = sum(len(one[0]) for one in _WORDLIKE.finditer(bare)) / size
    return counts[1] + wordlike < _WORDLIKE_MOST[0] + _WORDLIKE_MOST[1] / math.sqrt(size)


def _lines_in(text: str) -> Iterator[tuple[int, int]]:
    for one in _LINES.finditer(text):
        ends = [end.span() for end in _LINE_END.finditer(text, one.start(), one.end())]
        starts = [one.start(), *(stop for _, stop in ends)]
        lines = list(zip(starts, [*(start for start, _ in ends), one.end()], strict=True))
        at = 0
        while at < len(lines):
            width = lines[at][1] - lines[at][0]
            end = next((to for to in range(at, len(lines)) if lines[to][1] - lines[to][0] != width), len(lines))
            if width >= _SHORTEST_LINE and width % 4 == 0:
                shorter = text[slice(*lines[end])] if end < len(lines) else ""
                padded = bool(shorter) and text[lines[end][1] : lines[end][1] + 1] == "="
                rest = 0 < len(shorter) < width and (padded or not _WORD.fullmatch(shorter))
                for last in dict.fromkeys((end + rest, end)):  # the shorter one may be a word of what follows
                    if last - at > 1 and is_base64("".join(text[start:stop] for start, stop in lines[at:last])):
                        stop = lines[last - 1][1]
                        yield lines[at][0], stop + len(text[stop : stop + 2]) - len(text[stop : stop + 2].lstrip("="))
                        break
            at = end


def _joined(found: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """What overlaps, as a data URL and the run in it do, is one."""
    joined: list[tuple[int, int]] = []
    for start, end in found:
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((start, end))
    return joined


def blanked(text: str) -> str:
    """Return a text of the same length with spaces in the place of base64."""
    return _replaced(text, base64_in(text), same=True)


def without_base64(text: str) -> str:
    """Return a text with one space in the place of each base64."""
    return _replaced(text, base64_in(text), same=False)


def _replaced(text: str, found: list[tuple[int, int]], *, same: bool) -> str:
    if not found:
        return text
    pieces: list[str] = []
    at = 0
    for start, end in found:
        pieces += [text[at:start], " " * (end - start if same else 1)]
        at = end
    return "".join([*pieces, text[at:]])
