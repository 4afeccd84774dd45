"""Plays the model, so that the example needs no key: ``python record.py`` records ``cassettes/order.jsonl`` anew.

With a real model nobody needs this file: ``pytest --recorder-mode=rewrite`` asks it, and records.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PIECES = ('{"symbol": "EURUSD",', ' "side": "buy",', ' "quantity": 1', "50", "00", "}")


def chunks() -> list[bytes]:
    """Return the answer, as servers of OpenAI's API stream a tool call."""
    deltas = [{"role": "assistant", "content": None}]
    begun = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "place_order", "arguments": ""}}
    deltas.append({"tool_calls": [begun]})
    deltas += [{"tool_calls": [{"index": 0, "function": {"arguments": piece}}]} for piece in PIECES]
    told = [{"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    told.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]})
    told.append({"choices": [], "usage": {"prompt_tokens": 61, "completion_tokens": 24, "total_tokens": 85}})
    named = [{"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "desk-1", **each} for each in told]
    return [b"data: " + json.dumps(each).encode() + b"\n\n" for each in named] + [b"data: [DONE]\n\n"]


class Model(BaseHTTPRequestHandler):
    """The model's server."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Stream the answer, a chunk at a time."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        *frames, last = [b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks()]
        for frame in frames:
            self.wfile.write(frame)
        self.wfile.write(last + b"0\r\n\r\n")  # at once: the bot reads no further than [DONE]

    def log_message(self, *args: object) -> None:
        """Say nothing."""


def main() -> int:
    """Run the test that records the cassette, its requests answered by the model above."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Model) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        proxy = {"HTTP_PROXY": f"http://127.0.0.1:{server.server_address[1]}", "NO_PROXY": ""}
        command = [sys.executable, "-m", "pytest", "-q", "--recorder-mode=rewrite", "-k", "the_whole_answer"]
        done = subprocess.run(command, cwd=Path(__file__).parent, env={**os.environ, **proxy}, check=False)
        server.shutdown()
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
