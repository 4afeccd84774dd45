"""What is mounted on a session: views of its adapters, which record or replay what they send."""

from __future__ import annotations

import weakref
from typing import Any, Final

import requests
from requests.adapters import HTTPAdapter

from recorder.errors import ConfigurationError
from recorder.transports.sharing import VIEWS, Sender, SharedAdapter, plain_of

_OVERRIDES: Final = frozenset({"send", "get_connection", "get_connection_with_tls_context"})


class AdapterViews:
    """The views of adapters of one recorder or player: of one adapter there is one, as long as it is in use.

    :param sender: what they send by.
    :param done: ``recorded`` or ``replayed``.
    """

    def __init__(self, sender: Sender, done: str) -> None:
        self._sender = sender
        self._done = done
        self._views: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()

    def mount(self, session: requests.Session) -> list[Any]:
        """Replace the HTTP adapters of a session by views of them; return who had mounted something there before.

        What is mounted last takes the place of what was mounted before, over the user's own adapters.

        :raises ConfigurationError: an adapter is not an ``HTTPAdapter``, would send past its view, or cannot have one.
        """
        found = http_adapters(session)
        before = [adapter.recorder_state for adapter in found.values() if isinstance(adapter, SharedAdapter)]
        views = {prefix: self.view_of(plain_of(adapter)) for prefix, adapter in found.items()}
        session.adapters.update(views)
        return before

    def view_of(self, adapter: HTTPAdapter) -> Any:
        """Return the view of an adapter.

        :raises ConfigurationError: it would send past its view, or cannot have one.
        """
        own = sorted(_OVERRIDES & adapter.__dict__.keys())
        if own:
            raise ConfigurationError(
                f"an adapter of the session has a {own[0]} that was set on the object, "
                f"and what goes through it would not be {self._done}: override it in a class"
            )
        view = self._views.get(id(adapter))
        if view is None:  # id: a view keeps its adapter alive
            try:
                view = self._views[id(adapter)] = VIEWS.of(adapter, SharedAdapter, self._sender)
            except TypeError as error:
                raise ConfigurationError(
                    f"an adapter of the session cannot be {self._done}, its class {type(adapter).__name__} allows no "
                    f"subclass ({error}): mount a plain HTTPAdapter there"
                ) from error
        return view


def http_adapters(session: requests.Session) -> dict[str, HTTPAdapter]:
    """Return the adapters of a session that speak HTTP, by prefix; plain ones where a prefix has none.

    :raises ConfigurationError: one of them is not an ``HTTPAdapter``.
    :raises TypeError: it is no session.
    """
    if not isinstance(session, requests.Session):
        raise TypeError(f"session is not a requests.Session but {session!r}")
    found: dict[str, HTTPAdapter] = {}
    for prefix, adapter in session.adapters.items():
        if not prefix.lower().startswith("http"):
            continue
        if not isinstance(adapter, HTTPAdapter):
            raise ConfigurationError(
                f"the adapter at {prefix!r} is a {type(adapter).__name__}, not an HTTPAdapter: "
                "mount an HTTPAdapter there first"
            )
        found[prefix] = adapter
    for prefix in ("http://", "https://"):
        found.setdefault(prefix, HTTPAdapter())
    return found


def came_by_a_connection(response: requests.Response) -> bool:
    """Whether a response was read from a connection of urllib3, and not made up, or kept by a cache."""
    raw = response.raw
    return getattr(raw, "_pool", None) is not None or getattr(raw, "_original_response", None) is not None
