"""Holds, releases and retention periods by a key that had been rotated away, or by nobody: no effect, and told."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from recorder.clock import SystemClock, id_bytes
from recorder.core.signed_facts import signed_facts
from recorder.ledger.keys import SigningKey
from tests.attacker import Attacker, name
from tests.commands import json_lines, run, told
from tests.erasing import GROUND, check_proofs, recorded
from tests.integration.test_erase_killed import killed
from tests.integration.test_foreign_key import erasure, findings, key_of_somebody, written
from tests.integration.test_holds_forged import (
    FIRST_OF_ALL,
    Facts,
    check_kept,
    done,
    forge,
    placed,
    release,
    set_days,
)
from tests.integration.test_retired_key import key_here, rotate

ERASE = ("--ground", GROUND, "--yes")
RELEASE = ("hold", "release")
CLOSED = ("--ground", "closed")


def told_by(key: SigningKey, url: str, act: tuple[str, Facts], journal: bytes | None = None) -> bytes:
    """Write down what a key has signed for the journal in which it stands."""
    here = journal or SystemClock().new_id()
    kind, facts = act
    with Attacker(url) as one:
        return written(one, (kind, _signed(key, kind, facts, here)), journal=here)


def _signed(key: SigningKey, kind: str, facts: Facts, journal: bytes) -> Facts:
    return signed_facts(kind, {**facts, "journal": name(journal)}, key.public, key.sign)


def report(url: str) -> dict[str, Any]:
    return dict(json.loads(run("verify", "--json", "--store", url).stdout))


def in_vain(url: str) -> list[dict[str, Any]]:
    return list(report(url).get("kept", {}).get("without_effect", []))


@pytest.mark.parametrize("journal", [None, FIRST_OF_ALL], ids=["the newest journal", "the oldest journal"])
def test_a_key_that_was_rotated_away_lifts_no_hold_and_sets_no_period(store_url: str, journal: bytes | None) -> None:
    made = recorded(store_url)
    hold, days = placed(store_url, made.hers[0]), set_days(store_url, 2555)
    stolen = key_here()
    rotate(store_url)
    told_by(stolen, store_url, release(hold), journal)
    check_kept(store_url, made.hers[0], hold["hold"])
    told_by(stolen, store_url, ("retention_set", {"days": 0, "by": "x", "replaces": days["journal"]}))
    check_kept(store_url, made.other, "by the retention period")
    (row,) = json_lines(run("hold", "list", "--json", "--store", store_url), "hold")
    assert (row["hold"], row["signed"]) == (hold["hold"], True)
    assert findings(store_url)[0] == set()
    done(store_url, *RELEASE, hold["hold"], *CLOSED)  # with the key of now
    set_days(store_url, 0)
    done(store_url, "erase", made.hers[0], *ERASE)
    assert findings(store_url)[0] == set()


def test_what_a_key_released_before_it_was_rotated_away_is_released(store_url: str) -> None:
    made = recorded(store_url)
    hold, kept = placed(store_url, made.hers[0]), placed(store_url, made.other)
    set_days(store_url, 2555)
    set_days(store_url, 0)
    done(store_url, *RELEASE, hold["hold"], *CLOSED)
    rotate(store_url)
    done(store_url, "erase", made.hers[0], *ERASE)
    assert kept["hold"] in told(run("erase", made.other, *ERASE, "--store", store_url), 1)
    assert in_vain(store_url) == []
    check_proofs(store_url)


def test_what_nobody_had_sealed_is_sealed_before_the_key_is_rotated_away(
    store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = recorded(store_url)
    with monkeypatch.context() as patched:
        patched.setattr("recorder.api.acts.seal_acts", lambda *args: "the disk is full")
        hold = placed(store_url, made.hers[0])
    rotate(store_url)
    (row,) = json_lines(run("hold", "list", "--json", "--store", store_url), "hold")
    assert row["signed"] is True
    forge(store_url, release(hold))
    check_kept(store_url, made.hers[0], hold["hold"])


@pytest.mark.parametrize("rule", ["hold", "retention"])
def test_an_erasure_after_a_release_by_a_retired_key_is_found(
    store_url: str, monkeypatch: pytest.MonkeyPatch, rule: str
) -> None:
    """By a program that asks nobody, and signs with the key of now."""
    made = recorded(store_url)
    facts = placed(store_url, made.hers[0]) if rule == "hold" else set_days(store_url, 2555)
    stolen = key_here()
    rotate(store_url)
    told_by(stolen, store_url, release(facts) if rule == "hold" else ("retention_set", {"days": 0, "by": "x"}))
    done(store_url, "seal")
    with monkeypatch.context() as patched:
        patched.setattr("recorder.api.erasing.reasons_to_keep", lambda *args, **more: ([], None))
        done(store_url, "erase", made.hers[0], *ERASE)
    assert findings(store_url)[0] == {("erasure", rule)}
    assert "did not override this" in report(store_url)["findings"][0]["detail"]


def test_an_erasure_and_a_release_by_a_retired_key_are_found(store_url: str) -> None:
    made = recorded(store_url)
    hold = placed(store_url, made.hers[0])
    stolen = key_here()
    rotate(store_url)
    with Attacker(store_url) as one:
        exchange = next(each for each in one.exchanges() if name(each) == made.hers[0])
        kind, facts = erasure(one, exchange)
        written(one, (kind, signed_facts(kind, facts, stolen.public, stolen.sign)))
        here = SystemClock().new_id()
        written(one, ("hold_released", _signed(stolen, *release(hold), here)), journal=here)
    for _ in range(2):
        assert findings(store_url)[0] == {("erasure", "authority"), ("erasure", "hold")}
        done(store_url, "seal")
    done(store_url, "erase", "--finish", "--yes")  # whoever is misled vouches for what a hold had forbidden
    assert findings(store_url)[0] == {("erasure", "hold")}


@pytest.mark.parametrize("by", ["the key of now", "the retired key"])
def test_that_it_was_carried_out_before_a_hold_is_the_word_of_no_key_that_was_rotated_away(
    store_url: str, by: str
) -> None:
    made = recorded(store_url)
    killed(store_url, "told")
    stolen = key_here()
    rotate(store_url)
    placed(store_url, "--all")
    key = stolen if by == "the retired key" else key_here()
    with Attacker(store_url) as one:
        one.erase(id_bytes(made.hers[0]))
        act = {"action": "erase", "by": "x", "result": "carried out", "of": f"exchange {made.hers[0]}"}
        written(one, ("accessed", signed_facts("accessed", act, key.public, key.sign)))
    for _ in range(2):
        assert findings(store_url)[0] == ({("erasure", "hold")} if key is stolen else set())
        done(store_url, "seal")


def unsigned(url: str, hold: Facts, stolen: SigningKey) -> None:
    forge(url, release(hold))


def by_somebody(url: str, hold: Facts, stolen: SigningKey) -> None:
    told_by(key_of_somebody(), url, release(hold))


def by_a_retired_key(url: str, hold: Facts, stolen: SigningKey) -> None:
    told_by(stolen, url, release(hold))


def copied(url: str, hold: Facts, stolen: SigningKey) -> None:
    forge(url, ("hold_placed", hold))


IN_VAIN: dict[str, tuple[Callable[[str, Facts, SigningKey], None], str]] = {
    "unsigned": (unsigned, "no key of the ledger signed it"),
    "by somebody": (by_somebody, "no key of the ledger signed it"),
    "by a retired key": (by_a_retired_key, "which signed it, had been rotated away by then"),
    "copied": (copied, "it was signed for another journal than the one in which it stands"),
}


@pytest.mark.parametrize("how", IN_VAIN)
def test_what_somebody_wrote_to_end_a_hold_is_told_though_it_has_no_effect(store_url: str, how: str) -> None:
    made = recorded(store_url)
    hold, stolen = placed(store_url, made.hers[0]), key_here()
    rotate(store_url)
    assert in_vain(store_url) == []
    assert run("hold", "list", "--store", store_url).stderr == ""
    forged, reason = IN_VAIN[how]
    forged(store_url, hold, stolen)
    for _ in range(2):
        (one,) = in_vain(store_url)
        assert (one["hold"], one["version"], one["by"]) == (
            hold["hold"],
            2,
            hold["by"] if how == "copied" else "officer",
        )
        assert reason in one["reason"]
        assert any("who wrote 1 of the records of holds" in sentence for sentence in report(store_url)["not_proved"])
        (row,) = json_lines(run("hold", "list", "--json", "--store", store_url), "hold")
        assert row["without_effect"] == [one]
        for told_in in (run("hold", "list", "--store", store_url).stderr, run("verify", "--store", store_url).stdout):
            (line,) = (line for line in told_in.splitlines() if reason in line)
            assert f"{one['type']}, hold {hold['hold']}, by " in line
            assert f"(version 2 of the journal {one['journal']})" in line
        assert findings(store_url)[0] == set()
        done(store_url, "seal")


def test_periods_without_effect_are_told_with_the_one_that_counts(store_url: str) -> None:
    made = recorded(store_url)
    set_days(store_url, 5, "--of", made.other)
    days = set_days(store_url, 2555)
    forge(store_url, ("retention_set", {"days": 0, "by": ["x"], "replaces": days["journal"]}))
    forge(store_url, ("retention_set", {"days": 1, "by": "x", "of": name(FIRST_OF_ALL), "hold": 5}))
    rows = json_lines(run("retention", "list", "--json", "--store", store_url), "retention")
    assert [(row["days"], len(row.get("without_effect", []))) for row in rows] == [(5, 0), (2555, 2)]
    assert rows[1]["without_effect"] == in_vain(store_url)
    assert not any("signed by no key" in sentence for sentence in report(store_url)["not_proved"])  # nothing keeps less
    result = run("retention", "list", "--store", store_url)
    (line,) = result.stderr.splitlines()
    assert "2 records have no effect: the last one: retention_set, 1 days of " in line
    set_days(store_url, 60)
    assert len(in_vain(store_url)) == 2
    set_days(store_url, 0)
    assert [one["days"] for one in in_vain(store_url)] == [0]
