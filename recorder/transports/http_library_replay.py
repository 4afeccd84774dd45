"""What the replaying transports of all libraries share: how a live request finds its recorded answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from recorder.core.exchange import Headers
from recorder.core.redaction import Redacted, Redaction
from recorder.replay.answers import Answer, Answers
from recorder.replay.pace import Pace

#: Returns names and values of a live request's headers.
LiveHeaders = Callable[[], Iterable[tuple[object, object]]]

_START: Final = b"GET / HTTP/1.1\r\n"  # a head begins with a line that is no header


class LibraryReplay:
    """What one player answers by one library.

    :param answers: where answers come from.
    :param redaction: applied to a live request before it is compared.
    :param pace: how fast recorded reads come back.
    :ivar note_ended: is told where somebody reads on past the end of what was recorded.
    """

    def __init__(self, answers: Answers, redaction: Redaction, pace: Pace) -> None:
        self._answers = answers
        self._redaction = redaction
        self.pace = pace
        self.note_ended = answers.note_ended

    def recorded(self, method: str, url: str, payload: bytes, headers: LiveHeaders) -> Answer:
        """Return the recorded answer to a request.

        :param headers: returns its headers.
        :raises NoMatchingExchange: there is none.
        """
        told, payload = self.asked(url, payload, headers)
        return self._answers.answer(method, told, payload, self.redacted(headers))

    def known(self, method: str, url: str, payload: bytes, headers: LiveHeaders) -> Answer | None:
        """Return what :meth:`recorded` does; None, and no miss, where no recorded answer is left."""
        told, payload = self.asked(url, payload, headers)
        return self._answers.known(method, told, payload, self.redacted(headers))

    def refused(self, method: str, url: str, headers: LiveHeaders) -> Answer | None:
        """Return the recorded failure to connect of a request whose payload is not known yet, if that comes next."""
        return self._answers.refusal(method, self._redaction.url(url, Redacted()), self.redacted(headers))

    def asked(self, url: str, payload: bytes, headers: LiveHeaders) -> tuple[str, bytes]:
        """Return URL and payload of a live request as a recorder would write them."""
        seen = Redacted()
        told = self._redaction.url(url, seen)
        return told, self.payload(payload, headers, seen)

    def payload(self, payload: bytes, headers: LiveHeaders, seen: Redacted) -> bytes:
        """Return the payload of a live request without what is a credential, also by what its headers are.

        :param seen: what was replaced in its URL.
        """
        if not payload:
            return payload
        self._redaction.headers(((_bytes(name), _bytes(value)) for name, value in headers()), seen)
        return self._redaction.body(payload, seen)

    def redacted(self, headers: LiveHeaders) -> Headers:
        """Return the headers of a live request as they are compared; none where none is."""
        if not self._answers.reads_headers:
            return ()
        return tuple(self._header(*map(_bytes, header)) for header in headers())

    def _header(self, name: bytes, value: bytes) -> tuple[str, str]:
        line = self._redaction.head(b"%s%s: %s\r\n" % (_START, name, value), Redacted())[len(_START) :]
        return name.decode("latin-1"), line.partition(b":")[2].strip().decode("latin-1")


def _bytes(text: object) -> bytes:
    if isinstance(text, bytes):
        return text
    text = str(text)  # http.client takes numbers too
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:  # which no library sends
        return text.encode("utf-8")
