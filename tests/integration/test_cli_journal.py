"""``recorder journal``: the journals of a store, and one in words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import requests
from jsonschema import Draft202012Validator

from recorder import Recorder
from tests.commands import SCHEMAS, run
from tests.journals import journals
from tests.loopback import Script, serve
from tests.recorded import ask


@pytest.fixture
def recorded(store_url: str) -> str:
    """A store with two journals: of three exchanges, and of none."""
    with serve(Script(chunks=3)) as server, Recorder(store_url) as recorder:
        session = recorder.mount(requests.Session())
        for turn in range(3):
            assert ask(session, server.url, str(turn)).content
    Recorder(store_url, durability="synced").close()
    return store_url


def test_the_list(recorded: str) -> None:
    result = run("journal", "--store", recorded)
    assert result.exit_code == 0
    head, newest, oldest = result.stdout.splitlines()
    assert head.split() == ["ID", "STARTED", "(UTC)", "END", "EXCHANGES", "EVENTS", "WHAT"]
    assert newest.split()[3:6] == ["stopped", "0", "5"]
    assert oldest.split()[3:6] == ["stopped", "3", "10"]
    assert ("synced" in newest, "delivered" in oldest) == (True, True)
    assert len(run("journal", "--limit", "1", "--store", recorded).stdout.splitlines()) == 2


def test_the_list_as_json(recorded: str) -> None:
    validator = Draft202012Validator(json.loads((SCHEMAS / "journal.schema.json").read_text()))
    lines = [json.loads(line) for line in run("journal", "--json", "--store", recorded).stdout.splitlines()]
    for line in lines:
        validator.validate(line)
    assert [line["journal"] for line in lines] == list(journals(recorded))[::-1]
    assert [(line["exchanges"], line["events"], line["end"]) for line in lines] == [
        (0, 5, "instance_stopped"),
        (3, 10, "instance_stopped"),
    ]


def test_one_in_words_and_event_by_event(recorded: str) -> None:
    identity = next(iter(journals(recorded)))
    shown = run("journal", identity[-8:], "--store", recorded).stdout
    for words in ("began: recorder", "exchange 1 begins", "exchange 3 ended, ", "clock ", "stopped"):
        assert words in shown
    as_json = run("journal", identity, "--json", "--store", recorded).stdout
    assert as_json == run("events", identity, "--json", "--store", recorded).stdout
    assert [json.loads(line)["type"] for line in as_json.splitlines()][:3] == [
        *("instance_started", "clock_sampled", "exchange_opened")
    ]
    assert run("events", identity, "--store", recorded).stdout.startswith(f"journal {identity}")


def test_what_is_not_there(recorded: str, tmp_path: Path) -> None:
    result = run("journal", "ffffffff", "--store", recorded)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "no journal of this store goes by 'ffffffff'" in result.stderr
    cassette = tmp_path / "c.jsonl"
    Recorder(cassette).close()
    with Recorder(cassette) as recorder, serve(Script(chunks=1)) as server:
        assert ask(recorder.mount(requests.Session()), server.url, "x").content
    result = run("journal", "--store", str(cassette))
    assert (result.exit_code, result.stdout) == (0, "")
    assert "no recorder has kept a journal here" in result.stderr
