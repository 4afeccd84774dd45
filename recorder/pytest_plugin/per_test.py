"""The recording of one test: what the fixture ``recording`` is."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from recorder.api.cassette_names import beside
from recorder.api.cassette_renewal import requests_of
from recorder.api.cassette_rules import match_in
from recorder.api.cassettes import CassetteRecordings
from recorder.api.player import Player
from recorder.clock import SystemClock
from recorder.core.match_rules import Match
from recorder.errors import ConfigurationError, NetworkBlocked, NoMatchingExchange
from recorder.pytest_plugin.attempts import Attempt, Outcome, exchanges_in
from recorder.pytest_plugin.killed import clear, finish, told_left, was_killed
from recorder.pytest_plugin.late import Late
from recorder.pytest_plugin.messages import told_blocked, told_misses, told_refused, told_unplayed
from recorder.pytest_plugin.modes import Mode, Plan, plan_of
from recorder.pytest_plugin.placing import take_place
from recorder.pytest_plugin.run import Run
from recorder.pytest_plugin.settings import Reaction, Settings
from recorder.pytest_plugin.verifying import drifts, recorded_in, told_drifts
from recorder.replay.nothing import Nothing
from recorder.replay.virtual_clock import VirtualClock
from recorder.store.cassette_file import left_open, read_file, read_first_line

if TYPE_CHECKING:
    import requests

    from recorder.api.recorder import Recorder

_HOUR: int = 3600 * 10**9


class Recording:
    """What answers the requests of one test, and records them where the mode says so.

    :ivar path: of the cassette.
    :ivar mode: how the test gets its answers: ``none``, ``once``, …
    :ivar plan: what that means for this test.
    :raises RecorderError: the cassette cannot be read.
    """

    def __init__(
        self, test: str, path: Path, settings: Settings, run: Run, *, fault: Any = None, clock: Any = None
    ) -> None:
        self._test = test
        self.path = path
        self.mode = settings.mode
        self._settings = settings
        self._run = run
        self._has_fault = fault is not None
        self._told = 0  # misses that the test has failed for already
        self._told_refused = 0
        self._told_ended = 0
        self._closed = False
        self._late = Late(test, run.findings)
        self._take_over()
        self._exists = path.exists()
        self.plan = plan_of(settings.mode, exists=self._exists, begun=run.begun.get(path))
        self._refuse_races()
        self._refuse_unfinished()
        if settings.mode is Mode.VERIFY and not self._exists:
            raise pytest.UsageError(f"{test}: there is no cassette {run.told(path)} to compare with: record it first")
        self._apart: Path | None = None
        self._made_folders: list[Path] = []
        self._recorder = self._open_recorder()
        try:
            player = {name: value for name, value in settings.player.items() if value is not None}
            clock = player["clock"] = _clock(clock or player.get("clock"))
            source = path if self.plan.plays and self._exists else Nothing()
            self._player = Player(source, fault=fault, otherwise=self._recorder, **player)
        except BaseException:
            self._close_recorder()
            raise
        if clock is not None and not clock.started:
            clock.start_at(SystemClock().wall_ns())
        run.findings.named.add(str(path))
        self._all = frozenset(self._player.unplayed)

    def _refuse_races(self) -> None:
        """Refuse to make one cassette from tests that may run in several processes at once.

        :raises pytest.UsageError: that could happen.
        """
        several = self._run.users_of(self.path)
        if self.plan.target in ("cassette", "beside") and several > 1 and self._run.parallel:
            told = self._run.told(self.path)
            raise pytest.UsageError(
                f"{self._test}: {several} tests share {told}, and pytest-xdist may run them at once: "
                "record it without -n"
            )

    def _refuse_unfinished(self) -> None:
        """Refuse to play what may not be all that was recorded.

        :raises pytest.UsageError: the cassette has not been written to its end, or has not even been begun.
        """
        begun = self.path in self._run.begun
        if self.plan == Plan(True, "nowhere") or self.mode is Mode.VERIFY or (self.mode is Mode.ONCE and not begun):
            unfinished = read_first_line(self.path).recording if self._exists else was_killed(self.path)
            if unfinished:
                raise pytest.UsageError(left_open(Path(self._run.told(self.path))))
        if self.plan.target != "beside" and (told := told_left(self._run, self.path)):
            self._run.findings.left.append(told)

    def _take_over(self) -> None:
        """Take out what this test recorded before, if it is run again; finish what a killed run has recorded.

        That is done where this run goes on with the cassette, or renews it.
        """
        self._run.attempts.begin(self.path, self._test)
        begins = self.path not in self._run.begun and self.mode in (Mode.NEW_EPISODES, Mode.ALL, Mode.REWRITE)
        if begins and was_killed(self.path):
            finish(self.path)
            told = self._run.told(self.path)
            self._run.findings.left.append(f"{told}: a run that was killed had recorded it in part: finished first")

    def _open_recorder(self) -> Recorder | None:
        target = self._target()
        if target is None:
            return None
        from recorder.api.recorder import switched_off  # with SQLAlchemy, which playing does not need
        from recorder.pytest_plugin.own_recorder import OwnRecorder

        if switched_off():
            raise pytest.UsageError(f"{self._test}: RECORDER_OFF is set, nothing can be recorded: unset it")
        if self.plan.target == "beside":
            if self.path not in self._run.begun:
                clear(self._run, self.path)
            self._run.settled.discard(self.path)
        if self.plan.target != "apart":
            self._run.begun.setdefault(self.path, self.plan.target)
        if self.plan.target != "apart":
            self._had, self._before = target.exists(), exchanges_in(target)
        self._made_folders = [folder for folder in target.parents if not folder.exists()]
        target.parent.mkdir(parents=True, exist_ok=True)
        match, redact = self._rules(target)
        return OwnRecorder(target, self._late, redact=redact, match=match)

    def _rules(self, target: Path) -> tuple[Match | None, tuple[str, ...]]:
        """Return how a file is matched and redacted: as the test says, and as the cassette whose place it takes."""
        match, redact = self._settings.player.get("match"), self._settings.redact
        if self._exists:
            cassette = read_file(self.path)
            match = match or match_in(self.path, cassette)
            if target != self.path:
                redact = tuple(dict.fromkeys((*redact, *cassette.redact)))
        if self._settings.player.get("allow_repeats"):
            match = replace(match or Match.STRICT, allow_repeats=True)
        return match, redact

    def _target(self) -> Path | None:
        if self.plan.target == "apart":
            self._apart = self._apart or Path(tempfile.mkdtemp(prefix="recorder-verify-"))
            return self._apart / self.path.name
        return {"nowhere": None, "cassette": self.path, "beside": beside(self.path)}[self.plan.target]

    # What a test uses

    @property
    def is_recording(self) -> bool:
        """Whether a request can reach the network."""
        return self.plan.sends

    @property
    def misses(self) -> tuple[NoMatchingExchange, ...]:
        """The requests that no recording answered."""
        return self._player.misses

    @property
    def unplayed(self) -> tuple[str, ...]:
        """Ids of the recorded exchanges that were not asked for."""
        return self._player.unplayed

    def mount(self, session: requests.Session) -> requests.Session:
        """Have *session* answered, or recorded; return the session.

        :raises ConfigurationError: one of its HTTP adapters is not an ``HTTPAdapter``.
        """
        return self._player.mount(session)

    def httpx_transport(self, like: object | None = None) -> Any:
        """Return a transport for clients of httpx or httpx2, sync and async.

        :param like: the module, or a transport of it, which sends where something is recorded; the module that the
            program has imported where it is left out.
        :raises ConfigurationError: it is neither, or the program has imported both.
        """
        return self._player.httpx_transport(like)

    def aiohttp_connector(self, wrapped: Any = None) -> Any:
        """Return a connector for sessions of aiohttp; as any, it is made where an event loop runs.

        :param wrapped: what connects where something is recorded; a plain ``TCPConnector`` where it is left out.
        :raises ConfigurationError: the mode is ``new_episodes``, and there is a cassette: it cannot do both.
        """
        if self._recorder is None:
            return self._player.aiohttp_connector()
        if self.plan.plays and self._exists:
            raise ConfigurationError(
                "aiohttp's connector either plays or records: use --recorder-mode=all or rewrite, not new_episodes"
            )
        if wrapped is None:
            import aiohttp

            wrapped = aiohttp.TCPConnector()
        return self._recorder.aiohttp_connector(wrapped)

    def conversation(
        self, name: str | None = None, *, tags: Mapping[str, str] | None = None
    ) -> AbstractContextManager[object]:
        """Return a context manager: what is recorded inside it belongs to one conversation; else nothing happens."""
        return nullcontext() if self._recorder is None else self._recorder.conversation(name, tags=tags)

    def client(self, module: ModuleType, *, is_async: bool) -> Any:
        """Return a client of httpx or httpx2 whose transport is ours."""
        if not is_async:
            return module.Client(transport=self.httpx_transport(module))
        if not self.is_recording:
            return module.AsyncClient(transport=self.httpx_transport(module))
        # No connection outlives its response: a test's event loop is gone when the fixture ends.
        limits = module.Limits(max_keepalive_connections=0)
        return module.AsyncClient(transport=self.httpx_transport(module.AsyncHTTPTransport(limits=limits)))

    # What the plugin asks

    def complaint(self, blocked: list[NetworkBlocked]) -> str:
        """Return what is wrong with what a test has asked for, also where it has swallowed that; nothing: empty."""
        told = []
        if misses := self.misses[self._told :]:
            self._told += len(misses)
            cassette = self._run.told(self.path)
            told.append(
                told_misses(misses, cassette=cassette, exists=self._exists, mode=self.mode.value, test=self._test)
            )
        if refused := self._player.refused[self._told_refused :]:
            self._told_refused += len(refused)
            told.append(told_refused(refused))
        if ended := self._player.ended[self._told_ended :]:
            self._told_ended += len(ended)
            told.append(told_refused(ended))
        if blocked:
            told.append(told_blocked(blocked))
        return "\n\n".join(told)

    def check(self) -> tuple[str, list[str]]:
        """Look at the recording of a test that has passed.

        :return: why it fails after all, empty where it does not; and what it is only warned of.
        """
        fails: list[str] = []
        warns: list[str] = []

        def react(reaction: Reaction, told: str) -> None:
            if told and reaction != "ignore":
                (fails if reaction == "fail" else warns).append(told)

        if self.mode is Mode.VERIFY:
            fails += self._drift()
        elif not self.plan.sends:
            if self._has_fault and self._all and self.unplayed and self._all <= set(self.unplayed):
                fails.append(
                    f"recorder: the fault met no request: nothing of {self._run.told(self.path)} was asked for; "
                    "send the request in the test, or take the fault out of its marker"
                )
            react(self._settings.unplayed, self._told_unplayed())
            react(self._settings.expired, self._told_expired())
        return "\n\n".join(fails), warns

    def _drift(self) -> list[str]:
        self._close_recorder()
        live = self._target()
        if live is None:
            return []
        found, unasked = drifts(self.path, live if live.exists() else None, self._settings.verify)
        if self._run.users_of(self.path) > 1:  # each asks for a part
            self._share(unasked, recorded_in(self.path))
            unasked = frozenset()
        missing = requests_of(self.path, sorted(unasked))
        return [told_drifts(found, missing, self._run.told(self.path))] if found or missing else []

    def _share(self, unplayed: Iterable[str], recorded: frozenset[str]) -> None:
        """Note what this test has asked for of a cassette that several tests play."""
        shared = self._run.shared(self.path)
        shared.runs.add(self._test)
        shared.exchanges |= recorded
        shared.played |= recorded.difference(unplayed)

    def _told_unplayed(self) -> str:
        if not self._exists:
            return ""
        if self._run.users_of(self.path) > 1:
            self._share(self.unplayed, self._all)
            return ""
        if self._has_fault or not self.unplayed:
            return ""
        return told_unplayed(requests_of(self.path, self.unplayed), self._run.told(self.path))

    def _told_expired(self) -> str:
        most = self._settings.max_age
        oldest = CassetteRecordings(self.path).began_ns() if self._exists and most is not None else None
        if most is None or oldest is None:
            return ""
        age = (SystemClock().wall_ns() - oldest) // _HOUR
        if age < most:
            return ""
        told = f"{age // 24} days" if age >= 48 else f"{age} hours"
        return f"recorder: {self._run.told(self.path)} was recorded {told} ago, which is too old: record it again"

    # How it ends

    def close(self, outcome: Outcome) -> None:
        """Bring what was recorded to the cassette.

        :param outcome: of the test; where it has not passed, a cassette that was to be replaced stays.
        """
        if self._closed:
            return
        self._closed = True
        self._player.end(self._late.miss)
        self._player.close()
        self._close_recorder()
        if self._apart is not None:
            shutil.rmtree(self._apart, ignore_errors=True)
        self._run.attempts.note(self.path, self._test, self._attempt(outcome))
        if self.plan.target == "beside" and self.mode is Mode.REWRITE and outcome == "passed":
            self._run.rewriting.setdefault(self.path, set()).add(self._test)
        if self._run.is_done(self.path) and self._run.begun.get(self.path) == "beside":  # by this or by another test
            take_place(self._run, self.path)

    def _attempt(self, outcome: Outcome) -> Attempt:
        file = self._target() if self.plan.target in ("cassette", "beside") else None
        if file is None:
            return Attempt(outcome)
        return Attempt(outcome, file, exchanges_in(file) - self._before, has_made=not self._had)

    def _close_recorder(self) -> None:
        if self._recorder is not None:
            self._recorder.close()
            with suppress(OSError):  # something is there
                for folder in self._made_folders:
                    folder.rmdir()


def _clock(given: Any) -> VirtualClock | None:
    """Return the clock that a marker gives: itself, or what makes one for each test.

    :raises pytest.UsageError: it is none.
    """
    clock = given() if callable(given) else given
    if clock is None or isinstance(clock, VirtualClock):
        return clock
    raise pytest.UsageError(
        f"clock={given!r} is no VirtualClock: use the fixture recorded_clock, or clock=VirtualClock"
    )
