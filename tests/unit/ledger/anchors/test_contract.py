"""What every anchor owes: a trace that can be left twice, evidence that fits to one checkpoint and to no other."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from recorder.errors import AnchorFailed
from recorder.ledger.anchors import Anchor, open_anchor
from recorder.ledger.anchors.base import LARGEST_EVIDENCE
from tests.tsa import Served
from tests.unit.ledger.anchors.noted import note

Make = Callable[[], Anchor]


@pytest.fixture(params=["file", "directory", "command", "rfc3161"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def make(kind: str, tmp_path: Path, tsa: Served) -> Make:
    """Returns what opens an anchor anew, as another process would."""
    (tmp_path / "notes").mkdir()
    passed = tmp_path / "passed on.txt"
    script = f"import sys; open({str(passed)!r}, 'ab').write(sys.stdin.buffer.read()); print('kept as 17')"
    texts = {
        "file": f"file:{tmp_path / 'elsewhere.notes'}",
        "directory": f"directory:{tmp_path / 'notes'}",
        "command": f'command:{sys.executable} -c "{script}"',
        "rfc3161": f"rfc3161:{tsa.url}#ca={tsa.authority.roots}",
    }
    return lambda: open_anchor(texts[kind])


def test_a_trace_is_confirmed_by_whoever_looks_later(make: Make, kind: str) -> None:
    evidence = make().leave(note(7))
    checked = make().check(note(7), evidence)
    assert checked.state == ("not checked" if kind == "command" else "confirmed")
    assert checked.told
    assert checked.proves
    assert checked.not_proved
    assert (checked.time is not None) == (kind == "rfc3161")


def test_evidence_is_small(make: Make) -> None:
    assert 0 < len(make().leave(note(7))) <= LARGEST_EVIDENCE


def test_evidence_fits_to_no_other_checkpoint(make: Make, kind: str) -> None:
    evidence = make().leave(note(7))
    said = "not checked" if kind == "command" else "contradicted"  # what an answer fits to only its keeper can say
    for other in (note(8), note(7, root=bytes(32)), note(7, signatures=2)):
        assert make().check(other, evidence).state == said


def test_a_trace_can_be_left_again(make: Make, kind: str) -> None:
    first, second = make().leave(note(7)), make().leave(note(7))
    for evidence in (first, second):
        assert make().check(note(7), evidence).state != "contradicted"
    assert list(make().held()) == ([note(7)] if kind in ("file", "directory") else [])


def test_what_is_held_comes_oldest_first(make: Make, kind: str) -> None:
    for size in (3, 20, 100):
        make().leave(note(size))
    assert list(make().held()) == ([note(3), note(20), note(100)] if kind in ("file", "directory") else [])


def test_damaged_evidence_raises_nothing(make: Make) -> None:
    anchor = make()
    evidence = anchor.leave(note(7))
    for spoilt in (b"", b"{}", b"[1]", b'{"at": "x"}', b'{"at": -5}', b"\xff", evidence[:-1], evidence[1:]):
        anchor.check(note(7), spoilt)


@pytest.mark.parametrize("text", ["file:{}/missing/notes", "directory:{}/missing", "command:{}/missing arg"])
def test_what_is_not_there_cannot_be_used(text: str, tmp_path: Path) -> None:
    anchor = open_anchor(text.format(tmp_path))
    with pytest.raises(AnchorFailed, match="No such file or directory") as failed:
        anchor.leave(note(7))
    assert anchor.name in str(failed.value)
    assert not (tmp_path / "missing").exists()
