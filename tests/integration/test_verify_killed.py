"""An audit in several processes that is ended from outside: none of them stays."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from recorder.store import open_store

AUDIT = """
import sys, time
from recorder.ledger.audit_ranges import Range, Task, auditing
from recorder.ledger.audit_said import Said
from recorder.store import open_store

if __name__ == "__main__":
    store = open_store(sys.argv[1], write=False)
    with auditing(sys.argv[1], store, 3) as begin:
        done = begin([Task(Range(), Said(), 0)] * 4)
        list(done)
        time.sleep(1.5)  # the others have begun by now, and wait for more
        print("waiting", flush=True)
        time.sleep(600)
"""


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_its_processes_end_with_it(store_url: str, how: signal.Signals) -> None:
    open_store(store_url, write=True).close()
    program = subprocess.Popen([sys.executable, "-c", AUDIT, store_url], stdout=subprocess.PIPE)
    assert program.stdout is not None
    try:
        assert program.stdout.readline() == b"waiting\n"
        program.send_signal(how)
        program.communicate(timeout=20)  # which they hold open as long as they live
    finally:
        program.kill()
        program.stdout.close()
    assert program.returncode == -how
