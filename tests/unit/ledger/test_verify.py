"""The audit finds every change, says where it is, and goes on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from recorder.clock import id_text
from recorder.core.chain import ChainVerifier, Finding, genesis, link
from recorder.core.events import Event, StreamOpened
from recorder.errors import CorruptRecording, UnknownEventType
from recorder.ledger.verify import Report, verify
from recorder.store import open_store
from tests.building import ExchangeBuilder, delta

SCHEMA = json.loads((Path(__file__).parents[3] / "docs/schema/verify.schema.json").read_text())


def exchange(number: int = 1) -> ExchangeBuilder:
    """Eight stored events: request, head, five chunks, end."""
    built = ExchangeBuilder(number).request({"messages": []}).response()
    built.sse(delta(role="assistant", content="a"), delta(content="b"), delta(content="c"), delta(finish="stop"))
    built.completed()
    built.events = [event._replace(position=at) for at, event in enumerate(built.events, 1)]
    return built


def audit(*built: ExchangeBuilder) -> Report:
    return verify((one.opened, one.events) for one in built)


def only(report: Report) -> Finding:
    assert len(report.findings) == 1, report.findings
    assert report.verdicts["unmodified"] == "no"
    return report.findings[0]


def changed(built: ExchangeBuilder, version: int, **fields: Any) -> ExchangeBuilder:
    built.events[version - 1] = built.events[version - 1]._replace(**fields)
    return built


def test_an_untouched_recording_has_no_findings() -> None:
    report = audit(exchange(1), exchange(2))
    assert report == Report({"unmodified": "yes", "complete_in_range": "yes"}, (), events=16, exchanges=2)


def test_nothing_at_all_has_no_findings() -> None:
    assert audit() == Report({"unmodified": "yes", "complete_in_range": "yes"}, (), 0, 0)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("wall_ns", 1),
        ("mono_ns", 1),
        ("instance", b"j" * 16),
        ("flags", 0),
        ("body", b"data: x\n\n"),
        ("body", None),
        ("body", b""),
        ("meta", '{"pre":""}'),
        ("type", "request_body_sent"),
        ("hash", b"h" * 32),
    ],
)
def test_a_changed_field_is_one_finding_at_its_event_or_the_next(field: str, value: object) -> None:
    found = audit(changed(exchange(), 4, **{field: value})).findings
    assert found[0].kind == "hash"
    assert (found[0].exchange, found[0].version) == (id_text(exchange().opened.stream), 4)
    # A changed hash is also not what the next event was chained to.
    assert [finding.version for finding in found] == ([4, 5] if field == "hash" else [4])


def test_every_changed_event_of_every_stream_is_found() -> None:
    first, second = changed(exchange(1), 3, body=b"x"), changed(changed(exchange(2), 5, body=b"y"), 8, meta="{}  ")
    places = [(finding.exchange, finding.version) for finding in audit(first, second).findings]
    assert places == [
        (id_text(first.opened.stream), 3),
        (id_text(second.opened.stream), 5),
        (id_text(second.opened.stream), 8),
    ]


@pytest.mark.parametrize(("gone", "told"), [([4], "version 4 is missing"), ([3, 4, 5], "versions 3 to 5 are missing")])
def test_removed_events_are_missing_versions(gone: list[int], told: str) -> None:
    built = exchange()
    built.events = [event for event in built.events if event.version not in gone]
    report = audit(built)
    kinds = [finding.kind for finding in report.findings]
    assert kinds == ["version", "hash"]  # and what follows is chained to what is gone
    assert told in report.findings[0].detail
    assert report.verdicts == {"unmodified": "no", "complete_in_range": "no"}


def test_a_cut_off_tail_is_only_an_exchange_without_an_end() -> None:
    built = exchange()
    del built.events[-2:]
    report = audit(built)
    assert not report.findings
    assert report.unfinished == 1


def test_a_missing_opening_is_a_finding_and_versions_are_still_checked() -> None:
    built = exchange()
    del built.events[2]
    report = verify([(None, built.events)])
    assert [finding.kind for finding in report.findings] == ["opening", "version"]
    assert {finding.exchange for finding in report.findings} == {id_text(built.opened.stream)}


@pytest.mark.parametrize("field", ["instance", "secret"])
def test_a_damaged_opening_is_a_finding(field: str) -> None:
    built = exchange()
    finding = only(verify([(replace(built.opened, **{field: b"short"}), built.events)]))
    assert (finding.kind, finding.field, finding.version) == ("opening", field, None)


def test_another_secret_fits_no_event() -> None:
    built = exchange()
    report = verify([(replace(built.opened, secret=b"s" * 32), built.events)])
    assert len(report.findings) == 8


def test_an_unknown_event_format_is_a_finding() -> None:
    built = exchange()
    finding = only(verify([(replace(built.opened, format=3), built.events)]))
    assert (finding.kind, finding.field) == ("opening", "format")
    assert "upgrade recorder" in finding.detail


def test_an_unknown_type_is_a_finding_of_its_own() -> None:
    finding = only(audit(changed(exchange(), 4, type="code 99")))
    assert (finding.kind, finding.version) == ("type", 4)
    assert "code 99" in finding.detail


@pytest.mark.parametrize("meta", ["", "no json", "[1]", '"text"', '{"a":NaN', '{"é":1}'])
def test_facts_that_are_no_json_object_are_a_finding_even_where_the_hash_holds(meta: str) -> None:
    built = ExchangeBuilder().event("request_sent", meta=meta, body=b"").completed()
    assert only(audit(built)).kind == "meta"


@pytest.mark.parametrize(
    ("field", "value"),
    [("wall_ns", "then"), ("mono_ns", None), ("flags", "7"), ("body", "text"), ("hash", "text"), ("meta", 5)],
)
def test_a_value_of_another_type_is_a_finding_and_not_a_crash(field: str, value: object) -> None:
    found = audit(changed(exchange(), 4, **{field: value})).findings
    assert {finding.version for finding in found} <= {4, 5}
    assert any(finding.field == field or finding.kind == "hash" for finding in found)


@pytest.mark.parametrize("instance", [b"", b"i", b"i" * 15, b"i" * 16 + b"junk"])
def test_an_instance_of_another_size_is_one_finding_though_its_padded_hash_may_hold(instance: bytes) -> None:
    whole = instance[:16].ljust(16, b"\0")
    built = ExchangeBuilder(instance=whole).request({}).response().chunks(b"a", b"b").completed()
    finding = only(audit(changed(built, 3, instance=instance)))
    assert (finding.kind, finding.field, finding.version) == ("storage", "instance", 3)


@pytest.mark.parametrize("stored", [b"", b"x", b"x" * 16])
def test_an_instance_that_was_written_where_there_was_none_is_a_finding(stored: bytes, sqlite_url: str) -> None:
    """No value stands for the opening's instance. Postgres has a type for ids, which takes no other size."""
    built = exchange()
    with closing(open_store(sqlite_url, write=True)) as store:
        store.append([built.opened], built.events)
        assert verify(store.walk()).findings == ()
        with store.writing() as connection:
            connection.exec_driver_sql("DROP TRIGGER events_no_update")
            connection.exec_driver_sql("UPDATE events SET instance = ? WHERE version = 4", (stored,))
        finding = only(verify(store.walk()))
    kind = ("hash", "hash") if len(stored) == 16 else ("storage", "instance")
    assert (finding.kind, finding.field, finding.version) == (*kind, 4)


def test_numbers_beyond_their_range_are_a_finding() -> None:
    finding = only(audit(changed(exchange(), 4, flags=-1)))
    assert (finding.kind, finding.field) == ("storage", "numbers")


@pytest.mark.parametrize("late", ["response_completed", "chunk_received", "response_failed"])
def test_what_comes_after_the_end_is_a_finding(late: str) -> None:
    built = ExchangeBuilder().request({}).response().completed().event(late, {}, b"x")
    finding = only(audit(built))
    assert (finding.kind, finding.version) == ("order", 4)
    assert "version 3" in finding.detail


@pytest.mark.parametrize("late", ["gap_recorded", "consumer_closed", "consumer_abandoned"])
def test_what_may_follow_the_end_is_none(late: str) -> None:
    built = ExchangeBuilder().request({}).response().completed().event(late, {})
    report = audit(built)
    assert not report.findings
    assert report.gaps == (late == "gap_recorded")


def test_a_loss_that_the_recorder_tells_of_is_no_finding_but_the_range_is_not_complete() -> None:
    lossy = ExchangeBuilder().request({}).event("gap_recorded", {"events": 2}).response().completed()
    report = audit(exchange(1), lossy)
    assert report.verdicts == {"unmodified": "yes", "complete_in_range": "no"}
    assert (report.findings, report.gaps) == ((), 1)


def test_openings_of_conversations_are_no_exchanges() -> None:
    opening = ExchangeBuilder().event("conversation_named", {"name": "desk"}).event("tags_set", {"tags": {}})
    report = audit(opening)
    assert (report.exchanges, report.unfinished, report.events) == (0, 0, 2)


def test_an_opening_without_events_is_unfinished() -> None:
    report = verify([(exchange().opened, [])])
    assert (report.exchanges, report.unfinished, report.findings) == (1, 1, ())


def test_events_that_are_only_in_a_spool_are_counted() -> None:
    built = exchange()
    built.events[-1] = built.events[-1]._replace(position=None)
    assert audit(built).spooled == 1


def unreadable(built: ExchangeBuilder, error: Exception) -> Iterator[Event]:
    yield from built.events[:3]
    raise error


def test_a_damaged_page_is_a_finding_and_what_was_read_before_counts() -> None:
    def streams() -> Iterator[tuple[StreamOpened, Any]]:
        yield exchange(1).opened, exchange(1).events
        yield exchange(2).opened, unreadable(exchange(2), CorruptRecording("the file is damaged"))

    report = verify(streams())
    finding = only(report)
    assert (finding.kind, finding.exchange) == ("storage", id_text(exchange(2).opened.stream))
    assert report.verdicts["complete_in_range"] == "no"
    assert report.events == 8 + 3


def test_a_damage_before_any_stream_names_none() -> None:
    def streams() -> Iterator[tuple[StreamOpened, Any]]:
        raise CorruptRecording("the file is damaged")
        yield

    assert only(verify(streams())).exchange == ""


def test_a_reader_that_refuses_a_type_is_a_finding_and_the_next_stream_is_read() -> None:
    error = UnknownEventType("unknown event type 99")
    report = verify([(exchange(1).opened, unreadable(exchange(1), error)), (exchange(2).opened, exchange(2).events)])
    finding = only(report)
    assert (finding.kind, finding.version) == ("type", 4)
    assert report.exchanges == 2
    assert report.verdicts["complete_in_range"] == "no"


@pytest.mark.parametrize("built", [exchange(), changed(exchange(), 4, body=b"x")])
def test_the_json_obeys_its_schema(built: ExchangeBuilder) -> None:
    shown = audit(built).as_json()
    Draft202012Validator(SCHEMA).validate(shown)
    assert json.loads(json.dumps(shown)) == shown
    opening = verify([(None, built.events)]).as_json()
    Draft202012Validator(SCHEMA).validate(opening)
    assert "version" not in opening["findings"][0]


TIMES = st.sampled_from([0, 2**63 - 1, 2**63, 2**64 - 1]) | st.integers(0, 2**64 - 1)
EVENTS = st.lists(
    st.builds(
        Event,
        stream=st.just(b"s" * 16),
        version=st.just(0),
        type=st.sampled_from([*["chunk_received"] * 6, "request_sent", "code 99"]),
        wall_ns=TIMES,
        mono_ns=TIMES,
        instance=st.binary(min_size=16, max_size=16),
        flags=st.integers(0, 65535),
        meta=st.none() | st.none() | st.none() | st.text(),
        body=st.binary() | st.binary() | st.binary() | st.none(),
        hash=st.just(b""),
        position=st.integers(1, 9) | st.integers(1, 9) | st.integers(0, 9) | st.none(),
    ),
    max_size=6,
)


@pytest.mark.parametrize(
    ("wall_ns", "mono_ns"),
    [(0, 2**63 - 1), (0, 2**63), (2**63, 0), (2**64 - 1, 0), (0, 2**64 - 1), (2**64 - 1, 2**64 - 1)],
)
def test_a_chunk_of_any_time_that_the_format_has_is_passed(wall_ns: int, mono_ns: int) -> None:
    opened = StreamOpened(b"s" * 16, b"i" * 16, b"k" * 32)
    event = Event(opened.stream, 1, "chunk_received", wall_ns, mono_ns, opened.instance, 0, None, b"x", b"", 1)
    verifier = ChainVerifier(opened)
    assert verifier.pass_chunks(iter([event._replace(hash=link(verifier.head, opened.secret, event))])) is None
    assert verifier.version == 1


@given(secret=st.binary(min_size=32, max_size=32), events=EVENTS)
def test_chunks_are_passed_exactly_where_the_link_holds(secret: bytes, events: list[Event]) -> None:
    head, built = genesis(b"s" * 16), []
    for number, event in enumerate(events, start=1):
        numbered = event._replace(version=number)
        head = link(head, secret, numbered)
        built.append(numbered._replace(hash=head))
    verifier, stored = ChainVerifier(StreamOpened(b"s" * 16, b"i" * 16, secret)), iter(built)
    stopped = []
    while (event := verifier.pass_chunks(stored)) is not None:
        assert verifier.version == event.version - 1
        assert verifier.verifies(event)
        verifier.skip_to(event)
        stopped.append(event)
    assert (verifier.version, verifier.head) == (len(built), head)
    plain = [one for one in built if one.type == "chunk_received" and one.meta is None and one.body is not None]
    assert [one for one in built if one not in plain or not one.position] == stopped


@pytest.mark.parametrize(
    "change",
    [
        {"wall_ns": 7},
        {"mono_ns": 7},
        {"instance": b"j" * 16},
        {"flags": 0},
        {"body": b"x"},
        {"body": "text"},
        {"wall_ns": -1},
        {"wall_ns": "7"},
        {"flags": 1 << 16},
        {"hash": b"h" * 32},
        {"hash": "h"},
        {"version": 5},
    ],
)
def test_no_chunk_is_passed_that_is_not_what_was_written(change: dict[str, Any]) -> None:
    built = exchange()
    events = [*built.events[:3], built.events[3]._replace(**change), *built.events[4:]]
    verifier = ChainVerifier(built.opened)
    verifier.skip_to(events[1])
    assert verifier.pass_chunks(iter(events[2:])) is events[3]
    assert (verifier.version, verifier.head) == (3, events[2].hash)


def test_what_was_passed_before_a_reader_fails_is_known() -> None:
    built = exchange()

    def broken() -> Iterator[Event]:
        yield built.events[2]
        raise CorruptRecording("damaged")

    verifier = ChainVerifier(built.opened)
    verifier.skip_to(built.events[1])
    with pytest.raises(CorruptRecording):
        verifier.pass_chunks(broken())
    assert (verifier.version, verifier.head) == (3, built.events[2].hash)


def test_the_first_event_is_chained_to_the_stream() -> None:
    built = exchange()
    assert built.events[0].hash == link(genesis(built.opened.stream), built.opened.secret, built.events[0])
