"""What is told of one conversation without reading the others is what all exchanges together say, on both engines."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from recorder.api.reader import Reader
from recorder.api.threaded import Found, Threaded
from recorder.clock import id_text
from recorder.core.conversation import group
from recorder.core.threads import Threads
from recorder.errors import NotFound
from recorder.projections.rows import tags_of_row, turn_of_row
from recorder.projections.runner import project
from recorder.store import open_store
from recorder.store.projected import SqlProjected
from tests.building import ExchangeBuilder, identity
from tests.keeping import URL, kept_exchange

OPENED = {800: "desk", 801: "desk", 802: "x", 803: None, 804: "desk", 805: "desk", 806: "y", 807: None}
SAID = {**OPENED, 805: "old", 806: None}  # of the last four no event is stored, or it says something else
KEPT = 0.4  # of the exchanges, so many are with a provider that keeps histories
FETCHED = 0.2  # of these, so many only fetch an answer
CALLED = 0.3  # of the others, so many call tools, and have each call sent back by itself
CALLS = [{"id": one, "type": "function", "function": {"name": one, "arguments": "{}"}} for one in ("c1", "c2")]
STORED = (800, 801, 802, 805, 806)


def text(number: int) -> str:
    return id_text(identity(number))


def exchanges(chance: random.Random, count: int) -> Iterator[ExchangeBuilder]:
    """Yield exchanges that go on from each other and from nothing, in and out of conversations, in any order."""
    histories: list[list[dict[str, Any]]] = [[]]
    built: list[ExchangeBuilder] = []
    asked: list[dict[str, Any]] = []
    call = ""
    for number in chance.sample(range(1, 700), count):
        said = [{"role": "user", "content": chance.choice("ab")} for _ in range(chance.choice((0, 1, 1, 1, 2)))]
        again = built and chance.random() < 0.25  # another attempt of the same call
        asked = asked if again else [*chance.choice(histories[-12:]), *said]
        answers = [_said(chance.choice(("a", "b", "ab"))) for _ in range(chance.choice((0, 1, 1, 2)))]
        histories += [[*asked, answer] for answer in answers]
        histories += [[*asked, *map(_said, answer["content"])] for answer in answers]  # in pieces
        opening = chance.choice([None, None, None, *OPENED])
        named = {} if opening is None or SAID[opening] is None else {"name": SAID[opening]}
        inside = {} if opening is None else {"conversation": text(opening), **named}
        call = call if again else f"call-{chance.randrange(4) if chance.random() < 0.1 else 10 + number}"
        one = ExchangeBuilder(number)
        one.wall_ns = 1_790_000_000_000_000_000 + chance.randrange(200) * 1_000_000_000
        facts = {"call": call, "attempt": chance.randint(1, 3), **inside}
        if chance.random() < KEPT:
            built.append(kept(chance, one, asked, answers, facts))
            continue
        if chance.random() < CALLED:
            answers.append({"role": "assistant", "content": None, "tool_calls": CALLS})
            histories.append([*asked, *(message for call in CALLS for message in _called(call))])
        one.request({"model": "m", "messages": asked}, **facts)
        built.append(one.response(headers=[("content-type", "application/json")], framing="length"))
        choices = [{"index": at, "message": answer, "finish_reason": "stop"} for at, answer in enumerate(answers)]
        one.chunks(_json({"object": "chat.completion", "model": "m", "choices": choices})).completed()
    for number in STORED:
        tags = {"bot": chance.choice("ab"), "venue": chance.choice("ab")}
        opened = ExchangeBuilder(number).event("conversation_named", {"name": OPENED[number]})
        built.append(opened.event("tags_set", {"tags": tags}))
    chance.shuffle(built)
    yield from built


def _said(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


def _called(call: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield {"role": "assistant", "content": None, "tool_calls": [call]}
    yield {"role": "tool", "tool_call_id": call["id"], "content": "ok"}


def kept(
    chance: random.Random,
    one: ExchangeBuilder,
    asked: list[dict[str, Any]],
    answers: list[dict[str, Any]],
    facts: dict[str, Any],
) -> ExchangeBuilder:
    """Have an exchange name what another one answered, before or after it, or nobody, or a conversation."""
    identity = f"resp_{chance.randrange(12)}"
    if chance.random() < FETCHED:
        one.request(method="GET", url=f"{URL}/{identity}", **facts)
    else:
        ask(chance, one, asked, facts)
    one.response(headers=[("content-type", "application/json")], framing="length")
    output = [{"type": "message", "id": f"msg_{chance.randrange(12)}", **answer} for answer in answers[:1]]
    body = {"object": "response", "id": identity, "model": "m", "output": output}
    body["status"] = chance.choice(("completed", "completed", "queued"))
    return one.chunks(_json(body)).completed()


def ask(chance: random.Random, one: ExchangeBuilder, asked: list[dict[str, Any]], facts: dict[str, Any]) -> None:
    """Have an exchange ask something, and name what it goes on from."""
    named: list[dict[str, Any]] = [{"previous_response_id": f"resp_{chance.randrange(16)}"} for _ in range(4)]
    named += [{}, {"conversation": chance.choice("cd")}, *referring(chance, asked)]
    one.request({"model": "m", "input": asked[-1:], **chance.choice(named)}, url=URL, **facts)


def referring(chance: random.Random, asked: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield what sends its history with the ids of items that others answered, or that nobody did."""
    for _ in range(3):
        identity = f"msg_{chance.randrange(16)}"
        yield {"input": [*asked[:-1], {"type": "item_reference", "id": identity}, *asked[-1:]]}
        yield {"input": [*asked[:-1], {"type": "message", "id": identity, **_said(chance.choice("ab"))}, *asked[-1:]]}


def _json(value: object) -> bytes:
    import json

    return json.dumps(value).encode()


class Whole:
    """The same, told from all exchanges."""

    def __init__(self, reader: Reader) -> None:
        self.turns = [turn_of_row(row, id_text(row.id)) for row in reader.exchanges(newest_first=False)]
        self.openings = {id_text(row.id): row.name for row in reader.openings().values()}
        self.threads = {thread.id: thread for thread in group(self.turns, self.openings)}
        self.homes = {one: thread.id for thread in self.threads.values() for one in thread.exchanges}
        self.named = {thread.name: thread.id for thread in self.threads.values() if thread.name is not None}
        self.of_opening = {one: self.named.get(name or "", one) for one, name in self.openings.items()}
        self.tags: dict[str, dict[str, str]] = {}
        for _, row in sorted(reader.openings().items()):
            self.tags.setdefault(self.of_opening[id_text(row.id)], {}).update(tags_of_row(row))

    def find(self, asked: str) -> Found | str | None:
        kinds = dict.fromkeys((*self.threads, *self.openings), "conversation") | dict.fromkeys(self.homes, "exchange")
        if asked in self.named:
            return Found("conversation", self.named[asked])
        digits = asked.replace("-", "")
        found = [one for one in kinds if _is_part(digits, one.replace("-", ""))]
        if len(found) > 1:
            return f"{asked} stands for {len(found)} ids ({', '.join(found[:4])}"
        if not found:
            return None
        return Found(
            kinds[found[0]], self.of_opening.get(found[0], found[0]) if found[0] not in self.homes else found[0]
        )


def _is_part(digits: str, whole: str) -> bool:
    return whole.startswith(digits) or whole.endswith(digits)


def check(reader: Reader, chance: random.Random) -> None:
    whole = Whole(reader)
    assert Threaded(reader).every == whole.threads
    for home, thread in chance.sample(sorted(whole.threads.items()), min(12, len(whole.threads))):
        assert Threaded(reader).conversation(home) == thread
        assert Threaded(reader).tags(home) == whole.tags.get(home, {})
    for exchange, home in chance.sample(sorted(whole.homes.items()), 10):
        assert Threaded(reader).place(exchange) == (home, whole.threads[home].parents.get(exchange))
    several = chance.sample(sorted(whole.homes), 3 * len(whole.homes) // 4)
    places = [(home, thread.name if thread else None) for home, thread in Threaded(reader).places(several)]
    assert places == [(whole.homes[one], whole.threads[whole.homes[one]].name) for one in several]
    names = ("desk", "old", "x", "y", "z", *map(text, range(799, 809)), *chance.sample(sorted(whole.homes), 5))
    known = Threaded(reader)
    for asked in names:
        found(Threaded(reader), whole, asked)
        found(known, whole, asked[-2:])
        found(known, whole, asked.replace("-", "")[:17])
    tagged(reader, whole)
    placed(reader, whole, chance.sample(sorted(whole.threads), len(whole.threads) // 3))


def found(threaded: Threaded, whole: Whole, asked: str) -> None:
    expected = whole.find(asked)
    if isinstance(expected, str):
        with pytest.raises(NotFound) as caught:
            threaded.find(asked)
        assert str(caught.value).startswith(expected)
    else:
        assert threaded.find(asked) == expected


def tagged(reader: Reader, whole: Whole) -> None:
    for tags in ({"bot": "a"}, {"venue": "b"}, {"bot": "a", "venue": "b"}, {"bot": "c"}, {"venue": '": "'}):
        expected = [home for home, own in whole.tags.items() if tags.items() <= own.items()]
        assert Threaded(reader).tagged(tags) == sorted(expected)


def placed(reader: Reader, whole: Whole, homes: list[str]) -> None:
    """In the order of an export, and with what is said there of each exchange."""
    every = [one for one in Threads(whole.turns, whole.openings).in_order() if one.conversation in homes]
    some = Threads(*Threaded(reader).turns(homes))
    assert [one[:4] for one in some.in_order(some.numbers(one.id for one in every))] == [one[:4] for one in every]
    assert Threaded(reader).members(homes) == [
        turn.id for turn in reversed(whole.turns) if whole.homes[turn.id] in homes
    ]


def test_one_conversation_is_told_as_all_exchanges_tell_it(store_url: str) -> None:
    """Whatever came when, and whether a projection has stored it or not."""
    arriving(store_url, 1, 45)


@pytest.mark.parametrize("seed", range(2, 6))
def test_so_is_every_other_one(sqlite_url: str, seed: int) -> None:
    arriving(sqlite_url, seed, 40)


def arriving(store_url: str, seed: int, most: int) -> None:
    chance = random.Random(seed)
    waiting = list(exchanges(chance, most))
    with closing(open_store(store_url, write=True)) as store:
        while waiting:
            some, waiting = waiting[:25], waiting[25:]
            for one in some:
                store.append([one.opened], one.events)
            if len(waiting) or seed % 2:
                project(store, SqlProjected(store))
            with closing(Reader(store_url)) as reader:
                check(reader, chance)


def test_a_long_chain_of_names_is_climbed_by_few_questions(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """From either end, whether its rows are stored or not."""
    count = 60
    chain = [kept_exchange(at, previous_response_id=f"resp_{at - 1}", stream=at % 2 == 0) for at in range(1, count)]
    with closing(open_store(store_url, write=True)) as store:
        for one in (*chain[30:], *chain[:30]):
            store.append([one.opened], one.events)
        project(store, SqlProjected(store))
    asked: list[str] = []
    turns = SqlProjected.turns
    monkeypatch.setattr(SqlProjected, "turns", lambda self, what, *rest: asked.append(what) or turns(self, what, *rest))
    with closing(Reader(store_url)) as reader:
        threaded = Threaded(reader)
        assert threaded.place(text(count - 1)) == (text(1), text(count - 2))
        found = threaded.conversation(text(1))
        assert found.exchanges == tuple(map(text, range(1, count)))
        assert found.parents == {text(at): text(at - 1) for at in range(2, count)}
        assert len(asked) < 20
        del asked[:]
        threaded = Threaded(reader)
        assert threaded.conversation(text(1)) == found
        assert len(asked) < 20
