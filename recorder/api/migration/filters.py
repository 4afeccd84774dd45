"""What vcrpy was told to take out of recordings, as rules of redaction. Pure.

An old file that was recorded before a filter was there still holds what it names: it must not reach a new file.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from recorder.api.migration.advice import Option, constant
from recorder.core.credentials import canonical

#: Names options that cannot be told: a dict that is made elsewhere.
OTHERS: Final = "**"
_KINDS: Final = {
    "filter_headers": "header",
    "filter_query_parameters": "query",
    "filter_post_data_parameters": "body",
}
#: Headers that say how a message is to be read, of requests and answers alike: without them neither could be.
_NEEDED: Final = frozenset(
    {"host", "connection", "content-length", "content-type", "content-encoding", "transfer-encoding"}
)


class Filters(NamedTuple):
    """What filters name.

    :ivar rules: of redaction, each once.
    :ivar untold: options of which only running the code would tell what they name.
    """

    rules: tuple[str, ...]
    untold: tuple[Option, ...]

    def missing(self, rules: Iterable[str]) -> list[str]:
        """Return why a cassette cannot be made by these rules: what has to stay out of it is not known."""
        kinds = {rule.partition(":")[0].strip() if ":" in rule else "body" for rule in rules}
        return [
            f"{option.path}:{option.node.lineno}: what {_named(option)} takes out cannot be told, and must not reach a "
            f"new file: name it by {_remedy(option)}"
            for option in self.untold
            if not (kinds if option.name == OTHERS else kinds & {_KINDS[option.name]})
        ]


def filters_in(options: Iterable[Option]) -> Filters:
    """Return what the filters among some options name."""
    rules, untold = dict[str, None](), list[Option]()
    for option in options:
        if option.name == OTHERS:
            untold.append(option)
        elif option.name in _KINDS:
            names = _names(option.value)
            if names is None:
                untold.append(option)
            rules |= dict.fromkeys(_rules(_KINDS[option.name], names or []))
    return Filters(tuple(rules), tuple(untold))


def _rules(kind: str, names: list[str]) -> Iterator[str]:
    for name in names:
        if canonical(name) and not (kind == "header" and canonical(name) in _NEEDED):
            yield f"{kind}:{name.strip()}"


def _names(node: ast.expr) -> list[str] | None:
    """Return the names in the list of a filter: texts, or pairs of a name and what stands for its value.

    :return: None where one of them cannot be told.
    """
    match node:
        case ast.Constant(value=None):
            return []
        case ast.Call(func=ast.Name(id="list" | "tuple" | "set" | "sorted" | "frozenset"), args=[inner], keywords=[]):
            return _names(inner)
        case ast.BinOp(left=left, op=ast.Add() | ast.BitOr(), right=right):
            parts = [_names(left), _names(right)]
        case ast.List(elts=elements) | ast.Tuple(elts=elements) | ast.Set(elts=elements):
            parts = [_names(each.value) if isinstance(each, ast.Starred) else _name(each) for each in elements]
        case _:
            return None
    told = [part for part in parts if part is not None]
    return [name for part in told for name in part] if len(told) == len(parts) else None


def _name(node: ast.expr) -> list[str] | None:
    first = node.elts[0] if isinstance(node, ast.Tuple | ast.List) and node.elts else node
    name = constant(first)
    return [name] if isinstance(name, str) else None


def _named(option: Option) -> str:
    return "a filter" if option.name == OTHERS else option.name


def _remedy(option: Option) -> str:
    if option.name != OTHERS:
        return f"--redact {_KINDS[option.name]}:NAME"
    return "--redact header:NAME, query:NAME or body:NAME; where there is no filter, by --redact header:authorization"
