"""A store that goes away, a store that was never there, a disk that is full: the program notices nothing."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import threading
import time
from pathlib import Path

import pytest
import requests

from recorder import Recorder, RecordingError, StoreUnreachable
from recorder.locations import spool_directory
from recorder.store.schema import upgrade
from tests.loopback import LoopbackServer, Script, serve
from tests.postgres_server import PostgresServer
from tests.recorded import ask, end, exchanges, python, streams, types, until

# Recording while the spool's disk is full, in one of two ways: files of this process may not grow beyond a
# limit, so that every write fails; or the spool is on a small file system of its own, which is filled up.
FULL_DISK = """
import json, logging, resource, signal, subprocess, sys, time, requests
from pathlib import Path
from recorder import Recorder
from recorder.locations import spool_directory
from recorder.recording import lanes
from tests.recorded import ask

store, server, durability, how = sys.argv[1:]
if how == "limit":
    lanes.suits = lambda directory: False
    fill = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
    free = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
else:
    place = spool_directory(store)
    place.mkdir(mode=0o700, parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "none", str(place)], check=True)
    filler = place / "filler"
    def fill():
        with filler.open("ab", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                pass
    free = filler.unlink
log = []
class Keep(logging.Handler):
    def emit(self, record):
        log.append((record.levelname, record.getMessage()))
logging.getLogger("recorder").addHandler(Keep())
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
told = {}
recorder = Recorder(store, spool_wait=0.1, durability=durability)
session = recorder.mount(requests.Session())
with ask(session, server, "before") as response:
    told["before"] = (recorder.exchange(response), response.content.decode())
recorder.flush()
response = ask(session, server, "during")
pieces = response.iter_content(None)
got = [next(pieces)]
fill()
started = time.monotonic()
for _ in range(10):
    got.append(next(pieces))
told["ten_chunks_took"] = time.monotonic() - started
time.sleep(0.05)
while (health := recorder.health()).spool_error is None and len(got) < 25:  # the drainer has made room meanwhile
    fill()
    got.append(next(pieces))
told["health"] = {"ok": health.ok, "spool_error": health.spool_error}
told["health"] |= {"lost": health.lost_events, "owed": health.unreported_gaps}
while len(got) < 30:
    got.append(next(pieces))
free()
if sys.argv[3] != "batched":
    while recorder.health().unreported_gaps:
        time.sleep(0.01)
told["after"] = recorder.health().spool_error
got += pieces
told["during"] = (recorder.exchange(response), b"".join(got).decode())
recorder.close()
told["log"] = log
print(json.dumps(told))
"""


def _consume(
    session: requests.Session, url: str, prompt: str, got: dict[str, list[bytes]], slowest: list[float]
) -> None:
    with ask(session, url, prompt) as response:
        before = time.monotonic()
        for chunk in response.iter_content(None):
            slowest.append(time.monotonic() - before)
            got.setdefault(prompt, []).append(chunk)
            before = time.monotonic()


def _outage(server: LoopbackServer, postgres: PostgresServer, script: Script, drainer: str, down: float) -> None:
    url = postgres.create_database()
    upgrade(url)
    got: dict[str, list[bytes]] = {}
    slowest: list[float] = []
    with Recorder(url, drainer=drainer) as recorder:
        session = recorder.mount(requests.Session())
        session.get(server.url)  # connected and drained before it begins
        assert recorder.flush()
        prompts = [f"stream-{number}" for number in range(8)]
        threads = [
            threading.Thread(target=_consume, args=(session, server.url, prompt, got, slowest)) for prompt in prompts
        ]
        for thread in threads:
            thread.start()
        until(lambda: len(got) == 8)
        postgres.stop()
        until(lambda: recorder.health().store_error is not None)
        assert not recorder.health().ok
        time.sleep(down)
        postgres.start()
        for thread in threads:
            thread.join()
        until(lambda: recorder.health().store_error is None, 20)
        assert recorder.flush()
        assert recorder.health().lost_events == 0
        assert recorder.health().pending_bytes == 0
    assert max(slowest) < script.gap + 1.0
    bodies = {}
    for exchange in exchanges(url).values():
        assert exchange.transport_end == "response_completed"
        if exchange.request is not None and exchange.request.json is not None:
            bodies[exchange.request.json["messages"][0]["content"]] = exchange.body
    assert bodies == {prompt: b"".join(got[prompt]) for prompt in prompts}
    assert bodies == {prompt: script.body(prompt) for prompt in prompts}
    assert not spool_directory(url).exists()


@pytest.mark.parametrize("drainer", ["thread", "process"])
def test_postgres_stops_in_the_middle_of_8_streams(own_postgres: PostgresServer, drainer: str) -> None:
    script = Script(chunks=80, gap=0.02)
    with serve(script) as server:
        _outage(server, own_postgres, script, drainer, down=0.3)


@pytest.mark.soak
@pytest.mark.timeout(1200)
def test_postgres_stops_again_and_again(own_postgres: PostgresServer) -> None:
    script = Script(chunks=400, gap=0.02)
    with serve(script) as server:
        for _ in range(10):
            _outage(server, own_postgres, script, "thread", down=2.0)


def test_postgres_that_is_not_there_when_the_program_starts(own_postgres: PostgresServer) -> None:
    url = own_postgres.create_database()
    upgrade(url)
    own_postgres.stop()
    with serve(Script(chunks=5)) as server, Recorder(url) as recorder:
        assert recorder.health().store_error is not None
        session = recorder.mount(requests.Session())
        assert ask(session, server.url, "x").content == Script(chunks=5).body("x")
        assert recorder.health().pending_bytes > 0
        own_postgres.start()
        until(lambda: recorder.health().store_error is None)
        assert recorder.flush()
    ((_, exchange),) = exchanges(url).items()
    assert exchange.body == Script(chunks=5).body("x")


def test_what_the_store_does_not_take_until_the_end_is_brought_there_by_the_next(
    own_postgres: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    url = own_postgres.create_database()
    upgrade(url)
    own_postgres.stop()
    with serve(Script(chunks=5, gap=0.05)) as server:
        recorder = Recorder(url, close_timeout=1.0)
        session = recorder.mount(requests.Session())
        response = ask(session, server.url, "x")
        recorder.close()
        assert response.content == Script(chunks=5).body("x")
    assert "recorder recover" in caplog.text
    own_postgres.start()
    with Recorder(url) as second:
        assert second.recovered.events > 0
        assert second.recovered.died == []  # its recorder was closed: that is its end
    (events,) = streams(url).values()
    assert end(events).type == "recorder_closed"


def test_who_must_not_act_unrecorded_is_stopped_before_the_request_is_sent(own_postgres: PostgresServer) -> None:
    url = own_postgres.create_database()
    upgrade(url)
    with serve(Script(chunks=2)) as server, Recorder(url, on_failure="raise", close_timeout=0.5) as recorder:
        session = recorder.mount(requests.Session())
        assert ask(session, server.url, "first").content
        own_postgres.stop()
        until(lambda: recorder.flush() or recorder.health().store_error is not None)
        sent_before = len(server.visits())
        while recorder.health().store_error is None:  # nothing was pending: the next request finds it out
            assert ask(session, server.url, "unnoticed").content
            sent_before = len(server.visits())
        with pytest.raises(RecordingError, match="was not sent because it cannot be recorded"):
            ask(session, server.url, "refused")
        assert len(server.visits()) == sent_before
        own_postgres.start()
        until(lambda: recorder.health().store_error is None)
        assert ask(session, server.url, "again").content
    prompts = [exchange.request.json["messages"][0]["content"] for exchange in exchanges(url).values()]  # type: ignore[union-attr]
    assert "refused" not in prompts
    own_postgres.stop()
    with pytest.raises(StoreUnreachable):
        Recorder(url, on_failure="raise")


def _mounting() -> list[str]:
    """The command under which a program may mount a file system of its own."""
    command = ["unshare", "--user", "--map-root-user", "--mount"]
    try:
        subprocess.run([*command, "mount", "-t", "tmpfs", "none", "/mnt"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no file system can be mounted here, not even in a user namespace")
    return command


FULL = {"limit": "File too large", "mounted": "No space left on device"}


@pytest.mark.parametrize(
    ("durability", "how"),
    [
        ("delivered", "mounted"),
        ("synced", "limit"),
        pytest.param("delivered", "limit", marks=pytest.mark.soak),
        pytest.param("synced", "mounted", marks=pytest.mark.soak),
    ],
)
def test_a_full_disk_is_waited_for_once_reported_and_recorded_as_a_gap(
    durability: str, how: str, store_url: str
) -> None:
    script = Script(chunks=40, gap=0.002, padding=100_000)
    under = _mounting() if how == "mounted" else []
    with serve(script) as server, python(FULL_DISK, store_url, server.url, durability, how, under=under) as child:
        out, err = child.communicate(timeout=60)
    assert (child.returncode, err) == (0, "")
    told = json.loads(out)
    assert told["during"][1] == script.body("during").decode()
    assert told["ten_chunks_took"] < 1.0
    assert told["health"]["ok"] is False
    assert FULL[how] in told["health"]["spool_error"]
    assert told["health"]["lost"] >= 7
    assert told["health"]["owed"] == 1 or how == "mounted"
    assert told["after"] is None
    critical = [message for level, message in told["log"] if level == "CRITICAL"]
    assert len(critical) == 1
    assert "events are being lost until it can be written" in critical[0]
    assert any("can be written again" in message for level, message in told["log"] if level == "WARNING")

    found = streams(store_url)
    before, during = found[told["before"][0]], found[told["during"][0]]
    assert end(before).type == "response_completed"
    kinds = types(during)
    assert (kinds[:2], kinds[-1]) == (["request_sent", "response_started"], "response_completed")
    if how == "limit":
        assert kinds[2:-1] == ["chunk_received", "gap_recorded", "chunk_received"]
    else:  # space is allocated ahead: a chunk, or the gap before it, may find room for a while
        assert set(kinds[2:-1]) == {"chunk_received", "gap_recorded"}
    gaps = [event.facts for event in during if event.type == "gap_recorded"]
    body = b"".join(event.body or b"" for event in during if event.type == "chunk_received")
    assert sum(gap["events"] for gap in gaps) >= 24
    assert sum(gap["bytes"] for gap in gaps) == len(script.body("during")) - len(body)
    assert all(gap["from_ns"] <= gap["to_ns"] and FULL[how] in gap["reason"] for gap in gaps)


def test_a_recorder_that_is_closed_while_the_disk_is_full_says_what_was_lost(store_url: str) -> None:
    program = FULL_DISK.replace("free()\n", "", 1).replace('if sys.argv[3] != "batched":', "if False:")
    program = program.replace('told["log"] = log', 'told["log"] = log; told["lost"] = recorder.health().lost_events')
    script = Script(chunks=40, gap=0.002, padding=100_000)
    with (
        serve(script) as server,
        python(program, store_url, server.url, "delivered", "mounted", under=_mounting()) as child,
    ):
        out, err = child.communicate(timeout=60)
    assert (child.returncode, err) == (0, "")
    told = json.loads(out)
    during = streams(store_url)[told["during"][0]]
    assert types(during)[-2:] == ["gap_recorded", "response_completed"]
    gaps = [event.facts["events"] for event in during if event.type == "gap_recorded"]
    assert sum(gaps) == told["lost"] > 20
    assert any(f"{told['lost']} events were lost" in message for level, message in told["log"] if level == "WARNING")


@pytest.mark.parametrize("how", ["limit", "mounted"])
def test_a_full_disk_stops_who_must_not_act_unrecorded(sqlite_url: str, how: str) -> None:
    program = FULL_DISK.replace("spool_wait=0.1", "spool_wait=0.1, on_failure='raise'")
    script, under = Script(chunks=40, gap=0.002, padding=100_000), _mounting() if how == "mounted" else []
    with serve(script) as server, python(program, sqlite_url, server.url, "delivered", how, under=under) as child:
        out, err = child.communicate(timeout=60)
    assert child.returncode == 1
    assert "RecordingError: the exchange is not being recorded" in err
    assert FULL[how] in err
    assert out == ""


def test_a_spool_directory_that_cannot_be_made_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "store.db-spool").write_text("in the way")
    with pytest.raises(StoreUnreachable, match="choose another store"):
        Recorder(f"sqlite:///{tmp_path}/store.db")


@pytest.mark.parametrize("back", [True, False])
def test_a_store_whose_folder_is_removed_says_what_is_lost(
    tmp_path: Path, back: bool, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    url = f"sqlite:///{folder}/store.db"
    with serve(Script(chunks=3)) as server:
        recorder = Recorder(url, close_timeout=2.0)
        session = recorder.mount(requests.Session())
        assert ask(session, server.url, "before").content
        assert recorder.flush()
        shutil.rmtree(folder)
        assert ask(session, server.url, "after").content
        until(lambda: recorder.health().spool_error is not None)
        assert (recorder.health().ok, recorder.health().lost_events) == (False, 0)  # as long as the program runs
        if back:
            folder.mkdir()
        recorder.close()
    lost = recorder.health().lost_events
    critical = [record.getMessage() for record in caplog.records if record.levelname == "CRITICAL"]
    for told in critical[:2]:  # one of the lane of the thread, one of the journal's
        assert "was removed: No such file or directory" in told
    if back:
        assert (len(critical), lost) == (2, 0)
        Recorder(url).close()  # the new store may not have been tried any more: then this brings it there
        assert sorted(exchange.body for exchange in exchanges(url).values()) == sorted(
            Script(chunks=3).body(prompt) for prompt in ("before", "after")
        )
    else:
        assert lost > 3
        assert f"{lost} events are lost" in critical[2]
        assert "recorder recover" not in caplog.text
        assert not folder.exists()


def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(StoreUnreachable, match="No such file or directory"):
        Recorder(f"sqlite:///{tmp_path}/mistyped/store.db")
    assert list(tmp_path.iterdir()) == []


def test_the_log_says_when_the_store_fails_and_when_it_is_back(
    own_postgres: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    url = own_postgres.create_database()
    upgrade(url)
    caplog.set_level(logging.INFO, "recorder")
    with serve(Script(chunks=2)) as server, Recorder(url) as recorder:
        session = recorder.mount(requests.Session())
        assert ask(session, server.url, "a").content
        assert recorder.flush()
        own_postgres.stop()
        assert ask(session, server.url, "b").content
        until(lambda: recorder.health().store_error is not None)
        assert ask(session, server.url, "c").content
        own_postgres.start()
        until(lambda: recorder.health().store_error is None)
    said = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(said) == 2
    assert "events are kept in the spool" in said[0]
    assert "answers again" in said[1]
    assert len(exchanges(url)) == 3
