"""What the tests of cassettes share: an answer with a secret to record, and what is in a folder and in a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.loopback import Script

PLAIN = Script(chunks=5, split_utf8=True, headers=(("set-cookie", "session=kept-out"),))
SECRET = "sk-" + "never-to-be-written"


def listed(folder: Path) -> list[str]:
    return sorted(one.name for one in folder.iterdir())


def lines_of(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_bytes().splitlines()]
