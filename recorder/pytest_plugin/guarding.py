"""When the network is blocked: in a guarded test and in what is made for it alone, not in what several tests share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import pytest

from recorder.pytest_plugin.run import Findings
from recorder.pytest_plugin.settings import Settings

if TYPE_CHECKING:
    from recorder.errors import NetworkBlocked
    from recorder.pytest_plugin.guard import Guard

_ALLOWED: Final = pytest.StashKey[Any]()  # an Allowed, or None


class Guarding:
    """Opens and closes the guard as a run goes on.

    :param findings: take what is told at the end of the run.
    """

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._guard: Guard | None = None  # imported by runs that have recorded tests
        self._guarded: pytest.Item | None = None
        self._suspended: list[pytest.Item | None] = []

    def watch(self) -> None:
        """Note connections from now on."""
        self._needed().watch()

    def _needed(self) -> Guard:
        if self._guard is None:
            from recorder.pytest_plugin.guard import GUARD

            self._guard = GUARD
            GUARD.is_shared = bool(self._suspended)
        return self._guard

    def decide(self, item: pytest.Item, settings: Settings, *, sends: bool) -> None:
        """Let a test reach the network, or not.

        :param sends: its recording does.
        """
        from recorder.pytest_plugin.allowed import Allowed

        is_guarded = settings.blocks and not sends
        item.stash[_ALLOWED] = Allowed(settings.allowed_hosts) if is_guarded else None
        if not is_guarded:
            self._needed().open()

    @contextmanager
    def making(self, fixture: pytest.FixtureDef[Any], item: pytest.Item) -> Iterator[None]:
        """Block the network while a fixture is made for one test alone; let everything pass for others, and their end.

        :param item: the test, where it is made for one.
        """
        if fixture.scope == "function":
            with self.closed(item):
                yield
            return
        fixture.addfinalizer(self._close_again)  # the first finalizer is called last
        self._open_meanwhile()
        try:
            yield
        finally:
            self._close_again()
            fixture.addfinalizer(self._open_meanwhile)

    def _open_meanwhile(self) -> None:
        self._suspended.append(self._guarded)
        if self._guard is not None:
            self._guard.is_shared = True
        if self._guarded is not None:
            self._guarded = None
            self._needed().open()

    def _close_again(self) -> None:
        guarded = self._suspended.pop() if self._suspended else None
        if self._guard is not None:
            self._guard.is_shared = bool(self._suspended)
        if guarded is not None and (allowed := guarded.stash.get(_ALLOWED, None)) is not None:
            self._guarded = guarded
            self._close(guarded, allowed)

    @contextmanager
    def closed(self, item: pytest.Item) -> Iterator[None]:
        """Let nothing pass meanwhile but what is allowed, where the test is guarded."""
        allowed = item.stash.get(_ALLOWED, None) if self._guarded is None else None
        if allowed is None:
            yield
            return
        self._guarded = item
        self._close(item, allowed)
        try:
            yield
        finally:
            self._guarded = None
            self._needed().open()

    def _close(self, item: pytest.Item, allowed: Any) -> None:
        guard = self._needed()
        guard.close(allowed)
        if shut := guard.shut():
            from recorder.pytest_plugin.messages import told_shut

            item.add_report_section("setup", "recorder", told_shut(shut))
            self._findings.shut.update(shut)

    def blocked(self) -> list[NetworkBlocked]:
        """Return what the guard has refused since it was asked last."""
        return [] if self._guard is None else self._guard.taken()
