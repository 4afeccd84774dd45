"""The border: nothing of ours comes out, and what does is what was asked for."""

from __future__ import annotations

import pytest

from recorder.errors import ConfigurationError, RecordingError
from recorder.transports.guard import Guard


class Recording:
    def __init__(self, *, must_record: bool = False, broken: bool = False) -> None:
        self.must_record = must_record
        self.broken = broken
        self.reasons: list[str] = []

    def give_up(self, reason: str) -> None:
        self.reasons.append(reason)
        if self.broken:
            raise ZeroDivisionError


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
    with Guard(Recording(broken=True)):
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


def test_without_a_defect_nothing_happens() -> None:
    recording = Recording()
    with Guard(recording) as entered:
        assert entered is None
    assert recording.reasons == []
