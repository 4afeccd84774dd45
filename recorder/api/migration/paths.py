"""Paths as test code writes them: what can be told of them without running it. Pure."""

from __future__ import annotations

import ast
import glob
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

#: Stands for what only running the code would tell; no path has it.
UNKNOWN_PART: Final = "\0"
_DEEPEST: Final = 8  # names that stand for names
_FIELD: Final = re.compile(r"\{[^{}]*\}|%(?:\([^)]*\))?[-+# 0-9.]*[a-zA-Z]")
_Inner = Callable[[ast.expr], str]
_INNER: Final = frozenset({"str", "Path", "PurePath", "PosixPath", "fspath", "abspath", "realpath", "normpath"})
_SAME: Final = frozenset({"resolve", "absolute", "as_posix", "expanduser"})


class Paths:
    """Tells paths of one module.

    :param module: its path.
    :param tree: its source, whose names at the top may stand for texts.
    """

    def __init__(self, module: Path, tree: ast.Module) -> None:
        self._module = module
        self._names: dict[str, ast.expr] = {}
        for node in tree.body:
            if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
                self._names[node.targets[0].id] = node.value
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
                self._names[node.target.id] = node.value

    def stands_for(self, node: ast.expr, local: Mapping[str, ast.expr] | None = None, deep: int = 0) -> ast.expr:
        """Return what a name stands for, and what the names in a list, a sum or a call do; anything else as it is."""

        def inner(each: ast.expr) -> ast.expr:
            return self.stands_for(each, local, deep + 1)

        if deep > _DEEPEST:
            return node
        made: ast.expr
        match node:
            case ast.Name(id=name):
                found = (local or {}).get(name) or self._names.get(name)
                is_told = found is not None and not (isinstance(found, ast.Constant) and found.value is None)
                return inner(found) if found is not None and is_told else node
            case ast.List(elts=parts) | ast.Tuple(elts=parts) | ast.Set(elts=parts):
                made = ast.List(list(map(inner, parts)), ast.Load())
            case ast.Starred(value=value):
                made = ast.Starred(inner(value), ast.Load())
            case ast.BinOp(left=left, op=op, right=right):
                made = ast.BinOp(inner(left), op, inner(right))
            case ast.Call(func=function, args=given, keywords=[]):
                made = ast.Call(function, list(map(inner, given)), [])
            case _:
                return node
        return ast.copy_location(made, node)

    def told(self, node: ast.expr, local: Mapping[str, ast.expr] | None = None, deep: int = 0) -> str:
        """Return the path that an expression makes, with :data:`UNKNOWN_PART` for each part that cannot be told.

        :param local: what names stand for besides those of the module.
        """
        if deep > _DEEPEST:
            return UNKNOWN_PART

        def inner(each: ast.expr) -> str:
            return self.told(each, local, deep + 1)

        match node:
            case ast.Name(id="__file__"):
                return self._module.as_posix()
            case ast.Name(id=name):
                found = (local or {}).get(name) or self._names.get(name)
                return UNKNOWN_PART if found is None else inner(found)
            case ast.Call(func=function, args=arguments):
                return _called(function, arguments, inner)
            case _:
                return _written(node, inner)


def _written(node: ast.expr, inner: _Inner) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts) | ast.List(elts=parts) | ast.Tuple(elts=parts):
            return "".join(map(inner, parts))
        case ast.FormattedValue(value=value, format_spec=None):
            return inner(value)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return inner(left) + inner(right)
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            return _joined(inner(left), inner(right))
        case ast.BinOp(left=left, op=ast.Mod()):
            return _FIELD.sub(UNKNOWN_PART, inner(left))
        case ast.Attribute(value=value, attr="parent"):
            return _parent(inner(value))
        case _:
            return UNKNOWN_PART


def _called(function: ast.expr, given: list[ast.expr], inner: _Inner) -> str:
    name, arguments = getattr(function, "attr", getattr(function, "id", "")), list(map(inner, given))
    owner = function.value if isinstance(function, ast.Attribute) else None
    if (name in _INNER or (name == "join" and not isinstance(owner, ast.Constant))) and arguments:
        return _joined(*arguments)
    if name == "dirname" and arguments:
        return _parent(arguments[0])
    if owner is not None and name in _SAME:
        return inner(owner)
    if owner is not None and name == "joinpath":
        return _joined(inner(owner), *arguments)
    if owner is not None and name == "format":
        return _FIELD.sub(UNKNOWN_PART, inner(owner))
    return UNKNOWN_PART


def _joined(*parts: str) -> str:
    whole = ""
    for part in parts:
        whole = part if part.startswith("/") or not whole else f"{whole.rstrip('/')}/{part}"
    return whole


def _parent(path: str) -> str:
    return path.rpartition("/")[0] or ("." if UNKNOWN_PART not in path else UNKNOWN_PART)


def is_known(path: str) -> bool:
    """Whether all of a path could be told."""
    return UNKNOWN_PART not in path


def is_telling(path: str) -> bool:
    """Whether enough of a path could be told to look for it: its folder, or a part of its name."""
    folder, _, name = path.rpartition("/")
    stem = name.rpartition(".")[0] or name
    return is_known(path) or bool(folder and is_known(folder)) or bool(re.search(r"\w", stem))


def matches(base: Path, path: str) -> list[Path]:
    """Return the files that are there and that a path may name; what could not be told is any part of one name."""
    pattern = "*".join(glob.escape(part) for part in path.split(UNKNOWN_PART))
    return sorted(one for one in map(Path, glob.glob(str(base / pattern))) if one.is_file())  # noqa: PTH207
