"""``recorder keys``: a ledger is founded once, its key shown and rotated, and what goes wrong is one line."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from recorder.api.acts import signing_key
from recorder.clock import SystemClock
from recorder.core.heads import log_id
from recorder.core.notes import open_checkpoint, parse_key
from recorder.ledger.key_chain import rotated
from recorder.ledger.keys import create, fingerprint, known, load, pending
from recorder.locations import signed_checkpoints, signing_keys
from recorder.store import open_store
from tests.commands import json_lines, run, told
from tests.recorded import journals


def origin_of(url: str) -> str | None:
    store = open_store(url, write=False)
    try:
        return store.ledger.origin()
    finally:
        store.close()


def test_a_ledger_is_founded_and_its_key_rotated(store_url: str) -> None:
    url = store_url
    done = run("keys", "init", "--store", url)
    assert done.exit_code == 0, done.stderr
    origin = origin_of(url)
    assert origin is not None
    assert re.fullmatch("recorder/[0-9a-f]{16}", origin)
    first = load(origin)
    assert first is not None
    for shown in (origin, first.public.text, fingerprint(first.public), f"{log_id(origin).hex()}.key"):
        assert shown in done.stdout
    (value,) = json_lines(run("keys", "show", "--json", "--store", url), "keys")
    assert value["key"] == {"vkey": first.public.text, "fingerprint": fingerprint(first.public)}
    assert value["earlier"] == []
    assert run("keys", "rotate", "--store", url).exit_code == 0
    second = load(origin)
    assert second is not None
    (value,) = json_lines(run("keys", "show", "--json", "--store", url), "keys")
    assert value["key"]["vkey"] == second.public.text
    assert [parse_key(key["vkey"]) for key in value["earlier"]] == [first.public]
    text = run("keys", "show", "--store", url).stdout
    assert text.index(second.public.text) < text.index(f"earlier key  {first.public.text}")


def test_it_is_founded_once(store_url: str) -> None:
    url = store_url
    assert run("keys", "init", "--origin", "example.com/bot", "--store", url).exit_code == 0
    assert origin_of(url) == "example.com/bot"
    line = told(run("keys", "init", "--store", url), 2)
    assert line == ("error: the store's ledger is founded, as example.com/bot: `recorder keys show` tells its key")
    (signing_keys() / f"{log_id('example.com/bot').hex()}.key").unlink()
    assert "as example.com/bot: bring its key to " in told(run("keys", "init", "--store", url), 2)
    shown = run("keys", "show", "--store", url)
    assert shown.exit_code == 0
    assert "private key  not here: nothing is signed until it is at " in shown.stdout
    (value,) = json_lines(run("keys", "show", "--json", "--store", url), "keys")
    assert set(value) == {"origin", "earlier"}
    assert "there is nothing to rotate" in told(run("keys", "rotate", "--store", url), 2)


@pytest.mark.parametrize("origin", ["", "a b", "a+b", "\x1b[2J"])
def test_names_that_no_log_can_have(origin: str, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'keys.db'}"
    assert "cannot be the name of a log" in told(run("keys", "init", "--origin", origin, "--store", url), 2)
    assert origin_of(url) is None
    assert not list(signing_keys().glob("*.key"))


def test_a_death_between_key_and_name_is_made_good(tmp_path: Path) -> None:
    made = create("example.com/bot", SystemClock())
    url = f"sqlite:///{tmp_path / 'keys.db'}"
    assert run("keys", "init", "--origin", "example.com/bot", "--store", url).exit_code == 0
    assert known("example.com/bot") == (made.public,)


def test_two_stores_have_not_one_name(tmp_path: Path) -> None:
    one, other = (f"sqlite:///{tmp_path / name}" for name in ("one.db", "other.db"))
    assert run("keys", "init", "--origin", "example.com/bot", "--store", one).exit_code == 0
    signed = signed_checkpoints(log_id("example.com/bot"))
    signed.parent.mkdir(parents=True, exist_ok=True)
    signed.touch()
    line = told(run("keys", "init", "--origin", "example.com/bot", "--store", other), 2)
    assert line.endswith("give this one another name with --origin")
    assert origin_of(other) is None


def test_a_store_that_is_not_there_is_not_made_by_reading(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'none.db'}"
    told(run("keys", "show", "--store", url), 3)
    told(run("keys", "rotate", "--store", url), 3)
    assert list(tmp_path.iterdir()) == []


def test_a_store_without_a_ledger(store_url: str) -> None:
    for command in ("show", "rotate"):
        line = told(run("keys", command, "--store", store_url), 1)
        assert line == "error: the store has no ledger, so nothing is sealed: `recorder keys init` founds one"


def test_keys_are_told_in_the_journal_and_a_rotation_is_sealed_by_the_new_one(store_url: str) -> None:
    assert run("keys", "init", "--store", store_url).exit_code == 0
    origin = origin_of(store_url) or ""
    first = load(origin)
    assert first is not None
    assert run("keys", "rotate", "--store", store_url).exit_code == 0
    second = load(origin)
    assert second is not None
    told = [event for events in journals(store_url).values() for event in events if event.type.startswith("key_")]
    assert [(event.type, event.facts) for event in told] == [
        ("key_created", {"key": first.public.text}),
        ("key_rotated", rotated(first, second)),
    ]
    store = open_store(store_url, write=False)
    try:
        leaf = store.ledger.last_leaf(told[1].stream)
        assert leaf is not None
        (note,) = [note for size, note in store.ledger.checkpoints() if size == leaf.number + 1]
    finally:
        store.close()
    assert open_checkpoint(note, origin, [second.public]).size == leaf.number + 1


def _dying(replace: Callable[[Path, Path], Path]) -> Callable[[Path, Path], Path]:
    """Return what takes the place of Path.replace, and dies where the new key would take that of the old one."""

    def dying(path: Path, to: Path) -> Path:
        if path.suffix == ".next":
            raise KeyboardInterrupt
        return replace(path, to)

    return dying


def test_a_rotation_that_died_is_completed_by_the_next_one(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("keys", "init", "--origin", "example.com/bot", "--store", store_url).exit_code == 0
    first = load("example.com/bot")
    assert first is not None
    with monkeypatch.context() as dying:
        dying.setattr(Path, "replace", _dying(Path.replace))
        assert run("keys", "rotate", "--store", store_url).exit_code != 0
    left = load("example.com/bot")
    assert left is not None
    assert left.public == first.public
    made = pending("example.com/bot")
    assert made is not None
    reason = "is being rotated here, to .*, and that was not completed: run `recorder keys rotate`"
    held = run("hold", "place", "--all", "--ground", "g", "--store", store_url)
    assert held.exit_code == 0
    with closing(open_store(store_url, write=True)) as store:
        key, why = signing_key(store)
    assert key is None
    assert re.search(reason, why)
    assert run("seal", "--store", store_url).exit_code == 0  # the old one is in force until the new one signs
    assert run("keys", "rotate", "--store", store_url).exit_code == 0
    now = load("example.com/bot")
    assert now is not None
    assert (now.public, pending("example.com/bot")) == (made, None)
    assert run("verify", "--store", store_url).exit_code == 0
