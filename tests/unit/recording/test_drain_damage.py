"""The drainer and a damaged spool: what can be read goes on, what cannot is kept."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
import requests

from recorder import Recorder, RecordingError
from recorder.clock import id_text
from recorder.errors import CorruptRecording
from recorder.recording.batches import read_batch
from recorder.recording.drain import Drainer
from recorder.recording.lanes import JOURNAL, Lanes
from recorder.recording.recovery import recover
from recorder.recording.spool_file import HEADER_SIZE
from recorder.store import open_store
from tests.commands import run
from tests.loopback import Script, serve
from tests.recorded import ask, streams, until
from tests.unit.recording.spooled import CLOCK, Recording, drainer_of


def damage(path: Path, at: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        (byte,) = file.read(1)
        file.seek(at)
        file.write(bytes([byte ^ 1]))


def test_damage_in_one_lane_holds_up_no_other(
    tmp_path: Path, sqlite_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    lanes = Lanes(tmp_path / "spool", CLOCK.new_id(), CLOCK, durability="batched", wait=0.0)  # so no file is mapped
    beside = lanes.beside(1)
    assert beside is not None
    damaged, sound = Recording.at(lanes.of_thread()), Recording.at(beside)
    damaged.exchange()
    sound.exchange()
    assert lanes.flush()
    drainer = Drainer(lanes, lambda: open_store(sqlite_url, write=True), CLOCK)
    file = lanes.files()[0]
    damage(file.path, HEADER_SIZE + 20)
    assert drainer.drain()
    assert (drainer.error, drainer.events) == (None, 4)
    assert drainer.damage is not None
    assert drainer.damage.startswith(f"{file.path.name}, after byte {HEADER_SIZE}: ")
    later = sound.exchange()
    assert lanes.flush()
    drainer.drain()
    assert id_text(later.id) in streams(sqlite_url)
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert lanes.of_thread(drainer.damaged_lanes).files()[0].lane != file.lane
    assert lanes.of_thread(frozenset(range(8))).files()[0].lane not in range(8)
    drainer.stop(1.0, lambda _: False)
    lanes.close(drained=False)


def test_a_damaged_file_is_kept_whatever_comes_after_it(place: Path, sqlite_url: str) -> None:
    recording = Recording(place)
    recording.spool._roll_at = 3000
    recording.exchange(chunks=40, size=100)
    first, *later = recording.spool.files()
    assert later
    damage(first.path, first.size - 50)
    drainer = drainer_of(recording, sqlite_url)
    assert drainer.drain()
    moved = drainer.events
    assert 0 < moved < 42
    assert not drainer.drain()
    assert drainer.damage is not None
    assert drainer.events == moved
    assert all(file.path.exists() for file in (first, *later))
    assert not drainer.stop(1.0, lambda drained: recording.spool.pending(drained) == 0)
    recording.die()
    with closing(open_store(sqlite_url, write=True)) as store:
        assert recover(place, store, CLOCK, CLOCK.new_id()).damaged
    assert list(place.glob("*.damaged"))


def test_must_record_refuses_what_a_damaged_spool_would_keep_from_the_store(sqlite_url: str) -> None:
    with serve(Script(chunks=5)) as server:
        recorder = Recorder(sqlite_url, on_failure="raise", close_timeout=1)
        session = recorder.mount(requests.Session())
        assert ask(session, server.url, "first").content
        assert recorder.flush()
        assert recorder._path is not None
        mover = recorder._path._mover
        assert isinstance(mover, Drainer)
        mover._giving_way = True
        assert ask(session, server.url, "held up").content
        (file,) = [file for file in recorder._path._spool.files() if file.lane != JOURNAL]
        damage(file.path, file.size - 100)
        mover._giving_way = False
        mover.wake()
        until(lambda: recorder.health().spool_error is not None)
        with pytest.raises(RecordingError, match=r"cannot be recorded: .*fails its checksum"):
            ask(session, server.url, "refused")
        recorder.close()
        assert len(server.visits(2)) == 2
    assert file.path.exists()
    result = run("recover", "--store", sqlite_url)
    assert result.exit_code == 1
    assert file.path.name in result.stdout + result.stderr


def test_a_damaged_file_is_a_corrupt_recording(place: Path) -> None:
    recording = Recording(place)
    recording.spool.files()[0].append(b"\0\0\0\5\1\1\1\1\2abcd")
    with pytest.raises(CorruptRecording):
        read_batch(recording.spool.files()[0], HEADER_SIZE)
    recording.die()
