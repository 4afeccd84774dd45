"""Matching through real libraries: which recording answers, by rules and without them, and what is refused."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from types import ModuleType
from typing import Any
from uuid import uuid4

import httpx
import httpx2
import pytest
import requests

from recorder import CassetteExhausted, ConfigurationError, Match, NoMatchingExchange, Player, Recorder
from recorder.core.exchange import Request
from recorder.store import open_store
from tests.building import ExchangeBuilder
from tests.integration.test_replay import ask, record
from tests.loopback import Script, Visit, serve

Send = Callable[[Player, str, dict[str, Any], dict[str, str]], bytes]
AT_ONCE = 32


def by_requests(player: Player, url: str, payload: Any, headers: dict[str, str]) -> bytes:
    with requests.Session() as session:
        return player.mount(session).post(url, json=payload, headers=headers).content


def by_httpx(player: Player, url: str, payload: Any, headers: dict[str, str]) -> bytes:
    with httpx.Client(transport=player.httpx_transport(httpx)) as client:
        return client.post(url, json=payload, headers=headers).content


def by_async_httpx2(player: Player, url: str, payload: Any, headers: dict[str, str]) -> bytes:
    async def send() -> bytes:
        async with httpx2.AsyncClient(transport=player.httpx_transport(httpx2)) as client:
            return (await client.post(url, json=payload, headers=headers)).content

    return asyncio.run(send())


EVERY_LIBRARY = pytest.mark.parametrize("send", [by_requests, by_httpx, by_async_httpx2])


def numbered(number: int, visit: Visit) -> Script:
    return Script(chunks=1, usage=False, headers=(("x-number", str(number)),))


@pytest.fixture(scope="module")
def identical(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A store with identical requests, each of which got another answer; and their URL."""
    store = f"sqlite:///{tmp_path_factory.mktemp('identical')}/store.db"
    with serve(numbered) as server, Recorder(store) as recorder, requests.Session() as session:
        recorder.mount(session)
        for _ in range(AT_ONCE):
            session.post(server.url, json=ask("a"))
        return store, server.url


def in_threads(send: Callable[[], Any]) -> list[str]:
    barrier = threading.Barrier(AT_ONCE)

    def once(_: int) -> str:
        barrier.wait(30)
        return str(send().headers["x-number"])

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(once, range(AT_ONCE)))


def threads_of_requests(player: Player, url: str) -> list[str]:
    with requests.Session() as session:
        player.mount(session)
        return in_threads(lambda: session.post(url, json=ask("a")))


def threads_of_httpx(player: Player, url: str) -> list[str]:
    with httpx.Client(transport=player.httpx_transport(httpx)) as client:
        return in_threads(lambda: client.post(url, json=ask("a")))


def tasks(module: ModuleType) -> Callable[[Player, str], list[str]]:
    async def send(player: Player, url: str) -> list[str]:
        async with module.AsyncClient(transport=player.httpx_transport(module)) as client:
            answers = await asyncio.gather(*(client.post(url, json=ask("a")) for _ in range(AT_ONCE)))
        return [answer.headers["x-number"] for answer in answers]

    return lambda player, url: asyncio.run(send(player, url))


@pytest.mark.parametrize("match", [None, Match(ignore=("/user",), headers=("content-type",))], ids=["strict", "rules"])
@pytest.mark.parametrize(
    "send",
    [threads_of_requests, threads_of_httpx, tasks(httpx), tasks(httpx2)],
    ids=["requests", "httpx", "async httpx", "async httpx2"],
)
def test_identical_requests_at_one_time_are_each_served_once(
    identical: tuple[str, str], send: Callable[[Player, str], list[str]], match: Match | None
) -> None:
    store, url = identical
    with pytest.raises(CassetteExhausted), Player(store, match=match) as player:
        assert sorted(map(int, send(player, url))) == list(range(AT_ONCE))
        assert player.unplayed == ()
        with pytest.raises(CassetteExhausted, match=f"was recorded {AT_ONCE} times"):
            by_requests(player, url, ask("a"), {})


def test_identical_requests_one_after_the_other_get_their_answers_in_order(identical: tuple[str, str]) -> None:
    store, url = identical
    with Player(store) as player, requests.Session() as session:
        player.mount(session)
        found = [session.post(url, json=ask("a")).headers["x-number"] for _ in range(AT_ONCE)]
    assert found == [str(number) for number in range(AT_ONCE)]


def tool_result(call: str, other: str, day: str) -> dict[str, Any]:
    calls = [
        {"id": each, "type": "function", "function": {"name": "price", "arguments": "{}"}} for each in (call, other)
    ]
    return {
        "model": "m-2024-08-06",
        "metadata": {"request_id": str(uuid4())},
        "messages": [
            {"role": "system", "content": f"Today is {day}."},
            {"role": "assistant", "tool_calls": calls},
            {"role": "tool", "tool_call_id": call, "content": "1.07"},
            {"role": "tool", "tool_call_id": other, "content": "1.27"},
        ],
    }


def call_id() -> str:
    return f"call_{uuid4().hex[:24]}"


@EVERY_LIBRARY
def test_a_conversation_whose_ids_and_dates_changed_is_answered_by_rules_alone(store_url: str, send: Send) -> None:
    payload = tool_result(call_id(), call_id(), "2026-11-29")
    url = record(store_url, Script(chunks=2), payload)
    changed = tool_result(call_id(), call_id(), "2026-11-30")
    match = Match(normalise=("ids", "dates", "tool_call_ids"))
    with Player(store_url, match=match) as player:
        assert player.match == match
        assert b"[1.27 1]" in send(player, url, changed, {})
    for others in (Match(), Match(normalise=("ids", "dates")), Match(normalise=("ids", "tool_call_ids"))):
        with pytest.raises(NoMatchingExchange), Player(store_url, match=others) as player:
            send(player, url, changed, {})
    confused = tool_result(call_id(), call_id(), "2026-11-30")
    first, second = confused["messages"][2:]
    first["tool_call_id"], second["tool_call_id"] = second["tool_call_id"], first["tool_call_id"]
    with pytest.raises(NoMatchingExchange) as missed, Player(store_url, match=match) as player:
        send(player, url, confused, {})
    assert missed.value.differences == (
        'body.messages[2].tool_call_id: "<call 1>" != "<call 2>"',
        'body.messages[3].tool_call_id: "<call 2>" != "<call 1>"',
    )
    assert "by the rules: normalise ids, dates, tool_call_ids" in str(missed.value)


@EVERY_LIBRARY
def test_headers_count_where_they_are_asked_for(sqlite_url: str, send: Send) -> None:
    with (
        serve(numbered) as server,
        Recorder(sqlite_url, redact=["header:x-desk"]) as recorder,
        requests.Session() as session,
    ):
        recorder.mount(session)
        for tenant in ("a", "b"):
            session.post(
                server.url, json=ask("x"), headers={"X-Tenant": tenant, "x-desk": "SECRET", "Authorization": "Bearer k"}
            )
        url = server.url
    match = Match(headers=("x-tenant", "x-desk", "authorization"))
    live = {"x-tenant": "b", "x-desk": "other", "authorization": "Bearer dummy"}
    with pytest.raises(NoMatchingExchange) as missed, Player(sqlite_url, match=match) as player:
        send(player, url, ask("x"), live)
        assert len(player.unplayed) == 1
        with pytest.raises(CassetteExhausted):
            send(player, url, ask("x"), live)
        with pytest.raises(NoMatchingExchange) as unknown:
            send(player, url, ask("x"), live | {"x-tenant": "c", "x-desk": "SECRET-2"})
        assert unknown.value.differences in ((f'header x-tenant: "{each}" != "c"',) for each in "ab")
        with pytest.raises(NoMatchingExchange) as without:
            send(player, url, ask("x"), {"x-tenant": "b", "x-desk": "SECRET-2"})
        assert "header authorization: " in str(without.value)
        assert not [miss for miss in player.misses if "SECRET" in str(miss)]
    assert isinstance(missed.value, CassetteExhausted)
    with Player(sqlite_url) as player:
        for _ in range(2):
            send(player, url, ask("x"), {})


def test_a_payload_that_came_in_pieces_is_read_whole(sqlite_url: str) -> None:
    def pieces(identity: str) -> Iterator[bytes]:
        yield b'{"id": "'
        yield identity.encode() + b'"}'

    with serve(Script(chunks=1)) as server, Recorder(sqlite_url) as recorder, requests.Session() as session:
        recorder.mount(session).post(server.url, data=pieces(str(uuid4())))
        url = server.url
    with Player(sqlite_url, match=Match(normalise=("ids",))) as player, requests.Session() as session:
        assert player.mount(session).post(url, data=pieces(str(uuid4()))).status_code == 200


def without_user(request: Request) -> Request:
    """Who asks does not count, wherever it is written."""
    return replace(request, payload=request.payload.replace(b"alice", b"*").replace(b"bob", b"*"))


@EVERY_LIBRARY
def test_a_callable_decides_what_is_compared(sqlite_url: str, send: Send) -> None:
    url = record(sqlite_url, Script(chunks=2), ask("for alice"))
    for custom in (without_user, f"{__name__}:without_user", lambda request: without_user(request)):
        with Player(sqlite_url, match=Match(custom=custom)) as player:
            assert b"[DONE]" in send(player, url, ask("for bob"), {})
    with pytest.raises(NoMatchingExchange, match=r"body\.messages\[0\]\.content: \"for \*\" != \"for carol\""):
        with Player(sqlite_url, match=Match(custom=without_user)) as player:
            send(player, url, ask("for carol"), {})


@EVERY_LIBRARY
def test_a_callable_that_fails_cannot_be_swallowed(sqlite_url: str, send: Send) -> None:
    url = record(sqlite_url, Script(chunks=1), ask("a"))

    def fails(request: Request) -> Request:
        raise KeyError("x")

    with pytest.raises(ConfigurationError, match="custom failed with KeyError"):
        with Player(sqlite_url, match=Match(custom=fails)) as player:
            with pytest.raises(ConfigurationError):
                send(player, url, ask("a"), {})


@EVERY_LIBRARY
def test_repeats_have_to_be_allowed_and_give_the_last_answer(identical: tuple[str, str], send: Send) -> None:
    store, url = identical
    for options in ({"allow_repeats": True}, {"match": Match(allow_repeats=True)}):
        with Player(store, **options) as player, requests.Session() as session:
            player.mount(session)
            assert player.match == Match(allow_repeats=True)
            found = [session.post(url, json=ask("a")).headers["x-number"] for _ in range(AT_ONCE + 3)]
            assert found[AT_ONCE - 1 :] == [str(AT_ONCE - 1)] * 4
            assert player.unplayed == ()
            assert send(player, url, ask("a"), {})
    rules = Match(ignore=("/user",))
    with Player(store, match=rules, allow_repeats=True) as player:
        assert player.match == Match(ignore=("/user",), allow_repeats=True)
        for user in range(AT_ONCE + 2):
            assert send(player, url, ask("a", user=user), {})


@EVERY_LIBRARY
def test_a_request_that_was_broken_off_is_not_repeated_for_ever(sqlite_url: str, send: Send) -> None:
    url = "http://127.0.0.1:9/chat/completions"
    broken = {"phase": "connect", "kind": "other"}
    first = ExchangeBuilder(1).request(ask("a"), url=url).event("request_failed", broken)
    second = ExchangeBuilder(2).request(ask("a"), url=url).response().chunks(b"data: 1\n\n").completed()
    last = ExchangeBuilder(3).request(ask("a"), url=url).event("request_failed", broken)
    with closing(open_store(sqlite_url, write=True)) as store:
        for made in (first, second, last):
            store.append([made.opened], made.events)
    with pytest.raises(CassetteExhausted), Player(sqlite_url, allow_repeats=True) as player:
        assert b"data: 1\n\n" in send(player, url, ask("a"), {})
        send(player, url, ask("a"), {})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"match": "loose"}, "match='loose' is not known: use 'strict' or a recorder.Match"),
        ({"match": {"ignore": ["/a"]}}, "is not known"),
        ({"allow_repeats": "yes"}, "allow_repeats='yes' is no truth value"),
        ({"match": Match(custom="tests.no_such_module:f")}, "import tests.no_such_module, or give match="),
    ],
)
def test_wrong_rules_are_refused_on_opening(sqlite_url: str, options: dict[str, Any], said: str) -> None:
    Recorder(sqlite_url).close()
    with pytest.raises(ConfigurationError) as refused:
        Player(sqlite_url, **options)
    assert said in str(refused.value)
