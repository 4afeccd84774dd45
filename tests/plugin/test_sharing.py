"""Tests that share a cassette: what one of them records again takes nothing of the others away."""

from __future__ import annotations

import pytest

from tests.plugin.suite import Suite, held

DESK = "cassettes/desk.jsonl"
NEW = "cassettes/desk~new.jsonl"
SHARED = """
@pytest.mark.recorded("desk"{first})
def test_a(recorded_session):
    for prompt in {prompts!r}:
        ask(recorded_session, prompt)


@pytest.mark.recorded("desk"){second}
def test_b(recorded_session):
    ask(recorded_session, "b")
"""
KEPT = "recorded cassettes/desk.jsonl: {} exchange*, {} of them from before: not every test that may have it was run*"


def shared(suite: Suite, *prompts: str, first: str = "", second: str = "") -> None:
    suite.write(SHARED.format(prompts=prompts, first=first, second=second))


@pytest.mark.parametrize(
    "chosen", [("-k", "test_a"), ("test_bot.py::test_a",), ("--deselect", "test_bot.py::test_b"), ("-m", "recorded")]
)
def test_a_test_that_is_run_alone_rewrites_its_own_part(suite: Suite, chosen: tuple[str, ...]) -> None:
    suite.record(DESK, "a", "b", "old")
    shared(suite, "a", "c")
    result = suite.run(*chosen, mode="rewrite")
    assert result.ret == 0
    if chosen == ("-m", "recorded"):  # all of them
        assert held(suite.path / DESK) == [("a", 4), ("c", 5), ("b", 6)]
        return
    assert sorted(held(suite.path / DESK)) == [("a", 4), ("b", 2), ("c", 5), ("old", 3)]
    result.stdout.fnmatch_lines([KEPT.format(4, 2)])
    assert suite.cassettes() == [DESK]
    suite.run("test_bot.py::test_b").assert_outcomes(passed=1)


@pytest.mark.parametrize("order", ["rewrites first", "rewrites last"])
def test_one_whose_marker_says_rewrite_beside_one_that_plays(suite: Suite, order: str) -> None:
    suite.record(DESK, "a", "b")
    shared(suite, "a", first=", mode='rewrite'")
    chosen = ["test_bot.py::test_a", "test_bot.py::test_b"]
    result = suite.run(*(chosen if order == "rewrites first" else reversed(chosen)))
    result.assert_outcomes(passed=2)
    assert sorted(held(suite.path / DESK)) == [("a", 3), ("b", 2)]
    result.stdout.fnmatch_lines([KEPT.format(2, 1)])
    assert suite.cassettes() == [DESK]


@pytest.mark.parametrize("why", ["@pytest.mark.skip", "@pytest.mark.usefixtures('broken')"])
def test_one_that_is_not_run(suite: Suite, why: str) -> None:
    suite.record(DESK, "a", "b")
    (suite.path / "conftest.py").write_text("import pytest\n@pytest.fixture\ndef broken():\n    assert False\n")
    shared(suite, "a", second=f"\n{why}")
    suite.run(mode="rewrite")
    assert sorted(held(suite.path / DESK)) == [("a", 3), ("b", 2)]
    assert suite.cassettes() == [DESK]


def test_others_in_a_module_that_was_not_collected(suite: Suite) -> None:
    suite.record(DESK, "a", "b")
    shared(suite, "a")
    (suite.path / "test_other.py").write_text(SHARED.format(prompts=["x"], first="", second=""))
    suite.run("test_bot.py", "-k", "test_a", mode="rewrite")
    assert sorted(held(suite.path / DESK)) == [("a", 3), ("b", 2)]


def test_one_that_is_named_after_its_test_and_by_others(suite: Suite) -> None:
    own = "cassettes/test_bot/test_it.jsonl"
    test = "def test_it(recorded_session):\n    ask(recorded_session, 'c')\n"
    suite.record(own, "a", "b")
    suite.write(test)
    suite.write("@pytest.mark.recorded('test_bot/test_it')" + test.replace("'c'", "'b'"), "test_other.py")
    suite.run("test_bot.py", mode="rewrite")
    assert sorted(held(suite.path / own)) == [("a", 1), ("b", 2), ("c", 3)]
    # One that only plays it, with a fault, has recorded nothing that could be lost.
    suite.write("@pytest.mark.recorded('test_bot/test_it', fault='cut:after-bytes=1')\n" + test, "test_other.py")
    suite.run("-k", "test_bot", mode="rewrite")
    assert held(suite.path / own) == [("c", 4)]
    suite.record("cassettes/test_bot/test_it.jsonl", "a")
    (suite.path / "test_other.py").write_text("def test_other():\n    pass\n")
    suite.run("test_bot.py::test_it", mode="rewrite")
    assert held(suite.path / own) == [("c", 6)]


def test_one_that_asks_for_nothing_takes_nothing_away(suite: Suite) -> None:
    suite.record(DESK, "a", "b")
    shared(suite)
    assert suite.run("-k", "test_a", mode="rewrite").ret == 0
    assert sorted(held(suite.path / DESK)) == [("a", 1), ("b", 2)]


def test_one_that_fails_leaves_all_as_it_was(suite: Suite) -> None:
    suite.record(DESK, "a", "b")
    shared(suite, "a")
    with (suite.path / "test_bot.py").open("a") as module:
        module.write("    assert False\n")
    suite.run(mode="rewrite").assert_outcomes(passed=1, failed=1)
    assert sorted(held(suite.path / DESK)) == [("a", 1), ("b", 2)]
    assert suite.cassettes() == [DESK, NEW]
