"""The jobs for CI that the docs show: well formed, and their commands run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.commands import run
from tests.integration.migrating.old_suites import URL, old, write
from tests.loopback import Script, serve

ROOT = Path(__file__).parents[3]


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
        shown = " ".join(page.split())
        assert all(" ".join(command.split()) in shown for command in found[1:]), name
    github = yaml.safe_load((ROOT / "docs/ci/github-actions.yml").read_text(encoding="utf-8"))
    assert github["jobs"]["replay"]["runs-on"] == "ubuntu-latest"
    assert {"push", "pull_request"} == set(github[True])  # YAML 1.1 reads "on" as a truth value


def done(command: str) -> subprocess.CompletedProcess[str]:
    """Return what a command of a job did: as root with a network taken away, or with one of a user's own."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "CI": "true"}
    if os.getuid() == 0:
        command = command.replace("sudo -E ", "", 1)
        environment |= {"SUDO_UID": "0", "SUDO_GID": "0"}
    elif shutil.which("unshare") is not None:  # who becomes root of a user namespace may not choose groups in it
        command = command.replace("sudo -E unshare", "unshare --map-root-user", 1).replace(
            "--init-groups", "--keep-groups"
        )
        environment |= {"SUDO_UID": "0", "SUDO_GID": "0"}
    return subprocess.run(["bash", "-ec", command], env=environment, capture_output=True, text=True, check=False)


def needs(job: str) -> None:
    """Skip where nobody lets this user take its network away, or something of Linux that the job uses is missing."""
    parts = "sudo -E unshare --net sh -c 'ip link set lo up && setpriv --reuid 0 --regid 0 --init-groups true'"
    if job == "github" and done(parts).returncode != 0:
        pytest.skip("this machine lets nobody unshare its network, or has no ip or setpriv")


SUITE = """
import http.server
import pytest
import threading
import urllib.request


def test_it(recorded_session):
    assert recorded_session.post({url!r}, json={body!r}).ok


def test_of_a_server_of_its_own():
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        address = "http://localhost:%s/" % server.server_port
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({{}}))
        assert opener.open(address, timeout=5).status == 200
        server.shutdown()


def test_of_a_network():
    import socket
    with pytest.raises(Exception, match="may not connect|unreachable"):
        socket.create_connection(("192.0.2.1", 80), timeout=5)
"""


@pytest.mark.parametrize("job", ["github", "gitlab"])
def test_the_commands_of_a_job_run(job: str, suite: Path) -> None:
    """All but the one that installs; a user that is no root takes one in the place of ``sudo``."""
    needs(job)
    with serve(Script(chunks=2)) as server:
        url = server.url
        write(suite / "test_bot.py", SUITE.format(url=url, body={"messages": []}))
        once = [sys.executable, "-m", "pytest", "-q", "--recorder-mode=once", "-k", "test_it"]
        environment = {name: value for name, value in os.environ.items() if name != "CI"}
        assert subprocess.run(once, env=environment, capture_output=True, check=False).returncode == 0
    *before, tests = commands()[job][1:]
    for command in before:
        ran = done(command)
        assert ran.returncode == 0, (command, ran.stdout, ran.stderr)
    ran = done(f"{tests} -k 'not of_a_network'")
    assert ran.returncode == 0, (ran.stdout, ran.stderr)
    assert "2 passed" in ran.stdout
    if job == "github":  # at GitLab, what the guard has refused fails the test
        assert done(tests).returncode == 0
    else:
        assert "there is no network in it" in done(tests).stdout
    # And what they are for: a request that was not recorded.
    write(suite / "test_bot.py", SUITE.format(url=url, body={"messages": ["never"]}))
    missed = done(tests)
    assert missed.returncode == 1
    assert "a request was never recorded" in missed.stdout


HALF = """
import pytest


def test_moved(recorded_session):
    assert recorded_session.post({url!r}, json={{"q": 1}}).ok


@pytest.mark.vcr
@pytest.mark.parametrize("pair", ["EUR/USD"])
def test_waits(pair): ...


@pytest.mark.default_cassette("order.yaml")
def test_has_another(): ...
"""


@pytest.mark.parametrize(("job", "old_ones"), [("github", "stay"), ("gitlab", "are gone")])
def test_a_suite_that_has_moved_by_half_passes(job: str, old_ones: str, suite: Path) -> None:
    needs(job)
    write(suite / "pytest.ini", "[pytest]\nmarkers =\n    vcr\n    default_cassette\n")
    write(suite / "test_bot.py", HALF.format(url=URL))
    there = suite / "cassettes/test_bot"
    for number, name in enumerate(("test_moved", "test_waits[EUR-USD]", "order"), 1):
        write(there / f"{name}.yaml", old(({"q": number}, "answer")))
    write(suite / "test_calls.py", "import vcr\n\ndef test_it():\n    with vcr.use_cassette('tapes/a.yaml'): ...\n")
    write(suite / "tapes/a.yaml", old(({"q": 4}, "answer")))
    assert run("migrate").exit_code == 0
    assert len(list(suite.rglob("*.jsonl"))) == 4
    if old_ones == "are gone":
        for each in suite.rglob("*.yaml"):
            each.unlink()
    write(suite / "test_calls.py", "def test_it():\n    assert 'use_cassette'\n")  # vcrpy itself is not there
    for command in commands()[job][1:]:
        ran = done(command)
        assert ran.returncode == 0, (command, ran.stdout, ran.stderr)
    shutil.copy(there / "test_moved.jsonl", there / "test_gone.jsonl")
    ran = done(commands()[job][-1])
    assert ran.returncode == 1
    assert [line.split(":")[0] for line in ran.stdout.splitlines() if ": no test " in line] == [
        "cassettes/test_bot/test_gone.jsonl"
    ]
