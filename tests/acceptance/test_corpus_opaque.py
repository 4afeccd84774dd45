"""What no dialect is for, and the shapes of everything: streams of the corpus that are other protocols.

MCP, batch results, transcriptions and Ollama's downloads come in the same forms as answers do.
"""

from __future__ import annotations

import pytest

from recorder.core.content_coding import undo
from recorder.dialects.base import Clues, choose, dialects
from tests import corpus
from tests.acceptance.corpus_rebuilt import rebuilt_of

pytestmark = corpus.needs_corpus

#: Manifest dialects that nobody reads, and how many streams of each there are.
OPAQUE = {"mcp": 5, "anthropic-batch-results": 2, "openai-transcription": 1, "other": 1}
SHAPES = {"sse": "sse", "eventstream": "eventstream", "ndjson": "ndjson", "jsonarray": "json"}


def clues_of(name: str, *, bare: bool = False) -> Clues:
    """Return the clues of a stream; *bare* ones have neither a URL nor a content type."""
    stream = corpus.stream(name)
    headers = {str(key).lower(): str(value) for key, value in stream.sidecar["response"]["headers"] or []}
    body = undo(stream.body, headers.get("content-encoding")).body
    if bare:
        return Clues("", "", body)
    return Clues(stream.sidecar["request"]["url"] or "", headers.get("content-type", ""), body)


def names() -> list[str]:
    """Return the streams of all of them."""
    return [name for dialect in OPAQUE for name in corpus.names(dialect)]


def test_the_corpus_has_them_all() -> None:
    assert {dialect: len(corpus.names(dialect)) for dialect in OPAQUE} == OPAQUE


@pytest.mark.parametrize("name", names())
def test_nobody_claims_them(name: str) -> None:
    for clues in (clues_of(name), clues_of(name, bare=True)):
        assert choose(clues).name == "opaque"
        claims = {dialect.name: dialect.claims(clues) for dialect in dialects() if dialect.name != "opaque"}
        assert set(claims.values()) == {0.0}, claims


@pytest.mark.parametrize("name", names())
def test_they_are_rebuilt_without_any_meaning(name: str) -> None:
    rebuilt = rebuilt_of(corpus.stream(name))
    answer = rebuilt.answer
    assert (answer.dialect, answer.understood, answer.choices, answer.errors) == ("opaque", False, (), ())
    assert answer.shape == clues_of(name).shape
    # A stream that nobody understands may have any end; one line alone is a whole document.
    assert rebuilt.verdict == ("complete" if answer.shape == "json" else "unknown")
    if answer.shape == "sse":
        assert answer.events == corpus.stream(name).sidecar["analysis"]["n_events"]


@pytest.mark.parametrize("name", corpus.names(""))
def test_the_shape_is_told_by_the_bytes_alone(name: str) -> None:
    body = clues_of(name).body
    expected = SHAPES[name.rpartition(".")[2]]
    if expected == "ndjson" and body.count(b"\n") < 2:
        expected = "json"  # one line is one document
    for told in ("", "text/event-stream", "application/json", "application/octet-stream"):
        assert Clues("", told, body).shape == expected
    assert clues_of(name).shape == expected
