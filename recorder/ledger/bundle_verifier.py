"""``verify.py``: the stand-alone verifier as one file, joined from its modules.

What a stranger runs and what ``recorder verify --bundle`` runs are the same lines. They are kept in modules, which are
short and tested, and joined here: imports of each other fall away, those of the standard library come first.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Final

from recorder.core.version import __version__

#: In the order in which they rely on each other.
PARTS: Final = (
    ("recorder.core", "ed25519"),
    ("recorder.core", "authority"),
    ("recorder.core", "link_words"),
    ("recorder.core", "key_spelling"),
    ("recorder.core", "utc_text"),
    ("recorder.core", "seal_times"),
    ("recorder.core", "clock_steps"),
    ("recorder.core", "clock_bounds"),
    ("recorder.ledger.standalone", "container"),
    ("recorder.ledger.standalone", "tree"),
    ("recorder.ledger.standalone", "notes"),
    ("recorder.ledger.standalone", "records"),
    ("recorder.ledger.standalone", "findings"),
    ("recorder.ledger.standalone", "log"),
    ("recorder.ledger.standalone", "streams"),
    ("recorder.ledger.standalone", "reasons"),
    ("recorder.ledger.standalone", "journals"),
    ("recorder.ledger.standalone", "selection"),
    ("recorder.ledger.standalone", "times"),
    ("recorder.ledger.standalone", "verification"),
    ("recorder.ledger.standalone", "links"),
    ("recorder.ledger.standalone", "report"),
    ("recorder.ledger.standalone", "verify"),
)
_HEAD: Final = '''\
#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Verifies evidence bundles of recorder with nothing but Python 3.9 or newer: nothing is installed, nothing is sent.

    python verify.py evidence.zip --key FINGERPRINT

Get the fingerprint from whoever signs, by another way than the bundle. Whoever made the bundle could also have changed
this file: take it from the project (docs/verify.py) where that matters. Of recorder {version}.
"""

from __future__ import annotations

'''


@cache
def verifier_source() -> str:
    """Return the verifier as one Python file."""
    sources = [files(package).joinpath(f"{name}.py").read_text(encoding="utf-8") for package, name in PARTS]
    imports = _import_lines({each for source in sources for each in _imports(source)})
    sections = [_section(name, source) for (_, name), source in zip(PARTS, sources, strict=True)]
    return _HEAD.format(version=__version__) + "\n".join(imports) + "\n\n" + "\n\n".join(sections)


def _imports(source: str) -> Iterator[tuple[str, str]]:
    """Yield module and name of each thing that a module takes from the standard library; no name: the module itself."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module != "__future__" and not _own(node):
            yield from ((node.module or "", alias.name) for alias in node.names)


def _import_lines(wanted: set[tuple[str, str]]) -> list[str]:
    whole = sorted(f"import {module}" for module, name in wanted if not name)
    parts = [
        f"from {module} import {', '.join(sorted(name for each, name in wanted if each == module and name))}"
        for module in sorted({module for module, name in wanted if name})
    ]
    return whole + parts


def _own(node: ast.ImportFrom) -> bool:
    return (node.module or "").startswith("recorder")


def _section(name: str, source: str) -> str:
    """Return a module without its imports, its docstring made a comment."""
    tree = ast.parse(source)
    lines = source.splitlines()
    dropped: set[int] = set()
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom) or node is tree.body[0]:
            dropped.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    told = (ast.get_docstring(tree) or "").splitlines()
    comment = [f"# {line}".rstrip() for line in told]
    body = "\n".join(line for number, line in enumerate(lines, 1) if number not in dropped).strip("\n")
    rule = "# " + "-" * 110
    return "\n".join([rule, f"# {name}", "#", *comment, rule]) + "\n\n\n" + body.lstrip("\n") + "\n"
