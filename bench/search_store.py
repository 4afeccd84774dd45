"""The store in which bench.searching looks: exchanges whose words are as frequent as in a language (Zipf).

Each exchange has a question and an answer: the first word of all is in almost every message, the last ones are in few.
Most are of the first models, in no conversation, complete; few are of the last model, in a named conversation with
tags, errors, calls of tools. Events and rows are made by several processes, folded once, and written to every engine.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial

from recorder.core.events import Event, StreamOpened
from recorder.projections.rows import opening_row
from recorder.projections.runner import NAME, Rows
from recorder.store import open_store
from recorder.store.projected import SqlProjected
from recorder.store.schema import upgrade
from recorder.store.sql import SqlStore
from tests.building import ExchangeBuilder

WORDS = 30_000
LENGTH = 40  # words of a message
BATCH = 2000
MODELS = ("m-0", "m-1", "m-2", "m-rare")
CONVERSATIONS = 500
RARE = 1000  # one exchange in so many is of the rare model, failed, or called the tool
NAMED = 4  # one exchange in so many is in a conversation that has a name


@dataclass(frozen=True, slots=True)
class Filled:
    """What one process made: streams, their events, their rows."""

    opened: list[StreamOpened]
    events: list[Event]
    rows: Rows


def texts(generator: random.Random, count: int) -> Iterator[str]:
    """Yield *count* messages."""
    names = [f"w{number}" for number in range(WORDS)]
    weights = [1 / (number + 1) for number in range(WORDS)]
    words = iter(generator.choices(names, weights, k=LENGTH * count))
    for _ in range(count):
        yield " ".join(next(words) for _ in range(LENGTH))


def conversation(number: int) -> ExchangeBuilder:
    """Return the opening of the conversation ``talk-NUMBER``; one in ten has the tag ``bot=rare``."""
    built = ExchangeBuilder(1_000_000_000 + number)
    built.event("conversation_named", {"name": f"talk-{number}", "tags": {"bot": "usual" if number % 10 else "rare"}})
    return built


def exchange(number: int, said: Iterator[str]) -> ExchangeBuilder:
    """Return one exchange; its number decides of which kind it is."""
    rare = number % RARE == RARE // 2
    built = ExchangeBuilder(number)
    model = MODELS[-1] if rare else MODELS[number % (len(MODELS) - 1)]
    talk = number // NAMED % CONVERSATIONS
    home = conversation(talk).opened.stream.hex()
    inside = {"conversation": _dashed(home), "name": f"talk-{talk}"} if number % NAMED == 0 else {}
    asked = {"model": model, "messages": [{"role": "user", "content": next(said)}]}
    built.request(asked, call=f"call-{number}", **inside)
    message = {"role": "assistant", "content": next(said)}
    if rare:
        called = {"name": "place_order", "arguments": '{"quantity": 1}'}
        message["tool_calls"] = [{"id": f"call-{number}", "type": "function", "function": called}]
    answer = {"object": "chat.completion", "model": model, "choices": [{"index": 0, "message": message}]}
    answer["choices"][0]["finish_reason"] = "tool_calls" if rare else "stop"
    status = 500 if number % RARE == 1 else 200
    built.response(status, headers=[("content-type", "application/json")], framing="length")
    return built.chunks(json.dumps(answer).encode()).completed()


def _dashed(digits: str) -> str:
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def made(start: int, count: int) -> Filled:
    """Build exchanges and fold them, as the projections do."""
    said = texts(random.Random(start), 2 * count)
    built = [exchange(number, said) for number in range(start, start + count)]
    rows = Rows(messages={})
    for one in built:
        rows.fold(iter(one.events))
    return Filled([one.opened for one in built], [event for one in built for event in one.events], rows)


def named() -> Filled:
    """Build the openings of the conversations."""
    built = [conversation(number) for number in range(CONVERSATIONS)]
    rows = Rows({}, {one.opened.stream: opening_row(one.events) for one in built}, {})
    return Filled([one.opened for one in built], [event for one in built for event in one.events], rows)


def put(store: SqlStore, filled: Filled) -> None:
    """Append events to a store and store their rows, as a drainer and the projections do."""
    store.append(filled.opened, filled.events)
    projected = SqlProjected(store)
    before = projected.checkpoint(NAME)
    _, after = store.feed(before, len(filled.events))
    rows = filled.rows
    assert projected.commit(
        NAME,
        before,
        after,
        exchanges=list(rows.exchanges.values()),
        openings=list(rows.openings.values()),
        messages=list((rows.messages or {}).values()),
        calls=rows.calls,
    )


def fill(urls: Sequence[str], count: int) -> None:
    """Make *count* exchanges and write the same to every store.

    :param urls: of stores that are not there yet.
    """
    sizes = [min(BATCH, count + 1 - start) for start in range(1, count + 1, BATCH)]
    with ExitStack() as stack:
        stores = []
        for url in urls:
            upgrade(url)
            stores.append(stack.enter_context(closing(open_store(url, write=True))))
        processes = stack.enter_context(ProcessPoolExecutor(os.cpu_count()))
        for filled in (named(), *processes.map(partial(made), range(1, count + 1, BATCH), sizes)):
            for store in stores:
                put(store, filled)
