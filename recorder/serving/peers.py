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
from typing import Any, Final, NamedTuple

_NETLINK_SOCK_DIAG: Final = 4
_SOCK_DIAG_BY_FAMILY: Final = 20
_NLM_F_REQUEST: Final = 1
_ANSWER: Final = _SOCK_DIAG_BY_FAMILY
_ANY_STATE: Final = 0xFFFFFFFF
_HEADER: Final = struct.Struct("=IHHII")  # nlmsghdr
_ASKED: Final = struct.Struct("=BBBBI")  # inet_diag_req_v2 up to the socket
_PORTS: Final = struct.Struct("!HH")
_ANY_SOCKET: Final = struct.pack("=III", 0, _ANY_STATE, _ANY_STATE)  # interface, cookie
_INFO: Final = 2  # INET_DIAG_INFO: with a struct tcp_info
_UNREAD: Final = struct.Struct("=I")
_UNREAD_AT: Final = _HEADER.size + 4 + 48 + 4  # behind family, state, timer, retransmissions; the socket; its expiry
_ATTRIBUTES_AT: Final = _UNREAD_AT + 5 * 4  # behind both queues, owner and inode
_ATTRIBUTE: Final = struct.Struct("=HH")  # rtattr
_RECEIVED: Final = struct.Struct("=Q")
_RECEIVED_AT: Final = 128  # tcpi_bytes_received, since Linux 4.1

Address = tuple[Any, ...]


class Look(NamedTuple):
    """What the kernel says of a client's end.

    :ivar unread: bytes that are there and that the client has not taken.
    :ivar received: bytes that have ever been there. Looked at after *unread*, and when the client is not just taking
        something.
    """

    unread: int
    received: int


class Peers:
    """Asks the kernel about the clients' ends of connections, from the first question until :meth:`close`."""

    def __init__(self) -> None:
        self._netlink: socket.socket | None = None
        self._asks = sys.platform == "linux"

    def look(self, ours: Address, theirs: Address) -> Look | None:
        """Look at the client's end of a connection; None where the kernel does not show it.

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
        if len(told) < _ATTRIBUTES_AT or _HEADER.unpack_from(told)[1] != _ANSWER:
            return None
        info = _attribute(told, _INFO)
        if len(info) < _RECEIVED_AT + _RECEIVED.size:
            return None
        return Look(_UNREAD.unpack_from(told, _UNREAD_AT)[0], _RECEIVED.unpack_from(info, _RECEIVED_AT)[0])

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
    question = _ASKED.pack(family, socket.IPPROTO_TCP, 1 << (_INFO - 1), 0, _ANY_STATE) + ports + packed + _ANY_SOCKET
    return _HEADER.pack(_HEADER.size + len(question), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, 0, 0) + question


def _attribute(told: bytes, wanted: int) -> bytes:
    """Return an attribute of an answer; nothing where it is missing."""
    at = _ATTRIBUTES_AT
    while at + _ATTRIBUTE.size <= len(told):
        size, kind = _ATTRIBUTE.unpack_from(told, at)
        if kind == wanted:
            return told[at + _ATTRIBUTE.size : at + size]
        at += max(size + 3 & ~3, _ATTRIBUTE.size)
    return b""


def _packed(*names: Address) -> tuple[int, bytes]:
    """Return the family of the client's socket, and both addresses in sixteen bytes each."""
    addresses = [ipaddress.ip_address(str(name[0]).partition("%")[0]) for name in names]
    plain = [getattr(each, "ipv4_mapped", None) or each for each in addresses]
    family = socket.AF_INET if plain[0].version == 4 else socket.AF_INET6
    return family, b"".join(each.packed.ljust(16, b"\0") for each in plain)
