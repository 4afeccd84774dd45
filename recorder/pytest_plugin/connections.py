"""Connections that are open when a guarded test begins: which of them are ended, so that none passes the guard.

Python tells of connecting, not of sending. So a connection of an HTTP library that is kept alive is ended: whoever
asks next connects anew, which is told, and is refused in a guarded test. What speaks another protocol, as a database's
driver, would not survive that. It is left alone where a fixture of several tests has made it, or where it ends on this
machine; a test's own one to elsewhere is ended too.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from dataclasses import dataclass
from types import FrameType
from typing import Any, Final

from recorder.pytest_plugin.allowed import Allowed
from recorder.pytest_plugin.earlier import earlier, socket_of

#: Where the HTTP libraries connect. Those on anyio do it in a task of its own, from which they cannot be seen.
_HTTP: Final = ("urllib3", "http.client", "httpcore", "httpcore2", "anyio._core._sockets", "aiohttp.connector")
_ALSO_HTTP: Final = frozenset({"aiohappyeyeballs", "tornado"})


@dataclass(frozen=True, slots=True)
class Connection:
    """What is known of a connection that was asked for.

    :ivar address: as it was given to ``connect``.
    :ivar identity: tells the socket from others that have its descriptor later; None where the system has none.
    :ivar is_of_http: an HTTP library has made it.
    :ivar is_shared: a fixture of several tests has made it.
    """

    address: tuple[Any, ...]
    identity: tuple[int, int] | None
    is_of_http: bool
    is_shared: bool


class Connections:
    """The connections of this process, by their descriptors: objects change, as when TLS wraps them.

    :param own: what counts as this machine.
    """

    def __init__(self, own: Allowed) -> None:
        self._own = own
        self._known: dict[int, Connection] = {}

    def note(self, asked: socket.socket, address: tuple[Any, ...], frame: FrameType | None, *, is_shared: bool) -> None:
        """Note what is about to be connected.

        :param frame: of who asks.
        """
        descriptor = asked.fileno()
        if descriptor < 0 or asked.type != socket.SOCK_STREAM:  # a datagram is no conversation with a model
            return
        self._known[descriptor] = Connection(address, _identity(descriptor), _is_of_http(frame), is_shared)

    def find(self) -> None:
        """Note what was connected before anything was noted; what HTTP does not hold was made for several tests."""
        for descriptor, address, is_of_http in earlier():
            self._known.setdefault(descriptor, Connection(address, _identity(descriptor), is_of_http, True))

    def shut(self, allowed: Allowed) -> list[str]:
        """End the connections that could pass the guard.

        What stays is only looked at by what was noted of it: an object of its socket would change its state.

        :return: addresses of those that were ended, as ``host:port``.
        """
        known, self._known = self._known, {}
        ended: list[str] = []
        for descriptor, one in known.items():
            if _identity(descriptor) != one.identity:
                continue  # it was closed, and may be something else now
            if self._stays(one, allowed):
                self._known.setdefault(descriptor, one)
            elif _ended(descriptor, one.address):
                ended.append(f"{one.address[0]}:{one.address[1]}")
        return ended

    def _stays(self, one: Connection, allowed: Allowed) -> bool:
        host = str(one.address[0])
        return allowed.allows(host) or (not one.is_of_http and (one.is_shared or self._own.allows(host)))


def _is_of_http(frame: FrameType | None) -> bool:
    while frame is not None:
        name = str(frame.f_globals.get("__name__"))
        if name.startswith(_HTTP) or name.partition(".")[0] in _ALSO_HTTP:
            return True
        frame = frame.f_back
    return False


def _identity(descriptor: int) -> tuple[int, int] | None:
    try:
        found = os.fstat(descriptor)
    except OSError:  # it is closed; or on Windows, where a socket is no file
        return None
    return found.st_dev, found.st_ino


def _ended(descriptor: int, address: tuple[Any, ...]) -> bool:
    """End a connection, if it is still the one to this address; whether it is ended by that."""
    try:
        with socket_of(descriptor) as one:  # TLS has put another object in the place of the first
            if not _is_same(one.getpeername(), address):
                return False
            one.shutdown(socket.SHUT_RDWR)
    except OSError:
        return False  # it was closed or never connected, or the other side has ended it
    return True


def _is_same(peer: object, address: tuple[Any, ...]) -> bool:
    """Whether a connection's other end is what was asked for; a name says nothing of its addresses."""
    if not isinstance(peer, tuple) or peer[1] != address[1]:
        return False
    try:
        return ipaddress.ip_address(peer[0]) == ipaddress.ip_address(address[0])
    except ValueError:
        return True
