"""Copies of all that was said so far, as Perplexity has them: none keeps the beginning of a secret."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.core.export_copies import cut_short
from recorder.core.export_redaction import ExportRedaction
from recorder.core.json_pieces import pieces_of
from recorder.core.rebuilt import Rebuilt
from recorder.dialects.rebuild import rebuild
from recorder.formats.base import render
from tests.building import delta
from tests.unit.dialects.answers import rebuilt_from
from tests.unit.dialects.wire import NDJSON, SSE, ndjson, sse

URL = "https://api.perplexity.ai/chat/completions"
SECRET = "sk-proj-Abc123Def456Ghi789Jkl012"


def cut(text: str, cuts: Sequence[int]) -> list[str]:
    return [text[start:end] for start, end in pairwise([0, *cuts, len(text)])]


def copied(pieces: Sequence[str], *, deltas: bool = True) -> list[dict[str, Any]]:
    """Return chunks that each have all that was said so far beside the delta."""
    return [
        {
            "object": "chat.completion.chunk",
            "choices": [
                {
                    "index": 0,
                    "delta": {"content": piece if deltas else ""},
                    "message": {"role": "assistant", "content": said},
                }
            ],
        }
        for piece, said in zip(pieces, accumulate(pieces), strict=True)
    ]


def redacted(body: bytes, kind: str = SSE, url: str = URL) -> Rebuilt:
    return ExportRedaction([f"text:{SECRET}"], rebuild).exchange(rebuilt_from(body, kind, url))


def copies(rebuilt: Rebuilt) -> list[str]:
    lines = [line.removeprefix("data: ") for line in rebuilt.exchange.body.decode().splitlines()]
    values = [json.loads(line) for line in lines if line.startswith("{")]
    choices = [choice for value in values for choice in value["choices"] if "message" in choice]
    return [choice["message"]["content"] for choice in choices]


@pytest.mark.parametrize("before", ["", "my "])
@pytest.mark.parametrize(
    "cuts", [(10, 20), (30, 31), (8, 16, 24), (28, 29, 30, 31), (20, 24, 28, 30), tuple(range(1, len(SECRET)))]
)
def test_a_copy_that_ends_inside_a_secret_loses_what_it_has_of_it(before: str, cuts: Sequence[int]) -> None:
    pieces = [*([before] if before else []), *cut(SECRET, cuts), " end"]
    after = redacted(sse(*copied(pieces), delta(finish="stop")))
    kept = [before] if before else []
    assert copies(after) == [*kept, *[f"{before}[redacted]"] * (len(cuts) + 1), f"{before}[redacted] end"]
    assert (after.answer.choices[0].message.text, after.verdict) == (f"{before}[redacted] end", "complete")
    for form in ("sse", "har", "json", "jsonl"):
        text = "".join(piece if isinstance(piece, str) else piece.decode() for piece in render(form, [after]))
        assert SECRET[:8] not in text


@given(
    cuts=st.sets(st.integers(1, len(SECRET) + 5), max_size=9),
    deltas=st.booleans(),
    ended=st.booleans(),
    escaped=st.booleans(),
)
def test_whatever_the_cut(cuts: set[int], deltas: bool, ended: bool, escaped: bool) -> None:
    before = "é \U0001f511 " if escaped else "my "
    pieces = [before, *cut(SECRET + " and more", sorted(cuts))]
    values = [*copied(pieces, deltas=deltas), *([delta(finish="stop")] if ended else [])]
    body = b"".join(b"data: " + json.dumps(value, ensure_ascii=escaped).encode() + b"\n\n" for value in values)
    assert all(len(copy) <= len(before) or copy.startswith(f"{before}[redacted]") for copy in copies(redacted(body)))


def test_of_a_copy_that_stays_behind_its_deltas_too() -> None:
    said = ["my ", *cut(SECRET, (10, 20)), " end"]
    values = copied(said)
    for value in values[3:]:  # the last copy says no more than two thirds of it
        value["choices"][0]["message"]["content"] = "my " + SECRET[:20]
    assert copies(redacted(sse(*values, delta(finish="stop")))) == ["my ", *["my [redacted]"] * 4]


def test_copies_with_no_deltas_under_any_name() -> None:
    lines = [{"output": {"text": said}} for said in accumulate(["my ", *cut(SECRET, (5, 30)), " end"])]
    after = redacted(ndjson(*lines), NDJSON, "https://elsewhere.example/")
    told = [json.loads(line)["output"]["text"] for line in after.exchange.body.splitlines()]
    assert told == ["my ", *["my [redacted]"] * 3, "my [redacted] end"]


def test_a_copy_that_begins_anew_does_not_hide_the_others() -> None:
    again = copied(["no: ", *cut(SECRET, (9, 18, 27)), "!"])
    after = redacted(sse(*copied(["my ", *cut(SECRET, (9, 18, 27)), "!"]), *again, delta(finish="stop")))
    assert SECRET[:9] not in after.exchange.body.decode()


def test_deltas_that_begin_alike_by_chance_stay() -> None:
    body = sse(delta(content="a sk"), delta(content="a sk-x"), delta(content=" b "), delta(content=SECRET))
    after = redacted(body + sse(delta(finish="stop")))
    assert after.answer.choices[0].message.text == "a ska sk-x b [redacted]"


def test_where_nothing_was_found_nothing_is_cut_short() -> None:
    text = '{"content":["a","ab","abc"]}'
    pieces = pieces_of(text, "json")
    assert list(cut_short(text, pieces, [], [])) == []
    at = text.index('"abc') + 1
    assert [text[start:end] for start, end in cut_short(text, pieces, [(at + 1, at + 3)], [])] == ["b"]
