"""What every dialect owes, whoever wrote it: it never raises, and the cut of the bytes changes nothing.

A dialect's own test module, ``tests/unit/dialects/test_<name>.py``, gives ``STREAMS``: whole answers as
``(content type, body)``, each of them complete. From these the suite makes prefixes and partitions.
"""

from __future__ import annotations

import importlib
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.core.exchange import fold
from recorder.core.messages import FINISHES, Answer
from recorder.core.rebuilt import Rebuilt, as_json
from recorder.dialects.base import Clues, Dialect, choose, dialects
from recorder.dialects.rebuild import rebuild
from tests.building import ExchangeBuilder

PLACES = {
    "anthropic_messages": "https://api.example/v1/messages",
    "cohere_v1": "https://api.example/v1/chat",
    "cohere_v2": "https://api.example/v2/chat",
    "gemini": "https://api.example/v1beta/models/m:streamGenerateContent?alt=sse",
    "ollama": "http://127.0.0.1:11434/api/chat",
    "openai_responses": "https://api.example/v1/responses",
}
DEFAULT = "https://api.example/v1/chat/completions"
ALL = {dialect.name: dialect for dialect in dialects()}


def streams_of(name: str) -> list[tuple[str, bytes]]:
    module = importlib.import_module(f"tests.unit.dialects.test_{name}")
    return list(getattr(module, "STREAMS", ()))


STREAMS = [(name, kind, body) for name in ALL if name != "opaque" for kind, body in streams_of(name)]


def clues_for(name: str, kind: str, body: bytes) -> Clues:
    return Clues(PLACES.get(name, DEFAULT), kind, body)


def read(dialect: Dialect, clues: Clues, cuts: list[int] | None = None) -> Answer:
    reader = dialect.reader(clues)
    body, at = clues.body, 0
    for cut in [*sorted(cuts or []), len(body)]:
        reader.feed(body[at:cut])
        at = cut
    return reader.close()


def rebuilt(name: str, kind: str, body: bytes) -> Rebuilt:
    built = ExchangeBuilder().request({}, url=PLACES.get(name, DEFAULT))
    exchange = fold(built.response(headers=[("content-type", kind)]).chunks(body).completed().events)
    assert exchange is not None
    return rebuild(exchange)


def test_every_dialect_gives_streams_to_be_tested_with() -> None:
    assert {name for name, _, _ in STREAMS} == set(ALL) - {"opaque"}


@pytest.mark.parametrize("dialect", ALL.values(), ids=ALL)
@settings(max_examples=40, deadline=None)
@given(body=st.binary(max_size=300), kind=st.sampled_from(["", "text/event-stream", "application/json", "x"]))
def test_nothing_raises_whatever_the_bytes(dialect: Dialect, body: bytes, kind: str) -> None:
    clues = clues_for(dialect.name, kind, body)
    assert 0.0 <= dialect.claims(clues) <= 1.0
    answer = read(dialect, clues)
    assert answer.dialect == dialect.name
    assert answer.shape == clues.shape


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["", "text", "type", "a", "error", "[DONE]"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "type",
                    "index",
                    "delta",
                    "text",
                    "content",
                    "parts",
                    "candidates",
                    "choices",
                    "message",
                    "usage",
                    "error",
                    "content_block",
                    "item",
                    "output",
                    "output_index",
                    "response",
                    "content_index",
                    "id",
                    "name",
                    "role",
                    "functionCall",
                    "finishReason",
                    "done",
                    "event_type",
                    "tool_calls",
                    "function",
                    "arguments",
                    "status",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=25,
)


@pytest.mark.parametrize("dialect", ALL.values(), ids=ALL)
@settings(max_examples=40, deadline=None)
@given(values=st.lists(JSON, max_size=6), shape=st.sampled_from(["sse", "json", "ndjson"]))
def test_nothing_raises_whatever_the_values(dialect: Dialect, values: list[Any], shape: str) -> None:
    if shape == "sse":
        body = b"".join(b"data: %s\n\n" % json.dumps(value).encode() for value in values)
    elif shape == "json":
        body = json.dumps(values).encode()
    else:
        body = b"".join(json.dumps(value).encode() + b"\n" for value in values)
    clues = clues_for(dialect.name, "", body)
    dialect.claims(clues)
    answer = read(dialect, clues)
    for choice in answer.choices:
        assert choice.finish is None or choice.finish in FINISHES
    for value in values:
        dialect.read_request(clues.url, value)
    json.dumps(as_json(rebuilt(dialect.name, "", body)), allow_nan=False)


@pytest.mark.parametrize(("name", "kind", "body"), STREAMS)
def test_a_whole_answer_is_recognised_and_complete(name: str, kind: str, body: bytes) -> None:
    for told in (kind, "", "application/octet-stream"):
        assert choose(clues_for(name, told, body)).name == name
    found = rebuilt(name, kind, body)
    assert found.verdict == "complete"
    assert found.answer.choices
    for choice in found.answer.choices:
        assert all(call.complete for call in choice.message.tool_calls)


@pytest.mark.parametrize(("name", "kind", "body"), STREAMS)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_any_partition_gives_the_same_answer(name: str, kind: str, body: bytes, data: st.DataObject) -> None:
    clues = clues_for(name, kind, body)
    whole = read(ALL[name], clues)
    cuts = data.draw(st.lists(st.integers(0, len(body)), max_size=8))
    assert read(ALL[name], clues, cuts) == whole
    assert _ranges(read(ALL[name], clues, cuts)) == _ranges(whole)


@pytest.mark.parametrize(("name", "kind", "body"), STREAMS)
def test_byte_by_byte_gives_the_same_answer(name: str, kind: str, body: bytes) -> None:
    clues = clues_for(name, kind, body)
    assert read(ALL[name], clues, list(range(len(body)))) == read(ALL[name], clues)


@pytest.mark.parametrize(("name", "kind", "body"), STREAMS)
def test_no_prefix_is_complete_unless_it_says_what_the_whole_says(name: str, kind: str, body: bytes) -> None:
    whole = rebuilt(name, kind, body)
    calls = [_bare(choice.message.tool_calls) for choice in whole.answer.choices]
    for end in range(0, len(body), 1 if len(body) < 600 else 3):
        found = rebuilt(name, kind, body[:end])
        if found.verdict == "complete":
            assert [c.message.text for c in found.answer.choices] == [c.message.text for c in whole.answer.choices]
            assert [_bare(choice.message.tool_calls) for choice in found.answer.choices] == calls
        for choice in found.answer.choices:
            for call in choice.message.tool_calls:
                if call.complete:
                    assert any(_bare([call])[0] in known for known in calls)


@pytest.mark.parametrize(("name", "kind", "body"), STREAMS)
def test_every_part_says_where_it_came_from(name: str, kind: str, body: bytes) -> None:
    clues = clues_for(name, kind, body)
    for choice in read(ALL[name], clues).choices:
        for part in choice.message.parts:
            assert part.ranges
            assert all(0 <= start < end <= len(body) for start, end in part.ranges)
            assert list(part.ranges) == sorted(part.ranges)


def _bare(calls: Any) -> list[Any]:
    return [replace(call, ranges=()) for call in calls]


def _ranges(answer: Answer) -> list[Any]:
    return [part.ranges for choice in answer.choices for part in choice.message.parts]
