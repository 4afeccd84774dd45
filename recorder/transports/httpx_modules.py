"""httpx and httpx2: which of the two is meant, and what its exceptions say.

httpx2 is httpx under another name, with classes of its own: its clients accept no transport, stream or exception
of the other. Neither is imported here; what is asked for comes from a module that the program has imported.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any, Final

from recorder.core.events import ErrorFacts, RaisedFacts
from recorder.errors import ConfigurationError
from recorder.transports.failures import describe, kind_of

NAMES: Final = ("httpx", "httpx2")
_CONNECTING: Final = frozenset({"ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError", "UnsupportedProtocol"})
_SENDING: Final = frozenset({"WriteError", "WriteTimeout", "LocalProtocolError"})
_LIBRARIES: Final = frozenset({*NAMES, "httpcore", "httpcore2", "anyio", "trio", "asyncio"})
_CUT: Final = "peer closed connection"
_DISCONNECTED: Final = ("Server disconnected", "peer unexpectedly closed connection")


def module_of(given: object) -> ModuleType:
    """Return the module, httpx or httpx2, that an object comes from: the module itself, a client, a transport, a class.

    :raises ConfigurationError: neither.
    """
    for module in _imported():
        kinds = (module.BaseTransport, module.AsyncBaseTransport, module.Client, module.AsyncClient)
        if given is module or isinstance(given, kinds) or (isinstance(given, type) and issubclass(given, kinds)):
            return module
    raise ConfigurationError(f"{given!r} is neither of httpx nor of httpx2: give the module, or a transport of it")


def is_of_httpx(sent: object) -> bool:
    """Whether something is a request or a response of one of the two."""
    return any(isinstance(sent, (module.Request, module.Response)) for module in _imported())


def _imported() -> list[ModuleType]:
    # By identity, not by the names of modules that classes tell: SDKs that show them as their own change those.
    return [sys.modules[name] for name in NAMES if name in sys.modules]


def module_in_use() -> ModuleType:
    """Return the module that the program has imported, where that is one of the two.

    :raises ConfigurationError: it has imported none of them, or both.
    """
    imported = _imported()
    if len(imported) != 1:
        which = "both httpx and httpx2 are" if imported else "neither httpx nor httpx2 is"
        raise ConfigurationError(f"{which} imported: say which is meant, as in httpx_transport(httpx)")
    return imported[0]


def core_of(module: ModuleType) -> ModuleType:
    """Return the library of connections below: httpcore, or httpcore2."""
    return importlib.import_module(module.__name__.replace("httpx", "httpcore"))


def version_of(module: ModuleType) -> str:
    """Return name and version, as recordings tell them: ``httpx2/2.16.2``."""
    return f"{module.__name__}/{module.__version__}"


def is_of_the_network(module: ModuleType, error: BaseException) -> bool:
    """Whether an exception tells of the network, and not of what the program does meanwhile."""
    return isinstance(error, (module.TransportError, OSError))


def kind_of_failure(error: BaseException) -> str:
    """Return the kind of a failure, one of those that docs/format.md lists."""
    names = {kind.__name__ for kind in type(error).__mro__}
    if "TimeoutException" in names:
        return "timeout"
    if "RemoteProtocolError" in names:
        return "disconnected" if str(error).startswith(_DISCONNECTED) else "malformed"
    below = _lowest(error)
    return "other" if below is None else kind_of(below)


def phase_of_failure(error: BaseException) -> str:
    """Return how far a request came whose answer has no head: ``connect``, ``send`` or ``head``."""
    name = type(error).__name__
    return "connect" if name in _CONNECTING else "send" if name in _SENDING else "head"


def is_cut(error: BaseException) -> bool:
    """Whether the peer closed the connection before the end of the body: an end, and no failure to read."""
    return type(error).__name__ == "RemoteProtocolError" and str(error).startswith(_CUT)


def describe_failure(module: ModuleType, error: BaseException) -> ErrorFacts:
    """Return the facts of a failure: what the operating system said, if it did, and what the library made of it."""
    raised = RaisedFacts(type=f"{module.__name__}.{type(error).__name__}", message=str(error))
    below = _lowest(error)
    if below is None:
        return ErrorFacts(type=raised["type"], message=raised["message"], raised=raised)
    return {**describe(below), "raised": raised}


def raised_again(module: ModuleType, facts: Mapping[str, Any]) -> Exception | None:
    """Return the exception that a recorded library raised, as *module* has it; None where it is not recorded.

    :param module: one of the two, or its library of connections.
    """
    raised = facts.get("raised")
    found = _exception(module, raised["type"].rpartition(".")[2]) if raised is not None else None
    return None if found is None or raised is None else found(raised["message"])


def made_of(core: ModuleType, facts: Mapping[str, Any], below: BaseException, otherwise: type[Exception]) -> Exception:
    """Return what a library of connections makes of an exception that it sees; to be raised where none is handled.

    It is made of *below*, as that library does it, whose pool takes the cause away and leaves the context.

    :param facts: of the recorded failure: the library's class and message, where they are recorded.
    :param below: what the operating system, the resolver, TLS or anyio raised.
    :param otherwise: the class, where it is not.
    """
    again = raised_again(core, facts)
    as_recorded = again is not None and str(again) != str(below)
    kind, argument = type(again) if again is not None else otherwise, str(again) if as_recorded else below
    made = kind(argument)
    made.__cause__ = made.__context__ = below
    return made


def _exception(module: ModuleType, name: str) -> type[Exception] | None:
    found = getattr(module, name, None)
    return found if isinstance(found, type) and issubclass(found, Exception) else None


def like_core(module: ModuleType, error: Exception) -> type[Exception] | None:
    """Return what *module* makes of an exception of its library of connections: the class of the same name."""
    if _exception(core_of(module), type(error).__name__) is not type(error):
        return None
    return next((found for kind in type(error).__mro__ if (found := _exception(module, kind.__name__))), None)


def _lowest(error: BaseException) -> BaseException | None:
    """Return the exception of the operating system, the resolver or TLS that *error* comes from.

    The pool of connections raises what it passes on ``from None``: so what was being handled counts, if it is the
    library that was handling it. Else it is the program's own, which sends a request because of it.
    """
    below: BaseException | None = error
    while below is not None and not isinstance(below, OSError):
        below = below.__cause__ or below.__context__
    if below is None or not _was_caught_by_a_library(below):
        return None
    while isinstance(below.__cause__, OSError):
        below = below.__cause__
    return below


def _was_caught_by_a_library(error: BaseException) -> bool:
    trace = error.__traceback__
    where = trace.tb_frame.f_globals.get("__name__", "") if trace is not None else ""
    return where.partition(".")[0] in _LIBRARIES
