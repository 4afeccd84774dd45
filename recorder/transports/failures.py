"""Exceptions of the network stack, as facts that can be stored and raised again.

Only exceptions below the HTTP library are stored (of the socket, the resolver, TLS and http.client):
what the user sees is made from them by the stock urllib3 and requests, when recording and when
replaying.
"""

from __future__ import annotations

import builtins
import http.client
import socket
import ssl
from typing import Final

from urllib3 import exceptions as urllib3_exceptions

from recorder.core.events import INTERRUPTED, ErrorFacts
from recorder.errors import RecordingEnded

#: What TLS says of a read that took too long.
TLS_TIMED_OUT: Final = "The read operation timed out"
_CALL_FAILED: Final = "Connect call failed"
#: What is raised below an HTTP library; anything else is the program's own doing.
NETWORK_ERRORS: Final = (OSError, http.client.HTTPException, EOFError)
_MODULES: Final = {"builtins": builtins, "http.client": http.client, "socket": socket, "ssl": ssl}


def cause_of(error: BaseException) -> BaseException:
    """Return the lowest exception that *error* was raised from: what the operating system or TLS said."""
    while error.__cause__ is not None or (error.__context__ is not None and not error.__suppress_context__):
        below = error.__cause__ or error.__context__
        if below is None or not _is_network_error(below):
            break
        error = below
    return error


def as_asyncio_says(error: BaseException, host: str, port: int) -> BaseException:
    """Return a refused connection in the words of asyncio, which names the address; any other error as it is.

    :param host: the address that was connected to; of a name, which is not looked up here, the name.
    """
    if not isinstance(error, ConnectionRefusedError) or (error.strerror or "").startswith(_CALL_FAILED):
        return error
    address = (host, port, 0, 0) if ":" in host else (host, port)
    return ConnectionRefusedError(error.errno, f"{_CALL_FAILED} {address!r}")


def _is_network_error(error: BaseException) -> bool:
    return isinstance(error, OSError | http.client.HTTPException)


def describe(error: BaseException) -> ErrorFacts:
    """Return the facts of an exception: its class, its message, and its plain arguments.

    Of an exception that is not the network's (one that the program's own generator of a payload raised)
    only the class: its message may hold anything.
    """
    kind = type(error)
    facts = ErrorFacts(type=f"{kind.__module__}.{kind.__qualname__}", message="")
    if not isinstance(error, OSError | http.client.HTTPException):
        return facts
    facts["message"] = str(error)
    if isinstance(error, OSError) and isinstance(error.errno, int):
        facts["errno"] = error.errno
    args = list(error.args)
    if all(isinstance(arg, str | int | float) for arg in args):
        facts["args"] = args
    return facts


def kind_of(error: BaseException) -> str:
    """Return the kind of a failure, one of those that docs/format.md lists.

    What is no error of a network or of HTTP is the program's own: its signal handler or its payload raised it, or it
    was interrupted or cancelled.
    """
    kinds: list[tuple[type[BaseException] | tuple[type[BaseException], ...], str]] = [
        (socket.gaierror, "dns"),
        (urllib3_exceptions.NameResolutionError, "dns"),
        (ssl.SSLError, "tls"),
        ((TimeoutError, urllib3_exceptions.TimeoutError), "timeout"),
        (ConnectionRefusedError, "refused"),
        (http.client.RemoteDisconnected, "disconnected"),
        ((ConnectionResetError, ConnectionAbortedError, BrokenPipeError), "reset"),
        (http.client.HTTPException, "malformed"),
        ((*NETWORK_ERRORS, urllib3_exceptions.HTTPError), "other"),
    ]
    return next((name for classes, name in kinds if isinstance(error, classes)), INTERRUPTED)


def _class_of(facts: ErrorFacts) -> type[OSError | http.client.HTTPException | EOFError] | None:
    module, _, name = facts["type"].rpartition(".")
    found: object = getattr(_MODULES.get(module), name, None)
    if isinstance(found, type) and issubclass(found, NETWORK_ERRORS):
        return found
    return None


def is_of_a_network(facts: ErrorFacts) -> bool:
    """Whether :func:`revive` returns something; else the recorded program broke off by itself."""
    return "errno" in facts or _class_of(facts) is not None


def revive(facts: ErrorFacts) -> BaseException:
    """Return an exception like the one that *facts* describe.

    :raises RecordingEnded: the class is none of a network: the recorded program broke off by itself.
    """
    found = _class_of(facts)
    if found is None:
        if "errno" in facts:
            return OSError(facts["errno"], facts["message"])
        raise RecordingEnded(f"the recording ends here: the recorded program broke off with {facts['type']}")
    args = facts.get("args", [facts["message"]])
    if issubclass(found, OSError):
        return found(*args)
    error: BaseException = found.__new__(found, *args)  # http.client's make other arguments of theirs in __init__
    error.args = tuple(args)
    return error
