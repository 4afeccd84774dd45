"""By which rules a request is the one that was recorded: strict, or loosened where somebody said so.

A rule makes two requests equal that strict matching tells apart; ``headers`` makes it tell more apart. Rules are data:
they can be compared, and written into the first line of a cassette, where everybody who reads it sees them.

The callable of ``custom`` maps a request to the one that is compared in its place. It is no predicate over two
requests: what is mapped has a key, so that an answer is found at once among any number of recordings, equality stays
an equivalence (a predicate may call A like B and B like C, and A unlike C: which answer is whose, then?), and the
differences of a miss can be told field by field.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import FunctionType
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast

from recorder.core.credentials import is_credential_header
from recorder.errors import ConfigurationError

if TYPE_CHECKING:
    from recorder.core.exchange import Request

Custom = Callable[["Request"], "Request"]

#: What ``normalise`` knows, in the order in which it is written.
KINDS: Final = ("ids", "dates", "tool_call_ids")
_MEMBERS: Final = ("ignore", "normalise", "headers", "custom", "allow_repeats")
_POINTER: Final = re.compile(r"(?:/(?:[^~/]|~[01])*)+")
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 §5.6.2
_DOTTED: Final = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*:[^\W\d]\w*(?:\.[^\W\d]\w*)*")
_PRESENT: Final = "only whether it is there: its value is redacted"
_FRAMING: Final = frozenset({"host", "content-length", "transfer-encoding", "connection"})


@dataclass(frozen=True)
class Match:
    """The rules by which recorded and live requests are compared. Without arguments: strictly.

    Strict compares method, URL and payload, JSON as a value. Rules apply to the payload, after both sides were
    redacted; method and URL are always compared as strictly, whatever the rules, but for ``custom``.

    :param ignore: JSON Pointers (RFC 6901), ``*`` for any index or name: what is there does not count, nor whether
        anything is. ``"/metadata/request_id"``, ``"/messages/*/timestamp"``.
    :param normalise: ``"ids"`` (UUIDs, ULIDs, ids as ``req_…``, ``msg_…``, ``resp_…``, ``chatcmpl-…``), ``"dates"``
        (ISO dates and times, the usual ways to write a date in a text, Unix times of members whose name says so) and
        ``"tool_call_ids"`` (``call_…``, ``toolu_…``, and whatever names a tool call). Each is compared by where it
        appears first in its request, a date by whether it is the earlier: two that differ are never taken for one.
    :param headers: names of headers that have to be equal too; strict compares none. A redacted value equals any, so
        of one that holds a credential, as ``authorization``, it only counts whether it is there.
    :param custom: maps a :class:`~recorder.core.exchange.Request` to the one that is compared in its place, before the
        other rules; always the same for the same request. A function, or its ``"module:qualname"``.
    :param allow_repeats: when every answer to a request has been given, the last one is given again.
    :raises ConfigurationError: an argument is wrong.
    """

    ignore: Sequence[str] = ()
    normalise: Sequence[str] = ()
    headers: Sequence[str] = ()
    custom: Custom | str | None = field(default=None, compare=False)
    allow_repeats: bool = False
    _custom: object = field(init=False, repr=False, default=None)  # what two rules have in common

    #: The default.
    STRICT: ClassVar[Match]

    def __post_init__(self) -> None:
        self._set("ignore", tuple(sorted(set(map(_pointer, _texts("ignore", self.ignore))))))
        asked = {_kind(kind) for kind in _texts("normalise", self.normalise)}
        self._set("normalise", tuple(kind for kind in KINDS if kind in asked))
        self._set("headers", tuple(sorted({_header(name) for name in _texts("headers", self.headers)})))
        self._set("_custom", _identity(self.custom))
        if not isinstance(cast(object, self.allow_repeats), bool):
            raise ConfigurationError(f"allow_repeats={self.allow_repeats!r} is no truth value: use True or False")

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    @property
    def is_strict(self) -> bool:
        """Whether requests are compared by their strict keys, whatever is done when they come again."""
        return not (self.ignore or self.normalise or self.headers or self.custom)

    @property
    def masked_headers(self) -> tuple[str, ...]:
        """Of the headers that count, those that hold credentials: of these it only counts whether they are there."""
        return tuple(filter(is_credential_header, self.headers))

    def function(self) -> Custom | None:
        """Return the callable of ``custom``; None where there is none.

        A name is looked up among the modules that the program has imported: what a file says imports nothing.

        :raises ConfigurationError: nothing goes by that name.
        """
        if not isinstance(self.custom, str):
            return self.custom
        found = _named(self.custom)
        if isinstance(found, FunctionType):  # no class, nothing built in: what a file says calls what was made for it
            return found
        module = self.custom.partition(":")[0]
        if module not in sys.modules:
            raise ConfigurationError(
                f"the matching rule custom={self.custom!r} is in a module that is not imported: "
                f"import {module}, or give match= yourself"
            )
        raise ConfigurationError(
            f"the matching rule custom={self.custom!r} names no function: put it back, or give match= yourself"
        )

    def as_json(self) -> dict[str, Any]:
        """Return the rules as a JSON object that :meth:`from_json` reads; an empty one says strict.

        :raises ConfigurationError: ``custom`` has no name by which another program finds it.
        """
        if self.custom is not None and not isinstance(self._custom, str):
            raise ConfigurationError(
                f"custom={_called(self.custom)} has no name by which a cassette's readers find it: use a function of a "
                "module's top level that can be imported, no lambda, no local one and none of the main program"
            )
        rules = {
            "ignore": list(self.ignore),
            "normalise": list(self.normalise),
            "headers": list(self.headers),
            "custom": self._custom,
            "allow_repeats": self.allow_repeats,
        }
        return {name: value for name, value in rules.items() if value}

    @classmethod
    def from_json(cls, rules: Mapping[str, Any]) -> Match:
        """Return the rules that :meth:`as_json` wrote.

        :raises ConfigurationError: it is not what :meth:`as_json` writes, or what a later version wrote.
        """
        if not isinstance(cast(object, rules), Mapping):
            raise ConfigurationError(f"matching rules {rules!r} are no JSON object: use {{}} for strict ones")
        for name, value in rules.items():
            if name not in _MEMBERS:
                raise ConfigurationError(
                    f"matching rules have no member {name!r}: use {', '.join(_MEMBERS)}, or a later version of recorder"
                )
            if name in ("ignore", "normalise", "headers") and not isinstance(value, list):
                raise ConfigurationError(f"{name} of the matching rules is {value!r}: use a list of texts")
            if name == "custom" and not isinstance(value, str):
                raise ConfigurationError(f"custom of the matching rules is {value!r}: use a text as 'module:qualname'")
        return cls(**rules)

    def __str__(self) -> str:
        """The rules in words: ``ignore /a, normalise ids``; ``strict`` where there are none."""
        headers = [f"{name} ({_PRESENT})" if name in self.masked_headers else name for name in self.headers]
        told = [
            f"{name} {', '.join(values)}"
            for name, values in (("ignore", self.ignore), ("normalise", self.normalise), ("headers", headers))
            if values
        ]
        told += [f"custom {_called(self.custom)}"] if self.custom is not None else []
        told += ["allow_repeats"] if self.allow_repeats else []
        return "".join(map(_printable, "; ".join(told))) or "strict"


def _texts(name: str, given: object) -> Iterable[str]:
    if isinstance(given, str):
        return (given,)
    if not isinstance(given, Iterable) or isinstance(given, bytes | Mapping):
        raise ConfigurationError(f"{name}={given!r} is no list: use a list of texts")
    found = list(given)
    for each in found:
        if not isinstance(each, str):
            raise ConfigurationError(f"{name} holds {each!r}, which is no text: use a list of texts")
    return found


def _pointer(pointer: str) -> str:
    if not _POINTER.fullmatch(pointer):
        raise ConfigurationError(
            f"ignore={pointer!r} is no JSON Pointer to a part of the payload: "
            "use one as '/metadata/request_id' or '/messages/*/timestamp' ('~1' is a slash, '~0' a tilde)"
        )
    return pointer


def _kind(kind: str) -> str:
    if kind not in KINDS:
        raise ConfigurationError(f"normalise={kind!r} is not known: use {', '.join(KINDS)}")
    return kind


def _header(name: str) -> str:
    if not _TOKEN.fullmatch(name):
        raise ConfigurationError(f"headers={name!r} is no name of a header: use one as 'x-tenant'")
    if name.lower() in _FRAMING:
        raise ConfigurationError(f"headers={name!r} is not compared: it says what the URL and the payload say")
    return name.lower()


def _identity(custom: object) -> object:
    """Return the name by which another program finds a callable; itself where it has none."""
    if custom is None:
        return None
    if isinstance(custom, str):
        if not _DOTTED.fullmatch(custom):
            raise ConfigurationError(f"custom={custom!r} names no function: use a function, or 'module:qualname'")
        return custom
    if not callable(cast(Any, custom)):
        raise ConfigurationError(f"custom={custom!r} cannot be called: use a function that takes and returns a Request")
    name = f"{getattr(custom, '__module__', None)}:{getattr(custom, '__qualname__', None)}"
    known = isinstance(custom, FunctionType) and not name.startswith("__main__:")
    own = known and _DOTTED.fullmatch(name) and _named(name) is custom
    return name if own else custom


def _named(dotted: str) -> object:
    module, _, names = dotted.partition(":")
    found: object = sys.modules.get(module)
    for name in names.split("."):
        found = getattr(found, name, None)
    return found


def _printable(letter: str) -> str:
    return letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii")


def _called(custom: object) -> str:
    if isinstance(custom, str):
        return custom
    return f"{getattr(custom, '__module__', '?')}:{getattr(custom, '__qualname__', type(custom).__qualname__)}"


Match.STRICT = Match()
