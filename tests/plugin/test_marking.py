"""What a marker may say, and what it is told where that cannot be meant."""

from __future__ import annotations

import pytest
import requests

from recorder import Recorder, Store
from tests.plugin.suite import Suite
from tests.wire import reply, wire


@pytest.mark.parametrize(
    ("marker", "told"),
    [
        ("unplayd='fail'", "recorded() has no argument 'unplayd': did you mean 'unplayed'?"),
        ("fault='cut'", "fault='cut' of test_bot.py::test_it: the fault 'cut'*"),
        ("fault=7", "fault=7 of test_bot.py::test_it: fault=7 is no fault: use one of recorder.faults*"),
        ("max_age=90", "max_age of test_bot.py::test_it=90 is no age: use 12h, 90d or 8w"),
        ("mode='onec'", "mode='onec' of test_bot.py::test_it is not known: use none, once*"),
        ("match={'ignor': []}", "match=*: matching rules have no member 'ignor'*"),
        ("match=7", "match=7 of *matching rules 7 are no JSON object*"),
        ("block_network='off'", "block_network='off' of * is no truth value: use True or False"),
        ("allowed_hosts=7", "allowed_hosts=7 of * is no list of texts"),
        ("fault=[]", "fault=[[]] of test_bot.py::test_it holds no fault: name one*"),
        ("'order', fault=()", "fault=() of test_bot.py::test_it holds no fault: name one*"),
        ("'order', fault=['status:500', 'statos:1']", "fault='statos:1' of *: *did you mean status?*"),
        ("fault={}", "fault={} of * holds no fault: *"),
        ("fault={'order': 'statos:1'}", "fault=* of *: *did you mean status?*"),
        ("fault=['status:500']", "*several faults need an answer that another test has recorded: name its cassette*"),
        ("cassette=7", "*a cassette has a name, not 7"),
        ("'a', cassette='b'", "test_bot.py::test_it: recorded() is given two cassettes, 'a' and 'b': name one"),
        ("'a', cassette=None", "test_bot.py::test_it: recorded() is given two cassettes, 'a' and None: name one"),
        ("'../../etc/x'", "test_bot.py::test_it: its cassette ../../etc/x lies outside of the folder of cassettes, *"),
        ("'../cassettes-old/x'", "test_bot.py::test_it: its cassette ../cassettes-old/x lies outside of *"),
        ("'/etc/x'", "test_bot.py::test_it: its cassette /etc/x lies outside of the folder of cassettes, *"),
        ("'desk/'", "test_bot.py::test_it: 'desk/' is no name of a file on every system: *"),
        ("'.'", "test_bot.py::test_it: '.' is no name of a file on every system: *"),
        ("match='strickt'", "match='strickt' of test_bot.py::test_it is not known: use 'strict', or a recorder.Match"),
        ("redact='headers:x'", "redact of test_bot.py::test_it: redaction rule 'headers:x' is not understood: *"),
        ("redact=['header:x', '']", "redact of test_bot.py::test_it: redaction rule '' is not understood: *"),
        ("redact=iter(['header:x'])", "redact=<* of test_bot.py::test_it is no list of texts"),
        ("allow_repeats=1", "allow_repeats=1 of test_bot.py::test_it is no truth value: use True or False"),
        ("allowed_hosts=(each for each in ['localhost'])", "allowed_hosts=<* of * is no list of texts"),
        ("allowed_hosts={'localhost': 1}", "allowed_hosts={*} of * is no list of texts"),
        ("allowed_hosts='https://db.internal'", "allowed_hosts of *::test_it: 'https://db.internal' is no host: *"),
        ("allowed_hosts=['db:5432']", "allowed_hosts of *: 'db:5432' is no host: *"),
        ("allowed_hosts='a.example b.example'", "allowed_hosts of *: 'a.example b.example' is no host: *"),
        ("allowed_hosts=['*.internal', 'x']", "allowed_hosts of *: '[*].internal' is no host: *"),
        ("allowed_hosts=['10.0.0.0/33']", "allowed_hosts of *: '10.0.0.0/33' is no host: *"),
        ("allowed_hosts=['10.0.0.256']", "allowed_hosts of *: '10.0.0.256' is no host: *"),
        ("allowed_hosts=''", "allowed_hosts of *: '' is no host: *"),
    ],
)
def test_a_marker_that_is_wrong_fails_its_test_only(suite: Suite, marker: str, told: str) -> None:
    suite.write(
        f"@pytest.mark.recorded({marker})\ndef test_it(recorded_session):\n    pass\ndef test_other():\n    pass\n"
    )
    for mode in (None, "once"):
        result = suite.tells([f"recorder: *{told}"], mode=mode, errors=1, passed=1)
        assert "Traceback" not in result.stdout.str() + result.stderr.str()
        assert "During handling" not in result.stdout.str()


def test_values_that_a_marker_may_have_in_short(suite: Suite) -> None:
    suite.write(
        "import requests\n"
        "@pytest.mark.recorded(allowed_hosts='localhost', match={'ignore': ['/messages/*/content']})\n"
        "def test_it(recorded_session):\n    ask(recorded_session, str(os.getpid()))\n"
        "    ask(requests.Session(), 'b')\n"
    )
    assert suite.run(mode="once").ret == 0
    suite.run(apart=True).assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("recorder_redact = headers:x", "*recorder_redact: redaction rule 'headers:x' is not understood: *"),
        ("recorder_allowed_hosts = localhost, db", "*recorder_allowed_hosts: 'localhost,' is no host: *"),
    ],
)
def test_settings_that_are_wrong_are_told_before_anything_runs(suite: Suite, setting: str, told: str) -> None:
    suite.configure(setting)
    suite.write("def test_it(recorded_session):\n    pass\n")
    result = suite.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([told])


def test_strict_is_what_it_says_in_every_mode(suite: Suite) -> None:
    suite.write(
        "@pytest.mark.recorded(match='strict', allow_repeats=True)\n"
        "def test_it(recorded_session):\n    for _ in 'ab':\n        ask(recorded_session, 'a')\n"
    )
    for mode in ("once", None, "rewrite", "all", "new_episodes", None):
        suite.run(mode=mode).assert_outcomes(passed=1)
    text = next((suite.path / "cassettes").rglob("*.jsonl")).read_text()
    assert '"allow_repeats":true' in text.partition("\n")[0].replace(" ", "")


TEXTS = """
from recorder.faults import status


@pytest.mark.recorded("order")
def test_whole(recorded_session):
    ask(recorded_session, "a")


def got(session):
    return session.post(URL, json={"messages": [{"role": "user", "content": "a"}], "stream": True}).status_code


@pytest.mark.recorded("order", fault="status:500")
def test_text(recorded_session, recorder_fault):
    assert str(recorder_fault).startswith("status-500")
    assert got(recorded_session) == 500


@pytest.mark.recorded("order", fault=["status:429,retry-after=2", status(503), {"IDENTITY": "status:404"}])
def test_texts(recorded_session):
    assert got(recorded_session) in (429, 503, 404)


@pytest.mark.recorded("order", fault={"IDENTITY": "status:418"})
def test_mapping(recorded_session):
    assert got(recorded_session) == 418


@pytest.mark.recorded("order", fault=lambda cassette: ("status:402", "cut:after-bytes=0+rechunk:bytes"))
def test_made(recorded_session, recorder_fault):
    if str(recorder_fault).startswith("status"):
        assert got(recorded_session) == 402
    else:
        with pytest.raises(OSError):
            got(recorded_session)
"""


def test_faults_are_texts_wherever_they_are_given(suite: Suite) -> None:
    suite.record("cassettes/order.jsonl", "a")
    with Store(suite.path / "cassettes/order.jsonl") as store:
        (identity,) = (str(each["id"]) for each in store.exchanges())
    suite.write(TEXTS.replace("IDENTITY", identity))
    suite.tells([f"PASSED test_bot.py::test_texts[[]{identity}=status-404*"], "-rA", passed=8)


def test_a_fault_that_met_no_request_fails_its_test(suite: Suite) -> None:
    suite.record("cassettes/order.jsonl", "a")
    suite.write(
        "@pytest.mark.recorded('order', fault=['status:500', 'cut:after-events=1'])\n"
        "def test_it(recorded_session):\n    pass\n"
    )
    suite.tells(["recorder: the fault met no request: nothing of *order.jsonl was asked for; *"], failed=2)


@pytest.mark.parametrize("mode", [None, "once", "new_episodes"])
def test_an_answer_that_has_no_place_to_cut_is_told(suite: Suite, mode: str | None) -> None:
    path = suite.path / "cassettes/empty.jsonl"
    path.parent.mkdir()
    with wire(lambda _: reply(b"")) as server, Recorder(path) as recorder, requests.Session() as session:
        recorder.mount(session).get(server.url)
    suite.write(
        "from recorder.faults import every_cut\n"
        "@pytest.mark.recorded('empty', fault=every_cut)\ndef test_cut(recorded_session):\n    pass\n"
        "@pytest.mark.recorded('empty', fault=lambda cassette: None)\ndef test_none(recorded_session):\n    pass\n"
    )
    told = "recorder: test_bot.py::test_cut: the answer in empty.jsonl has no place for a fault, it is empty: *"
    suite.tells([told, "recorder: *test_none: *makes None, which is no list of faults"], mode=mode, errors=2)


FAULTLESS = """
from recorder import Player
pytestmark = pytest.mark.recorded("order", fault="status:500")

def test_silent():
    pass

@pytest.mark.xfail
def test_expected():
    pass

def test_late(request):
    session = request.getfixturevalue("recorded_session")
    body = {"messages": [{"role": "user", "content": "a"}], "stream": True}
    assert session.post(URL, json=body).status_code == 500

def test_own(recorder_fault):
    assert str(recorder_fault).startswith("status-500")
"""


def test_a_fault_that_nothing_plays_fails_its_test(suite: Suite) -> None:
    suite.record("cassettes/order.jsonl", "a")
    suite.write(FAULTLESS)
    told = "recorder: test_bot.py::test_{}: its marker has a fault, and nothing is played in it: use a fixture, *"
    suite.tells([told.format("silent"), told.format("expected")], passed=2, failed=2)


def test_a_directory_may_give_a_fault(suite: Suite) -> None:
    suite.record("cassettes/test_bot/test_it.jsonl", "a")
    conftest = suite.path / "conftest.py"
    conftest.write_text("import pytest\n@pytest.fixture\ndef recorder_config():\n    return {'fault': 'status:500'}\n")
    suite.write("def test_it(recorded_session):\n    assert 'error' in ask(recorded_session, 'a')\n")
    suite.run().assert_outcomes(passed=1)
    conftest.write_text("import pytest\n@pytest.fixture\ndef recorder_config():\n    return {'fault': 'statos:5'}\n")
    suite.tells(["recorder: fault='statos:5' of test_bot.py::test_it: *did you mean status?*"], errors=1)
