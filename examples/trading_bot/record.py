"""Records one order conversation, from a model that this file plays: ``python record.py recordings.db``.

With a real upstream it would be the same lines around ``decide``.
"""

from __future__ import annotations

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import requests
from bot import decide

from recorder import Recorder

QUESTION = "EUR/USD broke 1.0880 on volume. Act within the limits of the desk."
CONVERSATION = "order"
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


def record(path: str) -> str:
    """Record the conversation into a store; return the URL that was asked."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Model) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/v1/chat/completions"
        with Recorder(f"sqlite:///{path}") as recorder, requests.Session() as session:
            session.trust_env = False
            with recorder.conversation(CONVERSATION):
                print(decide(recorder.mount(session), url, QUESTION))
        server.shutdown()
    return url


if __name__ == "__main__":
    record(sys.argv[1])
