"""Holds and retention periods where the key is, was, or is not: what is signed, what has an effect, what is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from recorder.core.holds import LONGEST_DAYS
from recorder.ledger import keys
from tests.commands import json_lines, run, told
from tests.contract.sealed import ORIGIN
from tests.erasing import GROUND, check_proofs, recorded, verified
from tests.integration.test_foreign_key import findings
from tests.integration.test_holds_forged import done, placed, set_days, told_of

ERASE = ("--ground", GROUND, "--yes")
RELEASE = ("hold", "release")
CLOSED = ("--ground", "closed")


def without_key(patched: pytest.MonkeyPatch, *, public: bool = False) -> None:
    """Take the private key away; where *public*, the public ones are known yet."""
    patched.setenv("RECORDER_SIGNING_KEY" if public else "XDG_DATA_HOME", "/nonexistent/none")


def test_what_is_recorded_where_the_key_is_is_signed_in_its_journal(store_url: str) -> None:
    recorded(store_url)
    hold = placed(store_url, "--all")
    done(store_url, *RELEASE, hold["hold"], *CLOSED)
    set_days(store_url, 30)
    for kind in ("hold_placed", "hold_released", "retention_set"):
        (facts,) = told_of(store_url, kind)
        assert {"signature", "journal"} <= facts.keys()
    (row,) = json_lines(run("retention", "list", "--json", "--store", store_url), "retention")
    assert row["signed"] is True
    assert "signed by no key" not in not_proved(store_url)
    assert findings(store_url)[0] == set()


@pytest.mark.parametrize("public", [True, False], ids=["its public half is known", "nothing is known of it"])
def test_what_would_be_without_effect_where_the_key_is_not_is_refused(
    store_url: str, monkeypatch: pytest.MonkeyPatch, public: bool
) -> None:
    made = recorded(store_url)
    hold = placed(store_url, made.hers[0])["hold"]
    set_days(store_url, 30)
    set_days(store_url, 60, "--of", "annakarenina")
    said = [told_of(store_url, kind) for kind in ("hold_released", "retention_set")]
    with monkeypatch.context() as patched:
        without_key(patched, public=public)
        for command, words in (
            ((*RELEASE, hold, *CLOSED), f"hold {hold} is signed with the ledger's key, and lifted by nothing else"),
            (("retention", "set", "--days", "0"), "the retention period that counts is signed"),
            (("retention", "set", "--days", "90"), "the retention period that counts is signed"),
            (("retention", "set", "--days", "90", "--of", made.hers[0]), "the retention period that counts is signed"),
            (("retention", "set", "--days", "29", "--of", made.other), "the retention period of everything is signed"),
        ):
            line = told(run(*command, "--store", store_url), 2)
            assert words in line
            assert f"nothing was recorded, as the signing key of {ORIGIN} is not here; do it where that key is" in line
        assert [told_of(store_url, kind) for kind in ("hold_released", "retention_set")] == said
        (row,) = json_lines(run("hold", "list", "--json", "--store", store_url), "hold")
        assert (row["hold"], row["signed"]) == (hold, True)
        assert hold in told(run("erase", made.hers[0], *ERASE, "--store", store_url), 1)
        done(store_url, "retention", "set", "--days", "31", "--of", made.other)  # what keeps for longer has an effect
        line = told(run("erase", made.other, *ERASE, "--store", store_url), 1)
        assert "by the retention period" in line
    done(store_url, *RELEASE, hold, *CLOSED)
    assert json_lines(run("hold", "list", "--json", "--store", store_url), "hold") == []


def test_what_keeps_is_recorded_where_the_key_is_not_and_anybody_lifts_it(
    store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = recorded(store_url)
    with monkeypatch.context() as patched:
        without_key(patched)
        result = run("hold", "place", made.hers[0], "--ground", "the case", "--store", store_url)
        hold = result.stdout.split()[1]
        (line,) = result.stderr.splitlines()
        assert "nor is it signed: whoever can write the database can undo it" in line
        set_days(store_url, LONGEST_DAYS)
        (row,) = json_lines(run("hold", "list", "--json", "--store", store_url), "hold")
        assert row["signed"] is False
        assert "2 of the holds and retention periods are signed by no key" in not_proved(store_url)
        done(store_url, *RELEASE, hold, *CLOSED)
        done(store_url, "retention", "set", "--days", "0")
    assert "signed by no key" not in not_proved(store_url)
    done(store_url, "erase", made.hers[0], *ERASE)
    check_proofs(store_url)


def not_proved(url: str) -> str:
    return " ".join(verified(url)["not_proved"])


def test_who_holds_the_key_lifts_what_nobody_signed(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = recorded(store_url)
    with monkeypatch.context() as patched:
        without_key(patched)
        hold = placed(store_url, made.hers[0])["hold"]
        set_days(store_url, 30)
    done(store_url, *RELEASE, hold, *CLOSED)
    set_days(store_url, 0)
    done(store_url, "erase", made.hers[0], *ERASE)
    check_proofs(store_url)


@pytest.mark.parametrize("moved", [False, True])
@pytest.mark.parametrize("rotated", [False, True])
def test_whichever_key_signed_it_and_wherever_it_is_now_it_counts(
    store_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, rotated: bool, moved: bool
) -> None:
    made = recorded(store_url)
    held = [placed(store_url, exchange)["hold"] for exchange in made.hers]
    set_days(store_url, 30)
    done(store_url, *RELEASE, held[0], *CLOSED)
    if rotated:
        done(store_url, "keys", "rotate")
        placed(store_url, made.other)  # the new key seals what the one before had sealed
    if moved:
        move_key(monkeypatch, tmp_path / "elsewhere")
    assert held[1] in told(run("erase", "annakarenina", *ERASE, "--store", store_url), 1)
    done(store_url, *RELEASE, held[1], *CLOSED)
    assert "by the retention period" in told(run("erase", "annakarenina", *ERASE, "--store", store_url), 1)
    set_days(store_url, 0)
    done(store_url, "erase", "annakarenina", *ERASE)
    check_proofs(store_url)


def move_key(monkeypatch: pytest.MonkeyPatch, to: Path) -> None:
    """Go on on a machine that has the private key, and knows of none that was before."""
    here = keys.private_file(ORIGIN)
    for variable in ("XDG_DATA_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(variable, str(to))
    there = keys.private_file(ORIGIN)
    there.parent.mkdir(parents=True)
    shutil.copy(here, there)
    assert keys.known(ORIGIN) == ()


def test_without_a_ledger_everybody_lifts_what_anybody_placed(store_url: str, tmp_path: Path) -> None:
    made = recorded(store_url)
    hold = placed(store_url, made.hers[0])["hold"]
    set_days(store_url, 30)
    lab = f"sqlite:///{tmp_path}/lab.db"
    copied(store_url, lab)
    assert hold in told(run("erase", made.hers[0], *ERASE, "--store", lab), 1)
    done(lab, *RELEASE, hold, *CLOSED)
    done(lab, "retention", "set", "--days", "0")
    (facts,) = told_of(lab, "hold_released")
    assert "signature" not in facts
    done(lab, "erase", made.hers[0], *ERASE)
    assert findings(lab)[0] == set()


def copied(url: str, to: str) -> None:
    assert run("db", "copy", "--without-ledger", "--from", url, "--to", to).exit_code == 0


def test_what_the_ledger_before_signed_is_lifted_by_the_key_of_the_one_after(
    store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = recorded(store_url)
    hold = placed(store_url, made.hers[0])["hold"]
    set_days(store_url, 30)
    new = f"sqlite:///{tmp_path}/new.db"
    copied(store_url, new)
    keys.private_file(ORIGIN).unlink()  # lost for good
    done(new, "keys", "init", "--origin", "example.test/new", "--after", store_url)
    done(new, "seal")
    with monkeypatch.context() as patched:
        without_key(patched, public=True)
        assert "is signed" in told(run(*RELEASE, hold, *CLOSED, "--store", new), 2)
    done(new, *RELEASE, hold, *CLOSED)
    set_days(new, 0)
    done(new, "erase", made.hers[0], *ERASE)
    assert findings(new)[0] == set()
