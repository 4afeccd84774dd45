"""A recorded test has no network: what is refused, what is allowed, and who is told."""

from __future__ import annotations

import socket

import pytest

from recorder import NetworkBlocked
from recorder.pytest_plugin.allowed import Allowed, is_host
from recorder.pytest_plugin.guard import Guard
from tests.plugin.suite import Suite

PAST = """
import requests


@pytest.mark.recorded{marker}
def test_it():
    try:
        ask(requests.Session(), "a")
    except Exception as error:
        print("RAISED", type(error).__name__)
"""


def test_code_that_makes_its_own_session_fails_the_test_even_if_it_swallows_it(suite: Suite) -> None:
    suite.write(PAST.format(marker=""))
    for mode in (None, "once", "rewrite", "verify"):  # nothing records, so nothing is sent in any mode
        suite.tells(
            [
                "*RAISED NetworkBlocked*",
                "recorder: the network was asked for, past the recording",
                "  the test may not connect to 127.0.0.1:* (from test_bot.py:12): there is no network in it, unless *",
            ],
            "-s",
            mode=mode,
            failed=1,
        )
    assert suite.calls == 0


@pytest.mark.parametrize(
    ("marker", "setting"),
    [
        ("(block_network=False)", None),
        ("(allowed_hosts=['localhost'])", None),
        ("", "recorder_allowed_hosts = 10.0.0.0/8 127.0.0.1"),
        ("", "recorder_allowed_hosts = localhost"),
        ("", "recorder_block_network = off"),
    ],
)
def test_what_is_allowed_is_reached(suite: Suite, marker: str, setting: str | None) -> None:
    suite.configure(*([setting] if setting else []))
    suite.write(PAST.format(marker=marker))
    assert suite.run("-s").ret == 0
    assert suite.calls == 1


@pytest.mark.parametrize(("blocked", "hooks"), [("off", 0), ("recorded", 1)])
def test_where_nothing_is_blocked_nothing_listens(suite: Suite, blocked: str, hooks: int) -> None:
    """On Python 3.11 any audit hook may cost a program that is measured a thread."""
    suite.record("cassettes/test_bot/test_it.jsonl", "a")
    suite.configure(f"recorder_block_network = {blocked}")
    (suite.path / "conftest.py").write_text(
        "import sys\nadd, added = sys.addaudithook, []\n"
        "sys.addaudithook = lambda hook: (added.append(hook), add(hook))\n"
        "def pytest_unconfigure():\n    print('hooks', len(added))\n"
    )
    suite.write("def test_it(recorded_session):\n    ask(recorded_session, 'a')\n")
    suite.tells([f"hooks {hooks}"], apart=True, passed=1)


def test_tests_without_a_recording_have_their_network_unless_it_is_blocked_for_all(suite: Suite) -> None:
    suite.write("import requests\ndef test_it():\n    ask(requests.Session(), 'a')\n")
    assert suite.run().ret == 0
    suite.run("-o", "recorder_block_network=all").assert_outcomes(failed=1)
    assert suite.calls == 1


def test_the_network_is_open_while_a_test_records_and_shut_for_the_next_one(suite: Suite) -> None:
    suite.record("cassettes/test_bot/test_b.jsonl", "b")
    suite.write(
        "import requests\n"
        "def test_a(recorded_session):\n    ask(recorded_session, 'a'); ask(requests.Session(), 'past it')\n"
        "def test_b(recorded_session):\n    ask(recorded_session, 'b'); ask(requests.Session(), 'past it')\n"
    )
    suite.run(mode="once").assert_outcomes(passed=1, failed=1)


def test_fixtures_of_several_tests_may_start_a_server(suite: Suite) -> None:
    suite.write(
        "import requests\n"
        "@pytest.fixture(scope='module')\ndef server():\n    return ask(requests.Session(), 'up?')\n"
        "@pytest.fixture\ndef own():\n    return ask(requests.Session(), 'mine?')\n"
        "@pytest.mark.recorded\ndef test_a(server):\n    assert server\n"
        "@pytest.mark.recorded\ndef test_b(own):\n    pass\n"
    )
    suite.run().assert_outcomes(passed=1, errors=1)
    assert suite.calls == 1


def test_asyncio_and_unix_sockets_need_no_network(suite: Suite) -> None:
    suite.write(
        "import asyncio, socket\n"
        "@pytest.mark.recorded\ndef test_it():\n"
        "    asyncio.run(asyncio.sleep(0))\n"
        "    one, other = socket.socketpair()\n    one.close(); other.close()\n"
        "    server = socket.create_server(('', 0))\n    server.close()\n"
    )
    assert suite.run().ret == 0


def test_names_addresses_and_networks() -> None:
    allowed = Allowed(["localhost", "10.0.0.0/8", "DB.internal.", "[2001:db8::1]"])
    for host in ("localhost", "127.0.0.53", "::1", "10.1.2.3", "::ffff:10.1.2.3", "db.Internal", "2001:db8::1"):
        assert allowed.allows(host), host
    for host in ("11.1.2.3", "example.com", "2001:db8::2", "", "notlocalhost"):
        assert not allowed.allows(host), host


def test_what_names_a_host() -> None:
    for host in (
        "localhost",
        "db",
        "my_db.internal.",
        "10.0.0.7",
        "10.0.0.0/8",
        "::1",
        "[2001:db8::1]",
        "fe80::/10",
        "dé.example",
    ):
        assert is_host(host), host
    for text in (
        "",
        ".",
        "a..b",
        "https://db",
        "db:5432",
        "db/x",
        "*.db",
        "a b",
        "a,",
        "10.0.0.0/33",
        "10.0.0.256",
        "1.2.3",
    ):
        assert not is_host(text), text


def test_the_addresses_of_a_name_are_allowed_with_it() -> None:
    assert Allowed([socket.gethostname(), "localhost"]).allows("127.0.0.1")
    address = socket.getaddrinfo("localhost", 80, socket.AF_INET)[0][4][0]
    named = Allowed(["localhost.localdomain", "does-not-exist.invalid"])
    assert not named.allows("203.0.113.7")
    assert Allowed(["localhost"]).allows(str(address))


def test_a_guard_that_is_open_lets_everything_pass() -> None:
    guard = Guard()
    with socket.create_server(("127.0.0.1", 0)) as server:
        guard.close(Allowed([]))
        try:
            with pytest.raises(NetworkBlocked, match=r"connect to 127.0.0.1:\d+ \(from tests.plugin.test_guard.py:"):
                socket.create_connection(server.getsockname())
            with pytest.raises(NetworkBlocked, match=r"look up example\.com:443"):
                socket.getaddrinfo("example.com", 443)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out, pytest.raises(NetworkBlocked):
                out.sendto(b"x", ("192.0.2.1", 53))
        finally:
            guard.open()
        socket.create_connection(server.getsockname()).close()
    assert len(guard.taken()) == 3
    assert guard.taken() == []


def test_what_is_torn_down_after_a_test_has_no_network_either(suite: Suite) -> None:
    suite.write(
        "import requests\n"
        "def call():\n"
        "    try:\n        ask(requests.Session(), 'bye')\n    except Exception:\n        pass\n"
        "@pytest.fixture\ndef own():\n    yield\n    call()\n"
        "@pytest.mark.recorded\ndef test_fixture(own):\n    pass\n"
        "@pytest.mark.recorded\ndef test_finalizer(request):\n    request.addfinalizer(call)\n"
        "class TestOld:\n"
        "    def teardown_method(self):\n        call()\n"
        "    @pytest.mark.recorded\n    def test_method(self):\n        pass\n"
    )
    result = suite.run()
    result.assert_outcomes(passed=3, errors=3)
    assert result.stdout.str().count("recorder: the network was asked for, past the recording") == 3
    assert suite.calls == 0


def test_fixtures_of_several_tests_may_stop_a_server(suite: Suite) -> None:
    suite.write(
        "import requests\n"
        "@pytest.fixture(scope='module')\ndef server():\n    yield\n    ask(requests.Session(), 'down')\n"
        "@pytest.fixture(scope='class')\ndef part(server):\n    yield\n    ask(requests.Session(), 'down')\n"
        "@pytest.mark.recorded\ndef test_it(part):\n    pass\n"
        "def teardown_module():\n    ask(requests.Session(), 'down')\n"
    )
    suite.run().assert_outcomes(passed=1)
    assert suite.calls == 3


def test_a_connection_that_is_kept_alive_does_not_pass_the_guard(suite: Suite) -> None:
    suite.write(
        "import requests\n"
        "SESSION = requests.Session()\n"
        "def test_open():\n    ask(SESSION, 'a')\n"
        "@pytest.mark.recorded\ndef test_shut():\n    ask(SESSION, 'b')\n"
        "def test_open_again():\n    ask(SESSION, 'c')\n"
    )
    suite.run().assert_outcomes(passed=2, failed=1)
    assert suite.calls == 2
