"""The processes of the concurrency test: in each, threads record streams into one store until each has had its share.

They are forked from one that has imported everything and has made nothing yet: to import it eight times takes longer
than all that is tested.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from hashlib import sha256
from pathlib import Path
from typing import Any

import requests

from recorder import Recorder
from tests.recorded import ask


def main() -> None:
    """Fork *processes*, each of which prints what it did to a file of its own in *folder*; end as the worst of them."""
    store, server, folder, processes, threads, turns = sys.argv[1:]
    children = []
    for number in range(int(processes)):
        child = os.fork()
        if not child:
            told = record(store, server, f"p{number}", int(threads), int(turns))
            Path(folder, f"p{number}.json").write_text(json.dumps(told))
            return  # the interpreter ends as that of any program does
        children.append(child)
    sys.exit(max(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children))


def record(store: str, server: str, name: str, threads: int, turns: int) -> dict[str, Any]:
    """Record *threads* × *turns* streams; return the digests of what was received, by prompt."""
    digests: dict[str, str] = {}
    failures: list[str] = []

    def work(number: int) -> None:
        for turn in range(turns):
            prompt = f"{name}-{number}-{turn}"
            try:
                with ask(session, server, prompt) as response:
                    digests[prompt] = sha256(b"".join(response.iter_content(None))).hexdigest()
            except Exception as error:
                failures.append(repr(error))

    with Recorder(store, close_timeout=60) as recorder:
        session = recorder.mount(requests.Session())
        running = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()
        recorder.flush()
        health = recorder.health()
    return {"digests": digests, "failures": failures, "ok": health.ok, "error": health.store_error}


if __name__ == "__main__":
    main()
