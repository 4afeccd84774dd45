"""The locks that a recording process has on its SQLite store outlive whatever else it does with the store.

On POSIX, closing any descriptor of a file gives up all locks of the process on it. A process without its
locks is not seen by the next one that closes the store: that one takes itself for the last, and deletes the
log into which the first one goes on writing (https://sqlite.org/howtocorrupt.html, 2.2).
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.loopback import Script, serve
from tests.recorded import exchanges, python

OTHER = """
import sys, requests
from recorder import Recorder
url, store = sys.argv[1:]
with Recorder(store) as recorder, recorder.mount(requests.Session()) as session:
    session.post(url, json={}).content
"""

LOOKING = """
import subprocess, sys, requests
from recorder import Player, Recorder, Store
url, store, how, other = sys.argv[1:]
ask = lambda: session.post(url, json={}).content
with Recorder(store) as recorder, recorder.mount(requests.Session()) as session:
    ask()
    assert recorder.flush()
    if how != "nothing":
        with {"Store": Store, "Player": Player, "Recorder": Recorder}[how](store):
            pass
    for _ in range(2):  # another program records and ends; this one goes on
        subprocess.run([sys.executable, "-c", other, url, store], check=True)
        ask()
        assert recorder.flush()
"""


@pytest.mark.parametrize("how", ["nothing", "Store", "Player", "Recorder"])
def test_looking_into_the_own_store_loses_nothing(how: str, sqlite_url: str) -> None:
    with serve(Script(chunks=3)) as server:
        program = python(LOOKING, server.url, sqlite_url, how, OTHER)
        assert program.communicate(timeout=60)[1] == ""
    assert len(exchanges(sqlite_url)) == 5


EVERYTHING = """
import json, os, signal, sys, requests
from pathlib import Path

opened = []
def hook(event, arguments):
    if event == "open" and isinstance(arguments[0], (str, bytes, os.PathLike)):
        opened.append(os.path.realpath(os.fsdecode(arguments[0])))
sys.addaudithook(hook)

from click.testing import CliRunner
from recorder import Player, Recorder, Store
from recorder.cli.application import COMMANDS, application
from recorder.cli.db import db

url, store, folder = sys.argv[1:]
os.environ.update(AI_API_URL=url, AI_ACCESS_TOKEN="none", AI_MODEL_NAME="m")
file = store.removeprefix("sqlite:///")
its = {file + end for end in ("", "-wal", "-shm", "-journal")}

def descriptors():
    here = Path("/proc/self/fd")  # Linux
    return sum(os.path.realpath(fd) == file for fd in here.iterdir()) if here.is_dir() else 0

ran, failed = set(), []
def command(*arguments, code=0):
    ran.add(" ".join(arguments[:2] if arguments[0] == "db" else arguments[:1]))
    result = CliRunner().invoke(application, [*arguments, "--store", store])
    if result.exit_code != code:
        failed.append([arguments, result.output, repr(result.exception)])

with Recorder(store) as recorder, recorder.mount(requests.Session()) as session:
    with recorder.conversation("desk"):
        session.post(url, json={"messages": [{"role": "user", "content": "x"}]}).content
    assert recorder.flush()
    made = its & set(opened)  # that it was made, before anybody could have it open
    opened.clear()
    before = descriptors()
    for number in range(20):
        with Store(store) as looked:
            looked.refresh(), list(looked.exchanges()), looked.conversation("desk"), looked.conversations()
        with Player(store):
            pass
        with Recorder(store) as second:
            second.flush(), second.health()
    after = descriptors()
    for name in ("list", "stats", "verify", "recover", "db status", "db path", "db upgrade", "db check", "db rebuild"):
        command(*name.split(" "))
    for name in ("show", "events", "export", "replay", "verify"):
        command(name, "desk")
    command("export", "desk", "-o", folder + "/out.md")
    command("export", "desk", "--format", "jsonl", "-o", folder + "/out.jsonl")
    command("import", folder + "/out.jsonl")
    command("search", "x")
    command("diff", "desk", "desk")
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    command("tail", code=130)
    command("db", "backup", folder + "/copy.db")
    command("db", "copy", "--from", store, "--to", "sqlite:///" + folder + "/copied.db")
    command("cassette", "from-store", folder + "/cassette.jsonl")
    command("cassette", "to-store", folder + "/cassette.jsonl")
    command("serve", "--run", "true")
    command("chat", "hello")
    command("demo")
    with Store(store) as looked:
        identity = list(looked.exchanges())[-1]["id"]
    command("keys", "init")
    command("seal", identity)
    command("link", "order:1", identity)
    command("trace", "order:1")
    command("bundle", "--order", "1", "-o", folder + "/evidence.zip")
    command("anchor", "--anchor", "file:" + folder + "/anchor.notes")
    for name in ("journal", "hold list", "retention list", "redact list"):
        command(*name.split(" "))
    command("db", "grant", "--writer", "w", "--auditor", "a", code=2)
    command("erase", identity, "--ground", "asked for", "--yes", code=1)  # its program runs
    session.post(url, json={}).content
    assert recorder.flush()
# migrate opens no store.
everything = set(COMMANDS) - {"db", "migrate"} | {f"db {name}" for name in db.commands}
print(json.dumps({
    "failed": failed,
    "left_out": sorted(everything - ran),
    "opened": sorted(its & set(opened)),
    "made": sorted(made),
    "descriptors": [before, after],
}))
"""


def test_nothing_but_sqlite_opens_the_files_of_a_store(absent_url: str, tmp_path: Path) -> None:
    with serve(Script(chunks=3)) as server:
        program = python(EVERYTHING, server.url, absent_url, str(tmp_path))
        out, err = program.communicate(timeout=120)
    assert program.returncode == 0, err
    seen = json.loads(out.splitlines()[-1])
    assert seen["failed"] == []
    assert seen["left_out"] == []
    assert seen["opened"] == []
    assert seen["made"] == [absent_url.removeprefix("sqlite:///")]
    before, after = seen["descriptors"]
    assert after <= before + 4  # what SQLite cannot close while there are locks it uses again


def test_writers_through_a_link_and_by_name_share_lock_and_spool(tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to("real.db")
    for name in ("link.db", "real.db", "link.db"):
        with serve(Script(chunks=1)) as server:
            program = python(OTHER, server.url, f"sqlite:///{tmp_path}/{name}")
            assert program.communicate(timeout=60)[1] == ""
    assert {file.name for file in tmp_path.iterdir()} == {"link.db", "real.db", "real.db.lock"}
    assert len(exchanges(f"sqlite:///{tmp_path}/real.db")) == 3
