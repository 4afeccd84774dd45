"""One trade with nothing but this machine: ``python practice.py`` prints the id of the order that it placed.

The model is the one of ``record.py``, the broker that of ``broker.py``; the recording goes to ``RECORDER_STORE``, which
needs a ledger (``recorder keys init``).
"""

from __future__ import annotations

import os
import threading
from http.server import ThreadingHTTPServer
from pathlib import Path

from broker import Broker
from record import Model
from sealed_bot import trade

from recorder import Recorder

QUESTION = "EUR/USD broke 1.0880 on volume. Act within the limits of the desk."


def main() -> None:
    """Start both servers, trade once, print the order's id."""
    book = Path("book.jsonl")
    with ThreadingHTTPServer(("127.0.0.1", 0), Model) as model, Broker(book) as broker:
        for server in (model, broker):
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        url = f"http://127.0.0.1:{model.server_address[1]}/v1/chat/completions"
        store = os.environ.get("RECORDER_STORE", "sqlite:///recorder.db")
        with Recorder(store) as recorder, recorder.conversation("desk"):
            print(trade(recorder, url, broker.url, QUESTION))
        for server in (model, broker):
            server.shutdown()


if __name__ == "__main__":
    main()
