"""The SDKs of OpenAI and Anthropic against the real server: with it gone, the recording gives the same events.

One recording is then read by requests, httpx and httpx2: the same bytes for each.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

import anthropic
import httpx
import httpx2
import openai
import pytest
import requests

from recorder import Player, Recorder, Store
from tests.acceptance.llamacpp import server as server

MODULES: tuple[Any, ...] = (httpx, httpx2)
PROMPT: Any = [{"role": "user", "content": "Buy or hold?"}]
TOOL: Any = {
    "type": "function",
    "function": {
        "name": "place_order",
        "parameters": {
            "type": "object",
            "properties": {"side": {"type": "string", "enum": ["buy", "sell"]}, "quantity": {"type": "integer"}},
            "required": ["side", "quantity"],
        },
    },
}


def chat(base: str, http: httpx2.Client, **more: Any) -> list[Any]:
    with openai.OpenAI(base_url=base, api_key="none", http_client=http, max_retries=0) as sdk:
        return list(sdk.chat.completions.create(model="tiny", messages=PROMPT, stream=True, max_tokens=24, **more))


def with_usage(base: str, http: httpx2.Client) -> list[Any]:
    return chat(base, http, stream_options={"include_usage": True})


def with_tools(base: str, http: httpx2.Client) -> list[Any]:
    return chat(base, http, tools=[TOOL], tool_choice="required")


def responses(base: str, http: httpx2.Client) -> list[Any]:
    with openai.OpenAI(base_url=base, api_key="none", http_client=http, max_retries=0) as sdk:
        return list(sdk.responses.create(model="tiny", input="Buy or hold?", stream=True, max_output_tokens=24))


def messages(base: str, http: httpx2.Client) -> list[Any]:
    address = base.removesuffix("/v1")
    with anthropic.Anthropic(base_url=address, api_key="none", http_client=http, max_retries=0) as sdk:
        return list(sdk.messages.create(model="tiny", messages=PROMPT, stream=True, max_tokens=24))


CALLS: tuple[Callable[[str, httpx2.Client], list[Any]], ...] = (with_usage, with_tools, responses, messages)


@pytest.mark.timeout(300)
def test_what_an_sdk_makes_of_the_real_server_it_makes_of_the_recording(
    server: tuple[str, Callable[[], None]], sqlite_url: str
) -> None:
    address, stop = server
    base = address.removesuffix("/chat/completions")
    live = {}
    with Recorder(sqlite_url) as recorder:
        for call in CALLS:
            live[call] = call(
                base, httpx2.Client(transport=recorder.httpx_transport(httpx2.HTTPTransport()), timeout=120)
            )
            assert len(live[call]) > 3, call
    stop()
    with pytest.raises(requests.exceptions.ConnectionError):
        requests.get(address, timeout=5)
    with Player(sqlite_url) as player:
        for call in CALLS:
            assert call(base, httpx2.Client(transport=player.httpx_transport(httpx2))) == live[call], call
        assert not player.unplayed
    with Store(sqlite_url) as store:
        told = [store.exchange(each["id"]) for each in store.exchanges()]
    assert {each.verdict for each in told} <= {"complete", "truncated"}  # by max_tokens, as the server counts them
    _read_by_each_library(sqlite_url, told)


def _read_by_each_library(sqlite_url: str, told: list[Any]) -> None:
    for each in told:
        request, body, seen = each.exchange.request, each.exchange.body, []
        payload = json.loads(request.payload)
        with Player(sqlite_url) as player, requests.Session() as session:
            with player.mount(session).post(request.url, json=payload, stream=True) as answer:
                seen.append(_as_far(answer.iter_content(None), len(body)))
        for module in MODULES:
            with Player(sqlite_url) as player, module.Client(transport=player.httpx_transport(module)) as client:
                with client.stream("POST", request.url, json=payload) as answer:
                    seen.append(_as_far(answer.iter_raw(), len(body)))
        assert seen == [body] * 3


def _as_far(pieces: Iterable[bytes], size: int) -> bytes:
    """Read as far as the SDKs did, which leave at ``[DONE]``: what a server sends after it is not recorded."""
    read = b""
    for piece in pieces:
        read += piece
        if len(read) >= size:
            break
    return read
