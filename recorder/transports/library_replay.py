"""What the replaying transports of all libraries share: how a live request finds its recorded answer."""

from __future__ import annotations

from recorder.core.redaction import Redacted, Redaction
from recorder.replay.answers import Answer, Answers
from recorder.replay.pace import Pace


class LibraryReplay:
    """What one player answers by one library.

    :param answers: where answers come from.
    :param redaction: applied to a live request before it is compared.
    :param pace: how fast recorded reads come back.
    """

    def __init__(self, answers: Answers, redaction: Redaction, pace: Pace) -> None:
        self._answers = answers
        self._redaction = redaction
        self.pace = pace

    def recorded(self, method: str, url: str, payload: bytes) -> Answer:
        """Return the recorded answer to a request.

        :raises NoMatchingExchange: there is none.
        """
        seen = Redacted()
        told = self._redaction.url(url, seen)
        return self._answers.answer(method, told, self._redaction.body(payload, seen))

    def known(self, method: str, url: str, payload: bytes) -> Answer | None:
        """Return the recorded answer to a request; None, and no miss, where there is none left."""
        seen = Redacted()
        told = self._redaction.url(url, seen)
        return self._answers.known(method, told, self._redaction.body(payload, seen))
