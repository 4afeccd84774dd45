"""``recorder migrate`` drops nothing silently: cassettes that code names in its own ways, and those that are left."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import Result

from tests.commands import run
from tests.integration.migrating.old_suites import URL, lines, old, write


def tape(suite: Path, name: str, number: int = 1) -> None:
    write(suite / name, old(({"q": number}, f"answer {number}")))


def moved(*arguments: str, code: int = 0) -> dict[str, str]:
    """Return the targets, each with the old cassette that it is made of; nothing is left over unless *code* is 1."""
    result = run("migrate", "--json", *arguments)
    assert result.exit_code == code, result.output
    found = {one["target"]: one["sources"] for one in lines(result, "cassette")}
    assert code or not [*lines(result, "orphan"), *lines(result, "untold"), *lines(result, "missing")]
    return {target: " ".join(sources) for target, sources in found.items()}


def left(result: Result, kind: str) -> list[str]:
    return [":".join(str(one[name]) for name in ("file", "line") if name in one) for one in lines(result, kind)]


FOLDERS = {
    "of the module": "os.path.join(os.path.dirname(__file__), 'tapes')",
    "as a path": "Path(__file__).resolve().parent / 'tapes'",
    "by constants": "f'{HOME}/{TAPES}'",
    "only pytest knows": "os.path.join(os.path.dirname(request.module.__file__), {'tests.test_bot': 0} and TAPES[:5])",
}


@pytest.mark.parametrize("where", FOLDERS.values(), ids=FOLDERS)
@pytest.mark.parametrize("place", ["conftest", "module"])
def test_a_fixture_that_names_the_folder(suite: Path, where: str, place: str) -> None:
    head = "import os\nimport pytest\nfrom pathlib import Path\nHOME = 'tests'\nTAPES = 'tapes'\n"
    fixture = f"{head}@pytest.fixture(scope='module')\ndef vcr_cassette_dir(request):\n    return {where}\n"
    test = "import pytest\n@pytest.mark.vcr\n@pytest.mark.parametrize('p', ['a/b'])\ndef test_it(p): ...\n"
    write(suite / "tests/conftest.py", fixture if place == "conftest" else "")
    write(suite / "tests/test_bot.py", test if place == "conftest" else fixture + test)
    tape(suite, "tests/tapes/test_it[a-b].yaml")
    target = "tests/cassettes/test_bot/test_it[a_b]-22b0a7d6.jsonl"
    (found,) = moved("tests").items()
    assert found[0].startswith(target.partition("]")[0])
    assert found[1] == "tests/tapes/test_it[a-b].yaml"


def test_a_fixture_that_names_the_cassette(suite: Path) -> None:
    fixture = "import pytest\n@pytest.fixture\ndef {}(request):\n    return 'of-' + request.node.name\n"
    for folder, name in (("a", "default_cassette_name"), ("b", "vcr_cassette_name")):
        write(suite / f"{folder}/conftest.py", fixture.format(name))
        write(suite / f"{folder}/test_{folder}.py", "def test_it(): ...\n")
    tape(suite, "a/cassettes/test_a/of-test_it.yaml")
    tape(suite, "b/cassettes/of-test_it.yaml")
    assert moved() == {
        "a/cassettes/test_a/test_it.jsonl": "a/cassettes/test_a/of-test_it.yaml",
        "b/cassettes/test_b/test_it.jsonl": "b/cassettes/of-test_it.yaml",
    }


def test_a_fixture_that_nobody_can_tell_leaves_its_cassettes_by_name(suite: Path) -> None:
    write(
        suite / "test_bot.py",
        "import pytest\n@pytest.fixture\ndef vcr_cassette_dir(request):\n    return request.any\ndef test_it(): ...\n",
    )
    tape(suite, "tapes/deep/test_it.yaml")
    tape(suite, ".venv/lib/test_hidden.yaml")
    write(suite / "settings.yaml", "interactions: many\nother: 1\n")
    result = run("migrate", "--json")
    assert result.exit_code == 1
    assert left(result, "untold") == ["test_bot.py:3"]
    assert left(result, "orphan") == ["tapes/deep/test_it.yaml"]
    assert "test_bot.py:3: which cassettes fixture vcr_cassette_dir names cannot be told: " in result.stderr
    assert "1 old cassette left where it is: bring them over by `recorder migrate tapes`, and name" in result.stderr
    shown = run("migrate")
    assert shown.exit_code == 1
    assert "tapes/deep/test_it.yaml" in shown.stdout
    # What it says to do is done, and nothing is left over then.
    assert moved("tapes") == {"tapes/deep/test_it.jsonl": "tapes/deep/test_it.yaml"}
    result = run("migrate", "--json")
    assert left(result, "orphan") == []
    assert [one["status"] for one in lines(result, "cassette")] == ["present"]


NAMED = """
import os
import vcr

TAPES = "fixtures/tapes"
my = vcr.VCR(cassette_library_dir=os.path.join(os.path.dirname(__file__), "fixtures"))


@vcr.use_cassette()
def test_by_function(): ...


@my.use_cassette
def test_bare(): ...


def test_constant():
    with vcr.use_cassette(f"{TAPES}/one.yaml"): ...


def test_joined():
    name = "two" + ".yaml"
    with my.use_cassette(os.path.join(TAPES, name)): ...


def test_formatted(pair):
    with my.use_cassette("tapes/three-%s.yaml" % pair): ...


def test_in_a_loop():
    for name in ("x", "y"):
        with vcr.use_cassette(f"{TAPES}/loop-{name}.yaml"): ...


def test_other_folder():
    with vcr.use_cassette("others/one.yaml"): ...
"""


def test_cassettes_that_code_names(suite: Path) -> None:
    write(suite / "test_bot.py", NAMED)
    for number, name in enumerate(
        (
            "test_by_function",
            "fixtures/test_bare",
            "fixtures/tapes/one.yaml",
            "fixtures/tapes/two.yaml",
            "others/one.yaml",
        )
    ):
        tape(suite, name, number)
    for name in ("three-EURUSD", "three-GBPUSD", "loop-x", "loop-y"):
        tape(suite, f"fixtures/tapes/{name}.yaml")
    assert moved() == {
        "cassettes/test_bot/test_by_function.jsonl": "test_by_function",
        "cassettes/test_bot/test_bare.jsonl": "fixtures/test_bare",
        "cassettes/one.jsonl": "fixtures/tapes/one.yaml",
        "cassettes/two.jsonl": "fixtures/tapes/two.yaml",
        "cassettes/three-EURUSD.jsonl": "fixtures/tapes/three-EURUSD.yaml",
        "cassettes/three-GBPUSD.jsonl": "fixtures/tapes/three-GBPUSD.yaml",
        "cassettes/loop-x.jsonl": "fixtures/tapes/loop-x.yaml",
        "cassettes/loop-y.jsonl": "fixtures/tapes/loop-y.yaml",
        "cassettes/others/one.jsonl": "others/one.yaml",
    }
    notes = {one["target"]: one.get("note") for one in lines(run("migrate", "--json"), "cassette")}
    assert notes["cassettes/loop-x.jsonl"] == 'name it: @pytest.mark.recorded("loop-x")'
    assert notes["cassettes/others/one.jsonl"] == 'name it: @pytest.mark.recorded("others/one")'
    assert notes["cassettes/two.jsonl"] is None


def test_a_name_that_only_running_the_code_would_tell(suite: Path) -> None:
    write(suite / "test_bot.py", "import vcr\ndef test_it(name):\n    with vcr.use_cassette(name): ...\n")
    tape(suite, "somewhere/it.yaml")
    result = run("migrate", "--json")
    assert result.exit_code == 1
    assert left(result, "untold") == ["test_bot.py:3"]
    assert left(result, "orphan") == ["somewhere/it.yaml"]
    # vcrpy is not there, so pytest cannot help.
    if (
        "No module named 'vcr'"
        in subprocess.run([sys.executable, "-c", "import vcr"], capture_output=True, text=True).stderr
    ):
        assert "pytest --collect-only failed: test_bot.py" in result.stderr


def test_a_fixture_that_opens_one_for_each_test(suite: Path) -> None:
    write(
        suite / "conftest.py",
        "import pytest\n@pytest.fixture(autouse=True)\ndef recorded(request):\n    import vcr\n"
        "    with vcr.use_cassette(f'tapes/{request.node.name}.yaml'):\n        yield\n",
    )
    write(
        suite / "test_bot.py",
        "import pytest\nclass TestDesk:\n    @pytest.mark.parametrize('p', ['a'])\n    def test_it(self, p): ...\n",
    )
    write(suite / "pytest.ini", "[pytest]\naddopts = -q -q -k nothing\n")  # which collect-only has to bear
    tape(suite, "tapes/test_it[a].yaml")
    tape(suite, "tapes/login.yaml")
    write(suite / "test_more.py", "def test_more(): ...\n")
    assert moved() == {
        "cassettes/login.jsonl": "tapes/login.yaml",
        "cassettes/test_bot/TestDesk.test_it[a].jsonl": "tapes/test_it[a].yaml",
    }


def test_tests_that_are_inherited(suite: Path) -> None:
    call = f"assert self.session.post({URL!r}, json={{'q': self.number}}).text == f'answer {{self.number}}'"
    base = "import pytest\nclass Desk:\n    @pytest.mark.{}\n    def test_buys(self): {}\n"
    write(suite / "desks.py", base.format("vcr('more.yaml')", "..."))
    write(suite / "pytest.ini", "[pytest]\nmarkers = vcr\n")
    bots = "from desks import Desk\nclass TestOne(Desk):\n    number = 1\nclass TestTwo(Desk):\n    number = 2\n"
    write(suite / "test_bots.py", bots)
    tape(suite, "cassettes/test_bots/TestOne.test_buys.yaml", 1)
    tape(suite, "cassettes/test_bots/TestTwo.test_buys.yaml", 2)
    tape(suite, "cassettes/test_bots/more.yaml", 3)
    more = "cassettes/test_bots/more.yaml"
    result = run("migrate", "--json")
    assert result.exit_code == 1  # the base itself is no test, and lacks its own
    assert {one["target"]: one["sources"] for one in lines(result, "cassette")} == {
        f"cassettes/test_bots/{name}.test_buys.jsonl": [f"cassettes/test_bots/{name}.test_buys.yaml", more]
        for name in ("TestOne", "TestTwo")
    }
    session = (
        "    @pytest.fixture(autouse=True)\n    def given(self, recorded_session): self.session = recorded_session\n"
    )
    write(suite / "desks.py", base.format("recorded", call) + session)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "recorder_orphans=fail"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "2 passed" in done.stdout, done.stdout
    assert done.returncode == 0


UNITTEST = """
import os
from vcr.unittest import VCRTestCase


class Desk(VCRTestCase):
    def _get_vcr_kwargs(self, **kwargs):
        return {"filter_headers": ["x-tenant"]}

    def test_buys(self): ...


class Elsewhere(VCRTestCase):
    def _get_cassette_library_dir(self):
        return os.path.join(os.path.dirname(__file__), "tapes")

    def test_holds(self): ...
"""


def test_classes_of_unittest(suite: Path) -> None:
    write(suite / "tests/test_bot.py", UNITTEST)
    tape(suite, "tests/cassettes/Desk.test_buys.yaml")
    tape(suite, "tests/tapes/Elsewhere.test_holds.yaml")
    assert moved("tests") == {
        "tests/cassettes/test_bot/Desk.test_buys.jsonl": "tests/cassettes/Desk.test_buys.yaml",
        "tests/cassettes/test_bot/Elsewhere.test_holds.jsonl": "tests/tapes/Elsewhere.test_holds.yaml",
    }
    told = {(one["line"], one["found"]): one["instead"] for one in lines(run("migrate", "--json"), "change")}
    assert told[6, "class Desk"].startswith("unittest.TestCase, with a method under @pytest.fixture(autouse=True)")
    assert told[8, "filter_headers of _get_vcr_kwargs"] == 'redact=["header:x-tenant"]'


def test_what_belongs_to_no_test_is_left_and_told(suite: Path) -> None:
    write(suite / "test_bot.py", "def test_it(): ...\n")
    tape(suite, "cassettes/test_bot/test_gone.yaml")
    write(suite / "data/deep/old.json", json.dumps({"version": 1, "interactions": [{"request": {"uri": URL}}]}))
    write(suite / "cassettes/test_bot/prices.json", "{}")  # is none
    result = run("migrate", "--json")
    assert result.exit_code == 1
    assert left(result, "orphan") == ["cassettes/test_bot/test_gone.yaml", "data/deep/old.json"]
    assert "2 old cassettes left where they are: " in result.stderr
