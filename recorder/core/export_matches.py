"""What the rules of a redaction find in a text and its pieces, and what has to be written in its place.

A match is carried back to the characters of the text that made it: of a secret that came in five deltas, five strings
are changed. The marker stands in the first of them; nothing stands in the others, which stay where they are.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import AnyStr, Final, NamedTuple

from recorder.core.export_copies import Span, cut_short
from recorder.core.export_numbers import bare_number, number_texts
from recorder.core.export_rules import LEAST, MARKER, URL_MARKER, Rule, literal, whole_numbers
from recorder.core.export_words import is_known_word, stays
from recorder.core.json_pieces import COPY, NUMBER, RAW, STRING, WORD, Piece
from recorder.core.text_views import views

#: Names the body of an answer, and the payload of a request.
BODY: Final = "body"
REQUEST: Final = "request"
_QUOTED: Final = json.dumps(MARKER)


class Edit(NamedTuple):
    """What is to be written in the place of a part of a text."""

    start: int
    end: int
    new: str


@dataclass(slots=True)
class _Hit:
    rule: Rule
    start: int
    end: int
    marker: str


@dataclass
class Matcher:
    """Looks for what the rules say, and for everything that was found before.

    :ivar rules: the rules.
    :ivar secrets: what they have found so far: it is looked for everywhere, in every form.
    :ivar numbers: the same of numbers, which are looked for as a whole.
    :ivar counts: how many places each rule has found: ``rule -> places``.
    :ivar taken: how many characters were taken out: ``place -> characters``.
    :ivar kept: the rules that found a word of the protocol, which stays: such an exchange cannot be exported.
    :ivar copies: numbers of tokens are taken out, because something was found in what they repeat.
    """

    rules: Sequence[Rule]
    secrets: Mapping[str, Rule] = field(default_factory=dict)
    numbers: Mapping[str, Rule] = field(default_factory=dict)
    counts: dict[int, set[tuple[object, int, int]]] = field(default_factory=lambda: defaultdict(set))
    taken: dict[object, int] = field(default_factory=lambda: defaultdict(int))
    kept: dict[int, Rule] = field(default_factory=dict)
    copies: bool = False
    _learned: dict[str, Rule] = field(default_factory=dict)
    _learned_numbers: dict[str, Rule] = field(default_factory=dict)
    _looked_for: tuple[Rule, ...] = field(init=False)

    def __post_init__(self) -> None:
        self._looked_for = (
            *(rule for rule in self.rules if not rule.path),
            *(literal(rule.number, rule.kind, *texts) for rule, texts in _by_rule(self.secrets)),
            *(whole_numbers(rule.number, rule.kind, *texts) for rule, texts in _by_rule(self.numbers)),
        )

    def again(self) -> Matcher:
        """Return a matcher that looks for what this one has found too, and has counted nothing."""
        origins = {rule.number: rule for rule in self.rules}
        learned = {text: origins[rule.number] for text, rule in self._learned.items() if len(text) >= LEAST}
        numbers = {**self.numbers, **self._learned_numbers}
        copies = self.copies or bool(self.counts)
        return Matcher(self.rules, {**self.secrets, **learned}, numbers, copies=copies)

    @property
    def for_numbers(self) -> Iterator[Rule]:
        """What finds the numbers, where they stand as a whole."""
        return (rule for rule in self._looked_for if rule.whole)

    def learn(self, text: str, rule: Rule) -> None:
        """Keep what a rule has found."""
        if text not in self.secrets:
            self._learned[text] = rule

    def _learn_number(self, raw: str, rule: Rule) -> None:
        self._learned_numbers |= {text: rule for text in number_texts(raw) if text not in self.numbers}

    @property
    def learns(self) -> bool:
        """Whether something was found that will be looked for the next time only."""
        return bool(self._learned_numbers) or any(len(text) >= LEAST for text in self._learned)

    def text(self, text: str, place: object, *, marker: str = MARKER, form: bool = False) -> str:
        """Return *text* without what is found in it.

        :param place: names the text, for the counts.
        :param form: as of :func:`~recorder.core.text_views.views`.
        """
        hits = self._hits(text, form=form, marker=marker)
        self._count(place, hits)
        return replaced(text, _merged([Edit(hit.start, hit.end, hit.marker) for hit in hits]))

    def finds(self, text: str, *, form: bool = False) -> Rule | None:
        """Return a rule that finds something in *text*, in any form."""
        return next((hit.rule for hit in self._hits(text, form=form)), None)

    def edits(
        self,
        text: str,
        pieces: Sequence[Piece],
        place: object,
        *,
        chains: Iterable[Sequence[Piece]] = (),
        form: bool = False,
    ) -> list[Edit]:
        """Return what has to be changed in *text*, in order.

        :param pieces: of the text, see :func:`~recorder.core.json_pieces.pieces_of`.
        :param place: names the text, for the counts.
        :param chains: pieces that are known to continue each other; those of one track are so anyhow.
        """
        found: list[Edit] = []
        known: dict[tuple[str, str], list[_Hit]] = {}
        for piece in pieces:
            raw = text[piece.start : piece.end]
            key = (piece.kind, raw)
            if key not in known:
                known[key] = self._in_piece(piece, raw, form=form)
            hits = [_Hit(hit.rule, piece.start + hit.start, piece.start + hit.end, hit.marker) for hit in known[key]]
            selected = list(self._at_path(piece, raw, learning=place == REQUEST))
            if hits and not selected and stays(piece, raw):
                self.kept |= {hit.rule.number: hit.rule for hit in hits}
                hits = []
            hits += selected
            self._count(place, hits)
            found += [Edit(hit.start, hit.end, hit.marker) for hit in hits]
        said = [piece for piece in pieces if piece.kind in (STRING, RAW) and piece.track is not None]
        said = [piece for piece in said if not stays(piece, text[piece.start : piece.end])]
        joined: list[tuple[str, Span]] = []
        for group in _groups(text, said, chains):
            found += self._across(text, group, place, joined, form=form)
        if found:
            short = cut_short(text, said, ((edit.start, edit.end) for edit in found), joined)
            found += [Edit(start, end, MARKER) for start, end in short]
        edits = _merged([*found, *self._copied(text, pieces, found)])
        self.taken[place] += sum(edit.end - edit.start for edit in edits)
        return edits

    def _in_piece(self, piece: Piece, raw: str, *, form: bool) -> list[_Hit]:
        if piece.kind in (COPY, WORD):
            return []
        if piece.kind == NUMBER:
            hits = [hit for text in dict.fromkeys((raw, *number_texts(raw))) for hit in self._hits(text)]
            return [_Hit(hit.rule, 0, len(raw), _QUOTED) for hit in hits[:1] if hit.rule.kind != "detect:phone"]
        return self._hits(raw, is_literal=piece.kind != RAW, form=form and piece.kind == RAW)

    def _at_path(self, piece: Piece, raw: str, *, learning: bool) -> Iterator[_Hit]:
        for rule in self.rules:
            if rule.path and raw not in ("", "null", MARKER) and rule.selects(piece.path):
                if piece.kind == STRING:
                    known = is_known_word(piece, raw)
                    if known and not rule.names(piece.path):
                        continue
                    if learning and not known:  # what a request holds is said again elsewhere; a delta is a piece
                        self.learn(next(views(raw, literal=True)).text, rule)
                    yield _Hit(rule, piece.start, piece.end, MARKER)
                elif piece.kind in (NUMBER, WORD, RAW):
                    if learning and piece.kind == NUMBER:
                        self._learn_number(raw, rule)
                    yield _Hit(rule, piece.start, piece.end, _QUOTED)

    def _across(
        self, text: str, group: Sequence[Piece], place: object, found: list[tuple[str, Span]], *, form: bool
    ) -> Iterator[Edit]:
        """Yield the changes for what is found in pieces that continue each other, and add to *found* where that is."""
        ends = list(accumulate(piece.end - piece.start for piece in group))
        starts = [0, *ends[:-1]]
        joined = "".join(text[piece.start : piece.end] for piece in group)
        for hit in self._hits(joined, is_literal=group[0].kind != RAW, form=form):
            marker = hit.marker
            found.append((joined, (hit.start, hit.end)))
            first = bisect_right(ends, hit.start)
            spans = []
            for number in range(first, len(group)):
                if starts[number] >= hit.end:
                    break
                offset = group[number].start - starts[number]
                start, end = max(hit.start, starts[number]), min(hit.end, ends[number])
                if start < end:
                    spans.append((start + offset, end + offset))
            self._count(place, [_Hit(hit.rule, spans[0][0], spans[-1][1], "")])
            for start, end in spans:
                yield Edit(start, end, marker)
                marker = ""

    def _copied(self, text: str, pieces: Sequence[Piece], found: Sequence[Edit]) -> Iterator[Edit]:
        """Yield the changes for what repeats, token by token, a text in which something was found."""
        touched: set[int] = set()
        copies = [piece for piece in pieces if piece.kind == COPY]
        if copies and found:
            begins = [piece.start for piece in pieces]
            order = sorted(range(len(pieces)), key=begins.__getitem__)
            sorted_begins = [begins[at] for at in order]
            for edit in found:
                touched.add(pieces[order[max(bisect_right(sorted_begins, edit.start) - 1, 0)]].document)
        for piece in copies:
            tokens = text[piece.start] == "["
            if piece.document in touched or (tokens and (self.copies or found)):
                yield Edit(piece.start, piece.end, "null")

    def _hits(self, text: str, *, is_literal: bool = False, form: bool = False, marker: str = MARKER) -> list[_Hit]:
        hits: dict[tuple[int, int, int], _Hit] = {}
        for number, view in enumerate(views(text, literal=is_literal, form=form)):
            for rule in self._looked_for:
                for start, end in rule.find(view.text):
                    said = view.text[start:end]
                    if not said.strip() or _is_marker(said):
                        continue
                    if not rule.whole:
                        self.learn(said, rule)
                    shown = marker
                    if number == 0 and is_literal and (bare := bare_number(view.text, start, end)):
                        start, end, shown = bare
                    first, last = view.place(start, end)
                    hits.setdefault((rule.number, first, last), _Hit(rule, first, last, shown))
        return list(hits.values())

    def _count(self, place: object, hits: Iterable[_Hit]) -> None:
        for hit in hits:
            self.counts[hit.rule.number].add((place, hit.start, hit.end))


def _by_rule(found: Mapping[str, Rule]) -> Iterable[tuple[Rule, list[str]]]:
    texts: dict[Rule, list[str]] = defaultdict(list)
    for text, rule in found.items():
        texts[rule].append(text)
    return texts.items()


def _is_marker(said: str) -> bool:
    """Whether what was found is what stands in the place of what was left out, with nothing but signs around it."""
    for marker in (MARKER, URL_MARKER):
        if marker in said:
            return not any(letter.isalnum() for letter in said.replace(marker, ""))
    return False


def _groups(text: str, pieces: Iterable[Piece], chains: Iterable[Sequence[Piece]]) -> list[Sequence[Piece]]:
    """Return the pieces that continue each other, told exactly and told less exactly."""
    groups: dict[tuple[object, ...], list[Piece]] = defaultdict(list)
    for piece in pieces:
        groups["track", piece.kind, piece.track].append(piece)
        groups["channel", piece.kind, piece.channel].append(piece)
    distinct: dict[tuple[int, ...], Sequence[Piece]] = {}
    for group in (*(group for group in groups.values() if not _repeats(text, group)), *chains):
        if len(group) > 1:
            distinct.setdefault(tuple(piece.start for piece in group), group)
    return list(distinct.values())


def _repeats(text: str, group: Sequence[Piece]) -> bool:
    """Whether the pieces say the same again and again, as an id does in every event: they continue nothing."""
    said = {text[piece.start : piece.end] for piece in group}
    return len(said) == 1 and len(said.pop()) >= LEAST


def _merged(edits: Iterable[Edit]) -> list[Edit]:
    """Return the changes in order; those that overlap are one."""
    merged: list[Edit] = []
    for edit in sorted(edits, key=lambda one: (one.start, -one.end)):
        if merged and edit.start < merged[-1].end:
            last = merged[-1]
            is_inside = last.new and edit.end <= last.end and edit[:2] != last[:2]
            new = last.new if is_inside else max(last.new, edit.new, key=len)
            merged[-1] = Edit(last.start, max(last.end, edit.end), new)
        else:
            merged.append(edit)
    return merged


def replaced(whole: AnyStr, edits: Iterable[tuple[int, int, AnyStr]]) -> AnyStr:
    """Return a text, or bytes, with the changes made, which are in order and apart."""
    made: list[AnyStr] = []
    at = 0
    for start, end, new in edits:
        made += [whole[at:start], new]
        at = end
    made.append(whole[at:])
    return whole[:0].join(made)
