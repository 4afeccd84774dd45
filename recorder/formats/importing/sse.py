"""The body of an answer alone, as ``curl -N`` or ``recorder export --format sse`` writes it: server-sent events."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

from recorder.formats.importing.base import UNTIMED, WHOLE, Foreign, Recording
from recorder.formats.importing.several import ends_of_streams
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
        """Return the recording: an exchange for each answer, of which only the body is known."""
        return Recording(self.name, bodies_alone(source, ends_of_streams(source.raw)))


def bodies_alone(source: Source, ends: Iterable[int]) -> Iterator[Foreign]:
    """Yield the exchanges of a file that is the body of an answer, byte for byte, or those of several.

    :param ends: where each answer ends but the last.
    """
    lacks = ["request", "response_head", "http_version", "end", *UNTIMED, *WHOLE]
    if source.recoded:
        lacks.append("response_bytes")
    start = 0
    for number, end in enumerate(chain(ends, [len(source.raw)]), 1):
        yield Foreign(number, body=source.raw[start:end], end=None, missing=tuple(lacks))
        start = end


IMPORTER = RawSse()
