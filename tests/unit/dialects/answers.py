"""Answers, read by their dialect or rebuilt from an exchange."""

from __future__ import annotations

from typing import Any

from recorder.core.exchange import fold
from recorder.core.messages import Answer, Choice
from recorder.core.rebuilt import Rebuilt
from recorder.dialects.base import Clues, Dialect
from recorder.dialects.rebuild import rebuild
from tests.building import ExchangeBuilder


def read_by(dialect: Dialect, clues: Clues) -> Answer:
    """Return what a dialect reads, whoever would be chosen."""
    reader = dialect.reader(clues)
    reader.feed(clues.body)
    return reader.close()


def rebuilt_from(body: bytes, kind: str, url: str, request: Any = None, status: int = 200) -> Rebuilt:
    """Return a whole exchange rebuilt.

    :param kind: the content type.
    :param request: its payload.
    """
    built = ExchangeBuilder().request(request or {}, url=url)
    exchange = fold(built.response(status, headers=[("content-type", kind)]).chunks(body).completed().events)
    assert exchange is not None
    return rebuild(exchange)


def only(answer: Answer) -> Choice:
    """Return the one choice of an answer."""
    (choice,) = answer.choices
    return choice


def kinds(answer: Answer) -> list[str]:
    """Return the kinds of the facts about an answer."""
    return [fact.kind for fact in answer.anomalies]
