"""Several processes and threads in one SQLite store."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

from recorder.core.chain import ChainVerifier
from recorder.store import open_store

ROOT = Path(__file__).parent.parent.parent

# Each process opens the store by itself, all at once, while it may not exist yet.
WRITER = """
import sys, threading
from recorder.store import open_store
from recorder.store.base import SpoolMark
from tests.building import ExchangeBuilder
process, threads, batches, url = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
store = open_store(url, write=True)
failures = []
def work(thread):
    try:
        number = process * 100 + thread + 1
        built = ExchangeBuilder(number, instance=bytes([process]) * 16).request().response()
        store.append([built.opened], built.events, SpoolMark(number.to_bytes(16, "big"), 32, 33))
        for batch in range(batches):
            start = len(built.events)
            built.chunks(*(b"%d-%d" % (number, batch) for _ in range(10)))
            store.append([], built.events[start:], SpoolMark(number.to_bytes(16, "big"), 33 + batch, 34 + batch))
        built.completed()
        store.append([], built.events[-1:])
    except BaseException as error:
        failures.append(repr(error))
workers = [threading.Thread(target=work, args=(thread,)) for thread in range(threads)]
for worker in workers: worker.start()
for worker in workers: worker.join()
store.close()
sys.exit("; ".join(failures) or 0)
"""


def test_eight_processes_of_eight_threads_write_while_readers_read(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/x.db"
    processes, threads, batches = 8, 8, 12
    running = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(number), str(threads), str(batches), url],
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(processes)
    ]
    looks, failures, done = [0], [], threading.Event()

    def look() -> None:
        """A reader always sees whole appends: no gap, every chain sound."""
        try:
            while not done.is_set():
                if not (tmp_path / "x.db").exists() or (tmp_path / "x.db").stat().st_size == 0:
                    continue
                try:
                    reader = open_store(url, write=False)
                except Exception as error:
                    if looks[0] == 0:  # another process is still making it
                        continue
                    raise AssertionError("a store that was there is gone") from error
                verify(reader)
                reader.close()
                looks[0] += 1
        except BaseException as error:
            failures.append(repr(error))

    watcher = threading.Thread(target=look)
    watcher.start()
    errors = [process.communicate(timeout=120)[1] for process in running]
    done.set()
    watcher.join()
    assert [process.returncode for process in running] == [0] * processes, errors
    assert failures == []
    assert looks[0] > 0
    store = open_store(url, write=False)
    per_stream = 2 + 10 * batches + 1
    assert store.counts() == (processes * threads * per_stream, processes * threads)
    assert verify(store) == [per_stream] * (processes * threads)
    assert {store.drained(n.to_bytes(16, "big")) for p in range(8) for n in range(p * 100 + 1, p * 100 + 9)} == {45}
    store.close()


def verify(store: object) -> list[int]:
    counts = []
    for opened, events in store.walk():  # type: ignore[attr-defined]
        assert opened is not None
        verifier = ChainVerifier(opened)
        for event in events:
            verifier.feed(event)
            if event.type == "chunk_received":
                number = int.from_bytes(opened.stream[:6], "big") - 0x0190_0000_0000
                assert event.body is not None
                assert event.body.startswith(b"%d-" % number)
        counts.append(verifier.version)
    return counts


def test_a_writer_killed_in_the_middle_leaves_whole_appends(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/x.db"
    open_store(url, write=True).close()
    for round_ in range(4):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(round_), "4", "100000", url], cwd=ROOT, stderr=subprocess.PIPE
        )
        reader = open_store(url, write=False)
        before = reader.counts()[0]
        while reader.counts()[0] < before + 500:
            assert writer.poll() is None
        writer.kill()
        writer.communicate()
        verify(reader)
        reader.close()
    store = open_store(url, write=True)
    assert sum(verify(store)) == store.counts()[0]
    store.close()
