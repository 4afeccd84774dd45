"""The loopback server does what its script says: other tests stand on it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import openai
import pytest
import requests

from tests.loopback import Script, serve


def _ask(url: str, prompt: str = "hi", **options: Any) -> requests.Response:
    body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": prompt}]}
    return requests.post(url, json=body, stream=True, timeout=10, **options)


def test_a_stream_arrives_frame_by_frame() -> None:
    script = Script(chunks=7, comments=True, status=201)
    with serve(script) as server, _ask(server.url) as response:
        assert (response.status_code, list(response.iter_content(None))) == (201, script.frames("hi"))
        assert [(visit.prompt, visit.gone_after) for visit in server.visits(1)] == [("hi", None)]


def test_frames_are_cut_inside_characters() -> None:
    script = Script(chunks=6, split_utf8=True)
    with serve(script) as server, _ask(server.url) as response:
        frames = list(response.iter_content(None))
    assert b"".join(frames) == Script(chunks=6).body("hi")
    with pytest.raises(UnicodeDecodeError):
        frames[0].decode()


def test_the_openai_client_understands_it() -> None:
    script = Script(chunks=9, choices=2, comments=True)
    texts, usage = ["", ""], None
    with serve(script) as server:
        client = openai.OpenAI(base_url=server.url.removesuffix("/chat/completions"), api_key="x", max_retries=0)
        with (
            client,
            client.chat.completions.create(
                model="m", messages=[{"role": "user", "content": "two"}], n=2, stream=True
            ) as stream,
        ):
            for chunk in stream:
                usage = chunk.usage or usage
                for choice in chunk.choices:
                    texts[choice.index] += choice.delta.content or ""
    assert texts == [script.text("two", 0), script.text("two", 1)]
    assert usage is not None
    assert usage.completion_tokens == 9


@pytest.mark.parametrize("how", ["cut_after", "reset_after"])
def test_a_broken_stream_breaks_after_its_chunk(how: str) -> None:
    script = Script(gap=0.01, **{how: 3})  # type: ignore[arg-type]
    with serve(script) as server, _ask(server.url) as response:
        taken: list[bytes] = []
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            _collect(response, taken)
        assert taken == script.frames("hi")[:3]
        assert server.visits(1)[0].sent == 3


def _collect(response: requests.Response, into: list[bytes]) -> None:
    for piece in response.iter_content(None):
        into.append(piece)  # one by one: what came before the exception counts


def test_a_stall_lasts_until_the_client_goes() -> None:
    with serve(Script(stall_after=2)) as server:
        response = _ask(server.url)
        pieces = response.iter_content(None)
        assert [next(pieces), next(pieces)] == Script().frames("hi")[:2]
        response.close()
        assert server.visits(1)[0].gone_after == 2


def test_an_early_close_is_noticed_at_once() -> None:
    with serve(Script(chunks=200, gap=0.02)) as server:
        response = _ask(server.url)
        pieces = response.iter_content(None)
        for _ in range(10):
            next(pieces)
        closed_at = time.monotonic()
        response.close()
        visit = server.visits(1)[0]
    assert visit.gone_after in (10, 11, 12)
    assert visit.gone_at is not None
    assert visit.gone_at - closed_at < 0.5


def test_scripts_follow_one_another() -> None:
    with serve(Script(status=429, headers=(("Retry-After", "0"),)), Script(chunks=1)) as server:
        first, second, third = (_ask(server.url) for _ in range(3))
        assert [first.status_code, second.status_code, third.status_code] == [429, 200, 200]
        assert first.headers["Retry-After"] == "0"
        assert first.json()["error"]["type"] == "scripted_error"
        assert second.content == third.content == Script(chunks=1).body("hi")


def test_a_function_may_choose_and_plain_json_is_answered() -> None:
    with serve(lambda _number, visit: Script(chunks=len(visit.prompt))) as server:
        body = {"messages": [{"role": "user", "content": "four"}]}
        answer = requests.post(server.url, json=body, timeout=10).json()
        assert answer["choices"][0]["message"]["content"] == Script(chunks=4).text("four")
        assert requests.post(server.url.replace("/chat", "/chit"), json=body, timeout=10).status_code == 404


def test_it_serves_from_a_process_of_its_own() -> None:
    command = [sys.executable, "-m", "tests.loopback", "--chunks", "5", "--no-usage", "--gap", "0.001"]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            port = int(process.stdout.readline())
            response = _ask(f"http://127.0.0.1:{port}/v1/chat/completions", "far")
            assert response.content == Script(chunks=5, usage=False).body("far")
            told = json.loads(process.stdout.readline())
            assert told == {"connection": 1, "sent": 7, "gone_after": None, "prompt": "far"}
        finally:
            process.terminate()
