"""What the outside says of a ledger, whatever lies there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from recorder.clock import SystemClock
from recorder.core.notes import Checkpoint
from recorder.ledger.anchored import anchored_sizes, disagreements, look
from recorder.ledger.anchoring import leave
from recorder.ledger.anchors.files import FileAnchor
from recorder.store import open_store
from recorder.store.sql import SqlStore
from tests.contract.sealed import NOW, ORIGIN, head
from tests.unit.ledger.anchors.noted import note


@pytest.fixture
def store(sqlite_url: str) -> Iterator[SqlStore]:
    """A store whose ledger has five leaves and a checkpoint of each size, signed by nobody."""
    with closing(open_store(sqlite_url, write=True)) as opened:
        opened.ledger.found(ORIGIN)
        opened.ledger.append([head(number) for number in range(1, 6)], NOW)
        for size in range(1, 6):
            opened.ledger.add_checkpoint(size, _note(opened, size).decode(), NOW)
        yield opened


def _note(store: SqlStore, size: int) -> bytes:
    return note(size, origin=ORIGIN, root=store.ledger.root(size))


def test_a_ledger_that_goes_on_from_everything_outside_agrees(store: SqlStore, tmp_path: Path) -> None:
    anchor = FileAnchor(tmp_path / "notes")
    for size in (1, 2, 5):
        anchor.leave(_note(store, size))
    anchor.leave(note(3, origin="another.example/log"))
    assert list(disagreements(store.ledger, anchor)) == []


def test_each_checkpoint_outside_that_does_not_fit_is_told(store: SqlStore, tmp_path: Path) -> None:
    anchor = FileAnchor(tmp_path / "notes")
    for each in (_note(store, 2), note(3, origin=ORIGIN), note(6, origin=ORIGIN), note(7, origin=ORIGIN)):
        anchor.leave(each)
    found = list(disagreements(store.ledger, anchor))
    assert [(one.size, one.kind) for one in found] == [(3, "rewritten"), (6, "rolled_back"), (7, "rolled_back")]
    assert all(anchor.name in one.told for one in found)


def test_evidence_is_looked_at_in_the_order_in_which_it_came(store: SqlStore, tmp_path: Path) -> None:
    anchor, clock = FileAnchor(tmp_path / "notes"), SystemClock()
    for size in (4, 2):
        store.ledger.add_anchor(leave(anchor, _note(store, size), clock).kept_as(clock.new_id()))
    other = FileAnchor(tmp_path / "others")
    store.ledger.add_anchor(leave(other, _note(store, 3), clock).kept_as(clock.new_id()))
    looked = list(look(store.ledger, [anchor]))
    assert [(one.anchored.size, one.checked.state) for one in looked] == [
        (4, "confirmed"),
        (2, "confirmed"),
        (3, "not checked"),
    ]
    assert anchored_sizes(store.ledger) == {anchor.name: 4, other.name: 3}
    assert Checkpoint(ORIGIN, 4, store.ledger.root(4)).text.encode() in anchor.path.read_bytes()
