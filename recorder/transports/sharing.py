"""A user's requests adapter, seen through other classes, down to its connections.

A *view* of an object is an instance of a subclass of the object's very class, with the same name, and its
``__dict__`` is that of the object. So the two have one state: what is set on one is set on the other, and
both take their connections from the same pools. Only the methods of the view differ. The object itself is
not changed, and whoever uses it directly does not meet a view: pools hold the user's own connections, and
hand out views only to a pool that is a view.

A program may keep a view of a pool, since it shares its state with the adapter. So views of pools and
connections belong to no recorder and no player: they are for whoever is sending (:data:`SENDING`).
"""

from __future__ import annotations

import copy
import pickle
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from functools import partial
from typing import Any, Final, Generic, Protocol, TypeVar

import requests
from requests.adapters import HTTPAdapter
from requests.models import PreparedRequest

from recorder.transports.guard import NO_END

Value = TypeVar("Value")
_OBJECT: Final[Any] = object


class View:
    """What every view has: the object that it is a view of, which it keeps alive.

    Its own end is not the end of that object, whose ``__del__`` it does not have.
    """

    __slots__ = ()
    recorder_plain: Any
    recorder_state: Any
    recorder_views: Views

    def __init_subclass__(cls, **_: Any) -> None:
        """Leave a view's class to us: what the user's class does with its subclasses is not for it."""


class Send(Protocol):
    """One send of an adapter under way: it says what connections it goes over."""

    def take(self, pool: Any, usual: Callable[[], Any]) -> Any:
        """Return a connection for the next attempt.

        :param pool: the user's own pool that is asked.
        :param usual: takes one of the pool's, or makes one.
        """
        ...

    def put(self, pool: Any, connection: Any) -> bool:
        """Take back a connection, or None in the place of one that is lost; False: it is the pool's."""
        ...


#: The send under way in this context; None where nothing is recorded or replayed.
SENDING: Final[ContextVar[Send | None]] = ContextVar("recorder_sending", default=None)


def under_way() -> Send | None:
    """Return the send under way in this context; where it may go either way, the way that it has taken last."""
    send = SENDING.get()
    return send.way if isinstance(send, EitherWay) else send


class EitherWay(ABC):
    """A send each attempt of which may go one of two ways: over connections of one kind, or of another.

    :ivar way: what the attempt under way goes by; None before the first one.
    """

    way: Send | None = None

    @abstractmethod
    def take(self, pool: Any, usual: Callable[[], Any]) -> Any:
        """Return a connection for the next attempt, as :meth:`Send.take` does, and say which way it goes."""

    def put(self, pool: Any, connection: Any) -> bool:
        """Take back a connection by the way of the last attempt; False: it is the pool's."""
        return self.way is not None and self.way.put(pool, connection)


class Sender(Protocol):
    """What the views of adapters send by."""

    def send(self, below: Callable[..., requests.Response], request: PreparedRequest, *args: Any, **kwargs: Any) -> Any:
        """Send, and return the response.

        :param below: sends as the user's adapter does.
        """
        ...

    def copied(self, adapter: HTTPAdapter) -> Any:
        """Return what takes the place of a view in a copied session, for a copy of its adapter."""
        ...

    def pickled(self, adapter: HTTPAdapter) -> HTTPAdapter:
        """Return what is pickled in place of the view of an adapter."""
        ...


class Views:
    """Makes views."""

    def __init__(self) -> None:
        self._made: dict[tuple[type[Any], type[Any]], type[Any]] = {}

    def pools(self, pools: Any) -> Any:
        """Return a view of what urllib3 calls a pool manager."""
        return pools if isinstance(pools, View) else self.of(pools, _SharedPools)

    def pool(self, pool: Any) -> Any:
        """Return a view of a pool."""
        return pool if isinstance(pool, View) else self.of(pool, _SharedPool)

    def of(self, plain: Any, behaviour: type[Any], state: Any = None) -> Any:
        """Return a view.

        :param behaviour: the mixin that makes its methods differ.
        :param state: what the mixin has for a state.
        :raises TypeError: the object's class allows no subclass like that.
        """
        base: Any = type(plain)
        made = self._made.get((base, behaviour))
        if made is None:
            names = {"__module__": base.__module__, "__qualname__": base.__qualname__, "recorder_views": self}
            shared = {name: _passed_on(name) for name in _slots_of(base)}
            own: dict[str, Any] = {"__slots__": ("recorder_plain", "recorder_state")}
            if hasattr(base, "__del__"):
                own["__del__"] = NO_END
            by_identity = base.__eq__ is _OBJECT.__eq__ and base.__hash__ is _OBJECT.__hash__
            alike = _AS_ONE if by_identity else {}
            made = type(base.__name__, (behaviour, base), {**shared, **own, **names, **alike})
            self._made[base, behaviour] = made
        view: Any = object.__new__(made)
        object.__setattr__(view, "__dict__", plain.__dict__)
        object.__setattr__(view, "recorder_plain", plain)
        object.__setattr__(view, "recorder_state", state)
        return view


def plain_of(thing: Any) -> Any:
    """Return what a view is a view of; everything else as it is."""
    return thing.recorder_plain if isinstance(thing, View) else thing


#: A view and its object are one to whoever asks, as in a table of settings that adapters are the keys of.
_AS_ONE: Final[Mapping[str, Any]] = {
    "__eq__": lambda view, other: view.recorder_plain is plain_of(other),
    "__hash__": lambda view: hash(view.recorder_plain),
}


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


class Identities(Generic[Value]):
    """What is known of objects, as long as they live; each is known by itself, whatever it says it is equal to."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[weakref.ref[Any], Value]] = {}

    def get(self, thing: Any, make: Callable[[], Value]) -> Value:
        """Return what is known of *thing*, made on first use.

        :raises TypeError: it cannot be referred to weakly.
        """
        key = id(thing)
        held = self._known.get(key)
        if held is not None and held[0]() is thing:
            return held[1]
        made = make()
        self._known[key] = (weakref.ref(thing, lambda gone: self._forget(key, gone)), made)
        return made

    def _forget(self, key: int, gone: weakref.ref[Any]) -> None:
        held = self._known.get(key)
        if held is not None and held[0] is gone:  # else another one has its place already
            del self._known[key]


class SharedAdapter(View):
    """The mixin of an adapter's view: its pools are views too, and copies and pickles are of the user's adapter."""

    __slots__ = ()
    recorder_state: Sender

    @property
    def send(self) -> Callable[..., requests.Response]:
        """Sends as the adapter below does, through the recorder or the player."""
        return self._send

    @send.setter
    def send(self, other: Any) -> None:
        """Send by other means from now on, as a program may say at any time; what comes by here is seen."""
        self.__dict__["send"] = other

    @send.deleter
    def send(self) -> None:
        """Send as the class does again."""
        del self.__dict__["send"]

    def _send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        below = self.__dict__.get("send") or super().send  # type: ignore[misc]
        sent: requests.Response = self.recorder_state.send(below, request, *args, **kwargs)
        return sent

    @property
    def poolmanager(self) -> Any:
        """The adapter's pool manager, also one that it makes later, or for each thread."""
        held = self.recorder_plain.poolmanager
        return None if held is None else self.recorder_views.pools(held)

    @poolmanager.setter
    def poolmanager(self, made: Any) -> None:
        """Take another one, as some adapters make at any time."""
        self.recorder_plain.poolmanager = plain_of(made)

    @poolmanager.deleter
    def poolmanager(self) -> None:
        """Forget it."""
        del self.recorder_plain.poolmanager

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        """Return the manager of a proxy's pools."""
        return self.recorder_views.pools(super().proxy_manager_for(*args, **kwargs))  # type: ignore[misc]

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        """Return a pool (requests 2.32 and newer), whoever made it: a proxy's manager, or the adapter itself."""
        return self.recorder_views.pool(super().get_connection_with_tls_context(*args, **kwargs))  # type: ignore[misc]

    def get_connection(self, *args: Any, **kwargs: Any) -> Any:
        """Return a pool (requests before 2.32)."""
        return self.recorder_views.pool(super().get_connection(*args, **kwargs))  # type: ignore[misc]

    def __reduce_ex__(self, protocol: Any) -> Any:
        return pickle.loads, (pickle.dumps(self.recorder_state.pickled(self.recorder_plain), protocol),)

    def __copy__(self) -> Any:
        return self.recorder_state.copied(copy.copy(self.recorder_plain))

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return self.recorder_state.copied(copy.deepcopy(self.recorder_plain, memo))


class _SharedPools(View):
    __slots__ = ()

    def connection_from_pool_key(self, *args: Any, **kwargs: Any) -> Any:
        """Return a pool."""
        return self.recorder_views.pool(super().connection_from_pool_key(*args, **kwargs))  # type: ignore[misc]


class _SharedPool(View):
    __slots__ = ()

    def _get_conn(self, *args: Any, **kwargs: Any) -> Any:
        sending = SENDING.get()
        if sending is None:
            return super()._get_conn(*args, **kwargs)  # type: ignore[misc]
        usual = partial(super()._get_conn, *args, **kwargs)  # type: ignore[misc]
        return sending.take(self.recorder_plain, usual)

    def _put_conn(self, conn: Any) -> None:
        # Of a response that is read later, the connection knows whose it is; of a lost one, only the send does.
        owner = conn.recorder_state if isinstance(conn, View) else SENDING.get() if conn is None else None
        if owner is None or not owner.put(self.recorder_plain, conn):
            super()._put_conn(plain_of(conn))  # type: ignore[misc]


VIEWS: Final = Views()
