"""A cassette's file under a recorder: full disks, other writers, git, and what a killed process left."""

from __future__ import annotations

import json
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from recorder.core.cassette import read_cassette
from recorder.core.cassette_lines import header_line, stream_lines
from recorder.core.events import Event
from recorder.errors import ChainBroken, ConfigurationError, CorruptRecording, RecorderError, StoreUnreachable
from recorder.store.base import SpoolMark
from recorder.store.cassette import CassetteStore
from recorder.store.cassette_file import Rules
from tests.building import ExchangeBuilder, identity
from tests.contract.stored import exchange

ONE, TWO = exchange(1), exchange(2)


def mark(at: int) -> SpoolMark:
    return SpoolMark(b"s" * 16, at, at + 1)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "x.jsonl"


def whole(*made: ExchangeBuilder) -> bytes:
    lines = [line for one in made for line in stream_lines(one.opened, one.events)]
    return b"".join([header_line(len(made)), *lines])


def events_in(file: Path) -> dict[bytes, list[Event]]:
    cassette = read_cassette(file.read_bytes())
    assert cassette.problems == []
    return {stream: block.events() for stream, block in cassette.blocks.items()}


@contextmanager
def disk_full_after(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_the_file_of_a_run(file: Path) -> None:
    store = CassetteStore(file, Rules({"ignore": ["/a"]}, ("body:name",)))
    assert not file.exists()
    store.append([ONE.opened], ONE.events[:1], mark(0))
    first = {"cassette": 1, "recording": True, "match": {"ignore": ["/a"]}, "redact": ["body:name"]}
    assert json.loads(file.read_bytes().splitlines()[0]) == first
    store.append([TWO.opened], TWO.events, mark(1))
    store.append([], ONE.events[1:], mark(2))
    assert [json.loads(line).get("event", "-") for line in file.read_bytes().splitlines()] == [
        *("-", "-", "request_sent"),
        *("-", "request_sent", "response_started", *3 * ["chunk_received"], "response_completed", "-"),
        *("-", "response_started", *3 * ["chunk_received"], "response_completed", "-"),
    ]
    store.close()
    rest = whole(ONE, TWO).partition(b"\n")[2]
    line, _, written = file.read_bytes().partition(b"\n")
    assert json.loads(line) == {"cassette": 1, "exchanges": 2, **{key: first[key] for key in ("match", "redact")}}
    assert written == rest
    store.close()


def test_a_gap_that_is_noticed_after_the_end(file: Path) -> None:
    store = CassetteStore(file)
    store.append([ONE.opened, TWO.opened], [*ONE.events, *TWO.events], mark(0))
    late = exchange(1).event("gap_recorded", {"events": 1})
    store.append([], late.events[-1:], mark(1))
    assert events_in(file)[identity(1)] == late.events
    store.close()
    assert file.read_bytes() == whole(late, TWO)


@pytest.mark.parametrize("left", [0, 1, 40, 300, 900])
def test_a_full_disk_in_the_middle_of_a_batch(file: Path, left: int) -> None:
    store = CassetteStore(file)
    store.append([ONE.opened], ONE.events[:2], mark(0))
    with disk_full_after(file.stat().st_size + left), pytest.raises(StoreUnreachable, match="cannot be written"):
        store.append([TWO.opened], [*ONE.events[2:], *TWO.events], mark(1))
    assert store.drained(b"s" * 16) == 1
    assert events_in(file)[identity(1)] == ONE.events[: len(events_in(file)[identity(1)])]
    for one in (CassetteStore(file), store):  # a drainer opens it again; whoever goes on does the same
        one.append([ONE.opened, TWO.opened], [*ONE.events, *TWO.events], mark(1))
        assert events_in(file) == {identity(1): ONE.events, identity(2): TWO.events}
    store.close()
    assert file.read_bytes() == whole(ONE, TWO)


def test_a_full_disk_when_the_file_is_written_again(file: Path) -> None:
    store = CassetteStore(file)
    store.append([ONE.opened], ONE.events, mark(0))
    before = file.read_bytes()
    late = exchange(1).event("gap_recorded", {"events": 1}).events[-1:]
    with disk_full_after(100):
        for again in (store.settle, lambda: store.append([], late, mark(1))):
            with pytest.raises(StoreUnreachable, match="cannot be written"):
                again()
    assert file.read_bytes() == before
    assert [one.name for one in file.parent.iterdir()] == [file.name]
    store.append([TWO.opened], TWO.events, mark(1))
    store.append([], late, mark(2))
    store.close()
    assert file.read_bytes() == whole(exchange(1).event("gap_recorded", {"events": 1}), TWO)


def _older(file: Path) -> None:
    file.with_suffix(".git").write_bytes(whole(TWO))
    file.with_suffix(".git").replace(file)


@pytest.mark.parametrize("change", [Path.unlink, _older], ids=["removed", "checked out"])
@pytest.mark.parametrize("go_on", [True, False])
def test_what_was_written_and_is_gone_is_written_again(file: Path, change: Callable[[Path], None], go_on: bool) -> None:
    file.write_bytes(whole(TWO))
    store = CassetteStore(file)
    store.append([ONE.opened], ONE.events[:3], mark(0))
    if not go_on:
        store.append([], ONE.events[3:], mark(1))
    change(file)
    if go_on:
        store.append([], ONE.events[3:], mark(1))
    store.close()
    assert file.read_bytes() == whole(ONE, TWO)


def test_what_others_took_out_is_not_brought_back(file: Path) -> None:
    file.write_bytes(whole(ONE, TWO))
    store = CassetteStore(file)
    file.write_bytes(whole(TWO))
    three = exchange(3)
    store.append([three.opened], three.events, mark(0))
    store.close()
    assert file.read_bytes() == whole(TWO, three)


def test_nothing_is_written_over_a_file_that_somebody_has_broken(file: Path) -> None:
    store = CassetteStore(file)
    store.append([ONE.opened], ONE.events[:3], mark(0))
    broken = b"<<<<<<< HEAD\n" + file.read_bytes()
    file.write_bytes(broken)
    for again in (lambda: store.append([], ONE.events[3:], mark(1)), store.close, store.counts):
        with pytest.raises(CorruptRecording, match="line 1 is what git leaves of a conflict: take one side"):
            again()
    assert file.read_bytes() == broken
    file.write_bytes(broken.partition(b"\n")[2])
    store.append([], ONE.events[3:], mark(1))
    store.close()
    assert file.read_bytes() == whole(ONE)


def test_rules_that_came_meanwhile_are_not_claimed_for_what_does_not_follow_them(file: Path) -> None:
    store = CassetteStore(file)
    other = CassetteStore(file, Rules(None, ("body:name",)))
    other.append([TWO.opened], TWO.events, mark(0))
    other.close()
    before = file.read_bytes()
    with pytest.raises(ConfigurationError, match="line 1: it has the redaction rule 'body:name' by now"):
        store.append([ONE.opened], ONE.events, mark(0))
    assert file.read_bytes() == before


def test_what_a_killed_process_left_is_gone_on_with(file: Path) -> None:
    store = CassetteStore(file)
    store.append([ONE.opened], ONE.events[:3], mark(0))
    left = file.read_bytes()
    file.with_name(".x.jsonl.new").write_bytes(b"half of it")
    for torn in (b"", b'{"event":"chunk_rec', b'{"exchange":"', b"\0\0\0"):
        file.write_bytes(left + torn)
        again = CassetteStore(file)
        assert [last and last.version for _, last in again.unfinished()] == [3]
        again.close()
        assert file.read_bytes() == left + torn
        again.append([], ONE.events[3:], mark(1))
        again.close()
        assert file.read_bytes() == whole(ONE)
    assert [one.name for one in file.parent.iterdir()] == [file.name]


def test_an_opening_without_its_first_event_is_no_exchange(file: Path) -> None:
    file.write_bytes(header_line(None) + next(iter(stream_lines(ONE.opened, ONE.events))))
    store = CassetteStore(file)
    store.append([ONE.opened], ONE.events, mark(0))
    store.close()
    assert file.read_bytes() == whole(ONE)


def test_nobody_is_left_who_could_record_its_end(file: Path) -> None:
    store = CassetteStore(file)
    cut = exchange(1, ended=False)
    store.append([cut.opened], cut.events, mark(0))
    store.close()
    assert read_cassette(file.read_bytes()).recording
    store.settle(abandoned=True)
    assert file.read_bytes() == whole(cut)


def test_what_comes_from_no_spool_is_all_there_is(file: Path) -> None:
    store = CassetteStore(file)
    cut = exchange(1, ended=False)
    store.append([cut.opened], cut.events)
    store.close()
    assert file.read_bytes() == whole(cut)
    again = CassetteStore(file)
    again.append([], exchange(1).events[-1:], mark(0))
    again.close()
    assert file.read_bytes() == whole(ONE)


def test_a_mode_is_kept(file: Path) -> None:
    file.write_bytes(whole(ONE))
    file.chmod(0o640)
    store = CassetteStore(file)
    store.append([TWO.opened], TWO.events, mark(0))
    store.close()
    assert file.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    ("data", "error", "says"),
    [
        (b"", ConfigurationError, "line 1 is missing: the file is empty: restore the file, or remove it"),
        (b"{}\n", ConfigurationError, r"line 1 does not begin a cassette: the first line .*`recorder import`"),
        (b'{"cassette":9}\n', ConfigurationError, "line 1 is of version 9, .* reads 1: update recorder"),
        (b"=======\n", CorruptRecording, "line 1 is what git leaves of a conflict: take one side"),
        (whole(ONE)[:-1] + b"x\n", CorruptRecording, "line 9 is no JSON object: restore the file, record it again"),
        (whole(ONE, ONE), CorruptRecording, r"line 10 begins an exchange .* line 2 too: .*--accept .* keeps the first"),
        (whole(ONE).replace(b'"flags":7', b'"flags":6'), ChainBroken, "line 2 and those up to 8 are not what was"),
        (whole(ONE).replace(b"chunk_received", b"chunk_swallowed", 1), CorruptRecording, "line 5 .*: update recorder"),
        (whole(ONE).replace(b'"salt"', b'"format":2,"salt"'), CorruptRecording, "line 2 .*format 2.*: update recorder"),
    ],
)
def test_a_file_that_is_refused_is_named_with_line_and_remedy(
    file: Path, data: bytes, error: type[RecorderError], says: str
) -> None:
    file.write_bytes(data)
    with pytest.raises(error, match=says) as caught:
        CassetteStore(file)
    assert str(caught.value).startswith(f"{file}, line ")
    assert "\n" not in str(caught.value)
    assert file.read_bytes() == data


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("no folder")
    with pytest.raises(StoreUnreachable, match="cannot be read"):
        CassetteStore(tmp_path / "a" / "x.jsonl")
    store = CassetteStore(tmp_path / "b" / "x.jsonl")
    (tmp_path / "b").write_text("no folder")
    with pytest.raises(StoreUnreachable, match=r"cannot be (written|read)"):
        store.append([ONE.opened], ONE.events)
    (tmp_path / "b").unlink()
    store.append([ONE.opened], ONE.events)
    assert events_in(tmp_path / "b" / "x.jsonl") == {identity(1): ONE.events}
