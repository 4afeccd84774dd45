"""The wheel alone does the main job: no checkout on the path, base dependencies only, its own migrations."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Runs in the fresh environment: records against a loopback server, stops it, answers from the recording.
JOB = r"""
import http.server
import importlib.util
import sys
import threading
from pathlib import Path

import requests

import recorder
from recorder import Player, Recorder, Store

checkout, url = Path(sys.argv[1]), sys.argv[2]
package = Path(recorder.__file__).parent
assert Path(sys.prefix) in package.parents, package
assert (package / "migrations" / "versions" / "0001_event_store.py").is_file()
assert (package / "py.typed").is_file()
for name in ("migrations", "tests", "bench", "cli", "psycopg", "pytest"):
    assert importlib.util.find_spec(name) is None, name
assert not any(Path(entry or ".").resolve() == checkout for entry in sys.path)

PIECES = [b"data: \xe2", b"\x82\xac\n\n", b"data: [DONE]\n\n"]


class Upstream(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for piece in PIECES:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *args):
        pass


def ask(session, base):
    with session.post(f"{base}/v1/chat/completions", json={"stream": True}, stream=True) as response:
        return list(response.iter_content(None))


with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Upstream) as server:
    threading.Thread(target=server.serve_forever, args=(0.02,)).start()
    base = f"http://127.0.0.1:{server.server_address[1]}"
    with Recorder(url) as recording:
        assert ask(recording.mount(requests.Session()), base) == PIECES
    server.shutdown()

with Player(url) as player:
    assert ask(player.mount(requests.Session()), base) == PIECES
print("done")
"""


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """Run a command as a user would who has nothing of ours in the environment; return what it prints."""
    kept = {
        name: os.environ[name] for name in os.environ if not name.startswith(("PYTHON", "RECORDER_", "COV", "VIRTUAL"))
    }
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=kept | environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the checkout."""
    directory = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", directory, ROOT, cwd=directory)
    (built,) = directory.glob("*.whl")
    return built


def test_the_wheel_holds_the_package_with_its_migrations_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"recorder", "conversation_recorder"}
    modules = {
        f"recorder/{path.relative_to(ROOT / 'recorder').as_posix()}" for path in (ROOT / "recorder").rglob("*.py")
    }
    migrations = {f"recorder/{path.relative_to(ROOT).as_posix()}" for path in (ROOT / "migrations").rglob("*.py")}
    assert {name for name in names if name.endswith(".py")} == modules | migrations
    assert {"recorder/py.typed", "recorder/migrations/script.py.mako", "recorder/ledger/standalone/format.md"} <= set(
        names
    )
    assert not any(name.endswith((".pyc", ".db")) for name in names)


def test_the_main_job_runs_from_the_wheel_alone(wheel: Path, tmp_path: Path) -> None:
    home, work = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    work.mkdir()
    # This environment's pip installs into the other: to install pip there as well takes longer than all the rest.
    here = importlib.util.find_spec("pip") is not None
    venv.create(tmp_path / "venv", with_pip=not here)
    programs = tmp_path / "venv" / "bin"
    pip = [sys.executable, "-m", "pip", "--python", programs / "python"] if here else [programs / "pip"]
    quickly = ("--quiet", "--disable-pip-version-check", "--no-compile")  # most of what it needs is never imported here
    run(*pip, "install", *quickly, wheel, cwd=work)
    script = work / "job.py"
    script.write_text(JOB)
    url = f"sqlite:///{work}/trades.db"
    mine = {"HOME": str(home), "XDG_DATA_HOME": str(home / "data"), "XDG_STATE_HOME": str(home / "state")}

    assert run(programs / "python", script, ROOT, url, cwd=work, **mine) == "done\n"
    (exchange,) = run(programs / "recorder", "--store", url, "list", "--json", cwd=work, **mine).splitlines()
    assert '"chunks": 3' in exchange.replace('":3', '": 3')
    assert run(programs / "recorder", "verify", "--store", url, cwd=work, **mine)
    assert run(programs / "python", "-m", "recorder", "db", "status", "--store", url, cwd=work, **mine)
