"""No network in a test that is recorded: an audit hook says no, nothing is patched.

What the fixtures give never reaches the network unless it records. The guard is for code that makes a session of its
own: it would call live without anybody noticing. ``sys.addaudithook`` is Python's own interface for this: the hook is
told of every connection and every look-up before it is made, whichever library asks, and may refuse it. A hook stays
for the life of the process; while no guarded test runs, it only notes what is connected. Not told are extensions
that open sockets without Python's ``socket``.
"""

from __future__ import annotations

import ipaddress
import socket
import sys
from collections.abc import Iterable
from pathlib import Path
from types import FrameType
from typing import Any, Final

from recorder.errors import NetworkBlocked

_CONNECTING: Final = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})
_LOOKING_UP: Final = frozenset(
    {"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.getnameinfo"}
)
_LOOPBACK: Final = ("127.0.0.0/8", "::1/128")
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Allowed:
    """Hosts that a guarded test may reach.

    :param hosts: names, addresses or networks, as ``db.internal``, ``10.0.0.7``, ``10.0.0.0/8``; ``localhost`` is the
        whole loopback.
    """

    def __init__(self, hosts: Iterable[str]) -> None:
        self._names: set[str] = set()
        self._networks: list[_Network] = []
        for host in hosts:
            if host.lower() == "localhost":
                self._names.add("localhost")
                self._networks += map(ipaddress.ip_network, _LOOPBACK)
            elif (network := _network(host)) is not None:
                self._networks.append(network)
            else:
                self._names.add(host.lower().rstrip("."))
        self._resolved: set[str] = set()
        self._are_resolved = False

    def allows(self, host: str) -> bool:
        """Whether a host may be looked up, or connected to; names that are allowed stand for their addresses."""
        named = host.lower().rstrip(".")
        if named in self._names:
            return True
        try:
            address = ipaddress.ip_address(named.partition("%")[0])
        except ValueError:
            return False
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._networks) or str(address) in self._addresses()

    def _addresses(self) -> set[str]:
        """The addresses of the names that are allowed; the look-ups are of allowed names, and pass the guard."""
        if not self._are_resolved:
            self._are_resolved = True
            for name in self._names - {"localhost"}:
                try:
                    self._resolved |= {str(each[4][0]) for each in socket.getaddrinfo(name, None)}
                except OSError:
                    continue  # it cannot be connected to either
        return self._resolved


def _network(host: str) -> _Network | None:
    try:
        return ipaddress.ip_network(host.strip("[]"), strict=False)
    except ValueError:
        return None


class Guard:
    """Refuses connections while a guarded test runs. One for a process: see :data:`GUARD`.

    :ivar refused: what was refused since it was last closed, the first of each place.
    """

    def __init__(self) -> None:
        self._allowed: Allowed | None = None
        self._is_hooked = False
        self._connected: dict[int, tuple[Any, ...]] = {}  # descriptors, and where they were connected to
        self.refused: list[NetworkBlocked] = []

    def close(self, allowed: Allowed) -> None:
        """Let nothing pass but what is allowed, until :meth:`open`."""
        self.watch()
        self._allowed = None
        self._shut_down(allowed)
        self._allowed = allowed

    def watch(self) -> None:
        """Note connections from now on: those that are kept alive are shut down when the guard closes.

        Python tells of connecting, not of sending.
        """
        if not self._is_hooked:
            self._is_hooked = True
            sys.addaudithook(self._audit)

    def _shut_down(self, allowed: Allowed) -> None:
        """End the connections to hosts that are not allowed: whoever uses one next has to connect anew."""
        connected, self._connected = self._connected, {}
        for descriptor, address in connected.items():
            try:
                one = socket.socket(fileno=descriptor)  # TLS has put another object in the place of the first
            except OSError:
                continue  # it was closed
            try:
                peer = one.getpeername()
                if not isinstance(peer, tuple) or peer[1] != address[1]:
                    continue  # it was closed, and is something else now
                if allowed.allows(str(peer[0])) or allowed.allows(address[0]):
                    self._connected[descriptor] = address
                else:
                    one.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # the other side has ended it
            finally:
                one.detach()

    def open(self) -> None:
        """Let everything pass."""
        self._allowed = None

    def taken(self) -> list[NetworkBlocked]:
        """Return what was refused, and forget it."""
        refused, self.refused = self.refused, []
        return refused

    def _audit(self, event: str, args: tuple[Any, ...]) -> None:
        if not event.startswith("socket."):
            return
        allowed, host = self._allowed, _host(event, args)
        if allowed is None or host is None or allowed.allows(host):
            if event == "socket.connect" and host is not None and (descriptor := args[0].fileno()) >= 0:
                self._connected[descriptor] = args[1]
            return
        frame: FrameType | None = sys._getframe(1)
        if frame is not None and frame.f_code.co_name == "_fallback_socketpair":  # asyncio's own, on Windows
            return
        what = "connect to" if event in _CONNECTING else "look up"
        place = _place(frame)
        error = NetworkBlocked(f"the test may not {what} {host}{_port(args)} (from {place}): there is no network in it")
        if str(error) not in map(str, self.refused):
            self.refused.append(error)
        if event == "socket.connect":
            args[0].close()  # socket.create_connection does it after an OSError only
        raise error


def _host(event: str, args: tuple[Any, ...]) -> str | None:
    """Return the host that an event is about; None where it is about none."""
    if event in _CONNECTING:
        address = args[1] if len(args) > 1 else None
        return str(address[0]) if isinstance(address, tuple) and address and isinstance(address[0], str) else None
    if event == "socket.getnameinfo":  # the name of an address
        return str(args[0][0]) if args and isinstance(args[0], tuple) and args[0] else None
    if event in _LOOKING_UP and args:
        host = args[0].decode("ascii", "replace") if isinstance(args[0], bytes) else args[0]
        # Without a host it is this machine, to listen on; an address is not looked up anywhere.
        return host if isinstance(host, str) and host and _network(host.partition("%")[0]) is None else None
    return None


def _port(args: tuple[Any, ...]) -> str:
    """Return ``:port`` as an event has it, or nothing."""
    if args and isinstance(args[0], tuple):  # of getnameinfo
        args = ("", args[0])
    port = args[1][1] if len(args) > 1 and isinstance(args[1], tuple) and len(args[1]) > 1 else args[1:2]
    port = port[0] if isinstance(port, tuple) and port else port
    return f":{port}" if isinstance(port, int | str) else ""


def _place(frame: FrameType | None) -> str:
    """Return file and line of the user's code that asked: the nearest that is not of installed packages."""
    nearest = frame
    try:
        here = Path.cwd()
    except OSError:  # it was removed
        frame, here = None, Path()
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(here) and "site-packages" not in path.parts and not path.is_relative_to(sys.prefix):
            return f"{path.relative_to(here)}:{frame.f_lineno}"
        frame = frame.f_back
    return "an unknown place" if nearest is None else f"{nearest.f_code.co_filename}:{nearest.f_lineno}"


GUARD: Final = Guard()
