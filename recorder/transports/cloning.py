"""A user's requests adapter, again, with its own connection pools of classes that we choose.

The clone is an instance of a subclass of the adapter's very class with the same attributes, so that
retries, TLS settings, proxies and everything a subclass does stay as they are; the user's adapter is
not touched. Pool and connection classes are subclasses of the very classes in place (those of a SOCKS
proxy differ), with the same names: urllib3 prints them in its messages.

A clone is never cloned: what is mounted last takes the place of what was mounted before, over the
user's own classes.
"""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from recorder.errors import ConfigurationError
from recorder.transports.sharing import plain_of

ClassMaker = Callable[[type[Any]], type[Any]]


def clone_adapter(adapter: HTTPAdapter, behaviour: type[Any], connection_class: ClassMaker, **attributes: Any) -> Any:
    """Return a clone of *adapter* that is also a *behaviour*.

    :param behaviour: a mixin that goes before the adapter's class.
    :param connection_class: makes the subclass of a urllib3 connection class.
    :param attributes: set on the clone.
    """
    pools = PoolClasses(connection_class)
    adapter = users_adapter(adapter)
    base = type(adapter)
    names = {"__module__": base.__module__, "__qualname__": base.__qualname__}
    try:
        made: Any = type(base.__name__, (behaviour, base), names)
    except TypeError as error:
        raise ConfigurationError(
            f"an adapter of the session cannot be replayed, its class {base.__name__} allows no subclass ({error}): "
            "mount a plain HTTPAdapter there"
        ) from error
    clone = made.__new__(made)
    clone.__dict__.update(adapter.__dict__, **attributes, pool_classes=pools, cloned_from=adapter)
    clone.poolmanager = pools.instrument(copy.copy(adapter.poolmanager))
    clone.proxy_manager = {name: pools.instrument(copy.copy(held)) for name, held in adapter.proxy_manager.items()}
    return clone


class PoolClasses:
    """Subclasses of pool classes whose connections are ours; one per class met."""

    def __init__(self, connection_class: ClassMaker) -> None:
        self._connection_class = connection_class
        self._made: dict[type[Any], type[Any]] = {}

    def instrument(self, manager: Any) -> Any:
        """Make a pool manager build its pools from our classes, from now on; return it."""
        if getattr(manager, "instrumented_by", None) is not self:
            plain = getattr(manager, "plain_pool_classes", manager.pool_classes_by_scheme)
            manager.pools = type(manager.pools)(manager.pools._maxsize)
            manager.pool_classes_by_scheme = {scheme: self._pool_class(pool) for scheme, pool in plain.items()}
            manager.plain_pool_classes = plain
            manager.instrumented_by = self
        return manager

    def instrument_pool(self, pool: Any) -> Any:
        """Make one pool make our connections from now on; return it."""
        if not getattr(pool.ConnectionCls, "is_instrumented", False):
            pool.ConnectionCls = self._instrumented(pool.ConnectionCls)
        return pool

    def _instrumented(self, connection: type[Any]) -> type[Any]:
        made = self._connection_class(connection)
        made.is_instrumented = True
        return made

    def _pool_class(self, pool: type[Any]) -> type[Any]:
        if pool not in self._made:
            names = {"__module__": pool.__module__, "__qualname__": pool.__qualname__}
            connection = self._instrumented(pool.ConnectionCls)
            self._made[pool] = type(pool.__name__, (pool,), {**names, "ConnectionCls": connection})
        return self._made[pool]


class ClonedAdapter:
    """What every clone does: proxies get our pools too, and a pickle holds the user's plain adapter."""

    pool_classes: PoolClasses
    cloned_from: HTTPAdapter

    def __init_subclass__(cls, **_: Any) -> None:
        """Leave a clone's class to us: what the user's class does with its subclasses is not for it."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make a new pool manager, as some adapters do at any time: its connections are ours too."""
        super().init_poolmanager(*args, **kwargs)  # type: ignore[misc]
        self.poolmanager = self.pool_classes.instrument(self.poolmanager)  # type: ignore[has-type]

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        """Return a pool (requests 2.32 and newer); one that the adapter made by itself is instrumented too."""
        return self.pool_classes.instrument_pool(super().get_connection_with_tls_context(*args, **kwargs))  # type: ignore[misc]

    def get_connection(self, *args: Any, **kwargs: Any) -> Any:
        """Return a pool (requests before 2.32)."""
        return self.pool_classes.instrument_pool(super().get_connection(*args, **kwargs))  # type: ignore[misc]

    def proxy_manager_for(self, proxy: str, **proxy_kwargs: Any) -> Any:
        """Return the manager of a proxy's pools."""
        return self.pool_classes.instrument(super().proxy_manager_for(proxy, **proxy_kwargs))  # type: ignore[misc]

    def __reduce_ex__(self, protocol: Any) -> Any:
        return pickle.loads, (pickle.dumps(self.cloned_from, protocol),)

    def __copy__(self) -> HTTPAdapter:
        return copy.copy(self.cloned_from)

    def __deepcopy__(self, memo: dict[int, Any]) -> HTTPAdapter:
        return copy.deepcopy(self.cloned_from, memo)

    def __del__(self) -> None:
        """Do nothing: its end is not the end of the user's adapter."""


def users_adapter(adapter: HTTPAdapter) -> HTTPAdapter:
    """Return the adapter that the user mounted, below whatever is mounted over it."""
    below: HTTPAdapter = plain_of(adapter)
    return below.cloned_from if isinstance(below, ClonedAdapter) else below


def http_adapters(session: requests.Session) -> dict[str, HTTPAdapter]:
    """Return the adapters of a session that speak HTTP, by prefix; plain ones where a prefix has none.

    :raises ConfigurationError: one of them is not an ``HTTPAdapter``.
    :raises TypeError: it is no session.
    """
    if not hasattr(session, "adapters"):
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
