"""A fork in the middle of recording."""

from __future__ import annotations

import pytest

from tests.loopback import Script, serve
from tests.recorded import exchanges, python

FORKING = """
import os, sys, threading, time, traceback, requests
import recorder.api.recorder as recorder_module
import recorder.recording.write_path as write_path
from recorder import Recorder
from tests.recorded import ask

store, server, how = sys.argv[1:]
held, let_go = threading.Event(), threading.Event()
def hold(store, go_on):
    with store.writing():
        held.set()
        let_go.wait(30)
if how == "held":
    write_path._FORK_WAIT = 0.1
    recorder_module.projecting = lambda **_: hold  # a transaction that takes longer than a fork waits
recorder = Recorder(store)
stop = threading.Event()
def work():
    session = recorder.mount(requests.Session())
    while not stop.is_set():
        assert ask(session, server, "of the parent").content
if how == "held":
    assert ask(recorder.mount(requests.Session()), server, "of the parent").content
    assert held.wait(30)
threads = [threading.Thread(target=work) for _ in range(8 if how == "busy" else 0)]
for thread in threads:
    thread.start()
while how == "busy" and recorder.health().drained_events < 500:
    time.sleep(0.01)
started = time.monotonic()
child = os.fork()
took = time.monotonic() - started
stop.set()
if child == 0:
    try:  # whatever goes wrong, by os._exit: at a regular end, others may want SQLite, which is not this child's to use
        assert ask(recorder.mount(requests.Session()), server, "of the child").content
        assert recorder.flush(), recorder.health()
        assert recorder.health().store_error is None
        if how == "held":
            print("held" if not let_go.is_set() else "free", flush=True)
        recorder.close()
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
let_go.set()
code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
for thread in threads:
    thread.join()
assert recorder.flush()
recorder.close()
print(code, took, flush=True)
"""


@pytest.mark.parametrize("how", ["busy", "held"])
def test_a_fork_under_load_waits_for_a_batch_at_most_and_the_child_can_record(sqlite_url: str, how: str) -> None:
    with serve(Script(chunks=50)) as server, python(FORKING, sqlite_url, server.url, how) as parent:
        out, err = parent.communicate(timeout=60)
    assert parent.returncode == 0, err
    code, took = out.splitlines()[-1].split()
    assert (code, float(took) < 1.0) == ("0", True), (out, err)
    assert ("a process drains for this child" in err) is (how == "held")
    prompts = set()
    for exchange in exchanges(sqlite_url).values():
        assert exchange.transport_end == "response_completed"
        assert exchange.request is not None
        prompts.add(exchange.request.json["messages"][0]["content"])
    assert prompts == {"of the parent", "of the child"}
