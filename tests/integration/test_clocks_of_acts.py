"""Holds, retention periods and erasures by hosts whose clocks differ, or jump: what was done last is what counts."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.commands import json_lines, run, told
from tests.erasing import GROUND, Recorded, recorded, verified

#: Sets the clock of this host off, by seconds.
SetOff = Callable[[float], None]


@pytest.fixture
def set_off(monkeypatch: pytest.MonkeyPatch) -> SetOff:
    really = time.time_ns

    def off(seconds: float) -> None:
        monkeypatch.setattr("time.time_ns", lambda: really() + round(seconds * 1e9))

    return off


@pytest.fixture
def made(store_url: str) -> Recorded:
    return recorded(store_url)


@pytest.fixture(params=["sealed", "unsealed", "sealed_later"])
def done(request: pytest.FixtureRequest, store_url: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Runs a command where the ledger's key is, or is not; or where it comes only with the last command."""

    def run_it(*arguments: str, last: bool = False) -> str:
        with monkeypatch.context() as patched:
            if request.param == "unsealed" or (request.param == "sealed_later" and not last):
                patched.setenv("XDG_DATA_HOME", "/nonexistent")
            result = run(*arguments, "--store", store_url)
        assert result.exit_code == 0, result.stderr
        if last and request.param == "sealed_later":
            assert run("seal", "--store", store_url).exit_code == 0
        return result.stdout

    return run_it


def erase(url: str, identity: str) -> tuple[str, ...]:
    return ("erase", identity, "--ground", GROUND, "--yes", "--store", url)


def accused(url: str) -> list[str]:
    """Return what an audit finds wrong with erasures; that clocks were off, it finds too."""
    return [one["detail"] for one in verified(url)["findings"] if one["kind"] == "erasure"]


@pytest.mark.parametrize("ahead", [600, -600])
def test_a_release_has_its_effect(
    store_url: str, made: Recorded, set_off: SetOff, done: Callable[..., str], ahead: float
) -> None:
    set_off(ahead)
    hold = done("hold", "place", made.hers[0], "--ground", "inquiry").split()[1]
    set_off(0)
    assert hold in told(run(*erase(store_url, made.hers[0])), 1)
    done("hold", "release", hold, "--ground", "closed", last=True)
    assert json_lines(run("hold", "list", "--json", "--store", store_url), "hold") == []
    assert run("seal", "--store", store_url).exit_code == 0
    assert run(*erase(store_url, made.hers[0])).exit_code == 0
    assert accused(store_url) == []


@pytest.mark.parametrize("ahead", [600, -600])
def test_a_retention_period_has_its_effect(
    store_url: str, made: Recorded, set_off: SetOff, done: Callable[..., str], ahead: float
) -> None:
    set_off(ahead)
    done("retention", "set", "--days", "0")
    set_off(0)
    done("retention", "set", "--days", "2555", last=True)
    assert "retention period" in told(run(*erase(store_url, made.hers[0])), 1)
    set_off(-ahead)
    done("retention", "set", "--days", "0", last=True)
    assert run("seal", "--store", store_url).exit_code == 0
    assert run(*erase(store_url, made.hers[0])).exit_code == 0
    set_off(0)
    done("retention", "set", "--days", "30", last=True)
    assert [
        row["days"] for row in json_lines(run("retention", "list", "--json", "--store", store_url), "retention")
    ] == [30]
    assert accused(store_url) == []


@pytest.mark.parametrize("ahead", [30, 600, -30])
@pytest.mark.parametrize("what", ["hold", "retention"])
def test_what_was_erased_before_it_was_to_be_kept_is_not_accused(
    store_url: str, made: Recorded, set_off: SetOff, ahead: float, what: str
) -> None:
    rule = ("hold", "place", "--all", "--ground", "inquiry") if what == "hold" else ("retention", "set", "--days", "9")
    set_off(ahead)
    assert run(*erase(store_url, made.hers[0])).exit_code == 0
    set_off(0)
    assert run(*rule, "--store", store_url).exit_code == 0
    assert accused(store_url) == []


@pytest.mark.parametrize("behind", [30, 600])
def test_what_was_to_be_kept_when_it_was_erased_is_told(
    store_url: str, made: Recorded, set_off: SetOff, behind: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An erasure by a host whose clock is behind, and whose program asks nobody, after a hold was placed."""
    hold = run("hold", "place", "--all", "--ground", "inquiry", "--store", store_url).stdout.split()[1]
    set_off(-behind)
    monkeypatch.setattr("recorder.api.erasing.reasons_to_keep", lambda *args, **more: ([], None))
    assert run(*erase(store_url, made.hers[0])).exit_code == 0
    set_off(0)
    finding = next(one for one in accused(store_url) if hold in one)
    assert "did not override" in finding


def test_a_hold_and_an_erasure_that_are_sealed_together_have_the_order_in_which_they_were_recorded(
    store_url: str, made: Recorded, set_off: SetOff, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setenv("XDG_DATA_HOME", "/nonexistent")  # where the key is not
        set_off(30)
        assert run(*erase(store_url, made.hers[0])).exit_code == 0
        set_off(0)
        assert run("hold", "place", "--all", "--ground", "inquiry", "--store", store_url).exit_code == 0
    assert run("seal", "--store", store_url).exit_code == 0
    (unsigned,) = accused(store_url)
    assert "no key of the ledger signed the record" in unsigned
    vouched = run("erase", "--finish", "--yes", "--store", store_url)
    assert vouched.exit_code == 0, vouched.stderr
    assert accused(store_url) == []
