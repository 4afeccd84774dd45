"""An interrupt anywhere in telling an event: the lock of the exchange is free afterwards, for every other thread."""

from __future__ import annotations

import sys
import threading
from itertools import count
from pathlib import Path

from recorder import Recorder
from recorder.recording.tap import Call, ExchangeTap
from tests.interrupts import Interrupt

_FILES = ("recording/tap.py", "contextlib.py")


def test_another_thread_can_go_on(tmp_path: Path) -> None:
    kept = []  # as whoever logs them does
    with Recorder(f"sqlite:///{tmp_path}/store.db") as recorder:
        assert recorder._path is not None
        for after in count(1):
            tap, before = ExchangeTap(recorder._path, Call("c")), sys.gettrace()
            sys.settrace(Interrupt(after, _FILES))
            try:
                tap.request_sent("POST", "http://127.0.0.1/", b"POST / HTTP/1.1\r\n\r\n", b"{}", {})
                tap.request_failed("other", "connect", None)
            except KeyboardInterrupt as interrupt:
                kept.append(interrupt)
            finally:
                sys.settrace(before)
            other = threading.Thread(target=tap.request_failed, args=("other", "connect", None), daemon=True)
            other.start()
            other.join(10)
            assert not other.is_alive(), after
            if len(kept) < after:
                break
    assert len(kept) > 20
