"""``recorder`` without its start: each command is forked from an interpreter that has imported the command line.

Most of what a short command takes is to import what it uses: half a second, for hundreds of commands of the tests. The
command ``recorder`` that :func:`programs` makes is a small program that hands its arguments, environment, directory and
open files to such an interpreter, over a socket; that forks a process which is the command, and the program ends as
that process does. What it was sent meanwhile, it hands on; when it is killed, so is the process.

What a start itself does is not tested that way: that has tests which really start one. One that has to differ, because
Python itself has been told something in the environment or its coverage is measured, is really started here as well.
"""

from __future__ import annotations

import array
import atexit
import contextlib
import functools
import gc
import importlib
import marshal
import os
import selectors
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

#: What Python reads from the environment when it starts, by the beginnings of the names.
STARTING = ("PYTHON", "LC_", "LANG", "COVERAGE_")
#: Of these, what is brought about after the start as well.
LATE = ("PYTHONIOENCODING",)
FRONT = '''#!{python} -IS
"""Hands a command to an interpreter that is there already."""
import _signal, _socket, marshal, os, struct, sys

told = {{key: value for key, value in os.environ.items() if value and key.startswith({starting}) and key not in {late}}}
server = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
try:
    if told != {told}:
        raise OSError
    server.connect({address!r})
except OSError:
    os.execv({python!r}, [{python!r}, {command!r}, *sys.argv[1:]])
request = marshal.dumps((sys.argv, os.getcwd(), dict(os.environ), os.umask(0)))
files = struct.pack("3i", 0, 1, 2)
server.sendmsg([struct.pack("!I", len(request))], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, files)])
server.sendall(request)
process, = struct.unpack("!i", server.recv(4))
for number in (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP):
    if _signal.getsignal(number) != _signal.SIG_IGN:
        _signal.signal(number, lambda number, _: os.kill(process, number))
answer = server.recv(4)
if not answer:
    os._exit(70)
code, = struct.unpack("!i", answer)
if code < 0:
    _signal.signal(-code, _signal.SIG_DFL)
    os.kill(os.getpid(), -code)
os._exit(code)
'''


class Asked(NamedTuple):
    """A command: its arguments, directory, environment and mask for new files, and its three open files."""

    arguments: list[str]
    directory: str
    environment: dict[str, str]
    mask: int
    files: list[int]


class Running(NamedTuple):
    """A command that runs: its process and a descriptor of that, and who waits for its end."""

    process: int
    handle: int
    connection: socket.socket


def told(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what of an environment is only heeded when Python starts."""
    return {key: value for key, value in environment.items() if value and key.startswith(STARTING) and key not in LATE}


@functools.cache
def programs() -> Path:
    """Return a directory with a command ``recorder``, which starts at once; it is there until this process ends."""
    directory = Path(tempfile.mkdtemp(prefix="recorder-warm."))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    command = Path(sys.executable).parent / "recorder"
    front = directory / "recorder"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    environment.pop("PYTHONPATH", None)
    address = str(directory / "socket")
    parts = {"python": sys.executable, "command": str(command), "address": address}
    front.write_text(FRONT.format(**parts, starting=STARTING, late=LATE, told=told(environment)), encoding="utf-8")
    front.chmod(0o755)
    if not hasattr(os, "pidfd_open"):  # as on macOS: every command is really started
        return directory
    server = subprocess.Popen(
        [sys.executable, __file__, address, str(command)], env=environment, cwd="/", stdin=subprocess.PIPE
    )
    atexit.register(server.communicate)  # which closes its input: then it ends
    while not Path(address).exists():
        assert server.poll() is None, "the interpreter that commands are forked from ended"
        time.sleep(0.001)
    return directory


def main(address: str, command: str) -> None:
    """Be the interpreter that commands are forked from, until standard input ends; then, in each fork, the command."""
    sys.path[0] = str(Path(command).parent)
    from recorder.cli.application import COMMANDS

    for place in COMMANDS.values():
        importlib.import_module(place.partition(":")[0])
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.freeze()
    asked = _serve(address)
    if asked is not None:
        _become(asked)
        import recorder.__main__ as started

        sys.modules["__main__"] = started
        started.main()


def _serve(address: str) -> Asked | None:
    """Fork a process for each request; return that in the process, and ``None`` where no more will come."""
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listening.bind(f"{address}~")
    listening.listen(64)
    Path(f"{address}~").rename(address)
    selector = selectors.DefaultSelector()
    selector.register(listening, selectors.EVENT_READ)
    selector.register(0, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fileobj == 0:
                return None
            if isinstance(key.data, Running):
                _heed(selector, key)
                continue
            connection, _ = listening.accept()
            asked = _taken(connection)
            process = os.fork()
            if process == 0:
                _close(selector, connection)
                return asked
            for file in asked.files:
                os.close(file)
            connection.sendall(struct.pack("!i", process))
            running = Running(process, os.pidfd_open(process), connection)
            selector.register(running.handle, selectors.EVENT_READ, running)
            selector.register(connection, selectors.EVENT_READ, running)


def _taken(connection: socket.socket) -> Asked:
    """Return what is asked for over a connection."""
    files = array.array("i")
    size, ancillary, *_ = connection.recvmsg(4, socket.CMSG_SPACE(3 * files.itemsize), socket.MSG_WAITALL)
    for _level, _kind, data in ancillary:
        files.frombytes(data)
    request = connection.recv(*struct.unpack("!I", size), socket.MSG_WAITALL)
    return Asked(*marshal.loads(request), files.tolist())


def _heed(selector: selectors.BaseSelector, key: selectors.SelectorKey) -> None:
    """Tell who waits that a process has ended; end one that nobody waits for any more."""
    running: Running = key.data
    if key.fileobj is running.connection:
        os.kill(running.process, signal.SIGKILL)
        selector.unregister(running.connection)
        return
    _, status = os.waitpid(running.process, 0)
    with contextlib.suppress(BrokenPipeError):  # nobody waits
        running.connection.sendall(struct.pack("!i", os.waitstatus_to_exitcode(status)))
    with contextlib.suppress(KeyError):
        selector.unregister(running.connection)
    selector.unregister(running.handle)
    os.close(running.handle)
    running.connection.close()


def _close(selector: selectors.BaseSelector, connection: socket.socket) -> None:
    """Close all that is not of the command that was forked."""
    for key in list(selector.get_map().values()):
        if isinstance(key.fileobj, socket.socket):
            key.fileobj.close()
        elif key.fd != 0:
            os.close(key.fd)
    selector.close()
    connection.close()


def _become(asked: Asked) -> None:
    """Make of this process what a start with these arguments and files would have made of it."""
    for number, file in enumerate(asked.files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(asked.directory)
    os.umask(asked.mask)
    os.environ.clear()
    os.environ.update(asked.environment)
    time.tzset()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = asked.arguments
    encoding, _, errors = asked.environment.get("PYTHONIOENCODING", "").partition(":")
    encoding = encoding or sys.stdout.encoding
    sys.stdin = _stream(0, "r", encoding, errors or sys.stdin.errors)
    sys.stdout = _stream(1, "w", encoding, errors or sys.stdout.errors)
    sys.stderr = _stream(2, "w", encoding, "backslashreplace")
    sys.stderr.reconfigure(line_buffering=True)


def _stream(number: int, mode: str, encoding: str, errors: str | None) -> Any:
    return open(number, mode, encoding=encoding, errors=errors, closefd=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
