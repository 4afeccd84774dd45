"""The pieces of a text: all of it can be reached, and what continues each other is in one track."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.core.json_pieces import COPY, NAME, NUMBER, RAW, STRING, WORD, pieces_of
from tests.unit.dialects.wire import ndjson, sse


def shown(text: str, shape: str = "json", *kinds: str) -> list[str]:
    return [text[one.start : one.end] for one in pieces_of(text, shape) if not kinds or one.kind in kinds]


def tracks(text: str, shape: str) -> list[str]:
    found: dict[Any, str] = defaultdict(str)
    for one in pieces_of(text, shape):
        if one.kind in (STRING, RAW) and one.track is not None:
            found[one.track] += text[one.start : one.end]
    return list(found.values())


def test_strings_names_numbers_and_words() -> None:
    text = '{"a": ["x\\"y", -1.5e3, true, null], "b c": ""}'
    assert shown(text, "json", STRING) == ['x\\"y', ""]
    assert shown(text, "json", NAME) == ["a", "b c"]
    assert shown(text, "json", NUMBER) == ["-1.5e3"]
    assert shown(text, "json", WORD) == ["true", "null"]
    assert [one.path for one in pieces_of(text, "json")][1:5] == [("a", 0), ("a", 1), ("a", 2), ("a", 3)]


def test_what_is_no_json_is_a_piece_as_it_stands() -> None:
    assert shown('<h1>Bad "gateway"</h1>\nnever', "text") == ['<h1>Bad "gateway"</h1>\nnever']
    assert shown('{oops Smith: "x"', "json") == ["oops Smith", "x"]
    assert shown('{"a": "cut\\', "json", STRING) == ["cut\\"]


def test_every_field_of_a_server_sent_event_is_reached() -> None:
    text = ': a comment\nevent: named\nid: 7\ndata: {"a":\ndata:  "b"}\r\n\r\nerror: {"c": 1}\nodd line\n\ndata: plain'
    named = ["a comment", "named", "7", "a", "b"]
    assert shown(text, "sse") == [*named, "c", "1", "error", "odd line", "plain"]


def test_deltas_of_one_text_are_one_track() -> None:
    def delta(index: int, text: str) -> dict[str, Any]:
        return {"type": "d", "choices": [{"delta": {"content": text}, "index": index}]}

    text = sse(
        delta(0, "a"), delta(1, "x"), delta(0, "b"), {**delta(0, "other"), "type": "whole"}, delta(1, "y")
    ).decode()
    assert {"ab", "xy", "other"} <= set(tracks(text, "sse"))
    lines = ndjson({"response": "a"}, {"response": "b"}).decode()
    assert "ab" in tracks(lines, "ndjson")


def test_parts_of_one_message_are_one_track_and_messages_are_not() -> None:
    value = {"messages": [{"content": [{"text": "a"}, {"text": "b"}]}, {"content": "c"}, {"content": "d"}]}
    assert {"ab", "c", "d"} <= set(tracks(json.dumps(value), "json"))


def test_a_document_that_was_cut_continues_the_ones_before_it() -> None:
    text = 'data: {"a": {"t": "x"}, "index": 4}\n\ndata: {"a": {"t": "y"}, "index": 5}\n\ndata: {"a": {"t": "z'
    assert {"x", "yz"} <= set(tracks(text, "sse"))


def test_what_repeats_a_text_token_by_token_is_a_copy() -> None:
    value = {"logprobs": {"content": [{"token": "a", "bytes": [97]}]}, "context": [1, 2], "tokens": ["a"], "x": [3]}
    text = json.dumps(value)
    assert shown(text, "json", COPY) == ["[97]", json.dumps(value["logprobs"]), "[1, 2]"]


@pytest.mark.parametrize("shape", ["ndjson", "json", "text"])
@given(text=st.text(alphabet='{}[]:,"\\ a1\n\rdt', max_size=60))
def test_nothing_is_out_of_reach(shape: str, text: str) -> None:
    reached: set[int] = set()
    for one in pieces_of(text, shape):
        assert 0 <= one.start <= one.end <= len(text)
        reached.update(range(one.start, one.end) if one.kind != COPY else ())
    assert not {letter for at, letter in enumerate(text) if at not in reached} & set("a1dt")
