"""Runs the command line: in this process where that is enough, else as a process of its own."""

from __future__ import annotations

import functools
import inspect
import json
import os
import pty
import signal
import subprocess
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from jsonschema import Draft202012Validator

from recorder.cli.application import application
from recorder.clock import id_text
from recorder.store import open_store
from tests.building import ExchangeBuilder, delta
from tests.warm import programs

SCHEMAS = Path(__file__).parents[1] / "docs/schema"


def run(*args: str, stdin: str | bytes | None = None, env: Mapping[str, str | None] | None = None) -> Result:
    """Run a command in this process."""
    apart = {"mix_stderr": False} if "mix_stderr" in inspect.signature(CliRunner).parameters else {}  # click < 8.2
    return CliRunner(**apart).invoke(application, args, input=stdin, env=env)


def told(result: Result, code: int) -> str:
    """Return the one line that a command ended with, after checking that it is one and the exit code is *code*."""
    assert result.exception is None or isinstance(result.exception, SystemExit), "".join(
        traceback.format_exception(result.exception)
    )
    lines = result.stderr.splitlines()
    assert result.exit_code == code, result.stderr
    assert len(lines) == 1, lines
    assert lines[0].startswith("error: ")
    assert "Traceback" not in result.output
    return lines[0]


def process(*args: str, env: Mapping[str, str] | None = None, **extra: Any) -> subprocess.Popen[bytes]:
    """Start a command as a process of its own."""
    command = [sys.executable, "-m", "recorder", *args]
    whole = {**os.environ, **(env or {})}
    # A shell that starts the tests in the background has them ignore SIGINT, and that is inherited.
    heeding = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=whole, preexec_fn=heeding, **extra
    )


@contextmanager
def serving(store_url: str, *args: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Run ``recorder serve``; yield the process and its URL, or the line that it begins with where that is JSON."""
    server = process("serve", "--store", store_url, *args)
    try:
        assert server.stdout is not None
        line = server.stdout.readline().decode()
        if "--json" not in args:
            assert line.startswith("recorder serve: http://"), line
            line = line.split()[-1]
        yield server, line
    finally:
        server.kill()
        server.communicate()


def json_lines(result: Result, schema: str) -> list[dict[str, Any]]:
    """Return the objects that a command printed, each checked against its schema."""
    assert result.exit_code == 0, result.stderr
    validator = Draft202012Validator(json.loads((SCHEMAS / f"{schema}.schema.json").read_text()))
    values = [json.loads(line) for line in result.stdout.splitlines()]
    for value in values:
        validator.validate(value)
    return values


#: Head of a streamed answer.
STREAMED = (("content-type", "text/event-stream"), ("transfer-encoding", "chunked"))


def asking(number: int, *messages: tuple[str, str], model: str = "m-1", **facts: Any) -> ExchangeBuilder:
    """Return an exchange that has asked."""
    said = [{"role": role, "content": content} for role, content in messages]
    return ExchangeBuilder(number).request({"model": model, "messages": said, "stream": True}, **facts)


def answered(number: int, *messages: tuple[str, str], text: str = "Hold — 1.0850 €", **facts: Any) -> ExchangeBuilder:
    """Return a whole exchange."""
    built = asking(number, *messages, **facts).response(headers=STREAMED)
    words = text.split(" ")
    deltas = [delta(content=word if at == 0 else f" {word}") for at, word in enumerate(words)]
    return built.sse(delta(role="assistant"), *deltas, delta(finish="stop")).completed()


def fill(url: str, *built: ExchangeBuilder) -> None:
    """Write exchanges to a store."""
    store = open_store(url, write=True)
    try:
        for one in built:
            store.append([one.opened], one.events)
    finally:
        store.close()


def identity_of(built: ExchangeBuilder) -> str:
    """Return an exchange's id as text."""
    return id_text(built.opened.stream)


def terminal(*args: str, out: bool = True, err: bool = True, **env: str) -> tuple[int, str]:
    """Return a command's exit code and what it writes to a terminal, its line ends plain again.

    :param out: standard output is that terminal, else a pipe that is thrown away; *err* likewise.
    """
    ours, theirs = pty.openpty()
    whole = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "COLUMNS")}
    whole |= {"TERM": "xterm", "COLUMNS": "300", "PYTHONIOENCODING": "utf-8", **env}
    started = subprocess.Popen(
        [programs() / "recorder", *args],
        stdout=theirs if out else subprocess.DEVNULL,
        stderr=theirs if err else subprocess.DEVNULL,
        env=whole,
    )
    os.close(theirs)
    got = b""
    try:
        while piece := os.read(ours, 65536):
            got += piece
    except OSError:  # Linux says so when the last writer has gone
        pass
    finally:
        os.close(ours)
    return started.wait(60), got.decode().replace("\r\n", "\n")
