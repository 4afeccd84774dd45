"""What is read and sent through httpx and httpx2, recorded while it is: the bodies of responses and of requests."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from functools import cache
from typing import Any, Final, Protocol

from recorder.errors import RecordingError
from recorder.recording.tap import ExchangeTap
from recorder.transports.guard import Guard

_log = logging.getLogger("recorder")

_PIECE: Final = 1024 * 1024  # bytes of a streamed payload that are held before they are recorded


class Reading(Protocol):
    """An exchange whose body is read."""

    def received(self, data: bytes) -> None:
        """Record a piece of the body."""
        ...

    def finished(self) -> None:
        """Record that the body is whole."""
        ...

    def broke(self, error: BaseException) -> None:
        """Record that reading the body failed."""
        ...

    def left(self, *, abandoned: bool = False) -> None:
        """Record that the consumer is done; it may have taken everything."""
        ...


@cache
def joined(name: str, behaviour: type, bases: tuple[type, ...]) -> Any:
    """Return a class of *behaviour* that is one of the library's kinds as well."""
    return type(name, (behaviour, *bases), {"__module__": behaviour.__module__})


class RecordedBody:
    """The body of a response, recorded while it is read."""

    def __init__(self, exchange: Reading, below: Any) -> None:
        self._exchange = exchange
        self._below = below

    def __iter__(self) -> Iterator[bytes]:
        exchange = self._exchange
        try:
            for data in self._below:
                exchange.received(data)
                yield data
        except Exception as error:
            exchange.broke(error)
            raise
        exchange.finished()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        exchange = self._exchange
        try:
            async for data in self._below:
                exchange.received(data)
                yield data
        except Exception as error:
            exchange.broke(error)
            raise
        exchange.finished()

    def close(self) -> None:
        """Close; what was not read by now never is."""
        try:
            self._exchange.left()
        finally:
            self._below.close()

    async def aclose(self) -> None:
        """Close; what was not read by now never is."""
        try:
            self._exchange.left()
        finally:
            await self._below.aclose()

    def __del__(self) -> None:
        try:
            self._exchange.left(abandoned=True)
        except RecordingError as error:  # the garbage collector is at work, and nobody is there to be told
            _log.error("recorder: %s", error)


class RecordedUpload:
    """A payload that is only known while it is sent.

    :ivar below: the user's stream.
    """

    def __init__(self, tap: ExchangeTap, below: Any) -> None:
        self._tap = tap
        self.below = below
        self._held: list[bytes] = []
        self._size = 0

    def __iter__(self) -> Iterator[bytes]:
        try:
            for data in self.below:
                self._take(data)
                yield data
        finally:
            self._tell()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for data in self.below:
                self._take(data)
                yield data
        finally:
            self._tell()

    def _take(self, data: object) -> None:
        if not isinstance(data, bytes | bytearray | memoryview):
            return  # the library will say so
        self._held.append(bytes(data))  # a copy: a generator may fill its buffer again
        self._size += len(data)
        if self._size >= _PIECE and not self._tap.reads_payloads:
            self._tell()

    def _tell(self) -> None:
        with Guard(self._tap):
            if self._held:
                self._tap.request_body_sent(b"".join(self._held))
            self._held.clear()
            self._size = 0

    def close(self) -> None:
        """Close the stream below."""
        self.below.close()

    async def aclose(self) -> None:
        """Close the stream below."""
        await self.below.aclose()
