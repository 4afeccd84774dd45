"""Damaged headers of spool files, and files that are none: nothing is passed over, nothing is believed."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from recorder.clock import id_text
from recorder.core.codec import encode_opened
from recorder.core.events import Event, StreamOpened
from recorder.recording.recovery import read_spooled
from recorder.recording.spool_file import HEADER_SIZE
from recorder.store import open_store
from tests.commands import run
from tests.recorded import streams, types
from tests.unit.recording.lost_process import Process, SpoolData, names, recovered, stored
from tests.unit.recording.spooled import CLOCK


@pytest.fixture
def process(place: Path) -> Process:
    return Process(place)


def flipped(*places: int) -> Callable[[SpoolData], None]:
    return lambda file: file.flip(*places)


@pytest.mark.parametrize("place_in_it", [3, 14, 20, 31, 32, 47])
def test_a_flipped_byte_in_a_header_costs_nothing(
    process: Process, place: Path, store_url: str, place_in_it: int, caplog: pytest.LogCaptureFixture
) -> None:
    writer = process.stream()
    process.chunks(writer, count=3)
    (file,) = process.die()
    file.flip(place_in_it)
    found = recovered(place, store_url)
    told = streams(store_url)
    assert types(told[id_text(writer.id)])[-2:] == ["chunk_received", "process_died"]  # nothing is missing
    assert (found.events, found.salvaged, found.left, found.died) == (4, 0, 0, [id_text(writer.id)])
    assert found.instances == [id_text(process.instance)]
    assert names(found) == [file.path.name]
    assert (place / (file.path.name + ".damaged")).read_bytes() == file.data
    assert not file.path.exists()
    assert "its header" in caplog.text
    assert recovered(place, store_url).instances == []
    assert streams(store_url) == told


@pytest.mark.parametrize("place_in_it", [3, 20, 40])
@pytest.mark.parametrize("record", [0, 1, 4])
def test_a_damaged_header_and_a_damaged_record(
    process: Process, place: Path, sqlite_url: str, place_in_it: int, record: int
) -> None:
    hit, other = process.stream(), process.stream()
    process.chunks(hit, other, count=3)
    (file,) = process.die()
    file.flip(place_in_it, file.starts[record] + 60)
    found = recovered(place, sqlite_url)
    told = streams(sqlite_url)
    assert len(told[id_text(other.id)]) == 4 + 2
    assert (found.events, len(found.died)) == (stored(told), len(told))
    assert found.events + found.left + (record > 0) == 8
    assert found.instances == [id_text(process.instance)]
    assert names(found) == [file.path.name]


@pytest.mark.parametrize("cut", [True, False])
def test_a_header_that_became_longer_or_shorter_hides_no_record(
    process: Process, place: Path, sqlite_url: str, cut: bool
) -> None:
    writer = process.stream()
    process.chunks(writer, count=3)
    (file,) = process.die()
    if cut:
        del file.data[5:12]
    else:
        file.data[40:40] = b"more"
    file.flip()
    found = recovered(place, sqlite_url)
    assert (found.events, found.salvaged, found.left, found.died) == (4, 4, 0, [id_text(writer.id)])
    assert names(found) == [file.path.name]


def test_a_flipped_header_of_a_file_that_is_drained_in_part_repeats_nothing(
    process: Process, place: Path, sqlite_url: str
) -> None:
    writer = process.stream()
    process.chunks(writer, count=3)
    (file,) = process.die()
    openings = [record for record in file.records if isinstance(record, StreamOpened)]
    events = [record for record in file.records if isinstance(record, Event)]
    with closing(open_store(sqlite_url, write=True)) as store:
        store.append(openings, events[:3])
    file.flip(20)
    found = recovered(place, sqlite_url)
    assert (found.events, found.left, stored(streams(sqlite_url))) == (1, 0, 4)


@pytest.mark.parametrize("content", [b"", b"recorder", b"not one of ours, and longer than the header of a spool file"])
def test_a_file_that_is_no_spool_is_named_and_kept(place: Path, sqlite_url: str, content: bytes) -> None:
    place.mkdir()
    path = place / "notes.spool"
    path.write_bytes(content)
    with closing(open_store(sqlite_url, write=True)) as store:
        assert read_spooled(place, store).events == {}
    result = run("recover", "--store", sqlite_url)
    assert result.exit_code == 1
    assert result.stderr.startswith("error: 1 spool ")
    assert f"{path}.damaged" in result.stderr
    assert (place / "notes.spool.damaged").read_bytes() == content
    assert not path.exists()
    again = run("recover", "--store", sqlite_url)
    assert (again.exit_code, f"{path}.damaged" in again.stdout) == (0, True)


def test_a_folder_with_the_name_of_a_spool_is_passed_over(process: Process, place: Path, sqlite_url: str) -> None:
    writer = process.stream()
    process.die()
    (place / f"{os.urandom(16).hex()}-0.spool").mkdir()
    assert recovered(place, sqlite_url).died == [id_text(writer.id)]


def test_a_file_without_a_readable_header_or_record_may_be_of_a_process_that_died_here(
    process: Process, place: Path, sqlite_url: str
) -> None:
    writer = process.stream()
    process.lanes[0]._roll()
    process.chunks(writer, count=1)
    _, second = process.die()
    second.flip(3, HEADER_SIZE + 60)
    found = recovered(place, sqlite_url)
    assert types(streams(sqlite_url)[id_text(writer.id)]) == ["request_sent", "gap_recorded", "process_died"]
    assert names(found) == [second.path.name]


def test_a_payload_gives_a_file_no_other_owner(process: Process, place: Path, sqlite_url: str) -> None:
    """The first record and the header are damaged, and in the payload of the first event stands a whole exchange."""
    foreign = encode_opened(StreamOpened(CLOCK.new_id(), CLOCK.new_id(), CLOCK.secret(32)))
    writer = process.stream()
    writer.write(b"chunk_received", 3, None, foreign * 3)
    process.chunks(writer, count=2)
    (file,) = process.die()
    file.flip(3, file.starts[0] + 30, file.starts[2] + 20)
    found = recovered(place, sqlite_url)
    assert found.instances == [id_text(process.instance)]
    assert (streams(sqlite_url), found.left) == ({}, 3)
