"""A command as an anchor: it gets the note on its standard input, and what it writes is the evidence.

So anything can be an anchor: a commit in a repository of somebody else, an object in a bucket with retention, a
message to an auditor, another transparency log. What its answer proves only its keeper can say.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO, Final

from recorder.errors import AnchorFailed
from recorder.ledger.anchors.base import LARGEST_EVIDENCE, Checked

#: Seconds between two checkpoints for which a command is run, and for which it may run.
EVERY_S: Final = 60.0
TIMEOUT_S: Final = 30.0
_SHOWN: Final = 200  # characters of what a command says that are told


@dataclass(frozen=True, slots=True)
class CommandAnchor:
    """A command; it is run without a shell.

    :ivar argv: the program and its arguments.
    :ivar timeout_s: seconds after which it is killed, with what it started.
    """

    argv: tuple[str, ...]
    every_s: float = EVERY_S
    timeout_s: float = TIMEOUT_S
    _running: list[subprocess.Popen[bytes]] = field(default_factory=list, init=False, repr=False, compare=False)

    @property
    def name(self) -> str:
        """``command:``, the program, and a digest of its arguments, which may hold secrets."""
        digest = hashlib.sha256("\0".join(self.argv).encode()).hexdigest()[:8]
        return f"command:{shlex.quote(self.argv[0])}#{digest}"

    def leave(self, note: bytes) -> bytes:
        """Run the command; what it writes to standard output is the evidence."""
        with tempfile.TemporaryFile() as said:
            try:
                process = subprocess.Popen(
                    self.argv,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=said,
                    start_new_session=True,  # one group to kill
                )
            except OSError as error:
                told = f"the anchor {self.name} cannot be run ({error.strerror}): check the command"
                raise AnchorFailed(told) from error
            self._running.append(process)
            try:
                answer, late = self._answer(process, note)
            finally:
                self._running.remove(process)
            if late:
                raise AnchorFailed(
                    f"the anchor {self.name} did not end within {self.timeout_s:g} s: see what it waits for"
                )
            if len(answer) > LARGEST_EVIDENCE:
                raise AnchorFailed(
                    f"the anchor {self.name} wrote more than {LARGEST_EVIDENCE:,} bytes: let it write only evidence"
                )
            if process.returncode:
                ended = f"ended with exit code {process.returncode}{_last_words(said)}"
                raise AnchorFailed(f"the anchor {self.name} {ended}: it has to end with 0")
        return answer

    def _answer(self, process: subprocess.Popen[bytes], note: bytes) -> tuple[bytes, bool]:
        """Return what a process writes, a byte more than is allowed at most, and whether it had to be killed."""
        assert process.stdin is not None
        assert process.stdout is not None
        late = threading.Event()

        def end() -> None:
            if process.returncode is None:
                late.set()
                _kill(process)

        timer = threading.Timer(self.timeout_s, end)
        timer.daemon = True  # the end of the program does not wait for it
        timer.start()
        try:
            with suppress(BrokenPipeError):  # it did not want to read it
                process.stdin.write(note)
                process.stdin.flush()
            with suppress(BrokenPipeError):
                process.stdin.close()
            answer = process.stdout.read(LARGEST_EVIDENCE + 1)
            if len(answer) > LARGEST_EVIDENCE:
                _kill(process)
            process.wait()
        finally:
            timer.cancel()
            process.stdout.close()
        return answer, late.is_set()

    def give_up(self) -> None:
        """Kill the command, with what it started, if it runs."""
        for process in list(self._running):
            _kill(process)

    def check(self, note: bytes, evidence: bytes) -> Checked:
        """Show what the command had answered: what that is worth is not known here."""
        return check_answer(self.name, evidence)

    def held(self) -> Iterator[bytes]:
        """Yield nothing: what a command passed on is not here."""
        return iter(())


def check_answer(name: str, evidence: bytes) -> Checked:
    """Show what a command had answered; it is not run.

    :param name: of the anchor, as the store has it.
    """
    said = " ".join(evidence[:_SHOWN].decode("utf-8", "replace").split())
    told = f"{name} had answered {said!r}" if said else f"{name} had answered nothing"
    proves = "nothing by itself: ask whoever keeps what the command wrote to, and compare the checkpoint with his"
    return Checked("not checked", told, proves, "that the command passed the checkpoint on to anybody")


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and all that it started."""
    if os.name == "nt":
        process.kill()
        return
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _last_words(said: IO[bytes]) -> str:
    said.seek(max(said.seek(0, os.SEEK_END) - 4 * _SHOWN, 0))
    lines = said.read().decode("utf-8", "replace").strip().splitlines()
    return f" ({lines[-1][:_SHOWN]})" if lines else ""
