"""One scenario with one tool: a server, a place for a cassette, and the few things that scenarios do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import requests

from bench.scenarios.server import Server
from bench.scenarios.tools import Taps, Tool

Ask = Callable[[requests.Session], Any]


class FailedError(Exception):
    """What was expected did not happen."""


def expect(found: Any, wanted: Any, when: str) -> None:
    """Fail where something is other than it should be."""
    if found == wanted:
        return
    if _is_pieces(found) and _is_pieces(wanted) and len(found) != len(wanted):
        raise FailedError(f"{when}: {len(found)} piece{'s' * (len(found) > 1)}, not {len(wanted)}")
    raise FailedError(f"{when}: {_short(found)}, not {_short(wanted)}")


def _is_pieces(value: Any) -> bool:
    return isinstance(value, list) and len(value) > 0 and isinstance(value[0], bytes | str)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:59] + "…"


@dataclass
class Trial:
    """A tool at work."""

    tool: Tool
    folder: Path
    server: Server = field(default_factory=Server)

    @property
    def path(self) -> Path:
        return self.folder / f"tape{self.tool.suffix}"

    def record(self, ask: Ask) -> Any:
        """Ask while recording."""
        with self.tool.recording(self.path) as taps:
            return ask(taps.session())

    def play(self, ask: Ask) -> Any:
        """Ask what was recorded; the network may not be asked."""
        before = len(self.server.hits)
        with self.tool.playing(self.path) as taps:
            found = ask(taps.session())
        self.quiet(before)
        return found

    def quiet(self, before: int) -> None:
        """Fail where a replay has asked the network."""
        if len(self.server.hits) != before:
            raise FailedError("replay asks the network")

    def same(self, ask: Ask, wanted: Any = None) -> None:
        """Expect that a program sees the same with nothing mounted, while recording, and from the recording.

        :param wanted: what it sees; where it is None, what it sees with nothing mounted.
        """
        wanted = ask(requests.Session()) if wanted is None else wanted
        expect(self.record(ask), wanted, "while recording")
        expect(self.play(ask), wanted, "on replay")

    def same_httpx(self, ask: Callable[[httpx.Client], Any], wanted: Any = None, **options: Any) -> None:
        """As :meth:`same`, with a client of httpx."""
        if wanted is None:
            with httpx.Client(**options) as client:
                wanted = ask(client)
        with self.tool.recording(self.path) as taps, taps.client(**options) as client:
            expect(ask(client), wanted, "while recording")
        before = len(self.server.hits)
        with self.tool.playing(self.path) as taps, taps.client(**options) as client:
            expect(ask(client), wanted, "on replay")
        self.quiet(before)

    def same_async(self, ask: Callable[[httpx.AsyncClient], Awaitable[Any]], wanted: Any) -> None:
        """As :meth:`same`, with an async client of httpx; it is closed in the loop in which it was used."""

        async def asked(client: httpx.AsyncClient) -> Any:
            async with client:
                return await ask(client)

        with self.tool.recording(self.path) as taps:
            expect(asyncio.run(asked(taps.async_client())), wanted, "while recording")
        before = len(self.server.hits)
        with self.tool.playing(self.path) as taps:
            expect(asyncio.run(asked(taps.async_client())), wanted, "on replay")
        self.quiet(before)

    def refused(self, ask: Ask) -> None:
        """Expect that what is asked on replay is answered by nobody.

        Each tool says so by an exception of its own, in the call or when its block ends: whichever it is is no answer.
        """
        answers: list[Any] = []
        before = len(self.server.hits)

        def tried(taps: Taps) -> None:
            session = taps.session()
            with suppress(Exception):
                answers.append(ask(session))

        with suppress(Exception), self.tool.playing(self.path) as taps:
            tried(taps)
        self.quiet(before)
        if answers:
            raise FailedError(f"answered with {_short(answers[0])}")


@dataclass(frozen=True)
class Scenario:
    """One expectation.

    :ivar source: the suite that has it: ``litellm``, ``cassetter``, ``vcrpy``, ``betamax``; empty: our own.
    :ivar title: what is expected, in one line.
    """

    group: str
    source: str
    title: str
    run: Callable[[Trial], None]


SCENARIOS: list[Scenario] = []


def scenario(group: str, source: str, title: str) -> Callable[[Callable[[Trial], None]], Callable[[Trial], None]]:
    """Make a function a scenario."""

    def made(run: Callable[[Trial], None]) -> Callable[[Trial], None]:
        SCENARIOS.append(Scenario(group, source, title, run))
        return run

    return made
