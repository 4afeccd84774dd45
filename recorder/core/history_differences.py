"""What differs in a history that is sent back: edited, dropped, moved, put in, sent twice.

What did not stay (:mod:`recorder.core.history_alignment`) is moved where it stands on both sides, edited where a
message of the same role takes its place, else dropped, or put in.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Container, Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from itertools import islice
from typing import Final

from recorder.core.history_alignment import Line, Pairs
from recorder.core.message_text import part_text
from recorder.core.messages import Anomaly, Message, ReasoningPart, TextPart, ToolCallPart

_SHOWN: Final = 60
#: Comparisons of two messages that one gap may cost; beyond, they are paired by their kinds alone.
_PAIRED: Final = 2_500
_WORDS: Final = 64
#: The part of their words that two messages have in common of which one may stand for several that were dropped, where
#: it is an edit of one of them rather: a summary has some words of them all.
_ALIKE: Final = 0.25


def differences(old: Sequence[Line], new: Sequence[Line], pairs: Pairs, said: Mapping[bytes, str]) -> list[Anomaly]:
    """Return every difference, in the order of the history that was sent back.

    :param old: what was sent and answered.
    :param new: what was sent back, and what is new: messages of others after the last of the model's, or after the
        last that is known, are no findings.
    :param pairs: of :func:`~recorder.core.history_alignment.align`.
    :param said: ``key of an answer -> id of an exchange that gave it``, of all that were recorded before.
    """
    return _Differences(old, new, pairs, said).told()


def edits(old: Sequence[Line], new: Sequence[Line], said: Mapping[bytes, str]) -> list[Anomaly]:
    """Return the differences between two requests with the same number of messages, each compared with its like.

    :param said: as of :func:`differences`.
    """
    differing = [at for at, (one, other) in enumerate(zip(old, new, strict=True)) if one.key != other.key]
    return [_edited_told(old[at], new[at], at, said) for at in differing]


class _Differences:
    def __init__(self, old: Sequence[Line], new: Sequence[Line], pairs: Pairs, said: Mapping[bytes, str]) -> None:
        self.old, self.new, self.pairs, self.said = old, new, pairs, said
        kept, places = {i for i, _ in pairs}, {j for _, j in pairs}
        answered = (j for j, line in enumerate(new) if line.answered)
        history = 1 + max([*places, *answered], default=-1)
        gone = [i for i in range(len(old)) if i not in kept]
        come = [j for j in range(history) if j not in places]
        if come and new[-1].key in self._begun():  # it begins this answer, too, and did not move here
            come = [j for j in come if j < len(new) - 1]
        self.moved = self._moved(gone, come)
        to = set(self.moved.values())
        gone, come = [i for i in gone if i not in self.moved], [j for j in come if j not in to]
        joined = dict(self._joined(gone, come))
        together = set(joined.values())
        gone, come = [i for i in gone if i not in joined], [j for j in come if j not in together]
        self.edited = dict(self._edited(gone, come))
        changed = {*self.edited.values(), *together}
        self.stayed = sorted([*pairs, *self.edited.items(), *joined.items()])
        self.gone = [i for i in gone if i not in self.edited and not old[i].silent]
        last = max([*places, *to, *changed], default=-1)  # the program's own messages after it are new
        self.come = [j for j in come if j not in changed and (j < last or new[j].answered)]

    def _begun(self) -> set[bytes]:
        """What the program wrote as the beginning of an answer that is a message of its own here."""
        return {line.key for at, line in enumerate(self.old) if self._begins(at)}

    def _begins(self, i: int) -> bool:
        after = self.old[i + 1 : i + 2]
        return self.old[i].answered and self.old[i].by is None and any(one.answered and one.by for one in after)

    def _moved(self, gone: Sequence[int], come: Sequence[int]) -> dict[int, int]:
        waiting: dict[bytes, deque[int]] = {}
        for i in gone:
            waiting.setdefault(self.old[i].key, deque()).append(i)
        return {waiting[self.new[j].key].popleft(): j for j in come if waiting.get(self.new[j].key)}

    def _joined(self, gone: Sequence[int], come: Sequence[int]) -> Iterator[tuple[int, int]]:
        """Answers that were too long, each with the one that went on from it, which were sent back as one message.

        What was asked between them, to go on, is not in it.
        """
        answers = deque(i for i in gone if self.old[i].answered and not self.old[i].message.tool_calls)
        for j in come:
            now = self.new[j]
            whole = "".join(now.message.text.split()) if now.answered and not now.message.tool_calls else ""
            for at, first in enumerate(answers):
                found, text = list[int](), ""
                for i in islice(answers, at, None):
                    found, text = [*found, i], text + "".join(self.old[i].message.text.split())
                    if not self.old[i].cut or not whole.startswith(text):
                        break
                if self.old[first].cut and whole and text == whole and len(found) > 1:
                    yield from ((i, j) for i in found)
                    answers = deque(i for i in answers if i > found[-1])
                    break

    def _edited(self, gone: Sequence[int], come: Sequence[int]) -> Iterator[tuple[int, int]]:
        """Of each gap between messages that stayed, which one took the place of which."""
        olds, news = deque(gone), deque(come)
        for i, j in [*self.pairs, (len(self.old), len(self.new))]:
            left, right = list(_before(olds, i)), list(_before(news, j))
            found = _paired([(each, self.old[each]) for each in left], [(each, self.new[each]) for each in right])
            if all(self.old[at].kind == "system" for at, _ in self.pairs if at < i) and len(left) > len(right):
                found = (pair for pair in found if self._alike(*pair, right))  # what stands for dropped ones is no edit
            yield from found

    def _alike(self, i: int, j: int, come: Sequence[int]) -> bool:
        """Whether it has the words of what it takes the place of; an answer that a window begins with need not."""
        line, now = self.old[i], self.new[j]
        asked = any(not self.new[at].answered for at in come if at < j)
        if line.kind == "system" or (line.answered and not asked):
            return True
        return _likeness(_words(line.message), _words(now.message)) >= _ALIKE

    def told(self) -> list[Anomaly]:
        older = self._older()
        found = [(self._near(i), self._gone(i)) for i in self.gone if i not in older]
        if older:
            found.append((self._near(older[0]), self._cut(older)))
        found += [((j, 1), self._moved_told(i, j)) for i, j in self.moved.items()]
        found += [((j, 1), _edited_told(self.old[i], self.new[j], j, self.said)) for i, j in self.edited.items()]
        held = {line.key for line in self.old}
        found += [((j, 1), self._put_in(j, held)) for j in self.come]
        return [fact for _, fact in sorted(found, key=lambda each: each[0])]

    def _near(self, i: int) -> tuple[int, int]:
        """Where a dropped message would stand in what was sent back."""
        at = bisect_left(self.stayed, (i, -1))
        return (self.stayed[at - 1][1] if at else -1, 2)

    def _older(self) -> list[int]:
        """The oldest messages but instructions, where they are dropped and something after them was kept."""
        dropped, found = set(self.gone), list[int]()
        for i, line in enumerate(self.old):
            if not found and line.kind == "system":
                continue
            if i not in dropped:
                return found
            found.append(i)
        return []

    def _cut(self, older: Sequence[int]) -> Anomaly:
        first, last = self.old[older[0]], self.old[older[-1]]
        answers = sum(self.old[i].answered for i in older)
        count = f"{len(older)} older message{'' if len(older) == 1 else 's'}, {answers} of the model"
        to = "" if len(older) == 1 else f" to {shown(last.message)}, once message {older[-1] + 1}"
        return Anomaly("older_messages_dropped", f"{count}: {shown(first.message)}, once message {older[0] + 1}{to}")

    def _gone(self, i: int) -> Anomaly:
        line = self.old[i]
        if line.by is not None:
            detail = f"message {i + 1}: exchange {line.by} answered {shown(line.message)}, which was not sent back"
            return Anomaly("answer_dropped", detail)
        whose = "message" if self._begins(i) else _whose(line)
        return Anomaly(f"{whose}_dropped", f"{shown(line.message)}, once message {i + 1}")

    def _moved_told(self, i: int, j: int) -> Anomaly:
        line, before, after = self.old[i], _answer_before(self.old, i), _answer_before(self.new, j)
        if line.kind == "tool" and (before, after) in self.pairs:  # they stand in the order of the calls of their turn
            detail = f"once the result of call {i - before} of its turn, is that of call {j - after}"
        else:
            detail = f"once message {i + 1}, is message {j + 1}"
        return Anomaly(f"{_whose(line)}_moved", f"{shown(line.message)}, {detail}")

    def _put_in(self, j: int, held: Container[bytes]) -> Anomaly:
        line = self.new[j]
        return put_in(line, j, self.said, twice=line.key in held, last=j == len(self.new) - 1)


def put_in(line: Line, place: int, said: Mapping[bytes, str], *, twice: bool, last: bool) -> Anomaly:
    """Return what is told of a message that was put in.

    :param place: its place in the request.
    :param said: as of :func:`differences`.
    :param twice: it is sent back more often than it was said; *last* that nothing comes after it.
    """
    detail = f"message {place + 1}: {shown(line.message)}"
    if twice:
        return Anomaly(f"{_whose(line)}_duplicated", f"{detail}, sent back more often than it was said")
    if not line.answered:
        return Anomaly("message_inserted", detail)
    if line.key in said:
        return Anomaly("answer_inserted", f"{detail}, which exchange {said[line.key]} answered, but not there")
    begins = ", as the beginning of the answer" if last else ""
    return Anomaly("answer_inserted", f"{detail}, which no recorded exchange answered{begins}")


def _edited_told(line: Line, other: Line, place: int, said: Mapping[bytes, str]) -> Anomaly:
    before, after = shown_both(line.message, other.message)
    if line.by is not None:
        detail = f"exchange {line.by} answered {before}, sent back as {after}"
    else:
        again = said.get(other.key)
        detail = f"{before} became {after}" + (f", as exchange {again} answered" if again else "")
    return Anomaly(f"{_whose(line)}_edited", f"message {place + 1}: {detail}")


def _answer_before(lines: Sequence[Line], place: int) -> int:
    """The answer that the results of tools around this place are for; -1 where there is none."""
    at = next((at for at in range(place, -1, -1) if lines[at].kind != "tool"), -1)
    return at if at >= 0 and lines[at].answered else -1


def _before(places: deque[int], end: int) -> Iterator[int]:
    while places and places[0] < end:
        yield places.popleft()


def _paired(olds: Sequence[tuple[int, Line]], news: Sequence[tuple[int, Line]]) -> Iterator[tuple[int, int]]:
    """Which takes the place of which: of the same kind, in order, as many as can be, the most alike."""
    if len(olds) * len(news) > _PAIRED:
        matcher = SequenceMatcher(
            None, [line.kind for _, line in olds], [line.kind for _, line in news], autojunk=False
        )
        for i, j, size in matcher.get_matching_blocks():
            yield from ((olds[i + at][0], news[j + at][0]) for at in range(size))
        return
    best = [[0.0] * (len(news) + 1) for _ in range(len(olds) + 1)]
    words = [_words(line.message) for _, line in news]
    worth: dict[tuple[int, int], float] = {}
    for i in range(len(olds) - 1, -1, -1):
        line, own = olds[i][1], _words(olds[i][1].message)
        for j in range(len(news) - 1, -1, -1):
            best[i][j] = max(best[i + 1][j], best[i][j + 1])
            if line.kind == news[j][1].kind:
                worth[i, j] = 1 + _likeness(own, words[j]) + best[i + 1][j + 1]
                best[i][j] = max(best[i][j], worth[i, j])
    i = j = 0
    while i < len(olds) and j < len(news):
        if worth.get((i, j)) == best[i][j]:
            yield olds[i][0], news[j][0]
            i, j = i + 1, j + 1
        elif best[i + 1][j] >= best[i][j + 1]:
            i += 1
        else:
            j += 1


def _likeness(one: set[str], other: set[str]) -> float:
    return len(one & other) / (len(one | other) or 1)


def _words(message: Message) -> set[str]:
    return set(_text(message)[:4096].split()[:_WORDS])


def _whose(line: Line) -> str:
    return "answer" if line.answered and not line.given else "message"


def shown(message: Message) -> str:
    """Return a message in a few words."""
    text = _text(message)
    return _quoted(message, text if len(text) <= _SHOWN else text[:_SHOWN] + "…")


def shown_both(before: Message, after: Message) -> tuple[str, str]:
    """Return two versions of a message in a few words, among them those in which they differ."""
    texts = _text(before), _text(after)
    length = min(map(len, texts))
    same = next((at for at in range(length) if texts[0][at] != texts[1][at]), length)
    if max(map(len, texts)) <= _SHOWN or same < _SHOWN // 2:
        return shown(before), shown(after)
    start = same - _SHOWN // 3
    cut = ["…" + text[start : start + _SHOWN] + ("…" if len(text) > start + _SHOWN else "") for text in texts]
    return _quoted(before, cut[0]), _quoted(after, cut[1])


def _quoted(message: Message, text: str) -> str:
    return f"{message.role or 'answer'} {text!r}"


def _text(message: Message) -> str:
    """What of a message is sent back: all but reasoning; calls as they are written."""
    calls = ", ".join(f"{call.name}({call.arguments_text})" for call in message.tool_calls)
    apart = (part for part in message.parts if not isinstance(part, TextPart | ToolCallPart | ReasoningPart))
    return " ".join(filter(None, (message.text, calls, *map(part_text, apart))))
