"""Connections that are open when a guarded test begins: which of them stay, and who is told of the others."""

from __future__ import annotations

import asyncio
import os
import socket
import urllib.request
from collections.abc import Iterator

import pytest

from recorder import NetworkBlocked
from recorder.pytest_plugin.allowed import Allowed
from recorder.pytest_plugin.guard import Guard
from tests.plugin.suite import Suite

NOWHERE = Allowed([])


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


@pytest.fixture
def guard() -> Iterator[Guard]:
    """A guard to which no address is this machine's."""
    guard = Guard(own=NOWHERE)
    guard.watch()
    yield guard
    guard.open()


@pytest.fixture
def default_timeout() -> Iterator[None]:
    socket.setdefaulttimeout(5)
    yield
    socket.setdefaulttimeout(None)


def is_alive(one: socket.socket, server: socket.socket) -> bool:
    """Whether the last connection to a server carries anything."""
    accepted, _ = server.accept()
    with accepted:
        try:
            one.sendall(b"x")
            return accepted.recv(1) == b"x"
        except OSError:
            return False


@pytest.mark.usefixtures("default_timeout")
@pytest.mark.parametrize("blocking", [True, False])
def test_looking_at_a_connection_does_not_change_it(server: socket.socket, blocking: bool) -> None:
    guards = (Guard(own=NOWHERE), Guard(), Guard(own=NOWHERE))
    for guard in guards:
        guard.watch()
    guards[2].is_shared = True
    with socket.create_connection(server.getsockname()) as out:
        os.set_blocking(out.fileno(), blocking)
        for guard, allowed in zip(guards, (Allowed(["127.0.0.1"]), NOWHERE, NOWHERE), strict=True):
            guard.close(allowed)
            guard.open()
            assert os.get_blocking(out.fileno()) is blocking
            assert f"127.0.0.1:{server.getsockname()[1]}" not in guard.shut()  # what other tests have left may be ended
        assert is_alive(out, server)


@pytest.mark.usefixtures("default_timeout")
def test_another_socket_with_the_same_descriptor_is_left_as_it_is(guard: Guard, server: socket.socket) -> None:
    address = server.getsockname()
    closed = socket.create_connection(address)
    descriptor = closed.fileno()
    other = socket.socket()
    other.connect(address)
    os.dup2(other.fileno(), descriptor)  # connected to the same place, by nobody who was noted there
    other_descriptor = other.detach()
    os.close(other_descriptor)
    with socket.socket(fileno=closed.detach()) as reused:
        os.set_blocking(reused.fileno(), True)
        guard.close(NOWHERE)
        guard.open()
        assert f"{address[0]}:{address[1]}" not in guard.shut()  # what other tests have left may be ended
        assert os.get_blocking(reused.fileno())
        reused.sendall(b"x")


def test_a_connection_of_a_test_to_elsewhere_is_ended_and_told(guard: Guard, server: socket.socket) -> None:
    host, port = server.getsockname()
    with socket.create_connection((host, port)) as out:
        wrapped = socket.socket(fileno=out.detach())  # as ssl does it
        guard.close(NOWHERE)
        with wrapped, pytest.raises(OSError):
            wrapped.sendall(b"x")
    assert guard.shut() == [f"{host}:{port}"]
    assert guard.shut() == []
    with pytest.raises(NetworkBlocked, match=r"recorder: .* look up 192\.0\.2\.1:53 .*recorder_allowed_hosts"):
        socket.getnameinfo(("192.0.2.1", 53), 0)


def test_what_a_fixture_of_several_tests_has_made_stays(guard: Guard, server: socket.socket) -> None:
    guard.is_shared = True
    with socket.create_connection(server.getsockname()) as out:
        guard.is_shared = False
        for _ in range(2):
            guard.close(NOWHERE)
            guard.open()
        assert is_alive(out, server)


def test_streams_of_asyncio_that_are_open_do_not_pass(guard: Guard, server: socket.socket) -> None:
    async def main() -> bytes:
        reader, writer = await asyncio.open_connection(*server.getsockname())
        accepted, _ = server.accept()
        with accepted:
            guard.close(NOWHERE)
            guard.open()
            try:
                return await asyncio.wait_for(reader.read(), 5)
            finally:
                writer.close()
                await writer.wait_closed()

    assert asyncio.run(main()) == b""


CLIENTS = """
import http.client, requests, {module} as httpx

REQUESTS = requests.Session()
CLIENT = httpx.Client()


def call(send):
    send.post(URL, json={{"messages": [], "stream": True}})


@pytest.fixture({scope})
def warm():
    call(REQUESTS)
    call(CLIENT)


def test_open(warm):
    pass


@pytest.mark.recorded
@pytest.mark.parametrize("client", [REQUESTS, CLIENT])
def test_shut(client):
    call(client)


def test_open_again():
    call(REQUESTS)
    call(CLIENT)
"""


@pytest.mark.parametrize("scope", ["", "scope='session'"])
@pytest.mark.parametrize("module", ["httpx", "httpx2"])
def test_what_http_libraries_keep_alive_does_not_pass_whoever_made_it(suite: Suite, module: str, scope: str) -> None:
    suite.write(CLIENTS.format(module=module, scope=scope))
    suite.tells(
        [
            "*2 connections were ended before *recorder (127.0.0.1:*): *recorder_allowed_hosts",
            "recorder: the network was asked for, past the recording",
            "*= recorder =*",
            "a connection was ended before *(127.0.0.1:*): *: recorder_allowed_hosts",
        ],
        apart=True,
        passed=2,
        failed=2,
    )
    assert suite.calls == 4


def test_async_clients_of_httpx_too(suite: Suite) -> None:
    suite.write(
        "import asyncio, httpx\n"
        "LOOP, CLIENT = asyncio.new_event_loop(), httpx.AsyncClient()\n"
        "def call():\n    LOOP.run_until_complete(CLIENT.post(URL, json={'messages': [], 'stream': True}))\n"
        "def test_open():\n    call()\n"
        "@pytest.mark.recorded\ndef test_shut():\n    call()\n"
        "def test_end():\n    LOOP.run_until_complete(CLIENT.aclose()); LOOP.close()\n"
    )
    suite.run(apart=True).assert_outcomes(passed=2, failed=1)
    assert suite.calls == 1


def test_databases_of_fixtures_and_of_this_machine_stay(suite: Suite) -> None:
    suite.write(
        "import socket, socketserver, threading\n"
        "class Echo(socketserver.StreamRequestHandler):\n"
        "    def handle(self):\n"
        "        while line := self.rfile.readline():\n            self.wfile.write(line)\n"
        "@pytest.fixture(scope='session')\n"
        "def database():\n"
        "    with socketserver.ThreadingTCPServer(('127.0.0.1', 0), Echo) as server:\n"
        "        server.daemon_threads = True\n"
        "        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()\n"
        "        yield server.server_address\n"
        "        server.shutdown()\n"
        "@pytest.fixture(scope='module')\n"
        "def connected(database):\n"
        "    with socket.create_connection(database) as made:\n        yield made\n"
        "POOL = []\n"
        "def ask_it(made):\n"
        "    made.sendall(b'x\\n')\n    assert made.recv(2) == b'x\\n'\n"
        "def test_open(database, connected):\n"
        "    POOL.append(socket.create_connection(database))\n    ask_it(POOL[0]); ask_it(connected)\n"
        "@pytest.mark.recorded\ndef test_guarded(connected):\n    ask_it(POOL[0]); ask_it(connected)\n"
        "def test_after(connected):\n    ask_it(POOL[0]); ask_it(connected); POOL[0].close()\n"
    )
    result = suite.run("-W", "error", apart=True)  # the guard is this process's, and knows of other suites
    result.assert_outcomes(passed=3)
    result.stdout.no_fnmatch_line("*ended before*")


def test_a_stack_that_only_looks_like_http_is_none(guard: Guard, server: socket.socket) -> None:
    guard.is_shared = True
    with urllib.request.urlopen("data:,x"), socket.create_connection(server.getsockname()) as out:
        guard.is_shared = False
        guard.close(NOWHERE)
        guard.open()
        assert is_alive(out, server)


EARLIER = """
import asyncio, http.client, requests, httpx, socket, socketserver, threading
from urllib.parse import urlsplit


class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        while line := self.rfile.readline():
            self.wfile.write(line)


DATABASE = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo)
DATABASE.daemon_threads = True
threading.Thread(target=DATABASE.serve_forever, daemon=True).start()
CONNECTED = socket.create_connection(DATABASE.server_address)
SESSION, CLIENT, PARTS = requests.Session(), httpx.Client(), urlsplit(URL)
PLAIN = http.client.HTTPConnection(PARTS.hostname, PARTS.port)


def plain():
    PLAIN.request("POST", PARTS.path, '{"messages": [], "stream": true}', {"Content-Type": "application/json"})
    PLAIN.getresponse().read()


CALLS = {"requests": lambda: ask(SESSION, "a"), "httpx": lambda: ask(CLIENT, "a"), "http.client": plain}
for call in CALLS.values():
    call()  # while this is collected


@pytest.mark.recorded
@pytest.mark.parametrize("call", CALLS)
def test_guarded(call):
    CALLS[call]()


@pytest.mark.recorded
def test_database():
    CONNECTED.sendall(b"x\\n")
    assert CONNECTED.recv(2) == b"x\\n"
"""


def test_what_was_connected_while_tests_were_collected_does_not_pass(suite: Suite) -> None:
    suite.write(EARLIER)
    result = suite.run(apart=True)
    result.assert_outcomes(passed=1, failed=3)
    assert suite.calls == 3
    result.stdout.fnmatch_lines(["3 connections were ended before a test that has no network, *"])


def test_async_clients_that_were_connected_while_tests_were_collected_do_not_pass(suite: Suite) -> None:
    suite.write(
        "import aiohttp, asyncio, httpx\n"
        "LOOP, CLIENT = asyncio.new_event_loop(), httpx.AsyncClient()\n"
        "async def made():\n    return aiohttp.ClientSession()\n"
        "SESSION, BODY = LOOP.run_until_complete(made()), {'messages': [], 'stream': True}\n"
        "async def by_aiohttp():\n    async with SESSION.post(URL, json=BODY) as answer:\n        await answer.read()\n"
        "CALLS = [lambda: CLIENT.post(URL, json=BODY), by_aiohttp]\n"
        "for call in CALLS:\n    LOOP.run_until_complete(call())\n"
        "@pytest.mark.recorded\n@pytest.mark.parametrize('call', CALLS)\n"
        "def test_guarded(call):\n    LOOP.run_until_complete(call())\n"
        "def test_end():\n"
        "    LOOP.run_until_complete(CLIENT.aclose()); LOOP.run_until_complete(SESSION.close()); LOOP.close()\n"
    )
    suite.run(apart=True).assert_outcomes(passed=1, failed=2)
    assert suite.calls == 2


AGAIN = """
import aiohttp, asyncio, http.client
from urllib.parse import urlsplit

PARTS, LOOP = urlsplit(URL), asyncio.new_event_loop()
PLAIN = http.client.HTTPConnection(PARTS.hostname, PARTS.port)


async def made():
    return aiohttp.ClientSession()


SESSION = LOOP.run_until_complete(made())


async def by_aiohttp():
    async with SESSION.post(URL, json={"messages": [], "stream": True}) as answer:
        await answer.read()


def plain():
    try:
        PLAIN.request("POST", PARTS.path, '{"messages": [], "stream": true}', {"Content-Type": "application/json"})
        PLAIN.getresponse().read()
    except OSError:
        PLAIN.close()
        raise


CALLS = {"aiohttp": lambda: LOOP.run_until_complete(by_aiohttp()), "http.client": plain}


@pytest.mark.parametrize("call", CALLS)
def test_open(call):
    CALLS[call]()


@pytest.mark.recorded
@pytest.mark.parametrize("call", CALLS)
def test_guarded(call):
    with pytest.raises(OSError) as broken:
        CALLS[call]()
    assert not isinstance(broken.value, NetworkBlocked)
    if NEXT:
        CALLS[call]()


def test_after():
    for call in CALLS.values():
        if not NEXT:
            call()


def test_end():
    LOOP.run_until_complete(SESSION.close())
    LOOP.close()
"""


@pytest.mark.parametrize("asks_again", [True, False])
def test_aiohttp_and_http_client_say_once_that_their_connection_was_ended(suite: Suite, asks_again: bool) -> None:
    suite.write(f"from recorder import NetworkBlocked\nNEXT = {asks_again}\n{AGAIN}")
    result = suite.run(apart=True)
    result.assert_outcomes(passed=4 if asks_again else 6, failed=2 if asks_again else 0)
    if asks_again:
        assert result.stdout.str().count("recorder: the network was asked for, past the recording") >= 2
    assert suite.calls == (2 if asks_again else 4)
