"""Which recorded exchange answers a request to the server: strictly the one that was recorded for it."""

from __future__ import annotations

from typing import Final

from recorder.core.exchange import Headers
from recorder.core.redaction import Redacted, Redaction
from recorder.errors import ConfigurationError
from recorder.replay.answers import Answer, Answers, is_broken_off
from recorder.replay.fault_text import from_text
from recorder.replay.faults import Fault, require_time
from recorder.replay.pace import Pace
from recorder.serving.asked import Asked
from recorder.serving.origins import Origins
from recorder.transports.http_library_replay import LibraryReplay

#: A request's header that names what goes wrong with its answer.
FAULT_HEADER: Final = "x-recorder-fault"


class Answering(LibraryReplay):
    """Answers what clients in any language ask.

    :param answers: where answers come from.
    :param redaction: applied to a live request before it is compared.
    :param pace: how fast recorded reads come back.
    :param origin: the one origin to answer from; all that are recorded where it is None.
    :raises ConfigurationError: nothing was recorded of that origin.
    """

    def __init__(self, answers: Answers, redaction: Redaction, pace: Pace, origin: str | None = None) -> None:
        super().__init__(answers, redaction, pace)
        self.answers = answers
        self.origins = Origins(answers.requests, origin)

    def answer(self, asked: Asked) -> Answer:
        """Return the recorded answer to a request.

        :raises NoMatchingExchange: there is none, or one of several origins.
        :raises CorruptRecording: the recorded answer cannot be trusted.
        :raises ConfigurationError: the fault that the request asks for is none, or cannot happen to the answer.
        """
        try:
            fault = fault_of(asked)
            if fault is not None:
                require_time(fault, passes=self.pace.passes)
        except ConfigurationError as error:
            self.answers.note_refusal(error)
            raise
        url, payload, headers = self._found(asked)
        while True:
            answer = self.answers.answer(asked.method, url, payload, headers, fault=fault)
            if not is_broken_off(answer.tape):
                return answer
            # Of an attempt that the program's own code broke off there is nothing to play: the next one follows.

    def _found(self, asked: Asked) -> tuple[str, bytes, Headers]:
        """Return the URL that is asked for, the payload and the headers that count, all after redaction."""
        seen, method, answers = Redacted(), asked.method, self.answers
        urls = [self._redaction.url(url, seen) for url in self.origins.urls_for(asked.target)]

        def live() -> list[tuple[str, str]]:
            return [header for header in asked.headers if header[0] != FAULT_HEADER]

        payload, headers = self.payload(asked.payload, live, seen), self.redacted(live)
        if len(urls) == 1:
            return urls[0], payload, headers
        left = [url for url in urls if answers.left(method, url, payload, headers)]
        if len(left) > 1:
            path = asked.target.partition("?")[0]
            shown = " and ".join(url.removesuffix(asked.target) for url in self.origins.urls_for(asked.target))
            raise answers.note_miss(
                f"{method} {path} was recorded of several origins, {shown}: start the server with --origin, or "
                f"begin the path with one of them, as /https/HOST{path}",
                f"{method} {path}",
            )
        ever = left or [url for url in urls if answers.ever(method, url, payload, headers)]
        return (ever or urls)[0], payload, headers


def fault_of(asked: Asked) -> Fault | None:
    """Return what a request wants to go wrong with its answer; None where it says nothing.

    :raises ConfigurationError: it is no fault.
    """
    text = asked.header(FAULT_HEADER)
    if text is None:
        return None
    try:
        return from_text(text.encode("latin-1").decode("utf-8"))
    except UnicodeDecodeError:
        raise ConfigurationError(
            f"the header {FAULT_HEADER} is no UTF-8: use what `recorder serve --help` says"
        ) from None
