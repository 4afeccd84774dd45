"""Player: answers requests from a recording, and never from the network."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeGuard, cast

from recorder.api.leaving import leave
from recorder.clock import Clock, SystemClock
from recorder.core.match_rules import Match
from recorder.core.redaction import Redaction
from recorder.errors import (
    ConfigurationError,
    NoMatchingExchange,
    NotFound,
    RecorderError,
    RecordingEnded,
)
from recorder.locations import as_url, cassette_path, fingerprint_key
from recorder.replay.nothing import Nothing
from recorder.replay.pace import Pace
from recorder.replay.virtual_clock import VirtualClock

if TYPE_CHECKING:
    import requests

    from recorder.api.cassettes import CassetteRecordings
    from recorder.api.recorder import Recorder
    from recorder.api.recordings import Recordings
    from recorder.api.store import Store
    from recorder.core.events import Event
    from recorder.replay.faulting import Faulting
    from recorder.replay.faults import Fault
    from recorder.replay.index import Entry
    from recorder.serving.server import ReplayServer
    from recorder.transports.httpx_either import HttpxEither
    from recorder.transports.httpx_replay import HttpxReplay
    from recorder.transports.remounting import MountedSessions
    from recorder.transports.requests_either import RequestsEither
    from recorder.transports.requests_replay import RequestsReplay


class Player:
    """Answers requests from recorded exchanges: same bytes, same boundaries, same failure.

    A context manager: leaving it raises the first miss, even when the code inside swallowed the error or raised another
    one because of it; and, where nothing was missed, the first :class:`~recorder.RecordingEnded` of a program that read
    on where the recorded one did not. An exception of the program's own, an interrupt or an exit leaves it as it is,
    with a note of the miss. Thread-safe. A recording that is not what was written, as far as its hash chain tells, is
    not played: its request raises :class:`~recorder.errors.ChainBroken`, and so does leaving.

    :param source: a store's URL, the path of a SQLite store or of a cassette (``FILE.jsonl``), or a
        :class:`~recorder.Store`.
    :param match: the rules by which requests are compared, a :class:`~recorder.Match`; where it is left out, those of
        the cassette, else ``"strict"``: method, URL and payload, JSON compared as a value. A cassette's first line
        has to say the same.
    :param allow_repeats: when every answer to a request has been given, the last one is given again; added to *match*.
    :param pace: 0 answers at once, 1 as fast as recorded, 2 twice as slow; where it is left out, 1 by a
        :class:`~recorder.VirtualClock`, else 0. Above 0, the client's timeouts fire.
    :param exchanges: what to answer from: ids of exchanges, ids or names of conversations; everything
        in the store where it is left out.
    :param fault: what goes wrong with every answer that it can happen to, see :mod:`recorder.faults`, or its text; or
        with those of some exchanges or conversations, by id or name, or of some requests (``"POST /v1/messages"``).
        Where it happened to none of those that were asked for, leaving raises that, as a miss.
    :param clock: tells the time and waits: a :class:`~recorder.VirtualClock`, by which nobody does.
    :param otherwise: what is not recorded, or not once more, is sent, and recorded by this one: nothing is missed.
        A payload that is made while it is sent (a generator) is always sent.
    :raises ConfigurationError: an argument is wrong.
    :raises StoreError: the store cannot be read.
    """

    def __init__(
        self,
        source: str | os.PathLike[str] | Store | Nothing | None = None,
        *,
        match: Match | str | None = None,
        allow_repeats: bool = False,
        pace: float | None = None,
        exchanges: Iterable[str] | None = None,
        fault: Fault | str | Mapping[str, Fault | str] | None = None,
        clock: Clock | None = None,
        otherwise: Recorder | None = None,
    ) -> None:
        asked = _rules(match, allow_repeats)
        # Here, so that a program which imports recorder to record does not import what reads and rebuilds.
        from recorder.replay.answers import Answers

        clock = clock or SystemClock()
        self._source = source
        self._store: Store | None = None
        virtual = clock if isinstance(clock, VirtualClock) else None
        self._pace = Pace(float(virtual is not None) if pace is None else pace, clock)
        faults = None if fault is None else _faults(fault, self._pace)
        self._owns = _is_named(source)
        try:
            only = None if exchanges is None else self._open().members(exchanges)
            recordings, rules = self._recordings(only, asked, allow_repeats=allow_repeats)
            key = fingerprint_key(clock)
            entries: Iterable[Entry] = recordings.entries()
            going_wrong = None
            if faults is not None:
                entries = every = list(entries)
                going_wrong = self._going_wrong(every, recordings.events, faults)
            self._answers = Answers(
                entries, recordings.events, recordings.request, rules, key, going_wrong, recordings.erased
            )
            self._redaction = Redaction(key)
            if virtual is not None and not virtual.started and (began := recordings.began_ns()) is not None:
                virtual.start_at(began)
        except BaseException:
            self.close()
            raise
        self._otherwise = otherwise
        self._transport: RequestsReplay | RequestsEither | None = None
        self._sessions: MountedSessions | None = None
        self._httpx: HttpxReplay | HttpxEither | None = None

    def _open(self) -> Store:
        """Return the store; a cassette is one too where exchanges are named, which is to be the same everywhere."""
        from recorder.api.store import Store

        if self._store is None:
            if isinstance(self._source, Nothing):
                raise NotFound("there are no exchanges to name: leave them out")
            self._store = self._source if isinstance(self._source, Store) else Store(self._source)
        return self._store

    def _recordings(
        self, only: set[bytes] | None, asked: Match | None, *, allow_repeats: bool
    ) -> tuple[Recordings | CassetteRecordings | Nothing, Match]:
        """Return what to answer from, and by which rules."""
        source, rules = self._source, asked or Match.STRICT
        if isinstance(source, Nothing):
            return source, rules
        path = cassette_path(as_url(source) if _is_named(source) else self._open().reader.url)
        if path is None:
            from recorder.api.recordings import Recordings

            return Recordings(self._open().reader, only), replace(rules, allow_repeats=True) if allow_repeats else rules
        from recorder.api.cassette_rules import playable_match_in, require_match
        from recorder.api.cassettes import CassetteRecordings

        found = CassetteRecordings(path, only)
        rules = asked or playable_match_in(path, found.cassette)
        rules = replace(rules, allow_repeats=True) if allow_repeats else rules
        require_match(path, found.cassette, rules)
        return found, rules

    def _going_wrong(
        self,
        entries: Sequence[Entry],
        events: Callable[[bytes], Iterable[Event]],
        fault: Fault | Mapping[str, Fault],
    ) -> Faulting:
        """Return what gives the events of an exchange with what goes wrong in them."""
        from recorder.replay.faulting import Faulting

        return Faulting(entries, events, fault, lambda name: self._open().members([name]))

    @property
    def match(self) -> Match:
        """The rules by which requests are compared."""
        return self._answers.match

    @property
    def misses(self) -> tuple[NoMatchingExchange, ...]:
        """The requests that no recording answered, in the order in which they were asked."""
        return self._answers.misses

    @property
    def refused(self) -> tuple[RecorderError, ...]:
        """Why recordings that would have answered were not played, and what a rule of the user failed with."""
        return self._answers.refused

    @property
    def ended(self) -> tuple[RecordingEnded, ...]:
        """Where the program, or a client of :meth:`serve`, read on past the end of what was recorded."""
        return self._answers.ended

    @property
    def unplayed(self) -> tuple[str, ...]:
        """Ids of the recorded exchanges that were not asked for."""
        return self._answers.unplayed

    def mount(self, session: requests.Session) -> requests.Session:
        """Have *session* answered from the recording; return the session.

        An adapter that is mounted on it afterwards goes past the player: leaving the block tells that as a miss.

        :raises ConfigurationError: one of its HTTP adapters is not an ``HTTPAdapter``.
        :raises TypeError: it is no session.
        """
        if self._transport is None or self._sessions is None:
            from recorder.transports.remounting import MountedSessions
            from recorder.transports.requests_replay import RequestsReplay

            self._sessions = MountedSessions()
            replay = RequestsReplay(self._answers, self._redaction, self._pace)
            self._transport = replay if self._otherwise is None else _requests_either(replay, self._otherwise)
        self._transport.mount(session)
        self._sessions.add(session)
        return session

    def httpx_transport(self, like: object | None = None) -> Any:
        """Return a transport for clients of httpx or httpx2, sync and async, that answers from the recording.

        :param like: the module, ``httpx`` or ``httpx2``, or anything of it; the one that the program has imported
            where it is left out. With ``otherwise`` also a transport: it sends what is not recorded.
        :raises ConfigurationError: it is neither, or the program has imported both.
        """
        if self._httpx is None:
            from recorder.transports.httpx_replay import HttpxReplay

            replay = HttpxReplay(self._answers, self._redaction, self._pace)
            self._httpx = replay if self._otherwise is None else _httpx_either(replay, self._otherwise)
        return self._httpx.transport(like)

    def serve(
        self, *, host: str = "127.0.0.1", port: int = 0, origin: str | None = None
    ) -> AbstractContextManager[str]:
        """Return a context manager: inside, a server in a thread of its own answers clients of any kind.

        ::

            with Player("sqlite:///recordings.db") as player, player.serve() as url:
                client = OpenAI(base_url=f"{url}/v1", api_key="dummy")

        Its value is the URL. Whose base URL that is, is answered by path and query, whatever origin was recorded.

        :param host: where to listen; others than loopback's let other machines ask.
        :param port: 0 for any that is free.
        :param origin: the one recorded origin to answer from, as ``https://gateway.example``.
        :raises ConfigurationError: it cannot listen there, nothing was recorded of that origin, or h11 is missing.
        """
        server = self.server(host=host, port=port, origin=origin)
        from recorder.serving.server import in_thread

        return in_thread(server)

    def server(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        origin: str | None = None,
        tell: Callable[[str], None] | None = None,
    ) -> ReplayServer:
        """Return the server of :meth:`serve`, not started, for an event loop of one's own.

        :param tell: gets the lines about what somebody should know; the logger ``recorder`` where it is left out.
        """
        try:
            from recorder.serving.answering import Answering
            from recorder.serving.server import ReplayServer
        except ModuleNotFoundError as error:
            if error.name != "h11":
                raise
            raise ConfigurationError(
                "serving needs h11: install it with `pip install 'conversation-recorder[serve]'`"
            ) from error
        answering = Answering(self._answers, self._redaction, self._pace, origin)
        return ReplayServer(answering, host, port, tell)

    def aiohttp_connector(self) -> Any:
        """Return a connector for sessions of aiohttp that answers from the recording.

        As any connector of aiohttp, it is made where an event loop runs.
        """
        from recorder.transports.aiohttp_replay import ReplayingConnector
        from recorder.transports.http_library_replay import LibraryReplay

        return ReplayingConnector(LibraryReplay(self._answers, self._redaction, self._pace))

    def end(self, late: Callable[[str], NoMatchingExchange]) -> None:
        """Answer nothing any more: for whoever has asked what was missed, and would not learn of more.

        :param late: makes what is raised for a request that comes all the same, of its method and URL.
        """
        self._answers.end(late)

    def close(self) -> None:
        """Close the store, unless it was given open; closing twice is fine."""
        if self._owns and self._store is not None:
            self._store.close()

    def __enter__(self) -> Player:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        for prefix in self._sessions.past() if self._sessions is not None else ():
            self._answers.note_miss(
                f"an adapter was mounted for {prefix} after the player, and asks the network past it: mount it before",
                prefix,
            )
        leave(error, (*self.misses, *self._answers.refused), self._answers.ended)


def _requests_either(replay: RequestsReplay, otherwise: Recorder) -> RequestsEither:
    from recorder.transports.requests_either import RequestsEither

    return RequestsEither(replay, otherwise.requests_recording())


def _httpx_either(replay: HttpxReplay, otherwise: Recorder) -> HttpxEither:
    from recorder.transports.httpx_either import HttpxEither

    return HttpxEither(replay, otherwise.httpx_transport)


def _faults(fault: object, pace: Pace) -> Fault | Mapping[str, Fault]:
    """Return what a caller gave, with faults for texts.

    :raises ConfigurationError: it is no fault, or one that is nothing but time where none passes.
    """
    from recorder.replay.fault_text import as_fault
    from recorder.replay.faults import require_time

    def checked(one: object) -> Fault:
        made = as_fault(one)
        require_time(made, passes=pace.passes)
        return made

    return {name: checked(one) for name, one in fault.items()} if isinstance(fault, Mapping) else checked(fault)


def _rules(match: object, allow_repeats: bool) -> Match | None:
    """Return the rules that a caller gave; None where it gave none.

    :raises ConfigurationError: they are none.
    """
    rules = Match.STRICT if match == "strict" else match
    if not isinstance(rules, Match | None):
        raise ConfigurationError(f"match={match!r} is not known: use 'strict' or a recorder.Match")
    if not isinstance(cast(object, allow_repeats), bool):
        raise ConfigurationError(f"allow_repeats={allow_repeats!r} is no truth value: use True or False")
    return rules


def _is_named(source: object) -> TypeGuard[str | os.PathLike[str] | None]:
    """Whether a source is named by a URL or a path, and is not a store that is open."""
    return source is None or isinstance(source, str | os.PathLike)
