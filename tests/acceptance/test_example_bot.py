"""The example's test passes at every cut of a recorded order, and catches the bot that acts on a truncated call."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "examples" / "trading_bot"


def run(bot: str, tmp_path: Path) -> str:
    environment = {**os.environ, "BOT": bot, "TMPDIR": str(tmp_path), "PYTHONPATH": str(FOLDER), "NO_PROXY": "*"}
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # it needs none
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, str(FOLDER)]
    done = subprocess.run(
        command, cwd=FOLDER, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    return done.stdout.splitlines()[-1] if done.stdout else done.stderr


def test_the_bot_places_no_order_on_a_partial_answer(tmp_path: Path) -> None:
    last = run("bot", tmp_path)
    assert "passed" in last
    assert "failed" not in last


def test_the_same_test_catches_the_bot_that_does(tmp_path: Path) -> None:
    last = run("careless_bot", tmp_path)
    assert "failed" in last
    assert "passed" in last
