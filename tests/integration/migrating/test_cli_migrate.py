"""``recorder migrate``: suites of vcrpy's plugins brought over."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import yaml

from recorder.api.cassette_reports import look
from tests.commands import run, told
from tests.integration.migrating.old_suites import URL, answers, lines, old, write

TOKEN = "not-a-key-but-as-long-as-one"


def files(suite: Path) -> dict[str, bytes]:
    return {path.relative_to(suite).as_posix(): path.read_bytes() for path in suite.rglob("*") if path.is_file()}


TESTS = """
import pytest

pytestmark = pytest.mark.vcr


def test_plain(): ...


class TestDesk:
    class TestDeep:
        @pytest.mark.vcr("extra.yaml")
        def test_inner(self): ...

    @pytest.mark.parametrize("pair", ["EUR/USD", "GBPUSD"])
    def test_buys(self, pair): ...


@pytest.mark.default_cassette("shared/order.yaml")
async def test_default(): ...
"""


def test_cassettes_get_the_names_that_the_plugin_looks_for(suite: Path) -> None:
    write(suite / "tests/test_bot.py", TESTS)
    there = suite / "tests/cassettes/test_bot"
    write(there / "test_plain.yaml", old(({"q": 1}, "one")))
    write(there / "TestDeep.test_inner.yaml", old(({"q": 2}, "two")))
    write(there / "extra.yaml", old(({"q": 3}, "three")))
    write(there / "TestDesk.test_buys[EUR-USD].yaml", old(({"q": 4}, "four")))
    write(there / "TestDesk.test_buys[GBPUSD].json", json.dumps(yaml.safe_load(old(({"q": 5}, "five")))))
    write(there / "shared/order.yaml", old(({"q": 6}, "six")))
    write(suite / "tests/cassettes/test_nobody.yaml", old(({"q": 7}, "seven")))
    before = files(suite)
    result = run("migrate", "tests", "--json")
    assert result.exit_code == 1  # one is nobody's
    assert result.stderr.startswith("error: 1 old cassette left where it is: ")
    assert {one["target"]: one["tests"] for one in lines(result, "cassette")} == {
        "tests/cassettes/test_bot/test_plain.jsonl": ["test_bot.py::test_plain"],
        "tests/cassettes/test_bot/TestDesk.TestDeep.test_inner.jsonl": ["test_bot.py::TestDesk.TestDeep.test_inner"],
        # Which of '-' had been '/' only pytest knows: the name is the one that our plugin looks for.
        "tests/cassettes/test_bot/TestDesk.test_buys[EUR_USD]-e12543e8.jsonl": [
            "test_bot.py::TestDesk.test_buys[EUR/USD]"
        ],
        "tests/cassettes/test_bot/TestDesk.test_buys[GBPUSD].jsonl": ["test_bot.py::TestDesk.test_buys[GBPUSD]"],
        "tests/cassettes/test_bot/shared/order.jsonl": ["test_bot.py::test_default"],
    }
    assert [one["file"] for one in lines(result, "orphan")] == ["tests/cassettes/test_nobody.yaml"]
    inner = "tests/cassettes/test_bot/TestDesk.TestDeep.test_inner.jsonl"
    assert answers(inner, {"q": 2}, {"q": 3}) == ["two", "three"]
    after = files(suite)
    assert {name: after[name] for name in before} == before
    made = {name for name in after.keys() - before.keys() if name.endswith(".jsonl")}
    assert len(made) == 5
    assert all(not look(suite / name).problems for name in made)


def test_the_plugin_plays_what_was_brought_over(suite: Path) -> None:
    calls = "".join(f"    assert session.post({URL!r}, json={{'n': {n}}}).text == '{n}'\n" for n in (2, 1))
    write(
        suite / "test_it.py",
        "import pytest\n@pytest.mark.vcr\n@pytest.mark.parametrize('p', ['a/b'])\ndef test_it(p): ...",
    )
    write(suite / "cassettes/test_it/test_it[a-b].yaml", old(({"n": 1}, "1"), ({"n": 2}, "2")))
    assert run("migrate").exit_code == 0
    head = "import pytest\n@pytest.mark.parametrize('p', ['a/b'])\n"
    write(suite / "test_it.py", f"{head}def test_it(p, recorded_session):\n    session = recorded_session\n{calls}")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "recorder_orphans=fail"]
    done = subprocess.run([*command, "-o", "recorder_unplayed=fail"], capture_output=True, text=True, check=False)
    assert "1 passed" in done.stdout, done.stdout
    assert done.returncode == 0


def test_cassettes_of_pytest_vcr_and_of_explicit_calls(suite: Path) -> None:
    write(
        suite / "test_bot.py",
        """
import vcr
my = vcr.VCR(cassette_library_dir="fixtures/tapes", filter_headers=["x-key"])

def test_beside(): ...

def test_two():
    with my.use_cassette("two.yaml", allow_playback_repeats=True):
        ...

@vcr.use_cassette(path="fixtures/three.yaml")
def test_three(): ...

@vcr.use_cassette("fixtures/gone.yaml")
def test_gone(): ...
""",
    )
    write(suite / "cassettes/test_beside.yaml", old(({"q": 1}, "one")))
    write(suite / "fixtures/tapes/two.yaml", old(({"q": 2}, "two")))
    write(suite / "fixtures/three.yaml", old(({"q": 3}, "three")))
    result = run("migrate", "--json")
    assert result.exit_code == 1
    assert result.stderr == (
        "error: test_bot.py:14: there is no cassette 'fixtures/gone.yaml': record it by pytest --recorder-mode=once\n"
    )
    found = {one["target"]: one for one in lines(result, "cassette")}
    assert set(found) == {"cassettes/test_bot/test_beside.jsonl", "cassettes/two.jsonl", "cassettes/three.jsonl"}
    assert found["cassettes/two.jsonl"]["rules"] == {"allow_repeats": True}
    assert found["cassettes/three.jsonl"]["stricter"] == []
    assert [(one["line"], one["name"]) for one in lines(result, "missing")] == [(14, "fixtures/gone.yaml")]


def test_running_again_adds_what_is_new_and_leaves_what_is_other(suite: Path) -> None:
    write(suite / "test_bot.py", "def test_it(): ...")
    source, target = suite / "cassettes/test_bot/test_it.yaml", suite / "cassettes/test_bot/test_it.jsonl"
    write(source, old(({"q": 1}, "one"), ({"q": 1}, "again")))

    def status(*options: str, code: int = 0) -> str:
        result = run("migrate", "--json", *options)
        assert result.exit_code == code, result.output
        (one,) = lines(result, "cassette")
        return str(one["status"])

    assert status("--dry-run") == "written"
    assert not target.exists()
    assert status() == "written"
    first = target.read_bytes()
    assert status() == "present"
    assert target.read_bytes() == first
    write(source, old(({"q": 1}, "one"), ({"q": 1}, "again"), ({"q": 2}, "two")))
    assert status("--dry-run") == "added"
    assert target.read_bytes() == first
    assert status() == "added"
    assert answers(str(target), {"q": 2}, {"q": 1}, {"q": 1}) == ["two", "one", "again"]
    grown = target.read_bytes()
    write(
        source,
        old(
            ({"q": 1}, "another"),
        ),
    )
    assert status(code=1) == "conflict"
    assert target.read_bytes() == grown
    target.write_text("no cassette\n")
    assert status(code=1) == "conflict"
    assert target.read_text() == "no cassette\n"


def test_the_nth_same_request_has_the_nth_answer(suite: Path) -> None:
    """Imported ids are made from what is in them: the order is that of the file all the same."""
    write(suite / "test_bot.py", "def test_it(): ...")
    said = [f"pending {number}" for number in range(9)]
    write(suite / "cassettes/test_bot/test_it.yaml", old(*(({"q": 1}, each) for each in said)))
    assert run("migrate").exit_code == 0
    assert answers("cassettes/test_bot/test_it.jsonl", *[{"q": 1}] * 9) == said


def test_secrets_are_named_and_never_shown(suite: Path) -> None:
    write(suite / "test_bot.py", "def test_it(): ...")
    headers = {"Authorization": f"Bearer {TOKEN}", "X-Api-Key": "REDACTED", "X-Tenant": f"t-{TOKEN}"}
    write(suite / "cassettes/test_bot/test_it.yaml", old(({"q": 1}, "one"), headers=headers))
    result = run("migrate", "--json", "--redact", "header:x-tenant")
    (one,) = lines(result, "cassette")
    assert one["secrets"] == {"request header:authorization": 1, "request header:x-tenant": 1}
    shown = run("migrate", "--redact", "header:x-tenant").stdout
    assert "rotate them" in shown
    assert TOKEN not in result.stdout + shown
    assert TOKEN not in (suite / "cassettes/test_bot/test_it.jsonl").read_text()


def test_bad_input(suite: Path) -> None:
    assert told(run("migrate", "nowhere"), 2).startswith("error: nowhere does not exist: give modules")
    assert told(run("migrate"), 1).startswith("error: there is nothing of vcrpy's: ")
    write(suite / "test_bad.py", "def test_it(:\n")
    assert "test_bad.py was not looked at, it is no Python" in told(run("migrate"), 1)
    write(suite / "test_bad.py", "def test_it(): ...")
    write(suite / "cassettes/test_bad/test_it.yaml", "interactions: [\n")
    result = run("migrate", "--json")
    (one,) = lines(result, "cassette")
    assert (result.exit_code, one["status"]) == (1, "refused")
    assert one["reasons"][0].startswith("cassettes/test_bad/test_it.yaml: ")
    assert not list(suite.rglob("*.jsonl"))
    good = old(({"q": 1}, "one")).replace("version: 1\n", "")
    write(suite / "cassettes/test_bad/test_it.yaml", good + "- request: {method: GET}\n  response: {}\n")
    result = run("migrate", "--json")
    (one,) = lines(result, "cassette")
    assert (result.exit_code, one["status"], one["exchanges"]) == (1, "written", 1)
    assert "entry 2" in one["reasons"][0]


def test_without_pyyaml_one_line_says_what_is_missing(suite: Path) -> None:
    write(suite / "test_bot.py", "def test_it(): ...")
    write(suite / "cassettes/test_bot/test_it.yaml", old(({"q": 1}, "one")))
    code = (
        "import sys; sys.modules['yaml'] = None; sys.argv = ['recorder', 'migrate']\n"
        "from recorder.__main__ import main\nmain()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "conversation-recorder[import]" in done.stderr


def test_a_directory_for_all(suite: Path) -> None:
    write(suite / "tests/test_bot.py", "def test_it(): ...")
    write(suite / "tests/cassettes/test_bot/test_it.yaml", old(({"q": 1}, "one")))
    assert run("migrate", "--cassette-dir", "tapes").exit_code == 0
    assert (suite / "tapes/tests/test_bot/test_it.jsonl").is_file()
