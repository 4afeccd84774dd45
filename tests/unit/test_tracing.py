"""Threads of a process that is measured: each one runs."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys, threading
from tests.tracing import be_patient

sys.addaudithook(lambda event, args: event == "sys.settrace" and sum(range(200)))
threading.settrace(lambda frame, event, arg: None)
sys.setswitchinterval(1e-6)
be_patient()
be_patient()
ran = []

def start():
    started = [threading.Thread(target=ran.append, args=(1,)) for _ in range(50)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()

threads = [threading.Thread(target=start) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(len(ran))
"""


def test_every_thread_runs_although_others_are_being_measured() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr) == ("400\n", "")
