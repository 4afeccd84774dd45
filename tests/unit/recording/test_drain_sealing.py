"""What a drainer that died had brought to the store, and not sealed, the next one seals."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from recorder.core.events import Event
from recorder.core.heads import ENDED
from recorder.errors import StoreUnreachable
from recorder.recording.drain import Drainer
from recorder.store import open_store
from recorder.store.base import EventLog
from tests.sealing import check_sealed, founded
from tests.unit.recording.spooled import CLOCK, Failing, Recording, Watched, drainer_of


def test_a_drainer_seals_what_the_one_before_it_has_moved(
    store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = Recording(tmp_path / "spools")
    founded(store_url)
    dead = drainer_of(recording, store_url)
    writer = recording.exchange()
    with closing(open_store(store_url, write=True)) as store:
        dead.adopt(store)
        # It dies before it hears of it, and before it looks for what was left.
        monkeypatch.setattr(dead._sealer, "moved", lambda events: None)
        monkeypatch.setattr(dead._sealer._looking, "due", lambda store: [])
        dead.drain()
        assert store.ledger.size() == 0
    drainer = drainer_of(recording, store_url)
    receipt = drainer.seal(writer.id, 10)
    drainer.stop(10, lambda drained: True)
    assert (receipt.leaf.head.stream, receipt.leaf.head.length, receipt.leaf.head.state) == (writer.id, 4, ENDED)
    assert len(check_sealed(store_url)) == 1


def test_so_does_one_that_never_heard_of_its_commit(store_url: str, tmp_path: Path) -> None:
    founded(store_url)
    recording = Recording(tmp_path / "spools")

    class Cut(Failing):
        """A store that commits, and whose connection is lost before it says so."""

        def append(self, *arguments: object, **options: object) -> None:
            super().append(*arguments, **options)
            events: list[Event] = arguments[1]  # type: ignore[assignment]
            if events and self.error is None:
                self.error = StoreUnreachable("connection lost")
                raise self.error

    def opens() -> EventLog:
        made.append(open_store(store_url, write=True))
        return Cut(made[-1]) if len(made) == 1 else made[-1]  # type: ignore[return-value]

    made: list[EventLog] = []
    drainer = Drainer(recording.spool, opens, CLOCK)
    writer = recording.exchange()
    drainer.drain()
    assert drainer.error == "connection lost"
    assert drainer.seal(writer.id, 10).leaf.head.length == 4
    drainer.stop(10, lambda drained: True)
    assert len(check_sealed(store_url)) == 1


@pytest.mark.parametrize("again", [False, True])
def test_what_is_sealed_is_not_sealed_again(store_url: str, tmp_path: Path, again: bool) -> None:
    founded(store_url)
    recording = Recording(tmp_path / "spools")
    writer = recording.exchange()
    drainer = drainer_of(recording, store_url)
    first = drainer.seal(writer.id, 10)
    if again:
        drainer.stop(10, lambda drained: False)
        drainer = drainer_of(recording, store_url)
    assert drainer.seal(writer.id, 10).leaf == first.leaf
    drainer.stop(10, lambda drained: True)
    assert len(check_sealed(store_url)) == 1


def test_it_is_sealed_while_more_comes_in_than_can_be_moved(sqlite_url: str, tmp_path: Path) -> None:
    recording = Recording(tmp_path / "spools")
    founded(sqlite_url)
    sealed: list[int] = []

    def write_more(events: Sequence[Event]) -> None:
        """As long as nothing is sealed, there is always something in the spool."""
        if not notes and len(sealed) < 2000:
            sealed.append(len(notes))
            recording.exchange()

    notes: list[str] = []
    store = open_store(sqlite_url, write=True)
    drainer = Drainer(recording.spool, lambda: Watched(store, write_more), CLOCK, signed=notes.append)
    recording.exchange()
    drainer.drain()
    assert notes
    assert len(sealed) < 2000  # by then it would have been the end of the spool
    drainer.stop(10, lambda drained: True)
    check_sealed(sqlite_url)


def test_what_does_its_own_rounds_gets_no_thread_that_is_in_their_way_at_the_end(
    store_url: str, tmp_path: Path
) -> None:
    """As in a drainer process, which at its end waits for nothing: a thread kept it from sealing the rest."""
    founded(store_url)
    recording = Recording(tmp_path / "spools")
    drainer = drainer_of(recording, store_url)
    drainer.seal(recording.exchange().id, 10)
    assert [one.name for one in threading.enumerate() if one.name == "recorder-drainer"] == []
    recording.exchange()
    drainer.drain()
    assert drainer.stop(0, lambda drained: True)
    assert len(check_sealed(store_url)) == 2
