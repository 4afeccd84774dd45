"""What is searched for, word by word: queries, the words of a text, and the passage in which they stand.

A word is a run of letters and digits, of any case and with or without accents, vowel signs and other marks
(:mod:`recorder.core.marks`): texts are indexed as these words, so that rows which no index has yet are found by the
same ones. Base64 is no word (:mod:`recorder.core.base64_runs`). Letters like Ł are those that people type in their
place (:mod:`recorder.core.letters`), and compatibility forms (ﬁ, Ａ１, ﾀﾜｰ) are what they stand for (NFKC). Scripts
that put no space between words are found by pairs of characters (:mod:`recorder.core.unspaced`). A query::

    word          is wanted; in any order, anywhere in one message
    "two words"   are wanted in this order, side by side
    pre*          is wanted, or any word that begins so
    -word         is not wanted; likewise -"two words" and -pre*

Everything else is literal: what is no letter and no digit only separates words, so there are no syntax errors.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from recorder.core.base64_runs import blanked
from recorder.core.letters import folded_letters
from recorder.core.marks import MARKS, OPTIONAL_MARKS
from recorder.core.unspaced import has_unspaced, pairs_of, runs_of

#: What it has matched it never gives back, else each character of a word would take a hundred bytes to remember; that
#: it looks for marks only where there may be one makes it twice as fast.
_WORD: Final = re.compile(rf"[^\W_]++(?:(?=[\u0300-\U000e01ef])[{MARKS}]++[^\W_]*+)*+")
_MARKS: Final = re.compile(rf"[{OPTIONAL_MARKS}]+")
_TERM: Final = re.compile(r'(?P<minus>-(?=["\w]))?(?:"(?P<quoted>[^"]*)(?:"|$)|(?P<word>[^\s"]+))(?P<star>(?<=")\*)?')
_BEFORE: Final = 60  # characters of a passage before the first word that was found
_LENGTH: Final = 200
_LONGEST: Final = 1 << 20  # characters of a field in which a passage is looked for

#: One word of a text: its first character, the one after it, and the word as it is compared.
Word = tuple[int, int, str]


@dataclass(frozen=True, slots=True)
class Term:
    """One thing to be found.

    :ivar words: words that stand side by side, as they are compared; at least one.
    :ivar prefix: the last of them is the beginning of a word.
    """

    words: tuple[str, ...]
    prefix: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """What a message has to contain, and must not.

    :ivar wanted: all of them, anywhere in the message.
    :ivar unwanted: none of them.
    """

    wanted: tuple[Term, ...]
    unwanted: tuple[Term, ...] = ()

    def selects(self, fields: Sequence[str | None]) -> bool:
        """Whether a message with these texts is found; side by side means within one of them."""
        texts = [[word for _, _, word in words_of(field)] for field in fields if field]
        return all(_stands(term, texts) for term in self.wanted) and not any(
            _stands(term, texts) for term in self.unwanted
        )


def parse_query(text: str) -> Query:
    """Return what *text* asks for; what holds no word asks for nothing.

    :raises ValueError: no word is wanted.
    """
    wanted: list[Term] = []
    unwanted: list[Term] = []
    for found in _TERM.finditer(text):
        told = found["quoted"] if found["quoted"] is not None else found["word"]
        words = list(_words_of(told))
        star = bool(found["star"]) or (found["word"] is not None and told.endswith("*"))
        if words:
            (unwanted if found["minus"] else wanted).append(_term(told, words, star))
    if not wanted:
        raise ValueError("no word is wanted")
    return Query(tuple(dict.fromkeys(wanted)), tuple(dict.fromkeys(unwanted)))


def _term(told: str, words: list[Word], prefix: bool) -> Term:
    """What is to be found; of a script without spaces, more characters may stand behind the last one of it."""
    last = words[-1]
    if len(words) > 1 and words[-2][0] < last[0] and words[-2][1] == last[1]:
        words = words[:-1]  # the last character alone, which the pair before it has already
    elif has_unspaced(told[last[0]]):
        prefix = True
    return Term(tuple(word for _, _, word in words), prefix)


def words_of(text: str) -> Iterator[Word]:
    """Yield the words of a text in order; those of one character, or of a script without spaces, may overlap."""
    return _words_of(blanked(text))


def _words_of(text: str) -> Iterator[Word]:
    for found in _WORD.finditer(text):
        start, word = found.start(), found[0]
        if word.isascii():
            yield start, found.end(), word.lower()
        elif not has_unspaced(word):
            yield from _spaced(word, start)
        else:
            for at, run, unspaced in runs_of(word):
                yield from pairs_of(run, start + at, _one) if unspaced else _spaced(run, start + at)


def _spaced(word: str, at: int) -> Iterator[Word]:
    """A word; a compatibility form may stand for several, as ½ does for 1 and 2."""
    for one in _WORD.findall(_compared(word)):
        yield at, at + len(word), one


def _one(character: str) -> str:
    return "".join(_WORD.findall(_compared(character)))


def text_of_words(text: str) -> str:
    """Return a text for an index: its words as they are compared, so that a query finds them by the same ones.

    An index has ideas of its own of what a letter is without its accents, and they end with some Unicode or other.
    """
    return blanked(text) if text.isascii() else " ".join(word for _, _, word in words_of(text))


def _compared(word: str) -> str:
    if word.isascii():
        return word.lower()
    word = unicodedata.normalize("NFKC", word)  # before the case: ᴬ has none, and stands for a letter that has
    bare = _MARKS.sub("", unicodedata.normalize("NFD", folded_letters(word).lower()))
    bare = bare.replace("ς", "σ")  # one letter, which is written in two ways
    return unicodedata.normalize("NFC", bare)


def _stands(term: Term, texts: Sequence[Sequence[str]]) -> bool:
    return any(_fits(term, text, at) for text in texts for at in range(len(text) - len(term.words) + 1))


def _fits(term: Term, words: Sequence[str], at: int) -> bool:
    last = at + len(term.words) - 1
    if last >= len(words) or any(words[at + number] != word for number, word in enumerate(term.words[:-1])):
        return False
    return words[last].startswith(term.words[-1]) if term.prefix else words[last] == term.words[-1]


#: Pieces of a passage in order, and whether each is what was searched for.
Passage = tuple[tuple[str, bool], ...]


def passage(query: Query, fields: Sequence[str | None]) -> Passage:
    """Return the passage around the first words that were found, in the first of the texts that has any.

    :param fields: the texts of a message, the one to be shown first.
    """
    for field in fields:
        found = _passage(query, (field or "")[:_LONGEST])
        if found:
            return found
    return ()


def _passage(query: Query, text: str) -> Passage:
    longest = max(len(term.words) for term in query.wanted)
    words: list[Word] = []
    marked: list[tuple[int, int]] = []
    end = len(text)
    for word in words_of(text):
        if word[0] >= end:
            break
        words.append(word)
        recent = [each[2] for each in words[-longest:]]
        for term in query.wanted:
            at = len(recent) - len(term.words)
            if at >= 0 and _fits(term, recent, at):
                marked += [(start, stop) for start, stop, _ in words[-len(term.words) :]]
                end = min(end, marked[0][0] - _BEFORE + _LENGTH)
    return _cut(text, _joined(sorted(set(marked))), end) if marked else ()


def _joined(marked: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Join what touches or overlaps, as pairs of characters do."""
    joined = [marked[0]]
    for start, stop in marked[1:]:
        if start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(stop, joined[-1][1])
        else:
            joined.append((start, stop))
    return joined


def _cut(text: str, marked: Sequence[tuple[int, int]], end: int) -> Passage:
    """Cut a passage out of a text, at spaces where there are any near."""
    start = max(marked[0][0] - _BEFORE, 0)
    if start:
        start = max(text.find(" ", start, marked[0][0]) + 1, start)
    if end < len(text):
        end = max(text.rfind(" ", marked[-1][1], end), marked[-1][1]) if " " in text[marked[-1][1] : end] else end
        end = max(end, marked[-1][1])
    pieces = [("… ", False)] if start else []
    at = start
    for first, after in marked:
        pieces += [(text[at:first], False), (text[first:after], True)]
        at = after
    pieces += [(text[at:end], False), (" …" if end < len(text) else "", False)]
    joined: list[tuple[str, bool]] = []
    for piece, hit in pieces:
        if joined and joined[-1][1] == hit and not hit:
            joined[-1] = (joined[-1][0] + piece, hit)
        elif piece:
            joined.append((piece, hit))
    return tuple(joined)
