"""What is said of erasures: on whose authority each was, how many of what, and which were only recorded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from recorder.clock import id_bytes
from recorder.locations import signed_checkpoints
from tests.attacker import Attacker
from tests.bundles import members
from tests.commands import run
from tests.erasing import GROUND, Recorded, erase, recorded, verified
from tests.integration.test_erase_killed import killed
from tests.integration.test_foreign_key import findings
from tests.recorded import ROOT


def emptied_by_hand(url: str, exchange: str) -> None:
    with Attacker(url) as one:
        one.erase(id_bytes(exchange))


@pytest.mark.parametrize("held", [False, True])
def test_a_record_is_no_licence_to_empty_what_a_hold_keeps_since(store_url: str, held: bool) -> None:
    made = recorded(store_url)
    killed(store_url, "told")  # recorded, signed and sealed; nothing is emptied
    if held:
        assert run("hold", "place", made.hers[0], "--ground", "the case", "--store", store_url).exit_code == 0
    emptied_by_hand(store_url, made.hers[0])
    found, _ = findings(store_url)
    assert found == ({("erasure", "hold")} if held else set())


def test_a_hold_of_everything_after_an_erasure_contradicts_nothing(store_url: str) -> None:
    made = recorded(store_url)
    erase(store_url, made.hers[0])
    assert run("hold", "place", "--all", "--ground", "the case", "--store", store_url).exit_code == 0
    assert verified(store_url)["findings"] == []


def test_what_was_carried_out_by_a_process_that_died_before_it_said_so_is_vouched_for(store_url: str) -> None:
    made = recorded(store_url)
    killed(store_url, "done and not said")
    assert findings(store_url)[0] == set()
    assert run("hold", "place", "--all", "--ground", "the case", "--store", store_url).exit_code == 0
    assert findings(store_url)[0] == {("erasure", "hold")}  # it may have been done by hand, after the hold
    result = run("erase", "--finish", "--yes", "--store", store_url)
    assert result.exit_code == 0, result.stderr
    assert made.hers[0] in result.stderr
    assert findings(store_url)[0] == set()


def test_the_same_command_again_vouches_for_what_died_before_it_said_so(store_url: str) -> None:
    made = recorded(store_url)
    killed(store_url, "done and not said")
    assert run("hold", "place", "--all", "--ground", "the case", "--store", store_url).exit_code == 0
    assert findings(store_url)[0] == {("erasure", "hold")}
    erased = {one["exchange"] for one in verified(store_url)["erased"]["records"]}
    again = ("--ground", GROUND, "--yes", "--store", store_url)
    first = run("erase", made.hers[0], *again)  # the conversation has no name any more
    assert (first.exit_code, "vouched for: 1 record" in first.stdout) == (0, True), first.stderr
    for one in sorted(erased - {made.hers[0]}):
        run("erase", one, *again)
    assert findings(store_url)[0] == set()
    last = run("erase", made.hers[0], *again)
    assert "vouched for" not in last.stdout


SPITE = ("--override-hold", "--approved-by", "the board")


@pytest.fixture
def overridden(store_url: str) -> Recorded:
    """Record, and erase a conversation in spite of a hold; something else is erased as the rules have it."""
    made = recorded(store_url)
    assert run("hold", "place", made.hers[0], "--ground", "the case", "--store", store_url).exit_code == 0
    erase(store_url, "annakarenina", *SPITE)
    return made


def is_valid(schema: str, shown: dict[str, Any]) -> None:
    Draft202012Validator(json.loads((ROOT / "docs" / "schema" / schema).read_text())).validate(shown)


def test_verify_says_on_whose_authority_and_counts_each_kind(store_url: str, overridden: Recorded) -> None:
    report = verified(store_url)
    is_valid("verify.schema.json", report)
    erased = report["erased"]
    assert (erased["exchanges"], erased["names"], erased["links"]) == (2, 1, 1)
    assert "not_carried_out" not in erased
    (record,) = [one for one in erased["records"] if one["exchange"] == overridden.hers[0]]
    assert record["approved_by"] == "the board"
    assert record["ground"] == GROUND
    assert record["signed"] is True
    assert len(record["overrides"]) == 1
    lines = run("verify", "--store", store_url).stdout.splitlines()
    (count,) = [line for line in lines if "erased in" in line]
    assert count.endswith("erased in 2 exchanges, 1 conversation name, 1 link:")
    (line,) = [line for line in lines if overridden.hers[0][-8:] in line]
    for words in (record["by"], "approved by the board", record["overrides"][0], GROUND):
        assert words in line
    assert "NOT SIGNED" not in line


def test_a_bundle_says_the_same(store_url: str, overridden: Recorded, tmp_path: Path) -> None:
    out = tmp_path / "e.zip"
    assert run("bundle", "--order", "1", "-o", str(out), "--store", store_url).exit_code == 0
    shown = json.loads(run("verify", "--bundle", str(out), "--json").stdout)
    is_valid("bundle.schema.json", shown)
    (record,) = [one for one in shown["erasures"] if one["stream"] == overridden.hers[0]]
    assert (record["kind"], record["approved_by"], record["signed"]) == ("exchange", "the board", True)
    lines = run("verify", "--bundle", str(out)).stdout.splitlines()
    (line,) = [line for line in lines if f"exchange {overridden.hers[0]} erased" in line]
    for words in (record["by"], "approved by the board", "in spite of", GROUND):
        assert words in line
    cover = members(out)["COVER.html"].decode()
    assert "approved by the board" in cover
    assert GROUND in cover


def test_what_cannot_be_sealed_is_recorded_and_says_how_to_go_on(store_url: str, own_home: Path) -> None:
    made = recorded(store_url)
    state = signed_checkpoints(b"").parent
    away = state.rename(state.with_name("away"))
    state.touch()
    result = run("erase", made.other, "--ground", GROUND, "--yes", "--store", store_url)
    assert result.exit_code not in (0, 1)
    (line,) = result.stderr.splitlines()
    for words in ("the erasure is recorded", "nothing was emptied yet", "the same command run again", "--finish"):
        assert words in line
    state.unlink()
    away.rename(state)
    assert run("seal", "--store", store_url).exit_code == 0
    report = verified(store_url)
    is_valid("verify.schema.json", report)
    assert report["erased"]["payloads"] == 0
    assert report["erased"]["records"] == []
    assert [one["exchange"] for one in report["erased"]["not_carried_out"]] == [made.other]
    shown = run("verify", "--store", store_url).stdout
    assert "recorded, not carried out" in shown
    assert "payloads erased" not in shown
    assert run("hold", "place", made.other, "--ground", "the case", "--store", store_url).exit_code == 0
    for command in (["--finish"], [made.other, "--ground", GROUND]):
        assert run("erase", *command, "--yes", "--store", store_url).exit_code == 1
    held = run("hold", "list", "--json", "--store", store_url)
    hold = json.loads(held.stdout.splitlines()[0])["hold"]
    assert run("hold", "release", hold, "--ground", "over", "--store", store_url).exit_code == 0
    erase(store_url, made.other)
    report = verified(store_url)
    assert report["findings"] == []
    assert [one["exchange"] for one in report["erased"]["records"]] == [made.other]
    assert "not_carried_out" not in report["erased"]
