"""Words of scripts that put no space between them: Chinese and Japanese; and Korean, which puts few.

Where one word ends and the next begins, only a dictionary could tell, and every index would need the same one. So a run
of such characters is indexed by its pairs, as search engines do: 東京タワー is 東京, 京タ, タワ, ワー and, so that each
character begins something, ー. What is searched for stands in it where its pairs follow each other: タワー is found,
and 京都 is not. One character alone is the beginning of a pair. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

from recorder.core.marks import MARKS

#: Hangul, kana, bopomofo, ideographs of all planes and ages, and the half-width forms of these.
_LETTER: Final = "[\u1100-\u11ff\u2e80-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\uff66-\uffdc\U00020000-\U0003ffff]"
#: What belongs to the character before it: marks, also those of kana, combining and half-width.
_MARK: Final = f"[{MARKS}\uff9e\uff9f]"
_UNSPACED: Final = re.compile(_LETTER)
#: Characters that stand for nothing but themselves: nearly all that is written.
_PLAIN: Final = re.compile("[\u3005\u3041-\u3096\u30a1-\u30fa\u30fc\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3]+")
_RUNS: Final = re.compile(f"(?:{_LETTER}{_MARK}*)+|(?:(?!{_LETTER}).)+", re.DOTALL)
#: A character; a syllable of Hangul may be written as its two or three letters.
_CHARACTER: Final = re.compile(
    f"(?:[\u1100-\u115f\ua960-\ua97c][\u1160-\u11a7\ud7b0-\ud7c6][\u11a8-\u11ff\ud7cb-\ud7fb]?|.){_MARK}*", re.DOTALL
)


def has_unspaced(text: str) -> bool:
    """Whether there is a character of such a script in a text."""
    return _UNSPACED.search(text) is not None


def runs_of(text: str) -> Iterator[tuple[int, str, bool]]:
    """Yield the runs of a text that are of such scripts and those that are not: the place, the run, and which it is."""
    for found in _RUNS.finditer(text):
        yield found.start(), found[0], _UNSPACED.match(found[0]) is not None


def pairs_of(run: str, at: int, compared: Callable[[str], str]) -> Iterator[tuple[int, int, str]]:
    """Yield the pairs of a run of such characters, and its last character alone.

    :param at: where the run stands; what is yielded are the places of the first character and behind the last, and the
        pair as it is compared.
    :param compared: returns a character as it is compared.
    """
    if _PLAIN.fullmatch(run):  # ten times faster
        for place in range(len(run)):
            yield at + place, at + min(place + 2, len(run)), run[place : place + 2]
        return
    before: tuple[int, str] | None = None
    end = at
    for found in _CHARACTER.finditer(run):
        told = compared(found[0])
        if not told:
            continue
        end = at + found.end()
        if before is not None:
            yield before[0], end, before[1] + told
        before = at + found.start(), told
    if before is not None:
        yield before[0], end, before[1]
