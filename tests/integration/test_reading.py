"""The reading side on both engines: lists, names, threads, what is still in a spool."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.event import listen

from recorder import NotFound, Player, Recorder, Store
from recorder.clock import SystemClock, id_text
from recorder.core.codec import encode_opened, event_record
from recorder.locations import prepared_spool_directory, spool_directory
from recorder.projections.runner import project
from recorder.recording.spool import Spool
from recorder.store import open_store
from recorder.store.projected import SqlProjected
from tests.building import ExchangeBuilder, delta, identity


def exchange(number: int, *texts: str, answer: str = "yes", **facts: object) -> ExchangeBuilder:
    messages = [{"role": "user" if n % 2 == 0 else "assistant", "content": text} for n, text in enumerate(texts)]
    builder = ExchangeBuilder(number).request({"model": "m", "messages": messages}, call=f"call-{number}", **facts)
    return builder.response().sse(delta(role="assistant", content=answer), delta(finish="stop")).completed()


def opening(number: int, name: str, **tags: str) -> ExchangeBuilder:
    return ExchangeBuilder(number).event("conversation_named", {"name": name}).event("tags_set", {"tags": tags})


def text(number: int) -> str:
    return id_text(identity(number))


@pytest.fixture(params=["projected", "not projected"])
def filled(store_url: str, request: pytest.FixtureRequest) -> str:
    desk = {"conversation": text(3), "name": "desk"}
    again = {"conversation": text(5), "name": "desk"}
    store = open_store(store_url, write=True)
    for builder in (
        exchange(1, "a", answer="b"),
        exchange(2, "a", "b", "c", answer="d"),
        opening(3, "desk", bot="elion", venue="x"),
        exchange(4, "buy?", **desk),
        opening(5, "desk", venue="y"),
        exchange(6, "sell?", **again),
        exchange(7, "a", "b", "other", answer="e"),
    ):
        store.append([builder.opened], builder.events)
    if request.param == "projected":
        project(store, SqlProjected(store))
    store.close()
    return store_url


@pytest.fixture
def store(filled: str) -> Iterator[Store]:
    with Store(filled) as opened:
        yield opened


def test_exchanges_come_newest_first_with_their_conversation(store: Store) -> None:
    found = list(store.exchanges())
    assert [one["id"] for one in found] == [text(n) for n in (7, 6, 4, 2, 1)]
    assert [one["conversation"] for one in found] == [text(n) for n in (1, 3, 3, 1, 1)]
    assert all("spooled" not in one for one in found)


def test_filters(store: Store) -> None:
    assert [one["id"] for one in store.exchanges(limit=2)] == [text(7), text(6)]
    assert list(store.exchanges(verdict="truncated")) == []
    assert len(list(store.exchanges(model="m-1", status=200, verdict="complete"))) == 5
    assert [one["id"] for one in store.exchanges(conversation="desk")] == [text(6), text(4)]
    assert [one["id"] for one in store.exchanges(conversation=text(2))] == [text(7), text(2), text(1)]
    times = {row.id: row.started_ns for row in store.reader.exchanges()}
    since, until = times[identity(2)], times[identity(6)]
    assert [one["id"] for one in store.exchanges(since_ns=since, until_ns=until)] == [text(4), text(2)]


def test_openings_of_one_name_are_one_conversation(store: Store) -> None:
    desk = store.conversation("desk")
    assert (desk.id, desk.name, desk.tags) == (text(3), "desk", {"bot": "elion", "venue": "y"})
    assert [one.id for one in desk.exchanges] == [text(4), text(6)]
    assert store.conversation(text(5)).id == text(3)


def test_requests_that_extend_each_other_are_one_conversation_with_forks(store: Store) -> None:
    thread = store.conversation(text(1))
    assert [one.id for one in thread.exchanges] == [text(1), text(2), text(7)]
    assert thread.parents == {text(2): text(1), text(7): text(1)}
    assert store.conversation_of(text(7)) == (text(1), text(1))


def test_conversations_come_newest_first(store: Store) -> None:
    found = store.conversations()
    assert [(one.id, one.name, len(one.exchanges)) for one in found] == [(text(1), None, 3), (text(3), "desk", 2)]
    assert found[1].first_ns < found[1].last_ns


def _many(url: str, conversations: int) -> None:
    """Write conversations of one exchange, each with an opening, and as many exchanges that extend those of others."""
    store = open_store(url, write=True)
    for number in range(1, conversations + 1):
        named = {"conversation": text(10_000 + number), "name": f"desk {number}"}
        builders = (
            opening(10_000 + number, f"desk {number}", n=str(number)),
            exchange(2 * number - 1, f"a {number}", answer="b", **named),
            exchange(2 * number, f"a {number}", "b", "c"),
        )
        store.append([one.opened for one in builders], [event for one in builders for event in one.events])
    project(store, SqlProjected(store))
    store.close()


def test_a_list_of_conversations_asks_the_store_no_more_often_for_many(tmp_path: Path) -> None:
    asked = Counter[int]()
    for number in (3, 60):
        url = f"sqlite:///{tmp_path}/{number}.db"
        _many(url, number)
        with Store(url) as store:
            listen(store.reader.store._read, "before_cursor_execute", lambda *_, number=number: asked.update([number]))
            found = store.conversations()
        assert [(one.name, one.tags, len(one.exchanges)) for one in found] == [
            (f"desk {one}", {"n": str(one)}, 2) for one in range(number, 0, -1)
        ]
    assert 0 < asked[3] == asked[60]


def test_beyond_the_number_from_which_all_are_read_nothing_is_told_in_another_way(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _many(sqlite_url, 100)
    told = []
    for few in (2000, 90, 0):
        monkeypatch.setattr("recorder.api.threaded._FEW", few)
        with Store(sqlite_url) as store:
            told.append(list(store.exchanges()))
    assert len({one["id"] for one in told[0]}) == len(told[0]) == 200
    assert {(one["conversation"], one["conversation_name"]) for one in told[0]} == {
        (text(10_000 + number), f"desk {number}") for number in range(1, 101)
    }
    assert told[0] == told[1] == told[2]


def test_names_and_parts_of_ids(store: Store) -> None:
    assert store.resolve("desk") == ("conversation", text(3))
    assert store.resolve(text(1)) == ("exchange", text(1))
    assert store.resolve(text(4).replace("-", "")[:12]) == ("exchange", text(4))
    assert store.exchange(text(4)).verdict == "complete"
    assert [event.type for event in store.events(text(4))][:2] == ["request_sent", "response_started"]
    with pytest.raises(NotFound, match="nothing is called 'nobody'"):
        store.resolve("nobody")
    with pytest.raises(NotFound, match="no exchange or conversation has the id ffff"):
        store.resolve("ffff")
    with pytest.raises(NotFound, match=r"stands for 7 ids \(.*, …\): give more digits"):
        store.resolve("0190")
    with pytest.raises(NotFound, match="is a conversation, not an exchange"):
        store.exchange("desk")


def test_a_player_of_some_exchanges_only(filled: str) -> None:
    with Player(filled, exchanges=["desk"]) as player:
        assert player.unplayed == (text(4), text(6))


def test_what_is_only_in_a_spool_is_seen_and_marked(filled: str) -> None:
    clock = SystemClock()
    prepared_spool_directory(filled)
    spool = Spool(spool_directory(filled), b"i" * 16, clock, durability="delivered", wait=0)
    running = exchange(8, "spooled")
    spool.append(encode_opened(running.opened))
    for event in running.events[:3]:
        spool.append(event_record(event))
    with Store(filled) as store:
        newest = next(store.exchanges())
        assert (newest["id"], newest["verdict"], newest["spooled"]) == (text(8), "unknown", True)
        assert [event.position for event in store.events(text(8))] == [None] * 3
        walked = {opened.stream: len(list(events)) for opened, events in store.reader.walk() if opened}
        assert walked[identity(8)] == 3
        spool.append(event_record(running.events[3]))
        store.refresh()
        assert len(list(store.events(text(8)))) == 4
    spool.close(drained=True)


def test_an_exchange_half_in_the_store_and_half_in_a_spool(filled: str) -> None:
    running = exchange(8, "spooled")
    writer = open_store(filled, write=True)
    writer.append([running.opened], running.events[:2])
    writer.close()
    prepared_spool_directory(filled)
    spool = Spool(spool_directory(filled), b"i" * 16, SystemClock(), durability="delivered", wait=0)
    for event in running.events[1:]:
        spool.append(event_record(event))
    with Store(filled) as store:
        assert [event.version for event in store.events(text(8))] == [1, 2, 3, 4, 5, 6]
        assert store.exchange(text(8)).verdict == "complete"
        walked = {
            opened.stream: [event.version for event in events] for opened, events in store.reader.walk() if opened
        }
        assert walked[identity(8)] == [1, 2, 3, 4, 5, 6]
    spool.close(drained=True)


def test_a_filter_that_is_none_is_named_at_once(sqlite_url: str) -> None:
    with Recorder(sqlite_url):
        pass
    with Store(sqlite_url) as store:
        for ask in (store.exchanges, lambda **wrong: store.search("x", **wrong)):
            with pytest.raises(TypeError, match="no filter is called 'colour': use conversation, model"):
                ask(colour="red")
