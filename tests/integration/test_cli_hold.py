"""Holds and retention periods: what has to be kept is not erased, unless somebody answers for it."""

from __future__ import annotations

import json
from contextlib import closing

import pytest

from recorder.clock import SystemClock
from recorder.core.holds import DAY_NS
from recorder.core.json_text import rfc3339
from recorder.store import open_store
from recorder.store.erased import erased_streams
from tests.commands import json_lines, run, told
from tests.erasing import GROUND, check_proofs, recorded, told_erasures


def refused(url: str, identity: str, *more: str) -> str:
    """Try to erase something that is held; return the line that says why not."""
    line = told(run("erase", identity, "--ground", GROUND, "--yes", *more, "--store", url), 1)
    with closing(open_store(url, write=False)) as store:
        assert erased_streams(store) == frozenset()
    assert told_erasures(url) == []
    return line


def held(url: str, *arguments: str) -> str:
    result = run("hold", "place", *arguments, "--ground", "the case of 2026", "--store", url)
    assert result.exit_code == 0, result.stderr
    return result.stdout.split()[1]


@pytest.mark.parametrize("what", ["exchange", "conversation", "all"])
def test_a_hold_refuses_it_until_it_is_released(store_url: str, what: str) -> None:
    made = recorded(store_url)
    hold = held(store_url, {"exchange": made.hers[1], "conversation": "annakarenina", "all": "--all"}[what])
    for identity in ("annakarenina", made.hers[1]):
        line = refused(store_url, identity)
        assert hold in line
        assert "the case of 2026" in line
    assert run("hold", "release", hold[-8:], "--ground", "it is over", "--store", store_url).exit_code == 0
    result = run("erase", made.hers[1], "--ground", GROUND, "--yes", "--store", store_url)
    assert result.exit_code == 0, result.stderr
    check_proofs(store_url)


def test_a_hold_of_something_else_keeps_nothing_of_it(store_url: str) -> None:
    made = recorded(store_url)
    held(store_url, made.hers[0])
    assert run("erase", made.other, "--ground", GROUND, "--yes", "--store", store_url).exit_code == 0


def test_an_override_says_who_approved_it_and_is_recorded(store_url: str) -> None:
    made = recorded(store_url)
    hold = held(store_url, "--all")
    assert run("retention", "set", "--days", "30", "--store", store_url).exit_code == 0
    command = ["erase", made.hers[0], "--ground", GROUND, "--yes", "--override-hold", "--store", store_url]
    assert "--approved-by" in told(run(*command), 2)
    assert told_erasures(store_url) == []
    assert run(*command, "--approved-by", "the judge").exit_code == 0
    (facts,) = told_erasures(store_url)
    assert (facts["approved_by"], facts["overrides"]) == ("the judge", [hold, "retention"])


def test_a_retention_period_refuses_it(store_url: str) -> None:
    made = recorded(store_url)
    assert run("retention", "set", "--days", "30", "--store", store_url).exit_code == 0
    until = rfc3339(SystemClock().wall_ns() + 30 * DAY_NS)[:10]
    assert f"is kept until {until}" in refused(store_url, made.hers[0])
    assert run("retention", "set", "--days", "0", "--of", "annakarenina", "--store", store_url).exit_code == 0
    refused(store_url, made.other)
    rows = json_lines(run("retention", "list", "--json", "--store", store_url), "retention")
    assert [(row["days"], "of" in row) for row in rows] == [(30, False), (0, True)]
    assert run("erase", made.hers[0], "--ground", GROUND, "--yes", "--store", store_url).exit_code == 0


def test_holds_are_listed(store_url: str) -> None:
    made = recorded(store_url)
    assert run("hold", "list", "--store", store_url).stderr == "nothing is held\n"
    hold = held(store_url, made.hers[0], "--until", "2099-01-01")
    (row,) = json_lines(run("hold", "list", "--json", "--store", store_url), "hold")
    assert (row["hold"], row["exchange"], row["until"]) == (hold, made.hers[0], "2099-01-01T00:00:00.000000000Z")
    assert "the case of 2026" in run("hold", "list", "--store", store_url).stdout
    assert json.loads(run("hold", "list", "--json", "--store", store_url).stdout)["by"]


def test_bad_input_of_holds(store_url: str) -> None:
    recorded(store_url)
    options = ["--ground", "x", "--store", store_url]
    assert "give the ID" in told(run("hold", "place", *options), 2)
    assert "give the ID" in told(run("hold", "place", "annakarenina", "--all", *options), 2)
    assert "future" in told(run("hold", "place", "--all", "--until", "2001-01-01", *options), 2)
    assert "ground is empty" in told(run("hold", "place", "--all", "--ground", " ", "--store", store_url), 2)
    assert "no hold goes by" in told(run("hold", "release", "123", *options), 1)
    assert "days" in told(run("retention", "set", "--days", "-1", "--store", store_url), 2)
