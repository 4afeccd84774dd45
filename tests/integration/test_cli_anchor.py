"""``recorder anchor``: the last checkpoint elsewhere, and what the outside says against a store."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from recorder.clock import SystemClock
from recorder.core.notes import Checkpoint, parse_checkpoint, parse_note
from recorder.ledger import keys
from recorder.ledger.anchors.files import FileAnchor
from recorder.store import open_store
from tests.commands import fill, json_lines, run, told
from tests.contract.sealed import ORIGIN, head
from tests.sealing import check_sealed, founded
from tests.tsa import Served


def seal(url: str, *numbers: int, length: int = 1) -> str:
    """Seal heads of streams and sign the checkpoint, as a sealer does; return the note."""
    key = keys.load(ORIGIN) or keys.create(ORIGIN, SystemClock())
    with closing(open_store(url, write=True)) as store:
        store.ledger.found(ORIGIN)
        store.ledger.append([head(number, length) for number in numbers], 1_790_000_000_000_000_000)
        size = store.ledger.size()
        note = key.signed(Checkpoint(ORIGIN, size, store.ledger.root(size)).text)
        store.ledger.add_checkpoint(size, note, 1_790_000_000_000_000_000)
    return note


def test_the_last_checkpoint_is_left_and_told(store_url: str, tmp_path: Path) -> None:
    seal(store_url, 1)
    note = seal(store_url, 2, 3)
    text = f"file:{tmp_path / 'elsewhere.notes'}"
    done = run("anchor", "--anchor", text, "--store", store_url)
    assert done.exit_code == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == f"{text} holds this checkpoint of 3 leaves"
    assert lines[1].startswith("  proves      whoever keeps that place can tell")
    assert lines[2].startswith("  not proved  when it was written there")
    assert list(FileAnchor(tmp_path / "elsewhere.notes").held()) == [note.encode()]
    with closing(open_store(store_url, write=False)) as store:
        [(opened, events)] = [(opened, list(events)) for opened, events in store.walk()]
        [anchored] = store.ledger.anchors()
    assert [event.type for event in events] == ["instance_started", "anchored", "instance_stopped"]
    assert opened is not None
    assert opened.stream == opened.instance
    root = parse_checkpoint(parse_note(note).text).root.hex()
    digest = hashlib.sha256(anchored.evidence).hexdigest()
    assert events[1].facts == {"anchor": text, "size": 3, "root": root, "evidence_sha256": digest}

    listed = run("anchor", "--list", "--anchor", text, "--store", store_url)
    assert listed.exit_code == 0
    assert listed.stdout.startswith(f"{text}: 1 checkpoint, the last of 3 leaves, ")
    assert "confirmed: 1" in listed.stdout


def test_that_it_was_left_is_sealed_where_the_key_is(
    store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    founded(store_url)
    assert run("retention", "set", "--days", "1", "--store", store_url).exit_code == 0
    anchor = ("anchor", "--anchor", f"file:{tmp_path / 'elsewhere.notes'}", "--store", store_url)
    assert run(*anchor).stderr == ""
    check_sealed(store_url)
    monkeypatch.setenv("XDG_DATA_HOME", "/nonexistent")
    done = run(*anchor)
    assert done.exit_code == 0
    assert done.stderr.startswith("warning: it is recorded, and not sealed yet: ")
    with closing(open_store(store_url, write=False)) as store:
        assert len(store.ledger.unsealed(9)) == 1


def test_several_anchors_from_the_environment_for_programs(store_url: str, tmp_path: Path, tsa: Served) -> None:
    seal(store_url, 1)
    roots = tsa.authority.roots
    (tmp_path / "notes").mkdir()
    texts = f"directory:{tmp_path / 'notes'}; command:sh -c 'cat > /dev/null; echo kept'\nrfc3161:{tsa.url}#ca={roots}"
    done = run("anchor", "--json", "--store", store_url, env={"RECORDER_ANCHORS": texts})
    left = json_lines(done, "anchor")
    assert [one["state"] for one in left] == ["confirmed", "not_checked", "confirmed"]
    assert left[2]["by"] == "CN=Test tsa,O=Test authority"
    assert left[2]["not_before"] < left[2]["not_after"]

    # Whoever audits trusts what he names himself, and nothing that the store says.
    listed = json_lines(run("anchor", "--list", "--json", "--store", store_url), "anchor")
    assert [one["state"] for one in listed] == ["not_checked"] * 3
    named = run(
        "anchor", "--list", "--json", "--roots", str(roots), "--anchor", left[0]["anchor"], "--store", store_url
    )
    assert [one["state"] for one in json_lines(named, "anchor")] == ["confirmed", "not_checked", "confirmed"]
    assert [one["evidence"] for one in listed] == [one["evidence"] for one in left]


def test_an_anchor_that_cannot_be_reached_keeps_none_of_the_others(sqlite_url: str, tmp_path: Path) -> None:
    seal(sqlite_url, 1)
    good = f"file:{tmp_path / 'notes'}"
    done = run(
        *("anchor", "--anchor", "rfc3161:http://127.0.0.1:9/tsr", "--anchor", good, "--store", sqlite_url),
    )
    line = told(done, 3)
    assert line.startswith("error: the anchor rfc3161:http://127.0.0.1:9/tsr cannot be reached")
    assert f"{good} holds this checkpoint" in done.stdout
    assert len(json_lines(run("anchor", "--list", "--json", "--store", sqlite_url), "anchor")) == 1


def test_a_store_that_was_put_back_is_told_by_what_lies_elsewhere(sqlite_url: str, tmp_path: Path) -> None:
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    text = f"file:{tmp_path / 'elsewhere.notes'}"
    seal(sqlite_url, 1)
    shutil.copy(path, tmp_path / "older.db")
    seal(sqlite_url, 2)
    assert run("anchor", "--anchor", text, "--store", sqlite_url).exit_code == 0
    for name in ("", "-wal", "-shm"):
        Path(f"{path}{name}").unlink(missing_ok=True)
    shutil.copy(tmp_path / "older.db", path)
    line = told(run("anchor", "--list", "--anchor", text, "--store", sqlite_url), 1)
    assert "holds a checkpoint of 2 leaves, but the store's ledger has 1: it was put back to an older state" in line


def test_a_ledger_that_was_made_anew_is_told_also_where_its_key_made_it(sqlite_url: str, tmp_path: Path) -> None:
    text = f"file:{tmp_path / 'elsewhere.notes'}"
    seal(sqlite_url, 1, 2)
    assert run("anchor", "--anchor", text, "--store", sqlite_url).exit_code == 0
    other = f"sqlite:///{tmp_path / 'anew.db'}"
    seal(other, 1, 3, 4)
    line = told(run("anchor", "--list", "--anchor", text, "--store", other), 1)
    assert "holds a checkpoint of 2 leaves whose root is another one than the store's" in line


def test_a_checkpoint_elsewhere_that_is_not_the_logs_is_told(sqlite_url: str, tmp_path: Path) -> None:
    seal(sqlite_url, 1)
    forged = seal(sqlite_url, 2).replace("\n2\n", "\n9\n")
    (tmp_path / "elsewhere.notes").write_text(forged + "\nnot a note\n")
    line = told(run("anchor", "--list", "--anchor", f"file:{tmp_path / 'elsewhere.notes'}", "--store", sqlite_url), 1)
    assert "holds a checkpoint of 9 leaves that is not the log's" in line


def test_evidence_without_its_checkpoint_is_a_contradiction(sqlite_url: str, tmp_path: Path) -> None:
    seal(sqlite_url, 1)
    text = f"file:{tmp_path / 'notes'}"
    run("anchor", "--anchor", text, "--store", sqlite_url)
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as raw:
        raw.execute("DROP TRIGGER checkpoints_no_delete")
        raw.execute("DELETE FROM checkpoints")
        raw.commit()
    listed = run("anchor", "--list", "--store", sqlite_url)
    assert listed.exit_code == 1
    assert "contradicted: 1" in listed.stdout
    assert "which is not in the store" in listed.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        ((), 2, "error: there is nowhere to anchor: give --anchor file:PATH, or set RECORDER_ANCHORS"),
        (("--anchor", "elsewhere"), 2, "error: an anchor is not written so: write file:PATH"),
        (("--anchor", "file:/x"), 1, "is sealed yet: run `recorder keys init`, then `recorder seal`"),
        (("--list", "--roots", "missing.pem"), 2, "error: missing.pem cannot be read"),
    ],
)
def test_what_cannot_be_done_is_one_line(arguments: tuple[str, ...], code: int, line: str, sqlite_url: str) -> None:
    fill(sqlite_url)
    assert line in told(run("anchor", *arguments, "--store", sqlite_url), code)


def test_a_store_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    told(run("anchor", "--anchor", "file:/x", "--store", f"sqlite:///{tmp_path / 'missing.db'}"), 3)
    assert not (tmp_path / "missing.db").exists()


def test_a_cassette_has_no_ledger(tmp_path: Path) -> None:
    line = told(run("anchor", "--anchor", "file:/x", "--store", f"{tmp_path}/c.jsonl"), 2)
    assert "is a cassette, not a store" in line


def test_nothing_was_left_yet(sqlite_url: str) -> None:
    fill(sqlite_url)
    listed = run("anchor", "--list", "--store", sqlite_url)
    assert (listed.exit_code, listed.stdout) == (0, "")
    assert listed.stderr == "no checkpoint of this store was anchored outside\n"
