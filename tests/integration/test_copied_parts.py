"""Part of a store that is copied into another one: nobody is accused of what stays behind."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests

from recorder import Recorder
from recorder.clock import id_bytes
from recorder.ledger.standalone.verify import verify_bundle
from recorder.store import open_store
from recorder.store.copying import carry, chosen
from recorder.store.erased import erased_streams
from tests.attacker import Attacker
from tests.commands import json_lines, run, told
from tests.erasing import erase, recorded, verified
from tests.loopback import Script, serve
from tests.recorded import ask


@pytest.fixture
def target(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'target.db'}"


def begun(url: str, origin: str = "example.test/elsewhere") -> str:
    """Record an exchange into another store with a ledger of its own."""
    assert run("keys", "init", "--origin", origin, "--store", url).exit_code == 0
    return went_on(url)


def went_on(url: str) -> str:
    with serve(Script(chunks=2)) as server, Recorder(url) as recorder, recorder.conversation("here"):
        response = ask(recorder.mount(requests.Session()), server.url, "And here?")
        assert response.content
        return recorder.exchange(response) or ""


def copied(source: str, target: str, *filters: str) -> tuple[dict[str, Any], str]:
    result = run("db", "copy", "--from", source, "--to", target, "--json", *filters)
    (report,) = json_lines(result, "copy")
    return report, result.stderr


def test_a_conversation_comes_into_a_sealed_store_without_a_finding(
    store_url: str, target: str, tmp_path: Path
) -> None:
    made = recorded(store_url)
    begun(target)
    report, _ = copied(store_url, target, "--conversation", "annakarenina")
    assert report["exchanges"] == 2
    assert run("seal", "--store", target).exit_code == 0
    shown = verified(target)
    assert shown["findings"] == []
    assert (shown["verdicts"]["complete_in_range"], shown["verdicts"]["unmodified"]) == ("yes", "yes")
    assert any("copied from another store" in one for one in shown["not_proved"])
    out = tmp_path / "evidence.zip"
    result = run("bundle", "--conversation", "annakarenina", "-o", str(out), "--store", target)
    assert result.exit_code == 0, result.stderr
    bundle = verify_bundle(out)
    assert bundle["findings"] == []
    assert {one["id"] for one in bundle["exchanges"]} == set(made.hers)
    assert any("2 exchanges that came from another store" in one for one in bundle["not_proved"])


def test_who_records_into_a_copy_later_is_not_told_that_a_journal_was_removed(store_url: str, target: str) -> None:
    recorded(store_url)
    copied(store_url, target, "--conversation", "annakarenina")
    assert verified(target)["findings"] == []
    went_on(target)
    assert verified(target)["findings"] == []
    again, _ = copied(store_url, target, "--conversation", "annakarenina")
    assert again["events"] == 0
    with closing(open_store(target, write=False)) as store:
        journals = list(store.openings_where("stream = instance"))
    assert len(journals) == 2  # nothing new was copied, so nothing more is told


def test_a_copy_that_was_broken_off_before_it_told_is_completed(store_url: str, target: str) -> None:
    made = recorded(store_url)
    begun(target)
    with closing(open_store(store_url, write=False)) as here, closing(open_store(target, write=True)) as there:
        carry(here, there, chosen(map(id_bytes, made.hers)))
    assert {one["kind"] for one in verified(target)["findings"]} == {"omitted"}
    copied(store_url, target, "--conversation", "annakarenina")
    assert verified(target)["findings"] == []


def test_an_event_that_is_cut_off_after_the_copy_is_found(store_url: str, target: str) -> None:
    made = recorded(store_url)
    begun(target)
    copied(store_url, target, "--conversation", "annakarenina")
    with Attacker(target) as attacker:
        attacker.run("DELETE FROM events WHERE stream = ? AND version > 3", id_bytes(made.hers[0]))
    assert "omitted" in {one["kind"] for one in verified(target)["findings"]}


def test_what_was_erased_stays_behind_and_is_told(store_url: str, target: str) -> None:
    made = recorded(store_url)
    erase(store_url, made.hers[0])
    begun(target)
    report, warned = copied(store_url, target, "--since", "2020-01-01")
    assert report["erased"] == [made.hers[0]]
    assert "the records of that come with a copy of everything" in warned
    assert verified(target)["findings"] == []
    line = told(run("db", "copy", "--from", store_url, "--to", target, "--conversation", made.hers[0]), 1)
    assert line.startswith("error: all that fits was erased, so nothing was copied")


def test_a_whole_copy_is_told_what_was_erased_since_and_how_to_erase_it_there(store_url: str, target: str) -> None:
    made = recorded(store_url)
    copied(store_url, target)
    erase(store_url, "annakarenina")
    report, warned = copied(store_url, target)
    assert set(report["held"]) > set(made.hers)
    assert f"run `recorder erase --finish --store {target}`" in warned
    shown = json.loads(run("verify", "--json", "--store", target).stdout)
    assert shown["erased"]["payloads"] == 0
    assert run("erase", "--finish", "--yes", "--store", target).exit_code == 0
    with closing(open_store(target, write=False)) as store:
        assert erased_streams(store) >= set(map(id_bytes, made.hers))
    assert verified(target)["findings"] == []
    assert copied(store_url, target)[0]["held"] == []


def test_a_filtered_copy_is_told_what_was_erased_since(store_url: str, target: str) -> None:
    made = recorded(store_url)
    copied(store_url, target, "--conversation", "annakarenina")
    erase(store_url, made.hers[0])
    report, warned = copied(store_url, target, "--since", "2020-01-01")
    assert (report["held"], report["erased"]) == ([made.hers[0]], [made.hers[0]])
    assert "`recorder erase ID` for what was copied with filters" in warned
    erase(target, made.hers[0])
    assert verified(target)["findings"] == []


def test_a_target_that_was_put_back_is_refused_before_anything_is_written(
    store_url: str, target: str, tmp_path: Path
) -> None:
    recorded(store_url)
    begun(target)
    kept = tmp_path / "kept.db"
    assert run("db", "backup", str(kept), "--store", target).exit_code == 0
    went_on(target)
    back = f"sqlite:///{kept}"
    before = verified(back)["events"]
    line = told(run("db", "copy", "--from", store_url, "--to", back, "--conversation", "annakarenina"), 1)
    assert "it was put back to an older state" in line
    assert verified(back)["events"] == before
