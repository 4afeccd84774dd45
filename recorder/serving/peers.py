"""Whether a client on this machine has taken what was written to it: so that two recorded reads stay two.

TCP joins what is written before the other side reads. The kernel of Linux tells of any socket of the machine how much
in it is unread (``sock_diag(7)``, which ``ss`` asks too): the next read is written when the last one has been taken.
Clients that the kernel does not show (another machine, another network namespace, another system) get what is due when
it is due.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
import sys
from typing import Any, Final

_NETLINK_SOCK_DIAG: Final = 4
_SOCK_DIAG_BY_FAMILY: Final = 20
_NLM_F_REQUEST: Final = 1
_ANSWER: Final = _SOCK_DIAG_BY_FAMILY
_ANY_STATE: Final = 0xFFFFFFFF
_HEADER: Final = struct.Struct("=IHHII")  # nlmsghdr
_ASKED: Final = struct.Struct("=BBBBI")  # inet_diag_req_v2 up to the socket
_PORTS: Final = struct.Struct("!HH")
_ANY_SOCKET: Final = struct.pack("=III", 0, _ANY_STATE, _ANY_STATE)  # interface, cookie
_UNREAD: Final = struct.Struct("=I")
_UNREAD_AT: Final = _HEADER.size + 4 + 48 + 4  # behind family, state, timer, retransmissions; the socket; its expiry

Address = tuple[Any, ...]


class Peers:
    """Asks the kernel about the clients' ends of connections, from the first question until :meth:`close`."""

    def __init__(self) -> None:
        self._netlink: socket.socket | None = None
        self._asks = sys.platform == "linux"

    def unread(self, ours: Address, theirs: Address) -> int | None:
        """Return how many bytes the client has not taken yet; None where the kernel does not show its end.

        :param ours: name of the server's socket.
        :param theirs: name of the client's.
        """
        if not self._asks:
            return None
        try:
            netlink = self._netlink or self._opened()
            netlink.send(_question(theirs, ours))
            told = netlink.recv(4096)
        except (OSError, ValueError):
            return None
        if len(told) < _UNREAD_AT + _UNREAD.size or _HEADER.unpack_from(told)[1] != _ANSWER:
            return None
        return int(_UNREAD.unpack_from(told, _UNREAD_AT)[0])

    def _opened(self) -> socket.socket:
        self._netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG)
        self._netlink.setblocking(False)  # the kernel answers while it is asked
        return self._netlink

    def close(self) -> None:
        """Ask no more; closing twice is fine."""
        self._asks = False
        if self._netlink is not None:
            self._netlink.close()
            self._netlink = None


def _question(source: Address, destination: Address) -> bytes:
    """Return the message that asks for the TCP socket of this name and peer."""
    family, packed = _packed(source, destination)
    ports = _PORTS.pack(source[1], destination[1])
    question = _ASKED.pack(family, socket.IPPROTO_TCP, 0, 0, _ANY_STATE) + ports + packed + _ANY_SOCKET
    return _HEADER.pack(_HEADER.size + len(question), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, 0, 0) + question


def _packed(*names: Address) -> tuple[int, bytes]:
    """Return the family of the client's socket, and both addresses in sixteen bytes each."""
    addresses = [ipaddress.ip_address(str(name[0]).partition("%")[0]) for name in names]
    plain = [getattr(each, "ipv4_mapped", None) or each for each in addresses]
    family = socket.AF_INET if plain[0].version == 4 else socket.AF_INET6
    return family, b"".join(each.packed.ljust(16, b"\0") for each in plain)
