"""A run of pytest without a recorded test pays for the plugin's few modules, and for nothing else."""

from __future__ import annotations

import subprocess
import sys

from tests.plugin.suite import Suite

HEAVY = ("requests", "urllib3", "sqlalchemy", "httpx", "recorder.api.player", "recorder.core", "recorder.replay")
PROBE = """
import sys


def test_it():
    print("LOADED", [name for name in {heavy!r} if name in sys.modules])
"""


def test_nothing_heavy_is_imported(suite: Suite) -> None:
    (suite.path / "test_plain.py").write_text(PROBE.format(heavy=HEAVY))
    command = [sys.executable, "-m", "pytest", "-s", "-p", "no:cacheprovider", "-p", "recorder.pytest_plugin"]
    done = subprocess.run(
        [*command, "-p", "no:anyio", "-p", "no:hypothesispytest"],
        cwd=suite.path,
        env={"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PATH": ""},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "LOADED []" in done.stdout
