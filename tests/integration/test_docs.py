"""The docs do not lie: every example of every page is executed, against a server on loopback.

Each page runs from top to bottom in a directory of its own. Blocks marked ``python`` share one
namespace, in which ``url``, ``headers`` and ``body`` stand for the reader's own; a block after
``<!-- file: NAME -->`` is written to that file instead. Of blocks marked ``console``, the lines after
``$`` are run by one shell, and lines that follow must be what was printed: ``…`` stands for anything.
The page of an example has its programs beside it.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests

from recorder import Recorder
from tests.warm import programs

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "examples").glob("*/README.md"))]
BLOCK = re.compile(
    r"(?:<!-- file: (?P<file>\S+) -->\n)?^```(?P<kind>\w*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE
)
WORDS = ["Hold", ". The pair ", "is under ", "résistance", "."]
PROMPT_ENDS = "echo @@$?@@"


class Block(NamedTuple):
    """One fenced block of a page."""

    kind: str
    text: str
    file: str | None
    line: int


def blocks(page: str) -> list[Block]:
    return [
        Block(found["kind"], found["text"], found["file"], page.count("\n", 0, found.start()) + 1)
        for found in BLOCK.finditer(page)
    ]


class Upstream(BaseHTTPRequestHandler):
    """Streams an answer: a chat completion, as an OpenAI-compatible server does, or what Anthropic or Gemini send."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        if self.path.endswith("/messages"):
            self._anthropic()
        elif ":streamGenerateContent" in self.path:
            self._gemini()
        else:
            self._chat()
        self.wfile.write(b"0\r\n\r\n")

    def _chat(self) -> None:
        for word in WORDS:
            self._event(delta={"content": word}, finish_reason=None)
        self._event(delta={}, finish_reason="stop")
        self._frame(b"data: [DONE]\n\n")

    def _anthropic(self) -> None:
        usage = {"input_tokens": 7, "output_tokens": 5}
        message = {"id": "m-1", "type": "message", "role": "assistant", "model": "m-1", "content": [], "usage": usage}
        self._named("message_start", message=message)
        self._named("content_block_start", index=0, content_block={"type": "text", "text": ""})
        for word in WORDS:
            self._named("content_block_delta", index=0, delta={"type": "text_delta", "text": word})
        self._named("content_block_stop", index=0)
        self._named("message_delta", delta={"stop_reason": "end_turn"}, usage=usage)
        self._named("message_stop")

    def _gemini(self) -> None:
        for number, word in enumerate(WORDS, 1):
            ended = {"finishReason": "STOP"} if number == len(WORDS) else {}
            content = {"role": "model", "parts": [{"text": word}]}
            value = {"candidates": [{"content": content, **ended}], "responseId": "r-1"}
            self._frame(f"data: {json.dumps(value)}\r\n\r\n".encode())

    def _named(self, kind: str, **more: Any) -> None:
        self._frame(f"event: {kind}\ndata: {json.dumps({'type': kind, **more})}\n\n".encode())

    def _event(self, **choice: Any) -> None:
        value = {"id": "c-1", "object": "chat.completion.chunk", "model": "m-1", "choices": [{"index": 0, **choice}]}
        self._frame(f"data: {json.dumps(value)}\n\n".encode())

    def _frame(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def upstream() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Upstream) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/v1/chat/completions"
        server.shutdown()


class Shell:
    """One bash for a page, in which its exported variables stay."""

    def __init__(self, directory: Path, upstream: str) -> None:
        found = (str(programs()), str(Path(sys.executable).parent), os.environ["PATH"])
        environment = os.environ | {"PATH": os.pathsep.join(found), "UPSTREAM": upstream}
        environment |= {"COLUMNS": "120", "NO_COLOR": "1", "PYTHONPATH": ""}
        for variable in ("PYTEST_ADDOPTS", "COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG"):
            environment.pop(variable, None)  # a reader has none; the commands are measured where they are tested
        self._process = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=directory,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, command: str) -> tuple[int, str]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{{ {command}\n}} </dev/null\n{PROMPT_ENDS}\n")
        self._process.stdin.flush()
        printed = ""
        while True:
            line = self._process.stdout.readline()
            assert line, f"the shell ended: {printed}"
            if found := re.fullmatch(r"(.*)@@(\d+)@@\n", line):
                return int(found[2]), printed + found[1]
            printed += line

    def close(self) -> None:
        """End it, and whatever it has begun that a page has not ended, since it failed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process.stdout.close()


def session_of(text: str) -> list[tuple[str, list[str]]]:
    """Return the commands of a console block, each with the lines that follow it."""
    found: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        else:
            found[-1][1].append(line)
    return found


def prints(expected: list[str], printed: str) -> bool:
    """Whether *printed* is what a page shows; it may show the beginning only, where it ends with ``…``."""
    pattern = ".*".join(re.escape(part) for part in "\n".join(expected).split("…"))
    return re.fullmatch(pattern + r"\s*", printed, re.DOTALL) is not None


def run_page(page: Path, directory: Path, upstream: str) -> int:
    """Run the blocks of a page; return how many there were."""
    names: dict[str, Any] = {
        "__name__": "page",
        "url": upstream,
        "headers": {"Authorization": "Bearer a-reader-of-the-docs"},
        "body": {"model": "m-1", "messages": [{"role": "user", "content": "Buy or hold?"}], "stream": True},
    }
    shell = Shell(directory, upstream)
    ran = 0
    try:
        for block in blocks(page.read_text(encoding="utf-8")):
            place = f"{page.name}:{block.line}"
            if block.file:
                (directory / block.file).write_text(block.text)
            elif block.kind == "python":
                exec(compile("\n" * block.line + block.text, str(page), "exec"), names)
            elif block.kind == "console":
                for command, expected in session_of(block.text):
                    code, printed = shell.run(command)
                    assert code == 0, f"{place}: {command}: {code}\n{printed}"
                    shown = not expected or prints(expected, printed)
                    assert shown, f"{place}: {command} printed\n{printed}\nand not\n" + "\n".join(expected)
            else:
                continue
            ran += 1
    finally:
        shell.close()
    return ran


def name_of(page: Path) -> str:
    return page.name if page.parent == ROOT / "docs" else str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_examples_of_a_page_run(page: Path, tmp_path: Path, upstream: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(variable, str(tmp_path))
    for variable in ("RECORDER_STORE", "RECORDER_OFF"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("UPSTREAM", upstream)
    monkeypatch.chdir(tmp_path)
    if page.is_relative_to(ROOT / "examples"):
        for program in page.parent.glob("*.py"):
            shutil.copy(program, tmp_path)
    ran = run_page(page, tmp_path, upstream)
    expected = len(re.findall(r"^```(?:python|console)$", page.read_text(encoding="utf-8"), re.MULTILINE))
    files = [block for block in blocks(page.read_text(encoding="utf-8")) if block.file]
    assert ran == expected + sum(block.kind not in ("python", "console") for block in files)
    assert all((tmp_path / str(block.file)).is_file() for block in files)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_examples_that_seal_go_on_where_recording_is_switched_off(
    page: Path, tmp_path: Path, upstream: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECORDER_OFF", "1")
    monkeypatch.chdir(tmp_path)
    response = requests.post(upstream, json={})
    with Recorder("sqlite:///off.db") as recorder:
        for block in blocks(page.read_text(encoding="utf-8")):
            if block.kind == "python" and "recorder.seal(" in block.text:
                names = {"Recorder": Recorder, "requests": requests, "recorder": recorder, "response": response}
                names |= {"url": upstream, "headers": {}, "body": {}}
                exec(compile("\n" * block.line + block.text, str(page), "exec"), names)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)(#[^)]*)?\)", text):
        file = page if not target else page.parent / target
        assert file.exists(), f"{page.name} links to {target}, which is not there"
        if anchor:
            heads = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            anchors = {"#" + re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}
            assert anchor in anchors, f"{page.name} links to {anchor}"


def test_a_page_that_lies_is_found(tmp_path: Path, upstream: str) -> None:
    page = tmp_path / "page.md"
    page.write_text("```console\n$ echo one\ntwo\n```\n")
    with pytest.raises(AssertionError, match="printed"):
        run_page(page, tmp_path, upstream)
    page.write_text("```console\n$ false\n```\n")
    with pytest.raises(AssertionError, match="false: 1"):
        run_page(page, tmp_path, upstream)
    page.write_text("```python\nassert url == 1\n```\n")
    with pytest.raises(AssertionError):
        run_page(page, tmp_path, upstream)
    page.write_text("```console\n$ echo one; echo two\no…\ntw…\n```\n")
    assert run_page(page, tmp_path, upstream) == 1


def test_the_readme_marks_its_two_commands() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = dict(re.findall(r"<!-- command: (\w+) -->\n```sh\n(.*)\n```", text))
    assert set(commands) == {"demo", "tests"}
    assert all(len(command.splitlines()) == 1 for command in commands.values())
