"""No network in a test that is recorded: an audit hook says no, nothing is patched.

What the fixtures give never reaches the network unless it records. The guard is for code that makes a session of its
own: it would call live without anybody noticing. ``sys.addaudithook`` is Python's own interface for this: the hook is
told of every connection and every look-up before it is made, whichever library asks, and may refuse it. A hook stays
for the life of the process; while no guarded test runs, it only notes what is connected. Not told are extensions
that open sockets without Python's ``socket``.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import FrameType
from typing import Any, Final

from recorder.errors import NetworkBlocked
from recorder.pytest_plugin.allowed import Allowed, network_of
from recorder.pytest_plugin.connections import Connections

_CONNECTING: Final = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})
_LOOKING_UP: Final = frozenset(
    {"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.getnameinfo"}
)


class Guard:
    """Refuses connections while a guarded test runs. One for a process: see :data:`GUARD`.

    :ivar refused: what was refused since it was last closed, the first of each place.
    :ivar is_shared: what is made now is made for several tests.
    :param own: what counts as this machine.
    """

    def __init__(self, own: Allowed | None = None) -> None:
        self._allowed: Allowed | None = None
        self._is_hooked = False
        self._connections = Connections(own or Allowed(["localhost"]))
        self._shut: list[str] = []
        self.is_shared = False
        self.refused: list[NetworkBlocked] = []

    def close(self, allowed: Allowed) -> None:
        """Let nothing pass but what is allowed, until :meth:`open`."""
        self.watch()
        self._allowed = None
        self._shut += self._connections.shut(allowed)
        self._allowed = allowed

    def watch(self) -> None:
        """Note connections from now on: those that could pass the guard are ended when it closes."""
        if not self._is_hooked:
            self._is_hooked = True
            sys.addaudithook(self._audit)
            self._connections.find()

    def open(self) -> None:
        """Let everything pass."""
        self._allowed = None

    def taken(self) -> list[NetworkBlocked]:
        """Return what was refused, and forget it."""
        refused, self.refused = self.refused, []
        return refused

    def shut(self) -> list[str]:
        """Return to which ``host:port`` connections were ended, and forget it."""
        shut, self._shut = self._shut, []
        return shut

    def _audit(self, event: str, args: tuple[Any, ...]) -> None:
        if not event.startswith("socket."):
            return
        allowed, host, frame = self._allowed, _host(event, args), sys._getframe(1)
        if host is None or frame.f_code.co_name == "_fallback_socketpair":  # asyncio's own, on Windows
            return
        if allowed is None or allowed.allows(host):
            if event == "socket.connect":
                self._connections.note(args[0], args[1], frame, is_shared=self.is_shared)
            return
        what = "connect to" if event in _CONNECTING else "look up"
        error = NetworkBlocked(
            f"recorder: the test may not {what} {host}{_port(args)} (from {_place(frame)}): there is no network in it, "
            "unless recorder_allowed_hosts has the host"
        )
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
        return host if isinstance(host, str) and host and network_of(host.partition("%")[0]) is None else None
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
