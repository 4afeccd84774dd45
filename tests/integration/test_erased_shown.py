"""What readers say of what was erased: on whose word, whether anybody signed that, and what it had belonged to."""

from __future__ import annotations

from pathlib import Path

import pytest

from recorder.clock import id_bytes
from tests.attacker import Attacker
from tests.commands import json_lines, run
from tests.erasing import Recorded, erase, recorded
from tests.integration.test_foreign_key import erasure, written

UNSIGNED = "NOT SIGNED by the ledger's key"


def made_up(url: str) -> Recorded:
    """Record, take the content of an exchange away, and make up a record of its erasure."""
    made = recorded(url)
    with Attacker(url) as one:
        written(one, erasure(one, id_bytes(made.hers[1])))
    return made


def test_readers_say_that_nobody_signed_the_record(store_url: str) -> None:
    made = made_up(store_url)
    assert "erased" in run("list", "--store", store_url).stdout
    for command in (["show", made.hers[1]], ["trace", "order:1"]):
        assert UNSIGNED in run(*command, "--store", store_url).stdout
    (found,) = json_lines(run("trace", "order:1", "--json", "--store", store_url), "trace")
    assert [step["erased"]["signed"] for step in found["steps"] if "erased" in step] == [False]
    for form in ("markdown", "html", "json"):
        assert "NOT SIGNED by the ledger" in run("export", made.hers[1], "--format", form, "--store", store_url).stdout


@pytest.mark.parametrize("known", ["known", "unknown"])
def test_of_what_the_key_signed_nothing_is_said(
    store_url: str, known: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = recorded(store_url)
    erase(store_url, made.hers[1])
    if known == "unknown":
        for variable in ("XDG_DATA_HOME", "XDG_STATE_HOME"):
            monkeypatch.setenv(variable, str(tmp_path))
    for command in (["show", made.hers[1]], ["trace", "order:1"]):
        assert UNSIGNED not in run(*command, "--store", store_url).stdout
    (found,) = json_lines(run("trace", "order:1", "--json", "--store", store_url), "trace")
    told = [step["erased"].get("signed") for step in found["steps"] if "erased" in step]
    assert told == [True if known == "known" else None]


def test_a_record_that_nobody_signed_does_not_displace_one_that_the_key_signed(store_url: str) -> None:
    made = recorded(store_url)
    with Attacker(store_url) as one:
        told = {"exchange": made.hers[1], "events": 1, "bytes": 1, "ground": "spite", "by": "somebody"}
        written(one, ("payload_erased", told))
    erase(store_url, made.hers[1])
    shown = run("show", made.hers[1], "--store", store_url).stdout
    assert "art. 17" in shown
    assert UNSIGNED not in shown


def test_a_conversation_that_was_erased_whole_keeps_its_id(store_url: str) -> None:
    made = recorded(store_url)
    (before,) = json_lines(run("trace", "order:1", "--json", "--store", store_url), "trace")
    erase(store_url, "annakarenina")
    (after,) = json_lines(run("trace", "order:1", "--json", "--store", store_url), "trace")
    assert after["conversation"] == before["conversation"]
    assert after["conversation"] not in made.hers
    lines = run("trace", "order:1", "--store", store_url).stdout.splitlines()
    (line,) = [one for one in lines if one.startswith("  conversation")]
    assert line.split()[1] == before["conversation"]
    assert line.endswith("nothing of it is there any more")
