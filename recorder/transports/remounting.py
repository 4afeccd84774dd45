"""Adapters that a program mounts on a session after a player: what goes by them, the player does not see."""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from recorder.transports.sharing import SharedAdapter


class MountedSessions:
    """The sessions that a player has been mounted on; it keeps none of them alive."""

    def __init__(self) -> None:
        self._ends: list[weakref.finalize[Any, requests.Session]] = []
        self._left = deque[str]()  # of sessions that are gone: told by the garbage collector, so without a lock

    def add(self, session: requests.Session) -> None:
        """Remember a session; what is mounted on it from now on goes past the player."""
        self._ends = [end for end in self._ends if end.alive]
        if not any(session is known for known in self._alive()):
            end = weakref.finalize(session, _tell, self._left, session.adapters)
            end.atexit = False
            self._ends.append(end)

    def _alive(self) -> Iterator[requests.Session]:
        return (held[0] for end in self._ends if (held := end.peek()) is not None)

    def past(self) -> list[str]:
        """Return the prefixes, as ``https://``, that a session answers by an adapter that asks the network."""
        for session in self._alive():
            _tell(self._left, session.adapters)
        return list(dict.fromkeys(self._left))


def _tell(told: deque[str], adapters: Mapping[str, Any]) -> None:
    told.extend(prefix for prefix, adapter in adapters.items() if _asks_the_network(prefix, adapter))


def _asks_the_network(prefix: str, adapter: object) -> bool:
    """Whether an adapter is one of requests, which the network answers; or one of the user's that has been there."""
    if not isinstance(adapter, HTTPAdapter) or isinstance(adapter, SharedAdapter) or prefix[:4].lower() != "http":
        return False
    managers = [getattr(adapter, "poolmanager", None), *getattr(adapter, "proxy_manager", {}).values()]
    return type(adapter).send is HTTPAdapter.send or any(len(getattr(each, "pools", ())) > 0 for each in managers)
