"""A user's requests adapter, seen through other classes, down to its connections.

A *view* of an object is an instance of a subclass of the object's very class, with the same name, and its
``__dict__`` is that of the object. So the two have one state: what is set on one is set on the other, and
both take their connections from the same pools. Only the methods of the view differ. The object itself is
not changed, and whoever uses it directly does not meet a view: pools hold the user's own connections, and
hand out views only to a pool that is a view.
"""

from __future__ import annotations

import pickle
import weakref
from collections.abc import Callable
from typing import Any

from requests.adapters import HTTPAdapter

from recorder.transports.guard import Guard


class View:
    """What every view has: the object that it is a view of, which it keeps alive.

    Its own end is not the end of that object, whose ``__del__`` it does not have.
    """

    __slots__ = ()
    recorder_plain: Any
    recorder_state: Any
    recorder_views: Views
    recorder_recording: Any
    sock: Any

    def __init_subclass__(cls, **_: Any) -> None:
        """Leave a view's class to us: what the user's class does with its subclasses is not for it."""

    def __del__(self) -> None:
        """Do nothing."""


class Views:
    """Makes the views of one recorder; of one adapter there is one, as long as it is in use.

    :param connection: returns the mixin for the views of a connection, and what they have for a state.
    :param guard: what is wrong with a view of a connection must not stop the program.
    :param attributes: of every view's class.
    """

    def __init__(self, connection: Callable[[Any], tuple[type[View], Any]], guard: Guard, **attributes: Any) -> None:
        self._connection = connection
        self._guard = guard
        self._attributes = attributes
        self._made: dict[tuple[type[Any], type[Any]], type[Any]] = {}
        self._adapters: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()

    def adapter(self, adapter: HTTPAdapter, behaviour: type[Any]) -> Any:
        """Return the view of an adapter.

        :param behaviour: its mixin, a :class:`SharedAdapter`.
        """
        view = self._adapters.get(id(adapter))
        if view is None:  # id: a view keeps its adapter alive
            view = self._adapters[id(adapter)] = self._of(adapter, behaviour)
        return view

    def pools(self, pools: Any) -> Any:
        """Return a view of what urllib3 calls a pool manager."""
        return pools if isinstance(pools, View) else self._of(pools, _SharedPools)

    def pool(self, pool: Any) -> Any:
        """Return a view of a pool."""
        return pool if isinstance(pool, View) else self._of(pool, _SharedPool)

    def connection(self, connection: Any) -> Any:
        """Return a view of a connection; the connection itself where that is not possible."""
        with self._guard:
            return self._of(connection, *self._connection(connection))
        return connection

    def _of(self, plain: Any, behaviour: type[Any], state: Any = None) -> Any:
        base = type(plain)
        made = self._made.get((base, behaviour))
        if made is None:
            names = {"__module__": base.__module__, "__qualname__": base.__qualname__, "recorder_views": self}
            shared = {name: _passed_on(name) for name in _slots_of(base)}
            own = {"__slots__": ("recorder_plain", "recorder_state")}
            made = type(base.__name__, (behaviour, base), shared | own | names | self._attributes)
            self._made[base, behaviour] = made
        view: Any = object.__new__(made)
        object.__setattr__(view, "__dict__", plain.__dict__)
        object.__setattr__(view, "recorder_plain", plain)
        object.__setattr__(view, "recorder_state", state)
        return view


def _slots_of(base: type[Any]) -> set[str]:
    """The attributes of a class's objects that are not in their ``__dict__``."""
    found: set[str] = set()
    for each in base.__mro__:
        slots = each.__dict__.get("__slots__", ())
        names = (slots,) if isinstance(slots, str) else tuple(slots)
        private = f"_{each.__name__.lstrip('_')}"
        found |= {private + name if name.startswith("__") and not name.endswith("__") else name for name in names}
    return found - {"__dict__", "__weakref__"}


def _passed_on(name: str) -> property:
    return property(
        lambda view: getattr(view.recorder_plain, name),
        lambda view, value: setattr(view.recorder_plain, name, value),
        lambda view: delattr(view.recorder_plain, name),
    )


class SharedAdapter(View):
    """The mixin of an adapter's view: its pools are views too, and a pickle holds the user's adapter."""

    __slots__ = ()

    @property
    def poolmanager(self) -> Any:
        """The adapter's pool manager, also one that it makes later."""
        held = self.__dict__["poolmanager"] if "poolmanager" in self.__dict__ else super().poolmanager  # type: ignore[misc]
        return None if held is None else self.recorder_views.pools(held)

    @poolmanager.setter
    def poolmanager(self, made: Any) -> None:
        """Take another one, as some adapters make at any time."""
        self.__dict__["poolmanager"] = made.recorder_plain if isinstance(made, View) else made

    @poolmanager.deleter
    def poolmanager(self) -> None:
        """Forget it."""
        del self.__dict__["poolmanager"]

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        """Return a pool (requests 2.32 and newer), whoever made it: a proxy's manager, or the adapter itself."""
        return self.recorder_views.pool(super().get_connection_with_tls_context(*args, **kwargs))  # type: ignore[misc]

    def get_connection(self, *args: Any, **kwargs: Any) -> Any:
        """Return a pool (requests before 2.32)."""
        return self.recorder_views.pool(super().get_connection(*args, **kwargs))  # type: ignore[misc]

    def __reduce_ex__(self, protocol: Any) -> Any:
        return pickle.loads, (pickle.dumps(self.recorder_plain, protocol),)


class _SharedPools(View):
    __slots__ = ()

    def connection_from_pool_key(self, *args: Any, **kwargs: Any) -> Any:
        """Return a pool."""
        return self.recorder_views.pool(super().connection_from_pool_key(*args, **kwargs))  # type: ignore[misc]


class _SharedPool(View):
    __slots__ = ()

    def _get_conn(self, *args: Any, **kwargs: Any) -> Any:
        return self.recorder_views.connection(super()._get_conn(*args, **kwargs))  # type: ignore[misc]

    def _put_conn(self, conn: Any) -> None:
        super()._put_conn(conn.recorder_plain if isinstance(conn, View) else conn)  # type: ignore[misc]
