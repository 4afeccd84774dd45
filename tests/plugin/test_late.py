"""Threads that go on when their test has ended: nothing of theirs reaches another test, and nothing is silent."""

from __future__ import annotations

import pytest

from tests.loopback import Script, serve
from tests.plugin.suite import Suite, held

THREADS = """
import threading
{imports}
GO, DONE, LATE = threading.Event(), threading.Event(), []


@pytest.mark.recorded("one")
def test_one({fixture}):
    {ask_now}
    def late():
        GO.wait(10)
        try:
            {ask_late}
        except Exception as error:
            LATE.append(type(error).__name__)
        else:
            LATE.append("answered")
        DONE.set()
    threading.Thread(target=late, daemon=True).start()


@pytest.mark.recorded("two")
def test_two(recorded_session):
    GO.set()
    assert DONE.wait(10)
    assert LATE == ["{raised}"]
    ask(recorded_session, "two")
"""
CLIENT = "httpx.Client(transport=recording.httpx_transport(httpx)) as client"
OURS = {
    "requests": ("", "recorded_session", "ask(recorded_session, 'one')", "ask(recorded_session, 'one')"),
    "httpx": (
        "import httpx",
        "recording",
        f"with {CLIENT}: ask(client, 'one')",
        f"with {CLIENT}: ask(client, 'one')",
    ),
    "aiohttp": (
        "import aiohttp, asyncio\n"
        "async def post(recording):\n"
        "    async with aiohttp.ClientSession(connector=recording.aiohttp_connector()) as session:\n"
        "        body = {'messages': [{'role': 'user', 'content': 'one'}], 'stream': True}\n"
        "        async with session.post(URL, json=body) as response:\n            return await response.text()\n",
        "recording",
        "asyncio.run(post(recording))",
        "asyncio.run(post(recording))",
    ),
    "payload": (
        "def payload():\n    yield b'{}'\n",
        "recorded_session",
        "ask(recorded_session, 'one')",
        "recorded_session.post(URL, data=payload())",
    ),
}


@pytest.mark.parametrize("client", OURS)
@pytest.mark.parametrize("mode", [None, "once", "new_episodes", "rewrite"])
def test_a_request_after_its_test_is_refused_and_told(suite: Suite, client: str, mode: str | None) -> None:
    if client == "aiohttp" and mode == "new_episodes":
        return  # which its connector does not have
    imports, fixture, now, late = OURS[client]
    refused_by_the_player = mode is None or client == "httpx"
    raised = "NoMatchingExchange" if refused_by_the_player else "RecordingError"
    if mode is None or mode == "new_episodes":
        suite.record("cassettes/one.jsonl", "one")
        suite.record("cassettes/two.jsonl", "two")
    before = suite.calls
    names = {"imports": imports, "fixture": fixture, "ask_now": now, "ask_late": late, "raised": raised}
    suite.write(THREADS.format(**names))
    lines = ["*= recorder =*", "* was made by test_bot.py::test_one after it had ended, and is not answered: *"]
    suite.tells(lines, mode=mode, passed=2)
    assert suite.calls == before + (2 if mode in ("once", "rewrite") else 0)
    assert [prompt for prompt, _ in held(suite.path / "cassettes/one.jsonl")] == ["one"]
    assert [prompt for prompt, _ in held(suite.path / "cassettes/two.jsonl")] == ["two"]


@pytest.mark.parametrize("marker", ["", "@pytest.mark.recorded"], ids=["reaches the network", "is guarded"])
def test_a_thread_with_a_session_of_its_own_is_like_any_other_code(suite: Suite, marker: str) -> None:
    suite.write(
        "import requests, threading\n"
        "GO, DONE = threading.Event(), threading.Event()\n"
        "def late():\n"
        "    GO.wait(10)\n"
        "    try: ask(requests.Session(), 'late')\n    except Exception: pass\n    DONE.set()\n"
        "@pytest.mark.recorded\ndef test_one():\n    threading.Thread(target=late, daemon=True).start()\n"
        f"{marker}\ndef test_two():\n    GO.set()\n    assert DONE.wait(10)\n"
    )
    if not marker:
        suite.run().assert_outcomes(passed=2)
        assert suite.calls == 1
        return
    suite.tells(["*network was asked for, past the recording", "*(from test_bot.py:*"], passed=1, failed=1)
    assert suite.calls == 0


def test_a_stream_that_is_still_read_when_its_test_ends_is_told(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    suite.write(
        "OPEN = []\n"
        "def test_it(recorded_session):\n"
        "    body = {'messages': [{'role': 'user', 'content': 'a'}], 'stream': True}\n"
        "    OPEN.append(recorded_session.post(URL, json=body, stream=True))\n"
        "    OPEN.append(OPEN[0].iter_content(1))\n    next(OPEN[1])\n"
        "def test_end():\n    OPEN[0].close()\n"
    )
    with serve(Script(chunks=3, stall_after=1)) as stalling:
        monkeypatch.setenv("UPSTREAM", stalling.url)
        suite.tells(["recorded *: 1 exchange (1 failed: still under way when its test ended)"], mode="once", passed=2)
