"""Connections that were made before anybody noted them, as by a module of tests while it was collected.

Python tells of connecting only from when it is asked to, and a run learns that it has recorded tests when they are
collected. What is connected by then is found among the open descriptors, and those of HTTP libraries by the objects
that hold them: whatever else there is, as a database's, is let live.
"""

from __future__ import annotations

import gc
import os
import socket
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

_DESCRIPTORS: Final = "/dev/fd"  # Linux and macOS; where it is not, nothing is found
_HTTPCORE: Final = ("httpcore.", "httpcore2.")
_OF_HTTP: Final = ("aiohttp.", "anyio.", "httpcore.", "httpcore2.", "tornado.")


def earlier() -> list[tuple[int, tuple[Any, ...], bool]]:
    """Return the streams to other hosts and ports that are connected: descriptor, address, whether HTTP holds it."""
    connected = dict(_connected())
    held = set(_held_by_http()) if connected else set()
    return [(descriptor, address, descriptor in held) for descriptor, address in connected.items()]


def _connected() -> Iterator[tuple[int, tuple[Any, ...]]]:
    try:
        descriptors = [int(path.name) for path in Path(_DESCRIPTORS).iterdir() if path.name.isdecimal()]
    except OSError:
        return
    for descriptor in descriptors:
        address = _peer(descriptor)
        if address is not None:
            yield descriptor, address


def _peer(descriptor: int) -> tuple[Any, ...] | None:
    """Return the other end of a descriptor's connection; None where it has none, or is no stream of IP."""
    try:
        if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            return None
        with socket_of(descriptor) as one:
            is_stream = one.family in (socket.AF_INET, socket.AF_INET6) and one.type == socket.SOCK_STREAM
            address: tuple[Any, ...] | None = one.getpeername() if is_stream else None
    except OSError:  # it listens; or it is closed, as the one is by which the folder was listed
        return None
    return address


@contextmanager
def socket_of(descriptor: int) -> Iterator[socket.socket]:
    """Yield an object for a socket that somebody else has, which stays open and as it is.

    :raises OSError: it is closed, or no socket.
    """
    blocks = os.get_blocking(descriptor) if hasattr(os, "get_blocking") else None
    one = socket.socket(fileno=descriptor)
    try:
        if blocks is not None:  # with a default timeout, an object for a descriptor has it not block
            os.set_blocking(descriptor, blocks)
        yield one
    finally:
        one.detach()


def _held_by_http() -> Iterator[int]:
    """Yield the descriptors of connections that objects of HTTP libraries hold."""
    client = getattr(sys.modules.get("http.client"), "HTTPConnection", None)
    for one in gc.get_objects():
        kind = type(one)
        module = str(kind.__module__)
        is_of_asyncio = module == "asyncio.selector_events" and _is_of_http(getattr(one, "_protocol", None))
        if client is not None and issubclass(kind, client):
            held = vars(one).get("sock")
        elif is_of_asyncio or module.startswith(_HTTPCORE):
            held = getattr(one, "_sock", None)
        else:
            continue
        if held is not None and (descriptor := held.fileno()) >= 0:
            yield descriptor


def _is_of_http(protocol: object) -> bool:
    inner = getattr(protocol, "_app_protocol", None) or protocol  # below TLS
    return f"{type(inner).__module__}.".startswith(_OF_HTTP)
