"""From the command line's first line on, an interrupt ends it: no traceback, exit code 130."""

from __future__ import annotations

import functools
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
#: What Python 3.11 to 3.14 have loaded by themselves, or in no time.
LIGHT = {"__future__", "importlib", "warnings", "recorder", "recorder.__main__", "recorder.errors"}
#: A finder that is asked for every module first; it has loaded nothing itself.
WATCHING = f"""
import os, sys
sys.path.insert(0, {str(ROOT)!r})
class Watch:
    def find_spec(name, path=None, target=None):
        asked(name)
sys.meta_path.insert(0, Watch)
"""
STARTING = """
sys.argv = ["recorder", "--version"]
from recorder.__main__ import main
main()
"""


def run(code: str, disposition: signal.Handlers = signal.SIG_DFL) -> tuple[int, str, str]:
    """Run code in a Python that has loaded as little as possible."""
    heeding = functools.partial(signal.signal, signal.SIGINT, disposition)
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, timeout=60, preexec_fn=heeding
    )
    return done.returncode, done.stdout, done.stderr


def interrupted_at(module: str) -> str:
    """Return code that starts the command line and gets an interrupt when it asks for *module*."""
    return f"def asked(name):\n    if name == {module!r}: os.kill(os.getpid(), {int(signal.SIGINT)})\n" + STARTING


@pytest.mark.parametrize(
    "module", ["recorder.cli", "recorder.cli.interrupts", "recorder.cli.application", "click", "logging"]
)
def test_an_interrupt_before_there_is_anything_to_interrupt_is_silence(module: str) -> None:
    site = f"sys.path += {[path for path in sys.path if path.endswith('site-packages')]!r}\n"  # click is there
    assert run(WATCHING + site + interrupted_at(module)) == (130, "", "")


def test_an_interrupt_that_is_ignored_stays_ignored() -> None:
    site = f"sys.path += {[path for path in sys.path if path.endswith('site-packages')]!r}\n"
    code, out, err = run(WATCHING + site + interrupted_at("recorder.cli.interrupts"), signal.SIG_IGN)
    assert (code, err) == (0, "")
    assert out.startswith("recorder ")


def test_next_to_nothing_is_imported_before_interrupts_are_heeded() -> None:
    code = """
names = []
asked = names.append
import recorder.__main__
print(*names[: names.index("recorder.cli.interrupts")])
"""
    told, out, err = run(WATCHING + code)
    assert (told, err) == (0, "")
    assert set(out.split()) - LIGHT == {"recorder.cli"}


def test_the_command_that_is_installed_begins_there() -> None:
    assert 'recorder = "recorder.__main__:main"' in (ROOT / "pyproject.toml").read_text()
