"""Hosts that a guarded test may reach: names, addresses and networks."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable
from typing import Final

_LOOPBACK: Final = ("127.0.0.0/8", "::1/128")
_NAME: Final = re.compile(r"(?:[\w-]{1,63}\.)*[\w-]{1,63}\.?")
_NUMBER: Final = re.compile(r"(?:.*\.)?\d+")  # a name does not end in one (RFC 3696, section 2)
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Allowed:
    """Hosts that may be reached.

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
            elif (network := network_of(host)) is not None:
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


def network_of(host: str) -> _Network | None:
    """Return an address or a network that a text names; None where it names none."""
    try:
        return ipaddress.ip_network(host.strip("[]"), strict=False)
    except ValueError:
        return None


def is_host(text: str) -> bool:
    """Whether a text names a host or hosts, as :class:`Allowed` takes them: no URL, no port, no pattern."""
    if network_of(text) is not None:
        return True
    return _NAME.fullmatch(text) is not None and _NUMBER.fullmatch(text.rstrip(".")) is None
