"""The player: strict, offline, faithful to the byte; a miss cannot be hidden."""

from __future__ import annotations

import socket
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import httpx
import pytest
import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from recorder import (
    CassetteExhausted,
    ChainBroken,
    ConfigurationError,
    NoMatchingExchange,
    Player,
    Recorder,
    RecordingEnded,
    Store,
)
from tests.loopback import Script, serve


class TestClock:
    """A clock that only passes when somebody sleeps."""

    __test__ = False

    def __init__(self) -> None:
        self.now = 0

    def wall_ns(self) -> int:
        return self.now

    def monotonic_ns(self) -> int:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += round(seconds * 1e9)

    def new_id(self) -> bytes:
        return bytes(16)

    def secret(self, size: int) -> bytes:
        return bytes(size)


def ask(prompt: str, **more: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": prompt}], "stream": True, **more}


def record(url: str, script: Script, *payloads: dict[str, Any], **settings: Any) -> str:
    """Record the payloads one after the other; return the server's URL, which answers no more."""
    with serve(script) as server, Recorder(url, **settings) as recorder, requests.Session() as session:
        recorder.mount(session)
        for payload in payloads:
            response = session.post(server.url, json=payload, stream=True)
            try:
                list(response.iter_content(None))
            except requests.RequestException:
                continue
        return str(server.url)


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as opened:
        yield opened


def chunks(session: requests.Session, url: str, payload: dict[str, Any]) -> list[bytes]:
    return list(session.post(url, json=payload, stream=True).iter_content(None))


def test_the_same_chunks_on_both_engines_with_the_server_gone(store_url: str, session: requests.Session) -> None:
    script = Script(chunks=12, split_utf8=True, comments=True)
    url = record(store_url, script, ask("a"), ask("b"))
    with Player(store_url) as player:
        player.mount(session)
        for prompt in ("b", "a"):
            assert chunks(session, url, ask(prompt)) == script.frames(prompt)
        assert player.unplayed == ()
        assert player.misses == ()


def test_a_prompt_that_was_never_recorded_is_refused(sqlite_url: str, session: requests.Session) -> None:
    url = record(sqlite_url, Script(chunks=2), ask("a"), ask("b"), ask("c"))
    with pytest.raises(NoMatchingExchange, match="was never recorded; the nearest recording is") as refused:
        with Player(sqlite_url) as player:
            player.mount(session)
            session.post(url, json=ask("d"))
    assert refused.value.differences in (
        ('body.messages[0].content: "a" != "d"',),
        ('body.messages[0].content: "b" != "d"',),
        ('body.messages[0].content: "c" != "d"',),
    )
    assert len(refused.value.nearest) == 3


def test_a_miss_that_was_swallowed_comes_up_when_the_player_is_left(sqlite_url: str, session: requests.Session) -> None:
    url = record(sqlite_url, Script(chunks=2), ask("a"))
    with pytest.raises(NoMatchingExchange), Player(sqlite_url) as player:
        player.mount(session)
        for _ in range(2):
            with pytest.raises(NoMatchingExchange):
                session.post(url, json=ask("x"))
        assert len(player.misses) == 2


def test_another_error_inside_does_not_hide_the_miss(sqlite_url: str, session: requests.Session) -> None:
    url = record(sqlite_url, Script(chunks=2), ask("a"))
    with pytest.raises(NoMatchingExchange) as raised, Player(sqlite_url) as player:
        player.mount(session)
        try:
            session.post(url, json=ask("x"))
        except NoMatchingExchange as miss:
            raise ConnectionError("as an SDK would say") from miss
    assert isinstance(raised.value.__context__, ConnectionError)


def test_nothing_recorded_says_so(sqlite_url: str, session: requests.Session) -> None:
    Recorder(sqlite_url).close()
    with pytest.raises(NoMatchingExchange, match="the recording is empty"), Player(sqlite_url) as player:
        player.mount(session).get("http://127.0.0.1:9/")


def test_the_nth_identical_request_gets_the_nth_answer_once(sqlite_url: str, session: requests.Session) -> None:
    scripts = [Script(chunks=n + 1) for n in range(3)]
    with serve(lambda number, visit: scripts[number]) as server, Recorder(sqlite_url) as recorder:
        recorder.mount(session)
        live = [chunks(session, server.url, ask("same")) for _ in scripts]
        url = server.url
    with pytest.raises(CassetteExhausted, match="was recorded 3 times and is asked for once more"):
        with Player(sqlite_url) as player:
            offline = player.mount(requests.Session())
            assert [chunks(offline, url, ask("same")) for _ in scripts] == live
            offline.post(url, json=ask("same"))


def test_concurrent_identical_requests_are_each_served_once(sqlite_url: str) -> None:
    url = record(sqlite_url, Script(chunks=3), *[ask("same")] * 16)
    with Player(sqlite_url) as player, ThreadPoolExecutor(8) as pool:
        session = player.mount(requests.Session())
        found = list(pool.map(lambda _: b"".join(chunks(session, url, ask("same"))), range(16)))
        assert found == [Script(chunks=3).body("same")] * 16
        assert player.unplayed == ()


def test_json_is_compared_as_a_value(sqlite_url: str, session: requests.Session) -> None:
    url = record(sqlite_url, Script(chunks=2), ask("a", temperature=1))
    body = b'{"temperature": 1.0, "stream": true,\n "messages": [{"content": "\\u0061", "role": "user"}], "model": "m"}'
    with pytest.raises(NoMatchingExchange, match=r"body.temperature: 1 != 1\.5"):
        with Player(sqlite_url) as player:
            player.mount(session)
            assert session.post(url, data=body).status_code == 200
            session.post(url, json=ask("a", temperature=1.5))


def test_a_marker_equals_any_value_at_its_place(sqlite_url: str, session: requests.Session) -> None:
    with serve(Script(chunks=2)) as server, Recorder(sqlite_url, redact=["body:account"]) as recorder:
        live = recorder.mount(requests.Session())
        live.post(f"{server.url}?key=live", json=ask("a", account="DE-1"), headers={"Authorization": "Bearer live"})
        url = server.url
    with Player(sqlite_url) as player:
        player.mount(session)
        answer = session.post(
            f"{url}?key=dummy", json=ask("a", account="other"), headers={"Authorization": "Bearer ci"}
        )
        assert answer.status_code == 200


@pytest.mark.parametrize(
    ("recorded", "asked"),
    [
        ({"password": "real", "z": "1"}, {"password": "dummy", "z": "1"}),
        ([b"ab", b"cd"], [b"abc", b"d"]),
        ([b'{"pass', b'word":"real","a":1}'], [b'{"password":"dummy","a":1}']),
        (b"neither JSON nor a form", b"neither JSON nor a form"),
    ],
    ids=["form", "generator", "generator of JSON", "text"],
)
def test_a_redacted_value_equals_any_other_in_every_kind_of_payload(
    sqlite_url: str, session: requests.Session, recorded: Any, asked: Any
) -> None:
    def payload(data: Any) -> Any:
        return iter(data) if isinstance(data, list) else data

    with serve(Script(chunks=2)) as server, Recorder(sqlite_url, redact=["body:password"]) as recorder:
        url = server.url
        recorder.mount(requests.Session()).post(url, data=payload(recorded))
        recorder.mount(requests.Session()).post(url, data=payload(recorded))
    with Player(sqlite_url) as player:
        player.mount(session)
        assert session.post(url, data=payload(recorded)).status_code == 200
        assert session.post(url, data=payload(asked)).status_code == 200


def test_streamed_payloads_match_once_they_are_whole(sqlite_url: str, session: requests.Session) -> None:
    def pieces() -> Iterator[bytes]:
        yield b'{"messages": [{"role": "user", '
        yield b'"content": "a"}]}'

    with serve(Script(chunks=2)) as server, Recorder(sqlite_url) as recorder:
        live = recorder.mount(requests.Session()).post(server.url, data=pieces()).content
        url = server.url
    with Player(sqlite_url) as player:
        player.mount(session)
        assert session.post(url, data=pieces()).content == live


def test_a_recorded_cut_is_the_same_exception_after_the_same_bytes(sqlite_url: str, session: requests.Session) -> None:
    script = Script(chunks=20, cut_after=7)
    with serve(script) as server, Recorder(sqlite_url) as recorder:
        live = _until_error(recorder.mount(requests.Session()), server.url)
        url = server.url
    with Player(sqlite_url) as player:
        assert _until_error(player.mount(session), url) == live
    assert live[1][0] == "ChunkedEncodingError"
    assert len(live[0]) == 7


def _until_error(session: requests.Session, url: str) -> tuple[list[bytes], tuple[str, str]]:
    taken: list[bytes] = []
    try:
        for chunk in session.post(url, json=ask("a"), stream=True).iter_content(None):
            taken.append(chunk)
    except requests.RequestException as error:
        return taken, (type(error).__name__, str(error))
    raise AssertionError("no error came")


def test_a_refused_connection_is_refused_again(sqlite_url: str, session: requests.Session) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/chat/completions"
    with Recorder(sqlite_url) as recorder, pytest.raises(requests.ConnectionError) as live:
        recorder.mount(requests.Session()).post(url, json=ask("a"))
    with Player(sqlite_url) as player, pytest.raises(requests.ConnectionError) as offline:
        player.mount(session).post(url, json=ask("a"))
    assert type(offline.value.args[0].reason) is type(live.value.args[0].reason)
    assert "Connection refused" in str(offline.value)


def test_retries_of_the_user_run_again(sqlite_url: str) -> None:
    def adapter() -> HTTPAdapter:
        return HTTPAdapter(max_retries=Retry(3, backoff_factor=0, status_forcelist=[503], allowed_methods=None))

    scripts = [Script(status=503), Script(status=503), Script(chunks=2)]
    live, offline = requests.Session(), requests.Session()
    for each in (live, offline):
        each.mount("http://", adapter())
    with serve(lambda number, visit: scripts[number]) as server, Recorder(sqlite_url) as recorder:
        body = recorder.mount(live).post(server.url, json=ask("a")).content
        url = server.url
    with Player(sqlite_url) as player:
        assert player.mount(offline).post(url, json=ask("a")).content == body
        assert player.unplayed == ()


def test_reading_on_where_the_recorded_consumer_had_closed(sqlite_url: str, session: requests.Session) -> None:
    with serve(Script(chunks=50, gap=0.005)) as server, Recorder(sqlite_url) as recorder:
        response = recorder.mount(requests.Session()).post(server.url, json=ask("a"), stream=True)
        taken = [chunk for chunk, _ in zip(response.iter_content(None), range(10), strict=False)]
        response.close()
        url = server.url
    again: list[bytes] = []
    with pytest.raises(RecordingEnded, match=r"ends here \(consumer closed\)"):
        with Player(sqlite_url) as player:
            for chunk in player.mount(session).post(url, json=ask("a"), stream=True).iter_content(None):
                again.append(chunk)
    assert again[:10] == taken
    assert len(again) < 50


@pytest.mark.parametrize("library", ["requests", "httpx"])
def test_reading_on_is_told_also_where_the_program_swallows_it(
    library: str, sqlite_url: str, session: requests.Session
) -> None:
    def read(player: Player, most: int) -> list[bytes]:
        if library == "requests":
            with player.mount(session).post(url, json=ask("a"), stream=True) as response:
                return [chunk for _, chunk in zip(range(most), response.iter_content(None), strict=False)]
        with httpx.Client(transport=player.httpx_transport(httpx)) as client:
            with client.stream("POST", url, json=ask("a")) as response:
                return [chunk for _, chunk in zip(range(most), response.iter_raw(), strict=False)]

    with serve(Script(chunks=50, gap=0.005)) as server, Recorder(sqlite_url) as recorder:
        with recorder.mount(requests.Session()).post(server.url, json=ask("a"), stream=True) as live:
            taken = next(live.iter_content(None))
        url = server.url
    with Player(sqlite_url) as player:
        assert read(player, 1) == [taken]
    assert player.ended == ()
    with pytest.raises(RecordingEnded, match=r"ends here \(consumer closed\)"):
        with Player(sqlite_url) as player, suppress(Exception):
            read(player, 50)
    assert len(player.ended) == 1
    with pytest.raises(RuntimeError, match="as SDKs wrap it"):
        with Player(sqlite_url) as player:
            try:
                read(player, 50)
            except RecordingEnded as error:
                raise RuntimeError("as SDKs wrap it") from error


def test_pace_is_that_of_the_recording_on_a_clock_that_tests_drive(sqlite_url: str, session: requests.Session) -> None:
    url = record(sqlite_url, Script(chunks=5, gap=0.02), ask("a"))
    with Store(sqlite_url) as store:
        (listed,) = store.exchanges()
    for factor in (0.0, 1.0, 10.0):
        clock = TestClock()
        with Player(sqlite_url, pace=factor, clock=clock) as player:
            player.mount(requests.Session()).post(url, json=ask("a"))
        assert clock.now / 1e6 == pytest.approx(listed["duration_ms"] * factor, rel=0.05)


@pytest.mark.parametrize("settings", [{"match": "loose"}, {"pace": -1.0}, {"pace": float("inf")}, {"pace": "x"}])
def test_settings_that_make_no_sense(sqlite_url: str, settings: dict[str, Any]) -> None:
    Recorder(sqlite_url).close()
    with pytest.raises(ConfigurationError):
        Player(sqlite_url, **settings)


def test_a_recording_that_was_changed_is_not_played(sqlite_url: str, session: requests.Session) -> None:
    url = record(sqlite_url, Script(chunks=4), ask("a"), ask("b"))
    connection = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))
    connection.execute("DROP TRIGGER events_no_update")
    at = connection.execute("SELECT min(position) FROM event_log WHERE type = 'chunk_received'").fetchone()
    connection.execute(
        "UPDATE events SET body = CAST(replace(CAST(body AS TEXT), 'd', 'D') AS BLOB) WHERE position = ?", at
    )
    connection.commit()
    connection.close()
    with pytest.raises(ChainBroken, match=r"does not verify.*recorder verify") as left, Player(sqlite_url) as player:
        player.mount(session)
        with pytest.raises(ChainBroken) as refused:
            session.post(url, json=ask("a"))
        assert session.post(url, json=ask("b")).status_code == 200
    assert left.value is refused.value
    assert left.value.position == at[0]


def test_an_open_store_is_left_open(sqlite_url: str, session: requests.Session) -> None:
    url = record(sqlite_url, Script(chunks=2), ask("a"))
    with Store(sqlite_url) as store:
        with Player(store) as player:
            player.mount(session).post(url, json=ask("a"))
        assert len(list(store.exchanges())) == 1


def test_the_users_adapter_is_not_touched(sqlite_url: str) -> None:
    Recorder(sqlite_url).close()
    session = requests.Session()
    before = dict(session.adapters)
    with Player(sqlite_url) as player:
        player.mount(session)
        mounted = dict(session.adapters)
        assert player.mount(session) is session
        assert dict(session.adapters) == mounted
    assert mounted["http://"] is not before["http://"]
    assert isinstance(mounted["http://"], HTTPAdapter)
    assert before["http://"].poolmanager.pool_classes_by_scheme["http"].__module__ == "urllib3.connectionpool"
