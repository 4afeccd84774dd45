"""Names of cassettes: readable, safe on every system, one for each test."""

from __future__ import annotations

import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.api.cassette_names import BESIDE, Places, beside, cassette_name, unsafe_parts
from tests.plugin.suite import Suite, held

SAFE = set(string.ascii_letters + string.digits + "_.,=+@[]-")


def test_a_usual_name_stays_as_it_is() -> None:
    assert cassette_name("TestDesk.test_buys[EURUSD-1.08]") == "TestDesk.test_buys[EURUSD-1.08]"


@given(st.lists(st.text(max_size=200), unique=True, max_size=20))
def test_names_are_safe_and_different(tests: list[str]) -> None:
    names = [cassette_name(f"test_x[{test}]") for test in tests]
    assert len(set(names)) == len(tests)
    for name in names:
        assert set(name) <= SAFE
        assert len(name) <= 140
        assert not name.endswith((".", " "))
        assert BESIDE not in name


@pytest.mark.parametrize("name", ["con", "NUL", "com1.test", "aux", "lpt9.x"])
def test_names_of_devices_are_not_used(name: str) -> None:
    assert cassette_name(name).startswith("test-")


def test_two_names_that_would_look_the_same_differ() -> None:
    assert len({cassette_name(f"test_x[a{c}b]") for c in ["/", ":", "?", "_", "\\", " ", "é"]}) == 7


def test_names_that_are_given() -> None:
    assert unsafe_parts("desk/order-1") == []
    assert unsafe_parts("../shared/order") == []
    assert unsafe_parts("/somewhere/order") == []
    assert unsafe_parts("a:b/order?") == ["a:b", "order?"]
    assert unsafe_parts("con/x") == ["con"]


def test_where_cassettes_lie() -> None:
    root = Path("/r")
    usual, central = Places(root, None), Places(root, root / "tapes")
    module = root / "tests" / "desk" / "test_bot.py"
    assert usual.of_test(module, "test_x") == root / "tests/desk/cassettes/test_bot/test_x.jsonl"
    assert usual.named(module, "order") == root / "tests/desk/cassettes/order.jsonl"
    assert usual.named(module, "../order.jsonl") == root / "tests/desk/order.jsonl"
    assert central.of_test(module, "test_x") == root / "tapes/tests/desk/test_bot/test_x.jsonl"
    assert central.named(module, "desk/order") == root / "tapes/desk/order.jsonl"
    assert beside(root / "x.y.jsonl") == root / f"x.y{BESIDE}.jsonl"


def test_each_parameter_has_its_cassette(suite: Suite) -> None:
    suite.write(
        "class TestDesk:\n"
        "    @pytest.mark.parametrize('pair', ['EUR/USD', 'EUR:USD', 'plain'])\n"
        "    def test_buys(self, recorded_session, pair):\n        ask(recorded_session, pair)\n"
    )
    assert suite.run(mode="once").ret == 0
    found = suite.cassettes()
    assert len(found) == 3
    assert "cassettes/test_bot/TestDesk.test_buys[plain].jsonl" in found
    assert sorted(held(suite.path / path)[0][0] for path in found) == ["EUR/USD", "EUR:USD", "plain"]
    assert suite.run().ret == 0


def test_one_directory_for_all(suite: Suite) -> None:
    suite.configure("recorder_cassette_dir = tapes/cassettes")
    suite.write("def test_it(recorded_session):\n    ask(recorded_session, 'a')\n", "one/test_bot.py")
    suite.write("def test_it(recorded_session):\n    ask(recorded_session, 'b')\n", "two/test_bot.py")
    assert suite.run("--import-mode=importlib", mode="once").ret == 0
    assert suite.cassettes() == [f"tapes/cassettes/{each}/test_bot/test_it.jsonl" for each in ("one", "two")]
    suite.run("--import-mode=importlib").assert_outcomes(passed=2)


def test_names_that_differ_in_case_alone_are_refused(suite: Suite) -> None:
    suite.write("@pytest.mark.parametrize('p', ['Buy', 'buy'])\ndef test_it(recorded_session, p):\n    pass\n")
    result = suite.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*test_it[[]buy]: its cassette * are one file where upper and lower case*"])


def test_a_given_name_that_is_none_everywhere_is_refused(suite: Suite) -> None:
    suite.write("@pytest.mark.recorded('a:b')\ndef test_it(recorded_session):\n    pass\n")
    result = suite.run()
    result.assert_outcomes(errors=1)
    assert "'a:b' is no name of a file on every system" in result.stdout.str()
