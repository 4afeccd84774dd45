"""``recorder verify`` on what a recorder has recorded: verdicts, options, the words for people."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import requests
from jsonschema import Draft202012Validator

from recorder import Recorder
from recorder.clock import SystemClock
from recorder.ledger import keys
from recorder.ledger.audit_state import State
from recorder.ledger.tally import Tally
from tests.attacker import Attacker
from tests.commands import run, told
from tests.loopback import Script, serve
from tests.recorded import ask, streams

ORIGIN = "example.com/bot"
SCHEMA = json.loads((Path(__file__).parents[2] / "docs/schema/verify.schema.json").read_text())


def record(url: str, turns: int = 2) -> None:
    """Record a conversation with a link to an order."""
    with serve(Script(chunks=4)) as server, Recorder(url) as recorder:
        session = recorder.mount(requests.Session())
        with recorder.conversation("desk", tags={"bot": "elion"}):
            for turn in range(turns):
                response = ask(session, server.url, str(turn))
                assert response.content
        recorder.link(kind="order", id="12345", exchange=response)


@pytest.fixture
def sealed_url(sealed_url: str) -> str:
    """What two recorder processes recorded, sealed."""
    record(sealed_url)
    record(sealed_url)
    return sealed_url


def verified(url: str, *options: str, code: int = 0) -> dict[str, Any]:
    done = run("verify", "--json", "--store", url, *options)
    assert (done.exit_code, done.stderr) == (code, ""), done.output
    report: dict[str, Any] = json.loads(done.stdout)
    Draft202012Validator(SCHEMA).validate(report)
    return report


def test_what_was_recorded_is_whole_and_by_whom_only_a_key_from_elsewhere_tells(sealed_url: str) -> None:
    report = verified(sealed_url)
    assert report["verdicts"] == {
        "authentic": "not proved",
        "unmodified": "yes",
        "complete_in_range": "yes",
        "bounded_in_time": "not proved",
        "fresh": "yes",
    }
    assert (report["journals"]["processes"], report["journals"]["announced"], report["exchanges"]) == (2, 4, 4)
    assert report["ledger"]["outside"] == report["ledger"]["checkpoints"] > 0
    assert any("no key was given" in sentence for sentence in report["not_proved"])
    (key,) = keys.known(ORIGIN)
    for named in (key.text, keys.fingerprint(key), keys.fingerprint(key).replace(" ", "").upper()):
        assert verified(sealed_url, "--key", named)["verdicts"]["authentic"] == "yes"


@pytest.mark.parametrize("key", ["zz", "abcd", "", "ab " * 33])
@pytest.mark.parametrize("what", ["the store", "a bundle"])
def test_what_is_no_key_is_told_what_a_fingerprint_is(what: str, key: str, sealed_url: str, tmp_path: Path) -> None:
    bundle = ("--bundle", str(tmp_path / "evidence.zip"))
    if what == "a bundle":
        made = run("bundle", "--since", "2001-01-01", "-o", bundle[1], "--store", sealed_url)
        assert made.exit_code == 0, made.stderr
    asked = ("--store", sealed_url) if what == "the store" else bundle
    line = told(run("verify", "--key", key, *asked), 2)
    assert repr(" ".join(key.split())[:200]) in line
    assert "64 hexadecimal digits, as `recorder keys show` prints it" in line
    assert "by another way than" in line


def test_another_key_is_a_finding(sealed_url: str) -> None:
    report = verified(sealed_url, "--key", "ab" * 32, code=1)
    assert [finding["kind"] for finding in report["findings"]] == ["key"]
    assert (report["verdicts"]["authentic"], report["verdicts"]["unmodified"]) == ("no", "yes")
    other = keys.create("example.com/other", SystemClock()).public
    report = verified(sealed_url, "--key", other.text, code=1)
    assert "the ledger has the name example.com/bot" in report["findings"][0]["detail"]


def test_the_words_for_an_auditor(sealed_url: str) -> None:
    done = run("verify", "--store", sealed_url)
    assert done.exit_code == 0
    assert "not proved  it was sealed by the holder of a key that you named" in done.stdout
    assert "4 exchanges announced, processes that keep journals: 2" in done.stdout
    assert f"key {keys.fingerprint(keys.known(ORIGIN)[0])}" in done.stdout


def test_several_processes_find_what_one_finds(sealed_url: str) -> None:
    with Attacker(sealed_url) as attacker:
        for exchange in attacker.exchanges()[:3]:
            attacker.run("UPDATE events SET flags = flags + 1 WHERE stream = ? AND version = 3", exchange)
    one, three = verified(sealed_url, "--jobs", "1", code=1), verified(sealed_url, "--jobs", "3", code=1)
    assert len(one["findings"]) == 3
    assert one["freshness"].pop("lag_s", None) == three["freshness"].pop("lag_s", None)
    assert one == three


def test_what_is_outside_may_lie_elsewhere(sealed_url: str, own_home: Path, tmp_path: Path) -> None:
    (file,) = own_home.glob("recorder/ledgers/*.checkpoints")
    elsewhere = file.rename(tmp_path / "kept")
    report = verified(sealed_url)
    assert report["ledger"]["outside"] == 0
    assert any("put back to an older state" in sentence for sentence in report["not_proved"])
    assert verified(sealed_url, "--outside", str(elsewhere))["ledger"]["outside"] > 0
    assert verified(sealed_url, "--checkpoint", str(elsewhere))["ledger"]["outside"] > 0
    assert run("verify", "--outside", str(file), "--store", sealed_url).exit_code == 2


def test_views_are_compared_where_that_is_asked_for(sealed_url: str) -> None:
    assert not any("--views" in sentence for sentence in verified(sealed_url, "--views")["not_proved"])
    with Attacker(sealed_url) as attacker:
        attacker.run("UPDATE exchange_rows SET status = 404")
    assert any("--views" in sentence for sentence in verified(sealed_url)["not_proved"])
    report = verified(sealed_url, "--views", code=1)
    assert {finding["kind"] for finding in report["findings"]} == {"projection"}
    assert report["verdicts"]["unmodified"] == "yes"


def test_an_interrupted_audit_goes_on(sealed_url: str, tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    whole = verified(sealed_url, "--resume", str(file))
    assert not file.exists()
    assert whole["verdicts"]["unmodified"] == "yes"
    file.write_text("{}")
    refused = run("verify", "--resume", str(file), "--store", sealed_url)
    assert (refused.exit_code, "not the state of an audit" in refused.stderr) == (2, True)


def test_an_audit_that_goes_on_says_what_it_has_not_read_again(
    sealed_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, kept = tmp_path / "state.json", State.add

    def interrupted(state: State, tally: Tally) -> None:
        kept(state, tally)
        raise KeyboardInterrupt

    monkeypatch.setattr(State, "add", interrupted)
    assert run("verify", "--resume", str(file), "--jobs", "1", "--store", sealed_url).exit_code == 130
    monkeypatch.undo()
    report = verified(sealed_url, "--resume", str(file), "--jobs", "1")
    assert any(sentence.startswith("that 1 of ") and "--resume" in sentence for sentence in report["not_proved"])
    assert not any("earlier run" in sentence for sentence in verified(sealed_url)["not_proved"])


def test_an_exchange_by_itself_lacks_nothing_where_it_is_whole(sealed_url: str) -> None:
    (first, *_) = sorted(streams(sealed_url))
    report = json.loads(run("verify", "--json", first, "--store", sealed_url).stdout)
    assert (report["findings"], report["verdicts"]["complete_in_range"]) == ([], "yes")


def test_with_an_id_the_options_of_a_whole_audit_are_refused(sealed_url: str) -> None:
    done = run("verify", "desk", "--views", "--store", sealed_url)
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert run("verify", "desk", "--store", sealed_url).exit_code == 0


def test_a_fingerprint_without_quotation_marks_is_told_what_it_lacks(sqlite_url: str) -> None:
    parted = [f"{number:x}d4a" for number in range(16)]
    for more in (["--store", sqlite_url], ["--bundle", "evidence.zip"]):
        line = told(run("verify", *more, "--key", *parted), 2)
        assert "a fingerprint is put in quotation marks" in line
    assert "in quotation marks" in told(run("verify", "--key", parted[0], "--store", sqlite_url), 2)
