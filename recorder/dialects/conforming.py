"""Whether a value is what the declaration of its type says, all the way down: for what somebody else's code made."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

from recorder.core.json_text import DEEPEST

_JSON: Final = (str, int, float, bool, type(None))


def fault_of(value: Any, declared: Any, name: str) -> str | None:
    """Return in what *value* is not of a declared type, in words that follow its name; None where it is.

    :param declared: a class, a dataclass, or a union, tuple or mapping of such; ``Any`` stands for a JSON value.
    :param name: what the value is called within the whole; empty where it is that.
    """
    if declared is Any:
        return None if _is_json(value) else f"has a value in {name} that is no JSON"
    origin = get_origin(declared)
    if origin in (Union, types.UnionType):
        return _fault_of_any(value, get_args(declared), name)
    if origin is tuple:
        return _fault_of_tuple(value, get_args(declared), name)
    if origin is not None:  # a mapping
        good = isinstance(value, Mapping) and all(type(key) is str for key in value)
        return fault_of(dict(value), Any, name) if good else _other(value, name)
    if not _is_a(value, declared):
        return _other(value, name)
    return next(_faults_within(value, name), None) if is_dataclass(value) else None


def _fault_of_any(value: Any, options: tuple[Any, ...], name: str) -> str | None:
    faults = [(option, fault_of(value, option, name)) for option in options]
    if any(fault is None for _, fault in faults):
        return None
    # What is wrong within a value of the right class tells more than that it is of no other one.
    return next((fault for option, fault in faults if isinstance(option, type) and _is_a(value, option)), None) or (
        _other(value, name)
    )


def _fault_of_tuple(value: Any, inner: tuple[Any, ...], name: str) -> str | None:
    repeated = len(inner) == 2 and inner[1] is ...
    if type(value) is not tuple or not (repeated or len(value) == len(inner)):
        return _other(value, name)
    kinds = [inner[0]] * len(value) if repeated else inner
    faults = (fault_of(one, kind, f"{name}[{at}]") for at, (one, kind) in enumerate(zip(value, kinds, strict=True)))
    return next((fault for fault in faults if fault is not None), None)


def _faults_within(value: Any, name: str) -> Iterator[str]:
    kind: Any = type(value)
    hints = _hints(kind)
    for field in fields(value):
        fault = fault_of(getattr(value, field.name, None), hints[field.name], f"{name}.{field.name}".lstrip("."))
        if fault is not None:
            yield fault


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _is_a(value: Any, kind: Any) -> bool:
    """Whether a value is of a class, and of no other one that is made from it: True is no number here."""
    return type(value) is kind


def _other(value: Any, name: str) -> str:
    told = "None" if value is None else f"a value of the type {type(value).__name__}"
    return f"has {told} for {name}" if name else f"is {told}"


def _is_json(value: Any) -> bool:
    level = [value]
    for _ in range(DEEPEST):
        if not level:
            return True
        if not all(type(one) in _JSON or isinstance(one, list | tuple | dict) for one in level):
            return False
        if not all(type(key) is str for one in level if isinstance(one, dict) for key in one):
            return False
        level = [inner for one in level if isinstance(one, list | tuple | dict) for inner in _inner(one)]
    return False


def _inner(value: Any) -> Any:
    return value.values() if isinstance(value, dict) else value
