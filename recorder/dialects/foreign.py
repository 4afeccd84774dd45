"""Dialects of other packages: what they return is checked here, once, so that nothing behind this has to.

What is wrong is a :class:`~recorder.errors.DialectError`; it costs the answer its meaning, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from recorder.core.messages import FINISHES, Answer, Message, RequestReading
from recorder.dialects.base import AnswerReader, Clues, Dialect
from recorder.dialects.conforming import fault_of
from recorder.errors import DialectError

_SHAPES: Final = frozenset({"sse", "json", "ndjson", "eventstream", "text", "binary", "empty"})


class ForeignDialect:
    """A dialect of another package, as one of ours.

    :param dialect: whatever was registered.
    :raises DialectError: it has no name that can be shown.
    """

    def __init__(self, dialect: Any) -> None:
        self._dialect: Dialect = dialect
        name = dialect.name
        if type(name) is not str or not name.isprintable() or not name.strip():
            raise DialectError(f"its name is {name!r}, and not a word")
        self._name = name

    @property
    def name(self) -> str:
        """Its name, as it was when it was registered."""
        return self._name

    def claims(self, clues: Clues) -> float:
        """Return how well the body fits.

        :raises DialectError: it gives no number from 0 to 1.
        """
        claim = self._dialect.claims(clues)
        if type(claim) not in (int, float, bool) or not 0 <= claim <= 1:
            raise DialectError(f"it claims a body by {claim!r:.60}, and not by a number from 0 to 1")
        return float(claim)

    def read_request(self, url: str, payload: Any) -> RequestReading | None:
        """Return what the request says.

        :raises DialectError: it is not as it should be.
        """
        reading = self._dialect.read_request(url, payload)
        if reading is not None:
            self._check(reading, RequestReading, "its reading of the request")
            _check_places(reading.messages, None)
        return reading

    def reader(self, clues: Clues) -> AnswerReader:
        """Return a reader for the body."""
        return _Reader(self, self._dialect.reader(clues), len(clues.body))

    def checked(self, answer: Any, size: int) -> Answer:
        """Return an answer that is as it should be.

        :param size: bytes of the body.
        :raises DialectError: it is not.
        """
        self._check(answer, Answer, "its answer")
        found: Answer = answer
        if found.shape not in _SHAPES:
            raise DialectError(f"its answer has the shape {found.shape!r}, which there is not")
        for choice in found.choices:
            if choice.finish is not None and choice.finish not in FINISHES:
                raise DialectError(f"its answer has the finish {choice.finish!r}, which there is not")
        _check_places((choice.message for choice in found.choices), size)
        return found

    def _check(self, value: Any, declared: type, what: str) -> None:
        fault = fault_of(value, declared, "")
        if fault is None and value.dialect != self._name:
            fault = f"is of the dialect {value.dialect!r}"
        if fault is not None:
            raise DialectError(f"{what} {fault}")


def _check_places(messages: Iterable[Message], size: int | None) -> None:
    """Where parts come from has to be within the body, in order."""
    for start, end, last in _places(messages):
        if not last <= start <= end or (size is not None and end > size):
            raise DialectError(f"its answer has a part from the bytes {start} to {end}, which are none of the body's")


def _places(messages: Iterable[Message]) -> Iterator[tuple[int, int, int]]:
    for message in messages:
        for part in message.parts:
            last = 0
            for start, end in part.ranges:
                yield start, end, last
                last = end


class _Reader:
    def __init__(self, dialect: ForeignDialect, reader: AnswerReader, size: int) -> None:
        self._dialect, self._reader, self._size = dialect, reader, size

    def feed(self, data: bytes) -> None:
        self._reader.feed(data)

    def close(self) -> Answer:
        return self._dialect.checked(self._reader.close(), self._size)
