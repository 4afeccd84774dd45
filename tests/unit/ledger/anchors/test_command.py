"""A command gets the note and answers with evidence; whatever else it does is one clear line."""

from __future__ import annotations

import shlex
import sys
import time
from pathlib import Path

import pytest

from recorder.errors import AnchorFailed
from recorder.ledger.anchors.command import CommandAnchor
from tests.unit.ledger.anchors.noted import note


def python(script: str, timeout_s: float = 30.0) -> CommandAnchor:
    return CommandAnchor((sys.executable, "-c", script), timeout_s=timeout_s)


def test_a_command_gets_the_note_and_its_answer_is_the_evidence(tmp_path: Path) -> None:
    got = tmp_path / "got"
    script = (
        f"import sys; open({str(got)!r}, 'wb').write(sys.stdin.buffer.read()); sys.stdout.buffer.write(b'\\0\\xff')"
    )
    assert python(script).leave(note(7)) == b"\0\xff"
    assert got.read_bytes() == note(7)


def test_a_command_that_does_not_read_is_fine() -> None:
    assert python("print('ok')").leave(note(7)) == b"ok\n"
    assert python("import os; os.close(0); print('ok')").leave(note(7)) == b"ok\n"


def test_a_command_that_fails_is_told_with_its_last_words() -> None:
    script = "import sys; print('first', file=sys.stderr); print('the bucket is locked', file=sys.stderr); sys.exit(4)"
    with pytest.raises(AnchorFailed, match=r"ended with exit code 4 \(the bucket is locked\): it has to end with 0"):
        python(script).leave(note(7))


def test_a_command_that_hangs_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    beat = tmp_path / "beat"
    child = f"import time\nwhile True:\n    open({str(beat)!r}, 'a').write('x')\n    time.sleep(0.02)"
    script = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {child!r}]); time.sleep(600)"
    began = time.monotonic()
    with pytest.raises(AnchorFailed, match="did not end within 3 s"):
        python(script, timeout_s=3.0).leave(note(7))
    assert time.monotonic() - began < 60
    time.sleep(0.2)
    written = beat.stat().st_size
    time.sleep(0.3)
    assert beat.stat().st_size == written > 0


def test_a_command_that_says_too_much_is_stopped() -> None:
    with pytest.raises(AnchorFailed, match="wrote more than 262,144 bytes"):
        python("import sys\nwhile True: sys.stdout.buffer.write(bytes(65536))").leave(note(7))


def test_arguments_are_no_part_of_its_name() -> None:
    anchor = CommandAnchor(("/opt/my tools/send", "--token", "s3cret"))
    assert "s3cret" not in anchor.name
    assert anchor.name.startswith(f"command:{shlex.quote('/opt/my tools/send')}#")
    assert anchor.name != CommandAnchor(("/opt/my tools/send", "--token", "other")).name


def test_what_it_had_answered_is_shown_and_not_vouched_for() -> None:
    checked = python("").check(note(7), b"commit 17\nof the ledger")
    assert (checked.state, checked.time) == ("not checked", None)
    assert "'commit 17 of the ledger'" in checked.told
    assert "had answered nothing" in python("").check(note(7), b"").told
