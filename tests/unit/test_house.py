"""The house rules that no other tool checks: sizes, names, docstrings."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted((ROOT / "recorder").rglob("*.py"))
MODULE_LINES = 400
FUNCTION_LINES = 60
BANNED = frozenset({"manager", "helper", "helpers", "util", "utils", "service", "handler", "misc", "common", "info"})
IMPOSED = frozenset({"proxy_manager_for", "get_extra_info"})  # overrides of methods that other libraries named
WORD = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])")

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def words(name: str) -> set[str]:
    """Return the words of a name in snake_case or CamelCase, in lower case."""
    return {word.lower() for word in WORD.findall(name)}


def definitions(tree: ast.AST, public: bool = True) -> Iterator[tuple[Definition, bool]]:
    """Yield every function and class, and whether it can be reached by public names alone."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, Definition):
            reachable = public and not node.name.startswith("_")
            yield node, reachable
            yield from definitions(node, reachable and isinstance(node, ast.ClassDef))
        else:
            yield from definitions(node, public)


def complaints(source: str, name: str) -> list[str]:
    """Return what is wrong with a module."""
    found = []
    lines = len(source.splitlines())
    if lines > MODULE_LINES:
        found.append(f"{name} has {lines} lines, more than {MODULE_LINES}: split it by meaning")
    if words(Path(name).stem) & BANNED:
        found.append(f"{name}: nobody learns anything from that name")
    tree = ast.parse(source)
    if source.strip() and ast.get_docstring(tree) is None:
        found.append(f"{name} has no docstring")
    for node, public in definitions(tree):
        place = f"{name}:{node.lineno} {node.name}"
        size = (node.end_lineno or 0) - node.lineno + 1
        if not isinstance(node, ast.ClassDef) and size > FUNCTION_LINES:
            found.append(f"{place} has {size} lines, more than {FUNCTION_LINES}")
        if words(node.name) & BANNED and node.name not in IMPOSED:
            found.append(f"{place}: nobody learns anything from that name")
        if public and ast.get_docstring(node) is None:
            found.append(f"{place} is public and has no docstring")
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_module_keeps_the_house_rules(path: Path) -> None:
    assert complaints(path.read_text(encoding="utf-8"), path.relative_to(ROOT).as_posix()) == []


def test_every_broken_rule_is_noticed() -> None:
    long_function = "def f():\n" + "    x = 1\n" * FUNCTION_LINES
    assert len(complaints('"""Doc."""\n' + "\n" * MODULE_LINES, "recorder/long.py")) == 1
    assert len(complaints('"""Doc."""\n', "recorder/core/url_utils.py")) == 1
    assert len(complaints("x = 1\n", "recorder/undocumented.py")) == 1
    assert len(complaints('"""Doc."""\n' + long_function.replace("f()", "_f()"), "recorder/a.py")) == 1
    assert len(complaints('"""Doc."""\ndef f(): ...\n', "recorder/a.py")) == 1
    assert len(complaints('"""Doc."""\nclass A:\n    """A."""\n    def f(self): ...\n', "recorder/a.py")) == 1
    assert len(complaints('"""Doc."""\nclass _EventHandler: ...\n', "recorder/a.py")) == 1
    assert len(complaints('"""Doc."""\ndef _get_info(): ...\n', "recorder/a.py")) == 1
    fine = '"""Doc."""\nclass _A:\n    def information(self): ...\ndef _f():\n    def inner(): ...\n'
    assert complaints(fine, "recorder/a.py") == []


def test_modules_and_functions_are_short_in_the_middle_too() -> None:
    sizes = sorted(len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES)
    functions = sorted(
        (node.end_lineno or 0) - node.lineno + 1
        for path in MODULES
        for node, _ in definitions(ast.parse(path.read_text(encoding="utf-8")))
        if not isinstance(node, ast.ClassDef)
    )
    assert sizes[len(sizes) // 2] <= 150
    assert functions[len(functions) // 2] <= 12
