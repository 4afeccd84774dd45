"""Which messages of a history are which when it is sent back.

A longest common subsequence over the keys of messages says what stayed; among equally long ones, the one that keeps
what the program itself said in its place, so that two answers that changed places are seen as moved. But what is asked
now is no earlier message that moved behind the answers, though it has the words of one, as a standing reminder at the
end of every request has.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Final

from recorder.core.message_identity import named_item
from recorder.core.messages import Message

#: Comparisons of two messages that one alignment may cost; beyond, an approximate one is made.
_CELLS: Final = 40_000
_KEPT, _KEPT_ANCHOR, _ASKED = 100_000, 100_001, 1
#: Roles of the model, as dialects name it; an answer whose role was not sent is the model's too.
_MODEL: Final = frozenset({"assistant", "model", None})
_SYSTEM: Final = frozenset({"system", "developer"})

Pairs = list[tuple[int, int]]


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Line:
    """One message of a history.

    :ivar key: the same for messages that are the same when they are sent back.
    :ivar by: id of the exchange that answered with it, where one did.
    :ivar silent: an answer that says nothing, or refuses: nobody has to send it back.
    :ivar given: an answer that stood in a request before which nothing was recorded: an example of the program's, or
        what was said before the recording began.
    :ivar cut: an answer that ended because it had become too long.
    """

    key: bytes
    message: Message
    by: str | None = None
    silent: bool = False
    given: bool = False
    cut: bool = False

    @property
    def answered(self) -> bool:
        """It is the model's, or passed off as the model's."""
        return self.message.role in _MODEL

    @property
    def kind(self) -> str:
        """What takes its place when it is edited: a message of the same kind."""
        role = self.message.role
        if role is None and self.by is None and any(map(named_item, self.message.parts)):
            return "reference"  # to what nobody here knows, so it takes no place
        return "answer" if self.answered else "system" if role in _SYSTEM else str(role)


def align(old: Sequence[Line], new: Sequence[Line]) -> Pairs:
    """Return which message of *old* is which of *new*, as places in both that rise together."""
    start = same_beginning(old, new)
    end, new_end = _end(old, new, start)
    middle, other = old[start:end], new[start:new_end]
    if len(middle) * len(other) <= _CELLS:
        found = _subsequence(middle, other)
    else:
        matcher = SequenceMatcher(None, [one.key for one in middle], [one.key for one in other], autojunk=False)
        found = [(i + at, j + at) for i, j, size in matcher.get_matching_blocks() for at in range(size)]
    tail = ((end + at, new_end + at) for at in range(len(old) - end))
    return [*((at, at) for at in range(start)), *((start + i, start + j) for i, j in found), *tail]


def same_beginning(old: Sequence[Line], new: Sequence[Line]) -> int:
    """Return how many messages at the beginning are the same."""
    count = 0
    for one, other in zip(old, new, strict=False):
        if one.key != other.key:
            break
        count += 1
    return count


def last_turn(lines: Sequence[Line]) -> list[int]:
    """Return where the messages of the last turn stand but instructions: what came after the last answer.

    An answer that the program began is of the turn; where nothing but answers is left, there is none.
    """
    asked = next((at for at in range(len(lines) - 1, -1, -1) if not lines[at].answered), -1)
    first = next((at + 1 for at in range(asked, -1, -1) if lines[at].answered), 0)
    turn = [at for at in range(first, len(lines)) if lines[at].kind != "system"]
    return turn if any(not lines[at].answered for at in turn) else []


def said_until(lines: Sequence[Line]) -> int:
    """Return how many messages a request sends back: up to the last answer, but one that the program began.

    0: it sends no history.
    """
    begun = bool(lines) and lines[-1].answered and lines[-1].by is None
    return next((at + 1 for at in range(len(lines) - 1 - begun, -1, -1) if lines[at].answered), 0)


def _end(old: Sequence[Line], new: Sequence[Line], start: int) -> tuple[int, int]:
    """Where the common end begins in both. What comes after it in *new* is new, and stands nowhere in *old*."""
    known = {line.key for line in old[start:]}
    new_end = len(new)
    while new_end > start and new[new_end - 1].key not in known:
        new_end -= 1
    end, last = len(old), new_end
    while end > start and last > start and old[end - 1].key == new[last - 1].key:
        end, last = end - 1, last - 1
    return (end, last) if end < len(old) else (len(old), len(new))


def _subsequence(old: Sequence[Line], new: Sequence[Line]) -> Pairs:
    asked, asked_again = said_until(new), _worth_asked(old, new)
    kept = [_KEPT if line.answered else _KEPT_ANCHOR for line in old]
    best = [[0] * (len(new) + 1) for _ in range(len(old) + 1)]
    for i in range(len(old) - 1, -1, -1):
        key, row, below = old[i].key, best[i], best[i + 1]
        for j in range(len(new) - 1, -1, -1):
            worth = (kept if j < asked else asked_again)[i] if key == new[j].key else 0
            row[j] = max(below[j], row[j + 1], below[j + 1] + worth)
    pairs: Pairs = []
    i = j = 0
    while i < len(old) and j < len(new):
        worth = (kept if j < asked else asked_again)[i]
        if worth and old[i].key == new[j].key and best[i][j] == best[i + 1][j + 1] + worth:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif best[i + 1][j] >= best[i][j + 1]:
            i += 1
        else:
            j += 1
    return pairs


def _worth_asked(old: Sequence[Line], new: Sequence[Line]) -> list[int]:
    """Return of each message of *old* what it is worth that it is in what *new* asks, after the last answer there.

    After an answer to it that is sent back, less than any message of the history. Where so many answers are sent back
    that the one to it may be among them, changed, and something else is asked than it was asked with, nothing.
    """
    asked = said_until(new)
    sent = Counter(line.key for line in new[:asked] if line.answered)
    said = Counter(line.key for line in old if line.answered)
    answers, turn = sum(line.answered for line in new[:asked]), _turn(new, asked)
    worth = [_KEPT if line.answered else _KEPT_ANCHOR for line in old]
    end, before, kept = len(old), said.total(), False
    for at in range(len(old) - 1, -1, -1):
        line = old[at]
        begins = line.by is None and at + 1 == end < len(old)  # it is what the program began the answer with
        before -= line.answered
        if line.answered and not begins:
            kept = kept or (line.by is not None and sent[line.key] >= said[line.key])
            said[line.key] -= 1
            end = at
        elif end < len(old) and kept:
            worth[at] = _ASKED
        elif end < len(old) and answers > before:
            first = next((place + 1 for place in range(at, -1, -1) if old[place].answered), 0)
            worth[at] = worth[at] if _turn(old[:end], first) == turn else 0
    return worth


def _turn(lines: Sequence[Line], first: int) -> list[bytes]:
    return [line.key for line in lines[first:] if line.kind != "system"]


def goes_back(old: Sequence[Line], new: Sequence[Line], pairs: Pairs) -> bool:
    """Tell whether *new* only goes on from an earlier place of *old*: nothing of what it sends back was changed."""
    count = same_beginning(old, new)
    return len(pairs) == count < len(old) and not old[count].answered and not any(line.answered for line in new[count:])
