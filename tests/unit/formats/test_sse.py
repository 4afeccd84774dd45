"""The body of one exchange, byte for byte."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator

import pytest

from recorder.core.exchange import fold
from recorder.core.rebuilt import Rebuilt
from recorder.dialects.rebuild import rebuild
from recorder.errors import ConfigurationError
from recorder.formats.base import render
from tests.building import ExchangeBuilder

BODY = b'\xef\xbb\xbfdata: {"a": "\xff\x00\xe2\x80\xae"}\r\n\r: comment\n\nretry: 1\rdata: [DO'


def built(builder: ExchangeBuilder) -> Rebuilt:
    exchange = fold(builder.events)
    assert exchange is not None
    return rebuild(exchange)


def answered(*pieces: bytes, coding: str | None = None, end: str = "response_completed") -> Rebuilt:
    headers = [("content-type", "text/event-stream"), *([("content-encoding", coding)] if coding else [])]
    return built(ExchangeBuilder().request({}).response(headers=headers).chunks(*pieces).event(end, {}))


def body_of(*exchanges: Rebuilt) -> bytes:
    pieces = list(render("sse", iter(exchanges)))
    assert all(isinstance(piece, bytes) for piece in pieces)
    return b"".join(piece for piece in pieces if isinstance(piece, bytes))


@pytest.mark.parametrize("end", ["response_completed", "response_truncated", "consumer_closed"])
def test_every_byte_that_came_and_no_other(end: str) -> None:
    assert body_of(answered(BODY[:7], BODY[7:], end=end)) == BODY
    assert body_of(answered(end=end)) == b""
    assert body_of(answered(b'{"error": 1}', end=end)) == b'{"error": 1}'


@pytest.mark.parametrize(
    ("coding", "coded"), [("gzip", gzip.compress(BODY, mtime=0)), ("deflate", zlib.compress(BODY)), ("identity", BODY)]
)
def test_it_is_below_the_content_coding(coding: str, coded: bytes) -> None:
    assert body_of(answered(coded[:9], coded[9:], coding=coding)) == BODY


def test_of_a_coding_that_was_cut_what_can_be_read() -> None:
    found = body_of(answered(gzip.compress(BODY, mtime=0)[:-10], coding="gzip", end="response_truncated"))
    assert found
    assert BODY.startswith(found)


def refusal(*exchanges: Rebuilt) -> str:
    with pytest.raises(ConfigurationError) as refused:
        body_of(*exchanges)
    text = str(refused.value)
    assert "\n" not in text
    return text


def test_more_or_less_than_one_exchange_is_refused_before_the_first_byte() -> None:
    one = answered(BODY)
    told = "sse holds the body of one exchange and several exchanges are given: name one exchange by its ID"
    assert refusal(one, one, one).startswith(told)
    assert "no exchange is given" in refusal()

    def endless() -> Iterator[Rebuilt]:
        while True:
            yield one

    with pytest.raises(ConfigurationError):
        next(render("sse", endless()))


def test_a_body_that_is_not_all_there_is_refused() -> None:
    failed = built(ExchangeBuilder().request({}).event("request_failed", {"kind": "dns", "phase": "connect"}))
    assert refusal(failed) == f"exchange {failed.id} has no answer: `recorder show {failed.id}` says why"
    lost = built(ExchangeBuilder().request({}).response().chunks(b"a").event("gap_recorded", {"events": 1}))
    assert refusal(lost).startswith(f"bytes are missing from the recording of exchange {lost.id}: ")
    assert "'x-own' cannot be undone here" in refusal(answered(b"a", coding="x-own"))
