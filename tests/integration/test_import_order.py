"""Imported exchanges answer in the order of their file, though their ids are made from what they hold."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import requests

from recorder import Player
from tests.commands import run

URL = "http://127.0.0.1:1/jobs/7"
STATES = [f"pending {number}" for number in range(8)] + ["done"]


def _har(states: list[str]) -> str:
    def entry(number: int, state: str) -> dict[str, object]:
        return {
            "startedDateTime": f"2026-11-29T12:00:{number:02d}.000Z",
            "time": 1,
            "request": {"method": "GET", "url": URL, "httpVersion": "HTTP/1.1", "headers": [], "cookies": []},
            "response": {
                "status": 200,
                "statusText": "OK",
                "httpVersion": "HTTP/1.1",
                "headers": [],
                "content": {"mimeType": "text/plain", "text": state},
            },
        }

    entries = [entry(number, state) for number, state in enumerate(states)]
    return json.dumps({"log": {"version": "1.2", "creator": {"name": "t", "version": "1"}, "entries": entries}})


@pytest.mark.parametrize("store", ["polls.jsonl", "sqlite"])
def test_polls_come_in_the_order_of_their_file(tmp_path: Path, absent_url: str, store: str) -> None:
    file, url = tmp_path / "polls.har", absent_url if store == "sqlite" else str(tmp_path / store)
    file.write_text(_har(STATES))
    assert run("--store", url, "import", str(file)).exit_code == 0
    with Player(url) as player, player.mount(requests.Session()) as session:
        assert [session.get(URL).text for _ in STATES] == STATES
