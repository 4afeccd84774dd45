"""Lines of a cassette: any events come back from them, bit for bit."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from recorder.core.cassette_lines import (
    LineError,
    NewerVersionError,
    header_line,
    line,
    read_end,
    read_events,
    read_more,
    read_opening,
    stream_lines,
)
from recorder.core.chain import genesis, link
from recorder.core.events import TYPE_CODES, Event, StreamOpened, meta_text
from tests.building import ExchangeBuilder
from tests.unit.core.test_cassette_body import JSON

U63 = st.integers(0, 2**63 - 1)
IDS = st.binary(min_size=16, max_size=16)
ODD_META = st.sampled_from(
    ["null", "[]", "7", "{", '{"a": 1}', '{"b":1,"a":1}', '{"a":NaN}', '{"a":1e999}', '{"head":true}', '{"head":-3}']
)
META = (
    st.none() | ODD_META | st.dictionaries(st.sampled_from(["head", "é", "a\ud800"]), JSON, max_size=3).map(meta_text)
)
BODY = st.none() | st.binary(max_size=60) | st.just(b"POST / HTTP/1.1\r\nhost: x\r\n\r\n" + b'{"a": 1}')


@st.composite
def streams(draw: st.DrawFn) -> tuple[StreamOpened, list[Event]]:
    opened = StreamOpened(draw(IDS), draw(IDS), draw(st.binary(min_size=32, max_size=32)))
    head = genesis(opened.stream)
    events = []
    for version in range(1, draw(st.integers(1, 5)) + 1):
        instance = draw(st.just(opened.instance) | IDS)
        kind = draw(st.sampled_from(sorted(TYPE_CODES)))
        flags = draw(st.integers(0, 2**16 - 1))
        told = kind, draw(U63), draw(U63), instance, flags, draw(META), draw(BODY)
        event = Event(opened.stream, version, *told, b"")
        head = link(head, opened.secret, event)
        events.append(event._replace(hash=head))
    return opened, events


def read_back(written: list[bytes]) -> tuple[StreamOpened, list[Event], bytes]:
    """Return opening, events and the hash at the end that lines hold."""
    first, *middle, last = written
    opening = read_opening(1, json.loads(first))
    events = list(read_events(opening, enumerate(middle, 2)))
    stream, head = read_end(len(written), json.loads(last))
    assert stream == opening[0].stream
    return opening[0], events, head


@given(streams())
def test_any_events_come_back_bit_for_bit(made: tuple[StreamOpened, list[Event]]) -> None:
    opened, events = made
    written = list(stream_lines(opened, events))
    assert all(one.count(b"\n") == 1 and one.endswith(b"\n") for one in written)
    assert read_back(written) == (opened, events, events[-1].hash)
    assert list(stream_lines(*read_back(written)[:2])) == written


@given(st.text(alphabet=st.characters(categories=["C", "Z", "L"]), max_size=30))
@example("a\u2028b\u0085c\u202e\ufeff\x7f")
@example("\ud83d\ude00 \ud800")
def test_no_line_holds_what_is_not_seen_or_ends_a_line_elsewhere(text: str) -> None:
    written = line({"body": text})
    assert json.loads(written) == json.loads(json.dumps({"body": text}))
    assert len(written.decode("utf-8").splitlines()) == 1
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]", written.decode())


def test_a_whole_exchange_for_people() -> None:
    built = ExchangeBuilder(1).request({"model": "m", "é": 1}).response(framing="chunked").chunks(b"data: \xe2\x82")
    opening, asked, answered, chunk, end = map(json.loads, stream_lines(built.opened, built.events))
    assert list(opening) == ["exchange", "at", "mono", "instance", "salt"]
    assert opening["at"] == "2026-09-21T14:13:21.000000000Z"
    assert list(asked) == ["event", "ns", "head", "json_spaced", "meta"]
    assert asked["head"][0] == "POST /v1/chat/completions HTTP/1.1"
    assert asked["json_spaced"] == {"model": "m", "é": 1}
    assert answered["head"] == ["HTTP/1.1 200 OK", "content-type: text/event-stream"]
    assert chunk == {"event": "chunk_received", "ns": 2_000_000, "flags": 7, "body": ["data: ", {"base64": "4oI="}]}
    assert end == {"end": opening["exchange"], "hash": built.events[-1].hash.hex()}


def test_times_that_two_clocks_do_not_agree_on() -> None:
    built = ExchangeBuilder(1).event("request_sent")
    built.wall_ns -= 5_000  # somebody set the clock
    built.event("process_died", instance=b"o" * 16)
    written = list(stream_lines(built.opened, built.events))
    assert json.loads(written[2])["skew"] == -5_000
    assert read_back(written)[1] == built.events


def test_the_first_line() -> None:
    assert header_line(2) == b'{"cassette":1,"exchanges":2}\n'
    assert header_line(None, conversations=3) == b'{"cassette":1,"recording":true}\n'
    told = json.loads(header_line(0, {"ignore": ["/a"]}, ["body:name"], conversations=1))
    assert told == {
        "cassette": 1,
        "exchanges": 0,
        "conversations": 1,
        "match": {"ignore": ["/a"]},
        "redact": ["body:name"],
    }


OPENING: dict[str, Any] = {
    "exchange": "01900000-0001-7000-8000-000000000000",
    "at": "2026-11-29T10:00:00.000000001Z",
    "mono": 5,
    "instance": "01900000-0001-7000-8000-000000000000",
    "salt": "00" * 32,
}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"exchange": 7}, "no id as 'exchange'"),
        ({"exchange": "x"}, "no id as 'exchange'"),
        ({"instance": None}, "no id as 'instance'"),
        ({"salt": "00"}, "no 64 hexadecimal digits as 'salt'"),
        ({"salt": 7}, "no 64 hexadecimal digits as 'salt'"),
        ({"at": "yesterday"}, "no time as 'at'"),
        ({"at": "2026-11-29T10:00:00.1x0000001Z"}, "no time as 'at'"),
        ({"at": 7}, "no time as 'at'"),
        ({"mono": 1.5}, "no whole number as 'mono'"),
        ({"mono": True}, "no whole number as 'mono'"),
        ({"instnace": "x"}, "a member that is not known: 'instnace'"),
        ({"conversation": "x"}, "a member that is not known: 'conversation'"),
    ],
)
def test_an_opening_that_cannot_be_read(change: dict[str, Any], says: str) -> None:
    with pytest.raises(LineError, match=says) as caught:
        read_opening(9, OPENING | change)
    assert caught.value.number == 9


def test_an_opening_of_a_later_format() -> None:
    with pytest.raises(NewerVersionError, match="event format 2"):
        read_opening(2, OPENING | {"format": 2})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"event":"chunk_received"}', "no whole number as 'ns'"),
        ('{"event":"chunk_received","ns":"0"}', "no whole number as 'ns'"),
        ('{"event":"chunk_received","ns":1e3}', "no whole number as 'ns'"),
        ('{"event":"teleported","ns":0}', "of a type that is not known here: 'teleported'"),
        ('{"event":["chunk_received"],"ns":0}', "of a type that is not known here"),
        ('{"event":"chunk_received","ns":0,"bdoy":""}', "not known: 'bdoy'"),
        ('{"event":"chunk_received","ns":0,"body":7}', "a body that cannot be read"),
        ('{"event":"chunk_received","ns":0,"body":"\\ud800"}', "a body that cannot be read"),
        ('{"event":"chunk_received","ns":0,"head":"x"}', "a body that cannot be read"),
        ('{"event":"chunk_received","ns":0,"json":NaN}', "a body that cannot be read"),
        ('{"event":"chunk_received","ns":0,"json":1,"body":"1"}', "body and json both"),
        ('{"event":"chunk_received","ns":0,"meta":NaN}', "number that JSON does not have"),
        ('{"event":"chunk_received","ns":0,"meta":1,"meta_text":"1"}', "both meta and meta_text"),
        ('{"event":"chunk_received","ns":0,"meta_text":"é"}', "no text of ASCII"),
        ('{"event":"chunk_received","ns":0,"flags":65536}', "holds what no event can"),
        ('{"event":"chunk_received","ns":-9}', "holds what no event can"),
        ('{"event":"chunk_received","ns":0,"instance":"x"}', "no id as 'instance'"),
        ('{"event":"chunk_received","ns":0', "no JSON object"),
        ("[]", "no JSON object"),
        ("[" * 100_000, "no JSON object"),
    ],
)
def test_an_event_that_cannot_be_read(text: str, says: str) -> None:
    opening = read_opening(1, OPENING)
    with pytest.raises(LineError, match=says) as caught:
        list(read_events(opening, [(7, text.encode())]))
    assert caught.value.number == 7


def test_other_lines_that_cannot_be_read() -> None:
    with pytest.raises(LineError, match="no id as 'more'"):
        read_more(3, {"more": 1})
    with pytest.raises(LineError, match="not known: 'x'"):
        read_more(3, {"more": OPENING["exchange"], "x": 1})
    with pytest.raises(LineError, match="no 64 hexadecimal digits as 'hash'"):
        read_end(3, {"end": OPENING["exchange"], "hash": "zz" * 32})
