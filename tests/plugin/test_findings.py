"""What is found besides misses: exchanges that nobody asks for, cassettes without a test, old ones."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from recorder.api.cassettes import CassetteRecordings
from tests.plugin.suite import Suite

IT = "def test_it(recorded_session):\n    ask(recorded_session, 'a')\n"
CASSETTE = "cassettes/test_bot/test_it.jsonl"


def test_unplayed_exchanges(suite: Suite) -> None:
    suite.record(CASSETTE, "a", "b")
    suite.write(IT)
    suite.tells([f"*recorder: an exchange of {CASSETTE} not asked for: POST http*"], passed=1, warnings=1)
    suite.run("-o", "recorder_unplayed=ignore").assert_outcomes(passed=1, warnings=0)
    suite.run("-o", "recorder_unplayed=fail").assert_outcomes(failed=1)
    suite.write("@pytest.mark.recorded(unplayed='fail')\n" + IT)
    suite.run().assert_outcomes(failed=1)
    suite.write("@pytest.mark.recorded(unplayed='fail')\n" + IT + "    ask(recorded_session, 'b')\n")
    assert suite.run().ret == 0


def test_a_test_that_fails_has_no_unplayed_exchanges(suite: Suite) -> None:
    suite.record(CASSETTE, "a", "b")
    suite.write("@pytest.mark.recorded(unplayed='fail')\n" + IT + "    assert False\n")
    result = suite.run()
    assert "not asked for" not in result.stdout.str()


SHARED = """
@pytest.mark.recorded("desk")
@pytest.mark.parametrize("prompt", {prompts!r})
def test_it(recorded_session, prompt):
    ask(recorded_session, prompt)
"""


def test_exchanges_that_none_of_several_tests_asks_for(suite: Suite) -> None:
    suite.record("cassettes/desk.jsonl", "a", "b", "c")
    suite.write(SHARED.format(prompts=["a", "b", "c"]))
    result = suite.run("-o", "recorder_unplayed=fail")
    result.assert_outcomes(passed=3)
    assert result.ret == 0
    suite.write(SHARED.format(prompts=["a", "b"]))
    result = suite.run()
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*= recorder =*", "an exchange of cassettes/desk.jsonl not asked for: POST http*"])
    assert suite.run("-o", "recorder_unplayed=fail").ret == pytest.ExitCode.TESTS_FAILED


def test_a_part_of_the_tests_says_nothing_of_a_shared_cassette(suite: Suite) -> None:
    suite.record("cassettes/desk.jsonl", "a", "b")
    suite.write(
        SHARED.format(prompts=["a", "b"]) + "@pytest.mark.recorded('desk')\ndef test_x(recording):\n    assert 0\n"
    )
    assert "not asked for" not in suite.run().stdout.str()


ORPHANS = [
    "cassettes/test_bot/test_gone.jsonl",  # its test is
    "cassettes/test_bot/test_it~new.jsonl",  # left by a recording that was killed
    "cassettes/test_old/test_it.jsonl",  # its module is
    "cassettes/nobody.jsonl",  # no test names it
]


@pytest.fixture
def orphaned(suite: Suite) -> Suite:
    """A suite with an orphan of each kind, and cassettes that are none."""
    suite.record(CASSETTE, "a")
    suite.record("cassettes/desk.jsonl", "a")
    content = (suite.path / CASSETTE).read_bytes()
    for path in ORPHANS:
        (suite.path / path).parent.mkdir(parents=True, exist_ok=True)
        (suite.path / path).write_bytes(content)
    suite.write(
        IT + "@pytest.mark.recorded('desk')\ndef test_desk(recorded_session):\n    ask(recorded_session, 'a')\n"
    )
    suite.write(IT, "test_other.py")
    suite.record("cassettes/test_other/test_it.jsonl", "a")
    return suite


def orphans_of(result: pytest.RunResult) -> list[str]:
    return [line.partition(": no test")[0] for line in result.outlines if ": no test that was collected has it" in line]


def test_orphans(orphaned: Suite) -> None:
    result = orphaned.run()
    assert result.ret == 0
    assert orphans_of(result) == sorted(ORPHANS)
    result = orphaned.run("-o", "recorder_orphans=fail")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert orphans_of(result) == sorted(ORPHANS)


def test_orphans_can_be_ignored(orphaned: Suite) -> None:
    assert orphans_of(orphaned.run("-o", "recorder_orphans=ignore")) == []


@pytest.mark.parametrize("chosen", [("-k", "desk"), ("-m", "recorded"), ("--deselect", "test_bot.py::test_it")])
def test_tests_that_are_left_out_keep_their_cassettes(orphaned: Suite, chosen: tuple[str, ...]) -> None:
    assert orphans_of(orphaned.run(*chosen)) == sorted(ORPHANS)


def test_nothing_is_said_of_what_was_not_collected(orphaned: Suite) -> None:
    of_bot = ORPHANS[:2]
    assert orphans_of(orphaned.run("test_bot.py")) == of_bot
    assert orphans_of(orphaned.run("test_other.py")) == []
    assert orphans_of(orphaned.run("test_bot.py::test_desk")) == []
    assert orphans_of(orphaned.run("--ignore", "test_bot.py")) == ["cassettes/test_old/test_it.jsonl"]
    assert orphans_of(orphaned.run("--lf")) == []
    orphaned.write("import nothing_by_that_name\n")
    assert orphans_of(orphaned.run()) == ["cassettes/test_old/test_it.jsonl"]


def test_a_cassette_of_a_recording_that_a_test_asks_for_late_is_no_orphan(suite: Suite) -> None:
    suite.record(CASSETTE, "a")
    suite.write("def test_it(request):\n    ask(request.getfixturevalue('recorded_session'), 'a')\n")
    result = suite.run()
    result.assert_outcomes(passed=1)
    assert orphans_of(result) == []


def test_orphans_in_one_directory_for_all(suite: Suite) -> None:
    suite.configure("recorder_cassette_dir = tapes/cassettes", "testpaths = tests")
    suite.record("tapes/cassettes/tests/test_bot/test_it.jsonl", "a")
    for name in ("tests/test_bot/test_gone", "tests/test_old/test_it", "nobody"):
        suite.record(f"tapes/cassettes/{name}.jsonl", "a")
    suite.write(IT, "tests/test_bot.py")
    found = [
        f"tapes/cassettes/{each}.jsonl" for each in ("nobody", "tests/test_bot/test_gone", "tests/test_old/test_it")
    ]
    assert orphans_of(suite.run()) == found
    assert orphans_of(suite.run("tests/test_bot.py")) == found[1:2]


def test_expired_cassettes(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    suite.record(CASSETTE, "a")
    path = suite.path / CASSETTE
    suite.write(IT)
    suite.run("-o", "recorder_max_age=1h").assert_outcomes(passed=1, warnings=0)
    assert CassetteRecordings(path).began_ns()
    age(path, days=3)
    suite.tells(
        [f"*recorder: {CASSETTE} was recorded 3 days ago, which is too old: record it again*"],
        "-o",
        "recorder_max_age=2d",
        passed=1,
        warnings=1,
    )
    suite.run("-o", "recorder_max_age=1w").assert_outcomes(passed=1, warnings=0)
    suite.run("-o", "recorder_max_age=48h", "-o", "recorder_expired=fail").assert_outcomes(failed=1)
    suite.run("-o", "recorder_max_age=48h", "-o", "recorder_expired=ignore").assert_outcomes(passed=1, warnings=0)
    suite.write("@pytest.mark.recorded(max_age='1d', expired='fail')\n" + IT)
    suite.run().assert_outcomes(failed=1)
    assert suite.run("-o", "recorder_max_age=soon").ret == pytest.ExitCode.USAGE_ERROR


def age(path: Path, *, days: int) -> None:
    """Record the same again, as if that had been some days ago."""
    import requests

    from recorder import Recorder
    from recorder.clock import SystemClock

    class Earlier(SystemClock):
        def __init__(self) -> None:
            super().__init__()
            now = self.wall_ns
            self.wall_ns = lambda: now() - days * 86_400 * 10**9 - 10**9

    path.unlink()
    with Recorder(path, clock=Earlier()) as recorder, requests.Session() as session:
        body = {"messages": [{"role": "user", "content": "a"}], "stream": True}
        recorder.mount(session).post(os.environ["UPSTREAM"], json=body).raise_for_status()


def test_a_run_without_recorded_tests_judges_no_cassette(suite: Suite) -> None:
    suite.record("cassettes/by_hand.jsonl", "a")
    suite.write("def test_it():\n    pass\n")
    assert "cassettes" not in suite.run().stdout.str()


def test_a_test_whose_marker_is_wrong_keeps_its_cassette(suite: Suite) -> None:
    suite.record(CASSETTE, "a")
    suite.write(IT + "@pytest.mark.recorded(unplayd='fail')\ndef test_x(recorded_session):\n    pass\n")
    suite.record("cassettes/test_bot/test_x.jsonl", "a")
    assert orphans_of(suite.run()) == []


def test_what_a_failed_test_has_left_beside_its_cassette_is_told_once(suite: Suite) -> None:
    suite.record(CASSETTE, "a")
    suite.write(IT + "    assert False\n")
    result = suite.run(mode="rewrite")
    result.stdout.fnmatch_lines(["*is in test_it~new.jsonl"])
    assert orphans_of(result) == []


def test_the_remedy_for_what_tests_with_the_same_request_do_not_ask_for(suite: Suite) -> None:
    suite.record("cassettes/desk.jsonl", "a", "a")
    suite.write(SHARED.format(prompts=["a", "a"]))
    suite.run().stdout.fnmatch_lines(["an exchange of * not asked for: *: give each test its own cassette"])
