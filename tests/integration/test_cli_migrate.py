"""``recorder migrate``: suites of vcrpy's plugins brought over, what got stricter, what has to change; jobs for CI."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from click.testing import Result
from jsonschema import Draft202012Validator

from recorder import Player
from recorder.api.cassette_reports import look
from tests.commands import SCHEMAS, run, told
from tests.loopback import Script, serve

ROOT = Path(__file__).parents[2]
URL = "https://api.example.test/v1/chat"
TOKEN = "not-a-key-but-as-long-as-one"


def old(*pairs: tuple[Any, str], headers: dict[str, str] | None = None, url: str = URL, method: str = "POST") -> str:
    """Return a cassette of vcrpy's; payloads are JSON values, or texts as they are."""
    interactions = [
        {
            "request": {
                "method": method,
                "uri": url,
                "body": payload if isinstance(payload, str | None) else json.dumps(payload),
                "headers": {name: [value] for name, value in (headers or {}).items()},
            },
            "response": {"status": {"code": 200, "message": "OK"}, "headers": {}, "body": {"string": answer}},
        }
        for payload, answer in pairs
    ]
    return yaml.safe_dump({"interactions": interactions, "version": 1})


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def lines(result: Result, kind: str) -> list[dict[str, Any]]:
    validator = Draft202012Validator(json.loads((SCHEMAS / "migrate.schema.json").read_text(encoding="utf-8")))
    found = [json.loads(line) for line in result.stdout.splitlines()]
    for one in found:
        validator.validate(one)
    assert found[-1]["kind"] == "summary"
    return [one for one in found if one["kind"] == kind]


def answers(cassette: str, *asked: Any) -> list[str]:
    with Player(cassette) as player:
        session = player.mount(requests.Session())
        return [session.post(URL, json=each).text for each in asked]


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
    assert (result.exit_code, result.stderr) == (0, "")
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
        "error: test_bot.py:15: there is no cassette 'fixtures/gone.yaml': record it by pytest --recorder-mode=once\n"
    )
    found = {one["target"]: one for one in lines(result, "cassette")}
    assert set(found) == {"cassettes/test_bot/test_beside.jsonl", "cassettes/two.jsonl", "cassettes/three.jsonl"}
    assert found["cassettes/two.jsonl"]["rules"] == {"allow_repeats": True}
    assert found["cassettes/three.jsonl"]["stricter"] == []
    assert [(one["line"], one["name"]) for one in lines(result, "missing")] == [(15, "fixtures/gone.yaml")]


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


def stricter(suite: Path, cassette: str, config: str = "{}") -> dict[str, Any]:
    write(suite / "conftest.py", f"import pytest\n\n\n@pytest.fixture\ndef vcr_config():\n    return {config}\n")
    write(suite / "test_bot.py", "def test_it(): ...")
    write(suite / "cassettes/test_bot/test_it.yaml", cassette)
    result = run("migrate", "--json", "--dry-run")
    assert result.exit_code == 0, result.output
    (one,) = lines(result, "cassette")
    return one


def kinds(one: dict[str, Any]) -> list[str]:
    return [each["kind"] for each in one["stricter"]]


def test_what_vcrpy_took_for_the_same(suite: Path) -> None:
    one = stricter(suite, old(({"q": 1}, "one"), ({"q": 2}, "two"), ({"q": 2}, "three")))
    assert kinds(one) == ["told_apart_by_body"]
    assert "3 requests" in one["stricter"][0]["detail"]
    assert "2 bodies" in one["stricter"][0]["detail"]
    # The same value in other words is the same request.
    assert kinds(stricter(suite, old(('{"a":1,"b":2}', "one"), ('{"b": 2, "a": 1.0}', "two")))) == []


def test_bodies_that_were_filtered(suite: Path) -> None:
    one = stricter(suite, old((None, "one"), headers={"Content-Length": "15"}))
    assert kinds(one) == ["body_missing"]
    assert "rules" not in one
    one = stricter(
        suite, old(({"q": 1}, "one"), headers={"Content-Length": "31"}), '{"filter_post_data_parameters": ["user"]}'
    )
    assert kinds(one) == ["body_changed", "placeholder"]
    assert one["rules"] == {"ignore": ["/user"]}
    one = stricter(suite, old(({"q": [{"a/b": "<REDACTED>"}, {"a/b": "x"}]}, "one")))
    assert kinds(one) == ["placeholder"]
    assert one["rules"] == {"ignore": ["/q/*/a~1b"]}
    # A filter that found nothing, and JSON written again, have changed nothing.
    whole = old(('{"q":"é"}', "one"), headers={"Content-Length": "15"})
    assert kinds(stricter(suite, whole, '{"filter_post_data_parameters": ["user"]}')) == []
    one = stricter(suite, old(("", "one"), method="GET"), '{"filter_query_parameters": [("page", "1")]}')
    assert kinds(one) == ["query_filtered"]
    one = stricter(suite, old(({"q": 1}, "one")), "dict(allow_playback_repeats=True)")
    assert (kinds(one), one["rules"]) == (["answered_once"], {"allow_repeats": True})


def test_the_rule_that_is_advised_makes_the_cassette_play(suite: Path) -> None:
    filtered = old(({"q": 1}, "one"), headers={"Content-Length": "31"})
    write(suite / "conftest.py", '@fixture\ndef vcr_config():\n    return {"filter_post_data_parameters": ["user"]}\n')
    write(suite / "test_bot.py", "def test_it(): ...")
    write(suite / "cassettes/test_bot/test_it.yaml", filtered)
    result = run("migrate")
    (command,) = (line.strip() for line in result.stdout.splitlines() if line.strip().startswith("recorder cassette"))
    assert run(*shlex.split(command)[1:]).exit_code == 0
    assert answers("cassettes/test_bot/test_it.jsonl", {"q": 1, "user": "u-17"}) == ["one"]


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


def test_what_has_to_change_and_where(suite: Path) -> None:
    write(
        suite / "conftest.py",
        """
import pytest
@pytest.fixture(scope="module")
def vcr_config():
    return {
        "record_mode": "once", "filter_headers": ["authorization", ("x-tenant", "é")],
        "match_on": ["uri", "mine"], "ignore_localhost": True,
        "decode_compressed_response": True, "what_is_this": 1,
    }
""",
    )
    write(
        suite / "test_bot.py",
        """
import httpx
import pytest
@pytest.mark.block_network(allowed_hosts=["db.internal"])
@pytest.mark.vcr()
async def test_it(vcr, record_mode): ...
""",
    )
    result = run("migrate", "--json")
    found = {(one["file"], one["line"], one["found"]): one["instead"] for one in lines(result, "change")}
    assert found == {
        ("conftest.py", 4, "fixture vcr_config"): (
            "fixture recorder_config, which returns arguments of recorded(…) as a dict"
        ),
        ("conftest.py", 6, "record_mode of vcr_config"): (
            'mode="once", or --recorder-mode=once; in CI only the command line counts'
        ),
        ("conftest.py", 6, "filter_headers of vcr_config"): (
            'nothing for authorization: built in; redact=["header:x-tenant"]'
        ),
        ("conftest.py", 7, "match_on of vcr_config"): (
            "method, URL and body are always compared; match=Match(custom=FUNCTION) for mine"
        ),
        ("conftest.py", 7, "ignore_localhost of vcr_config"): (
            'allowed_hosts=["localhost"]: what goes past the recording may reach this machine'
        ),
        ("conftest.py", 8, "decode_compressed_response of vcr_config"): (
            "nothing: bodies are kept as they came, and decoded by the client"
        ),
        ("conftest.py", 8, "what_is_this of vcr_config"): (
            "nothing that recorder knows stands for what_is_this: see docs/howto-ci.md"
        ),
        ("test_bot.py", 4, "@pytest.mark.block_network"): (
            "nothing: recorded tests have no network; recorder_block_network = all is for every test"
        ),
        ("test_bot.py", 4, "allowed_hosts of @pytest.mark.block_network"): 'allowed_hosts=["db.internal"]',
        ("test_bot.py", 5, "@pytest.mark.vcr"): (
            "@pytest.mark.recorded, and the test's argument recorded_async_client, given to the code under test"
        ),
        ("test_bot.py", 6, "argument vcr"): "recording (path, mode, misses, unplayed), or recorded_async_client",
        ("test_bot.py", 6, "argument record_mode"): (
            "recording.mode; it is set by --recorder-mode, recorder_mode or @pytest.mark.recorded(mode=…)"
        ),
    }


def test_every_option_of_vcrpy_has_an_answer() -> None:
    vcr = pytest.importorskip("vcr", reason="vcrpy is not installed: pip install '.[bench]'")
    import inspect

    from recorder.api.migration.advice import _OPTIONS

    told = set(inspect.signature(vcr.VCR.__init__).parameters) - {"self"}
    assert told - set(_OPTIONS) == set()


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


# The jobs for CI


def commands() -> dict[str, list[str]]:
    """Return the commands of each job, in their order."""
    github = yaml.safe_load((ROOT / "docs/ci/github-actions.yml").read_text(encoding="utf-8"))
    gitlab = yaml.safe_load((ROOT / "docs/ci/gitlab-ci.yml").read_text(encoding="utf-8"))
    return {
        "github": [step["run"] for step in github["jobs"]["replay"]["steps"] if "run" in step],
        "gitlab": [*gitlab["replay"]["before_script"], *gitlab["replay"]["script"]],
    }


def test_the_jobs_are_well_formed_and_shown() -> None:
    page = (ROOT / "docs/howto-migrate.md").read_text(encoding="utf-8")
    for name, found in commands().items():
        assert len(found) == 3, name
        assert found[0].startswith("python -m pip install"), name
        assert all(command in page for command in found[1:]), name
    github = yaml.safe_load((ROOT / "docs/ci/github-actions.yml").read_text(encoding="utf-8"))
    assert github["jobs"]["replay"]["runs-on"] == "ubuntu-latest"
    assert {"push", "pull_request"} == set(github[True])  # YAML 1.1 reads "on" as a truth value


@pytest.mark.parametrize("job", ["github", "gitlab"])
def test_the_commands_of_a_job_run(job: str, suite: Path) -> None:
    """All but the one that installs; ``sudo`` is left out where this user may unshare by itself."""
    if job == "github" and subprocess.run(["unshare", "-rn", "true"], check=False).returncode:
        pytest.skip("this machine lets nobody unshare its network")
    test = "def test_it(recorded_session):\n    assert recorded_session.post({!r}, json={!r}).ok\n"
    with serve(Script(chunks=2)) as server:
        write(suite / "test_bot.py", test.format(server.url, {"messages": []}))
        once = [sys.executable, "-m", "pytest", "-q", "--recorder-mode=once"]
        environment = {name: value for name, value in os.environ.items() if name != "CI"}
        assert subprocess.run(once, env=environment, capture_output=True, check=False).returncode == 0
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for command in commands()[job][1:]:
        alone = command.replace("sudo -E unshare --net", "unshare -rn")
        done = subprocess.run(["bash", "-ec", alone], env={**os.environ, "PATH": path, "CI": "true"}, check=False)
        assert done.returncode == 0, command
    # And what they are for: a request that was not recorded.
    write(suite / "test_bot.py", test.format(server.url, {"messages": ["never"]}))
    alone = commands()[job][-1].replace("sudo -E unshare --net", "unshare -rn")
    done = subprocess.run(
        ["bash", "-ec", alone],
        env={**os.environ, "PATH": path, "CI": "true"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "a request was never recorded" in done.stdout
