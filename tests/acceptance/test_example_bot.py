"""The example's test passes at every cut of a recorded order, and catches the bot that acts on a truncated call."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from recorder import Store

OURS = ("-p", "recorder.pytest_plugin")
FOLDER = Path(__file__).parents[2] / "examples" / "trading_bot"


def run(bot: str, tmp_path: Path) -> str:
    environment = {**os.environ, "BOT": bot, "TMPDIR": str(tmp_path), "PYTHONPATH": str(FOLDER), "NO_PROXY": "*"}
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # it needs ours alone
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, *OURS, str(FOLDER)]
    done = subprocess.run(
        command, cwd=FOLDER, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    return done.stdout.splitlines()[-1] if done.stdout else done.stderr


def test_the_bot_places_no_order_on_a_partial_answer(tmp_path: Path) -> None:
    last = run("bot", tmp_path)
    assert "passed" in last
    assert "failed" not in last


def test_the_cassette_is_what_its_script_records(tmp_path: Path) -> None:
    copy = tmp_path / "trading_bot"
    shutil.copytree(FOLDER, copy, ignore=shutil.ignore_patterns("__pycache__"))
    kept = copy / "cassettes" / "order.jsonl"
    before = said(kept)
    environment = {name: value for name, value in os.environ.items() if name not in ("BOT", "PYTEST_ADDOPTS")}
    done = subprocess.run([sys.executable, "record.py"], cwd=copy, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert kept.read_bytes() != (FOLDER / "cassettes" / "order.jsonl").read_bytes()
    assert said(kept) == before


def said(cassette: Path) -> list[tuple[str, bytes, bytes]]:
    with Store(cassette) as store:
        found = [store.exchange(one["id"]).exchange for one in store.exchanges()]
    return [(each.request.url, each.request.payload, each.body) for each in found if each.request is not None]


def test_the_same_test_catches_the_bot_that_does(tmp_path: Path) -> None:
    last = run("careless_bot", tmp_path)
    assert "failed" in last
    assert "passed" in last
