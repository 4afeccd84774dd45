"""Every stream of the corpus with an event damaged, or missing: no call is shown as whole that is none of its calls.

The sample that runs by default is small; ``pytest -m soak`` takes every event.
"""

from __future__ import annotations

import random

import pytest

from recorder.core.content_coding import undo
from tests import corpus
from tests.building import URL
from tests.holing import broken, holed, recorded, units_of, whole_calls

pytestmark = corpus.needs_corpus

SAMPLED = 6


def check(path: str, most: int | None) -> None:
    stream = corpus.stream(path)
    sent = [(name, str(value)) for name, value in stream.sidecar["response"]["headers"] or []]
    coding = next((value for name, value in sent if name.lower() == "content-encoding"), None)
    body, url = undo(stream.body, coding).body, stream.sidecar["request"]["url"] or URL
    headers = [(name, value) for name, value in sent if name.lower() != "content-encoding"]
    whole = recorded([body], url, headers)
    places = units_of(body, whole.answer.shape)
    if most is not None:
        places = random.Random(path).sample(places, min(most, len(places)))
    for start, end in places:
        for pieces in holed(body, start, end, whole.answer.shape):
            found = recorded(pieces, url, headers)
            assert whole_calls(found) <= whole_calls(whole), (start, end)
            if whole.verdict == "complete" and found.answer.dialect != "opaque":
                assert found.verdict != "complete", (start, end)
        assert broken(body[start:end], whole.answer.shape) != body[start:end]


@pytest.mark.parametrize("path", corpus.names(""))
def test_a_sample(path: str) -> None:
    check(path, SAMPLED)


@pytest.mark.soak
@pytest.mark.parametrize("path", corpus.names(""))
def test_every_event(path: str) -> None:
    check(path, None)
