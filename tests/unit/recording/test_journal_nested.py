"""What a signal handler has to say in the middle of a write of its thread."""

from __future__ import annotations

import threading

from recorder import Recorder
from tests.journals import only_journal, told


def test_it_waits_for_nobody_who_may_wait_for_that_write(sqlite_url: str) -> None:
    taken, over = threading.Event(), threading.Event()
    with Recorder(sqlite_url) as recorder:
        path = recorder._path
        assert path is not None
        before = path.tell("clock_sampled", {"exchanges": 1})

        def hold() -> None:  # as one that writes the journal, and waits for the spool that the interrupted write holds
            assert path is not None
            with path._journal._lock:
                taken.set()
                over.wait(30)

        holder = threading.Thread(target=hold)
        holder.start()
        taken.wait()
        with path._writes.inside(), path._writes.inside():
            meanwhile = path._journal.tell("clock_sampled", {"exchanges": 2})
        over.set()
        holder.join()
        assert (before, meanwhile) == (True, False)
    said = [facts["exchanges"] for facts in told(only_journal(sqlite_url), "clock_sampled")]
    assert said[1:3] == [1, 2]
