"""CPU of the consumer's thread per chunk: what the tap at the socket file adds to a read.

One thread reads frames from a socket file that is a list; the drainer's thread works meanwhile, as it
does in a program. CPU is the reading thread's own (CLOCK_THREAD_CPUTIME_ID), the same loop without
the tap is taken off.
"""

from __future__ import annotations

import io
import time
from typing import Any

from bench.measure import figure, interleaved, median, scratch
from bench.recording import FRAME, HEAD
from recorder import Recorder
from recorder.recording.tap import Call, ExchangeTap
from recorder.transports.socket_file import Tee

CHUNKS = 20_000


class Frames(io.RawIOBase):
    """A socket file on which one frame after the other arrives."""

    def readinto(self, buffer: Any) -> int:
        size = len(FRAME)
        buffer[:size] = FRAME
        return size


def bare() -> float:
    raw, buffer = Frames(), memoryview(bytearray(8192))
    began = time.thread_time_ns()
    for _ in range(CHUNKS):
        raw.readinto(buffer)
    return (time.thread_time_ns() - began) / CHUNKS / 1000


def recorded(recorder: Recorder) -> float:
    path = recorder._path
    assert path is not None
    tap = ExchangeTap(path, Call("call-1"))
    tap.request_sent("POST", "http://127.0.0.1/v1", b"POST /v1 HTTP/1.1\r\n\r\n", b"{}", {"client": "bench"})
    tee, buffer = Tee(Frames(), tap), memoryview(bytearray(8192))
    tee._head = bytearray(HEAD)
    tee.head_done(200, "chunked", None)
    began = time.thread_time_ns()
    for _ in range(CHUNKS):
        tee.readinto(buffer)
    spent = (time.thread_time_ns() - began) / CHUNKS / 1000
    tap.received(b"0\r\n\r\n")
    recorder.flush()
    return spent


def main() -> None:
    with scratch() as directory, Recorder(f"sqlite:///{directory}/cpu.db") as recorder:
        recorded(recorder)
        ours, without = interleaved(7, lambda: recorded(recorder), bare)
    added = median(ours) - median(without)
    figure("CPU per chunk in the consumer's thread", f"{added:.1f} µs", "<= 12 µs", added <= 12)


if __name__ == "__main__":
    main()
