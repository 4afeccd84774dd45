"""A fault over recordings of several kinds: it happens where it can, and has to happen to something."""

from __future__ import annotations

import gzip
from collections.abc import Iterator

import pytest
import requests

from recorder import ConfigurationError, Player, Recorder
from recorder.faults import Fault, corrupt_gzip, cut, done_missing, error_in_stream, status
from tests.upstream import FRAMES
from tests.wire import Got, chunked, wire

PLAIN = b'{"data": []}'
STREAM = b"".join(FRAMES)


def _answer(request: Got) -> bytes:
    if request.target.startswith("/v1/chat"):
        return chunked(*FRAMES)
    coding, body = (b"gzip", gzip.compress(PLAIN, mtime=0)) if "zip" in request.target else (b"identity", PLAIN)
    return b"HTTP/1.1 200 OK\r\nContent-Encoding: %b\r\nContent-Length: %d\r\n\r\n%b" % (coding, len(body), body)


@pytest.fixture
def url(sqlite_url: str) -> Iterator[str]:
    """Records a list, a packed list and a stream, all of one conversation."""
    with wire(_answer) as server, Recorder(sqlite_url) as recorder, requests.Session() as session:
        with recorder.conversation("mixed"):
            recorder.mount(session).get(server.url + "/v1/models?page=1")
            session.get(server.url + "/v1/zipped")
            session.post(server.url + "/v1/chat", json={})
        yield server.url


def _asked(player: Player, url: str, *paths: str) -> list[bytes | str]:
    found: list[bytes | str] = []
    with requests.Session() as session:
        player.mount(session)
        for path in paths:
            try:
                method = session.post if path == "/v1/chat" else session.get
                answer = method(url + path, **({"json": {}} if path == "/v1/chat" else {}))
                found.append(answer.content if answer.ok else str(answer.status_code))
            except requests.RequestException as error:
                found.append(type(error).__name__)
    return found


ALL = ("/v1/models?page=1", "/v1/zipped", "/v1/chat")


@pytest.mark.parametrize(
    ("fault", "got"),
    [
        (cut(after_events=1, how="reset"), [PLAIN, PLAIN, "ChunkedEncodingError"]),
        (corrupt_gzip(12), [PLAIN, "ContentDecodingError", STREAM]),
    ],
    ids=str,
)
def test_a_fault_happens_to_the_answers_that_it_can_happen_to(
    fault: Fault, got: list[bytes | str], url: str, sqlite_url: str
) -> None:
    for given in (fault, {"mixed": fault}):
        with Player(sqlite_url, fault=given) as player:
            assert (_asked(player, url, *ALL), player.refused) == (got, ())


def test_a_fault_that_happened_to_nothing_that_was_asked_for_is_raised_on_leaving(url: str, sqlite_url: str) -> None:
    with pytest.raises(ConfigurationError, match="is not compressed"):
        with Player(sqlite_url, fault=corrupt_gzip(12)) as player:
            assert _asked(player, url, "/v1/models?page=1", "/v1/chat") == [PLAIN, STREAM]


def test_a_fault_that_can_happen_to_no_recording_is_raised_at_once(url: str, sqlite_url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"has no data: \[DONE\]"):
        with Player(sqlite_url, fault=done_missing()) as player:
            player.mount(requests.Session()).post(url + "/v1/chat", json={})


@pytest.mark.parametrize("key", ["POST /v1/chat", "POST {url}/v1/chat"])
def test_a_fault_of_some_requests_is_named_by_method_and_path(key: str, url: str, sqlite_url: str) -> None:
    faults = {key.format(url=url): error_in_stream(1), "GET /v1/models": status(503)}
    with Player(sqlite_url, fault=faults) as player:
        models, zipped, chat = _asked(player, url, *ALL)
    assert (models, zipped) == ("503", PLAIN)
    assert isinstance(chat, bytes)
    assert FRAMES[0] in chat
    assert FRAMES[1] not in chat


def test_each_key_has_to_happen_to_something(url: str, sqlite_url: str) -> None:
    with pytest.raises(ConfigurationError, match="is not compressed"):
        with Player(sqlite_url, fault={"POST /v1/chat": cut(after_events=1), "GET /v1/models": corrupt_gzip(1)}) as one:
            _asked(one, url, *ALL)
    with pytest.raises(ConfigurationError, match="no such request is recorded: name its method and path, as 'GET /v1/"):
        Player(sqlite_url, fault={"POST /v1/models": status(503)})
