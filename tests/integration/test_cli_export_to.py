"""export of a known exchange: to a file, a pipe, a device, standard output by any name; both engines."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands import answered, fill, identity_of, json_lines, run, told
from tests.conftest import ENGINES, Sharing

FIRST = answered(1, ("user", "buy?"), text="Hold — 1.0850 €")
SECOND = answered(2, ("user", "buy?"), ("assistant", "Hold — 1.0850 €"), ("user", "stop?"), text="At 1.0815")


@pytest.fixture(scope="module", params=ENGINES)
def url(request: pytest.FixtureRequest, shared_store: Sharing) -> str:
    return shared_store(request.param, lambda url: fill(url, FIRST, SECOND))


@pytest.mark.parametrize("name", ["markdown", "json", "jsonl"])
def test_export_to_a_file_is_what_is_printed(url: str, tmp_path: Path, name: str) -> None:
    file = tmp_path / "out"
    printed = run("export", identity_of(SECOND), "--format", name, "--store", url)
    written = run("export", identity_of(SECOND), "--format", name, "-o", str(file), "--store", url)
    assert (printed.exit_code, written.exit_code, written.stdout) == (0, 0, "")
    assert file.read_text(encoding="utf-8") == printed.stdout
    assert "At 1.0815" in printed.stdout
    assert not list(tmp_path.glob("*.partial"))


def test_export_as_jsonl_is_what_show_prints(url: str) -> None:
    (shown,) = json_lines(run("show", identity_of(SECOND), "--json", "--store", url), "show")
    exported = json.loads(run("export", identity_of(SECOND), "--format", "jsonl", "--store", url).stdout)
    assert exported.pop("recording")["response_body"].startswith("data: ")
    assert exported == shown


def test_export_replaces_a_file_only_where_told_to(url: str, tmp_path: Path) -> None:
    file = tmp_path / "out"
    file.write_text("mine")
    refused = run("export", identity_of(FIRST), "-o", str(file), "--store", url)
    assert (refused.exit_code, file.read_text()) == (2, "mine")
    assert "--force" in refused.stderr
    assert run("export", identity_of(FIRST), "-o", str(file), "--force", "--store", url).exit_code == 0
    assert "1.0850" in file.read_text(encoding="utf-8")


def test_export_to_a_file_without_a_name(url: str) -> None:
    line = told(run("export", identity_of(FIRST), "-o", "", "--store", url), 2)
    assert "the name is empty: give the name of a file" in line


def test_export_into_a_named_pipe_goes_through_it(url: str, tmp_path: Path) -> None:
    """As root, a device would otherwise be replaced by a file: /dev/null for the whole machine."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    written = run("export", identity_of(FIRST), "-o", str(pipe), "--force", "--store", url)
    got = os.read(reading, 1 << 16)
    os.close(reading)
    assert written.exit_code == 0
    assert written.stderr.splitlines()[-1] == f"{pipe}: written"
    assert got == run("export", identity_of(FIRST), "--store", url).stdout_bytes
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert list(tmp_path.glob("*.partial")) + list(tmp_path.glob(".*.partial")) == []


def test_export_to_a_pipe_or_a_device_needs_no_force(url: str, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    assert run("export", identity_of(FIRST), "-o", str(pipe), "--store", url).exit_code == 0
    got = os.read(reading, 1 << 16)
    os.close(reading)
    assert got == run("export", identity_of(FIRST), "--store", url).stdout_bytes
    assert run("export", identity_of(FIRST), "-o", os.devnull, "--store", url).exit_code == 0
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)


@pytest.mark.parametrize("name", ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
@pytest.mark.parametrize("to_file", [True, False])
def test_standard_output_by_any_name(url: str, tmp_path: Path, name: str, to_file: bool) -> None:
    """A file behind it is the shell's: what stands in it stays, and what comes after goes on behind."""
    command = [sys.executable, "-m", "recorder", "export", identity_of(FIRST), "-o", name, "--force", "--store", url]
    expected = run("export", identity_of(FIRST), "--store", url).stdout_bytes
    if not to_file:
        assert subprocess.run(command[:-3] + command[-2:], stdout=subprocess.PIPE, check=True).stdout == expected
        return
    with (file := tmp_path / "out").open("wb", buffering=0) as out:
        out.write(b"before\n")
        subprocess.run(command, stdout=out, check=True)
        out.write(b"after\n")
    assert file.read_bytes() == b"before\n" + expected + b"after\n"


def test_export_replaces_what_a_link_leads_to_and_no_other_file(url: str, tmp_path: Path) -> None:
    link, target, other = tmp_path / "link", tmp_path / "target", tmp_path / "link.partial"
    target.write_text("old")
    other.write_text("mine")
    link.symlink_to(target)
    assert run("export", identity_of(FIRST), "-o", str(link), "--store", url).exit_code == 2
    assert run("export", identity_of(FIRST), "-o", str(link), "--force", "--store", url).exit_code == 0
    assert link.is_symlink()
    assert "1.0850" in target.read_text(encoding="utf-8")
    assert other.read_text() == "mine"
