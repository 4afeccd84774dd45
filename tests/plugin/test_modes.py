"""The modes of the plugin: what answers, what is sent, and what becomes of the cassette.

The first cases are those of cassetter's record modes, in our words; where ours differs, the case says so.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from recorder import Match
from recorder.api.cassette_rules import match_of
from tests.loopback import Script, serve
from tests.plugin.suite import Suite, held

CASSETTE = "cassettes/test_bot/test_it.jsonl"
TEST = """
PROMPTS = {prompts!r}


def test_it(recorded_session):
    told = []
    for prompt in PROMPTS:
        try:
            told.append(str(ask(recorded_session, prompt).count("[" + prompt + " ")))
        except NoMatchingExchange:
            told.append("miss")
    print("TOLD", *told)
"""


class Case(NamedTuple):
    """A run of one test.

    :ivar recorded: what its cassette holds before, in order; None: there is none. Answers have 1, 2, … deltas.
    :ivar told: what each request gets: the deltas of its answer, or ``miss``. Live answers go on counting.
    :ivar held: prompts and deltas of the cassette afterwards.
    """

    mode: str | None
    recorded: list[str] | None
    prompts: list[str]
    told: list[str]
    held: list[tuple[str, int]] | None


CASES = {
    "none replays": Case("none", ["a"], ["a"], ["1"], [("a", 1)]),
    "none misses": Case("none", ["a"], ["b"], ["miss"], [("a", 1)]),
    "none makes no cassette": Case("none", None, ["b"], ["miss"], None),
    "none is the default": Case(None, None, ["b"], ["miss"], None),
    "once replays, and adds nothing": Case("once", ["a"], ["a", "b"], ["1", "miss"], [("a", 1)]),
    "once records where there is no cassette": Case("once", None, ["a", "b"], ["1", "2"], [("a", 1), ("b", 2)]),
    "once records a repeated request twice": Case("once", None, ["a", "a"], ["1", "2"], [("a", 1), ("a", 2)]),
    "once makes no cassette without a request": Case("once", None, [], [], None),
    "new_episodes replays what is there, once each, and records the rest": Case(
        "new_episodes", ["a"], ["a", "a", "b", "b"], ["1", "2", "3", "4"], [("a", 1), ("a", 2), ("b", 3), ("b", 4)]
    ),
    "new_episodes records where there is no cassette": Case("new_episodes", None, ["a"], ["1"], [("a", 1)]),
    # cassetter's all empties the cassette; here that is what rewrite is for.
    "all replaces the same requests, and keeps the others": Case(
        "all", ["a", "b", "b"], ["b"], ["4"], [("a", 1), ("b", 4)]
    ),
    "all keeps everything without a request": Case("all", ["a"], [], [], [("a", 1)]),
    "all makes no cassette without a request": Case("all", None, [], [], None),
    "all records where there is no cassette": Case("all", None, ["a"], ["1"], [("a", 1)]),
    "rewrite removes the cassette of a test without a request": Case("rewrite", ["a"], [], [], None),
    "rewrite records a repeated request twice": Case("rewrite", ["a"], ["a", "a"], ["2", "3"], [("a", 2), ("a", 3)]),
    "rewrite starts from an empty cassette": Case("rewrite", ["a"], ["b"], ["2"], [("b", 2)]),
    "rewrite records where there is no cassette": Case("rewrite", None, ["b"], ["1"], [("b", 1)]),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_mode(suite: Suite, case: Case) -> None:
    if case.recorded is not None:
        suite.record(CASSETTE, *case.recorded)
    before = suite.calls
    suite.write(TEST.format(prompts=case.prompts))
    result = suite.run("-s", mode=case.mode)
    assert " ".join(["TOLD", *case.told]) in result.stdout.str()
    result.assert_outcomes(failed=int("miss" in case.told), passed=int("miss" not in case.told))
    live = [told for told in case.told if told.isdecimal() and int(told) > len(case.recorded or ())]
    assert suite.calls - before == len(live)
    assert suite.cassettes() == ([] if case.held is None else [CASSETTE])
    if case.held is not None:
        assert sorted(held(suite.path / CASSETTE)) == case.held


def test_what_was_recorded_is_replayed_without_a_server(suite: Suite) -> None:
    suite.write("def test_it(recorded_session):\n    assert '[a 0]' in ask(recorded_session, 'a')\n")
    assert suite.run(mode="once").ret == 0
    suite.server.close()
    assert suite.run().ret == 0


def test_in_ci_the_mode_is_none(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    suite.configure("recorder_mode = once")
    suite.write("@pytest.mark.recorded(mode='all')\ndef test_it(recorded_session):\n    ask(recorded_session, 'a')\n")
    monkeypatch.setenv("CI", "true")
    suite.tells(["recorder: mode none, since CI is set"], failed=1)
    assert suite.calls == 0
    assert suite.run(mode="once").ret == 0  # somebody asked for it here and now
    for number, no_ci in enumerate(("false", "0", "", "No", "off"), start=2):
        monkeypatch.setenv("CI", no_ci)
        assert suite.run("-o", "recorder_mode=none").ret == 0
        assert suite.calls == number


def test_the_nearest_marker_counts_before_the_others_and_the_settings(suite: Suite) -> None:
    suite.write(
        "pytestmark = pytest.mark.recorded(mode='once', unplayed='fail')\n"
        "@pytest.mark.recorded(mode='rewrite')\n"
        "def test_a(recording):\n    assert recording.mode == 'rewrite'\n"
        "def test_b(recording):\n    assert recording.mode == 'once'\n"
    )
    assert suite.run().ret == 0
    suite.run(mode="none").assert_outcomes(failed=2)


def test_a_cassette_that_a_test_fails_to_record_again_stays(suite: Suite) -> None:
    suite.record(CASSETTE, "a")
    suite.write("def test_it(recorded_session):\n    ask(recorded_session, 'b')\n    assert not 'as expected'\n")
    for mode in ("rewrite", "all"):
        suite.tells([f"{CASSETTE} stays as it was, *is in test_it~new.jsonl"], mode=mode, failed=1)
        assert held(suite.path / CASSETTE) == [("a", 1)]
        assert [prompt for prompt, _ in held(suite.path / "cassettes/test_bot/test_it~new.jsonl")] == ["b"]
    suite.write("def test_it(recorded_session):\n    ask(recorded_session, 'c')\n")
    assert suite.run(mode="rewrite").ret == 0
    assert [prompt for prompt, _ in held(suite.path / CASSETTE)] == ["c"]
    assert suite.cassettes() == [CASSETTE]


def test_what_a_failing_test_has_recorded_for_the_first_time_is_kept_and_told(suite: Suite) -> None:
    suite.write("def test_it(recorded_session):\n    ask(recorded_session, 'b')\n    assert not 'as expected'\n")
    result = suite.run(mode="once")
    result.stdout.fnmatch_lines([f"{CASSETTE} was recorded by a test that failed: 1 exchange: *rewrite"])
    assert held(suite.path / CASSETTE) == [("b", 1)]


SHARED = """
@pytest.mark.recorded("desk")
def test_a(recorded_session):
    ask(recorded_session, "a")


@pytest.mark.recorded("desk.jsonl")
def test_b(recorded_session):
    ask(recorded_session, "b"){more}
"""


@pytest.mark.parametrize("mode", ["once", "new_episodes", "all", "rewrite"])
def test_tests_that_share_a_cassette_record_it_together(suite: Suite, mode: str) -> None:
    suite.write(SHARED.format(more=""))
    assert suite.run(mode=mode).ret == 0
    assert sorted(held(suite.path / "cassettes/desk.jsonl")) == [("a", 1), ("b", 2)]
    suite.run("-W", "error").assert_outcomes(passed=2)  # each asks for its own part, nothing is unplayed
    if mode in ("all", "rewrite"):
        assert suite.run(mode=mode).ret == 0
        assert sorted(held(suite.path / "cassettes/desk.jsonl")) == [("a", 3), ("b", 4)]
        suite.write(SHARED.format(more="; assert False"))
        suite.run(mode=mode).assert_outcomes(passed=1, failed=1)
        assert sorted(held(suite.path / "cassettes/desk.jsonl")) == [("a", 3), ("b", 4)]


def test_verify_compares_and_leaves_the_cassette(suite: Suite) -> None:
    suite.record(CASSETTE, "a")
    before = (suite.path / CASSETTE).read_bytes()
    suite.write("def test_it(recorded_session):\n    ask(recorded_session, 'a')\n")
    suite.tells(["*an answer is not what*", "*POST http*", "*text: Buy[[]a 0]{+*[[]a 1]+}"], mode="verify", failed=1)
    assert (suite.path / CASSETTE).read_bytes() == before
    assert suite.run("-o", "recorder_verify=status verdict finish_reasons tool_calls", mode="verify").ret == 0
    suite.write("def test_it(recorded_session):\n    ask(recorded_session, 'b')\n")
    result = suite.run(mode="verify")
    result.stdout.fnmatch_lines(["*it was never recorded"])
    (suite.path / CASSETTE).unlink()
    suite.run(mode="verify").assert_outcomes(errors=1)
    assert suite.cassettes() == []


def test_verify_passes_where_only_ids_and_times_are_others(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    with_same = "def test_it(recorded_session):\n    ask(recorded_session, 'a')\n"
    suite.write(with_same)
    with serve(Script(chunks=2)) as server:
        monkeypatch.setenv("UPSTREAM", server.url)
        assert suite.run(mode="once").ret == 0
        assert suite.run(mode="verify").ret == 0
        assert len(server.visits()) == 2


def test_a_wrong_mode_is_refused(suite: Suite) -> None:
    suite.write("def test_it(recording):\n    pass\n")
    assert suite.run(mode="often").ret == pytest.ExitCode.USAGE_ERROR
    result = suite.run("-o", "recorder_mode=often")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*recorder_mode='often' is not known: use none, once, new_episodes*"])
    suite.write("@pytest.mark.recorded(mode='often')\ndef test_it(recording):\n    pass\n")
    suite.run().stdout.fnmatch_lines(["*mode='often' of *::test_it is not known: use none, once*"])


def test_a_recording_beside_the_cassette_belongs_to_nobody_else(suite: Suite) -> None:
    stale = suite.path / "cassettes/test_bot/test_it~new.jsonl"
    suite.record(CASSETTE, "a")
    suite.record(stale.relative_to(suite.path).as_posix(), "from a run that was killed")
    suite.write("def test_it(recorded_session):\n    ask(recorded_session, 'b')\n")
    assert suite.run(mode="rewrite").ret == 0
    assert [prompt for prompt, _ in held(suite.path / CASSETTE)] == ["b"]
    assert not Path(stale).exists()


def test_new_episodes_of_a_shared_cassette_are_played_as_far_as_they_are_there(suite: Suite) -> None:
    suite.record("cassettes/desk.jsonl", "a", "b")
    suite.write(SHARED.format(more="; ask(recorded_session, 'c')"))
    assert suite.run(mode="new_episodes").ret == 0
    assert sorted(held(suite.path / "cassettes/desk.jsonl")) == [("a", 1), ("b", 2), ("c", 3)]


def test_nothing_is_left_of_a_recording_without_a_request(suite: Suite) -> None:
    suite.write("def test_it(recorded_session):\n    pass\n")
    assert suite.run(mode="once").ret == 0
    assert not (suite.path / "cassettes").exists()
    suite.write("def test_it(recorded_session):\n    ask(recorded_session, 'a')\n")
    assert suite.run(mode="once").ret == 0
    assert [path.name for path in (suite.path / "cassettes/test_bot").iterdir()] == ["test_it.jsonl"]


def test_the_kill_switch_is_no_way_to_the_network(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECORDER_OFF", "1")
    suite.write("def test_it(recorded_session):\n    ask(recorded_session, 'a')\n")
    suite.tells(["*RECORDER_OFF is set, nothing can be recorded: unset it"], mode="once", errors=1)
    assert suite.calls == 0


@pytest.mark.parametrize("mode", ["rewrite", "all", "verify"])
def test_the_rules_of_a_cassette_hold_for_what_takes_its_place(suite: Suite, mode: str) -> None:
    rules = Match(normalise=["dates"])
    suite.record(CASSETTE, "Today is 2026-11-28", match=rules)
    suite.write(
        "import datetime\n"
        "def test_it(recorded_session):\n    ask(recorded_session, f'Today is {datetime.date.today()}')\n"
    )
    result = suite.run("-o", "recorder_verify=status", mode=mode)
    assert result.ret == 0
    assert match_of(suite.path / CASSETTE) == rules
    assert len(held(suite.path / CASSETTE)) == 1


def test_verify_tells_what_is_not_asked_for_any_more(suite: Suite) -> None:
    suite.record(CASSETTE, "a", "b")
    suite.write(
        "@pytest.mark.recorded(verify='status')\ndef test_it(recorded_session):\n    ask(recorded_session, 'a')\n"
    )
    suite.tells(
        ["recorder: less was asked for than *", "  POST http*", "    it was recorded, and is not*"],
        mode="verify",
        failed=1,
    )
    suite.write("def test_it(recorded_session):\n    pass\n")
    suite.run(mode="verify").assert_outcomes(failed=1)


def test_verify_of_a_shared_cassette_adds_up_what_its_tests_ask_for(suite: Suite) -> None:
    suite.record("cassettes/desk.jsonl", "a", "b")
    suite.write(SHARED.format(more=""))
    settings = ("-o", "recorder_verify=status", "-o", "recorder_unplayed=fail")
    assert suite.run(*settings, mode="verify").ret == 0
    suite.record("cassettes/desk.jsonl", "c")
    assert suite.run(*settings, mode="verify").ret == pytest.ExitCode.TESTS_FAILED


def test_a_first_recording_that_went_wrong_does_not_look_like_a_good_one(
    suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite.write("def test_it(recorded_session):\n    recorded_session.post(URL, json={})\n")
    with serve(Script(status=429)) as server:
        monkeypatch.setenv("UPSTREAM", server.url)
        suite.run(mode="once").stdout.fnmatch_lines([f"recorded {CASSETTE}: 1 exchange (1 failed: status 429)"])
    suite.write(
        "def test_it(recorded_session):\n"
        "    with pytest.raises(OSError):\n        recorded_session.post(URL, json={})\n"
    )
    suite.run(mode="rewrite").stdout.fnmatch_lines([f"recorded {CASSETTE}: 1 exchange (1 failed: Connection*Error)"])


def test_a_skip_and_an_expected_failure_while_something_is_recorded(suite: Suite) -> None:
    suite.write(
        "def test_s(recorded_session):\n    ask(recorded_session, 'a')\n    pytest.skip('today')\n"
        "@pytest.mark.xfail\ndef test_x(recorded_session):\n    ask(recorded_session, 'b')\n    assert False\n"
    )
    suite.tells(
        ["recorded */test_x.jsonl: 1 exchange", "*/test_s.jsonl was recorded by a test that was skipped: *"],
        mode="once",
        skipped=1,
        xfailed=1,
    )
