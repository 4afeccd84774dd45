"""Looking for bytes in everything that a store has on a disk, by a process of its own.

By another process: to close a descriptor of a SQLite file gives up the locks that this one has on it.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

_SEARCH = """
import os, sys
from pathlib import Path
roots, wanted = sys.argv[1].split(os.pathsep), [bytes.fromhex(each) for each in sys.argv[2:]]
for root in map(Path, roots):
    for path in [root] if root.is_file() else sorted(root.rglob("*")):
        if path.is_file():
            data = path.read_bytes()
            for each in wanted:
                if each in data:
                    print(path, each)
"""


def found_in(places: Iterable[Path], texts: Iterable[str | bytes]) -> list[str]:
    """Return where any of some texts stands: in a file, or in one below a folder."""
    wanted = [(each.encode() if isinstance(each, str) else each).hex() for each in texts]
    command = [sys.executable, "-c", _SEARCH, ":".join(map(str, places)), *wanted]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
