"""What tests do with the plugin: clients of both libraries, faults at every cut, a clock, their own sessions."""

from __future__ import annotations

import pytest

from recorder import Store
from tests.plugin.suite import Suite, held

CLIENTS = """
import asyncio

import {module}


def body(prompt):
    return {{"messages": [{{"role": "user", "content": prompt}}], "stream": True}}


def test_client(recorded_client):
    assert isinstance(recorded_client, {module}.Client)
    with recorded_client.stream("POST", URL, json=body("a")) as response:
        assert "[a 0]" in "".join(response.iter_text())


def test_async_client(recorded_async_client):
    async def main():
        answers = await asyncio.gather(*(recorded_async_client.post(URL, json=body(p)) for p in "abc"))
        return [answer.text for answer in answers]

    assert all(f"[{{p}} 0]" in text for p, text in zip("abc", asyncio.run(main())))


def test_own(recording):
    with {module}.Client(transport=recording.httpx_transport({module})) as client:
        assert client.post(URL, json=body("own")).status_code == 200
    wrapped = {module}.HTTPTransport(retries=1) if recording.is_recording else {module}
    with {module}.Client(transport=recording.httpx_transport(wrapped)) as client:
        assert client.post(URL, json=body("wrapped")).status_code == 200
"""


@pytest.mark.parametrize("module", ["httpx", "httpx2"])
def test_clients_of_httpx(suite: Suite, module: str) -> None:
    suite.configure(f"recorder_httpx = {module}")
    suite.write(CLIENTS.format(module=module))
    suite.run("-W", "error", mode="once").assert_outcomes(passed=3)
    assert suite.calls == 6
    suite.server.close()
    suite.run("-W", "error").assert_outcomes(passed=3)


def test_which_of_two_libraries_is_asked_for(suite: Suite) -> None:
    suite.write("import httpx, httpx2\ndef test_it(recorded_client):\n    pass\n")
    suite.run().stdout.fnmatch_lines(["*both httpx and httpx2 are imported: set recorder_httpx to one of them"])


def test_programs_that_build_their_own_session(suite: Suite) -> None:
    suite.write(
        "import requests\n"
        "def test_it(recording):\n"
        "    with requests.Session() as session, recording.conversation('order'):\n"
        "        assert ask(recording.mount(session), 'a')\n"
        "    assert recording.misses == () and recording.unplayed == ()\n"
    )
    assert suite.run(mode="once").ret == 0
    assert suite.run().ret == 0
    with Store(suite.path / "cassettes/test_bot/test_it.jsonl") as store:
        assert [one.name for one in store.conversations()] == ["order"]


CUTS = """
from recorder.faults import every_cut, status


def bought(session):
    try:
        return "[DONE]" in ask(session, "a")
    except OSError:
        return False


@pytest.mark.recorded("order")
def test_whole(recorded_session):
    assert bought(recorded_session)


@pytest.mark.recorded("order", fault=every_cut)
def test_cut(recorded_session):
    assert not bought(recorded_session)


@pytest.mark.recorded("order", fault=[status(429), status(503)])
def test_refused(recorded_session):
    assert not bought(recorded_session)


@pytest.mark.recorded("order", fault=status(500))
def test_failing(recorded_session, recorder_fault):
    assert str(recorder_fault).startswith("status-500")
    assert not bought(recorded_session)
"""


def test_a_test_at_every_cut(suite: Suite) -> None:
    suite.write(CUTS)
    suite.tells(["recorder: there is no cassette */cassettes/order.jsonl: record one*"], "-k", "test_cut", errors=1)
    suite.run(mode="once").assert_outcomes(passed=4, skipped=1)  # what every_cut cuts is only being recorded
    assert held(suite.path / "cassettes/order.jsonl") == [("a", 1)]
    outcomes = {"passed": 1 + 4 + 2 + 1}  # its stream has four chunks
    suite.tells(["PASSED test_bot.py::test_cut[[]close-after-0-chunks]"], "-W", "error", "-rA", **outcomes)
    assert suite.calls == 1
    suite.run(mode="rewrite").assert_outcomes(passed=8)  # with a fault it plays, in every mode
    assert suite.calls == 2


def test_several_faults_need_the_name_of_a_cassette(suite: Suite) -> None:
    suite.write("@pytest.mark.recorded(fault=['done-missing'])\ndef test_it(recorded_session):\n    pass\n")
    result = suite.run()
    assert result.ret != 0
    result.stdout.fnmatch_lines(["*several faults need an answer that another test has recorded: name its cassette*"])


def test_a_virtual_clock(suite: Suite) -> None:
    suite.record("cassettes/stalled.jsonl", "a")
    suite.write(
        "from recorder import VirtualClock\nfrom recorder.faults import stall\n"
        "@pytest.mark.recorded('stalled', fault=stall(600, after_events=1))\n"
        "def test_it(recorded_session, recorded_clock):\n"
        "    before = recorded_clock.now()\n    ask(recorded_session, 'a')\n"
        "    assert (recorded_clock.now() - before).total_seconds() >= 600\n"
        "@pytest.mark.recorded('stalled', clock=VirtualClock)\n"
        "def test_marker(recorded_session):\n    ask(recorded_session, 'a')\n"
        "def test_recording(recorded_session, recorded_clock):\n    assert recorded_clock.now().year >= 2026\n"
    )
    suite.run(mode="once").assert_outcomes(passed=3)
    suite.write("@pytest.mark.recorded(clock='noon')\ndef test_it(recorded_session):\n    pass\n")
    suite.run().stdout.fnmatch_lines(["recorder: clock='noon' is no VirtualClock: *"])


def test_rules_of_redaction_reach_the_cassette(suite: Suite) -> None:
    suite.configure("recorder_redact = header:x-desk")
    suite.write(
        "@pytest.mark.recorded(redact='body:/account')\n"
        "def test_it(recorded_session):\n"
        "    recorded_session.headers['x-desk'] = 'desk-secret'\n"
        "    recorded_session.post(URL, json={'messages': [], 'account': 'account-secret'})\n"
    )
    assert suite.run(mode="once").ret == 0
    text = (suite.path / "cassettes/test_bot/test_it.jsonl").read_text()
    assert "desk-secret" not in text
    assert "account-secret" not in text
    assert suite.run().ret == 0


def test_sessions_of_aiohttp(suite: Suite) -> None:
    suite.write(
        "import asyncio, aiohttp\n"
        "def test_it(recording):\n"
        "    async def main():\n"
        "        async with aiohttp.ClientSession(connector=recording.aiohttp_connector()) as session:\n"
        "            body = {'messages': [{'role': 'user', 'content': 'a'}], 'stream': True}\n"
        "            async with session.post(URL, json=body) as response:\n"
        "                return await response.text()\n"
        "    assert '[a 0]' in asyncio.run(main())\n"
    )
    suite.run("-W", "error", mode="once").assert_outcomes(passed=1)
    assert suite.run("-W", "error").ret == 0
    assert suite.run(mode="rewrite").ret == 0
    assert suite.calls == 2
    suite.run(mode="new_episodes").stdout.fnmatch_lines(["*aiohttp's connector either plays or records: use*"])


@pytest.mark.parametrize("faults", ["[status(429), status(503)]", "every_cut"])
def test_faults_that_a_test_is_not_run_with_fail_it(suite: Suite, faults: str) -> None:
    suite.record("cassettes/order.jsonl", "a")
    suite.write(
        "import unittest\nfrom recorder.faults import every_cut, status\n"
        f"pytestmark = pytest.mark.recorded('order', fault={faults})\n"
        "class TestOld(unittest.TestCase):\n"
        "    @pytest.fixture(autouse=True)\n    def _session(self, recorded_session):\n        pass\n"
        "    def test_old(self):\n        pass\n"
        "def test_late(request):\n    request.getfixturevalue('recorded_session')\n"
    )
    result = suite.run()
    result.assert_outcomes(errors=1, failed=1)
    assert result.stdout.str().count("recorder: faults cannot be parametrised here: ") >= 2
