"""Credentials in payloads: in no cassette, and a request with dummies in their places is the same one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests

from recorder import NoMatchingExchange, Player, Recorder
from recorder.core.credentials import MARKER
from recorder.store import open_events
from tests.building import ExchangeBuilder
from tests.commands import run
from tests.wire import Got, Wire, reply, wire

KEY, OTHER = "sk-S3cr3t-0123456789", "mcp-S3cr3t-9876543210"


@pytest.fixture
def server() -> Iterator[Wire]:
    def answer(request: Got) -> bytes:
        return reply(b'{"answer": "hold"}')

    with wire(answer) as served:
        yield served


def payload(key: str, other: str, text: str = "Buy?") -> dict[str, Any]:
    return {
        "messages": [{"role": "user", "content": text}],
        "tools": [{"type": "mcp", "authorization": other}],
        "upstream": {"auth": key, "command": f"curl -H 'Authorization: Bearer {key}'"},
    }


def by_requests(way: Recorder | Player, url: str, key: str, body: dict[str, Any], *, streamed: bool = False) -> bytes:
    with requests.Session() as session:
        data = json.dumps(body).encode()
        given: Any = iter([data[:40], data[40:]]) if streamed else data
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        return way.mount(session).post(f"{url}/v1?api_key={key}", headers=headers, data=given).content


def by_httpx(way: Recorder | Player, url: str, key: str, body: dict[str, Any]) -> bytes:
    transport = way.httpx_transport(httpx.HTTPTransport()) if isinstance(way, Recorder) else way.httpx_transport(httpx)
    with httpx.Client(transport=transport) as client:
        return bytes(client.post(f"{url}/v1?api_key={key}", headers={"X-Api-Key": key}, json=body).content)


WAYS: list[Callable[..., bytes]] = [by_requests, by_httpx]


@pytest.mark.parametrize("records", WAYS)
@pytest.mark.parametrize("plays", WAYS)
@pytest.mark.parametrize("dummy", [KEY, "another-dummy-key-1"])
def test_a_key_in_a_payload_is_in_no_cassette_and_a_dummy_matches(
    server: Wire, tmp_path: Path, records: Callable[..., bytes], plays: Callable[..., bytes], dummy: str
) -> None:
    path = tmp_path / "tape.jsonl"
    with Recorder(path) as recorder:
        answer = records(recorder, server.url, KEY, payload(KEY, OTHER))
    text = path.read_text()
    assert KEY not in text
    assert OTHER not in text
    with Player(path) as player:
        assert plays(player, server.url, dummy, payload(dummy, "dummy")) == answer
    with pytest.raises(NoMatchingExchange), Player(path) as player:  # what is said still counts
        plays(player, server.url, dummy, payload(dummy, "dummy", "Sell?"))


def test_a_streamed_payload(server: Wire, tmp_path: Path) -> None:
    path = tmp_path / "tape.jsonl"
    with Recorder(path) as recorder:
        by_requests(recorder, server.url, KEY, payload(KEY, OTHER), streamed=True)
    assert KEY not in path.read_text()
    assert OTHER not in path.read_text()
    with Player(path) as player:
        by_requests(player, server.url, KEY, payload(KEY, "dummy"), streamed=True)


def test_what_was_recorded_before_answers_and_is_told(tmp_path: Path) -> None:
    """A recording in which a key stands in the clear, since no version before knew its name."""
    path, url = tmp_path / "tape.jsonl", "http://127.0.0.1:1/v1"
    made = ExchangeBuilder().request({"tools": [{"authorization": OTHER}], "n": 1}, url=url).response().chunks(b"hold")
    made.event("response_completed")
    with closing(open_events(str(path))) as cassette:
        cassette.append([made.opened], made.events)
    assert OTHER in path.read_text()
    with Player(path) as player, requests.Session() as session:
        asked = {"n": 1, "tools": [{"authorization": "dummy"}]}
        assert b"hold" in player.mount(session).post(url, json=asked).content
    checked = run("cassette", "check", str(path))
    assert checked.exit_code == 1
    assert "before the credentials in it were redacted (body:/tools/0/authorization): record it again" in checked.output
    assert OTHER not in checked.output


def test_the_payload_reaches_the_server_as_it_was(tmp_path: Path) -> None:
    got: list[bytes] = []

    def answer(request: Got) -> bytes:
        got.append(request.body)
        return reply(b"{}")

    with wire(answer) as server, Recorder(tmp_path / "tape.jsonl") as recorder:
        by_requests(recorder, server.url, KEY, payload(KEY, OTHER))
    assert got == [json.dumps(payload(KEY, OTHER)).encode()]
    assert len(MARKER.findall((tmp_path / "tape.jsonl").read_text())) == 6  # head twice, URL, payload three times


def test_a_server_that_replays_takes_a_dummy(server: Wire, tmp_path: Path) -> None:
    path = tmp_path / "tape.jsonl"
    with Recorder(path) as recorder:
        answer = by_requests(recorder, server.url, KEY, payload(KEY, OTHER))
    with Player(path) as player, player.serve() as url, requests.Session() as session:
        headers = {"Authorization": "Bearer another-dummy-key-1"}
        body = payload("another-dummy-key-1", "dummy")
        got = session.post(f"{url}/v1?api_key=dummy", headers=headers, json=body)
    assert got.content == answer


def test_the_prompt_says_the_dummy_that_it_was_recorded_with(server: Wire, tmp_path: Path) -> None:
    """A server of one's own takes any key: whichever it was, and whichever CI has, what is said stays as it is."""
    path, said = tmp_path / "tape.jsonl", {"q": "lm-studio or vllm?", "provider": "lm-studio"}
    with Recorder(path) as recorder:
        answer = by_requests(recorder, server.url, "lm-studio", said)
    assert "lm-studio or vllm?" in path.read_text()
    for key in ("dummy", "lm-studio", "placeholder", KEY):
        with Player(path) as player:
            assert by_requests(player, server.url, key, said) == answer
    with pytest.raises(NoMatchingExchange), Player(path) as player:
        by_requests(player, server.url, "lm-studio", {**said, "q": "vllm?"})


@pytest.mark.parametrize("dummy", ["placeholder", "not-needed", "dummy"])
def test_the_prompt_says_the_dummy_of_ci(server: Wire, tmp_path: Path, dummy: str) -> None:
    path, said = tmp_path / "tape.jsonl", {"q": f"replace the {dummy} by a text", "user": dummy}
    with Recorder(path) as recorder:
        answer = by_requests(recorder, server.url, KEY, said)
    with Player(path) as player:
        assert by_requests(player, server.url, dummy, said) == answer


def test_a_field_of_an_upload(server: Wire, tmp_path: Path) -> None:
    path = tmp_path / "tape.jsonl"

    def ask(way: Recorder | Player, key: str) -> bytes:
        with requests.Session() as session:
            files = {"file": ("a.txt", b"hi")}
            return way.mount(session).post(f"{server.url}/v1", data={"api_key": key}, files=files).content

    with Recorder(path) as recorder:
        answer = ask(recorder, KEY)
    assert KEY not in path.read_text()
    assert run("cassette", "check", str(path)).exit_code == 0
    with Player(path) as player:
        assert ask(player, "dummy") == answer


def test_a_field_of_an_upload_that_was_recorded_before_is_told(tmp_path: Path) -> None:
    path = tmp_path / "tape.jsonl"
    form = b'--b\r\nContent-Disposition: form-data; name="api_key"\r\n\r\n%s\r\n--b--\r\n' % KEY.encode()
    made = ExchangeBuilder().request(form, url="http://127.0.0.1:1/v1").response().chunks(b"hold")
    made.event("response_completed")
    with closing(open_events(str(path))) as cassette:
        cassette.append([made.opened], made.events)
    checked = run("cassette", "check", str(path))
    assert checked.exit_code == 1
    assert "before the credentials in it were redacted (body:/api_key): record it again" in checked.output
    assert KEY not in checked.output
