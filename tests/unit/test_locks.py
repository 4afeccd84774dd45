"""Locks that die with their owner."""

from __future__ import annotations

import importlib.util
import os
import signal
import stat
import sys
from pathlib import Path
from types import ModuleType

import pytest

import recorder.locks
from recorder.locks import LOCKS_DIRECTORIES, LockFile
from tests.recorded import python, until


def test_one_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    first, second = LockFile(path), LockFile(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with first:
        assert second.acquire(blocking=False) is False
    assert second.acquire(blocking=False) is True
    second.close()
    assert first.acquire()
    first.close()
    first.close()
    first.release()  # of a closed one: nothing to give back


def test_a_directory_can_be_locked(tmp_path: Path) -> None:
    assert LOCKS_DIRECTORIES
    first, second = (LockFile(tmp_path, flags=os.O_RDONLY) for _ in range(2))
    assert first.acquire(blocking=False)
    assert not second.acquire(blocking=False)
    first.close()
    assert second.acquire(blocking=False)
    second.close()


def test_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        LockFile(tmp_path / "no" / "lock")


HOLDER = """
import os, sys, time
from pathlib import Path
from recorder.locks import LockFile
lock = LockFile(Path(sys.argv[1]))
lock.acquire()
if os.fork() == 0:
    time.sleep(60)
print(lock.fd, flush=True)
time.sleep(60)
"""


def test_a_forked_child_does_not_inherit_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with python(HOLDER, str(path), start_new_session=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline()
        lock = LockFile(path)
        assert not lock.acquire(blocking=False)
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        until(lambda: lock.acquire(blocking=False))
        lock.close()
        os.killpg(holder.pid, signal.SIGKILL)


def test_where_there_is_no_flock_a_byte_far_behind_the_end_is_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The branch for Windows, with a module of the name and the functions that it uses."""
    called: list[tuple[int, int]] = []
    windows = ModuleType("msvcrt")
    windows.__dict__.update(LK_LOCK=1, LK_NBLCK=2, LK_UNLCK=0)

    def locking(fd: int, mode: int, size: int) -> None:
        called.append((mode, os.lseek(fd, 0, os.SEEK_CUR)))
        if mode == 2 and len(called) > 2:
            raise PermissionError(13, "Permission denied")

    windows.__dict__["locking"] = locking
    monkeypatch.setitem(sys.modules, "msvcrt", windows)
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.delattr(os, "register_at_fork")
    spec = importlib.util.spec_from_file_location("locks_on_windows", recorder.locks.__file__)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    lock = module.LockFile(tmp_path / "lock")
    assert lock.acquire()
    lock.release()
    assert lock.acquire(blocking=False) is False
    lock.close()
    assert called == [(1, 1 << 40), (0, 1 << 40), (2, 1 << 40)]
    assert module.LOCKS_DIRECTORIES is False
