"""The path of a new user, as the README shows it: the commands as they stand there, in an empty environment."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.loopback import serve

ROOT = Path(__file__).resolve().parents[2]
BOT = """
import os


def decide(session, question):
    body = {"messages": [{"role": "user", "content": question}], "stream": True}
    answer = session.post(os.environ["UPSTREAM"], json=body, headers={"Authorization": "Bearer a-key-of-mine"})
    return "hold" if "[DONE]" in answer.text else "buy"
"""


def commands() -> list[str]:
    """The README's, without comments."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(r"<!-- newcomer -->\n```sh\n(.*?)```", text, re.DOTALL)
    assert found is not None
    return [line.partition("#")[0].strip() for line in found[1].splitlines()]


def test_there_are_at_most_five() -> None:
    assert len(commands()) <= 5


@pytest.mark.soak
def test_a_new_user_has_a_green_offline_test_of_their_own_bot(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    project = tmp_path / "project"
    project.mkdir()
    subprocess.run(["git", "init", "-q", project], check=True)
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    test = re.search(r"<!-- file: test_bot.py -->\n```python\n(.*?)```", text, re.DOTALL)
    assert test is not None
    (project / "test_bot.py").write_text(test[1])
    (project / "bot.py").write_text(BOT)
    path = f"{tmp_path / 'venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "HOME": str(tmp_path), "COLUMNS": "200"}
    for name in ("CI", "PYTEST_ADDOPTS", "PYTHONPATH", "VIRTUAL_ENV"):
        environment.pop(name, None)
    who = {f"GIT_{role}_{what}": "a-reader" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    began = time.monotonic()
    with serve() as server:
        environment |= {"UPSTREAM": server.url} | who
        for number, command in enumerate(commands()):
            if number == 2:
                server.close()
            done = subprocess.run(
                ["bash", "-c", command.replace("conversation-recorder", str(ROOT))],
                cwd=project,
                env=environment,
                capture_output=True,
                text=True,
                timeout=300,
            )
            print(f"{time.monotonic() - began:6.1f} s  {command}")
            assert done.returncode == 0, done.stdout + done.stderr
            if command.startswith("pytest"):
                assert "1 passed" in done.stdout
    cassette = project / "cassettes/test_bot/test_the_bot_holds.jsonl"
    assert "a-key-of-mine" not in cassette.read_text()
    tracked = subprocess.run(["git", "ls-files"], cwd=project, capture_output=True, text=True, check=True).stdout
    assert tracked.split() == ["cassettes/test_bot/test_the_bot_holds.jsonl", "test_bot.py"]
