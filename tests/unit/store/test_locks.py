"""The store's lock: between threads, between processes, after a fork, and never for ever."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from recorder.errors import StoreUnreachable
from recorder.store.locks import StoreLock

HOLDER = """
import sys, time
from pathlib import Path
from recorder.store.locks import StoreLock
with StoreLock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_the_file_is_private(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with StoreLock(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.exists()


def test_threads_take_turns(tmp_path: Path) -> None:
    shared, inside, seen = StoreLock(tmp_path / "lock"), 0, []

    def work() -> None:
        nonlocal inside
        for _ in range(50):
            with shared:
                inside += 1
                seen.append(inside)
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [1] * 200


def test_it_is_refused_while_another_process_has_it_and_free_when_that_dies(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(StoreUnreachable, match="another process"), StoreLock(path, timeout=0.05):
            raise AssertionError("it was given twice")
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    with StoreLock(path, timeout=5):
        pass


def test_a_child_forked_inside_does_not_keep_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    ready, release = os.pipe(), os.pipe()
    owner = os.fork()
    if owner == 0:
        with StoreLock(path):
            if os.fork() == 0:  # the heir: outlives its parent, which dies with the lock
                os.close(release[1])
                os.write(ready[1], b".")
                os.read(release[0], 1)
                os._exit(0)
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(owner, 0)
    assert os.read(ready[0], 1) == b"."
    with StoreLock(path, timeout=5):
        pass
    os.write(release[1], b".")
    for descriptor in (*ready, *release):
        os.close(descriptor)


def test_a_lock_that_cannot_be_made(tmp_path: Path) -> None:
    with pytest.raises(StoreUnreachable, match="cannot be opened"), StoreLock(tmp_path / "no" / "lock"):
        raise AssertionError("it was given")
