"""Google's SDK against a server on loopback that speaks Gemini: with it gone, the recording gives the same events.

It answers with Gemini's own streams where the corpus is there, at the boundaries at which they came; and with one that
is written here, with thoughts, a call of a function and usage.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import httpx2
import pytest

from recorder import Player, Recorder
from tests import corpus
from tests.acceptance.each_library import read_by_each_library, recorded
from tests.recorded import traces
from tests.wire import Got, Wire, chunked, reply, wire

if TYPE_CHECKING:  # it takes seconds, in each worker that collects this
    from google import genai

KEY = "made-up-key-of-nobody-5f21"
ASKED = "Buy or hold?"
TOOL = {
    "function_declarations": [
        {
            "name": "place_order",
            "description": "Places an order.",
            "parameters": {"type": "OBJECT", "properties": {"side": {"type": "STRING"}, "lots": {"type": "NUMBER"}}},
        }
    ]
}
CONFIG: Any = {"tools": [TOOL], "automatic_function_calling": {"disable": True}, "temperature": 0.0}


def _value(*parts: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    candidate = {"content": {"parts": list(parts), "role": "model"}, "index": 0}
    usage = {"promptTokenCount": 7, "candidatesTokenCount": 11, "thoughtsTokenCount": 5, "totalTokenCount": 23}
    ended = {"finishReason": finish} if finish else {}
    return {
        "candidates": [candidate | ended],
        "usageMetadata": usage,
        "modelVersion": "gemini-loopback",
        "responseId": "r-1",
    }


VALUES = [
    _value({"text": "The pair is weak,", "thought": True}),
    _value({"text": "Hold: résistance"}),
    _value({"text": " à 1,0725 \u2028 ✓."}),
    _value({"functionCall": {"name": "place_order", "args": {"side": "buy", "lots": 0.25}}}, finish="STOP"),
]
WRITTEN = [f"data: {json.dumps(value, ensure_ascii=False)}\r\n\r\n".encode() for value in VALUES]


def _frames() -> dict[str, list[bytes]]:
    """Return what is streamed, by name: each stream's pieces."""
    served = {"written": WRITTEN, "in one": [b"".join(WRITTEN)], "cut in characters": _bytewise(b"".join(WRITTEN))}
    for name in corpus.names("gemini")[::3]:
        stream = corpus.stream(name)
        if stream.body.startswith(b"data:"):
            served[name] = stream.transport_chunks
    return served


def _bytewise(body: bytes) -> list[bytes]:
    return [body[at : at + 1] for at in range(len(body))]


SERVED = _frames()


def answer(request: Got) -> bytes:
    """Answer as Gemini does: which stream, the name of the model says."""
    path, _, query = request.target.partition("?")
    name, _, verb = path.rpartition("/")[2].partition(":")
    frames = list(SERVED.values())[int(name.removeprefix("m-"))]
    if verb == "streamGenerateContent" and "alt=sse" in query:
        return chunked(*frames, headers=("Content-Type: text/event-stream",))
    return reply(json.dumps(VALUES[1]).encode(), "Content-Type: application/json; charset=UTF-8")


def sdk(server: str, **client: Any) -> genai.Client:
    from google import genai
    from google.genai.types import HttpOptions

    """The SDK as its users make it, with a client of theirs."""
    return genai.Client(api_key=KEY, http_options=HttpOptions(base_url=server, **client))


def streamed(client: genai.Client, model: str) -> list[Any]:
    return list(client.models.generate_content_stream(model=model, contents=ASKED, config=CONFIG))


def whole(client: genai.Client, model: str) -> list[Any]:
    return [client.models.generate_content(model=model, contents=ASKED, config=CONFIG)]


async def in_tasks(server: str, transport: Any) -> list[list[Any]]:
    """Return what the asynchronous client makes of every stream, and of answers that are not streamed."""
    async with httpx2.AsyncClient(transport=transport) as http:
        return await asked_of(sdk(server, httpx_async_client=http))


async def by_aiohttp(server: str, connector: Callable[[], aiohttp.BaseConnector]) -> list[list[Any]]:
    """Do the same by aiohttp, which the SDK takes where it is installed and nothing else is said."""
    async with aiohttp.ClientSession(connector=connector()) as session:
        return await asked_of(sdk(server, aiohttp_client=session))


async def asked_of(client: genai.Client) -> list[list[Any]]:
    found, made = client.aio.models, []
    for number in range(len(SERVED)):
        asked: Any = {"model": f"m-{number}", "contents": ASKED, "config": CONFIG}
        made.append([each async for each in await found.generate_content_stream(**asked)])
        made.append([await found.generate_content(**asked)])
    return made


def everything(server: str, transport: Any, transport_in_tasks: Any) -> list[list[dict[str, Any]]]:
    """Return all that the SDK makes of every stream, sync and async, streamed and not."""
    made = []
    with httpx2.Client(transport=transport) as http:
        client = sdk(server, httpx_client=http)
        for number in range(len(SERVED)):
            made += [streamed(client, f"m-{number}"), whole(client, f"m-{number}")]
    made += asyncio.run(in_tasks(server, transport_in_tasks))
    return told(made)


def told(made: list[list[Any]]) -> list[list[dict[str, Any]]]:
    return [[value.model_dump(exclude={"sdk_http_response"}) | _head(value) for value in values] for values in made]


def _head(value: Any) -> dict[str, Any]:
    head = value.sdk_http_response
    return {"headers": dict(head.headers or {}) if head is not None else None}


@pytest.fixture
def server() -> Iterator[Wire]:
    with wire(answer) as running:
        yield running


def test_what_the_sdk_makes_of_the_server_it_makes_of_the_recording(server: Wire, sqlite_url: str) -> None:
    with Recorder(sqlite_url) as recorder:
        sync, tasks = httpx2.HTTPTransport(), httpx2.AsyncHTTPTransport()
        live = everything(server.url, recorder.httpx_transport(sync), recorder.httpx_transport(tasks))
    server.close()
    assert len(server.got) == len(live) == 4 * len(SERVED)
    assert [value["candidates"][0]["content"]["parts"][0]["text"] for value in live[0][:3]] == [
        value["candidates"][0]["content"]["parts"][0]["text"] for value in VALUES[:3]
    ]
    assert live[0][3]["candidates"][0]["finish_reason"] == "STOP"
    with Player(sqlite_url) as player:
        assert everything(server.url, player.httpx_transport(httpx2), player.httpx_transport(httpx2)) == live
        assert not player.unplayed
    assert {(each.verdict, each.answer.dialect) for each in recorded(sqlite_url)} == {("complete", "gemini")}
    folder = Path(sqlite_url.removeprefix("sqlite:///")).parent
    stored = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert not any(trace in stored for trace in traces(KEY))


def test_the_sdk_over_aiohttp(server: Wire, sqlite_url: str) -> None:
    with Recorder(sqlite_url) as recorder:
        live = told(asyncio.run(by_aiohttp(server.url, lambda: recorder.aiohttp_connector(aiohttp.TCPConnector()))))
    server.close()
    assert len(live) == len(recorded(sqlite_url)) == 2 * len(SERVED)
    with Player(sqlite_url) as player:
        assert told(asyncio.run(by_aiohttp(server.url, player.aiohttp_connector))) == live
        assert not player.unplayed


def test_one_recording_answers_every_library(server: Wire, sqlite_url: str) -> None:
    asked = range(min(len(SERVED), 8))
    with Recorder(sqlite_url) as recorder:
        with httpx2.Client(transport=recorder.httpx_transport(httpx2.HTTPTransport())) as http:
            client = sdk(server.url, httpx_client=http)
            for number in asked:
                streamed(client, f"m-{number}")
            whole(client, "m-0")
    server.close()
    assert read_by_each_library(sqlite_url) == len(asked) + 1
