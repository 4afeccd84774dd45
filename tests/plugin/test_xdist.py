"""pytest-xdist: each test in whichever process, one report at the end."""

from __future__ import annotations

import pytest

from tests.plugin.suite import Suite

SUITE = """
@pytest.mark.recorded("desk")
@pytest.mark.parametrize("prompt", {prompts!r})
def test_desk(recorded_session, prompt):
    ask(recorded_session, prompt)


@pytest.mark.parametrize("number", range(8))
def test_own(recorded_session, number):
    text = ask(recorded_session, f"own {{number}}")
    assert f"[own {{number}} 0]" in text
"""


def test_workers_record_play_and_report_as_one(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # of what else is installed, for the time that it takes
    suite.configure("addopts = -p xdist -p recorder.pytest_plugin -n 2")
    suite.write(SUITE.format(prompts=["a", "b"]))
    result = suite.run(mode="once", apart=True)
    result.assert_outcomes(passed=8, errors=2)  # which of two processes begins it?
    result.stdout.fnmatch_lines(["recorder: *2 tests share cassettes/desk.jsonl, and pytest-xdist may run them*"])
    assert sum(line.startswith("recorded cassettes/test_bot/test_own[") for line in result.outlines) == 8
    assert len(suite.cassettes()) == 8

    suite.record("cassettes/desk.jsonl", "a", "b", "c")
    suite.record("cassettes/test_bot/test_gone.jsonl", "a")
    calls = suite.calls
    result = suite.run("-o", "recorder_orphans=fail", apart=True)
    result.assert_outcomes(passed=10)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "*= recorder =*",
            "cassettes/test_bot/test_gone.jsonl: no test that was collected has it: *",
            "an exchange of cassettes/desk.jsonl not asked for: POST http*",
        ]
    )
    assert suite.calls == calls

    slow = (
        "import time\ndef test_{name}(recorded_session):\n    ask(recorded_session, 'a')\n    time.sleep({seconds})\n"
    )
    suite.write(slow.format(name="fast", seconds=0), "slow/test_a.py")
    suite.write(slow.format(name="slow", seconds=0.5), "slow/test_b.py")
    for cassette in ("slow/cassettes/test_a/test_fast.jsonl", "slow/cassettes/test_b/test_slow.jsonl"):
        suite.record(cassette, "a")
    result = suite.run("slow", "-o", "recorder_orphans=fail", mode="rewrite", apart=True)
    result.assert_outcomes(passed=2)
    assert result.ret == 0  # what one worker is still recording is no orphan for the other
