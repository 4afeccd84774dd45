"""What a fork means for those who record in this process.

A forked child must let go of its parent's spool lock at once, even if it never records anything: only the
process knows that it was forked, so this one registration is per process, not per recorder.
"""

from __future__ import annotations

import logging
import os
import weakref
from typing import Final, Protocol

from recorder.errors import RecorderError
from recorder.store.base import EventLog

_log = logging.getLogger("recorder")


class Forked(Protocol):
    """Who has something to do when the process forks."""

    def before_fork(self) -> None:
        """Let go of what no child may inherit."""
        ...

    def after_fork_in_parent(self) -> None:
        """Go on."""
        ...

    def after_fork(self) -> None:
        """Go on in the child, which shares nothing with its parent."""
        ...


#: Who is told.
ALIVE: Final[weakref.WeakSet[Forked]] = weakref.WeakSet()

#: Stores that a forked child inherited: the connections are the parent's, to close them would disturb it.
INHERITED: Final[list[EventLog]] = []


def close_store(store: EventLog, level: int) -> bool:
    """Close a store; where that is not done in good order, say so at a *level* of the log, and return False."""
    try:
        store.close()
    except RecorderError as error:
        _log.log(level, "recorder: the store was not closed in good order: %s", error)
        return False
    return True


def let_go_of_store(store: EventLog) -> bool:
    """Have no connection of a store open any more, as soon as possible; return whether that worked."""
    try:
        store.let_go()
    except RecorderError as error:
        _log.info("recorder: the store is closed in another way: %s", error)
        return close_store(store, logging.INFO)
    return True


def _before() -> None:
    for one in list(ALIVE):
        one.before_fork()


def _after_in_parent() -> None:
    for one in list(ALIVE):
        one.after_fork_in_parent()


def _after_in_child() -> None:
    for one in list(ALIVE):
        one.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
