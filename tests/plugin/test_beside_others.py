"""Beside the plugins of vcrpy, each test is recorded by whose marker or fixture it has."""

from __future__ import annotations

from importlib.metadata import distributions as find_distributions

import pytest

from tests.plugin.suite import Suite

BOTH = """
import requests


@pytest.mark.vcr
def test_theirs():
    assert ask(requests.Session(), "theirs")


def test_ours(recorded_session):
    assert ask(recorded_session, "ours")


@pytest.mark.vcr
def test_both(recorded_session):
    assert ask(recorded_session, "both")
"""


@pytest.mark.parametrize(("package", "option"), [("pytest_recording", "--record-mode"), ("pytest_vcr", "--vcr-record")])
def test_a_suite_that_moves_from_one_to_the_other(suite: Suite, package: str, option: str) -> None:
    if not any(find_distributions(name=package.replace("_", "-"))):  # a removed one leaves its folder
        pytest.skip(f"{package} is not installed: pip install {package.replace('_', '-')}")
    other = "vcr" if package == "pytest_recording" else "recording"
    suite.write(BOTH)
    alone = ("-p", f"no:{other}")
    result = suite.run(*alone, f"{option}=once", mode="once", apart=True)
    result.assert_outcomes(passed=2, failed=1)
    # vcrpy has replaced the connections of this one: ours would not be recorded, and says so.
    result.stdout.fnmatch_lines(["E *RecordingError: an adapter answered a request by other means*"])
    found = suite.cassettes()
    assert "cassettes/test_bot/test_ours.jsonl" in found
    assert any("test_theirs" in path and path.endswith(".yaml") for path in found)
    suite.server.close()
    result = suite.run(*alone, f"{option}=none", "-W", "error", apart=True)
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.no_fnmatch_line("*no test that was collected has it*")
