"""Bytes with a part of them left out: offsets, and frames with their checksums."""

from __future__ import annotations

import base64
import json

from hypothesis import given
from hypothesis import strategies as st

from recorder.core.eventstream import FrameParser
from recorder.core.export_bodies import ByteEdit, TextSource, body_source, moved
from recorder.core.export_matches import Matcher, replaced
from recorder.core.export_rules import parse_rules
from recorder.core.messages import Answer
from tests.unit.dialects.wire import framed

RULES = parse_rules(["text:Zoë"])


def left_out(body: bytes, shape: str) -> bytes:
    return replaced(body, body_source(body, Answer("opaque", shape)).edits(Matcher(RULES)))


def test_offsets_of_bytes_are_those_of_utf_8_and_of_what_is_none() -> None:
    body = '{"é€": "Zoë"}'.encode() + b' \xff "Zo\xc3\xab\xff"'
    edits = TextSource(body, "json", "body").edits(Matcher(RULES))
    assert [body[edit.start : edit.end].decode() for edit in edits] == ["Zoë", "Zoë"]
    assert replaced(body, edits) == '{"é€": "[redacted]"}'.encode() + b' \xff "[redacted]\xff"'


@given(st.lists(st.integers(0, 9), max_size=12), st.lists(st.integers(0, 100), min_size=1, max_size=6))
def test_offsets_move_with_what_is_before_them(sizes: list[int], offsets: list[int]) -> None:
    edits, at = [], 0
    for size in sizes:
        edits.append(ByteEdit(at + 1, at + 1 + size, b"x" * (size % 3 + (size == 0))))
        at += 1 + size
    body = bytes(range(101))
    after = replaced(body, edits)
    found = moved(sorted(offsets), edits)
    assert found == sorted(found)
    for old, new in zip(sorted(offsets), found, strict=True):
        if not any(edit.start < old < edit.end or edit.start == old == edit.end for edit in edits):
            assert after[new:] == replaced(body[old:], [_later(edit, old) for edit in edits if edit.start >= old])


def _later(edit: ByteEdit, by: int) -> ByteEdit:
    return ByteEdit(edit.start - by, edit.end - by, edit.new)


def test_a_frame_gets_its_lengths_and_checksums_again() -> None:
    kept, changed = framed("metadata", {"a": 1}), framed("contentBlockDelta", {"delta": {"text": "Zoë"}})
    body = left_out(kept + changed + kept, "eventstream")
    parser = FrameParser()
    frames = parser.feed(body)
    parser.close()
    assert parser.anomalies == []
    assert [json.loads(frame.payload) for frame in frames] == [{"a": 1}, {"delta": {"text": "[redacted]"}}, {"a": 1}]
    assert frames[1].headers == FrameParser().feed(changed)[0].headers
    assert body.startswith(kept)
    assert body.endswith(kept)


def test_what_a_frame_holds_as_base64_is_put_back() -> None:
    texts = ["Zo", "ë!"]
    chunks = [base64.b64encode(json.dumps({"type": "d", "index": 0, "t": text}).encode()).decode() for text in texts]
    body = b"".join(framed("chunk", {"p": "Zoë", "bytes": chunk}) for chunk in chunks)
    frames = FrameParser().feed(left_out(body, "eventstream"))
    outer = [json.loads(frame.payload) for frame in frames]
    assert [one["p"] for one in outer] == ["[redacted]"] * 2
    assert [json.loads(base64.b64decode(one["bytes"]))["t"] for one in outer] == ["[redacted]", "!"]


def test_a_frame_whose_payload_holds_something_else_is_read_as_it_stands() -> None:
    body = framed("chunk", {"bytes": "Zoë no base64"}) + framed("x", "Zoë")
    payloads = [json.loads(frame.payload) for frame in FrameParser().feed(left_out(body, "eventstream"))]
    assert payloads == [{"bytes": "[redacted] no base64"}, "[redacted]"]


def test_bytes_between_frames_are_filled_with_zeros() -> None:
    whole = framed("x", {"a": "b"})
    damaged = whole[:-1] + bytes([whole[-1] ^ 1])
    body = left_out(whole + damaged + whole, "eventstream")
    assert body == whole + whole[:12] + bytes(len(whole) - 12) + whole
