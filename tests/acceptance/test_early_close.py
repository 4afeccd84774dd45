"""A consumer that leaves early: the server learns of it at once, and the recording says what was taken."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Iterator

import pytest
import requests

from recorder import Player, Recorder, RecordingEnded
from recorder.core.events import Event
from tests.loopback import LoopbackServer, Script, serve
from tests.recorded import ask, end, exchanges, only, types, until
from tests.wire import chunked, wire

LONG = Script(chunks=200, gap=0.01)


# What is dropped leaves its socket to the garbage collector, with the warning that Python has for that.
_dropping = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"
)


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with serve(LONG) as served:
        yield served


def _taken(events: list[Event], kind: str) -> int:
    ended = end(events)
    assert ended.type == kind
    return int(ended.facts["taken"])


def test_a_close_after_10_of_200_chunks_reaches_the_server_within_2(server: LoopbackServer, store_url: str) -> None:
    with Recorder(store_url) as recorder:
        session = recorder.mount(requests.Session())
        response = ask(session, server.url, "early")
        pieces = response.iter_content(None)
        got = b"".join(next(pieces) for _ in range(10))
        response.close()
        (visit,) = server.visits(1)
    assert visit.gone_after is not None
    assert 10 <= visit.gone_after <= 12
    events = only(store_url)
    assert _taken(events, "consumer_closed") == len(got)
    ((_, exchange),) = exchanges(store_url).items()
    assert exchange.body.startswith(got)
    again = []
    with pytest.raises(RecordingEnded, match="consumer closed"):
        with Player(store_url) as player, player.mount(requests.Session()) as session:
            for piece in ask(session, server.url, "early").iter_content(None):
                again.append(piece)
    assert b"".join(again[:10]) == got


def test_a_with_block_that_is_left_closes(server: LoopbackServer, sqlite_url: str) -> None:
    with Recorder(sqlite_url) as recorder:
        with ask(recorder.mount(requests.Session()), server.url, "with") as response:
            first = next(response.iter_content(None))
        server.visits(1)
    assert _taken(only(sqlite_url), "consumer_closed") == len(first)


def test_a_generator_that_is_closed_closes(server: LoopbackServer, sqlite_url: str) -> None:
    def words(session: requests.Session) -> Iterator[bytes]:
        with ask(session, server.url, "generator") as response:
            yield from response.iter_content(None)

    with Recorder(sqlite_url) as recorder:
        generator = words(recorder.mount(requests.Session()))
        got = next(generator) + next(generator)
        generator.close()
        server.visits(1)
    assert _taken(only(sqlite_url), "consumer_closed") == len(got)


def test_bytes_that_were_read_ahead_but_not_taken_are_told_apart(server: LoopbackServer, sqlite_url: str) -> None:
    with Recorder(sqlite_url) as recorder:
        response = ask(recorder.mount(requests.Session()), server.url, "by 7")
        pieces = response.iter_content(7)
        got = next(pieces) + next(pieces)
        response.close()
        server.visits(1)
    events = only(sqlite_url)
    ended = end(events)
    assert _taken(events, "consumer_closed") == len(got) == 14
    assert ended.facts["received"] == sum(len(e.body or b"") for e in events if e.type == "chunk_received") > 14


@_dropping
def test_a_response_that_is_dropped_is_abandoned(server: LoopbackServer, sqlite_url: str) -> None:
    with Recorder(sqlite_url) as recorder:
        session = recorder.mount(requests.Session())
        response = ask(session, server.url, "dropped")
        first = response.raw.read(20)
        del response
        gc.collect()
        server.visits(1)
        until(lambda: recorder.flush() and recorder.health().pending_bytes == 0)
        assert _taken(only(sqlite_url), "consumer_abandoned") == len(first)


@_dropping
def test_an_iterator_that_is_dropped_closes(server: LoopbackServer, sqlite_url: str) -> None:
    """urllib3 closes the connection there and then: to the server and to us this is a close."""
    with Recorder(sqlite_url) as recorder:
        pieces = ask(recorder.mount(requests.Session()), server.url, "dropped").iter_content(None)
        first = next(pieces)
        del pieces
        server.visits(1)
    assert _taken(only(sqlite_url), "consumer_closed") == len(first)


FRAMES = (b"data: one\n\n", b"data: two\n\n", b"data: [DONE]\n\n")
WHOLE = b"".join(FRAMES)


@_dropping
@pytest.mark.parametrize(("leave", "told"), [("close", "consumer_closed"), ("drop", "consumer_abandoned")])
def test_a_response_that_had_arrived_whole_is_complete_and_left_early(leave: str, told: str, sqlite_url: str) -> None:
    with wire(lambda _: chunked(*FRAMES)) as server, Recorder(sqlite_url) as recorder:
        response = ask(recorder.mount(requests.Session()), server.url, "whole")  # one segment: head and body
        assert response.raw.read(5) == WHOLE[:5]
        if leave == "close":
            response.close()
            response.close()
        del response
        gc.collect()
    events = only(sqlite_url)
    assert types(events)[-2:] == ["response_completed", told]
    assert events[-1].facts == {"taken": 5, "received": len(WHOLE)}
    ((_, exchange),) = exchanges(sqlite_url).items()
    assert exchange.transport_end == "response_completed"
    with Player(sqlite_url) as player:  # what had arrived is known: reading on is no end of the recording
        assert ask(player.mount(requests.Session()), server.url, "whole").content == WHOLE


def test_a_consumer_that_took_everything_and_closes_says_nothing_more(sqlite_url: str) -> None:
    with wire(lambda _: chunked(*FRAMES)) as server, Recorder(sqlite_url) as recorder:
        response = ask(recorder.mount(requests.Session()), server.url, "whole")
        got = b""
        for piece in response.iter_content(1):
            got += piece
            if got == WHOLE:
                break  # as the openai client does at [DONE]: the last frame of the wire stays unread
        response.close()
    assert types(only(sqlite_url))[-1] == "response_completed"


def test_a_thread_may_close_what_another_one_reads(server: LoopbackServer, sqlite_url: str) -> None:
    got: list[bytes] = []
    failed: list[BaseException] = []

    def read(response: requests.Response) -> None:
        try:
            got.extend(response.iter_content(None))
        except Exception as error:
            failed.append(error)  # which one depends on where the close came; the bare run raises it too

    with Recorder(sqlite_url) as recorder:
        response = ask(recorder.mount(requests.Session()), server.url, "other thread")
        reader = threading.Thread(target=read, args=(response,))
        reader.start()
        until(lambda: len(got) >= 5)
        response.close()
        reader.join(10)
        assert not reader.is_alive()
        (visit,) = server.visits(1)
    assert visit.gone_after is not None
    assert visit.gone_after < 200
    events = only(sqlite_url)
    assert end(events).type == "consumer_closed"
    assert events[-1] is end(events)
    ((_, exchange),) = exchanges(sqlite_url).items()
    assert exchange.body.startswith(b"".join(got))


@_dropping
def test_many_that_are_dropped_in_cycles_while_others_record(sqlite_url: str) -> None:
    """The garbage collector finalizes responses in whatever thread and at whatever place it likes."""
    stop = threading.Event()
    done: list[int] = []

    def work(session: requests.Session, url: str, number: int) -> None:
        turn = 0
        while not stop.is_set():
            response = ask(session, url, f"{number}-{turn}")
            response.raw.read(64)
            cycle = [response]
            cycle.append(cycle)  # type: ignore[arg-type]
            del response, cycle
            turn += 1
            done.append(turn)

    before = gc.get_threshold()
    gc.set_threshold(50, 2, 2)
    try:
        with serve(Script(chunks=30, gap=0.001)) as server, Recorder(sqlite_url) as recorder:
            session = recorder.mount(requests.Session())
            threads = [threading.Thread(target=work, args=(session, server.url, n), daemon=True) for n in range(4)]
            for thread in threads:
                thread.start()
            time.sleep(1.5)
            stop.set()
            for thread in threads:
                thread.join(20)
                assert not thread.is_alive()
            gc.collect()
    finally:
        gc.set_threshold(*before)
    found = exchanges(sqlite_url)
    assert len(found) == len(done) > 10
    assert {exchange.transport_end for exchange in found.values()} <= {
        "consumer_abandoned",
        "response_completed",
        "recorder_closed",
    }
