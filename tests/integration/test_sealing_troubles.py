"""What keeps a store from being sealed is told, and stops no recording; when it is over, all is sealed."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import requests

from recorder import Recorder
from recorder.clock import SystemClock
from recorder.core.heads import ENDED, Head, log_id
from recorder.errors import ConfigurationError, LedgerConflict, RecorderError, StoreUnreachable
from recorder.ledger import keys, sealer
from recorder.locations import signed_checkpoints, signing_keys
from recorder.locks import LockFile
from recorder.recording import drain, mover
from recorder.store import open_store
from recorder.store.urls import parse_url
from tests.commands import run, told
from tests.loopback import Script, serve
from tests.recorded import ask, python, streams, until
from tests.sealing import ORIGIN, check_sealed, founded


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again after a moment what could not be sealed."""
    monkeypatch.setattr(sealer, "_RETRY_NS", 100_000_000)
    monkeypatch.setattr(drain, "RETRY", 0.1)


@contextmanager
def recording(url: str, **options: object) -> Iterator[tuple[Recorder, Callable[[], requests.Response]]]:
    """Yield a recorder, and what records an exchange with it."""
    with serve(Script(chunks=3)) as server, Recorder(url, **options) as recorder:  # type: ignore[arg-type]
        session = recorder.mount(requests.Session())

        def exchange() -> requests.Response:
            response = ask(session, server.url, "x")
            assert response.content
            return response

        yield recorder, exchange


def record(url: str, exchanges: int = 1) -> None:
    with recording(url) as (_, exchange):
        for _ in range(exchanges):
            exchange()


def last_of(url: str, exchange: str) -> tuple[bytes, int, bytes]:
    """Return what a head says of the events that a store has of an exchange."""
    last = streams(url)[exchange][-1]
    return last.stream, last.version, last.hash


def key_file() -> Path:
    return signing_keys() / f"{log_id(ORIGIN).hex()}.key"


def lost_key(url: str, home: Path) -> Callable[[], object]:
    kept = key_file().rename(home / "kept")
    return lambda: kept.rename(key_file())


def damaged_key(url: str, home: Path) -> Callable[[], object]:
    text = key_file().read_text()
    key_file().write_text(text[:-8] + "AAAAAA==\n"[-8:])
    return lambda: key_file().write_text(text)


def no_state_directory(url: str, home: Path) -> Callable[[], object]:
    """A file is in its place; not its mode, since root may write wherever it likes."""
    directory = signed_checkpoints(log_id(ORIGIN)).parent
    directory.parent.mkdir(parents=True, exist_ok=True)
    directory.touch()
    return directory.unlink


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize(
    ("trouble", "kind", "words"),
    [
        (lost_key, ConfigurationError, "is not here"),
        (damaged_key, ConfigurationError, "is damaged: restore it"),
        (no_state_directory, StoreUnreachable, "cannot be used"),
    ],
)
def test_it_is_told_and_made_up_for_when_it_is_over(
    trouble: Callable[[str, Path], Callable[[], object]],
    kind: type[RecorderError],
    words: str,
    store_url: str,
    own_home: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    mend = trouble(founded(store_url), own_home)
    with recording(store_url) as (recorder, exchange):
        response = exchange()
        assert recorder.flush()
        with pytest.raises(kind, match=words):
            recorder.seal(response)
        health = recorder.health()
        assert health.ok  # of recording
        assert not health.sealing.on
        assert words.partition(":")[0] in (health.sealing.error or "")
        assert [one.levelname for one in caplog.records if "nothing is sealed" in one.message] == ["ERROR"]
        mend()
        until(lambda: recorder.health().sealing.on and recorder.health().sealing.error is None)
        assert recorder.seal(response) is not None
    check_sealed(store_url)


@pytest.mark.parametrize("drainer", ["thread", "process"])
def test_a_key_that_is_put_back_before_the_end_seals_all_at_the_end(
    drainer: str, store_url: str, own_home: Path
) -> None:
    mend = lost_key(founded(store_url), own_home)
    with recording(store_url, drainer=drainer) as (recorder, exchange):
        exchange()
        assert recorder.flush()
        until(lambda: recorder.health().sealing.error is not None)
        mend()
    check_sealed(store_url)


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("drainer", ["thread", "process"])
def test_where_nothing_is_sealed_for_too_long_it_is_not_well(
    drainer: str, store_url: str, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mover, "SEALING_BOUND", 1_200_000_000)
    mend = lost_key(founded(store_url), own_home)
    with recording(store_url, drainer=drainer) as (recorder, exchange):
        exchange()
        assert recorder.flush()
        assert recorder.health().ok
        until(lambda: not recorder.health().ok, 20)
        health = recorder.health()
        assert (health.store_error, health.spool_error, health.lost_events) == (None, None, 0)
        assert health.sealing_error is not None
        assert health.sealing_error.startswith("nothing has been sealed for ")
        assert "is not here" in health.sealing_error
        mend()
        until(lambda: recorder.health().ok, 20)
        assert recorder.health().sealing_error is None
    check_sealed(store_url)


def test_a_ledger_that_is_founded_while_a_program_records_is_there_for_its_next_barrier(store_url: str) -> None:
    with recording(store_url) as (recorder, exchange):
        response = exchange()
        with pytest.raises(ConfigurationError, match="recorder keys init"):
            recorder.seal(response)
        founded(store_url)
        receipt = recorder.seal(response)  # also of what was recorded before
    assert receipt is not None
    assert receipt.leaf.head == Head(*last_of(store_url, recorder.exchange(response) or ""), ENDED)
    check_sealed(store_url)


def test_a_key_of_another_log_signs_nothing(sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record(founded(sqlite_url))
    keys.create("example.com/other", SystemClock())
    other = signing_keys() / f"{log_id('example.com/other').hex()}.key"
    monkeypatch.setenv("RECORDER_SIGNING_KEY", str(other))
    with recording(sqlite_url) as (recorder, exchange):
        with pytest.raises(ConfigurationError, match=r"is of example\.com/other, the store's log is example\.com/bot"):
            recorder.seal(exchange())
    monkeypatch.delenv("RECORDER_SIGNING_KEY")
    assert run("seal", "--store", sqlite_url).exit_code == 0
    check_sealed(sqlite_url)


def test_a_key_that_somebody_else_made_in_the_same_name_signs_nothing(store_url: str) -> None:
    record(founded(store_url))
    for file in signing_keys().glob(f"{log_id(ORIGIN).hex()}.*"):
        file.unlink()
    keys.create(ORIGIN, SystemClock())
    with closing(open_store(store_url, write=False)) as store:
        before = store.ledger.last_checkpoint()
    with (
        recording(store_url) as (recorder, exchange),
        pytest.raises(RecorderError, match="by none of the keys that are known here"),
    ):
        recorder.seal(exchange())
    with closing(open_store(store_url, write=False)) as store:
        assert store.ledger.last_checkpoint() == before


def test_a_file_that_was_put_back_is_told_and_the_newer_one_goes_on(
    sqlite_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = parse_url(sqlite_url).path
    assert file is not None
    record(founded(sqlite_url))
    shutil.copy(file, tmp_path / "older.db")
    record(sqlite_url, 2)
    file.rename(tmp_path / "newer.db")
    shutil.copy(tmp_path / "older.db", file)
    with recording(sqlite_url) as (recorder, exchange):
        response = exchange()
        with pytest.raises(LedgerConflict, match="it was put back to an older state"):
            recorder.seal(response)
        assert recorder.flush()
        health = recorder.health()
        assert health.ok
        assert "put back to an older state" in (health.sealing.error or "")
        assert recorder.exchange(response) in streams(sqlite_url)
    assert [one.levelno for one in caplog.records if "nothing is sealed" in one.message] == [logging.CRITICAL]
    assert "put back to an older state" in told(run("seal", "--store", sqlite_url), 1)
    file.rename(tmp_path / "restored.db")
    shutil.copy(tmp_path / "newer.db", file)
    record(sqlite_url)
    check_sealed(sqlite_url)
    with closing(open_store(f"sqlite:///{tmp_path}/restored.db", write=False)) as store:
        last = store.ledger.last_checkpoint()
        assert last is not None
        assert last[0] == store.ledger.size()


def test_a_copy_of_a_store_is_an_honest_continuation(sqlite_url: str, postgres_url: str) -> None:
    record(founded(sqlite_url), 2)
    assert run("db", "copy", "--from", sqlite_url, "--to", postgres_url).exit_code == 0
    record(postgres_url)
    leaves = check_sealed(postgres_url)
    with recording(sqlite_url) as (recorder, exchange), pytest.raises(LedgerConflict, match="or is another store"):
        recorder.seal(exchange())  # the old one is left behind now
    assert len(check_sealed(postgres_url)) == len(leaves)


class Stepped(SystemClock):
    """A clock of which somebody moves the hands.

    :ivar moved_ns: by how much.
    """

    def __init__(self) -> None:
        super().__init__()
        self.moved_ns = 0
        wall = self.wall_ns
        self.wall_ns = lambda: wall() + self.moved_ns


def test_a_clock_that_jumps_back_stops_no_sealing(store_url: str) -> None:
    clock = Stepped()
    with recording(founded(store_url), clock=clock) as (recorder, exchange):
        first = recorder.seal(exchange())
        clock.moved_ns = -3_600_000_000_000
        second = recorder.seal(exchange())
    assert first is not None
    assert second is not None
    assert second.leaf.number > first.leaf.number
    assert second.leaf.sealed_ns < first.leaf.sealed_ns  # it is said as it was seen
    check_sealed(store_url)


def test_who_waits_for_the_drainer_does_not_wait_for_the_file(sqlite_url: str) -> None:
    record(founded(sqlite_url))
    held = LockFile(signed_checkpoints(log_id(ORIGIN)))
    with recording(sqlite_url) as (recorder, exchange):
        held.acquire()
        began = time.monotonic()
        for _ in range(3):
            exchange()
            assert recorder.flush()
            if (child := os.fork()) == 0:
                os._exit(0)
            os.waitpid(child, 0)
        recorder.close()
        assert time.monotonic() - began < sealer.LONGEST_WAIT
        held.close()
    assert run("--store", sqlite_url, "seal").exit_code == 0  # what was left unsealed at the end
    check_sealed(sqlite_url)


@pytest.mark.usefixtures("hasty")
def test_a_process_that_hangs_with_the_file_holds_up_sealing_alone(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(founded(sqlite_url))
    monkeypatch.setattr(sealer, "LONGEST_WAIT", 0.2)
    program = (
        "import sys; from pathlib import Path; from recorder.locks import LockFile\n"
        "file = LockFile(Path(sys.argv[1])); file.acquire(); print(flush=True); sys.stdin.read()"
    )
    with python(program, str(signed_checkpoints(log_id(ORIGIN))), stdin=-1) as holding:
        assert holding.stdout is not None
        holding.stdout.readline()
        holding.send_signal(signal.SIGSTOP)
        with recording(sqlite_url) as (recorder, exchange):
            response = exchange()
            with pytest.raises(StoreUnreachable, match="stays in use by another process"):
                recorder.seal(response)
            assert recorder.flush()
            assert recorder.exchange(response) in streams(sqlite_url)
            until(lambda: recorder.health().sealing.error is not None)
            holding.kill()
            holding.wait()
            until(lambda: recorder.health().sealing.error is None and recorder.health().sealing.waiting == 0)
    check_sealed(sqlite_url)


# In a mount namespace of its own: the folder of what was signed is on a disk that fills up.
FULL = """
import json, subprocess, sys, requests
from recorder import Recorder
from recorder.core.heads import ENDED, Head, log_id
from recorder.errors import StoreUnreachable
from recorder.locations import signed_checkpoints
from tests.recorded import ask
from tests.sealing import ORIGIN

store, server = sys.argv[1:]
place = signed_checkpoints(log_id(ORIGIN)).parent
place.mkdir(parents=True, exist_ok=True)
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(place)], check=True)
filler = place / "filler"
with Recorder(store) as recorder:
    session = recorder.mount(requests.Session())
    def exchange():
        response = ask(session, server, "x")
        response.content
        return response
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(512))
        except OSError:
            pass
    response = exchange()
    told = {"sealed": 0}
    try:
        for _ in range(100):  # until the page that the file has already is full as well
            recorder.seal(exchange())
            told["sealed"] += 1
    except StoreUnreachable as error:
        told["error"] = str(error)
    health = recorder.health()
    told |= {"ok": health.ok, "health": health.sealing.error, "flushed": recorder.flush()}
    filler.unlink()
    told["number"] = recorder.seal(response).leaf.number
print(json.dumps(told))
"""


def test_a_full_disk_outside(store_url: str) -> None:
    import json

    from tests.acceptance.test_outage import _mounting

    founded(store_url)
    with serve(Script(chunks=3)) as server:
        with python(FULL, store_url, server.url, under=_mounting()) as child:
            out, err = child.communicate(timeout=90)
            assert child.returncode == 0, err
    seen = json.loads(out)
    assert "No space left on device" in seen["error"]
    assert "No space left on device" in seen["health"]
    assert seen["ok"]
    assert seen["flushed"]
    assert seen["sealed"] < 100
    assert "number" in seen
