"""What a server has done, and how it says so when it ends."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from recorder.replay.answers import Answers


@dataclass
class Tally:
    """Counts since the server started; a reset does not take anything back.

    :ivar asked: requests for recorded answers.
    :ivar answered: those that a recording answered.
    :ivar refused: why others were not, besides misses: a fault that cannot happen, HTTP/1.0.
    :ivar unreadable: what came and was no request.
    :ivar left: answers whose client closed before the end.
    :ivar ended: answers whose client read on where the recording ends.
    """

    asked: int = 0
    answered: int = 0
    refused: list[str] = field(default_factory=list)
    unreadable: int = 0
    left: int = 0
    ended: int = 0


@dataclass
class Report:
    """What a server tells of itself.

    :ivar tally: its counts.
    :ivar answers: what it answers from.
    """

    tally: Tally
    answers: Answers

    @property
    def failed(self) -> bool:
        """Whether something was asked for and not answered, or only to where its recording ends."""
        answers, tally = self.answers, self.tally
        return bool(answers.misses or answers.refused or answers.ended or tally.refused or tally.unreadable)

    def value(self, since: int = 0) -> dict[str, Any]:
        """Return everything as one JSON object.

        :param since: so many misses are left out.
        """
        tally = self.tally
        misses = [
            {
                "request": miss.request,
                "message": str(miss),
                "nearest": [*miss.nearest],
                "differences": [*miss.differences],
            }
            for miss in self.answers.misses[since:]
        ]
        counts = {"asked": tally.asked, "answered": tally.answered, "unreadable": tally.unreadable}
        counts |= {"left": tally.left, "ended": tally.ended}
        refused = [*map(str, self.answers.refused), *tally.refused]
        recorded = len(self.answers.requests)
        return {
            **counts,
            "recorded": recorded,
            "misses": misses,
            "refused": refused,
            "unplayed": [*self.answers.unplayed],
        }
