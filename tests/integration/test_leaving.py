"""What comes out of a player's block in which a request was missed, or something went past it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter

from recorder import NoMatchingExchange, Player, Recorder, RecordingEnded
from recorder.api.leaving import leave
from tests.loopback import LoopbackServer, Script, serve


def ask(prompt: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": prompt}], "stream": True}


@pytest.fixture
def server(sqlite_url: str) -> Iterator[LoopbackServer]:
    """A server of which one exchange is recorded, and which goes on."""
    with serve(Script(chunks=1)) as server:
        with Recorder(sqlite_url) as recorder, requests.Session() as session:
            recorder.mount(session).post(server.url, json=ask("a"))
        yield server


def swallow(session: requests.Session, url: str) -> None:
    with suppress(NoMatchingExchange):
        session.post(url, json=ask("b"))


@pytest.mark.parametrize("raised", [KeyboardInterrupt(), SystemExit(0), GeneratorExit(), ValueError("own")])
def test_what_the_program_raises_comes_out_with_a_note_of_the_miss(
    sqlite_url: str, server: LoopbackServer, raised: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(type(raised)) as left, Player(sqlite_url) as player, requests.Session() as session:
        swallow(player.mount(session), server.url)
        raise raised
    assert left.value is raised
    (note,) = raised.__notes__
    assert note.startswith("recorder: before, POST http")
    assert "was never recorded" in note
    (told,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert told.message.startswith(f"recorder: {type(raised).__name__} leaves the block of a Player in which POST http")


def test_an_interrupt_while_a_miss_is_handled_is_not_replaced(sqlite_url: str, server: LoopbackServer) -> None:
    with pytest.raises(KeyboardInterrupt), Player(sqlite_url) as player, requests.Session() as session:
        try:
            player.mount(session).post(server.url, json=ask("b"))
        except NoMatchingExchange:
            raise KeyboardInterrupt from None


def test_what_was_made_of_a_miss_is_replaced_by_it(sqlite_url: str, server: LoopbackServer) -> None:
    with pytest.raises(NoMatchingExchange) as left, Player(sqlite_url) as player, requests.Session() as session:
        try:
            player.mount(session).post(server.url, json=ask("b"))
        except NoMatchingExchange as miss:
            raise ExceptionGroup("all", [OSError("renamed")]) from miss
    assert isinstance(left.value.__context__, ExceptionGroup)


def test_a_group_that_has_the_miss_comes_out_as_it_is(sqlite_url: str, server: LoopbackServer) -> None:
    with pytest.raises(ExceptionGroup) as left, Player(sqlite_url) as player, requests.Session() as session:
        try:
            player.mount(session).post(server.url, json=ask("b"))
        except NoMatchingExchange as miss:
            raise ExceptionGroup("all", [miss, ValueError("own")]) from None
    assert left.value.subgroup(ValueError) is not None


def test_reading_on_is_told_in_the_same_way(caplog: pytest.LogCaptureFixture) -> None:
    ended, own = RecordingEnded("here"), ValueError("own")
    with pytest.raises(RecordingEnded):
        leave(None, [], [ended])
    leave(own, [], [ended])
    assert own.__notes__ == ["recorder: before, here"]
    renamed = OSError("renamed")
    renamed.__cause__ = ended
    leave(renamed, [], [ended])
    assert not hasattr(renamed, "__notes__")
    assert len(caplog.records) == 1


class Stub(HTTPAdapter):
    """Answers by itself, without any network."""

    def send(self, request: requests.PreparedRequest, *args: object, **kwargs: object) -> requests.Response:
        answer = requests.Response()
        answer.status_code, answer.request, answer.url = 204, request, str(request.url)
        return answer


class Counting(HTTPAdapter):
    """Sends as any."""

    def send(self, *args: object, **kwargs: object) -> requests.Response:
        return super().send(*args, **kwargs)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [HTTPAdapter, Counting])
@pytest.mark.parametrize("gone", [False, True])
def test_an_adapter_that_is_mounted_afterwards_is_told(
    sqlite_url: str, server: LoopbackServer, kind: type[HTTPAdapter], gone: bool
) -> None:
    with pytest.raises(NoMatchingExchange, match="mounted for http:// after the player"), Player(sqlite_url) as player:
        session = player.mount(requests.Session())
        session.mount("http://", kind())
        assert session.post(server.url, json=ask("live")).ok
        if gone:
            del session
    assert len(player.misses) == 1


def test_an_adapter_that_a_closed_session_has_is_told(sqlite_url: str, server: LoopbackServer) -> None:
    with pytest.raises(NoMatchingExchange, match=f"mounted for {server.url} after"), Player(sqlite_url) as player:
        with player.mount(requests.Session()) as session:
            session.mount(server.url, HTTPAdapter())
            assert session.post(server.url, json=ask("live")).ok


def test_adapters_that_were_mounted_before_or_ask_nobody_are_not_told(sqlite_url: str, server: LoopbackServer) -> None:
    with Player(sqlite_url) as player, Player(sqlite_url) as other, requests.Session() as session:
        session.mount("http://", Counting())
        player.mount(session)
        session.mount("http://stub.example/", Stub())
        session.mount("file://", Counting())
        assert session.get("http://stub.example/").status_code == 204
        assert session.post(server.url, json=ask("a")).ok
        other.mount(session)
        with pytest.raises(requests.ConnectionError), requests.Session() as live:
            live.mount("http://", Counting())
            live.get("http://127.0.0.1:1/")
    assert player.misses == other.misses == ()
