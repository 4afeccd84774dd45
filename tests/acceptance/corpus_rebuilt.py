"""Streams of the corpus, rebuilt from their raw bytes."""

from __future__ import annotations

from recorder.core.exchange import fold
from recorder.core.rebuilt import Rebuilt
from recorder.dialects.rebuild import rebuild
from tests import corpus
from tests.building import ExchangeBuilder


def rebuilt_of(stream: corpus.CorpusStream, *, url: str = "http://a.example/") -> Rebuilt:
    """Return the exchange of a stream rebuilt, its chunks as the transport delivered them.

    :param url: that of the request, where the sidecar has none.
    """
    request, response = stream.sidecar["request"], stream.sidecar["response"]
    headers = [(name, str(value)) for name, value in response["headers"] or []]
    builder = ExchangeBuilder().request((request["body"] or "").encode(), url=request["url"] or url)
    builder.response(response["status"] or 200, headers=headers).chunks(*stream.transport_chunks)
    exchange = fold(builder.completed().events)
    assert exchange is not None
    assert exchange.body == stream.body
    return rebuild(exchange)
