"""What a terminal is sent: colours only where they are wanted, and nothing of a recording that it would obey."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands import answered, asking, fill, identity_of, run, terminal
from tests.loopback import Script, serve

#: Would change the title, clear the screen, colour, turn the direction, go back in the line (C0 and C1), delete.
HOSTILE = "a\x1b]0;owned\x07b\x1b[2Jc\x9b31md\u202ee\rf\x08g\x7fh"
OBEYED = ("\x1b", "\x07", "\x08", "\x7f", "\x9b", "\u202e")
SAID = answered(1, ("user", f"ask {HOSTILE}"), text=f"say {HOSTILE} end", model=f"m{HOSTILE}", name=f"desk{HOSTILE}")
BROKEN = asking(2, ("user", "x")).response(200, "a\x1b[2J\x9b\rb", (("content-type", "text/plain"),), framing="close")
BROKEN.chunks(b"caf\xc3", b"\xa9 \xff\r", b"\nline two\r\n", HOSTILE.encode()).completed()
READING = (
    ["list"],
    ["show", identity_of(SAID)],
    ["show", identity_of(BROKEN)],
    ["events", identity_of(SAID)],
    ["events", identity_of(BROKEN)],
    *(["export", identity_of(SAID), "--format", name] for name in ("markdown", "json", "jsonl")),
    ["export", identity_of(BROKEN)],
    ["replay", identity_of(SAID)],
    ["replay", identity_of(BROKEN)],
    ["verify"],
    ["show", f"no{HOSTILE}"],
    ["list", "--conversation", HOSTILE],
    ["db", HOSTILE],
)


@pytest.fixture
def url(sqlite_url: str) -> str:
    fill(sqlite_url, SAID, BROKEN)
    return sqlite_url


@pytest.mark.parametrize("args", READING, ids=lambda args: ascii(" ".join(args))[:30])
def test_a_terminal_is_sent_nothing_that_it_would_obey(url: str, args: list[str]) -> None:
    _, sent = terminal(*args, RECORDER_STORE=url, NO_COLOR="1")
    assert sent.strip()
    assert [char for char in (*OBEYED, "\r") if char in sent] == []


@pytest.mark.parametrize("name", ["markdown", "json", "jsonl"])
def test_an_export_is_exact_wherever_it_is_no_terminal(url: str, tmp_path: Path, name: str) -> None:
    args = ["export", identity_of(SAID), "--format", name, "--store", url]
    piped = run(*args).stdout_bytes.decode()
    (tmp_path / "own").mkdir()
    code, _ = terminal(*args, "-o", str(tmp_path / "own" / "file"))  # the file is none, though the output is one
    assert code == 0
    assert (tmp_path / "own" / "file").read_bytes().decode() == piped
    assert "\u202e" in piped
    assert ("\x1b]0;owned" in piped) == (name == "markdown")  # JSON escapes it itself


def test_a_replay_is_exact_in_a_pipe_and_readable_on_a_terminal(url: str) -> None:
    args = ["replay", identity_of(BROKEN), "--store", url]
    assert run(*args).stdout_bytes == b"caf\xc3\xa9 \xff\r\nline two\r\n" + HOSTILE.encode()
    code, sent = terminal(*args, err=False)
    assert code == 0
    assert sent.startswith("café \ufffd\nline two\na\ufffd]0;owned\ufffdb")


def test_the_end_of_a_replay_is_not_lost_on_a_terminal(sqlite_url: str) -> None:
    """Half of a character, and a carriage return that could have been half of a line end."""
    for number, tail in enumerate((b"x\xe2\x82", b"x\r"), 1):
        built = asking(number, ("user", "x")).response(framing="close").chunks(tail).completed()
        fill(sqlite_url, built)
        _, sent = terminal("replay", identity_of(built), "--store", sqlite_url, err=False)
        assert sent == ("x\ufffd" if number == 1 else "x\n")


def test_a_chat_is_readable_on_a_terminal_and_exact_in_a_pipe(sqlite_url: str) -> None:
    with serve(Script(chunks=3)) as server:  # its answer repeats the question
        env = {"AI_API_URL": server.url, "AI_ACCESS_TOKEN": "", "NO_PROXY": "*", "RECORDER_STORE": sqlite_url}
        code, sent = terminal("chat", HOSTILE, err=False, **env)
        piped = run("chat", HOSTILE, env=env)
    assert code == 0
    assert [char for char in (*OBEYED, "\r") if char in sent] == []
    assert sent.count("]0;owned") == 3
    assert piped.stdout_bytes.decode().removesuffix("\n") == Script(chunks=3).text(HOSTILE).removesuffix("\n")


def test_line_ends_of_a_recording_are_line_ends(sqlite_url: str) -> None:
    built = answered(1, ("user", "one\r\ntwo"), text="three\r\nfour")
    fill(sqlite_url, built)
    for command in ("show", "export"):
        _, sent = terminal(command, identity_of(built), "--store", sqlite_url, NO_COLOR="1")
        assert "\ufffd" not in sent
        assert "two" in sent.split("\n") or "  two" in sent.split("\n")


RED = "\x1b[31m"


@pytest.mark.parametrize("wrong", [["show", "no-such"], ["nonsense"], ["list", "--status", "x"], ["db", "backup"]])
def test_an_error_is_red_on_a_terminal_and_plain_where_unwanted(url: str, wrong: list[str]) -> None:
    _, sent = terminal(*wrong, out=False, RECORDER_STORE=url)
    assert sent.startswith(RED)
    _, sent = terminal(*wrong, out=False, RECORDER_STORE=url, NO_COLOR="1")
    assert sent.startswith("error: ")
    assert "\x1b" not in sent


def test_an_error_is_plain_in_a_pipe_also_beside_a_terminal(url: str) -> None:
    ours, theirs = pty.openpty()
    args = [sys.executable, "-m", "recorder", "show", "no-such", "--store", url]
    done = subprocess.run(args, stdout=theirs, stderr=subprocess.PIPE, text=True)
    os.close(theirs)
    os.close(ours)
    assert done.stderr.startswith("error: ")
    assert "\x1b" not in done.stderr


def test_an_empty_no_color_asks_for_nothing(url: str) -> None:
    _, sent = terminal("show", "no-such", RECORDER_STORE=url, NO_COLOR="")
    assert sent.startswith(RED)
