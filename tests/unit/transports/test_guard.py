"""The border: nothing of ours comes out, and what does is what was asked for."""

from __future__ import annotations

import os
import signal
import time

import pytest

from recorder.errors import ConfigurationError, RecordingError
from recorder.transports.guard import Guard


class Recording:
    def __init__(self, *, must_record: bool = False) -> None:
        self.must_record = must_record
        self.reasons: list[str] = []

    def give_up(self, reason: str) -> None:
        self.reasons.append(reason)


def test_a_defect_ends_the_recording_and_not_the_program(caplog: pytest.LogCaptureFixture) -> None:
    recording = Recording()
    guard = Guard(recording)
    for error in (KeyError("Bearer x"), ConfigurationError("ours as well")):
        with guard:
            raise error
    assert recording.reasons == ["a defect of recorder: KeyError", "a defect of recorder: ConfigurationError"]
    assert "Bearer" not in caplog.text
    assert "test_guard.py" in caplog.text


def test_a_defect_while_giving_up_does_not_come_out_either() -> None:
    broken = Recording()
    setattr(broken, "give_up", {}.__getitem__)  # noqa: B010 - which raises, from no code of a program
    with Guard(broken):
        raise KeyError
    with Guard(None):
        raise KeyError


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit, RecordingError])
def test_what_is_not_ours_to_stop_comes_out(error: type[BaseException]) -> None:
    recording = Recording()
    with pytest.raises(error), Guard(recording):
        raise error
    assert recording.reasons == []


@pytest.mark.parametrize("guard", [Guard(Recording(must_record=True)), Guard(None, must_record=True)])
def test_who_must_not_act_unrecorded_is_told(guard: Guard) -> None:
    with pytest.raises(RecordingError, match="a defect of recorder") as raised, guard:
        raise KeyError("Bearer x")
    assert raised.value.__suppress_context__


class Deadline(Exception):
    """As a program's signal handler would raise it."""


def _alarm(*_: object) -> None:
    raise TimeoutError("too slow")


@pytest.mark.parametrize("must_record", [False, True])
def test_what_the_programs_signal_handler_raises_comes_out(must_record: bool) -> None:
    recording = Recording(must_record=must_record)
    before = signal.signal(signal.SIGUSR1, _alarm)
    try:
        with pytest.raises(TimeoutError, match="too slow"), Guard(recording):
            os.kill(os.getpid(), signal.SIGUSR1)
            time.sleep(1)
    finally:
        signal.signal(signal.SIGUSR1, before)
    with pytest.raises(Deadline), Guard(recording):
        raise Deadline  # as PyThreadState_SetAsyncExc has a thread do
    assert recording.reasons == []


def test_without_a_defect_nothing_happens() -> None:
    recording = Recording()
    with Guard(recording) as entered:
        assert entered is None
    assert recording.reasons == []
