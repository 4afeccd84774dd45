"""The fold of an exchange's events."""

from __future__ import annotations

import pytest

from recorder.core.chain import ChainVerifier
from recorder.core.events import EXCHANGE_ENDS, TYPE_CODES, VERBATIM
from recorder.core.exchange import NEXT, Exchange, fold
from recorder.core.messages import ERASED
from tests.building import URL, ExchangeBuilder


def folded(builder: ExchangeBuilder) -> Exchange:
    exchange = fold(builder.events)
    assert exchange is not None
    return exchange


def test_no_events_no_exchange() -> None:
    assert fold([]) is None


def test_a_whole_exchange() -> None:
    builder = (
        ExchangeBuilder(3)
        .request({"a": 1}, conversation="c-1", name="desk", attempt=2, redacted=["header:authorization"])
        .response(201, "Created", [("Content-Type", "text/plain"), ("X-A", "1"), ("x-a", "2")], length=5)
        .chunks(b"he", b"", b"llo")
        .event("trailers_received", {}, b"x: y\r\n")
        .completed()
    )
    exchange = folded(builder)
    assert exchange.request is not None
    assert exchange.response is not None
    assert (exchange.request.method, exchange.request.url, exchange.request.payload) == ("POST", URL, b'{"a": 1}')
    assert exchange.request.json == {"a": 1}
    assert exchange.request.headers == (("content-type", "application/json"),)
    assert exchange.request.redacted == ("header:authorization",)
    assert (exchange.response.status, exchange.response.reason, exchange.response.length) == (201, "Created", 5)
    assert exchange.response.header("content-type") == "text/plain"
    assert exchange.response.header("x-a") == "1, 2"
    assert exchange.response.header("x-b") is None
    assert exchange.body == b"hello"
    assert [(chunk.version, chunk.start, chunk.end) for chunk in exchange.chunks] == [(3, 0, 2), (4, 2, 2), (5, 2, 5)]
    assert (exchange.call, exchange.attempt) == ("call-1", 2)
    assert (exchange.conversation, exchange.conversation_name) == ("c-1", "desk")
    assert exchange.started_ns == builder.events[0].wall_ns
    assert (exchange.request.version, exchange.response.version) == ("HTTP/1.1", "HTTP/1.1")
    assert exchange.head_ns == 1_000_000
    assert exchange.first_chunk_ns == 2_000_000
    assert exchange.duration_ns == 6_000_000
    assert exchange.transport_end == "response_completed"
    assert exchange.anomalies == ()
    assert exchange.id == "01900000-0003-7000-8000-000000000000"


def test_the_builder_chains_as_a_recorder_does() -> None:
    builder = ExchangeBuilder().request({}).response().sse({}).completed()
    verifier = ChainVerifier(builder.opened)
    for event in builder.events:
        verifier.feed(event)
    assert verifier.version == len(builder.events)


def test_interim_answers_before_the_head_are_left_out() -> None:
    before = b"HTTP/1.1 100 Continue\r\nX-Interim: 1\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    response = folded(ExchangeBuilder().request().response(200, "OK", [("A", "b")], before=before)).response
    assert response is not None
    assert (response.status, response.reason, response.headers) == (200, "OK", (("A", "b"),))


def test_heads_of_all_kinds() -> None:
    head = b"HTTP/1.0 200\nFolded: one\r\n\ttwo\r\nno colon\r\nB: \xe9\r\n\r\n"
    response = folded(ExchangeBuilder().event("response_started", {"framing": "close"}, head)).response
    assert response is not None
    assert (response.status, response.reason, response.framing) == (200, "", "close")
    assert response.version == "HTTP/1.0"
    assert response.headers == (("Folded", "one two"), ("B", "é"))
    for strange in (b"", b"\x00\xff", b"HTTP/1.1", b"HTTP/1.1 abc", b" folded first\r\n"):
        odd = folded(ExchangeBuilder().event("response_started", None, strange)).response
        assert odd is not None
        assert (odd.status, odd.headers) == (0, ())


def test_where_no_head_was_recorded_its_version_and_time_are_not_known() -> None:
    facts = {"method": "GET", "url": URL, "head": 0}
    exchange = folded(ExchangeBuilder().event("request_sent", facts).event("response_started", {"status": 200}))
    assert exchange.request is not None
    assert exchange.response is not None
    assert (exchange.request.version, exchange.response.version) == ("", "")
    assert folded(ExchangeBuilder().request()).head_ns is None
    elsewhere = ExchangeBuilder().request().event("response_started", {"status": 200}, instance=b"o" * 16)
    assert folded(elsewhere).head_ns is None


def test_a_streamed_request_body_follows_its_head() -> None:
    exchange = folded(
        ExchangeBuilder()
        .request(b"", streamed=True)
        .event("request_body_sent", None, b'{"a"')
        .event("request_body_sent", None, b":2}")
        .response()
    )
    assert exchange.request is not None
    assert exchange.request.json == {"a": 2}


@pytest.mark.parametrize("payload", [b"", b"a=b", b"\xff\xfe"])
def test_a_payload_that_is_no_json_has_none(payload: bytes) -> None:
    request = folded(ExchangeBuilder().request(payload)).request
    assert request is not None
    assert request.json is None
    assert request.payload == payload


def test_bytes_of_malformed_framing_are_in_no_body() -> None:
    exchange = folded(ExchangeBuilder().request().response().chunks(b"a").chunks(b"ZZ\r\n", flags=VERBATIM))
    assert (exchange.body, exchange.verbatim_bytes, len(exchange.chunks)) == (b"a", 4, 1)


def test_an_end_written_by_another_process_has_no_duration() -> None:
    builder = ExchangeBuilder().request().response().chunks(b"a").event("process_died", {}, instance=b"o" * 16)
    exchange = folded(builder)
    assert exchange.transport_end == "process_died"
    assert exchange.duration_ns is None
    assert exchange.first_chunk_ns == 2_000_000


def test_a_running_exchange_has_no_end() -> None:
    exchange = folded(ExchangeBuilder().request().response().chunks(b"a"))
    assert (exchange.ending, exchange.transport_end, exchange.duration_ns) == (None, None, None)


def test_gaps_and_missing_versions_are_facts() -> None:
    builder = ExchangeBuilder().request().response().chunks(b"a", b"b")
    builder.event(
        "gap_recorded", {"events": 2, "bytes": 9, "from_ns": 1, "to_ns": 2, "reason": "disk full"}
    ).completed()
    exchange = folded(builder)
    assert exchange.gaps[0]["reason"] == "disk full"
    assert exchange.anomalies == ()
    del builder.events[2]
    (fact,) = folded(builder).anomalies
    assert (fact.kind, fact.version) == ("missing_events", 4)


def test_what_comes_in_the_wrong_place_is_a_fact_and_the_first_end_counts() -> None:
    builder = ExchangeBuilder().chunks(b"a").request().completed().event("consumer_closed", {"taken": 1})
    exchange = folded(builder.event("consumer_closed", {"taken": 1}))
    assert exchange.body == b"a"
    assert exchange.transport_end == "response_completed"
    assert [fact.detail for fact in exchange.anomalies] == [
        "chunk_received in the state new",
        "response_completed in the state asked",
        "consumer_closed in the state ended",
    ]


@pytest.mark.parametrize("left", ["consumer_closed", "consumer_abandoned"])
def test_a_consumer_may_leave_a_completed_response_with_less_than_had_arrived(left: str) -> None:
    builder = ExchangeBuilder().request().response().chunks(b"abc").completed()
    exchange = folded(builder.event(left, {"taken": 1, "received": 3}))
    assert (exchange.transport_end, exchange.anomalies) == ("response_completed", ())


@pytest.mark.parametrize("meta", ["[1]", "{", "null"])
def test_facts_that_are_no_object_are_a_fact(meta: str) -> None:
    exchange = folded(ExchangeBuilder().event("request_sent", meta=meta, body=b"x"))
    assert exchange.request is not None
    assert exchange.request.method == ""
    assert [fact.kind for fact in exchange.anomalies] == ["bad_facts"]


def test_facts_of_the_wrong_kind_are_absent() -> None:
    exchange = folded(ExchangeBuilder().request(call=7, attempt="x", conversation=None, redacted="no"))
    assert (exchange.call, exchange.attempt, exchange.conversation) == (None, None, None)
    assert exchange.request is not None
    assert exchange.request.redacted == ()


def test_the_table_knows_every_type_and_every_end() -> None:
    placed = frozenset().union(*NEXT.values())
    assert placed <= set(TYPE_CODES)
    assert placed >= EXCHANGE_ENDS
    for kind in EXCHANGE_ENDS - {"request_failed"}:
        exchange = folded(ExchangeBuilder().request().response().event(kind, {}))
        assert (exchange.transport_end, exchange.anomalies) == (kind, ())


def test_an_erased_exchange_keeps_what_is_in_no_payload() -> None:
    builder = ExchangeBuilder().request({"a": 1}).response().chunks(b"one", b"two").completed()
    exchange = fold([event._replace(meta=None, body=None) for event in builder.events])
    assert exchange is not None
    assert (exchange.request, exchange.response, exchange.body) == (None, None, b"")
    assert [fact.kind for fact in exchange.anomalies] == [ERASED]
    assert exchange.transport_end == "response_completed"
    assert (exchange.started_ns, exchange.duration_ns) == (folded(builder).started_ns, folded(builder).duration_ns)
