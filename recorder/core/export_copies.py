"""What some providers say again and again, longer each time: all that was said so far, beside each delta.

Of a secret that came in five deltas, four such copies end inside it, each with a beginning of it that no rule finds:
together they would tell all but its last letters. What a rule finds in a later copy, or in the deltas, is carried back
to those before.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from recorder.core.json_pieces import Piece

Span = tuple[int, int]
#: So many lengths are no chance.
_SURE: Final = 4


def cut_short(
    text: str, pieces: Iterable[Piece], found: Iterable[Span], joined: Sequence[tuple[str, Span]]
) -> Iterator[Span]:
    """Yield the parts of *text* that are beginnings of what was found: of copies that end inside it.

    :param pieces: of the text.
    :param found: where in the text something was found, or a part of it.
    :param joined: texts that were made of several pieces, each with where something was found in it.
    """
    starts = sorted(set(found))
    for track in _growing(text, pieces):
        after: list[Span] = []  # what was found in the copy after this one, from its own beginning on
        for piece in reversed(track):
            said, size = text[piece.start : piece.end], piece.end - piece.start
            own = _inside(starts, piece)
            ends_in = [span for span in after if span[0] < size < span[1]]
            ends_in += [span for whole, span in joined if span[0] < size < span[1] and whole.startswith(said)]
            if ends_in:
                begin = min(span[0] for span in ends_in)
                yield piece.start + begin, piece.end
                own.append((begin, max(span[1] for span in ends_in)))
            after = [*own, *(span for span in after if span[0] >= size)]


def _growing(text: str, pieces: Iterable[Piece]) -> Iterator[list[Piece]]:
    """Yield the pieces of one track of which each says all of the one before it, and the last one more.

    Two deltas may do so by chance, and three: what belongs to no such run in a track of others is left alone.
    """
    tracks: dict[object, list[Piece]] = defaultdict(list)
    for piece in pieces:
        if piece.end > piece.start:
            tracks[piece.kind, piece.track].append(piece)
    for track in tracks.values():
        runs = _runs(text, track)
        for run in runs:
            lengths = {piece.end - piece.start for piece in run}
            if len(lengths) >= (_SURE if len(runs) > 1 else 2):
                yield run


def _runs(text: str, track: Sequence[Piece]) -> list[list[Piece]]:
    """Return a track, cut where a piece does not say all of the one before it."""
    runs: list[list[Piece]] = []
    for piece in track:
        last = runs[-1][-1] if runs else None
        if last is not None and text.startswith(text[last.start : last.end], piece.start, piece.end):
            runs[-1].append(piece)
        else:
            runs.append([piece])
    return runs


def _inside(spans: Sequence[Span], piece: Piece) -> list[Span]:
    """Return the spans that begin in a piece, from its beginning on."""
    first = bisect_left(spans, (piece.start, 0))
    last = bisect_left(spans, (piece.end, 0))
    return [(start - piece.start, end - piece.start) for start, end in spans[first:last]]
