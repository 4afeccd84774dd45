"""A recorded socket behaves as a connected one does."""

from __future__ import annotations

import select

import pytest

from recorder.core.tape import Read, Tape
from recorder.errors import RecordingEnded
from recorder.replay.pace import Pace
from recorder.transports.recorded_socket import RecordedSocket
from tests.clocks import DrivenClock


def _loaded(tape: Tape, clock: DrivenClock | None = None) -> RecordedSocket:
    made = RecordedSocket()
    made.load(tape, Pace(1, clock or DrivenClock()))
    return made


def test_it_takes_whatever_a_socket_takes() -> None:
    fresh = RecordedSocket()
    assert fresh.gettimeout() is None
    fresh.settimeout(3)
    assert fresh.gettimeout() == 3
    fresh.setsockopt(1, 2, 3)
    assert fresh.send(b"abc") == 3
    fresh.sendall(b"abc")
    assert select.select([fresh.fileno()], [], [], 0) == ([], [], [])
    assert fresh.fileno() == fresh.fileno()
    assert fresh.recv_into(bytearray(4)) == 0  # nothing is loaded: the end
    fresh.close()
    fresh.close()


def test_reads_come_back_as_they_were_at_their_moment_and_a_small_buffer_gets_the_rest_next() -> None:
    clock = DrivenClock()
    made = _loaded(Tape(reads=[Read(b"abcdef", 10**9), Read(b"g", 2 * 10**9)], end="response_completed"), clock)
    buffer = bytearray(4)
    sizes = [(made.recv_into(buffer), bytes(buffer)) for _ in range(3)]
    assert sizes == [(4, b"abcd"), (2, b"efcd"), (1, b"gfcd")]
    assert sum(clock.slept) == pytest.approx(2.0)
    assert made.recv_into(buffer) == 0


def test_files_over_it_keep_it_open() -> None:
    made = _loaded(Tape(reads=[Read(b"x" * 10, 0)], end="response_completed", grew=5))
    file = made.makefile("rb")
    made.fileno()
    made.close()
    assert file.read(10) == b"x" * 10
    file.close()
    assert made._pair is None
    idle = RecordedSocket()
    idle._decref_socketios()
    assert idle._io_refs == 0


def test_shutting_down_ends_it() -> None:
    made = _loaded(Tape(reads=[Read(b"x", 0)], end="response_truncated"))
    made.shutdown(2)
    assert made.recv_into(bytearray(1)) == 0


@pytest.mark.parametrize("end", ["response_completed", "response_truncated"])
def test_a_read_after_the_end_is_the_end_whatever_the_timeout(end: str) -> None:
    made = _loaded(Tape(reads=[Read(b"x", 0)], end=end))
    made.settimeout(0.5)
    assert [made.recv_into(bytearray(1)) for _ in range(3)] == [1, 0, 0]


def test_a_failure_comes_once_and_then_the_end() -> None:
    error = {"type": "builtins.ConnectionResetError", "message": "", "args": [104, "Connection reset by peer"]}
    made = _loaded(Tape(end="response_failed", facts={"kind": "reset", "error": error}))
    with pytest.raises(ConnectionResetError):
        made.recv_into(bytearray(1))
    assert made.recv_into(bytearray(1)) == 0


@pytest.mark.parametrize("facts", [{"kind": "other"}, {"kind": "malformed", "error": {"type": "x", "message": ""}}])
def test_what_http_client_finds_out_by_itself_is_an_end(facts: dict[str, object]) -> None:
    assert _loaded(Tape(end="response_failed", facts=facts)).recv_into(bytearray(1)) == 0


def test_a_failure_that_cannot_be_made_again() -> None:
    facts = {"kind": "other", "error": {"type": "builtins.LookupError", "message": ""}}
    with pytest.raises(RecordingEnded, match="the recorded program broke off"):
        _loaded(Tape(end="response_failed", facts=facts)).recv_into(bytearray(1))


@pytest.mark.parametrize(
    ("end", "told"),
    [("consumer_closed", "consumer closed"), ("process_died", "process died"), (None, "the recording of it")],
)
def test_where_the_recorded_program_stopped_reading_the_recording_ends(end: str | None, told: str) -> None:
    with pytest.raises(RecordingEnded, match=told):
        _loaded(Tape(end=end)).recv_into(bytearray(1))
