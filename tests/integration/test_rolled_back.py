"""A store that was put back to an older state is refused by whatever builds on it, until the newer one is back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import requests

from recorder import Recorder, Store
from recorder.core.heads import decode_entry, log_id
from recorder.ledger import keys
from recorder.locations import signed_checkpoints
from tests.attacker import Attacker
from tests.commands import run, told
from tests.contract.sealed import ORIGIN
from tests.erasing import GROUND, told_erasures
from tests.loopback import Script, serve
from tests.recorded import ask

COMMANDS = {
    "bundle": ("bundle", "--since", "2001-01-01", "-o", "{folder}/evidence.zip"),
    "anchor": ("anchor", "--anchor", "file:{folder}/notes"),
    "keys rotate": ("keys", "rotate"),
    "erase": ("erase", "{exchange}", "--ground", GROUND, "--yes"),
    "erase --finish": ("erase", "--finish", "--yes"),
}


def recorded(url: str) -> str:
    """Record an exchange, sealed; return its id."""
    with serve(Script(chunks=2)) as server, Recorder(url) as recorder:
        response = ask(recorder.mount(requests.Session()), server.url, "What next?")
        assert response.content
        return recorder.exchange(response) or ""


def roll_back(url: str) -> None:
    """Leave out what came last: the newest leaves, with their checkpoints."""
    with Attacker(url) as attacker:
        log = log_id(ORIGIN)
        rows = attacker.rows("SELECT number, entry FROM ledger_leaves ORDER BY number")
        sizes = [row[0] for row in attacker.rows("SELECT size FROM checkpoints ORDER BY size")]
        kept = [decode_entry(log, number, bytes(entry)) for number, entry in rows if number < sizes[-2]]
        attacker.put_leaves(log, kept)
        attacker.run("DELETE FROM checkpoints WHERE size > ?", len(kept))


def rolled_back(url: str) -> str:
    """Make a store that was put back; return the id of an exchange in it."""
    assert run("keys", "init", "--origin", ORIGIN, "--store", url).exit_code == 0
    exchange = recorded(url)
    recorded(url)
    roll_back(url)
    return exchange


@pytest.mark.parametrize("command", COMMANDS)
def test_it_is_refused(command: str, store_url: str, tmp_path: Path) -> None:
    exchange = rolled_back(store_url)
    before = keys.known(ORIGIN)
    arguments = [text.format(folder=tmp_path, exchange=exchange) for text in COMMANDS[command]]
    line = told(run(*arguments, "--store", store_url), 1)
    assert "it was put back to an older state, or is another store; bring back the newer one" in line
    assert not (tmp_path / "evidence.zip").exists()
    assert not (tmp_path / "notes").exists()
    assert keys.known(ORIGIN) == before
    assert told_erasures(store_url) == []


def test_an_audit_says_once_how_much_was_signed_since(store_url: str) -> None:
    rolled_back(store_url)
    signed = signed_checkpoints(log_id(ORIGIN)).read_text().count(f"{ORIGIN}\n")
    with Attacker(store_url) as attacker:
        left = [decode_entry(log_id(ORIGIN), *row) for row in attacker.rows("SELECT number, entry FROM ledger_leaves")][
            :1
        ]
        attacker.put_leaves(log_id(ORIGIN), left)
    found = json.loads(run("verify", "--json", "--store", store_url).stdout)["findings"]
    rolled = [one["detail"] for one in found if one["kind"] == "rolled_back"]
    assert len(rolled) == 1, rolled
    assert f"has {signed - 1} checkpoints of up to" in rolled[0]
    removed = [one["detail"] for one in found if one["kind"] == "tree" and one["field"] == "size"]
    assert len(removed) == 1, removed


@pytest.mark.parametrize("command", COMMANDS)
def test_where_nothing_is_known_of_it_nothing_is_refused(command: str, store_url: str, tmp_path: Path) -> None:
    exchange = rolled_back(store_url)
    signed_checkpoints(log_id(ORIGIN)).unlink()
    arguments = [text.format(folder=tmp_path, exchange=exchange) for text in COMMANDS[command]]
    with Store(store_url) as store:  # what the older state has of it is not all
        assert store.exchange(exchange).verdict == "complete"
    result = run(*arguments, "--store", store_url)
    assert "put back" not in result.stderr
