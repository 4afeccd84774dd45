"""What only a process shows: pipes, colours, imports, a death and its recovery, and the whole demo."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from recorder import __version__
from recorder.core.codec import decode_batch
from recorder.recording.lanes import JOURNAL
from recorder.recording.spool_file import HEADER_SIZE, lane_of
from recorder.store.schema import upgrade
from recorder.store.sqlite_file import store_lock
from tests.commands import answered, fill, identity_of, json_lines, process, run, terminal, told
from tests.loopback import Script, serve

ROOT = Path(__file__).parents[2]


def test_the_version() -> None:
    out, _ = process("--version").communicate(timeout=60)
    assert out.decode() == f"recorder {__version__}\n"


@pytest.mark.parametrize("command", [[sys.executable, "cli.py"], [sys.executable, "-m", "recorder"]])
def test_every_way_to_start_it(command: list[str]) -> None:
    done = subprocess.run([*command, "db", "path", "--store", "sqlite:////x/y.db"], cwd=ROOT, capture_output=True)
    assert (done.returncode, done.stdout) == (0, b"/x/y.db\n")


def test_importing_the_package_imports_no_command_line() -> None:
    code = "import sys, recorder; print([name for name in ('click', 'alembic', 'recorder.cli') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_store_is_understood_before_and_after_the_command(sqlite_url: str, tmp_path: Path) -> None:
    fill(sqlite_url, answered(1, ("user", "hi")))
    other = f"sqlite:///{tmp_path}/none.db"
    for args in (["--store", sqlite_url, "list"], ["list", "--store", sqlite_url]):
        assert run(*args, "--json").exit_code == 0
    assert run("--store", other, "list", "--store", sqlite_url, "--json").exit_code == 0
    assert run("list", "--json", env={"RECORDER_STORE": sqlite_url}).exit_code == 0
    for args in (["--store", sqlite_url, "db", "path"], ["db", "--store", sqlite_url, "path"]):
        assert run(*args, env={"RECORDER_STORE": other}).stdout == sqlite_url.removeprefix("sqlite:///") + "\n"


def test_a_reader_that_goes_away_is_silence(sqlite_url: str) -> None:
    fill(sqlite_url, *(answered(number, ("user", "hi " * 500)) for number in range(1, 80)))
    for args in (["list", "--json"], ["export", identity_of(answered(1)), "--format", "json"]):
        started = process(*args, "--store", sqlite_url)
        assert started.stdout is not None
        assert started.stderr is not None
        started.stdout.read(1)
        started.stdout.close()
        assert started.stderr.read() == b""
        assert started.wait(60) in (0, 141)
        started.stderr.close()


def test_a_reader_that_was_never_there(sqlite_url: str) -> None:
    fill(sqlite_url, answered(1, ("user", "hi")))
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "recorder", "list", "--json", "--store", sqlite_url]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


def test_colours_only_on_a_terminal_and_not_where_unwanted(sqlite_url: str) -> None:
    fill(sqlite_url, answered(1, ("user", "hi"), text="red \x1b[31m alert"))
    code, coloured = terminal("list", "--store", sqlite_url)
    assert code == 0
    assert "\x1b[32mcomplete" in coloured
    code, plain = terminal("list", "--store", sqlite_url, NO_COLOR="1")
    assert code == 0
    assert "complete" in plain
    assert "\x1b" not in plain
    code, shown = terminal("show", identity_of(answered(1)), "--store", sqlite_url, NO_COLOR="1")
    assert code == 0
    assert "red \ufffd[31m alert" in shown
    assert "\x1b" not in run("list", "--store", sqlite_url, env={"NO_COLOR": None}).output


def test_a_narrow_encoding_breaks_nothing(sqlite_url: str) -> None:
    fill(sqlite_url, answered(1, ("user", "hi"), text="1.0850 €"))
    env = {"PYTHONIOENCODING": "latin-1"}
    out, err = process("show", identity_of(answered(1)), "--store", sqlite_url, env=env).communicate(timeout=60)
    assert b"1.0850 \\u20ac" in out
    assert err == b""


def test_a_killed_program_is_seen_recovered_and_replayed(store_url: str) -> None:
    upgrade(store_url)
    assert run("recover", "--store", store_url).stdout.startswith("nothing to recover")
    with serve(Script(chunks=9, stall_after=4)) as server:
        env = {"AI_API_URL": server.url, "AI_ACCESS_TOKEN": "", "NO_PROXY": "*", "RECORDER_STORE": store_url}
        started = process("chat", "x", "--conversation", "desk", env=env)
        expected = "".join(Script(chunks=4).deltas("x")).encode()
        assert started.stdout is not None
        got = b""
        while len(got) < len(expected):
            got += started.stdout.read1(len(expected) - len(got))
        running = run("list", "--store", store_url)
        assert "unknown" in running.stdout
        assert "1 exchange without an end" in run("verify", "--store", store_url).stdout
        os.kill(started.pid, signal.SIGKILL)
        started.communicate(timeout=30)
    done = run("recover", "--store", store_url)
    assert done.exit_code == 0, done.output
    assert "1 exchange closed as process_died" in done.stdout
    (row,) = json_lines(run("list", "--json", "--store", store_url), "list")
    assert (row["verdict"], row["chunks"]) == ("aborted_by_client", 4)
    assert run("verify", "--store", store_url).exit_code == 0
    replayed = run("replay", "desk", "--store", store_url)
    assert replayed.exit_code == 0, replayed.stderr
    assert replayed.stdout_bytes == b"".join(Script().frames("x")[:4])
    assert "then the recording ends" in replayed.stderr


def test_what_lies_only_in_a_spool_is_marked(sqlite_url: str) -> None:
    """The spool of a process that died before anything reached the store."""
    code = (
        "import os, sys, requests\n"
        "from recorder import Recorder\n"
        "session = Recorder(sys.argv[1]).mount(requests.Session())\n"
        "print('ready', flush=True)\n"
        "sys.stdin.readline()\n"
        "session.post(sys.argv[2], json={'messages': []})\n"
        "os._exit(0)\n"
    )
    with serve(Script(chunks=2)) as server:
        command = [sys.executable, "-c", code, sqlite_url, server.url]
        started = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert started.stdout is not None
        assert started.stdout.readline() == b"ready\n"
        with store_lock(Path(sqlite_url.removeprefix("sqlite:///"))):  # nothing gets into the store
            started.communicate(b"\n", timeout=60)
    assert started.returncode == 0
    (row,) = json_lines(run("list", "--json", "--store", sqlite_url), "list")
    assert row["spooled"] is True
    listed = run("list", "--store", sqlite_url)
    assert f"{row['id'][-8:]}*" in listed.stdout
    assert "only in a spool" in listed.stderr
    events = json_lines(run("events", row["id"], "--json", "--store", sqlite_url), "events")
    assert all(event["spooled"] and "position" not in event for event in events)
    assert "only in a spool" in run("events", row["id"], "--store", sqlite_url).stderr
    assert "only in a spool" in run("verify", "--store", sqlite_url).stdout
    assert run("recover", "--store", sqlite_url).exit_code == 0
    (row,) = json_lines(run("list", "--json", "--store", sqlite_url), "list")
    assert "spooled" not in row


def test_a_damaged_spool_is_set_aside_and_told(sqlite_url: str) -> None:
    with serve(Script(chunks=9, stall_after=4)) as server:
        env = {"AI_API_URL": server.url, "NO_PROXY": "*", "RECORDER_STORE": sqlite_url}
        started = process("chat", "x", env=env)
        assert started.stdout is not None
        started.stdout.read(10)
        started.send_signal(signal.SIGSTOP)
        time.sleep(0.1)
        started.kill()
        started.communicate(timeout=30)
    spools = Path(f"{sqlite_url.removeprefix('sqlite:///')}-spool")
    (spool,) = [path for path in spools.glob("*.spool") if lane_of(path) != JOURNAL]
    data = spool.read_bytes()
    with spool.open("r+b") as file:
        file.seek(HEADER_SIZE + decode_batch(data[HEADER_SIZE:])[2])
        file.write(b"\0\0\0\x05\0\0\0\0\1abcd")
    assert "kept as" in told(run("recover", "--store", sqlite_url), 1)
    assert "not in the store: " in run("recover", "--store", sqlite_url).stdout  # as long as it is there


def test_the_demo_holds_and_can_be_repeated(tmp_path: Path) -> None:
    for time_ in (1, 2):
        started = process("demo", env={"RECORDER_STORE": "sqlite:///not-this.db", "COLUMNS": "80"}, cwd=tmp_path)
        out, err = started.communicate(timeout=60)
        text = out.decode()
        assert (started.returncode, err) == (0, b""), text
        assert text.count("same bytes, same boundaries") == 2
        assert text.count("same bytes, boundaries and failure") == 1
        assert "every hash chain holds" in text
        assert "FAILED" not in text
        assert len(text.splitlines()) <= 24
        assert max(map(len, text.splitlines())) <= 80
        store = f"sqlite:///{tmp_path}/recorder-demo.db"
        rows = json_lines(run("list", "--json", "--store", store), "list")
        assert [row["verdict"] for row in rows] == ["truncated", "complete", "complete"] * time_
    assert not (tmp_path / "not-this.db").exists()
    assert "export RECORDER_STORE=sqlite:///recorder-demo.db" in text
    assert run("verify", "--store", store).exit_code == 0
    assert run("show", "eurusd-desk", "--store", store).exit_code == 0


def test_what_the_demo_proposes_can_be_pasted(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/my demo's $store.db"
    (line,) = [line for line in run("demo", "--store", store).stdout.splitlines() if "export" in line]
    done = subprocess.run(["sh", "-c", f'{line}; printf %s "$RECORDER_STORE"'], capture_output=True, text=True)
    assert done.stdout == store


def test_the_demo_says_where_it_cannot_write_before_anything_else(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "recorder", "demo"]
    if os.geteuid() == 0:  # whom permissions do not bind
        command = ["unshare", "-U", "--map-user=1000", "--map-group=1000", "--", *command]
    tmp_path.chmod(0o500)
    try:
        env = {**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, env=env)
    finally:
        tmp_path.chmod(0o700)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("error: cannot write to ")
    assert "Permission denied" in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_demo_on_postgres(postgres_url: str) -> None:
    done = run("demo", "--store", postgres_url)
    assert done.exit_code == 0, done.output
    assert done.stdout.count("same bytes, ") == 3


def test_the_demo_does_not_pretend_where_nothing_is_recorded(tmp_path: Path) -> None:
    line = told(run("demo", "--store", f"sqlite:///{tmp_path}/x.db", env={"RECORDER_OFF": "1"}), 2)
    assert "RECORDER_OFF" in line


def test_the_demo_fails_where_a_comparison_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recorder.cli.demo_server.DemoServer.bodies", [b"", b"", b""])
    done = run("demo", "--store", f"sqlite:///{tmp_path}/x.db")
    assert done.exit_code == 1
    assert done.stdout.count("FAILED") == 3
    assert "recorded other bytes than the server sent" in done.stdout


def test_an_upgrade_says_what_the_store_has_now(absent_url: str, empty_postgres_url: str) -> None:
    for url in (absent_url, empty_postgres_url):
        assert "now has schema" in run("db", "upgrade", "--store", url).stdout


def test_db_commands_for_people_and_programs(store_url: str) -> None:
    assert "is up to date" in run("db", "upgrade", "--store", store_url).stdout
    fill(store_url, answered(1, ("user", "hi")))
    status = json.loads(run("db", "status", "--json", "--store", store_url).stdout)
    assert (status["events"], status["streams"], status["pending"]) == (len(answered(1).events), 1, [])
    assert "in 1 event stream" in run("db", "status", "--store", store_url).stdout
    checked = run("db", "check", "--store", store_url)
    assert checked.exit_code == 0, checked.output
    assert "append-only" in checked.stdout


def test_db_status_of_a_store_that_waits_for_an_upgrade(empty_postgres_url: str) -> None:
    shown = run("db", "status", "--store", empty_postgres_url).stdout
    assert "schema   none" in shown
    assert "recorder db upgrade" in shown
    assert run("db", "path", "--store", empty_postgres_url).stdout.startswith("postgresql://")


def test_a_writer_refuses_what_it_cannot_do_on_postgres(postgres_url: str, tmp_path: Path) -> None:
    assert "pg_dump" in told(run("db", "backup", str(tmp_path / "x"), "--store", postgres_url), 2)
