"""Whichever event of an answer is damaged or missing: no call is shown as whole that is not one of its calls."""

from __future__ import annotations

import pytest

from tests.contract.test_dialects import DEFAULT, PLACES, STREAMS
from tests.holing import holed, recorded, units_of, whole_calls

CASES = [
    case
    for case in STREAMS
    if units_of(case[2], recorded([case[2]], DEFAULT, [("content-type", case[1])]).answer.shape)
]


@pytest.mark.parametrize(("name", "kind", "body"), CASES)
def test_no_call_is_whole_that_is_not_a_call_of_the_answer(name: str, kind: str, body: bytes) -> None:
    url, headers = PLACES.get(name, DEFAULT), [("content-type", kind)]
    whole = recorded([body], url, headers)
    for start, end in units_of(body, whole.answer.shape):
        for pieces in holed(body, start, end, whole.answer.shape):
            found = recorded(pieces, url, headers)
            assert whole_calls(found) <= whole_calls(whole), (start, end)
            assert found.verdict != "complete", (start, end)


def test_there_are_calls_to_be_cut() -> None:
    assert (
        sum(
            bool(whole_calls(recorded([body], PLACES.get(name, DEFAULT), [("content-type", kind)])))
            for name, kind, body in CASES
        )
        >= 5
    )
