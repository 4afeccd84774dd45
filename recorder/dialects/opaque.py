"""The dialect of everything else: counts and shapes, no meaning. It never fails."""

from __future__ import annotations

from typing import Any

from recorder.core.json_text import parse_json
from recorder.core.messages import Answer, RequestReading
from recorder.core.sse import SSEParser
from recorder.dialects.base import AnswerReader, Clues


class Opaque:
    """Claims every body, a little."""

    name = "opaque"

    def claims(self, clues: Clues) -> float:
        """Return a little more than nothing, for any body."""
        return 0.01

    def read_request(self, url: str, payload: Any) -> RequestReading | None:
        """Return None: nothing is known about the request."""
        return None

    def reader(self, clues: Clues) -> AnswerReader:
        """Return a reader that counts."""
        return _Reader(clues.shape)


class _Reader:
    def __init__(self, shape: str) -> None:
        self._shape = shape
        self._parser = SSEParser()
        self._events = 0
        self._pieces: list[bytes] = []

    def feed(self, data: bytes) -> None:
        if self._shape == "sse":
            self._events += len(self._parser.feed(data))
        elif self._shape == "json":
            self._pieces.append(data)

    def close(self) -> Answer:
        self._events += len(self._parser.close())
        parser = self._parser
        whole = True if self._shape == "json" and self._parses() else None
        return Answer(
            dialect="opaque",
            shape=self._shape,
            whole=whole,
            events=self._events + bool(whole),
            unparsed_tail_bytes=parser.tail_bytes,
            anomalies=tuple(parser.anomalies),
        )

    def _parses(self) -> bool:
        try:
            parse_json(b"".join(self._pieces))
        except ValueError:
            return False
        return True


DIALECT = Opaque()
