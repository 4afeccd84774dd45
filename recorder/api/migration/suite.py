"""Modules of tests as their source tells them: which tests there are, and where they say something to vcrpy.

Nothing is imported or run: a suite that is about to move may not even start. Positions are those of Python's own
parser, so what is reported is what stands there, whatever line breaks and comments are around it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from recorder.api.migration.advice import (
    INSTEAD_OF_CLASS,
    Option,
    constant,
    fixture_for,
    instead_of_fixture,
    instead_of_mark,
    translated,
)
from recorder.api.migration.configuration import given_by, options_of, returned
from recorder.api.migration.filters import OTHERS
from recorder.api.migration.paths import Paths, is_known

MARKS: Final = frozenset({"vcr", "default_cassette", "block_network", "vcr_delete_on_fail"})
FIXTURES: Final = frozenset(
    {"vcr", "vcr_config", "vcr_cassette", "vcr_cassette_dir", "vcr_cassette_path", "vcr_cassette_name", "record_mode"}
    | {"block_network", "default_cassette_name", "vcr_markers"}
)
_UNITTEST: Final = frozenset({"VCRTestCase", "VCRMixin"})
_METHODS: Final = frozenset({"_get_cassette_library_dir", "_get_vcr_kwargs"})
_NOTHING: Final = ast.Constant(None)
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


class Use(NamedTuple):
    """A cassette that code opens by ``use_cassette``.

    :ivar path: as far as it can be told, see :mod:`recorder.api.migration.paths`; None: it is named after a function.
    :ivar function: which one.
    """

    path: str | None
    line: int
    function: str = ""


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
    used: list[Use] = field(default_factory=list)
    options: list[Option] = field(default_factory=list)


@dataclass(slots=True)
class Module:
    """A module of a suite.

    :ivar opened: cassettes that it opens outside of any test.
    :ivar libraries: values of ``cassette_library_dir``, and what methods of this name return for ``unittest``.
    :ivar folder: what its fixture ``vcr_cassette_dir`` returns, as far as that can be told.
    :ivar folder_line: where that fixture is.
    :ivar options: names and values that are given to vcrpy for all of its tests, or for those below a ``conftest.py``.
    """

    path: Path
    tests: list[Test] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    opened: list[Use] = field(default_factory=list)
    libraries: list[str] = field(default_factory=list)
    folder: str | None = None
    folder_line: int = 0
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
        self._module, self._tree, self._paths = module, tree, Paths(module.path, tree)
        self._local: dict[str, ast.expr] = {}
        self._function_name = ""
        self._classes: list[ast.ClassDef] = []
        self._test: Test | None = None
        self._is_async = False
        self._libraries = {alias.split(".")[0] for alias in _imported(tree)}

    def read(self) -> None:
        for node in self._tree.body:
            self.visit(node)

    # Definitions

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        if any(_last_name(each) in _UNITTEST for each in node.bases):
            self._place(node, f"class {node.name}", INSTEAD_OF_CLASS.format(fixture=self._given()))
        self._classes.append(node)
        self.generic_visit(node)
        self._classes.pop()

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._function(node)

    def _function(self, node: _Function) -> None:
        outer, is_fixture = (self._test, self._is_async, self._local, self._function_name), _has_fixture(node)
        self._local, self._function_name = _locals_of(node), node.name
        self._is_async = isinstance(node, ast.AsyncFunctionDef)
        if self._test is None and node.name.startswith("test") and not is_fixture:
            self._test = self._as_test(node)
            self._module.tests.append(self._test)
        if is_fixture and node.name in FIXTURES:
            self._fixture(node)
        if self._classes and node.name in _METHODS:
            self._method(node)
        for decorator in node.decorator_list:
            if isinstance(decorator, ast.Attribute) and decorator.attr == "use_cassette":
                self._note(Use(None, node.lineno, node.name))
                self._place(decorator, "use_cassette", f"{self._told_mark('')}")
        for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs):
            if argument.arg in FIXTURES:
                told = instead_of_fixture(argument.arg, self._given())
                self._place(argument, f"argument {argument.arg}", told)
        self.generic_visit(node)
        self._test, self._is_async, self._local, self._function_name = outer

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

    def _method(self, node: _Function) -> None:
        """Take what a ``VCRTestCase`` says of its cassettes."""
        folder = returned(node) if node.name == "_get_cassette_library_dir" else None
        if folder is not None and is_known(self._told(folder)):
            self._module.libraries.append(self._told(folder))
        if node.name == "_get_vcr_kwargs":
            self._options(node)

    def _told(self, node: ast.expr) -> str:
        return self._paths.told(node, self._local)

    def _fixture(self, node: _Function) -> None:
        if node.name == "vcr_cassette_dir":
            folder = returned(node)
            self._module.folder = "" if folder is None else self._told(folder)
            self._module.folder_line = node.lineno
        self._place(node, f"fixture {node.name}", instead_of_fixture(node.name, self._given()))
        if node.name == "vcr_config":
            self._options(node)

    def _options(self, node: _Function) -> None:
        """Take the options that a fixture or a method gives to vcrpy."""
        for name, value, key in options_of(node, self._stands_for):
            self._module.options.append(Option(name, value, key, self._module.path))
            if name != OTHERS:
                self._place(key, f"{name} of {node.name}", translated(name, value))

    def _stands_for(self, node: ast.expr) -> ast.expr:
        return self._paths.stands_for(node, self._local)

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
        given = node.args[0] if node.args else next((each.value for each in node.keywords if each.arg == "path"), None)
        path = None if given is None else self._told(given)
        self._note(Use(path, node.lineno, self._function_name))
        is_named = path is not None and is_known(path)
        self._place(node, "use_cassette(…)", self._told_mark(f'"{Path(path).stem}"' if path and is_named else ""))
        self._take(node, "use_cassette(…)")

    def _note(self, use: Use) -> None:
        (self._module.opened if self._test is None else self._test.used).append(use)

    def _told_mark(self, name: str) -> str:
        return (
            f"@pytest.mark.recorded({name}) at the test, and its argument {self._given()}, given to the code under test"
        )

    def _take(self, call: ast.Call, where: str) -> None:
        for keyword in call.keywords:
            options = self._module.options if self._test is None else self._test.options
            for name, given, node in given_by(keyword, self._stands_for):
                if name == "cassette_library_dir" and is_known(text := self._told(node)):
                    self._module.libraries.append(text)
                options.append(Option(name, given, node, self._module.path))
                if name != OTHERS:
                    self._place(node, f"{name} of {where}", translated(name, given))

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


def _has_fixture(node: _Function) -> bool:
    return any(
        _last_name(each.func if isinstance(each, ast.Call) else each) == "fixture" for each in node.decorator_list
    )


def _last_name(node: ast.expr) -> str:
    return str(getattr(node, "attr", getattr(node, "id", "")))


def _locals_of(node: _Function) -> dict[str, ast.expr]:
    """Return what names stand for in a function; those that are given, or stand for several things, for nothing."""
    found: dict[str, ast.expr] = {}
    for each in ast.walk(node):
        if isinstance(each, ast.arg):
            found[each.arg] = _NOTHING
        elif isinstance(each, ast.Assign) and len(each.targets) == 1 and isinstance(each.targets[0], ast.Name):
            name = each.targets[0].id
            found[name] = _NOTHING if name in found else each.value
        elif isinstance(each, ast.For | ast.AsyncFor | ast.comprehension) and isinstance(each.target, ast.Name):
            found[each.target.id] = _NOTHING
    return found


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
