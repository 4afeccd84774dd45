"""The replay server: one recording answers every client; matching, misses, and what it tells of itself."""

from __future__ import annotations

import asyncio
import errno
import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import httpx
import openai
import pytest
import requests

from recorder import ConfigurationError, Match, NoMatchingExchange, Player, Recorder, Store
from tests.integration.test_replay import ask, record
from tests.loopback import Script, serve
from tests.raw_client import Wire, asked, request
from tests.served import PATH, tapes, wire_of


def test_one_recording_answers_every_client(recorded: str) -> None:
    (tape, *_) = tapes(recorded)
    frames = Script(chunks=6).frames("a")
    with Player(recorded) as player, player.serve() as url, requests.Session() as session:
        answer = session.post(url + PATH, json=ask("a"), headers={"Authorization": "Bearer dummy"}, stream=True)
        assert list(answer.iter_content(None)) == frames
    with Player(recorded) as player, player.serve() as url, httpx.Client() as client:
        with client.stream("POST", url + PATH, json=ask("a")) as streamed:
            assert b"".join(streamed.iter_raw()) == b"".join(frames)
    with Player(recorded) as player, player.serve() as url:
        assert asked(url, PATH, ask("a")).data == wire_of(tape)


def test_the_sdk_of_openai_streams_by_its_base_url_and_does_not_retry_a_miss(player: Player) -> None:
    with player.serve() as url:
        with openai.OpenAI(base_url=f"{url}/v1", api_key="dummy", max_retries=3) as client:
            stream = client.chat.completions.create(model="m", messages=[{"role": "user", "content": "a"}], stream=True)
            text = "".join(choice.delta.content or "" for chunk in stream for choice in chunk.choices)
            assert text == Script(chunks=6).text("a", 0)
            with pytest.raises(openai.NotFoundError, match="was never recorded; the nearest recording is") as raised:
                client.chat.completions.create(model="m", messages=[{"role": "user", "content": "z"}], stream=True)
        assert len(player.misses) == 1
        assert isinstance(raised.value.body, dict)
        assert raised.value.body["differences"] == ['body.messages[0].content: "a" != "z"']


def test_what_httpx_recorded_is_answered_to_others(sqlite_url: str) -> None:
    frames = Script(chunks=6).frames("a")
    with serve(Script(chunks=6)) as origin, Recorder(sqlite_url) as recorder:
        transport = recorder.httpx_transport(httpx.HTTPTransport())
        with httpx.Client(transport=transport) as client:
            for _ in range(2):
                assert client.post(origin.url, json=ask("a")).content == b"".join(frames)
    with Player(sqlite_url) as player, player.serve() as url, requests.Session() as session:
        assert session.post(url + PATH, json=ask("a")).content == b"".join(frames)
    with Player(sqlite_url) as player, player.serve() as url, Wire(url) as wire:
        for tape in tapes(sqlite_url):
            wire.ask(PATH, ask("a"))
            assert wire.answer().data == wire_of(tape)


def test_a_connection_is_used_again_also_for_what_was_sent_ahead(recorded: str) -> None:
    with Player(recorded) as player, player.serve() as url, Wire(url) as wire:
        wire.send(request(PATH, ask("a")) + request(PATH, ask("b")) + request("/_recorder/health", method="GET"))
        came = wire.until(lambda data: data.endswith(b'{"ok": true}\n'))
        first, _, third = tapes(recorded)
        assert came.data.startswith(wire_of(first) + wire_of(third))


def test_fifty_at_once_are_each_served_once(store_url: str) -> None:
    record(store_url, Script(chunks=3), *[ask("same")] * 50)
    with Player(store_url) as player, player.serve() as url, ThreadPoolExecutor(50) as pool:
        came = list(pool.map(lambda _: asked(url, PATH, ask("same")), range(50)))
        assert {each.data for each in came} == {wire_of(tapes(store_url)[0])}
        assert player.unplayed == ()


def test_the_nth_request_gets_the_nth_answer_and_no_more(sqlite_url: str) -> None:
    with serve(Script(status=500, error="{}"), Script(chunks=2)) as server, Recorder(sqlite_url) as recorder:
        with requests.Session() as session:
            for _ in range(2):
                recorder.mount(session).post(server.url, json=ask("a"))
    player = Player(sqlite_url)
    with player.serve() as url:
        assert [asked(url, PATH, ask("a")).status for _ in range(3)] == [500, 200, 404]
        refused = asked(url, PATH, ask("a"))
        assert refused.error["code"] == "cassette_exhausted"
        assert "was recorded 2 times" in refused.error["message"]
    with pytest.raises(NoMatchingExchange), player:
        pass


def test_rules_of_matching_hold_over_the_network(recorded: str) -> None:
    rules = Match(ignore=["/messages/*/content"], headers=["Content-Type"], allow_repeats=True)
    plain, json_ = "Content-Type: text/plain", "Content-Type: application/json"
    player = Player(recorded, match=rules)
    with player.serve() as url:
        fault = "X-Recorder-Fault: status:429"
        assert [asked(url, PATH, ask("any"), json_, *more).status for more in ((), (), (fault,), ())] == [
            200,
            200,
            429,
            200,
        ]
        assert asked(url, PATH, ask("any"), plain).status == 404
    assert len(player.misses) == 1
    player.close()


def test_a_miss_says_what_is_nearest_and_is_not_retried(player: Player) -> None:
    with player.serve() as url:
        came = asked(url, PATH, ask("c"))
    assert came.status == 404
    assert b"\r\nx-should-retry: false\r\n" in came.data.lower()
    assert came.error["type"] == "no_matching_exchange"
    assert came.error["nearest"]
    assert came.error["differences"] == ['body.messages[0].content: "a" != "c"']
    assert str(player.misses[0]) == came.error["message"]


def test_what_the_server_tells_of_itself_and_how_it_begins_again(player: Player) -> None:
    with player.serve() as url:
        for prompt in ("a", "x"):
            asked(url, PATH, ask(prompt))
        status = json.loads(asked(url, "/_recorder/status", method="GET").body)
        assert (status["asked"], status["answered"], status["recorded"]) == (2, 1, 3)
        assert [miss["request"].split("/", 3)[3] for miss in status["misses"]] == ["v1/chat/completions"]
        assert len(status["unplayed"]) == 2
        assert asked(url, "/_recorder/reset").status == 403
        assert asked(url, "/_recorder/reset", method="GET").status == 405
        assert asked(url, "/_recorder/reset", None, "X-Recorder: 1").status == 200
        status = json.loads(asked(url, "/_recorder/status?now", method="GET").body)
        assert (len(status["misses"]), len(status["unplayed"])) == (0, 3)
        assert [asked(url, PATH, ask("a")).status for _ in range(3)] == [200, 200, 404]
        assert asked(url, "/_recorder/nonsense", method="GET").status == 404
        head = asked(url, "/_recorder/health", method="HEAD")
        assert (head.status, head.body) == (200, b"")
    assert len(player.misses) == 2  # a reset takes no miss back


def test_several_origins(sqlite_url: str) -> None:
    with serve(Script(chunks=1)) as one, serve(Script(chunks=2)) as two, Recorder(sqlite_url) as recorder:
        with requests.Session() as session:
            recorder.mount(session)
            for url in (one.url, two.url, one.url):
                session.post(url, json=ask("a"))
            session.post(two.url, json=ask("only two"))
    first, second, third, fourth = map(wire_of, tapes(sqlite_url))
    player = Player(sqlite_url)
    origins = [urlsplit(each.url).netloc for each in (one, two)]
    with player.serve() as url:
        refused = asked(url, PATH, ask("a"))
        assert refused.status == 404
        assert all(f"http://{origin}" in refused.error["message"] for origin in origins)
        assert asked(url, PATH, ask("only two")).data == fourth
        assert asked(url, f"/http/{origins[1]}{PATH}", ask("a")).data == second
        assert asked(url, PATH, ask("a")).data == first  # of the other one nothing is left
        assert asked(url, f"http://{origins[0]}{PATH}", ask("a")).data == third
        assert asked(url, f"/http/{origins[1]}{PATH}", ask("a")).error["code"] == "cassette_exhausted"
        assert asked(url, f"/http/elsewhere.example{PATH}", ask("a")).error["code"] == "no_matching_exchange"
    with Player(sqlite_url) as player, player.serve(origin=f"http://{origins[1]}/") as url:
        assert asked(url, PATH, ask("a")).data == second
    with Player(sqlite_url) as player, pytest.raises(ConfigurationError, match="nothing was recorded of the origin"):
        player.serve(origin="https://elsewhere.example")


def test_a_request_through_a_proxy_is_found_by_its_absolute_url(recorded: str, player: Player) -> None:
    (asked_at,) = {row["url"] for row in Store(recorded).exchanges()}
    with player.serve() as url, requests.Session() as session:
        session.trust_env = False
        session.proxies = {"http": url}
        assert session.post(asked_at, json=ask("b")).text.endswith("[DONE]\n\n")
        assert session.post("http://elsewhere.example/v1", json=ask("b")).status_code == 404
        assert len(player.misses) == 1


def test_a_changed_recording_is_not_played(sqlite_url: str) -> None:
    import sqlite3

    record(sqlite_url, Script(chunks=2), ask("a"))
    with sqlite3.connect(sqlite_url.removeprefix("sqlite:///")) as database:
        database.execute("DROP TRIGGER IF EXISTS events_are_never_updated")
        for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type='trigger'").fetchall():
            database.execute(f'DROP TRIGGER "{name}"')
        database.execute("UPDATE events SET body = X'00' WHERE type = 5")
    player = Player(sqlite_url)
    with player.serve() as url:
        came = asked(url, PATH, ask("a"))
    player.close()
    assert (came.status, came.error["code"]) == (404, "corrupt_recording")
    assert "is not what was written" in came.error["message"]


def test_a_port_that_is_taken_is_told(player: Player) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"port {port} cannot be listened at"), player.serve(port=port):
            pass


def test_it_can_be_awaited_in_a_loop_of_ones_own(recorded: str) -> None:
    async def run() -> bytes:
        with Player(recorded) as player:
            server = player.server(host="localhost")
            url = await server.start()
            async with httpx.AsyncClient() as client:
                answer = await client.post(url + PATH, json=ask("a"))
            await server.close()
            await server.close()
            return answer.content

    assert asyncio.run(run()) == b"".join(Script(chunks=6).frames("a"))


def test_what_the_system_refuses_is_told_once(recorded: str, caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        with Player(recorded) as player:
            server = player.server()
            loop = asyncio.get_running_loop()
            for _ in range(3):
                refused = OSError(errno.EMFILE, "Too many open files")
                server.loop_failed(loop, {"message": "accept() failed.", "exception": refused})
            server.loop_failed(loop, {"message": "a defect"})

    asyncio.run(run())
    assert [each.getMessage() for each in caplog.records] == ["accept() failed: Too many open files", "a defect"]


def test_nothing_is_left_behind(recorded: str) -> None:
    before = threading.active_count()
    with Player(recorded) as player:
        with player.serve() as url:
            idle = Wire(url)
            idle.ask(PATH, ask("a"))
            idle.answer()
        assert idle.until_the_end().end in ("closed", "reset")
        idle.close()
    assert threading.active_count() <= before


def test_a_redirect_to_elsewhere_is_told(sqlite_url: str, caplog: pytest.LogCaptureFixture) -> None:
    with serve(Script(status=307, error="", headers=(("Location", "https://gateway.example/v1"),))) as server:
        with Recorder(sqlite_url) as recorder, requests.Session() as session:
            recorder.mount(session).post(server.url, json=ask("a"), allow_redirects=False)
    with Player(sqlite_url) as player, player.serve() as url:
        assert asked(url, PATH, ask("a")).status == 307
    assert "redirects to https://gateway.example: the client will ask there, not here" in caplog.text
