"""``verify`` of answers that no dialect reads: ids and times of theirs are other ones each time."""

from __future__ import annotations

import itertools
import json

import pytest

from tests.plugin.suite import Suite
from tests.wire import Got, wire


def _whole(body: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    return head % len(body) + body


def test_ids_and_times_of_a_plain_answer_are_no_drift(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    number, status = itertools.count(1), ["filled"]

    def answer(_: Got) -> bytes:
        made = next(number)
        order = {"id": f"ord{made}xK72b", "created": 1730000000 + made, "number": {"id": made}, "status": status[0]}
        return _whole(json.dumps(order).encode())

    suite.write("def test_it(recorded_session):\n    ask(recorded_session, 'a')\n")
    with wire(answer) as server:
        monkeypatch.setenv("UPSTREAM", server.url)
        assert suite.run(mode="once").ret == 0
        assert suite.run(mode="verify").ret == 0
        status[0] = "rejected"
        suite.tells(["*text:*[[]-filled-]{+rejected+}*"], mode="verify", failed=1)
