"""Which pieces of a body made which text of an answer, as its parts tell by where they came from.

Most texts are found without: their pieces have one track (:mod:`recorder.core.json_pieces`). This is for texts whose
pieces come under several names (the beginning in one event, the rest in deltas of another kind), and for those that
formats join: all text parts of a message, whatever stands between them.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from recorder.core.export_words import stays
from recorder.core.json_pieces import STRING, Piece
from recorder.core.messages import (
    Message,
    Part,
    Ranges,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from recorder.core.text_views import views

_ASTRAL: Final = re.compile("[\U00010000-\U0010ffff]")
#: The parts whose texts are joined by one format or another: those of each kind in a message.
JOINED: Final = (TextPart, ReasoningPart, RefusalPart)

#: Whether a piece lies in one of some ranges of the body.
Within = Callable[[Piece, Ranges], bool]


def chains_of(text: str, pieces: Sequence[Piece], messages: Iterable[Message], within: Within) -> list[list[Piece]]:
    """Return the pieces of each text of *messages*, in order; those of a text whose pieces cannot be told are left out.

    :param text: what the pieces are of.
    :param within: tells where a piece lies.
    """
    strings = [piece for piece in pieces if piece.kind == STRING and piece.end > piece.start]
    strings = [piece for piece in strings if not stays(piece, text[piece.start : piece.end])]
    found: list[list[Piece]] = []
    for message in messages:
        aligned = [(part, _aligned(text, strings, part, within)) for part in message.parts]
        found += [chain for _, chain in aligned]
        for kind in JOINED:
            found.append([piece for part, chain in aligned if isinstance(part, kind) for piece in chain])
    return [chain for chain in found if len(chain) > 1]


def _aligned(text: str, strings: Sequence[Piece], part: Part, within: Within) -> list[Piece]:
    """The pieces that make the part's text one after the other; none where they do not."""
    if isinstance(part, (*JOINED, ToolResultPart)):
        wanted = part.text
    else:
        wanted = part.arguments_text if isinstance(part, ToolCallPart) else None
    if not wanted:
        return []
    wanted = _units(wanted)
    at = 0
    chain: list[Piece] = []
    for piece in strings:
        if at < len(wanted) and within(piece, part.ranges):
            said = _units(next(views(text[piece.start : piece.end], literal=True)).text)
            if wanted.startswith(said, at):
                chain.append(piece)
                at += len(said)
    return chain if at == len(wanted) else []


def _units(text: str) -> str:
    """Return a text with each character of more than 16 bits as its two halves, which may come apart."""
    return _ASTRAL.sub(_halves, text)


def _halves(letter: re.Match[str]) -> str:
    raw = letter[0].encode("utf-16-be")
    return chr(int.from_bytes(raw[:2], "big")) + chr(int.from_bytes(raw[2:], "big"))


def within_bytes(text: str) -> Within:
    """Return what tells where a piece lies in the UTF-8 of *text*."""
    if text.isascii():
        offsets: Sequence[int] = range(len(text) + 1)
    else:
        made = [0]
        for letter in text:
            made.append(made[-1] + (1 if letter < "\x80" else len(letter.encode("utf-8", "surrogateescape"))))
        offsets = made
    return lambda piece, ranges: _inside(offsets[piece.start], ranges)


def _inside(at: int, ranges: Ranges) -> bool:
    number = bisect_right(ranges, at, key=lambda one: one[0]) - 1
    return number >= 0 and at < ranges[number][1]


def within_places(places: Sequence[tuple[int, int]]) -> Within:
    """Return what tells where a piece lies whose document is at one of *places*."""
    return lambda piece, ranges: _inside(places[piece.document][0], ranges)
