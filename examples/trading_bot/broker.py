"""A broker, simulated: takes orders over HTTP and writes each into a book of its own, with its own clock.

``python broker.py book.jsonl`` says where it listens. The book is the broker's: nothing of recorder writes to it.
"""

from __future__ import annotations

import json
import os
import re
import sys
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

#: What brokers take as a client order id: a few characters, each only once.
CLIENT_ORDER_ID = re.compile(r"[A-Za-z0-9_-]{1,36}")


class Broker(ThreadingHTTPServer):
    """Takes orders on loopback.

    :param book: the file with a line of JSON for each order that was taken.
    """

    def __init__(self, book: Path) -> None:
        super().__init__(("127.0.0.1", 0), Desk)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self._book, self._taking = book, threading.Lock()

    def take(self, asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Take an order; return the status and what the client is told."""
        if CLIENT_ORDER_ID.fullmatch(str(asked.get("client_order_id"))) is None:
            return 422, {"error": "client_order_id: 1 to 36 letters, digits, - and _"}
        if asked.get("side") not in ("buy", "sell") or not isinstance(asked.get("quantity"), int):
            return 422, {"error": "an order has symbol, side (buy or sell) and quantity"}
        with self._taking:
            orders = self.orders()
            if any(order["client_order_id"] == asked["client_order_id"] for order in orders):
                return 409, {"error": "there is an order with this client_order_id"}
            at = datetime.now(UTC).isoformat()
            order = {"id": f"B-{1001 + len(orders)}", "accepted_at": at, **asked}
            with self._book.open("a", encoding="utf-8") as file:
                file.write(json.dumps(order) + "\n")
                file.flush()
                os.fsync(file.fileno())
        return 201, order

    def orders(self) -> list[dict[str, Any]]:
        """Return the orders in the book."""
        return [json.loads(line) for line in self._book.read_text().splitlines()] if self._book.exists() else []


class Desk(BaseHTTPRequestHandler):
    """Answers ``POST /orders``."""

    server: Broker

    def do_POST(self) -> None:
        """Take an order."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status, told = (
            self.server.take(json.loads(body)) if self.path == "/orders" else (404, {"error": "no such page"})
        )
        answer = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


if __name__ == "__main__":
    with Broker(Path(sys.argv[1])) as broker:
        print(broker.url, flush=True)
        broker.serve_forever()
