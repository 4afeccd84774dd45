"""What a redaction for an export owes, whatever the dialect and the format: the secret is nowhere to be found.

The streams are those of the dialects' own tests (``STREAMS``), with a secret put into each of their texts, cut over
deltas at any place.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.core.export_redaction import REDACTED, ExportRedaction
from recorder.core.rebuilt import Rebuilt
from recorder.dialects.rebuild import rebuild
from recorder.formats.base import formats, render
from tests.contract.test_dialects import DEFAULT, PLACES, STREAMS
from tests.redacting import holds, recorded, rows_of, split_over, texts_of

#: None of them is a word of a wire format; one needs escapes in ASCII, one is of characters beyond 16 bits.
SECRETS = ("Smith-Waterman", "Zoë M\u00fcller", "\U0001f511\U0001f5dd\U0001f512")
CASES = [
    (name, kind, body, text)
    for name, kind, body in STREAMS
    for text in texts_of(recorded(kind, body, url=PLACES.get(name, DEFAULT)))
]


def with_secret(name: str, kind: str, body: bytes, text: str, secret: str, data: st.DataObject) -> Iterator[Rebuilt]:
    """Yield the exchange with the secret in the text, cut at any places; twice, so that both are to be found."""
    call = text.startswith("{")
    new = f'{{"a":"by {secret}, {secret}"}}' if call else f"by {secret}, {secret}"
    cuts = [0, *sorted(data.draw(st.sets(st.integers(1, len(new) - 1), max_size=8))), len(new)]
    pieces = [new[start:end] for start, end in pairwise(cuts)]
    bodies = split_over(body, text, pieces, ascii_only=data.draw(st.booleans()))
    for changed in bodies:
        ends = data.draw(st.lists(st.integers(1, len(changed)), max_size=6))
        found = recorded(kind, changed, url=PLACES.get(name, DEFAULT), cuts=ends)
        if any(secret in each for each in texts_of(found)):
            yield found
            return


@pytest.mark.parametrize(("name", "kind", "body", "text"), CASES)
@settings(max_examples=5, deadline=None)  # each writes all formats
@given(data=st.data())
def test_a_secret_is_nowhere_to_be_found(name: str, kind: str, body: bytes, text: str, data: st.DataObject) -> None:
    secret = data.draw(st.sampled_from(SECRETS))
    for before in with_secret(name, kind, body, text, secret, data):
        redaction = ExportRedaction([f"text:{secret}"], rebuild)
        after = redaction.exchange(before)
        assert after.verdict == before.verdict
        assert len(after.exchange.chunks) == len(before.exchange.chunks)
        assert [chunk.mono_ns for chunk in after.exchange.chunks] == [c.mono_ns for c in before.exchange.chunks]
        assert after.exchange.chunks[-1].end == len(after.exchange.body)
        assert after.answer.events == before.answer.events
        assert any(each.count("[redacted]") == 2 for each in texts_of(after))
        assert [fact.detail.partition(":")[0] for fact in after.anomalies if fact.kind == REDACTED] == ["rule 1 (text)"]
        for text_after in texts_of(after):
            assert secret not in text_after
        for one in formats():
            pieces = list(redaction.guard(render(one, [after])))
            document = b"".join(piece.encode() if isinstance(piece, str) else piece for piece in pieces)
            assert not holds(rows_of(document) if one == "parquet" else document, secret), one


def test_the_secret_can_be_put_into_every_dialect() -> None:
    """Else the test above would say nothing of one."""
    told = {
        name
        for name, kind, body, text in CASES
        for changed in split_over(body, text, ["by ", "Smith", "-Water", "man"])
        if any("Smith-Waterman" in each for each in texts_of(recorded(kind, changed, url=PLACES.get(name, DEFAULT))))
    }
    assert told == {name for name, _, _ in STREAMS}


@pytest.mark.parametrize(("name", "kind", "body"), STREAMS)
@settings(max_examples=5, deadline=None)
@given(data=st.data())
def test_what_holds_no_secret_stays_as_it_is(name: str, kind: str, body: bytes, data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(1, len(body)), max_size=6))
    before = recorded(kind, body, url=PLACES.get(name, DEFAULT), cuts=cuts)
    rules = [
        "text:Smith-Waterman",
        r"re:\bW\w+man\b",
        "json:$.nowhere[*]",
        "detect:email",
        "detect:card",
        "detect:iban",
    ]
    after = ExportRedaction([*rules, "detect:phone", "detect:key"], rebuild).exchange(before)
    assert after is before
