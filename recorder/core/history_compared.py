"""What a request is to an exchange that it has been laid beside: it asks the same again, forks, or goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from recorder.core.conversation import Relation
from recorder.core.history_alignment import Line, Pairs, align, goes_back, last_turn
from recorder.core.history_differences import differences
from recorder.core.history_tellings import Telling
from recorder.core.messages import Anomaly


def weight(found: Sequence[Anomaly]) -> tuple[int, int]:
    """Return how much is told, and how much of it about the model's answers."""
    return len(found), sum(one.kind.startswith("answer_") for one in found)


def asked_again(telling: Telling, lines: Sequence[Line], said: Mapping[bytes, str]) -> Relation:
    """Return the relation to an exchange that had asked the same; its answer is nothing that had to be sent back.

    :param said: as of :func:`~recorder.core.history_differences.differences`.
    """
    return asks_again_at(telling, differences(telling.request, lines, align(telling.request, lines), said))


def asks_again_at(telling: Telling, found: Sequence[Anomaly]) -> Relation:
    """Return the relation to an exchange that had asked the same but for what was *found*."""
    return Relation("regenerates" if telling.complete else "retries", telling.id, tuple(found))


def compared(telling: Telling, lines: Sequence[Line], pairs: Pairs, said: Mapping[bytes, str]) -> Relation | None:
    """Return the relation to an exchange; None where nothing of it is sent back.

    :param pairs: as of :func:`~recorder.core.history_differences.differences`; likewise *said*.
    """
    if _asks_again(telling, lines, pairs):
        return asked_again(telling, lines, said)
    if goes_back(telling.lines, lines, pairs):  # sharing nothing but instructions or questions, it goes on from nothing
        forked = any(lines[at].answered for _, at in pairs)
        return Relation("forks", telling.id) if forked else None
    return Relation("continues", telling.id, tuple(differences(telling.lines, lines, pairs, said)))


def _asks_again(telling: Telling, lines: Sequence[Line], pairs: Pairs) -> bool:
    """Whether the last turn is the one that was asked there, in its place, and no further answer is sent back."""
    old, new = last_turn(telling.request), last_turn(lines)
    if not new or [telling.request[at].key for at in old] != [lines[at].key for at in new]:
        return False
    placed = pairs if not telling.begun else align(telling.request, lines)
    return (old[-1], new[-1]) in placed and _answers(lines) <= _answers(telling.request)


def _answers(lines: Sequence[Line]) -> int:
    return sum(line.answered for line in lines)


def asks_more(telling: Telling, lines: Sequence[Line], until: int) -> bool:
    """Tell whether a request asks all that was asked there, after the same answer, and more before its end.

    :param until: how many of its messages are history.
    """
    asked, old = [line.key for line in lines[until:] if line.kind != "system"], last_turn(telling.request)
    turn = [telling.request[at].key for at in old]
    if not turn or not until or len(asked) <= len(turn) or asked[0] != turn[0]:
        return False
    after = next((line.key for line in reversed(telling.request[: old[0]]) if line.kind != "system"), b"")
    same = next((at for at, (one, other) in enumerate(zip(asked, turn, strict=False)) if one != other), len(turn))
    return after == lines[until - 1].key and asked[len(asked) - len(turn) + same :] == turn[same:]
