"""What an audit says of erasures in spite of what had to be kept, whatever somebody made up to hide that."""

from __future__ import annotations

import json
import time

import pytest

from recorder.clock import id_bytes
from tests.attacker import Attacker
from tests.commands import run
from tests.erasing import GROUND, Recorded, check_proofs, recorded
from tests.integration.test_erase_killed import killed
from tests.integration.test_foreign_key import erasure, written
from tests.integration.test_holds_forged import FIRST_OF_ALL, done, forge, placed, release, set_days, told_of

ERASE = ("--ground", GROUND, "--yes")


def accused(url: str) -> dict[tuple[str, str], str]:
    """Return what an audit finds wrong with erasures: the words, by the exchange and the field."""
    found = json.loads(run("verify", "--json", "--store", url).stdout)["findings"]
    assert {one["kind"] for one in found} <= {"erasure", "clock", "back_dated"}, found
    return {(one["exchange"], one["field"]): one["detail"] for one in found if one["kind"] == "erasure"}


@pytest.mark.parametrize("kept", ["hold", "retention"])
@pytest.mark.parametrize("how", ["with the key", "without it"])
def test_an_erasure_after_a_release_that_was_made_up_is_found(
    store_url: str, monkeypatch: pytest.MonkeyPatch, kept: str, how: str
) -> None:
    """By a program that asks nobody; where it was done without the key, somebody else is misled, and vouches for it."""
    made = recorded(store_url)
    facts = placed(store_url, made.hers[0]) if kept == "hold" else set_days(store_url, 2555)
    forged = release(facts) if kept == "hold" else ("retention_set", {"days": 0, "by": "x"})
    forge(store_url, forged)
    done(store_url, "seal")
    with monkeypatch.context() as patched:
        patched.setattr("recorder.api.erasing.reasons_to_keep", lambda *args, **more: ([], None))
        if how == "without it":
            patched.setenv("XDG_DATA_HOME", "/nonexistent/none")
        done(store_url, "erase", made.hers[0], *ERASE)
    if how == "without it":
        assert set(accused(store_url)) == {(made.hers[0], "authority"), (made.hers[0], kept)}
        done(store_url, "erase", "--finish", "--yes")
    ((place, words),) = accused(store_url).items()
    assert place == (made.hers[0], kept)
    assert "did not override this" in words
    forge(store_url, forged, journal=FIRST_OF_ALL)
    assert set(accused(store_url)) == {place}


@pytest.mark.parametrize("kept", ["hold", "hold that ends", "retention"])
@pytest.mark.parametrize("ahead", [0, 600, -600])
def test_what_was_recorded_before_something_forbade_it_and_carried_out_after_is_found(
    store_url: str, monkeypatch: pytest.MonkeyPatch, kept: str, ahead: float
) -> None:
    """Whatever the clocks say, of the host that placed the hold too."""
    made = recorded(store_url)
    killed(store_url, "told")
    really = time.time_ns
    with monkeypatch.context() as patched:
        patched.setattr("time.time_ns", lambda: really() + round(ahead * 1e9))
        if kept == "retention":
            set_days(store_url, 2555)
        else:
            placed(store_url, "--all", *(("--until", "2099-01-01") if kept == "hold that ends" else ()))
    assert accused(store_url) == {}
    with Attacker(store_url) as one:
        one.erase(id_bytes(made.hers[0]))
    check_found(store_url, made, kept.split()[0])
    write_record_once_more(store_url, made.hers[0])
    check_found(store_url, made, kept.split()[0])
    done(store_url, "seal")
    check_found(store_url, made, kept.split()[0])
    done(store_url, "erase", "--finish", "--yes", "--override-hold", "--approved-by", "the board")
    assert accused(store_url) == {}


def check_found(url: str, made: Recorded, field: str) -> None:
    ((place, words),) = accused(url).items()
    assert place == (made.hers[0], field)
    assert "nothing says that it was carried out before this" in words
    assert words.endswith("vouches for that with `recorder erase --finish`")


def write_record_once_more(url: str, exchange: str) -> None:
    """Copy a record as if it had been made when the hold is over, into the journal that is read first."""
    (facts,) = (facts for facts in told_of(url, "payload_erased") if facts["exchange"] == exchange)
    with Attacker(url) as one:
        journal = written(one, ("payload_erased", facts), journal=FIRST_OF_ALL)
        late = 5_000_000_000_000_000_000
        one.change(journal, lambda events: [event._replace(wall_ns=late + event.version) for event in events])


def test_whoever_carried_it_out_before_vouches_for_that(store_url: str) -> None:
    made = recorded(store_url)
    killed(store_url, "told")
    with Attacker(store_url) as one:  # as what died in the transaction's commit would have left it
        for exchange in made.hers:
            one.erase(id_bytes(exchange))
    placed(store_url, "--all")
    assert set(accused(store_url)) == {(exchange, "hold") for exchange in made.hers}
    result = run("erase", "--finish", *("--yes", "--override-hold", "--approved-by", "the board", "--store", store_url))
    assert result.exit_code == 0, result.stderr
    assert "vouched for: 2 records" in result.stdout
    assert accused(store_url) == {}


@pytest.mark.parametrize("rule", ["hold", "retention"])
def test_what_was_carried_out_is_not_accused_of_what_came_after(store_url: str, rule: str) -> None:
    made = recorded(store_url)
    done(store_url, "erase", made.hers[0], *ERASE)
    if rule == "hold":
        placed(store_url, "--all")
    else:
        set_days(store_url, 2555)
    write_record_once_more(store_url, made.hers[0])
    assert accused(store_url) == {}
    done(store_url, "seal")
    assert accused(store_url) == {}


def test_a_period_that_was_over_when_it_was_set_forbids_nothing(
    store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = recorded(store_url)
    killed(store_url, "told")
    with Attacker(store_url) as one:
        for exchange in made.hers:
            one.erase(id_bytes(exchange))
    really = time.time_ns
    with monkeypatch.context() as patched:
        patched.setattr("time.time_ns", lambda: really() + 3 * 86_400 * 10**9)
        set_days(store_url, 2)
    assert accused(store_url) == {}


def test_a_record_that_somebody_dated_back_is_not_what_was_decided(store_url: str) -> None:
    """Whoever vouches is misled; that the record seems to have been there before the hold saves nobody."""
    made = recorded(store_url)
    before = time.time_ns()
    facts = placed(store_url, made.hers[0])
    forge(store_url, release(facts))
    with Attacker(store_url) as one:
        act = erasure(one, id_bytes(made.hers[0]), overrides=[])
        dated(one, written(one, act), before)
    done(store_url, "erase", "--finish", "--yes")
    for _ in range(2):
        assert set(accused(store_url)) == {(made.hers[0], "hold")}
        done(store_url, "seal")
    with Attacker(store_url) as one:
        dated(one, written(one, act, journal=FIRST_OF_ALL), before)
        if store_url.startswith("sqlite"):
            one.run("UPDATE events SET position = -position WHERE stream = ?", FIRST_OF_ALL)
    assert set(accused(store_url)) == {(made.hers[0], "hold")}


def dated(one: Attacker, journal: bytes, at_ns: int) -> None:
    one.change(journal, lambda events: [event._replace(wall_ns=at_ns) for event in events])


def test_proofs_hold_of_a_store_whose_holds_are_signed(store_url: str) -> None:
    made = recorded(store_url)
    hold = placed(store_url, "annakarenina")["hold"]
    set_days(store_url, 30)
    set_days(store_url, 0)
    done(store_url, "hold", "release", hold, "--ground", "closed")
    done(store_url, "erase", "annakarenina", *ERASE)
    check_proofs(store_url)
    done(store_url, "erase", made.other, *ERASE)
    check_proofs(store_url)
