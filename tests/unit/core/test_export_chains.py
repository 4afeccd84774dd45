"""Which pieces made a text, as its parts tell by where they came from."""

from __future__ import annotations

from recorder.core.export_chains import chains_of, within_bytes, within_places
from recorder.core.json_pieces import pieces_of
from recorder.core.messages import Message, OtherPart, Part, Ranges, TextPart, ToolCallPart

TEXT = '{"é": "role", "start": "Sm", "x": "ith"}\n{"delta": "ith"}\n{"other": "\\ud83d"}\n{"half": "\\udd11"}'


def chains(*parts: Part) -> list[str]:
    pieces = pieces_of(TEXT, "ndjson")
    found = chains_of(TEXT, pieces, [Message(None, parts)], within_bytes(TEXT))
    return [" ".join(TEXT[piece.start : piece.end] for piece in chain) for chain in found]


def place(line: int) -> tuple[int, int]:
    lines = TEXT.encode().split(b"\n")
    start = sum(len(one) + 1 for one in lines[:line])
    return start, start + len(lines[line])


def test_a_text_is_made_of_what_its_ranges_hold_whatever_it_is_called() -> None:
    assert chains(TextPart("Smith", (place(0), place(1)))) == ["Sm ith", "Sm ith"]
    assert chains(TextPart("Smith", (place(1),))) == []
    assert chains(TextPart("Smyth", (place(0), place(1)))) == []
    assert chains(OtherPart("x", 1), TextPart("", (place(0),))) == []


def test_texts_that_formats_join_are_one() -> None:
    parts = TextPart("Sm", (place(0),)), ToolCallPart("", ranges=(place(0),)), TextPart("ith", (place(1),))
    assert chains(*parts) == ["Sm ith"]


def test_halves_of_a_character_are_pieces_of_it() -> None:
    assert chains(TextPart("\U0001f511", (place(2), place(3)))) == ["\\ud83d \\udd11"] * 2


def test_frames_are_told_by_their_number() -> None:
    ranges: Ranges = ((10, 20),)
    (first, *_, last) = pieces_of('{"a": "x"}\n{"b": "y"}', "ndjson")
    within = within_places([(0, 10), (10, 20)])
    assert [within(piece, ranges) for piece in (first, last)] == [False, True]
