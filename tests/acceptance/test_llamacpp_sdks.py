"""The SDKs of OpenAI, Anthropic and Mistral against the real server: with it gone, the recording gives the same events.

One recording is then read by requests, httpx and httpx2: the same bytes for each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
import requests

from recorder import Player, Recorder
from tests.acceptance.each_library import read_by_each_library, recorded
from tests.acceptance.llamacpp import server as server

if TYPE_CHECKING:  # they take seconds, in each worker that collects this
    import anthropic
    import openai
    from mistralai.client import Mistral

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
CHAT: Any = {"model": "tiny", "messages": PROMPT, "max_tokens": 24}


def of_openai(base: str, http: httpx2.Client) -> openai.OpenAI:
    import openai

    return openai.OpenAI(base_url=base, api_key="none", http_client=http, max_retries=0)


def of_anthropic(base: str, http: httpx2.Client) -> anthropic.Anthropic:
    import anthropic

    address = base.removesuffix("/v1")
    return anthropic.Anthropic(base_url=address, api_key="none", http_client=http, max_retries=0)


def of_mistral(base: str, http: httpx2.Client) -> Mistral:
    from mistralai.client import Mistral

    return Mistral(server_url=base.removesuffix("/v1"), api_key="none", client=http)


def with_usage(base: str, http: httpx2.Client) -> list[Any]:
    return list(
        of_openai(base, http).chat.completions.create(**CHAT, stream=True, stream_options={"include_usage": True})
    )


def with_tools(base: str, http: httpx2.Client) -> list[Any]:
    return list(
        of_openai(base, http).chat.completions.create(**CHAT, stream=True, tools=[TOOL], tool_choice="required")
    )


def responses(base: str, http: httpx2.Client) -> list[Any]:
    sdk = of_openai(base, http)
    return list(sdk.responses.create(model="tiny", input="Buy or hold?", stream=True, max_output_tokens=24))


def messages(base: str, http: httpx2.Client) -> list[Any]:
    return list(of_anthropic(base, http).messages.create(**CHAT, stream=True))


def mistral(base: str, http: httpx2.Client) -> list[Any]:
    with of_mistral(base, http).chat.stream(**CHAT) as events:
        return list(events)


def mistral_with_tools(base: str, http: httpx2.Client) -> list[Any]:
    with of_mistral(base, http).chat.stream(**CHAT, tools=[TOOL], tool_choice="required") as events:
        return list(events)


def whole(base: str, http: httpx2.Client) -> list[Any]:
    """Answers that are not streamed."""
    return [
        of_openai(base, http).chat.completions.create(**CHAT),
        of_openai(base, http).responses.create(model="tiny", input="Buy or hold?", max_output_tokens=24),
        of_anthropic(base, http).messages.create(**CHAT),
        of_mistral(base, http).chat.complete(**CHAT),
    ]


async def in_tasks(base: str, http: httpx2.AsyncClient) -> list[Any]:
    """The asynchronous clients, streamed and not."""
    import anthropic
    import openai
    from mistralai.client import Mistral

    gpt = openai.AsyncOpenAI(base_url=base, api_key="none", http_client=http, max_retries=0)
    address = base.removesuffix("/v1")
    claude = anthropic.AsyncAnthropic(base_url=address, api_key="none", http_client=http, max_retries=0)
    le_chat = Mistral(server_url=address, api_key="none", async_client=http)
    return [
        [each async for each in await gpt.chat.completions.create(**CHAT, stream=True)],
        [each async for each in await claude.messages.create(**CHAT, stream=True)],
        [each async for each in await le_chat.chat.stream_async(**CHAT)],
        await le_chat.chat.complete_async(**CHAT),
    ]


CALLS: tuple[Callable[[str, httpx2.Client], list[Any]], ...] = (
    with_usage,
    with_tools,
    responses,
    messages,
    mistral,
    mistral_with_tools,
    whole,
)


async def _in_tasks(base: str, transport: Any) -> list[Any]:
    async with httpx2.AsyncClient(transport=transport, timeout=120) as http:
        calling: Awaitable[list[Any]] = in_tasks(base, http)
        return await calling


@pytest.mark.timeout(300)
def test_what_an_sdk_makes_of_the_real_server_it_makes_of_the_recording(
    server: tuple[str, Callable[[], None]], sqlite_url: str
) -> None:
    address, stop = server
    base = address.removesuffix("/chat/completions")
    live = {}
    with Recorder(sqlite_url) as recorder:
        for call in CALLS:
            transport = recorder.httpx_transport(httpx2.HTTPTransport())
            with httpx2.Client(transport=transport, timeout=120) as http:
                live[call] = call(base, http)
            assert len(live[call]) > 3, call
        tasks = asyncio.run(_in_tasks(base, recorder.httpx_transport(httpx2.AsyncHTTPTransport())))
    stop()
    with pytest.raises(requests.exceptions.ConnectionError):
        requests.get(address, timeout=5)
    with Player(sqlite_url) as player:
        for call in CALLS:
            with httpx2.Client(transport=player.httpx_transport(httpx2)) as http:
                assert call(base, http) == live[call], call
        assert asyncio.run(_in_tasks(base, player.httpx_transport(httpx2))) == tasks
        assert not player.unplayed
    told = {each.verdict for each in recorded(sqlite_url)}
    assert told <= {"complete", "truncated"}  # by max_tokens, as the server counts them
    assert read_by_each_library(sqlite_url) == len(CALLS) - 1 + 4 + 4
