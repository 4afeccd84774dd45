"""Somebody writes into a journal what is to have the tools do, or believe, what he wants."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from recorder.clock import id_bytes
from recorder.ledger import keys
from recorder.store import open_store
from recorder.store.erased import acts_of_types, erased_streams
from tests.attacker import Attacker
from tests.commands import run, told
from tests.contract.sealed import ORIGIN
from tests.erasing import GROUND, erase, recorded, told_erasures, verified
from tests.integration.test_erase_killed import killed
from tests.integration.test_foreign_key import findings, written

FIRST_OF_ALL = bytes(15) + b"1"
SPITE = ("--override-hold", "--approved-by", "the board")


def gone(url: str) -> frozenset[bytes]:
    with closing(open_store(url, write=False)) as store:
        return erased_streams(store)


@pytest.mark.parametrize(
    "kept",
    [("hold", "place", "--all", "--ground", "order 4711"), ("retention", "set", "--days", "2555")],
    ids=["hold", "period"],
)
def test_what_completing_an_erasure_overrides_is_on_record(store_url: str, kept: tuple[str, ...]) -> None:
    recorded(store_url)
    killed(store_url, "told")
    assert run(*kept, "--store", store_url).exit_code == 0
    told(run("erase", "--finish", "--yes", "--store", store_url), 1)
    assert gone(store_url) == frozenset()
    result = run("erase", "--finish", "--yes", *SPITE, "--store", store_url)
    assert result.exit_code == 0, result.stderr
    assert len(gone(store_url)) == 4
    over = [facts for facts in told_erasures(store_url) if "overrides" in facts]
    assert {facts["exchange"] for facts in over} == {facts["exchange"] for facts in told_erasures(store_url)}
    grounds = {facts["ground"] for facts in told_erasures(store_url)}
    assert {(facts["approved_by"], facts["ground"]) for facts in over} == {("the board", ground) for ground in grounds}
    assert findings(store_url)[0] == set()


def test_finishing_carries_nothing_out_that_nobody_signed(store_url: str) -> None:
    made = recorded(store_url)
    with Attacker(store_url) as one:
        facts = {"exchange": made.other, "events": 9, "bytes": 1, "ground": "art. 17", "by": "officer"}
        written(one, ("payload_erased", facts))
    result = run("erase", "--finish", "--yes", "--store", store_url)
    assert result.exit_code == 0, result.stderr
    assert gone(store_url) == frozenset()
    assert all("vouched_by" not in facts for facts in told_erasures(store_url))


def test_a_copy_of_a_signature_under_other_words_displaces_nothing(store_url: str) -> None:
    made = recorded(store_url)
    erase(store_url, made.hers[0])
    (real,) = (facts for facts in told_erasures(store_url) if facts["exchange"] == made.hers[0])
    with Attacker(store_url) as one:
        written(one, ("payload_erased", {**real, "ground": "another one"}), journal=FIRST_OF_ALL)
    assert run("seal", "--store", store_url).exit_code == 0
    assert findings(store_url)[0] == set()


@pytest.mark.parametrize(
    "act",
    [
        ("payload_erased", {"events": 1, "ground": "g", "by": "x"}),
        ("payload_erased", {"exchange": ["a"], "events": 1}),
        ("hold_placed", {"hold": "h", "all": True, "ground": "g", "by": "x", "until_ns": 10**40}),
        ("retention_set", {"days": 10**60, "by": "x"}),
        ("retention_set", {"days": 1, "by": "x", "of": ["a"]}),
    ],
    ids=lambda act: act[0],
)
def test_facts_that_say_nothing_are_told_in_a_line(store_url: str, act: tuple[str, dict[str, Any]]) -> None:
    made = recorded(store_url)
    with Attacker(store_url) as one:
        written(one, act)
    for command in (
        ("erase", "--finish", "--yes"),
        ("hold", "list"),
        ("retention", "list"),
        ("erase", made.other, "--ground", GROUND, "--yes"),
    ):
        result = run(*command, "--store", store_url)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        if result.exit_code:
            assert "run `recorder verify`" in result.stderr
    assert run("verify", "--store", store_url).exit_code == 1


def test_words_of_a_made_up_record_are_shown_and_stop_nothing(store_url: str) -> None:
    made = recorded(store_url)
    erase(store_url, made.hers[0])
    with Attacker(store_url) as one:
        written(one, ("payload_erased", {"exchange": made.hers[0], "events": 1, "vouched_by": [1], "by": {"a": 1}}))
    result = run("verify", "--store", store_url)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "NOT SIGNED" in result.stdout


def test_a_ledger_that_somebody_says_was_there_before_vouches_for_nothing(store_url: str, tmp_path: Path) -> None:
    made = recorded(store_url)
    lab = f"sqlite:///{tmp_path}/lab.db"
    assert run("db", "copy", "--without-ledger", "--from", store_url, "--to", lab).exit_code == 0
    assert run("keys", "init", "--origin", "example.test/lab", "--store", lab).exit_code == 0
    assert run("erase", made.other, "--ground", "clean up", "--yes", "--store", lab).exit_code == 0
    with closing(open_store(lab, write=False)) as store:
        told_there = [one.facts for one in acts_of_types(store, ("payload_erased",))]
    (record,) = (facts for facts in told_there if facts["exchange"] == made.other)
    key = keys.load(ORIGIN)
    assert key is not None
    succeeds = {"origin": "example.test/lab", "leaves": 0, "signed": 0, "checkpoint": "", "by": "x"}
    with Attacker(store_url) as one:
        one.erase(id_bytes(made.other))
        written(one, ("payload_erased", record), ("key_created", {"key": key.public.text, "succeeds": succeeds}))
    assert run("seal", "--store", store_url).exit_code == 0
    assert findings(store_url)[0] == {("erasure", "authority")}
    report = json.loads(run("verify", "--json", "--store", store_url).stdout)
    assert "example.test/lab" not in " ".join(report["not_proved"])
    assert verified(store_url)["verdicts"]["complete_in_range"] == "yes"
