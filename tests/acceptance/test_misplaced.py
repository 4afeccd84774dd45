"""Programs that move the ground: the store's file taken away, another directory, pools made anew, forks."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests
from requests.adapters import HTTPAdapter

from recorder import Recorder, Store
from tests.loopback import Script, serve


def events(url: str) -> int:
    with Store(url) as store:
        return sum(len(list(store.events(one["id"]))) for one in store.exchanges())


@pytest.mark.parametrize("how", ["deleted", "moved"])
def test_a_store_taken_away_while_recording_loses_nothing(tmp_path: Path, how: str) -> None:
    path = tmp_path / "store.db"
    with serve(Script(chunks=3)) as server, Recorder(f"sqlite:///{path}") as recorder, requests.Session() as session:
        recorder.mount(session).post(server.url, json={"messages": []})
        assert recorder.flush()
        before = events(f"sqlite:///{path}")
        path.unlink() if how == "deleted" else path.rename(tmp_path / "elsewhere.db")
        session.post(server.url, json={"messages": []})
        deadline = time.monotonic() + 10
        while not (recorder.flush() and recorder.health().ok):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert events(f"sqlite:///{path}") == 2 * before


def test_a_relative_store_stays_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    monkeypatch.chdir(tmp_path / "a")
    for drainer in ("thread", "process"):
        with serve(Script(chunks=3)) as server, Recorder("sqlite:///s.db", drainer=drainer) as recorder:
            monkeypatch.chdir(tmp_path / "b")
            recorder.mount(requests.Session()).post(server.url, json={"messages": []})
        monkeypatch.chdir(tmp_path / "a")
    assert list((tmp_path / "b").iterdir()) == []
    with Store(f"sqlite:///{tmp_path}/a/s.db") as store:
        assert len(list(store.exchanges())) == 2


class MakesItsPoolsAnew(HTTPAdapter):
    def send(self, *args: object, **kwargs: object) -> requests.Response:
        self.init_poolmanager(1, 1)
        return super().send(*args, **kwargs)  # type: ignore[arg-type]


class HasAPoolOfItsOwn(HTTPAdapter):
    def get_connection_with_tls_context(self, request: requests.PreparedRequest, *args: object, **kwargs: object):  # type: ignore[no-untyped-def, override]
        import urllib3

        return urllib3.connection_from_url(request.url or "")

    def get_connection(self, url: str, proxies: object = None):  # type: ignore[no-untyped-def, override]
        import urllib3

        return urllib3.connection_from_url(url)


@pytest.mark.parametrize("adapter", [MakesItsPoolsAnew, HasAPoolOfItsOwn])
@pytest.mark.parametrize("policy", ["spool", "raise"])
def test_pools_that_an_adapter_makes_are_recorded_too(adapter: type[HTTPAdapter], policy: str, sqlite_url: str) -> None:
    session = requests.Session()
    session.mount("http://", adapter())
    with serve(Script(chunks=3)) as server, Recorder(sqlite_url, on_failure=policy) as recorder:
        response = recorder.mount(session).post(server.url, json={"messages": []})
        assert recorder.exchange(response)
    with Store(sqlite_url) as store:
        (found,) = store.exchanges()
        assert found["verdict"] == "complete"


FORKS = """
import os, sys, threading, time, requests
from recorder import Recorder

recorder = Recorder(sys.argv[1])
session = recorder.mount(requests.Session())
stop = threading.Event()

def busy():
    own = recorder.mount(requests.Session())
    while not stop.is_set():
        own.post(sys.argv[2], json={"messages": []})

threads = [threading.Thread(target=busy) for _ in range(3)]
for thread in threads:
    thread.start()
children = []
for number in range(8):
    time.sleep(0.03)
    child = os.fork()
    if not child:
        mine = recorder.mount(requests.Session())
        mine.post(sys.argv[2], json={"messages": []})
        os._exit(0 if recorder.flush() and recorder.health().ok else 1)
    children.append(child)
codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
stop.set()
for thread in threads:
    thread.join()
assert recorder.flush(), recorder.health()
recorder.close()
print(codes)
"""


def test_children_forked_while_threads_record_are_not_locked_out(sqlite_url: str, tmp_path: Path) -> None:
    script = tmp_path / "forks.py"
    script.write_text(FORKS)
    with serve(Script(chunks=5)) as server:
        done = subprocess.run(
            [sys.executable, str(script), sqlite_url, server.url],
            capture_output=True,
            text=True,
            timeout=120,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            check=False,
        )
    assert (done.returncode, done.stdout.strip()) == (0, str([0] * 8)), done.stderr
