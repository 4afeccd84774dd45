"""Streams of the corpus with a part of what they say left out: found nowhere, the rest as it was, or refused."""

from __future__ import annotations

import json

import pytest

from recorder.core.export_redaction import ExportRedaction
from recorder.core.rebuilt import Rebuilt, as_json
from recorder.dialects.rebuild import rebuild
from recorder.errors import RedactionRefused
from recorder.formats.base import formats, render
from tests import corpus
from tests.acceptance.test_corpus_formats import exchange
from tests.redacting import holds, rows_of, texts_of

pytestmark = corpus.needs_corpus

PATHS = corpus.names("")
EVERY = 7
LENGTH = 14


def said_at_length(paths: list[str]) -> tuple[Rebuilt, str]:
    """Return the first of some streams that says enough for a part of it to be left out, and what it says."""
    exchanges = (exchange(1, path) for path in paths)
    found = ((one, text) for one in exchanges for text in texts_of(one) if len(text) >= LENGTH and text[0] != "{")
    return next(found)


@pytest.mark.parametrize("at", range(0, len(PATHS), EVERY))
def test_the_middle_of_what_was_said_can_be_left_out(at: int) -> None:
    before, text = said_at_length(PATHS[at : at + EVERY])
    middle = (len(text) - LENGTH) // 2
    secret = text[middle : middle + LENGTH].strip()
    redaction = ExportRedaction([f"text:{secret}"], rebuild)
    try:
        after = redaction.exchange(before)
    except RedactionRefused as error:
        pytest.fail(str(error))
    assert any("[redacted]" in text for text in texts_of(after))
    assert len(after.exchange.chunks) == len(before.exchange.chunks)
    for name in formats():
        whole = list(redaction.guard(render(name, [after])))
        document = b"".join(piece.encode() if isinstance(piece, str) else piece for piece in whole)
        assert not holds(rows_of(document) if name == "parquet" else document, secret), name


@pytest.mark.parametrize("path", PATHS[3::EVERY])
def test_what_holds_no_secret_is_as_it_was(path: str) -> None:
    before = exchange(1, path)
    after = ExportRedaction(["text:nobody says this", "json:$.nowhere", r"re:\bnobody\s+says\b"], rebuild).exchange(
        before
    )
    assert after.exchange == before.exchange or after.answer.shape == "eventstream"
    assert json.dumps(as_json(after)["messages"]) == json.dumps(as_json(before)["messages"])


def test_no_copy_of_what_was_said_so_far_keeps_the_beginning_of_a_secret() -> None:
    (path,) = (path for path in PATHS if "TestPerplexityTool-0" in path)
    secret = "in the world by total"
    after = ExportRedaction([f"text:{secret}"], rebuild).exchange(exchange(1, path))
    lines = (line.removeprefix(b"data: ") for line in after.exchange.body.splitlines())
    choices = [choice for line in lines if line.startswith(b"{") for choice in json.loads(line)["choices"]]
    copies = [choice["message"]["content"] for choice in choices]
    assert len(copies) > 100
    assert not any(copy.startswith("The largest country in") for copy in copies)
    assert sum(copy.endswith("country [redacted]") for copy in copies) == len(secret.split())
