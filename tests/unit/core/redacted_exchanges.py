"""Exchanges with a secret in them, and what a redacted export of them must hold and must not."""

from __future__ import annotations

import zlib
from typing import Any

import pytest

from recorder.core.exchange import fold
from recorder.core.export_redaction import REDACTED, ExportRedaction
from recorder.core.rebuilt import Rebuilt
from recorder.dialects.rebuild import rebuild
from recorder.errors import RedactionRefused
from recorder.formats.base import formats, render
from tests.building import ExchangeBuilder, delta
from tests.redacting import holds, rows_of

SECRET = "Zoë Smith-Waterman"
MAIL = "zoe.s@mail.example"
STOP = delta(finish="stop")


def cut(text: str, size: int = 4) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


def told(text: str) -> list[Any]:
    return [*(delta(content=piece) for piece in cut(text)), STOP]


def call(*pieces: str) -> list[Any]:
    def one(arguments: str, **more: Any) -> Any:
        return delta(
            tool_calls=[{"index": 0, "function": {"arguments": arguments, **more}, **({"id": "c"} if more else {})}]
        )

    return [one("", name="f"), *map(one, pieces), delta(finish="tool_calls")]


def asked(payload: Any = None, *values: Any, **request: Any) -> ExchangeBuilder:
    return (
        ExchangeBuilder()
        .request({} if payload is None else payload, **request)
        .response()
        .sse(*values or (STOP,))
        .completed()
    )


def user(content: Any, **more: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": content}], **more}


def coded(body: bytes) -> tuple[list[bytes], bytes]:
    """The body as gzip, each 100 bytes a chunk."""
    engine = zlib.compressobj(wbits=31)
    chunks = [engine.compress(body[at : at + 100]) + engine.flush(zlib.Z_SYNC_FLUSH) for at in range(0, len(body), 100)]
    return [*chunks, engine.flush()], body


def exchange(builder: ExchangeBuilder) -> Rebuilt:
    folded = fold(builder.events)
    assert folded is not None
    return rebuild(folded)


def redacted(builder: ExchangeBuilder, *rules: str, secret: str = SECRET) -> Rebuilt:
    """Return the exchange redacted, after looking for the secret in every format."""
    before = exchange(builder)
    assert any(holds(document, secret) for document in documents(before).values())
    redaction = ExportRedaction(rules or [f"text:{secret}"], rebuild)
    (after,) = redaction.exchanges([before])
    assert (after.verdict, len(after.exchange.chunks)) == (before.verdict, len(before.exchange.chunks))
    for name, document in documents(after, redaction).items():
        assert not holds(document, secret), name
    assert [fact.kind for fact in after.anomalies].count(REDACTED) == 1
    return after


def documents(rebuilt: Rebuilt, redaction: ExportRedaction | None = None) -> dict[str, str]:
    found = {}
    for name in formats():
        if name == "sse" and rebuilt.exchange.response is None:
            continue
        pieces = render(name, [rebuilt])
        whole = [*(redaction.guard(pieces) if redaction else pieces)]
        data = b"".join(piece.encode() if isinstance(piece, str) else piece for piece in whole)
        found[name] = rows_of(data) if name == "parquet" else data.decode("utf-8", "replace")
    return found


HTML = [("content-type", "text/html")]
EVENTS = ("content-type", "text/event-stream")
TOKENS = [{"token": piece, "bytes": [*piece.encode()], "logprob": -1.0, "top_logprobs": []} for piece in cut(SECRET)]
FAILURE = {"type": "x", "message": f"cannot reach {SECRET}", "args": [SECRET]}


def cut_bytes(body: bytes) -> list[bytes]:
    return [body[at : at + 7] for at in range(0, len(body), 7)]


def page(status: int, body: bytes, kind: str = "text/html") -> ExchangeBuilder:
    return (
        ExchangeBuilder()
        .request({})
        .response(status, headers=[("content-type", kind)])
        .chunks(*cut_bytes(body))
        .completed()
    )


def refused(builder: ExchangeBuilder, *rules: str) -> str:
    with pytest.raises(RedactionRefused) as caught:
        ExportRedaction(rules, rebuild).exchange(exchange(builder))
    assert "\n" not in str(caught.value)
    return str(caught.value)
