"""Every chat stream of Mistral's in the corpus, against the mistralai SDK's accumulator on the same bytes.

A second opinion beside the openai SDK's. What the accumulator is known to do otherwise (it drops chunks that its
types do not allow, and of several reports of usage it takes the first) is listed by stream, when a stream shows it.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest

from recorder.core.messages import ReasoningPart
from tests import corpus
from tests.acceptance.test_corpus_rebuild import by_recorder

pytestmark = corpus.needs_corpus

#: Known bugs of the accumulator, by stream: what differs, and why. None shows in the streams of the corpus.
SDK_BUGS: dict[str, tuple[set[str], str]] = {}


def _of_mistral(name: str) -> bool:
    host = urlsplit(corpus.stream(name).sidecar["request"]["url"] or "").hostname or ""
    return host.endswith("mistral.ai")


NAMES = [name for name in corpus.names("openai-chat") if _of_mistral(name)]


def _calls(message: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [
        (call["id"] or "", call["function"]["name"], call["function"]["arguments"])
        for call in message.get("tool_calls") or []
    ]


def test_the_corpus_has_them_all() -> None:
    assert len(NAMES) == 7


@pytest.mark.parametrize("name", NAMES)
def test_same_as_mistrals_accumulator_but_for_its_bugs(name: str) -> None:
    from mistralai.extra.observability.streaming import accumulate_chunks_to_response_dict, parse_sse_chunks

    stream = corpus.stream(name)
    said, rebuilt = by_recorder(stream)
    theirs = accumulate_chunks_to_response_dict(parse_sse_chunks(stream.body))
    differing: set[str] = set()
    assert (theirs["id"], theirs["model"]) == (rebuilt.answer.ids[0], rebuilt.answer.models[0])
    assert len(theirs["choices"]) == len(rebuilt.answer.choices)
    for index, choice in enumerate(theirs["choices"]):
        message = choice["message"]
        ours = (said.text[index], said.calls[index], said.finish[index] or "")
        other = (message["content"], _calls(message), choice["finish_reason"])
        pairs = zip(("text", "calls", "finish"), ours, other, strict=True)
        differing |= {what for what, mine, its in pairs if mine != its}
    if {key: value for key, value in said.usage.items() if value is not None} != theirs.get("usage"):
        differing.add("usage")
    known, _ = SDK_BUGS.get(name.rpartition("/")[2], (set(), ""))
    assert differing == known


@pytest.mark.parametrize("name", NAMES)
def test_thinking_in_the_content_is_reasoning_and_no_text(name: str) -> None:
    """The accumulator leaves thoughts out, so the chunks that it is made of tell them."""
    from mistralai.extra.observability.streaming import parse_sse_chunks

    stream = corpus.stream(name)
    thoughts = ""
    for chunk in parse_sse_chunks(stream.body):
        for choice in chunk.choices:
            content = choice.delta.content
            for block in content if isinstance(content, list) else []:
                for piece in getattr(block, "thinking", []):
                    thoughts += getattr(piece, "text", "")
    _, rebuilt = by_recorder(stream)
    parts = rebuilt.answer.choices[0].message.parts
    assert "".join(part.text for part in parts if isinstance(part, ReasoningPart)) == thoughts


def test_no_bug_is_listed_for_a_stream_that_is_not_there() -> None:
    assert set(SDK_BUGS) <= {name.rpartition("/")[2] for name in NAMES}
