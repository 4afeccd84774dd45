"""A key that was rotated away signs nothing any more: who stole it later is found, and who rotates honestly is not."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from recorder import Recorder
from recorder.clock import id_bytes
from recorder.core.heads import log_id
from recorder.core.signed_facts import signed_facts
from recorder.ledger import keys
from recorder.ledger.key_chain import ROTATED, rotated, short_name
from recorder.ledger.keys import SigningKey
from recorder.ledger.standalone.verify import verify_bundle
from recorder.locations import signed_checkpoints
from tests.attacker import Attacker, write_outside
from tests.commands import run, told
from tests.contract.sealed import ORIGIN
from tests.erasing import erase, recorded
from tests.integration.test_foreign_key import erasure, findings, key_of_somebody, written
from tests.loopback import Script, serve
from tests.recorded import ask


def key_here() -> SigningKey:
    key = keys.load(ORIGIN)
    assert key is not None
    return key


def rotate(url: str) -> None:
    result = run("keys", "rotate", "--store", url)
    assert (result.exit_code, result.stderr) == (0, "")


@pytest.fixture
def stolen(store_url: str) -> SigningKey:
    """Record, and erase as one may; rotate, and return the key of before."""
    made = recorded(store_url)
    erase(store_url, made.other)
    old = key_here()
    rotate(store_url)
    return old


def details(url: str, *options: str) -> str:
    report = json.loads(run("verify", "--json", "--store", url, *options).stdout)
    return "\n".join(one["detail"] for one in report["findings"])


def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("XDG_DATA_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / "elsewhere"))


def test_an_erasure_is_not_signed_by_a_key_that_was_rotated_away(
    store_url: str, stolen: SigningKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert findings(store_url)[0] == set()
    new = key_here().public.text
    with Attacker(store_url) as one:
        kind, facts = erasure(one, one.exchanges()[0])
        written(one, (kind, signed_facts(kind, facts, stolen.public, stolen.sign)))
    assert run("seal", "--store", store_url).exit_code == 0  # an honest program seals what it finds
    by = f"{short_name(stolen.public)}, which signed the record of it"
    for options in ((), ("--key", new)):
        assert findings(store_url, *options)[0] == {("erasure", "authority")}
        assert by in details(store_url, *options)
    elsewhere(tmp_path, monkeypatch)
    assert findings(store_url, "--key", new)[0] == {("erasure", "authority")}


def test_a_bundle_says_so_to_whoever_has_the_new_key(store_url: str, tmp_path: Path) -> None:
    made = recorded(store_url)
    old, out = key_here(), tmp_path / "e.zip"
    erase(store_url, made.hers[0])
    rotate(store_url)
    with Attacker(store_url) as one:
        kind, facts = erasure(one, id_bytes(made.hers[1]))
        written(one, (kind, signed_facts(kind, facts, old.public, old.sign)))
    assert run("seal", "--store", store_url).exit_code == 0
    result = run("bundle", "--order", "1", "-o", str(out), "--store", store_url)
    assert (result.exit_code, "whoever verifies it will find" in result.stderr) == (1, True)
    for trusted in ([], ["".join(keys.fingerprint(key_here().public).split())]):
        found = verify_bundle(out, trusted)["findings"]
        assert [(one["kind"], one["field"], one["stream"]) for one in found] == [("erasure", "authority", made.hers[1])]


def test_whoever_decided_it_vouches_for_it_with_the_new_key(store_url: str, stolen: SigningKey) -> None:
    with Attacker(store_url) as one:
        kind, facts = erasure(one, one.exchanges()[0])
        written(one, (kind, signed_facts(kind, facts, stolen.public, stolen.sign)))
    assert run("seal", "--store", store_url).exit_code == 0
    result = run("erase", "--finish", "--yes", "--store", store_url)
    assert "vouched for: 1 record" in result.stdout, result.stderr
    assert findings(store_url)[0] == set()


@pytest.mark.parametrize("outside", ["kept", "replaced"])
def test_a_checkpoint_is_not_signed_by_a_key_that_was_rotated_away(
    store_url: str, stolen: SigningKey, outside: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = key_here().public.text
    with Attacker(store_url) as one:
        before = [row[0] for row in one.rows("SELECT note FROM checkpoints ORDER BY size")]
        one.seal([written(one)], time.time_ns())
        one.sign(stolen)
        for note in before:
            one.run("UPDATE checkpoints SET note = ? WHERE size = ?", note, int(note.split("\n")[1]))
    by = f"{short_name(stolen.public)} signed a checkpoint of"
    if outside == "replaced":
        elsewhere(tmp_path, monkeypatch)
        for options in ((), ("--key", new)):
            assert findings(store_url, *options)[0] == {("key", "checkpoint")}
            assert by in details(store_url, *options)
        return
    assert findings(store_url, "--key", new)[0] == {("key", "checkpoint")}
    assert by in details(store_url)
    for command in (("seal",), ("keys", "rotate"), ("anchor", "--anchor", f"file:{tmp_path}/a")):
        result = run(*command, "--store", store_url)  # nobody goes on from it
        assert result.exit_code == 1
        assert "had come before: whoever has the old private key can have made it" in result.stderr


def test_a_key_that_two_keys_follow_is_found_and_both_are_named(
    store_url: str, stolen: SigningKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs, new = key_of_somebody(), key_here()
    with Attacker(store_url) as one:
        written(one, (ROTATED, rotated(stolen, theirs)))
        kind, facts = erasure(one, one.exchanges()[0])
        written(one, (kind, signed_facts(kind, facts, theirs.public, theirs.sign)))
    assert run("seal", "--store", store_url).exit_code == 0
    for _ in range(2):
        for options in ((), ("--key", new.public.text)):
            assert findings(store_url, *options)[0] == {("key", "to"), ("erasure", "authority")}
            said = details(store_url, *options)
            assert f"{short_name(new.public)} and {short_name(theirs.public)}" in said
            assert f"{short_name(new.public)} counts here" in said
        elsewhere(tmp_path, monkeypatch)


class Elsewhere:
    """Another machine with the same store."""

    def __init__(self, place: Path) -> None:
        shutil.copytree(os.environ["XDG_DATA_HOME"], place)
        self.place = place

    def run(self, *arguments: str) -> str:
        there = {"XDG_DATA_HOME": str(self.place), "XDG_STATE_HOME": str(self.place)}
        command = [sys.executable, "-m", "recorder", *arguments]
        done = subprocess.run(command, env=os.environ | there, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.mark.parametrize("key", ["stays there", "is brought here"])
def test_a_program_does_not_sign_with_a_key_that_was_rotated_elsewhere(
    store_url: str, key: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recorded(store_url)
    there = Elsewhere(tmp_path / "there")
    with serve(Script(chunks=2)) as server, caplog.at_level(logging.ERROR, "recorder"), Recorder(store_url) as recorder:
        session = recorder.mount(requests.Session())
        assert recorder.seal(ask(session, server.url, "before")) is not None
        there.run("keys", "rotate", "--store", store_url)
        ask(session, server.url, "after")
        _wait_for(lambda: recorder.health().sealing.error is not None)
        error = recorder.health().sealing.error or ""
        assert "was rotated on another machine, to " in error
        assert "nothing is signed here until the new private key is at" in error
        _wait_for(lambda: any(error in record.getMessage() for record in caplog.records))
        if key == "is brought here":
            new = there.place / keys.private_file(ORIGIN).relative_to(os.environ["XDG_DATA_HOME"])
            keys.private_file(ORIGIN).write_text(new.read_text())
            assert recorder.seal(ask(session, server.url, "with the new one")) is not None
            assert recorder.health().sealing.error is None
    there.run("seal", "--store", store_url)
    assert findings(store_url)[0] == set()
    there.run("verify", "--store", store_url)


def _wait_for(true: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not true():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_what_is_done_elsewhere_with_the_old_key_is_not_signed(store_url: str, tmp_path: Path) -> None:
    made = recorded(store_url)
    there = Elsewhere(tmp_path / "there")
    there.run("keys", "rotate", "--store", store_url)
    line = told(run("keys", "rotate", "--store", store_url), 2)
    assert "was rotated on another machine, to " in line
    result = run("erase", made.other, "--ground", "g", "--yes", "--store", store_url)
    assert result.exit_code == 0
    assert "the record of it is neither signed nor sealed, as the key of" in result.stderr
    there.run("seal", "--store", store_url)
    assert findings(store_url)[0] == {("erasure", "authority")}
    there.run("erase", "--finish", "--yes", "--store", store_url)
    assert findings(store_url)[0] == set()


def test_a_rotation_that_is_sealed_late_ends_the_key_with_the_first_checkpoint_of_the_new_one(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An audit, the verifier in a bundle and whoever vouches for erasures say the same."""
    made, out = recorded(sqlite_url), tmp_path / "e.zip"
    old = key_here()
    monkeypatch.setattr("recorder.cli.keys.seal_acts", lambda *_: None)
    rotate(sqlite_url)
    new = key_here()
    with Attacker(sqlite_url) as one:
        rotation = one.journals()[-1]
        one.seal([written(one)], time.time_ns())
        before = [row[0] for row in one.rows("SELECT note FROM checkpoints ORDER BY size")]
        notes = [*before, one.sign(new)[-1]]
        kind, facts = erasure(one, id_bytes(made.hers[0]))
        stolen = written(one, (kind, signed_facts(kind, facts, old.public, old.sign)))
        one.seal([stolen, rotation], time.time_ns())
        notes.append(one.sign(new)[-1])
        for note in notes:
            one.run("DELETE FROM checkpoints WHERE size = ?", int(note.split("\n")[1]))
            size = int(note.split("\n")[1])
            one.run("INSERT INTO checkpoints (size, note, made_ns) VALUES (?, ?, 1)", size, note)
        write_outside(signed_checkpoints(log_id(ORIGIN)), notes)
    assert findings(sqlite_url)[0] == {("erasure", "authority")}
    result = run("bundle", "--order", "1", "-o", str(out), "--store", sqlite_url)
    assert result.exit_code == 1, result.stderr
    trusted = "".join(keys.fingerprint(new.public).split())
    found = verify_bundle(out, [trusted])["findings"]
    assert [(one["kind"], one["field"], one["stream"]) for one in found] == [("erasure", "authority", made.hers[0])]
    result = run("erase", "--finish", "--yes", "--store", sqlite_url)
    assert "vouched for: 1 record" in result.stdout, result.stderr
    assert findings(sqlite_url)[0] == set()
