"""For httpx and httpx2: what is recorded is replayed, what is not is sent and recorded."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from types import ModuleType
from typing import Any

from recorder.transports.httpx_modules import module_in_use, module_of
from recorder.transports.httpx_replay import HttpxReplay
from recorder.transports.httpx_streams import joined


class HttpxEither:
    """Makes transports that answer from a recording, and record what is not in it.

    :param replay: answers from the recording.
    :param recorded: returns a transport that records what another one sends.
    """

    def __init__(self, replay: HttpxReplay, recorded: Callable[[Any], Any]) -> None:
        self._replay = replay
        self._recorded = recorded

    def transport(self, like: object | None) -> Any:
        """Return a transport, sync and async.

        :param like: the transport that sends what is not recorded, or the module whose own are made for that.
        :raises ConfigurationError: that is neither of httpx nor of httpx2, or it is not said which.
        """
        module = module_in_use() if like is None else module_of(like)
        kinds = (module.BaseTransport, module.AsyncBaseTransport)
        given = like if isinstance(like, kinds) else None
        return joined("EitherTransport", _Transport, kinds)(self._replay, self._recorded, module, given)


class _Transport:
    """What such a transport does, of whichever module it is."""

    def __init__(self, replay: HttpxReplay, recorded: Callable[[Any], Any], module: ModuleType, given: Any) -> None:
        self._replay = replay
        self._recorded = recorded
        self._module = module
        self._given = given
        self._replaying = replay.transport(module)

    @cached_property
    def _live(self) -> Any:
        given = self._given
        return self._recorded(self._module.HTTPTransport() if given is None else given)

    @cached_property
    def _async_live(self) -> Any:
        given = self._given
        return self._recorded(self._module.AsyncHTTPTransport() if given is None else given)

    def handle_request(self, request: Any) -> Any:
        """Return the recorded answer to a request; send and record it where there is none."""
        recorded = self._replay.known_tape(request, request.read())
        return self._live.handle_request(request) if recorded is None else self._replaying.play(request, *recorded)

    async def handle_async_request(self, request: Any) -> Any:
        """Return the recorded answer to a request; send and record it where there is none."""
        recorded = self._replay.known_tape(request, await request.aread())
        if recorded is None:
            return await self._async_live.handle_async_request(request)
        return await self._replaying.play_async(request, *recorded)

    def close(self) -> None:
        """Close the transport that sends."""
        if "_live" in self.__dict__ or self._given is not None:
            self._live.close()

    async def aclose(self) -> None:
        """Close the transport that sends."""
        if "_async_live" in self.__dict__ or self._given is not None:
            await self._async_live.aclose()
