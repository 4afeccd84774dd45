"""Faults as text: the same faults as the constructors make, and one line for everything else."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder import ConfigurationError, faults
from recorder.faults import Fault, from_text


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("cut:after-events=3,how=reset", faults.cut(after_events=3, how="reset")),
        ("cut:after_bytes=0", faults.cut(after_bytes=0)),
        ("cut: after-chunks = 2 , how = timeout ", faults.cut(after_chunks=2, how="timeout")),
        ("malformed:4", faults.malformed(4)),
        ("malformed:after-chunks=4", faults.malformed(4)),
        ("corrupt-gzip", faults.corrupt_gzip()),
        ("corrupt_gzip:7", faults.corrupt_gzip(7)),
        ("Status:429,retry-after=2", faults.status(429, retry_after=2)),
        ("status:503,retry-after=2.5,body=busy", faults.status(503, retry_after=2.5, body="busy")),
        ('status:500,body={"a,b": ["+"]}', faults.status(500, body={"a,b": ["+"]})),
        ('status:503,retry-after="Wed, 21 Oct 2026"', faults.status(503, retry_after="Wed, 21 Oct 2026")),
        ("unreachable:timeout", faults.unreachable("timeout")),
        ("late:1", faults.late(1)),
        ("late:0.25", faults.late(0.25)),
    ],
)
def test_a_text_is_the_fault_that_its_call_makes(text: str, fault: Fault) -> None:
    assert from_text(text) == fault


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("done-missing", "done-missing"),
        ("done_twice", "done-twice"),
        ("rechunk:random,seed=7", "rechunk-random-7"),
        ('error-in-stream:2,{"message": "no"}', None),
        ('error-in-stream:2,error={"message": "no"}', "error-after-2-events"),
        ("done-missing + rechunk:bytes+cut:after-bytes=9", "done-missing+rechunk-bytes+close-after-9-bytes"),
    ],
)
def test_faults_that_rewrite(text: str, shown: str | None) -> None:
    if shown is None:
        with pytest.raises(ConfigurationError, match="has no name in error-in-stream"):
            from_text(text)
    else:
        assert str(from_text(text)) == shown


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "a fault is missing at its end: use one of corrupt-gzip, cut, "),
        ("+", "a fault is missing at '+'"),
        ("late:1+", "a fault is missing at its end"),
        ("3", "a fault is missing at '3'"),
        ("cutt:after-bytes=3", "cutt is no fault: did you mean cut?"),
        ("several:cut", "several is no fault"),
        ("cut", "say where to cut"),
        ("cut:3", "'3' has no name in cut: use after-bytes=…, after-chunks=…, after-events=…, how=…"),
        ("cut:after=3", "after is not known in cut: use after-bytes=…"),
        ("cut:after-bytes=1,after_bytes=2", "after-bytes is given twice"),
        ("cut:after-bytes=x", "after_bytes='x' is no count"),
        ("cut:after-bytes=[1]", "is no count"),
        ("cut:after-bytes=1,how=bang", "'close', 'reset', 'timeout'"),
        ("malformed", "malformed says no after-chunks: use malformed:after-chunks=…"),
        ("done-missing:1", "done-missing takes nothing"),
        ("status:429 503", "is no count"),
        ("status:429}", "is no count"),
        ('status:429,body={"a"', "is no JSON"),
        ('status:429,body="a" b', "nothing is known of 'b': put + between faults and commas"),
        ("status:429,retry-after=é", "nothing that a header can say"),
        ("rechunk:random,seed=x", "seed='x' is no number"),
        ("late:" + "9" * 400, "is no number of seconds"),
    ],
)
def test_what_is_none_is_said_in_one_line(text: str, says: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        from_text(text)
    assert says in str(raised.value)
    assert "\n" not in str(raised.value)


@given(st.text(alphabet=st.one_of(st.sampled_from('cutaferlsy-_:,=+{}[]"0123456789. é\ud800'), st.characters())))
def test_no_text_breaks_it(text: str) -> None:
    with suppress(ConfigurationError):
        from_text(text)


PLAIN = st.none() | st.booleans() | st.integers() | st.text()


@given(st.recursive(PLAIN, st.lists) | st.dictionaries(st.text(), PLAIN))
def test_any_json_can_be_the_body_of_a_status(value: object) -> None:
    if not isinstance(value, str | list | dict):
        value = [value]
    text = f"status:503,body={json.dumps(value)},retry-after=1+late:1"
    assert from_text(text) == faults.several(faults.status(503, body=value, retry_after=1), faults.late(1))
