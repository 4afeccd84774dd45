"""What is given to the verifiers of bundles and stores, and where their results go: one line where that cannot be."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bundles import small_bundle
from tests.commands import run, told
from tests.sealed import Key
from tests.sealing import founded

VERIFIER = Path(__file__).parents[2] / "docs/verify.py"
has_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")


def shell(script: str, *arguments: object) -> tuple[int, str, str]:
    """Run a line of a shell in which ``"$@"`` is the verifier with its arguments."""
    command = ["bash", "-c", script, "bash", sys.executable, str(VERIFIER), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return small_bundle(tmp_path, Key())[0]


@has_full
def test_a_result_that_cannot_be_written_is_one_line(bundle: Path) -> None:
    code, _, err = shell('"$@" >/dev/full', bundle)
    assert (code, err) == (3, "error: the result cannot be written: No space left on device\n")
    code, _, err = shell('"$@" >&-', bundle)
    assert (code, err) == (3, "error: the result cannot be written: standard output is closed\n")


def test_a_reader_that_goes_away_is_told_nothing(bundle: Path) -> None:
    code, out, err = shell('"$@" | true; exit ${PIPESTATUS[0]}', bundle)
    assert (code in (0, 141), out, err) == (True, "", "")


@pytest.mark.parametrize("data", [b"\xff\xfe\0", b"hello\n", b"", b"x" * (2 << 20)])
def test_a_checkpoint_that_is_none_is_one_line(bundle: Path, tmp_path: Path, data: bytes) -> None:
    note = tmp_path / "kept.note"
    note.write_bytes(data)
    says = f"error: --checkpoint: {note} holds no checkpoint: give the .note file that you kept"
    code, out, err = shell('"$@"', bundle, "--checkpoint", note)
    assert (code, out, err) == (2, "", f"{says}\n")
    assert told(run("verify", "--bundle", str(bundle), "--checkpoint", str(note)), 2) == says


def test_the_fingerprints_that_are_shown_after_a_rotation_can_be_given_as_they_are(
    sqlite_url: str, bundle: Path
) -> None:
    founded(sqlite_url)
    assert run("keys", "rotate", "--store", sqlite_url).exit_code == 0
    shown = run("keys", "show", "--store", sqlite_url).stdout
    lines = [line.removeprefix("fingerprint").strip() for line in shown.splitlines() if line.startswith("fingerprint")]
    assert len(lines) == 2
    assert run("verify", "--store", sqlite_url, "--key", "\n".join(lines)).exit_code == 0
    ours = Key().fingerprint
    for keys in ([f"{lines[0]}\n{ours}"], [f"{ours} {lines[1]}"], [f"{lines[0]},{ours}"]):
        code, out, _ = shell('"$@"', bundle, "--json", "--key", *keys)
        assert (code, json.loads(out)["verdicts"]["authentic"]) == (0, "yes")
        assert run("verify", "--bundle", str(bundle), "--key", *keys).exit_code == 0


def test_a_fingerprint_that_is_none_is_quoted_whole(sqlite_url: str, bundle: Path) -> None:
    wrong = " ".join(["0123 4567 89ab cdef"] * 4) + " 0"
    code, _, err = shell('"$@"', bundle, "--key", wrong)
    assert (code, err.count("\n"), f"'{wrong}' is no fingerprint" in err) == (2, 1, True)
    founded(sqlite_url)
    assert f"'{wrong}' is no fingerprint" in told(run("verify", "--store", sqlite_url, "--key", wrong), 2)


def test_a_fingerprint_is_understood_or_refused_by_both_however_it_is_written(sqlite_url: str, bundle: Path) -> None:
    ours = Key().fingerprint
    groups = [ours[at : at + 4] for at in range(0, 64, 4)]
    for arguments in (("--key", *groups), (f"--key={groups[0]}", *groups[1:])):
        code, out, _ = shell('"$@"', bundle, "--json", *arguments)
        assert (code, json.loads(out)["verdicts"]["authentic"]) == (0, "yes")
        code, out, _ = shell('"$@"', *arguments, bundle, "--json")
        assert (code, json.loads(out)["verdicts"]["authentic"]) == (0, "yes")
    founded(sqlite_url)
    assert run("keys", "rotate", "--store", sqlite_url).exit_code == 0  # which has it sign
    shown = run("keys", "show", "--json", "--store", sqlite_url).stdout
    theirs = "".join(json.loads(shown)["key"]["fingerprint"].split())
    for told_as in ("fingerprint {}", "SHA256:{}", "0x{}", "\u201c{}\u201d"):
        code, out, _ = shell('"$@"', bundle, "--json", "--key", told_as.format(ours))
        assert (code, json.loads(out)["verdicts"]["authentic"]) == (0, "yes")
        assert run("verify", "--store", sqlite_url, "--key", told_as.format(theirs)).exit_code == 0
    for wrong in (groups[0], ours[:-1], f"MD5:{ours}"):
        code, out, err = shell('"$@"', bundle, "--key", wrong)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert "is no fingerprint of a key" in err
        assert "is no fingerprint of a key" in told(run("verify", "--store", sqlite_url, "--key", wrong), 2)
