"""What a function gives to vcrpy as its options: the dict that it returns or yields, and what it puts into it. Pure."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import NamedTuple

from recorder.api.migration.advice import constant
from recorder.api.migration.filters import OTHERS

_Function = ast.FunctionDef | ast.AsyncFunctionDef
_StandsFor = Callable[[ast.expr], ast.expr]


class Given(NamedTuple):
    """An option.

    :ivar name: ``**`` for those that cannot be told.
    :ivar value: with what names in it stand for; ``node`` is where.
    """

    name: str
    value: ast.expr
    node: ast.expr


def returned(function: _Function) -> ast.expr | None:
    """Return what a function returns or yields first; None where that is nothing."""
    found = (each.value for each in ast.walk(function) if isinstance(each, ast.Return | ast.Yield))
    return next((value for value in found if value is not None), None)


def options_of(function: _Function, stands_for: _StandsFor) -> list[Given]:
    """Return the options that a fixture or a method gives.

    What it is given itself, or asks its base for, adds nothing: that is read where it is made.

    :param stands_for: returns what a name in it stands for.
    """
    value = returned(function)
    if value is None:
        return []
    options = _Options(function, stands_for)
    name = value.id if isinstance(value, ast.Name) else None
    return [*options.of(value), *(options.put_into(name, function) if name is not None else ())]


def given_by(keyword: ast.keyword, stands_for: _StandsFor) -> list[Given]:
    """Return the options that a keyword of a call gives, but for the path of a cassette: one, or those of ``**``."""
    if keyword.arg is None:
        return [each for each in _Options(None, stands_for).of(keyword.value) if each.name != "path"]
    one = Given(keyword.arg, stands_for(keyword.value), keyword.value)
    return [] if keyword.arg == "path" else [one]


class _Options:
    def __init__(self, function: _Function | None, stands_for: _StandsFor) -> None:
        self._given = {each.arg for each in ast.walk(function.args) if isinstance(each, ast.arg)} if function else set()
        self._stands_for = stands_for

    def of(self, node: ast.expr) -> Iterator[Given]:
        """Yield the options of an expression."""
        if isinstance(node, ast.Name) and node.id in self._given:
            return
        node = self._stands_for(node)
        match node:
            case ast.Dict(keys=keys, values=values):
                for key, value in zip(keys, values, strict=True):
                    if key is None:
                        yield from self.of(value)
                    else:
                        yield from self._one(key, value)
            case ast.Call(func=ast.Name(id="dict"), args=given, keywords=keywords):
                for each in given:
                    yield from self.of(each)
                for keyword in keywords:
                    if keyword.arg is None:
                        yield from self.of(keyword.value)
                    else:
                        yield Given(keyword.arg, self._stands_for(keyword.value), keyword.value)
            case ast.BinOp(left=left, op=ast.BitOr(), right=right):
                yield from self.of(left)
                yield from self.of(right)
            case ast.Call(func=ast.Attribute(attr="copy", value=value), args=[]):
                yield from self.of(value)
            case ast.Call(func=ast.Attribute(value=ast.Call(func=ast.Name(id="super")))) | ast.Constant(value=None):
                return
            case _:
                yield Given(OTHERS, node, node)

    def _one(self, key: ast.expr, value: ast.expr) -> Iterator[Given]:
        name = constant(self._stands_for(key))
        if isinstance(name, str):
            yield Given(name, self._stands_for(value), key)
        else:
            yield Given(OTHERS, value, key)

    def put_into(self, name: str, body: ast.AST) -> Iterator[Given]:
        """Yield the options that are put into a dict of this name: ``config["filter_headers"] = […]``."""
        for each in ast.walk(body):
            match each:
                case (
                    ast.Assign(targets=[ast.Subscript(value=ast.Name(id=owner), slice=key)], value=value)
                    | ast.Call(func=ast.Attribute(value=ast.Name(id=owner), attr="setdefault"), args=[key, value])
                ) if owner == name:
                    yield from self._one(key, value)
                case ast.Call(func=ast.Attribute(value=ast.Name(id=owner), attr="update"), args=given) if owner == name:
                    for one in given:
                        yield from self.of(one)
                    for keyword in each.keywords:
                        yield from given_by(keyword, self._stands_for)
