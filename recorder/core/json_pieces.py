"""The pieces of a text that can hold something: strings, names and numbers of JSON, and what is no JSON.

Read leniently: JSON that was cut or is broken has pieces too, and what is none of its tokens is a piece as it stands,
so that nothing of a text is out of reach. :mod:`recorder.core.json_spans` is for whole documents.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, NamedTuple

_TOKEN: Final = re.compile(
    r'"(?P<string>[^"\\]*(?:\\.[^"\\]*)*\\?)(?P<close>"|\Z)|(?P<mark>[{}\[\]:,])|(?P<word>[^\s{}\[\]:,"][^{}\[\]:,"]*)',
    re.DOTALL,
)
_NUMBER: Final = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_WORDS: Final = frozenset({"true", "false", "null", "NaN", "Infinity", "-Infinity"})
_INTEGERS: Final = re.compile(r"\[[\d\s,-]+\]")
_LINE_END: Final = re.compile(r"\r\n|\n|\r")
#: What says the same as the text beside it, token by token.
_PROBABILITIES: Final = frozenset(
    {"logprobs", "top_logprobs", "prompt_logprobs", "logprobs_result", "logprobsResult", "completion_probabilities"}
)
#: What says the same as all of the text, as numbers of tokens, where it is an array of integers.
_TOKEN_IDS: Final = frozenset({"context", "tokens", "token_ids", "prompt_token_ids", "output_ids", "bytes"})
#: The names of what may be a copy.
COPIES: Final = _PROBABILITIES | _TOKEN_IDS

Place = tuple[str | int, ...]

STRING, NAME, NUMBER, WORD, RAW, COPY = "string", "name", "number", "word", "raw", "copy"


class Piece(NamedTuple):
    """A part of a text.

    :ivar kind: ``string`` or ``name`` (what stands between the quotes; also the name of an event), ``number``,
        ``word`` (``true``, ``null`` …), ``raw`` (no JSON), or ``copy``: a whole value that repeats the texts beside
        it as tokens.
    :ivar start: where it begins in the text.
    :ivar document: number of the event, line or document that it is in.
    :ivar path: names and indices from the root of the document to it.
    :ivar track: what is equal of pieces that continue each other.
    :ivar channel: the same, told less exactly.
    :ivar cut: its document ends before its own end.
    """

    kind: str
    start: int
    end: int
    document: int
    path: Place = ()
    track: Any = None
    channel: Any = None
    cut: bool = False


@dataclass(slots=True)
class _Level:
    """An object or array that is open; the first is what the document stands in."""

    array: bool
    start: int
    key: str | int = ""
    wants_name: bool = False
    marks: dict[str, str] = field(default_factory=dict)


class _Document:
    """Takes the tokens of one JSON document, which may come in several segments."""

    def __init__(self, number: int, name: str) -> None:
        self._number = number
        self._name = name
        self._levels: list[_Level] = []
        self._found: list[tuple[str, int, int, Place, tuple[_Level, ...]]] = []

    def take(self, text: str, start: int, end: int) -> None:
        """Take a segment of it."""
        for token in _TOKEN.finditer(text, start, end):
            if token["mark"] is not None:
                self._mark(text, token["mark"], token.start())
            elif token["string"] is not None:
                self._string(text, *token.span("string"))
            else:
                word = token["word"].rstrip()
                kind = NUMBER if _NUMBER.fullmatch(word) else WORD if word in _WORDS else RAW
                self._add(kind, token.start(), token.start() + len(word))
                self._note(word if kind == NUMBER else "")

    def _mark(self, text: str, mark: str, at: int) -> None:
        levels = self._levels
        if mark in "{[":
            levels.append(_Level(mark == "[", at, 0 if mark == "[" else "", mark == "{"))
        elif mark in "}]" and levels:
            closed = levels.pop()
            key = levels[-1].key if levels else ""
            integers = key in _TOKEN_IDS and _INTEGERS.fullmatch(text, closed.start, at + 1)
            if key in _PROBABILITIES or integers:
                self._add(COPY, closed.start, at + 1)
        elif mark == "," and levels:
            level = levels[-1]
            if isinstance(level.key, int):
                level.key += 1
            else:
                level.wants_name = True

    def _string(self, text: str, start: int, end: int) -> None:
        level = self._levels[-1] if self._levels else None
        if level is not None and not level.array and level.wants_name:
            level.key, level.wants_name = text[start:end], False
            self._add(NAME, start, end)
            return
        self._add(STRING, start, end)
        self._note(text[start:end])

    def _add(self, kind: str, start: int, end: int) -> None:
        path = tuple(level.key for level in self._levels)
        self._found.append((kind, start, end, path, tuple(self._levels)))

    def _note(self, value: str) -> None:
        """Remember what tells a document's texts from each other: the type of an event, the indices in it."""
        if not self._levels:
            return
        level = self._levels[-1]
        name = str(level.key).lower()
        if name.endswith("index") or (name == "type" and len(self._levels) == 1):
            level.marks[name] = value

    def pieces(self) -> list[Piece]:
        """Return them."""
        made = []
        for kind, start, end, path, levels in self._found:
            if kind not in (STRING, RAW):
                made.append(Piece(kind, start, end, self._number, path))
                continue
            indices = tuple(value for level in levels for name, value in level.marks.items() if name != "type")
            kinds = levels[0].marks.get("type", "") if levels else ""
            track = (self._name, kinds, _joinable(path), indices)
            channel = (path[-1] if path else "", indices, *(step for step in path[:2] if isinstance(step, int)))
            made.append(Piece(kind, start, end, self._number, path, track, channel, bool(self._levels)))
        return made


#: Arrays whose elements are the pieces of one text.
_PARTS: Final = frozenset({"content", "parts", "text", "summary", "details", "reasoning_details", "thinking", "tokens"})


@lru_cache(maxsize=512)
def _joinable(path: Place) -> Place:
    """Return *path* with the last index of such an array left out."""
    for at in range(len(path) - 1, 0, -1):
        if isinstance(path[at], int):
            return (*path[:at], "*", *path[at + 1 :]) if path[at - 1] in _PARTS else path
    return path


def _looks_like_json(text: str, start: int, end: int) -> bool:
    return text[start:end].lstrip("\ufeff \t\r\n")[:1] in ("{", "[", '"')


def pieces_of(text: str, shape: str) -> list[Piece]:
    """Return the pieces of *text*.

    :param shape: ``sse`` (server-sent events), ``ndjson`` (JSON, a value a line), else JSON or any other text.
    """
    if shape == "sse":
        return _continued(_events(text))
    if shape == "ndjson":
        found: list[Piece] = []
        for number, (start, end) in enumerate(_lines(text)):
            found += _value(text, [(start, end)], number, "")
        return _continued(found)
    return _value(text, [(0, len(text))], 0, "")


def _continued(pieces: list[Piece]) -> list[Piece]:
    """Return *pieces* with those of a last document that was cut in the tracks of the ones before it.

    What tells its own (an index, a type) may not have come.
    """
    cut = {piece.document for piece in pieces if piece.cut}
    if not cut:
        return pieces
    last = max(cut)
    known = {piece.path: piece for piece in pieces if piece.document < last}
    return [
        piece._replace(track=known[piece.path].track, channel=known[piece.path].channel)
        if piece.document == last and piece.kind == STRING and piece.path in known
        else piece
        for piece in pieces
    ]


def _value(text: str, segments: list[tuple[int, int]], number: int, name: str) -> list[Piece]:
    if segments and _looks_like_json(text, *segments[0]):
        document = _Document(number, name)
        for start, end in segments:
            document.take(text, start, end)
        return document.pieces()
    return [
        Piece(RAW, start, end, number, (), name or "data", name or "data") for start, end in segments if end > start
    ]


def _lines(text: str) -> Iterable[tuple[int, int]]:
    at = 0
    for ending in _LINE_END.finditer(text):
        yield at, ending.start()
        at = ending.end()
    yield at, len(text)


def _events(text: str) -> list[Piece]:
    """The pieces of server-sent events: the data of each is one document; other fields are texts."""
    found: list[Piece] = []
    data: list[tuple[int, int]] = []
    number, name = 0, ""
    for start, end in _lines(text):
        if start == end:
            found += _value(text, data, number, name)
            data, name = [], ""
            number += 1
            continue
        field_name, colon, _ = text[start:end].partition(":")
        value = start + len(field_name) + len(colon)
        value += text[value:end].startswith(" ")
        if colon and field_name.lstrip("\ufeff") == "data":
            data.append((value, end))
            continue
        if field_name == "event":
            name = text[value:end]
        if field_name in ("event", "id", "retry", ""):
            kind = NAME if field_name == "event" else RAW
            found += [Piece(kind, value, end, number)] if end > value else []
        else:  # no field that is known: llama.cpp's "error: {…}", or no event stream at all
            found += _value(text, [(value if colon else start, end)], number, field_name)
            found += [Piece(RAW, start, start + len(field_name), number)] if colon else []
    return found + _value(text, data, number, name)
