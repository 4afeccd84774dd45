"""What a recorded test fails for although its own code saw nothing wrong, and what it says then."""

from __future__ import annotations

from contextlib import closing

import pytest

from recorder import Match
from recorder.store import open_events
from tests.building import ExchangeBuilder
from tests.plugin.suite import Suite

SWALLOWING = """
def test_it(recorded_session):
    for prompt in ("Buy or hold?", "Sell?"):
        try:
            ask(recorded_session, prompt)
        except Exception:
            pass
"""


def test_a_miss_that_the_code_swallows_fails_the_test_with_the_nearest_recording(suite: Suite) -> None:
    suite.record("cassettes/test_bot/test_it.jsonl", "Buy or hold?", "Hold?")
    suite.write(SWALLOWING)
    suite.tells(
        [
            "recorder: a request was never recorded (cassette cassettes/test_bot/test_it.jsonl, mode none)",
            "  POST http*/v1/chat/completions",
            "    the nearest recording is *; recorded != asked:",
            '      body.messages[[]0].content: "*" != "Sell?"',
            "to record it: pytest --recorder-mode=new_episodes test_bot.py::test_it",
        ],
        failed=1,
    )


def test_without_a_cassette_the_message_says_how_to_record_one(suite: Suite) -> None:
    suite.write(
        SWALLOWING
        + "\n@pytest.mark.parametrize('p', ['a b'])\ndef test_p(recorded_session, p): ask(recorded_session, p)"
    )
    suite.tells(
        [
            "recorder: 2 requests were never recorded: there is no cassette */test_it.jsonl (mode none)",
            "to record it: pytest --recorder-mode=once test_bot.py::test_it",
            "*Captured recorder call*",
            "to record it: pytest --recorder-mode=once 'test_bot.py::test_p[[]a b]'",
        ],
        failed=2,
    )


def test_a_request_that_is_asked_once_more_than_recorded(suite: Suite) -> None:
    suite.record("cassettes/test_bot/test_it.jsonl", "a")
    suite.write("def test_it(recorded_session):\n    for _ in 'ab':\n        ask(recorded_session, 'a')\n")
    suite.tells(["*was recorded once and is asked for once more*"], failed=1)
    suite.write(
        "@pytest.mark.recorded(allow_repeats=True)\n"
        "def test_it(recorded_session):\n    for _ in 'ab':\n        ask(recorded_session, 'a')\n"
        "def test_other(recorded_session):\n    for _ in 'ab':\n        ask(recorded_session, 'a')\n"
    )
    suite.record("cassettes/test_bot/test_other.jsonl", "a", match=Match(allow_repeats=True))
    # What holds for a cassette stands in its first line.
    suite.tells(["recorder: *test_it.jsonl, line 1: it is matched by other rules (strict) than*"], errors=1, passed=1)
    assert suite.run(mode="rewrite").ret == 0
    suite.run().assert_outcomes(passed=2)


def test_a_miss_while_a_fixture_is_torn_down_is_an_error(suite: Suite) -> None:
    suite.write(
        "@pytest.fixture\n"
        "def bot(recorded_session):\n"
        "    yield\n"
        "    try:\n        ask(recorded_session, 'the last word')\n    except NoMatchingExchange:\n        pass\n"
        "def test_it(bot):\n    pass\n"
    )
    suite.tells(["recorder: a request was never recorded: there is no cassette*"], passed=1, errors=1)


def test_an_expected_failure_and_a_skip_stay_what_they_are(suite: Suite) -> None:
    suite.record("cassettes/test_bot/test_x.jsonl", "a")
    suite.write(
        "@pytest.mark.xfail(strict=True)\n"
        "def test_x(recorded_session):\n    assert ask(recorded_session, 'a') == 'hold'\n"
        "def test_s(recorded_session):\n    pytest.skip('today')\n"
    )
    suite.run().assert_outcomes(xfailed=1, skipped=1)


def test_a_recording_that_was_changed_is_not_played_and_not_swallowed(suite: Suite) -> None:
    path = suite.path / "cassettes/test_bot/test_it.jsonl"
    suite.record("cassettes/test_bot/test_it.jsonl", "a")
    path.write_bytes(path.read_bytes().replace(b"[a 0]", b"[a 7]"))
    suite.write(
        "def test_it(recorded_session):\n"
        "    try:\n        ask(recorded_session, 'a')\n    except Exception:\n        pass\n"
    )
    suite.tells(["recorder: *test_it.jsonl, line 2 * not what was recorded*"], failed=1)


@pytest.mark.parametrize("damage", ["", "no cassette\n", '{"cassette": 99, "exchanges": 0}\n'])
def test_what_is_no_cassette_is_told_in_one_line(suite: Suite, damage: str) -> None:
    path = suite.path / "cassettes/test_bot/test_it.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text(damage)
    suite.write("def test_it(recorded_session):\n    pass\n")
    for mode in ("none", "once", "new_episodes"):
        result = suite.tells(["recorder: *test_it.jsonl, line 1 *: *"], mode=mode, errors=1)
        assert "Traceback" not in result.stdout.str()
        assert path.read_text() == damage


def test_threads_share_the_recording_of_their_test(suite: Suite) -> None:
    suite.write(
        "from concurrent.futures import ThreadPoolExecutor\n"
        "def test_it(recorded_session):\n"
        "    with ThreadPoolExecutor(8) as pool:\n"
        "        told = list(pool.map(lambda n: ask(recorded_session, 'same'), range(16)))\n"
        "    assert len(set(told)) == 16\n"  # each answer was served once
    )
    assert suite.run(mode="once").ret == 0
    assert suite.run("-W", "error").ret == 0
    assert suite.calls == 16


def test_the_message_of_an_unknown_argument(suite: Suite) -> None:
    suite.write("@pytest.mark.recorded(mod='once')\ndef test_it(recording):\n    pass\n")
    suite.run().stdout.fnmatch_lines(["*recorded() has no argument 'mod': did you mean 'mode'?*"])


def test_settings_of_a_directory_come_from_a_fixture(suite: Suite) -> None:
    rules = Match(ignore=["/messages/*/content"])
    suite.record("cassettes/test_bot/test_it.jsonl", "a", match=rules)
    (suite.path / "conftest.py").write_text(
        "import pytest\nfrom recorder import Match\n"
        "@pytest.fixture\ndef recorder_config():\n"
        "    return {'match': Match(ignore=['/messages/*/content']), 'unplayed': 'fail'}\n"
    )
    suite.write("def test_it(recorded_session):\n    assert '[a 0]' in ask(recorded_session, 'another day')\n")
    assert suite.run().ret == 0
    suite.write("def test_it(recorded_session):\n    pass\n")
    suite.run().assert_outcomes(failed=1)


SWALLOWED = """
import unittest


def swallow(session):
    try:
        ask(session, "a")
    except Exception:
        pass


def test_skip(recorded_session):
    try:
        ask(recorded_session, "a")
    except Exception:
        pytest.skip("down")


def test_imperative(recorded_session):
    try:
        ask(recorded_session, "a")
    except Exception:
        pytest.xfail("down")


@pytest.mark.xfail
def test_passes(recorded_session):
    swallow(recorded_session)


@pytest.mark.xfail(raises=AssertionError)
def test_fails(recorded_session):
    swallow(recorded_session)
    assert False


class TestOld(unittest.TestCase):
    @pytest.fixture(autouse=True)
    def _session(self, recorded_session):
        self.session = recorded_session

    def test_old(self):
        swallow(self.session)
        self.skipTest("down")


@pytest.mark.xfail
def test_expected(recorded_session):
    try:
        ask(recorded_session, "a")
    except Exception as error:
        raise RuntimeError("renamed") from error
"""


def test_no_outcome_of_a_test_hides_a_miss(suite: Suite) -> None:
    suite.write(SWALLOWED)
    result = suite.run()
    result.assert_outcomes(failed=6)
    assert result.stdout.str().count("recorder: a request was never recorded: there is no cassette") >= 6


EXPECTED = """
pytestmark = pytest.mark.xfail(strict={strict})


@pytest.fixture
def asks_first(recorded_session):
    ask(recorded_session, "a")


@pytest.fixture
def swallows_first(recorded_session):
    try:
        ask(recorded_session, "a")
    except Exception:
        pytest.xfail("down")


@pytest.fixture
def asks_last(recorded_session):
    yield
    ask(recorded_session, "a")


def test_raises(recorded_session):
    ask(recorded_session, "a")


@pytest.mark.xfail(raises=NoMatchingExchange)
def test_names_it(recorded_session):
    ask(recorded_session, "a")


def test_in_setup(asks_first):
    pass


def test_swallowed_in_setup(swallows_first):
    pass


def test_in_teardown(asks_last):
    assert False


@pytest.mark.recorded("no/name?")
def test_marker(recorded_session):
    pass


def test_other(recorded_session):
    assert False
"""


@pytest.mark.parametrize("strict", [True, False])
def test_a_miss_is_no_failure_that_was_expected(suite: Suite, strict: bool) -> None:
    suite.write(EXPECTED.format(strict=strict))
    result = suite.run()
    result.assert_outcomes(failed=2, errors=4, xfailed=2)
    text = result.stdout.str()
    assert text.count("recorder: a request was never recorded: there is no cassette") >= 5
    for test in ("raises", "names_it"):
        assert f"FAILED test_bot.py::test_{test}" in text
    for test in ("in_setup", "swallowed_in_setup", "in_teardown", "marker"):
        assert f"ERROR test_bot.py::test_{test}" in text


def test_what_fails_a_test_that_has_passed_is_no_failure_that_was_expected(suite: Suite) -> None:
    suite.record("cassettes/desk.jsonl", "a")
    suite.write(
        "pytestmark = [pytest.mark.xfail, pytest.mark.recorded('desk', unplayed='fail')]\n"
        "def test_it(recorded_session):\n    pass\n"
    )
    suite.tells(["recorder: an exchange of cassettes/desk.jsonl not asked for: *"], failed=1)


def test_reading_on_past_what_was_recorded_fails_the_test_that_swallows_it(suite: Suite) -> None:
    payload = {"messages": [{"role": "user", "content": "a"}], "stream": True}
    made = ExchangeBuilder().request(payload, url=suite.server.url).response().chunks(b"data: {}\n\n")
    made.event("consumer_closed", {"taken": 10, "received": 10})
    with closing(open_events(str(suite.path / "cassettes/test_bot/test_it.jsonl"))) as cassette:
        cassette.append([made.opened], made.events)
    suite.write("def test_it(recorded_session):\n    try: ask(recorded_session, 'a')\n    except Exception: pass\n")
    suite.tells(["recorder: the recording ends here (consumer closed): *"], failed=1)
