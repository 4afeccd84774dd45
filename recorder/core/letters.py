"""Letters that Unicode does not decompose, as those that people type in their place: Łódź is found by ``lodz``.

Unicode takes É apart into E and an accent, and so does every index of words; Ł, ø or ß it leaves whole, although they
are as much an L, an o or two s to whoever has no key for them. Texts are folded so before they are indexed, and what is
searched for before it is asked, by either engine alike. Pure.
"""

from __future__ import annotations

import unicodedata
from typing import Final

#: What stands for each, in lower case.
_LETTERS: Final = dict(zip("łøđðħŧŋıſ", "loddhtnis", strict=True)) | {
    "ß": "ss",
    "æ": "ae",
    "œ": "oe",
    "ĳ": "ij",
    "þ": "th",
    "µ": "μ",  # the sign for micro, which in upper case is the letter
}
#: Latin-1 Supplement and Latin Extended-A and B; Latin Extended Additional.
_LATIN: Final = (range(0x80, 0x250), range(0x1E00, 0x1F00))


def _folds() -> dict[int, str]:
    """Each of these letters, in upper case and with accents too."""
    found = {}
    for code in (code for some in _LATIN for code in some):
        letter, *accents = list(unicodedata.normalize("NFD", chr(code)))
        folded = _LETTERS.get(letter) or _LETTERS.get(letter.lower())
        if folded is not None and all("\u0300" <= accent <= "\u036f" for accent in accents):
            found[code] = folded
    return found


_FOLDS: Final = _folds()


def folded_letters(text: str) -> str:
    """Return *text* with each of these letters as those that stand for it, in lower case; the rest is as it was."""
    return text if text.isascii() else text.translate(_FOLDS)
