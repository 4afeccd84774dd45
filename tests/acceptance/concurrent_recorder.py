"""A process of the concurrency test: threads record streams into one store until each has had its share."""

from __future__ import annotations

import json
import sys
import threading
from hashlib import sha256

import requests

from recorder import Recorder
from tests.recorded import ask


def main() -> None:
    """Record *threads* × *turns* streams; print the digests of what was received, by prompt."""
    store, server, name, threads, turns = sys.argv[1:]
    digests: dict[str, str] = {}
    failures: list[str] = []

    def work(number: int) -> None:
        for turn in range(int(turns)):
            prompt = f"{name}-{number}-{turn}"
            try:
                with ask(session, server, prompt) as response:
                    digests[prompt] = sha256(b"".join(response.iter_content(None))).hexdigest()
            except Exception as error:
                failures.append(repr(error))

    with Recorder(store, close_timeout=60) as recorder:
        session = recorder.mount(requests.Session())
        running = [threading.Thread(target=work, args=(number,)) for number in range(int(threads))]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()
        recorder.flush()
        health = recorder.health()
    print(json.dumps({"digests": digests, "failures": failures, "ok": health.ok, "error": health.store_error}))


if __name__ == "__main__":
    main()
