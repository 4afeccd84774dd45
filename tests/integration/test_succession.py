"""A ledger that cannot be gone on with, since its newest entries or its key are lost for good: what takes its place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import requests

from recorder import Recorder
from recorder.clock import id_bytes
from recorder.core.signed_facts import signed_facts
from recorder.ledger import keys
from recorder.ledger.standalone.verify import verify_bundle
from recorder.locations import signing_keys
from tests.attacker import Attacker
from tests.commands import run, told
from tests.contract.sealed import ORIGIN
from tests.erasing import GROUND, SAID, Recorded, erase, recorded, verified
from tests.integration.test_foreign_key import erasure, written
from tests.loopback import Script, serve
from tests.recorded import ask

NEW = "example.test/desk-2"


def said(url: str, name: str) -> str:
    with serve(Script(chunks=2)) as server, Recorder(url) as recorder, recorder.conversation(name):
        response = ask(recorder.mount(requests.Session()), server.url, f"What of {name}?")
        assert response.content
        return recorder.exchange(response) or ""


@pytest.fixture
def new(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'new.db'}"


def put_back(url: str, tmp_path: Path) -> tuple[str, Recorded, str]:
    """Record, back up, record more, and lose all but the backup, in which somebody records then."""
    made = recorded(url)
    kept = tmp_path / "kept.db"
    assert run("db", "backup", str(kept), "--store", url).exit_code == 0
    said(url, "lost")
    back = f"sqlite:///{kept}"
    return back, made, said(back, "after")


def test_the_refusal_names_the_way_on(sqlite_url: str, tmp_path: Path) -> None:
    back, made, _ = put_back(sqlite_url, tmp_path)
    for command in (("seal",), ("keys", "rotate"), ("erase", made.other, "--ground", "g", "--yes")):
        line = told(run(*command, "--store", back), 1)
        assert "bring back the newer one" in line
        assert "go on with a new ledger: `recorder db copy --without-ledger`, then `recorder keys init --after`" in line


def test_a_new_ledger_goes_on_and_says_for_ever_what_is_lost(sqlite_url: str, tmp_path: Path, new: str) -> None:
    back, made, after = put_back(sqlite_url, tmp_path)
    left, signed = verified(back)["ledger"]["leaves"], verified(sqlite_url)["ledger"]["leaves"]
    assert signed > left
    assert run("db", "copy", "--without-ledger", "--from", back, "--to", new).exit_code == 0
    result = run("keys", "init", "--origin", NEW, "--after", back, "--store", new)
    assert result.exit_code == 0, result.stderr
    assert "What was copied is sealed by the new key" in result.stdout
    assert run("seal", "--store", new).exit_code == 0
    for _ in range(2):
        shown = verified(new)
        assert shown["findings"] == []
        assert (shown["verdicts"]["fresh"], shown["verdicts"]["complete_in_range"]) == ("yes", "no")
        (sentence,) = [one for one in shown["not_proved"] if "known to have been sealed" in one]
        assert ORIGIN in sentence
        assert str(signed - 1) in sentence
        assert f"a checkpoint of {signed} was signed" in sentence
        said(new, "later")
    assert run("verify", "--store", new).exit_code == 0
    out = tmp_path / "evidence.zip"
    result = run("bundle", "--order", "1", "-o", str(out), "--store", new)
    assert result.exit_code == 0, result.stderr
    assert verify_bundle(out)["findings"] == []
    assert run("show", after, "--store", new).exit_code == 0
    assert run("erase", made.other, "--ground", GROUND, "--yes", "--store", new).exit_code == 0
    assert run("keys", "rotate", "--store", new).exit_code == 0
    assert verified(new)["findings"] == []
    assert verified(back)["findings"]  # what was put back stays what it is


def test_a_key_that_is_lost_for_good_is_not_the_end(sqlite_url: str, new: str) -> None:
    recorded(sqlite_url)
    keys.private_file(ORIGIN).unlink()
    for command in (("keys", "rotate"), ("keys", "init")):
        line = told(run(*command, "--store", sqlite_url), 2)
        assert str(keys.private_file(ORIGIN)) in line
        assert "where it is lost for good, go on with a new ledger" in line
    assert run("db", "copy", "--without-ledger", "--from", sqlite_url, "--to", new).exit_code == 0
    assert run("keys", "init", "--origin", NEW, "--after", sqlite_url, "--store", new).exit_code == 0
    assert run("seal", "--store", new).exit_code == 0
    shown = verified(new)
    assert shown["findings"] == []
    assert (shown["verdicts"]["fresh"], shown["verdicts"]["complete_in_range"]) == ("yes", "yes")
    assert any(f"the one before it, {ORIGIN}, and its checkpoints tell" in one for one in shown["not_proved"])


def test_a_name_is_not_used_again_and_a_store_without_a_ledger_is_not_followed(sqlite_url: str, new: str) -> None:
    recorded(sqlite_url)
    assert run("db", "copy", "--without-ledger", "--from", sqlite_url, "--to", new).exit_code == 0
    line = told(run("keys", "init", "--origin", ORIGIN, "--after", sqlite_url, "--store", new), 2)
    assert "give another one with --origin" in line
    line = told(run("keys", "init", "--origin", NEW, "--after", new, "--store", new), 1)
    assert "the store has no ledger" in line


def test_one_that_was_made_anew_is_not_followed(sqlite_url: str, tmp_path: Path, new: str) -> None:
    recorded(sqlite_url)
    with Attacker(sqlite_url) as attacker:
        attacker.run("UPDATE ledger_nodes SET hash = ? WHERE level = 0", bytes(32))
    line = told(run("keys", "init", "--origin", NEW, "--after", sqlite_url, "--store", new), 1)
    assert "are not those that were signed" in line


def test_a_backup_is_erased_after_the_newer_store_was_copied_over_it(sqlite_url: str, tmp_path: Path) -> None:
    made = recorded(sqlite_url)
    kept = tmp_path / "kept.db"
    backup = f"sqlite:///{kept}"
    assert run("db", "backup", str(kept), "--store", sqlite_url).exit_code == 0
    erase(sqlite_url, "annakarenina")
    line = told(run("erase", "annakarenina", "--ground", GROUND, "--yes", "--store", backup), 1)
    assert "as one does to erase in a backup: `recorder db copy --from NEWER --to THIS`" in line
    assert run("db", "copy", "--from", sqlite_url, "--to", backup).exit_code == 0
    assert run("erase", "--finish", "--yes", "--store", backup).exit_code == 0
    assert verified(backup)["findings"] == []
    data = b"".join(path.read_bytes() for path in tmp_path.glob("kept.db*"))
    assert not any(said in data for said in SAID)
    assert run("show", made.other, "--store", backup).exit_code == 0


def test_what_was_erased_before_is_still_answered_for(sqlite_url: str, new: str) -> None:
    made = recorded(sqlite_url)
    erase(sqlite_url, made.hers[0])
    assert run("db", "copy", "--without-ledger", "--from", sqlite_url, "--to", new).exit_code == 0
    assert run("keys", "init", "--origin", NEW, "--after", sqlite_url, "--store", new).exit_code == 0
    assert run("seal", "--store", new).exit_code == 0
    shown = verified(new)
    assert (shown["findings"], shown["erased"]["exchanges"]) == ([], 1)


def test_who_erased_before_is_proved_to_whoever_has_the_new_key_alone(
    sqlite_url: str, tmp_path: Path, new: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = recorded(sqlite_url)
    erase(sqlite_url, made.hers[0])
    assert run("keys", "rotate", "--store", sqlite_url).exit_code == 0
    erase(sqlite_url, made.other)
    before, last = sqlite_url, ""
    for name in (NEW, "example.test/desk-3"):  # one after the other: keys of the first count in the last
        last = f"sqlite:///{tmp_path / name.rpartition('/')[2]}.db"
        assert run("db", "copy", "--without-ledger", "--from", before, "--to", last).exit_code == 0
        result = run("keys", "init", "--origin", name, "--after", before, "--store", last)
        assert (result.exit_code, result.stderr) == (0, "")
        assert run("seal", "--store", last).exit_code == 0
        before = last
    key = keys.load("example.test/desk-3")
    assert key is not None
    out = tmp_path / "evidence.zip"
    result = run("bundle", "--order", "1", "-o", str(out), "--store", last)
    assert result.exit_code == 0, result.stderr
    for variable in ("XDG_DATA_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / "elsewhere"))
    shown = json.loads(run("verify", "--json", "--key", key.public.text, "--store", last).stdout)
    assert (shown["findings"], shown["erased"]["exchanges"]) == ([], 2)
    assert shown["verdicts"]["authentic"] == "yes"
    trusted = "".join(keys.fingerprint(key.public).split())
    assert verify_bundle(out, [trusted])["findings"] == []


def test_where_the_keys_of_before_are_not_here_a_line_says_so(sqlite_url: str, new: str) -> None:
    made = recorded(sqlite_url)
    erase(sqlite_url, made.hers[0])
    for path in signing_keys().glob("*key*"):
        path.unlink()
    assert run("db", "copy", "--without-ledger", "--from", sqlite_url, "--to", new).exit_code == 0
    result = run("keys", "init", "--origin", NEW, "--after", sqlite_url, "--store", new)
    assert result.exit_code == 0
    (line,) = result.stderr.splitlines()
    assert f"no public key of {ORIGIN} is here" in line
    assert "`recorder erase --finish`" in line


@pytest.mark.parametrize("when", ["before the new ledger", "after it"])
def test_a_key_of_the_ledger_before_vouches_for_what_was_sealed_when_the_new_one_began(
    sqlite_url: str, tmp_path: Path, new: str, when: str
) -> None:
    """What whoever finds the old key signs with it later is found, in the store and in a bundle."""
    made, out = recorded(sqlite_url), tmp_path / "evidence.zip"
    old = keys.load(ORIGIN)
    assert old is not None

    def stolen(url: str) -> None:
        with Attacker(url) as one:
            kind, facts = erasure(one, id_bytes(made.hers[0]))
            written(one, (kind, signed_facts(kind, facts, old.public, old.sign)))

    assert run("db", "copy", "--without-ledger", "--from", sqlite_url, "--to", new).exit_code == 0
    if when == "before the new ledger":
        stolen(new)
    assert run("keys", "init", "--origin", NEW, "--after", sqlite_url, "--store", new).exit_code == 0
    assert run("seal", "--store", new).exit_code == 0
    if when == "after it":
        stolen(new)
        assert run("seal", "--store", new).exit_code == 0
    report = verified(new)
    shown = [one for one in report["findings"] if one["kind"] != "projection"]  # views, which nobody made anew
    found = [(one["kind"], one["field"], one["exchange"]) for one in shown]
    run("bundle", "--order", "1", "-o", str(out), "--store", new)
    key = keys.load(NEW)
    assert key is not None
    told_of = verify_bundle(out, ["".join(keys.fingerprint(key.public).split())])["findings"]
    assert [(one["kind"], one["field"], one["stream"]) for one in told_of] == found
    if when == "before the new ledger":
        assert found == []
        return
    assert found == [("erasure", "authority", made.hers[0])]
    assert "is a key of a ledger whose place this one had taken by then" in shown[0]["detail"]
    assert "vouched for: 1 record" in run("erase", "--finish", "--yes", "--store", new).stdout
    assert not [one for one in verified(new)["findings"] if one["kind"] != "projection"]
