"""Standard streams that are closed, full or unread, and interrupts: one line or none, never a traceback."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.commands import answered, fill, identity_of, json_lines, run
from tests.loopback import Script, serve

COMMAND = [sys.executable, "-m", "recorder"]
ONE = answered(1, ("user", "hi"), text="word " * 5000)
NAME = identity_of(ONE)
PRINTING = (
    ["list"],
    ["events", NAME, "--json"],
    ["export", NAME],
    ["replay", NAME],
    ["db", "check"],
    ["export", "--help"],
    ["--version"],
    ["demo"],
)

has_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")


@pytest.fixture
def url(sqlite_url: str) -> str:
    fill(sqlite_url, ONE)
    return sqlite_url


def redirected(redirection: str, *args: str, cwd: Path | None = None, **env: str) -> tuple[int, str, str]:
    """Run a command with its standard streams as a shell redirects them."""
    shell = ["sh", "-c", f'exec "$@" {redirection}', "sh", *COMMAND, *args]
    done = subprocess.run(shell, capture_output=True, text=True, env={**os.environ, **env}, cwd=cwd, timeout=60)
    return done.returncode, done.stdout, done.stderr


@has_full
@pytest.mark.parametrize("args", PRINTING, ids=" ".join)
def test_a_full_disk_under_standard_output_is_one_line(url: str, args: list[str], tmp_path: Path) -> None:
    code, _, err = redirected(">/dev/full", *args, cwd=tmp_path, RECORDER_STORE=url)
    said = [line for line in err.splitlines() if "same bytes" not in line]  # a replay's own comparison
    assert (code, len(said)) == (3, 1), err
    assert said[0].startswith("error: standard output cannot be written (No space left on device): send it to")


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_standard_output_that_is_open_for_reading_only(url: str, unbuffered: str) -> None:
    code, _, err = redirected("1</dev/null", "list", RECORDER_STORE=url, PYTHONUNBUFFERED=unbuffered)
    assert (code, err.count("\n")) == (3, 1)
    assert err.startswith("error: standard output cannot be written (Bad file descriptor): ")


@pytest.mark.parametrize(
    ("redirection", "args"),
    [
        (">&-", ["list"]),
        ("<&- >&-", ["replay", NAME]),
        (">&-", ["db", "upgrade"]),
        ("<&- >&-", ["demo"]),
        (">&-", ["--help"]),
        (">&-", ["nonsense"]),
    ],
)
def test_a_closed_standard_output_is_told_before_anything_is_done(
    absent_url: str, redirection: str, args: list[str], tmp_path: Path
) -> None:
    code, _, err = redirected(redirection, *args, cwd=tmp_path, RECORDER_STORE=absent_url)
    assert (code, err) == (3, "error: standard output is closed: send it to a file or a pipe that takes it\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("redirection", ["2>&-", pytest.param("2>/dev/full", marks=has_full)])
@pytest.mark.parametrize(("args", "expected"), [(["list", "--json"], 0), (["show", "no-such"], 1), (["nonsense"], 2)])
def test_a_standard_error_that_takes_nothing_changes_no_exit_code(
    url: str, redirection: str, args: list[str], expected: int
) -> None:
    code, out, err = redirected(redirection, *args, RECORDER_STORE=url)
    assert (code, err) == (expected, "")
    assert out.count("\n") == (expected == 0)


def test_a_closed_standard_error_does_not_become_the_store(url: str) -> None:
    """The interpreter and C libraries write to number 2, whatever it is."""
    file = url.removeprefix("sqlite:///")
    code = "import os, recorder.cli.streams as s; s.guard(); f = open(os.environ['F'], 'rb'); print(f.fileno() > 2)"
    shell = ["sh", "-c", 'exec "$@" 2>&- <&-', "sh", sys.executable, "-c", code]
    done = subprocess.run(shell, capture_output=True, text=True, env={**os.environ, "F": file}, timeout=60)
    assert (done.returncode, done.stdout) == (0, "True\n")


def test_a_closed_standard_input_is_an_empty_prompt(sqlite_url: str) -> None:
    env = {"RECORDER_STORE": sqlite_url, "AI_API_URL": "http://127.0.0.1:1/v1/chat/completions"}
    code, out, err = redirected("<&-", "chat", **env)
    assert (code, out, err) == (2, "", "error: the prompt is empty: give some text\n")


@has_full
def test_a_chat_whose_output_cannot_be_written_is_recorded_as_far_as_it_came(sqlite_url: str) -> None:
    with serve(Script(chunks=9)) as server:
        env = {"RECORDER_STORE": sqlite_url, "AI_API_URL": server.url, "AI_ACCESS_TOKEN": "", "NO_PROXY": "*"}
        code, _, err = redirected(">/dev/full", "chat", "x", **env)
    assert (code, err.count("\n")) == (3, 1)
    assert err.startswith("error: standard output cannot be written")
    (row,) = json_lines(run("list", "--json", "--store", sqlite_url), "list")
    assert row["status"] == 200


def test_a_reader_that_goes_away_amid_a_chat_is_silence(sqlite_url: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with serve(Script(chunks=9)) as server:
        env = {"RECORDER_STORE": sqlite_url, "AI_API_URL": server.url, "AI_ACCESS_TOKEN": "", "NO_PROXY": "*"}
        done = subprocess.run(
            [*COMMAND, "chat", "x"], stdout=writing, stderr=subprocess.PIPE, env={**os.environ, **env}, timeout=60
        )
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")
    (row,) = json_lines(run("list", "--json", "--store", sqlite_url), "list")
    assert row["status"] == 200


@pytest.mark.parametrize("args", [["--help"], ["--version"], ["list"], ["replay", NAME], ["nonsense"]], ids=" ".join)
def test_a_reader_that_was_never_there_is_silence(url: str, args: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        COMMAND + args, stdout=writing, stderr=subprocess.PIPE, env={**os.environ, "RECORDER_STORE": url}
    )
    os.close(writing)
    if args == ["nonsense"]:  # it prints nothing there
        assert (done.returncode, done.stderr.count(b"\n")) == (2, 1)
    else:
        assert (done.returncode, done.stderr) == (141, b"")


#: Runs the command line and interrupts it when a module has been executed. The process does it itself: what another
#: one sends when it sees that the module is there may come later, when the command runs, or when it has ended.
INTERRUPTING = """
import importlib.machinery, os, runpy, signal, sys
class Interrupting:
    def find_spec(name, path=None, target=None):
        if name == after:
            spec = importlib.machinery.PathFinder.find_spec(name, path)
            execute = spec.loader.exec_module
            spec.loader.exec_module = lambda module: (execute(module), interrupt())
            return spec
def interrupt():
    os.write(2, b"interrupted")
    os.kill(os.getpid(), signal.SIGINT)
after = sys.argv.pop(1)
sys.meta_path.insert(0, Interrupting)
runpy.run_module("recorder", run_name="__main__", alter_sys=True)
"""


def interrupted(*args: str, after: str, ignoring: bool = False, **env: str) -> tuple[int, str]:
    """Interrupt a command as soon as it has imported a module; return its exit code and what it says then."""
    heeding = functools.partial(signal.signal, signal.SIGINT, signal.SIG_IGN if ignoring else signal.SIG_DFL)
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTING, after, *args],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **env},
        preexec_fn=heeding,
        timeout=60,
    )
    before, was_interrupted, said = done.stderr.partition("interrupted")
    assert (before, bool(was_interrupted)) == ("", True), f"{after} was never imported: {done.stderr}"
    return done.returncode, said


@pytest.mark.parametrize(
    ("command", "module"),
    [
        ("list", "click.core"),
        ("list", "recorder.cli.failures"),
        ("list", "sqlalchemy.util"),
        ("list", "recorder.api.store"),
        ("chat", "requests.exceptions"),
    ],
)
def test_an_interrupt_while_modules_load_is_silence(url: str, command: str, module: str) -> None:
    assert interrupted(command, after=module, RECORDER_STORE=url) == (130, "")


def test_an_interrupt_that_is_ignored_stays_so(url: str) -> None:
    """As in the background of a shell that has no job control."""
    assert interrupted("list", after="click.core", ignoring=True, RECORDER_STORE=url) == (0, "")


def test_a_program_may_run_commands_beside_its_main_thread(url: str) -> None:
    """Signals are of the main thread, so there a command leaves them as they are."""
    before = signal.getsignal(signal.SIGINT)
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(run, "list", "--store", url).result(60)
    assert (done.exit_code, done.exception) == (0, None)
    assert signal.getsignal(signal.SIGINT) is before
