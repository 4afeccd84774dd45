"""Anchors by their texts, and evidence of which only the name is known."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from recorder.errors import ConfigurationError
from recorder.ledger.anchors import check_evidence, open_anchor, open_anchors, split_texts
from recorder.ledger.anchors.command import CommandAnchor
from recorder.ledger.anchors.files import DirectoryAnchor, FileAnchor
from recorder.ledger.anchors.time_stamps import TimeStampAnchor, read_roots
from tests.tsa import Authority, Served
from tests.unit.ledger.anchors.noted import note


def test_every_kind_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert open_anchor("file:notes") == FileAnchor(tmp_path / "notes")
    assert open_anchor(" directory:/mnt/notes ") == DirectoryAnchor(Path("/mnt/notes"))
    assert open_anchor("command:send 'two words' #1") == CommandAnchor(("send", "two words", "#1"))
    assert open_anchor("rfc3161:https://tsa.example/x?a=1") == TimeStampAnchor("https://tsa.example/x?a=1")


def test_settings_stand_at_the_end(tmp_path: Path, authority: Authority) -> None:
    assert open_anchor("file:/a#b#every=5").every_s == 5.0
    assert open_anchor("file:/a#b#every=5").name == "file:/a#b"
    roots = tmp_path / "my roots.pem"
    roots.write_bytes(authority.roots.read_bytes())
    stamped = open_anchor(f"rfc3161:https://tsa.example/#ca={roots}&every=0.5")
    assert stamped == TimeStampAnchor("https://tsa.example/", roots, 0.5)
    for wrong, told in (("missing.pem", "cannot be read"), ("empty.pem", "holds no certificate in PEM")):
        (tmp_path / "empty.pem").touch()
        with pytest.raises(ConfigurationError, match=told):
            open_anchor(f"rfc3161:https://tsa.example/#ca={tmp_path / wrong}")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/mnt/notes",
        "file:",
        "file: ",
        "file:#every=5",
        "s3:bucket",
        "rfc3161:tsa.example",
        "rfc3161:ftp://tsa.example",
        "rfc3161:https://",
        "command:'open",
        "file:/a#every=soon",
        "file:/a#every=-1",
        "file:/a#every=nan",
        "file:/a#ca=/roots.pem",
        "file:/a\0b",
    ],
)
def test_what_is_no_anchor_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"[\w)]: \w"):
        open_anchor(text)


def test_a_refusal_quotes_nothing_secret() -> None:
    with pytest.raises(ConfigurationError) as refused:
        open_anchor("rfc3161:user:s3cret@tsa.example")
    assert "s3cret" not in str(refused.value)


def test_several_in_one_variable() -> None:
    assert split_texts("file:/a ; command:send x\nrfc3161:https://tsa.example;\n") == [
        "file:/a",
        "command:send x",
        "rfc3161:https://tsa.example",
    ]
    assert split_texts("") == []
    assert split_texts("command:sh -c 'a; b';file:/a;\ns3:x; y") == ["command:sh -c 'a; b'", "file:/a", "s3:x; y"]


def test_anchors_of_the_environment_and_of_a_program(monkeypatch: pytest.MonkeyPatch) -> None:
    assert open_anchors() == []
    monkeypatch.setenv("RECORDER_ANCHORS", "file:/a;file:/b")
    assert [anchor.name for anchor in open_anchors()] == ["file:/a", "file:/b"]
    assert [anchor.name for anchor in open_anchors(["file:/c"])] == ["file:/c"]
    assert open_anchors([]) == []


def test_nothing_is_imported_for_time_stamps_before_they_are_needed() -> None:
    script = (
        "import sys; from recorder.ledger.anchors import open_anchor; open_anchor('rfc3161:https://tsa.example');"
        "print([name for name in ('rfc3161_client', 'cryptography', 'requests') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_without_the_extra_it_is_told_what_to_install() -> None:
    script = (
        "import sys; sys.modules['rfc3161_client'] = None\n"
        "from recorder.errors import ConfigurationError\n"
        "from recorder.ledger.anchors import check_evidence, open_anchor\n"
        "print(check_evidence('rfc3161:https://tsa.example', b'', b'').told)\n"
        "try:\n    open_anchor('rfc3161:https://tsa.example')\nexcept ConfigurationError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    advice = "time stamps need the extra tsa: run `pip install 'conversation-recorder[tsa]'`"
    told = f"rfc3161:https://tsa.example was not looked at: {advice}"
    assert done.stdout.splitlines() == [told, advice], done.stderr


def test_the_name_of_an_anchor_in_a_store_opens_and_runs_nothing(tmp_path: Path) -> None:
    """Whoever wrote the store wrote the name: it must not make the auditor's machine do anything."""
    made = tmp_path / "made"
    command = CommandAnchor(("touch", str(made)))
    for name in (command.name, f"command:touch {made}", f"file:{tmp_path / 'notes'}", f"directory:{tmp_path}", "x:y"):
        FileAnchor(tmp_path / "notes").leave(note(7))
        assert check_evidence(name, note(7), b"{}").state == "not checked"
    assert not made.exists()


def test_what_the_auditor_names_himself_is_looked_at(tmp_path: Path) -> None:
    anchor = FileAnchor(tmp_path / "notes")
    evidence = anchor.leave(note(7))
    assert check_evidence(anchor.name, note(7), evidence, known=[anchor]).state == "confirmed"


def test_time_stamps_need_only_the_auditors_roots(tsa: Served) -> None:
    evidence = TimeStampAnchor(tsa.url, tsa.authority.roots).leave(note(7))
    roots = read_roots(tsa.authority.roots)
    assert check_evidence("rfc3161:https://any.example", note(7), evidence, roots=roots).state == "confirmed"
    assert check_evidence("rfc3161:https://any.example", note(7), evidence).state == "not checked"
