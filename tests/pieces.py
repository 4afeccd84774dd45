"""Exchanges whose requests send answers back in one message, or in several, each in its own way."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from typing import Any

from tests.building import ExchangeBuilder

_WORDS = ("a", "b", "ab", "abc", "{", '{"a":1}')
_SENT_AGAIN = 14  # of the last histories, one is gone on from


def said(text: str) -> dict[str, Any]:
    """Return a message of the model."""
    return {"role": "assistant", "content": text}


def exchange(number: int, asked: Sequence[dict[str, Any]], answers: Sequence[str], **facts: Any) -> ExchangeBuilder:
    """Return an exchange that asks with some messages, and gets some answers."""
    choices = [{"index": at, "message": said(text), "finish_reason": "stop"} for at, text in enumerate(answers)]
    body = {"object": "chat.completion", "model": "m", "choices": choices}
    one = ExchangeBuilder(number).request({"model": "m", "messages": list(asked)}, **facts)
    one.response(headers=[("content-type", "application/json")], framing="length")
    return one.chunks(json.dumps(body).encode()).completed()


def exchanges(chance: random.Random, count: int) -> Iterator[ExchangeBuilder]:
    """Yield exchanges that go on from each other, in any order; answers are sent back whole, in pieces, or begun."""
    histories: list[list[dict[str, Any]]] = [[]]
    made: list[ExchangeBuilder] = []
    for number in chance.sample(range(1, 700), count):
        asked = list(chance.choice(histories[-_SENT_AGAIN:]))
        asked += [{"role": "user", "content": chance.choice("uv")} for _ in range(chance.choice((0, 1, 1, 1, 2)))]
        asked += map(said, chance.choices(_WORDS, k=chance.choice((0, 0, 0, 1, 2))))
        answers = chance.choices(_WORDS, k=chance.choice((0, 1, 1, 1, 2)))
        for text in answers:
            histories += ([*asked, *map(said, pieces)] for pieces in ((text,), *(_cut(chance, text) for _ in range(2))))
        for text in (one + chance.choice(_WORDS) for one in answers):  # what the program has made of it
            histories += (
                [*asked, *map(said, pieces)] for pieces in ((text,), (text[:-1], text[-1:]), _cut(chance, text))
            )
        made.append(exchange(number, asked, answers, call=f"call-{number if chance.random() < 0.8 else 0}"))
    chance.shuffle(made)
    yield from made


def _cut(chance: random.Random, text: str) -> list[str]:
    ends = sorted(chance.sample(range(1, len(text)), chance.randrange(len(text))))
    return [text[start:end] for start, end in zip([0, *ends], [*ends, len(text)], strict=True)]
