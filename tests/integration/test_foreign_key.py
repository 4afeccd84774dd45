"""Whoever can write a database puts a key of his own into it and signs with that: he is found, and nobody goes on."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from recorder.clock import SystemClock
from recorder.core.events import Event, StreamOpened, meta_text
from recorder.core.notes import NoteKey
from recorder.ledger import keys
from recorder.ledger.key_chain import rotated
from recorder.ledger.keys import SigningKey
from tests.attacker import Attacker, name
from tests.commands import run
from tests.contract.sealed import ORIGIN
from tests.erasing import recorded


def key_of_somebody() -> SigningKey:
    private = Ed25519PrivateKey.generate()
    return SigningKey(NoteKey(ORIGIN, private.public_key().public_bytes_raw()), private.sign)


def written(one: Attacker, *acts: tuple[str, dict[str, Any]], journal: bytes | None = None) -> bytes:
    """Put a journal beside the others, as a short one of recorder is; return its id."""
    clock = SystemClock()
    journal, first = journal or clock.new_id(), one.events(one.journals()[-1])[0]
    told = [("instance_started", json.loads(first.meta or "")), *acts, ("instance_stopped", {})]
    wall, mono = time.time_ns(), first.mono_ns
    events = [
        Event(journal, place, kind, wall + place, mono + place, journal, 0, meta_text(facts), None, b"")
        for place, (kind, facts) in enumerate(told, 1)
    ]
    one.add(StreamOpened(journal, journal, clock.secret(32)), events)
    return journal


def erasure(one: Attacker, exchange: bytes, **facts: object) -> tuple[str, dict[str, Any]]:
    """Empty an exchange; return the act that says that somebody allowed it."""
    told = {"exchange": name(exchange), "events": one.erase(exchange), "bytes": 1, "ground": "art. 17", "by": "officer"}
    return "payload_erased", {**told, "conversations": [], "approved_by": "CEO", "overrides": ["retention"], **facts}


def taken_over(url: str) -> None:
    """Record a rotation to a key of his own and an erasure, and seal both with that key."""
    mine = key_of_somebody()
    with Attacker(url) as one:
        real = keys.load(ORIGIN)
        assert real is not None
        said = ("key_rotated", {"from": real.public.text, "to": mine.public.text})
        one.seal([written(one, said, erasure(one, one.exchanges()[-1]))], time.time_ns())
        notes = [row[0] for row in one.rows("SELECT note FROM checkpoints")]
        one.sign(mine)
        for size, note in [(int(text.split("\n")[1]), text) for text in notes]:
            one.run("UPDATE checkpoints SET note = ? WHERE size = ?", note, size)


def findings(url: str, *options: str) -> tuple[set[tuple[str, str]], dict[str, str]]:
    result = run("verify", "--json", "--store", url, *options)
    report = json.loads(result.stdout)
    found = {(one["kind"], one["field"]) for one in report["findings"]}
    assert result.exit_code == bool(found)
    return found, report["verdicts"]


def test_a_key_that_somebody_put_into_a_journal_counts_for_nothing(store_url: str) -> None:
    recorded(store_url)
    assert findings(store_url)[0] == set()
    taken_over(store_url)
    found, verdicts = findings(store_url)
    assert found == {("key", "checkpoint"), ("erasure", "authority")}
    assert verdicts["unmodified"] == "no"
    key = keys.load(ORIGIN)
    assert key is not None
    found, verdicts = findings(store_url, "--key", key.public.text)
    assert found == {("key", "checkpoint"), ("erasure", "authority")}
    assert verdicts["authentic"] == "no"


@pytest.mark.parametrize(
    "command",
    [("anchor", "--anchor", "file:anchored"), ("keys", "rotate"), ("seal",), ("bundle", "--order", "1", "-o", "x.zip")],
    ids=lambda command: command[0],
)
def test_nobody_goes_on_from_what_somebody_else_signed(
    store_url: str, command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    recorded(store_url)
    taken_over(store_url)
    key = keys.private_file(ORIGIN).read_text()
    result = run(*command, "--store", store_url)
    assert result.exit_code not in (0, 2), result.output
    (line,) = result.stderr.splitlines()
    for words in ("a key that nobody here made", "somebody else wrote", "`recorder verify`", "howto-auditor"):
        assert words in line
    assert keys.private_file(ORIGIN).read_text() == key
    assert not (tmp_path / "anchored").exists()
    assert not (tmp_path / "x.zip").exists()


@pytest.mark.parametrize("which", ["the first", "the last"])
def test_a_rotation_that_both_keys_signed_is_followed_elsewhere(
    store_url: str, which: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = recorded(store_url)
    first = keys.load(ORIGIN)
    for _ in range(2):
        assert run("keys", "rotate", "--store", store_url).exit_code == 0
    last = keys.load(ORIGIN)
    assert first is not None
    assert last is not None
    assert run("hold", "place", made.other, "--ground", "the case", "--store", store_url).exit_code == 0
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "elsewhere"))
    assert keys.known(ORIGIN) == ()
    found, verdicts = findings(store_url, "--key", (first if which == "the first" else last).public.text)
    assert verdicts["unmodified"] == "yes"
    if which == "the last":
        assert (found, verdicts["authentic"]) == (set(), "yes")
    else:  # whoever stole the first could have signed the others in: they have to be got by another way as well
        assert (found, verdicts["authentic"]) == ({("key", "checkpoint")}, "no")
    assert findings(store_url)[0] == set()  # from the key that the ledger was founded with


@pytest.mark.parametrize("forged", ["unsigned", "the signature of another", "of the new key alone"])
def test_a_rotation_that_was_made_up_is_not_followed_once_a_restart_sealed_it(store_url: str, forged: str) -> None:
    recorded(store_url)
    mine, real = key_of_somebody(), keys.load(ORIGIN)
    assert real is not None
    facts: dict[str, Any] = {"from": real.public.text, "to": mine.public.text}
    if forged == "the signature of another":
        honest = keys_rotated(real)
        facts |= {"signature": honest["signature"], "accepted": honest["accepted"]}
    elif forged == "of the new key alone":
        facts["accepted"] = keys_rotated(mine)["accepted"]
    with Attacker(store_url) as one:
        written(one, ("key_rotated", facts))
    assert run("seal", "--store", store_url).exit_code == 0
    with Attacker(store_url) as one:
        one.seal([written(one)], time.time_ns())
        one.sign(mine)
    assert ("key", "checkpoint") in findings(store_url)[0]


def keys_rotated(key: SigningKey) -> dict[str, Any]:
    return rotated(key, key)
