"""The body of an answer alone, as ``curl -N`` or ``recorder export --format sse`` writes it: server-sent events."""

from __future__ import annotations

from collections.abc import Iterator

from recorder.formats.importing.base import UNTIMED, WHOLE, Foreign, Recording
from recorder.formats.importing.source import Source


class RawSse:
    """A stream of events, and nothing about it."""

    name = "sse"
    help = "a stream of server-sent events, as curl writes it"
    order = 60

    def recognises(self, source: Source) -> bool:
        """Its first line is one of an event stream, and a line with data follows sooner or later."""
        return source.holds(rb"\A(data|event|id|retry|):") and source.holds(rb"(^|\r)data:")

    def read(self, source: Source) -> Recording:
        """Return the recording: one exchange, of which only the body is known."""
        return Recording(self.name, body_alone(source))


def body_alone(source: Source) -> Iterator[Foreign]:
    """Yield the one exchange of a file that is the body of an answer, byte for byte."""
    lacks = ["request", "response_head", "http_version", "end", *UNTIMED, *WHOLE]
    if source.recoded:
        lacks.append("response_bytes")
    yield Foreign(1, body=source.raw, end=None, missing=tuple(lacks))


IMPORTER = RawSse()
