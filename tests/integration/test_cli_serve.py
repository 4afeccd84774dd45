"""``recorder serve``: the line that says where it is, what it says at its end, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from recorder.store.schema import upgrade
from tests.building import URL
from tests.commands import SCHEMAS, answered, fill, identity_of, process, run, serving, told
from tests.raw_client import Wire, asked, request

VALIDATOR = Draft202012Validator(json.loads((SCHEMAS / "serve.schema.json").read_text()))
ORIGIN, PATH = URL.rpartition("/v1")[0], "/v1" + URL.rpartition("/v1")[2]
PYTHON = sys.executable


def body(text: str) -> dict[str, Any]:
    return {"model": "m-1", "messages": [{"role": "user", "content": text}], "stream": True}


@pytest.fixture
def url(sqlite_url: str) -> str:
    upgrade(sqlite_url)
    fill(sqlite_url, answered(1, ("user", "a")), answered(2, ("user", "b")))
    return sqlite_url


def ended(server: subprocess.Popen[bytes], number: int) -> tuple[int, str, str]:
    """Send a signal; return the exit code and what was printed after the first line."""
    server.send_signal(number)
    out, err = server.communicate(timeout=30)
    assert b"Traceback" not in err
    return server.returncode, out.decode(), err.decode()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_a_summary(number: int, url: str) -> None:
    with serving(url) as (server, place), Wire(place) as idle:
        idle.ask(PATH, body("a"))
        assert idle.answer().status == 200
        assert ended(server, number) == (0, "", "answered 1 of 1 request; 1 recording not asked for\n")
        assert idle.until_the_end().end in ("closed", "reset")


def test_an_interrupt_ends_it_where_a_script_has_put_it_in_the_background(url: str) -> None:
    """There, shells have it ignored."""
    command = ["sh", "-c", '"$0" "$@" & echo $! >&2; wait', PYTHON, "-m", "recorder", "serve", "--store", url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as script:
        assert script.stdout is not None
        assert script.stderr is not None
        server = int(script.stderr.readline())
        try:
            assert script.stdout.readline().startswith(b"recorder serve: http://")
            os.kill(server, signal.SIGINT)
            _, err = script.communicate(timeout=30)
        except BaseException:  # an interrupt too: nothing else would end a server in the background
            os.kill(server, signal.SIGKILL)
            raise
    assert err == b"answered 0 of 0 requests; 2 recordings not asked for\n"


def test_a_miss_is_told_at_once_and_is_the_exit_code(url: str) -> None:
    with serving(url, "--json") as (server, line):
        ready = json.loads(line)
        VALIDATOR.validate(ready)
        assert (ready["pid"], ready["recorded"]) == (server.pid, 2)
        place = ready["url"]
        assert asked(place, PATH, body("c")).status == 404
        assert server.stderr is not None
        missed = server.stderr.readline().decode()
        assert missed.startswith(f"missed: POST {URL} was never recorded; the nearest recording is ")
        assert asked(place, "/_recorder/reset", None, "X-Recorder: 1").status == 200
        code, out, err = ended(server, signal.SIGTERM)
        value = json.loads(out)
        VALIDATOR.validate(value)
        assert (code, err) == (1, "")
        assert (value["event"], value["asked"], value["answered"], len(value["misses"])) == ("ended", 1, 0, 1)
        assert value["misses"][0]["message"] in missed


def test_only_some_recordings_with_a_fault_of_their_own(url: str) -> None:
    identity = identity_of(answered(2))
    with serving(url, identity, "--fault", "status:429", "--fault", "late:0", "--pace", "1") as (server, place):
        assert asked(place, PATH, body("b")).status == 429
        assert asked(place, PATH, body("a")).error["nearest"] == [identity]
        code, _, err = ended(server, signal.SIGTERM)
    assert code == 1
    assert err.splitlines()[-1] == "answered 1 of 2 requests; 1 missed"


def test_answers_may_be_given_again(url: str) -> None:
    with serving(url, "--allow-repeats") as (_, place):
        assert [asked(place, PATH, body("a")).status for _ in range(3)] == [200] * 3


def test_whatever_it_is_doing_a_signal_ends_it(url: str) -> None:
    with serving(url, "--fault", "cut:after-chunks=1,how=timeout") as (server, place):
        with Wire(place) as held, Wire(place) as half:
            held.ask(PATH, body("a"))
            held.until(lambda data: b"data:" in data)
            half.send(request(PATH, body("b"))[:50])
            assert ended(server, signal.SIGTERM)[0] == 0


def test_a_command_runs_beside_it(url: str) -> None:
    asks = "import os, tests.raw_client; print(tests.raw_client.asked(os.environ['RECORDER_URL'], '{}', {}).status)"
    for prompt, then, code, printed in (("a", "exit 7", 7, "200"), ("c", "true", 1, "404")):
        command = f'{PYTHON} -c "{asks.format(PATH, body(prompt))}"; {then}'
        server = process("serve", "--store", url, "--run", command)
        out, _ = server.communicate(timeout=60)
        assert (server.returncode, out.decode().split()[-1]) == (code, printed)


def test_a_command_is_ended_with_it(url: str) -> None:
    with serving(url, "--run", "trap 'echo told; exit 3' TERM; echo up; sleep 60 >&- 2>&- & wait") as (server, _):
        assert server.stdout is not None
        assert server.stdout.readline() == b"up\n"
        code, out, _ = ended(server, signal.SIGTERM)
    assert (code, out) == (3, "told\n")


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--fault", "late:1"], "at a pace of 0: give a pace, as pace=1.0 or --pace 1"),
        (["--fault", "cutt:1"], "cutt is no fault: did you mean cut?"),
        (
            ["--origin", "https://elsewhere.example"],
            "nothing was recorded of the origin https://elsewhere.example: use ",
        ),
        (["--port", "70000"], "70000"),
        (["--pace", "-1"], "-1"),
        (["--host", "no.such.host.invalid"], "cannot be listened at"),
        (["--port", "x"], "x"),
    ],
)
def test_wrong_usage(args: list[str], says: str, url: str) -> None:
    assert says in told(run("serve", "--store", url, *args), 2)


def test_what_is_not_there(url: str, tmp_path: Any) -> None:
    assert "never-recorded" in told(run("serve", "--store", url, "never-recorded"), 1)
    assert "none.db" in told(run("serve", "--store", f"sqlite:///{tmp_path}/none.db"), 3)


def test_a_server_without_h11_says_what_to_install(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("recorder.serving") or name == "h11"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "h11", None)
    assert "pip install 'conversation-recorder[serve]'" in told(run("serve", "--store", url), 2)
