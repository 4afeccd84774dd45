"""Modules of tests as their source tells them: which tests there are, and where they say something to vcrpy.

Nothing is imported or run: a suite that is about to move may not even start. Positions are those of Python's own
parser, so what is reported is what stands there, whatever line breaks and comments are around it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from recorder.api.migration.advice import Option, constant, fixture_for, instead_of_fixture, instead_of_mark, translated

MARKS: Final = frozenset({"vcr", "default_cassette", "block_network", "vcr_delete_on_fail"})
FIXTURES: Final = frozenset(
    {"vcr", "vcr_config", "vcr_cassette", "vcr_cassette_dir", "vcr_cassette_path", "vcr_cassette_name", "record_mode"}
    | {"block_network", "default_cassette_name", "vcr_markers"}
)
_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Place:
    """Something in a module that has to change.

    :ivar line: from 1; ``column`` in bytes of UTF-8, from 1.
    :ivar found: what stands there, in short.
    :ivar instead: what to write.
    """

    path: Path
    line: int
    column: int
    found: str
    instead: str


@dataclass(slots=True)
class Test:
    """A test.

    :ivar name: as our plugin has it, ``TestDesk.test_buys``; ``old`` as vcrpy's plugins have it: only the innermost
        class counts.
    :ivar cassettes: those that its marker ``vcr`` names beside its own.
    :ivar default: the one that stands in the place of its own.
    :ivar used: those that its code opens by ``use_cassette``.
    :ivar options: names and values that are given to vcrpy for it alone.
    """

    name: str
    old: str
    line: int
    cassettes: tuple[str, ...] = ()
    default: str | None = None
    used: list[str] = field(default_factory=list)
    options: list[Option] = field(default_factory=list)


@dataclass(slots=True)
class Module:
    """A module of a suite.

    :ivar opened: cassettes that it opens outside of any test, with the line.
    :ivar libraries: values of ``cassette_library_dir``.
    :ivar folder: what its fixture ``vcr_cassette_dir`` returns, where that is a plain text; empty: not known.
    :ivar options: names and values that are given to vcrpy for all of its tests, or for those below a ``conftest.py``.
    """

    path: Path
    tests: list[Test] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    opened: list[tuple[str, int]] = field(default_factory=list)
    libraries: list[str] = field(default_factory=list)
    folder: str | None = None
    options: list[Option] = field(default_factory=list)


def read_module(path: Path) -> Module:
    """Return what a module says.

    :raises SyntaxError: it is no Python.
    :raises ValueError: it holds a NUL.
    :raises OSError: it cannot be read.
    """
    data = path.read_bytes()
    module = Module(path)
    tree = ast.parse(data, str(path))
    _Reader(module, tree).read()
    return module


class _Reader(ast.NodeVisitor):
    """Goes through a module once."""

    def __init__(self, module: Module, tree: ast.Module) -> None:
        self._module, self._tree = module, tree
        self._classes: list[ast.ClassDef] = []
        self._test: Test | None = None
        self._is_async = False
        self._libraries = {alias.split(".")[0] for alias in _imported(tree)}

    def read(self) -> None:
        for node in self._tree.body:
            self.visit(node)

    # Definitions

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._classes.append(node)
        self.generic_visit(node)
        self._classes.pop()

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._function(node)

    def _function(self, node: _Function) -> None:
        outer, is_fixture = (self._test, self._is_async), any(map(_is_fixture, node.decorator_list))
        self._is_async = isinstance(node, ast.AsyncFunctionDef)
        if self._test is None and node.name.startswith("test") and not is_fixture:
            self._test = self._as_test(node)
            self._module.tests.append(self._test)
        if is_fixture and node.name in FIXTURES:
            self._fixture(node)
        for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs):
            if argument.arg in FIXTURES:
                told = instead_of_fixture(argument.arg, self._given())
                self._place(argument, f"argument {argument.arg}", told)
        self.generic_visit(node)
        self._test, self._is_async = outer

    def _as_test(self, node: _Function) -> Test:
        classes = [each.name for each in self._classes]
        named: list[str] = []
        default: str | None = None
        for mark, call in self._marks_on(node):
            given = [text for argument in (call.args if call else []) if isinstance(text := constant(argument), str)]
            if mark == "default_cassette" and given and default is None:
                default = given[0]
            elif mark == "vcr":
                named += given
        return Test(
            ".".join([*classes, node.name]), ".".join([*classes[-1:], node.name]), node.lineno, (*named,), default
        )

    def _marks_on(self, node: _Function) -> Iterator[tuple[str, ast.Call | None]]:
        """Yield the marks of a test, those of its classes and of its module too, the nearest first."""
        for decorators in (node.decorator_list, *(each.decorator_list for each in reversed(self._classes))):
            yield from filter(None, map(_mark_of, decorators))
        for value in self._pytestmarks():
            if found := _mark_of(value):
                yield found

    def _pytestmarks(self) -> Iterator[ast.expr]:
        for node in self._tree.body:
            if isinstance(node, ast.Assign) and any(getattr(each, "id", "") == "pytestmark" for each in node.targets):
                yield from node.value.elts if isinstance(node.value, ast.List | ast.Tuple) else [node.value]

    def _fixture(self, node: _Function) -> None:
        returned = next((each.value for each in ast.walk(node) if isinstance(each, ast.Return) and each.value), None)
        if node.name == "vcr_cassette_dir":
            text = constant(returned) if returned is not None else None
            self._module.folder = text if isinstance(text, str) else ""
        options = _options_of(returned) if node.name == "vcr_config" and returned is not None else []
        self._module.options += options
        self._place(node, f"fixture {node.name}", instead_of_fixture(node.name, self._given()))
        for name, value, key in options:
            self._place(key, f"{name} of {node.name}", translated(name, value))

    # What is said to vcrpy

    def visit_Attribute(self, node: ast.Attribute) -> None:
        found = _mark_of(node)
        if found is not None and found[0] in MARKS:
            self._mark(node, found[0], None)
        else:
            self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        found = _mark_of(node)
        if found is not None and found[0] in MARKS:
            self._mark(node, found[0], node)
            return
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        if name == "use_cassette":
            self._use(node)
        elif name == "VCR":
            self._place(node, "VCR(…)", "nothing: settings of pytest, or the fixture recorder_config")
            self._take(node, "VCR(…)")
        self.generic_visit(node)

    def _mark(self, node: ast.expr, name: str, call: ast.Call | None) -> None:
        names = [text for each in (call.args if call else []) if isinstance(text := constant(each), str)]
        told = instead_of_mark(name, names, self._given(), self._module.path.stem)
        self._place(node, f"@pytest.mark.{name}", told)
        if call is not None:
            self._take(call, f"@pytest.mark.{name}")

    def _use(self, node: ast.Call) -> None:
        path = constant(node.args[0]) if node.args else None
        path = path or next((constant(each.value) for each in node.keywords if each.arg == "path"), None)
        if isinstance(path, str):
            if self._test is not None:
                self._test.used.append(path)
            else:
                self._module.opened.append((path, node.lineno))
            name = f'"{Path(path).with_suffix("").name}"'
        else:
            name = ""
        told = (
            f"@pytest.mark.recorded({name}) at the test, and its argument {self._given()}, given to the code under test"
        )
        self._place(node, "use_cassette(…)", told)
        self._take(node, "use_cassette(…)")

    def _take(self, call: ast.Call, where: str) -> None:
        for keyword in call.keywords:
            if keyword.arg is not None and keyword.arg != "path":
                if keyword.arg == "cassette_library_dir" and isinstance(text := constant(keyword.value), str):
                    self._module.libraries.append(text)
                options = self._module.options if self._test is None else self._test.options
                options.append(Option(keyword.arg, keyword.value, keyword.value))
                self._place(keyword.value, f"{keyword.arg} of {where}", translated(keyword.arg, keyword.value))

    def _given(self) -> str:
        return fixture_for(self._libraries, is_async=self._is_async)

    def _place(self, node: ast.expr | ast.stmt | ast.arg, found: str, instead: str) -> None:
        self._module.places.append(Place(self._module.path, node.lineno, node.col_offset + 1, found, instead))


def _mark_of(node: ast.expr) -> tuple[str, ast.Call | None] | None:
    """Return the name of a mark of pytest, and its call where it has one."""
    call = node if isinstance(node, ast.Call) else None
    named = call.func if call is not None else node
    if not isinstance(named, ast.Attribute):
        return None
    owner = named.value
    is_mark = (isinstance(owner, ast.Attribute) and owner.attr == "mark") or (
        isinstance(owner, ast.Name) and owner.id == "mark"
    )
    return (named.attr, call) if is_mark else None


def _is_fixture(node: ast.expr) -> bool:
    named = node.func if isinstance(node, ast.Call) else node
    return getattr(named, "attr", getattr(named, "id", "")) == "fixture"


def _options_of(node: ast.expr) -> list[Option]:
    """Return the members of a dict that is written down as one."""
    if isinstance(node, ast.Dict):
        pairs = [(constant(key), value, key) for key, value in zip(node.keys, node.values, strict=True) if key]
        return [Option(name, value, key) for name, value, key in pairs if isinstance(name, str)]
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "dict":
        return [Option(each.arg, each.value, each.value) for each in node.keywords if each.arg]
    return []


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
