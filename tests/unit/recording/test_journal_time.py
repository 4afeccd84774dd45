"""What a journal says as time goes by, and what others write who are no recorders."""

from __future__ import annotations

import os
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

import recorder.recording.spool as spool_module
from recorder import Recorder
from recorder.api.acts import write_down
from recorder.clock import SystemClock, id_text
from recorder.core.chain import ChainVerifier
from recorder.core.journal_facts import PreviousJournal
from recorder.recording import journal as journal_module
from recorder.recording.journal import PULSE, Journal
from recorder.recording.rounds import Rounds
from recorder.recording.short_journal import write_once
from recorder.recording.spool import Spool
from recorder.recording.streams import StreamWriter
from recorder.store import open_store
from tests.clocks import DrivenClock
from tests.commands import run
from tests.journals import journals, only_journal, told
from tests.recorded import until
from tests.unit.recording.disks import INSTANCE
from tests.unit.recording.test_journal import answered, names


def read_back(spool: Spool) -> list[str]:
    """Return the types of the events in a spool."""
    from recorder.recording.batches import read_batch
    from recorder.recording.spool_file import HEADER_SIZE

    (file,) = spool.files()
    return [event.type for event in read_batch(file, HEADER_SIZE)[1]]


def test_its_heart_beats_once_a_minute(tmp_path: Path) -> None:
    clock = DrivenClock()
    spool = Spool(tmp_path, INSTANCE, clock, durability="delivered", wait=0)
    journal = Journal(StreamWriter(spool, clock, INSTANCE, INSTANCE, bytes(32)), lambda: spool, clock, {})
    journal.sample()
    assert read_back(spool) == []  # it has not begun
    assert journal.begin()
    assert read_back(spool) == ["instance_started", "clock_sampled"]
    for minute in range(1, 4):
        clock.sleep(PULSE - 2)
        journal.sample()  # somebody wakes its thread in between
        assert len(read_back(spool)) == 1 + minute
        clock.sleep(2)
        journal.sample()
        journal.sample()
        assert len(read_back(spool)) == 2 + minute
    assert journal.stop()
    clock.sleep(PULSE)
    journal.sample()
    assert read_back(spool)[-2:] == ["clock_sampled", "instance_stopped"]
    spool.close(drained=True)


def test_the_pulse_does_a_round_where_nobody_wakes_it() -> None:
    worked: list[float] = []
    rounds = Rounds("beating", lambda: worked.append(time.monotonic()) is not None, pulse=0.05)
    rounds.wake()
    until(lambda: rounds.idle)
    count = len(worked)
    until(lambda: len(worked) >= count + 3)
    assert rounds.idle  # nobody has to know
    rounds.stop(5)


def test_a_recorder_that_is_left_alone_says_that_it_lives(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "PULSE", 1.2)
    monkeypatch.setattr("recorder.recording.write_path.PULSE", 0.1)
    with Recorder(sqlite_url):
        until(lambda: len(told(next(iter(journals(sqlite_url).values()), []), "clock_sampled")) >= 4)
    assert names(only_journal(sqlite_url))[-1] == "instance_stopped"


def test_who_is_no_recorder_writes_a_short_one_in_one_go(store_url: str) -> None:
    with Recorder(store_url) as recorder:
        answered(recorder)
    (before,) = journals(store_url)
    clock = SystemClock()
    with closing(open_store(store_url, write=True)) as store:
        facts = {"action": "export", "of": "all", "by": "somebody"}
        written = write_once(store, clock, [("accessed", facts)], {"action": "export"})
        opened = store.opening(written)
        assert opened is not None
        assert (opened.stream, opened.instance) == (written, written)
        verifier = ChainVerifier(opened)
        for event in store.events(written):
            verifier.feed(event)
    events = journals(store_url)[id_text(written)]
    assert names(events) == ["instance_started", "accessed", "instance_stopped"]
    assert events[0].facts["previous"]["stream"] == before
    assert events[0].facts["configuration"] == {"action": "export"}
    assert events[1].facts == facts
    with closing(open_store(store_url, write=True)) as store:
        again = write_down(
            store, clock, "hold", [("hold_placed", {"hold": "1", "all": True, "ground": "g", "by": "b"})]
        )
    assert journals(store_url)[id_text(again)][0].facts["previous"] == PreviousJournal(
        stream=id_text(written), length=3, head=events[-1].hash.hex()
    )


def test_what_fails_leaves_no_part_of_a_short_one(store_url: str) -> None:
    clock = SystemClock()
    with closing(open_store(store_url, write=True)) as store, pytest.raises(Exception, match="type"):
        write_once(store, clock, [("no such type", {})], {"action": "export"})
    assert journals(store_url) == {}


def test_an_import_says_what_it_brought_and_how_far_it_goes(store_url: str, tmp_path: Path) -> None:
    file = tmp_path / "chat.jsonl"
    turns = '[{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]'
    file.write_text("".join(f'{{"messages": {turns}}}\n' for _ in range(2)).replace('"b"}]}\n', '"c"}]}\n', 1))
    done = run("import", str(file), "--store", store_url)
    assert done.exit_code == 0, done.stderr
    events = only_journal(store_url)
    assert names(events)[0] == "instance_started"
    assert names(events)[-1] == "instance_stopped"
    with closing(open_store(store_url, write=False)) as store:
        heads = {id_text(opened.stream): store.head(opened.stream) for opened in store.openings()}
    del heads[id_text(events[0].stream)]
    assert heads
    written = {str(facts["stream"]): facts for facts in told(events, "stream_written")}
    assert set(written) == set(heads)
    for stream, head in heads.items():
        assert head is not None
        kind = "import" if head.type != "conversation_named" and head.type != "tags_set" else "conversation"
        assert written[stream] == {"stream": stream, "length": head.version, "head": head.hash.hex(), "kind": kind}
    assert run("import", str(file), "--store", store_url).exit_code == 0
    assert len(journals(store_url)) == 1  # nothing is new: there is nothing to be said


def test_threads_that_wait_for_the_medium_share_a_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path, INSTANCE, SystemClock(), durability="synced", wait=0)
    records = [b"<%d>" % number for number in range(32)]
    on_medium: list[bytes] = []
    slow = threading.Lock()

    def fdatasync(fd: int) -> None:
        assert slow.acquire(blocking=False), "two at once"
        there = os.pread(fd, 1_000_000, 0)
        until(lambda: all(record in os.pread(fd, 1_000_000, 0) for record in records))  # the others append meanwhile
        on_medium.append(there)  # what was there when it began
        slow.release()

    monkeypatch.setattr(spool_module, "fdatasync", fdatasync)
    failed: list[bytes] = []

    def append(record: bytes) -> None:
        if not spool.append(record, sync=True) or record not in on_medium[-1]:
            failed.append(record)

    threads = [threading.Thread(target=append, args=(record,)) for record in records]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len(on_medium) <= 2, "who came while the first one was under way share the second"
    spool.close(drained=True)


def test_a_file_that_is_rolled_over_is_synced_before_the_next_one_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path, INSTANCE, SystemClock(), durability="synced", wait=0)
    monkeypatch.setattr(spool_module, "ROLL_SIZE", 400)
    spool._roll_at = 400
    synced: dict[int, int] = {}
    monkeypatch.setattr(
        spool_module, "fdatasync", lambda fd: synced.__setitem__(os.fstat(fd).st_ino, os.fstat(fd).st_size)
    )
    for number in range(12):
        assert spool.append(b"%02d" % number * 50)  # chunks: nobody waits for the medium
    full = spool.files()[:-1]
    assert len(full) >= 2
    for file in full:
        there = file.path.stat()
        assert synced[there.st_ino] == there.st_size
    spool.close(drained=True)


@pytest.mark.parametrize("does", ["nothing", "something"])
def test_the_journal_of_a_forked_child_begins_with_what_it_records(does: str, store_url: str) -> None:
    with Recorder(store_url) as recorder:
        answered(recorder)
        child = os.fork()
        if not child:
            code = 1
            try:
                if does == "something":
                    answered(recorder)
                recorder.close()
                code = 0
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    found = sorted(journals(store_url).items(), key=lambda one: one[1][0].wall_ns)
    assert len(found) == (1 if does == "nothing" else 2)
    for _, events in found:
        assert names(events)[-1] == "instance_stopped"
    if does == "something":
        previous = found[1][1][0].facts["previous"]
        assert previous["stream"] == found[0][0]
        assert found[0][1][previous["length"] - 1].hash.hex() == previous["head"]
        assert told(found[1][1], "exchange_opened")[0]["number"] == 1
