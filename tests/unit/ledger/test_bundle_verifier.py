"""The verifier as one file: it is what its modules are, and needs nothing but an older Python."""

from __future__ import annotations

import ast
import sys
from collections import Counter
from pathlib import Path

from recorder.ledger import standalone
from recorder.ledger.bundle_verifier import PARTS, verifier_source
from tests.recorded import ROOT


def test_docs_have_the_current_verifier() -> None:
    told = "run python docs/generate_verifier.py"
    assert (ROOT / "docs" / "verify.py").read_text(encoding="utf-8") == verifier_source(), told


def test_every_module_is_part_of_it() -> None:
    modules = {path.stem for path in Path(standalone.__file__).parent.glob("*.py")} - {"__init__"}
    assert {name for package, name in PARTS if package == standalone.__name__} == modules


def test_it_keeps_to_the_syntax_of_python_3_9_and_to_the_standard_library() -> None:
    tree = ast.parse(verifier_source(), feature_version=(3, 9))
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module or "")
    assert {name.partition(".")[0] for name in imported} <= sys.stdlib_module_names
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert not called & {"pairwise", "slots", "batched", "aiter"}
    keywords = {key.arg for node in ast.walk(tree) if isinstance(node, ast.Call) for key in node.keywords}
    assert not keywords & {"strict", "slots", "kw_only"}  # of zip and dataclass: Python 3.10


def test_no_two_modules_define_one_name() -> None:
    names: Counter[str] = Counter()
    for node in ast.parse(verifier_source()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names[node.name] += 1
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found = {one.id for target in targets for one in ast.walk(target) if isinstance(one, ast.Name)}
            names.update(found)
    assert [name for name, count in names.items() if count > 1] == []
