"""A test that has failed is run again: what it had recorded counts for nothing, and nothing is counted twice."""

from __future__ import annotations

import pytest

from tests.plugin.suite import Suite, held

CASSETTE = "cassettes/test_bot/test_it.jsonl"
DESK = "cassettes/desk.jsonl"
RECORDS = ["once", "new_episodes", "all", "rewrite"]
#: As pytest-rerunfailures does it: the same item, its fixtures made anew.
RERUNS = """
import pytest
from _pytest.runner import runtestprotocol


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item, nextitem):
    for attempt in range(2):
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
        if not any(report.failed for report in reports):
            break
        item._initrequest()
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    return True
"""
ALONE = """
tried = []


def test_it(recorded_session):
    ask(recorded_session, "the same")
    ask(recorded_session, f"attempt {len(tried)}")
    tried.append(1)
    assert len(tried) == 2
"""
IN_THE_TEST = """
tried = []


@pytest.mark.recorded("desk")
def test_a(recorded_session):
    ask(recorded_session, "a")
    tried.append(1)
    assert len(tried) == 2


@pytest.mark.recorded("desk")
def test_b(recorded_session):
    ask(recorded_session, "b")
"""
IN_TEARDOWN = """
tried = []


@pytest.fixture
def flaky():
    yield
    tried.append(1)
    assert len(tried) == 2


@pytest.mark.recorded("desk")
def test_a(recorded_session, flaky):
    ask(recorded_session, "a")


@pytest.mark.recorded("desk")
def test_b(recorded_session):
    ask(recorded_session, "b")
"""


def told(result: pytest.RunResult) -> list[str]:
    """Return what a run tells of cassettes at its end."""
    return [line for line in result.outlines if "cassettes/" in line]


@pytest.fixture
def rerunning(suite: Suite) -> Suite:
    (suite.path / "conftest.py").write_text(RERUNS)
    return suite


@pytest.mark.parametrize("mode", RECORDS)
def test_a_test_that_is_run_again_records_again(rerunning: Suite, mode: str) -> None:
    rerunning.write(ALONE)
    result = rerunning.run(mode=mode)
    result.assert_outcomes(passed=1)
    assert held(rerunning.path / CASSETTE) == [("the same", 3), ("attempt 1", 4)]
    assert rerunning.cassettes() == [CASSETTE]
    assert told(result) == [f"recorded {CASSETTE}: 2 exchanges"]


@pytest.mark.parametrize("mode", RECORDS)
def test_what_stood_in_the_cassette_before_stays_or_goes_as_the_mode_says(rerunning: Suite, mode: str) -> None:
    rerunning.record(CASSETTE, "the same", "other")
    rerunning.write(ALONE)
    result = rerunning.run(mode=mode)
    if mode == "once":  # asks for what is not there
        result.assert_outcomes(failed=1)
        assert held(rerunning.path / CASSETTE) == [("the same", 1), ("other", 2)]
        return
    result.assert_outcomes(passed=1)
    kept, count = {
        "new_episodes": ([("the same", 1), ("other", 2), ("attempt 1", 4)], "3 exchanges, 1 of them new"),
        "all": ([("other", 2), ("the same", 5), ("attempt 1", 6)], "3 exchanges"),
        "rewrite": ([("the same", 5), ("attempt 1", 6)], "2 exchanges"),
    }[mode]
    assert held(rerunning.path / CASSETTE) == kept
    assert told(result) == [f"recorded {CASSETTE}: {count}"]
    assert rerunning.cassettes() == [CASSETTE]


@pytest.mark.parametrize("tests", [IN_THE_TEST, IN_TEARDOWN], ids=["in the test", "in teardown"])
@pytest.mark.parametrize("there", ["no cassette", "a cassette"])
@pytest.mark.parametrize("mode", RECORDS)
def test_one_of_several_that_share_a_cassette_is_run_again(rerunning: Suite, mode: str, there: str, tests: str) -> None:
    if there == "a cassette":
        rerunning.record(DESK, "a", "b")
    rerunning.write(tests)
    result = rerunning.run(mode=mode)
    result.assert_outcomes(passed=2)
    if there == "a cassette" and mode in ("once", "new_episodes"):
        assert held(rerunning.path / DESK) == [("a", 1), ("b", 2)]
        assert told(result) == []  # nothing was recorded
    else:
        first = 4 if there == "a cassette" else 2
        assert held(rerunning.path / DESK) == [("a", first), ("b", first + 1)]
        assert told(result) == [f"recorded {DESK}: 2 exchanges"]
    assert rerunning.cassettes() == [DESK]
    rerunning.run("-W", "error").assert_outcomes(passed=2)


@pytest.mark.parametrize("tests", [IN_THE_TEST, IN_TEARDOWN], ids=["in the test", "in teardown"])
def test_what_nobody_asks_for_is_told_once_though_a_test_is_run_again(rerunning: Suite, tests: str) -> None:
    rerunning.record(DESK, "a", "b", "c")
    rerunning.write(tests)
    result = rerunning.run()
    result.assert_outcomes(passed=2)
    (line,) = told(result)
    assert line.startswith(f"an exchange of {DESK} not asked for: POST ")


def test_one_that_fails_to_the_last_is_told_once(rerunning: Suite) -> None:
    rerunning.write(ALONE.replace("== 2", "== 3"))
    result = rerunning.run(mode="once")
    result.assert_outcomes(failed=1)
    (line,) = told(result)
    assert line.startswith(f"{CASSETTE} was recorded by a test that failed: 2 exchanges: look at it, ")
    assert held(rerunning.path / CASSETTE) == [("the same", 3), ("attempt 1", 4)]


@pytest.mark.parametrize("prompts", [["a"], ["a", "b"]], ids=["nothing new", "one new"])
def test_new_episodes_tells_what_is_new(suite: Suite, prompts: list[str]) -> None:
    suite.record(CASSETTE, "a", "z")
    suite.write(f"def test_it(recorded_session):\n    for one in {prompts}:\n        ask(recorded_session, one)\n")
    result = suite.run(mode="new_episodes")
    assert told(result) == ([] if prompts == ["a"] else [f"recorded {CASSETTE}: 3 exchanges, 1 of them new"])
    suite.write("def test_it(recorded_session):\n    ask(recorded_session, 'a')\n    assert False\n")
    assert told(suite.run(mode="new_episodes")) == []  # a test that fails has recorded nothing, either
