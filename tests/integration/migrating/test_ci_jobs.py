"""The jobs for CI that the docs show: well formed, and their commands run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.integration.migrating.old_suites import write
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
        assert all(command in page for command in found[1:]), name
    github = yaml.safe_load((ROOT / "docs/ci/github-actions.yml").read_text(encoding="utf-8"))
    assert github["jobs"]["replay"]["runs-on"] == "ubuntu-latest"
    assert {"push", "pull_request"} == set(github[True])  # YAML 1.1 reads "on" as a truth value


def may_unshare() -> bool:
    """Tell whether this user can run a process without a network."""
    unshare = shutil.which("unshare")
    return unshare is not None and subprocess.run([unshare, "-rn", "true"], check=False).returncode == 0


@pytest.mark.parametrize("job", ["github", "gitlab"])
def test_the_commands_of_a_job_run(job: str, suite: Path) -> None:
    """All but the one that installs; ``sudo`` is left out where this user may unshare by itself."""
    test = "def test_it(recorded_session):\n    assert recorded_session.post({!r}, json={!r}).ok\n"
    with serve(Script(chunks=2)) as server:
        write(suite / "test_bot.py", test.format(server.url, {"messages": []}))
        once = [sys.executable, "-m", "pytest", "-q", "--recorder-mode=once"]
        environment = {name: value for name, value in os.environ.items() if name != "CI"}
        assert subprocess.run(once, env=environment, capture_output=True, check=False).returncode == 0
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    alone = job == "gitlab" or may_unshare()  # the job of GitLab unshares nothing

    def done(command: str) -> subprocess.CompletedProcess[str]:
        here = command.replace("sudo -E unshare --net", "unshare -rn" if alone else "")
        environment = {**os.environ, "PATH": path, "CI": "true"}
        return subprocess.run(["bash", "-ec", here], env=environment, capture_output=True, text=True, check=False)

    for command in commands()[job][1:]:
        ran = done(command)
        assert ran.returncode == 0, (command, ran.stdout, ran.stderr)
    # And what they are for: a request that was not recorded.
    write(suite / "test_bot.py", test.format(server.url, {"messages": ["never"]}))
    missed = done(commands()[job][-1])
    assert missed.returncode == 1
    assert "a request was never recorded" in missed.stdout
    if not alone:
        pytest.skip("this machine lets nobody unshare its network: the commands ran, but with a network")
