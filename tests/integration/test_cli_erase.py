"""Erasing: what was said is nowhere any more, and everything that was proved is still proved."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
import requests

from recorder import Player, Store
from recorder.clock import id_bytes
from recorder.core.events import is_journal
from recorder.errors import NoMatchingExchange
from recorder.store import open_store
from recorder.store.erased import erased_of, erased_streams
from tests.commands import json_lines, run
from tests.erasing import GROUND, SAID, check_proofs, erase, recorded, told_erasures
from tests.places import Place
from tests.recorded import ask
from tests.searching_bytes import found_in


def test_nothing_of_an_erased_conversation_is_left(place: Place, tmp_path: Path) -> None:
    made = recorded(place.url)
    hers = [id_bytes(one) for one in made.hers]
    assert found_in([*place.files, *place.log], SAID)
    erase(place.url, "annakarenina")
    assert found_in(place.files, SAID) == []
    check_proofs(place.url)
    assert found_in(place.files, SAID) == []
    with closing(open_store(place.url, write=False)) as store:
        assert set(hers) < erased_streams(store)
        assert len(erased_streams(store)) == 4  # the opening and the link as well
        assert all(store.opening(one).secret == bytes(32) for one in erased_streams(store))  # type: ignore[union-attr]
    if place.url.startswith("sqlite"):
        assert run("db", "backup", str(tmp_path / "after.db"), "--store", place.url).exit_code == 0
        assert found_in([tmp_path], SAID) == []


def test_the_erasure_is_recorded_and_sealed(store_url: str) -> None:
    made = recorded(store_url)
    erase(store_url, made.hers[0])
    (facts,) = told_erasures(store_url)
    with closing(open_store(store_url, write=False)) as store:
        left = erased_of(store, id_bytes(made.hers[0]))
        journal = next(
            o.stream for o in store.openings() if is_journal(o) and "erase" in told_action(store_url, o.stream)
        )
        assert store.ledger.last_leaf(journal) is not None
    assert facts["exchange"] == made.hers[0]
    assert facts["events"] == len(left)
    assert facts["bytes"] == sum(size for size, _ in left.values()) > 0
    assert facts["ground"] == GROUND
    assert facts["by"]


def told_action(url: str, stream: bytes) -> str:
    with closing(open_store(url, write=False)) as store:
        return str(next(store.events(stream)).facts["configuration"].get("action"))


def test_the_rest_of_the_store_is_as_it_was(store_url: str) -> None:
    made = recorded(store_url)
    with Store(store_url) as store:
        before = [list(store.events(one)) for one in (made.hers[1], made.other)]
    erase(store_url, made.hers[0])
    with Store(store_url) as store:
        assert [list(store.events(one)) for one in (made.hers[1], made.other)] == before
        assert [hit["exchange"] for hit in store.search("Zwetschgenknoedel")] == [made.hers[1]] * 2
    check_proofs(store_url)


def test_readers_say_that_it_was_erased(store_url: str, tmp_path: Path) -> None:
    made = recorded(store_url)
    erase(store_url, made.hers[0])
    (shown,) = json_lines(run("show", made.hers[0], "--json", "--store", store_url), "show")
    assert shown["erased"] is True
    assert [one["kind"] for one in shown["findings"]] == ["erased"]
    assert "request" not in shown
    assert GROUND in run("show", made.hers[0], "--store", store_url).stdout
    listed = {row["id"]: row for row in json_lines(run("list", "--json", "--store", store_url), "list")}
    assert [name for name, row in listed.items() if row.get("erased")] == [made.hers[0]]
    assert "erased" in run("list", "--store", store_url).stdout
    for name in ("markdown", "html", "json", "jsonl", "csv", "har", "otlp"):
        result = run("export", made.hers[0], "--format", name, "--store", store_url)
        assert result.exit_code == 0, (name, result.stderr)
        assert "was erased" in result.stdout or name in ("csv", "har"), (name, result.stdout)
        assert "was erased" in result.stderr
    replayed = run("replay", made.hers[0], "--store", store_url)
    assert replayed.exit_code == 1
    assert "erased" in replayed.stderr
    assert run("events", made.hers[0], "--store", store_url).exit_code == 0
    result = run("cassette", "from-store", str(tmp_path / "one.jsonl"), made.hers[0], "--store", store_url)
    assert result.exit_code == 1
    assert "was erased" in result.stderr


def test_a_player_names_the_erasure(store_url: str) -> None:
    made = recorded(store_url)
    erase(store_url, made.hers[0])
    with pytest.raises(NoMatchingExchange, match="erased"), Player(store_url) as player:
        ask(player.mount(requests.Session()), "http://127.0.0.1:9/v1/chat/completions", "Zwetschgenknoedel?")


def test_what_was_erased_is_not_erased_again(store_url: str) -> None:
    made = recorded(store_url)
    erase(store_url, made.hers[0])
    result = run("erase", made.hers[0], "--ground", "again", "--yes", "--store", store_url)
    assert result.exit_code == 0
    assert "nothing is there to be erased" in result.stdout
    assert len(told_erasures(store_url)) == 1
