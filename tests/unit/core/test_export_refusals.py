"""What redaction of exports refuses: words of the wire format, what it cannot look into, what would break."""

from __future__ import annotations

import pytest

from recorder.core.export_redaction import ExportRedaction
from recorder.dialects.rebuild import rebuild
from tests.building import ExchangeBuilder, delta
from tests.unit.core.redacted_exchanges import (
    SECRET,
    STOP,
    asked,
    call,
    exchange,
    page,
    refused,
    user,
)
from tests.unit.dialects.wire import framed


@pytest.mark.parametrize("word", ["assistant", "choices", "content", "stop", "data"])
def test_words_of_the_wire_format_are_refused(word: str) -> None:
    told_why = refused(asked(user("x"), delta(role="assistant", content="x"), STOP), f"text:{word}")
    assert "rule 1 (text)" in told_why or "would no longer be read" in told_why
    assert word not in told_why.replace("would no longer be read as what it is", "").replace("content coding", "")


def test_a_rule_that_breaks_the_arguments_of_a_call_is_refused() -> None:
    assert "tool call" in refused(asked(user("x"), *call('{"a":', '"b",', '"c":1}')), 're:"b","c"')


def test_what_cannot_be_searched_is_refused() -> None:
    builder = ExchangeBuilder().request({}).response(headers=[("content-encoding", "x-own")]).chunks(b"?").completed()
    assert "the body of the answer" in refused(builder, "detect:email")
    builder = asked(b"?", headers=[("content-encoding", "x-own")])
    assert "'x-own' cannot be undone" in refused(builder, "detect:email")


def test_a_secret_in_the_head_of_a_frame_is_refused() -> None:
    body = framed(SECRET, {"a": 1})
    assert "still finds something" in refused(
        ExchangeBuilder().request({}).response().chunks(body).completed(), f"text:{SECRET}"
    )


def test_another_encoding_is_searched() -> None:
    latin = page(500, f"bad {SECRET}".encode("latin-1"), "text/plain; charset=latin-1")
    after = ExportRedaction([f"text:{SECRET}"], rebuild).exchange(exchange(latin))
    assert after.exchange.body == b"bad [redacted]"


def test_a_sound_in_a_request_is_passed_over_and_the_texts_beside_it_are_not() -> None:
    sound = bytes(range(256)) * 4000
    payload = b"--b\r\nwho: " + SECRET.encode() + b"\r\n\r\n" + sound + b"\r\n--b--"
    before = exchange(asked(payload, headers=[("content-type", "multipart/form-data; boundary=b")]))
    after = ExportRedaction([f"text:{SECRET}"], rebuild).exchange(before).exchange.request
    assert after is not None
    assert after.payload == payload.replace(SECRET.encode(), b"[redacted]")
