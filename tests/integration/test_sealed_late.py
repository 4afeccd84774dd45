"""What was recorded where the key was not and is sealed late: back-dated, until whoever has the key says why."""

from __future__ import annotations

import json
from contextlib import closing

import pytest

from recorder.clock import SystemClock, id_text
from recorder.recording.short_journal import write_once
from recorder.store import open_store
from tests.commands import json_lines, run, told
from tests.erasing import verified

WHY = "the key was in the other office"
FACTS = ("accessed", {"action": "export", "by": "a", "of": "everything", "result": "as json"})


class Before(SystemClock):
    """A clock of two minutes ago."""

    def __init__(self) -> None:
        super().__init__()
        now = self.wall_ns
        self.wall_ns = lambda: now() - 120_000_000_000


def sealed_late(url: str) -> bytes:
    """Seal the journal of somebody without the key, two minutes after it was written; return its id."""
    assert run("retention", "set", "--days", "1", "--store", url).exit_code == 0
    with closing(open_store(url, write=True)) as store:
        written = write_once(store, Before(), [FACTS], {"action": "test"})
    assert run("seal", "--store", url).exit_code == 0
    return written


def test_it_is_told_as_sealed_late_on_the_word_of_whoever_has_the_key(sealed_url: str) -> None:
    sealed_late(sealed_url)
    assert [one["kind"] for one in verified(sealed_url)["findings"]] == ["back_dated"]
    done = run("seal", "--late", WHY, "--store", sealed_url)
    assert done.exit_code == 0, done.stderr
    assert done.stderr.startswith("sealed late, on your word: ")
    assert run("verify", "--store", sealed_url).exit_code == 0
    report = verified(sealed_url)
    assert report["findings"] == []
    assert report["verdicts"]["bounded_in_time"] == "not proved"
    (line,) = [one for one in report["not_proved"] if "sealed late" in one]
    assert line.startswith("that 1 event streams are as old as they say")
    assert line.endswith(WHY)
    again = run("seal", "--late", WHY, "--store", sealed_url)
    assert (again.exit_code, again.stderr) == (0, "")


def test_what_was_vouched_for_is_told_in_json(sealed_url: str) -> None:
    written = sealed_late(sealed_url)
    for late in ([id_text(written)], []):
        done = run("seal", "--late", WHY, "--json", "--store", sealed_url)
        assert done.exit_code == 0, done.stderr
        (told_of,) = json_lines(done, "seal")
        assert told_of["sealed_late"] == late
        assert set(told_of) == {"size", "sealed_late"}
    assert set(json.loads(run("seal", "--json", "--store", sealed_url).stdout)) == {"size"}


def test_whoever_has_not_the_key_vouches_for_nothing(sealed_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    written = sealed_late(sealed_url)
    with closing(open_store(sealed_url, write=True)) as store:
        leaf = store.ledger.last_leaf(written)
        assert leaf is not None
        facts: dict[str, object] = {
            "action": "seal",
            "by": "a",
            "of": id_text(written),
            "result": "sealed late",
            "ground": WHY,
        }
        facts["events"] = leaf.head.length
        write_once(store, SystemClock(), [("accessed", facts)], {"action": "seal"})
    assert run("seal", "--store", sealed_url).exit_code == 0
    assert [one["kind"] for one in verified(sealed_url)["findings"]] == ["back_dated"]
    monkeypatch.setenv("XDG_DATA_HOME", "/nonexistent")
    told(run("seal", "--late", WHY, "--store", sealed_url), 2)
