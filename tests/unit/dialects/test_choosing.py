"""Which dialect is chosen, and that adding one is adding one file."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import recorder.dialects
from recorder.core.exchange import fold
from recorder.dialects import base
from recorder.dialects.base import Clues, choose, dialects
from recorder.dialects.rebuild import rebuild
from tests.building import URL, ExchangeBuilder, delta

OTHER = "https://api.example.test/v1/anything?beta=1"
CHUNK = f"data: {json.dumps(delta(content='x'))}\n\n".encode()
PRELUDE = b"\0\0\0\x40\0\0\0\x10"


@pytest.mark.parametrize(
    ("url", "content_type", "body", "name"),
    [
        (URL, "text/event-stream", CHUNK, "openai_chat"),
        (OTHER, "application/json", CHUNK, "openai_chat"),
        (OTHER, "", b": keep-alive\n\n" * 3 + CHUNK, "openai_chat"),
        (OTHER, "", b'data: {"choices":[{"delta":{}}]}\n\n', "openai_chat"),
        (OTHER, "", b'data: {"choices":[],"usage":{}}\n\n', "openai_chat"),
        (OTHER, "", b'{"choices":[{"message":{}}]}', "openai_chat"),
        (OTHER, "", b'data: {"object":"chat.completion.chunk","x":"' + b"y" * 70000 + b'"}\n\n', "openai_chat"),
        (URL + "?api-version=1", "", b'data: {"error":{}}\n\n', "openai_chat"),
        (URL, "", b"event: error\ndata: boom\n\n", "openai_chat"),
        (URL, "application/json", b'{"error":', "openai_chat"),
        (URL, "", b"", "openai_chat"),
        (URL, "text/html", b"<html>502</html>", "opaque"),
        (URL, "", b'event: message_start\ndata: {"type":"message_start"}\n\n', "opaque"),
        (URL, "", b'data: {"object":"text_completion","choices":[{"text":"x"}]}\n\n', "openai_completions"),
        (OTHER, "", b'data: {"choices":[{"text":"x"}]}\n\n', "openai_completions"),
        (OTHER, "", b'data: {"choices":[],"x":1}\n\n', "opaque"),
        (OTHER, "", b'data: {"choices":7}\n\n', "opaque"),
        (OTHER, "", b"data: [1]\n\n", "opaque"),
        (OTHER, "", b"", "opaque"),
    ],
)
def test_the_bytes_the_content_type_and_the_url_choose(url: str, content_type: str, body: bytes, name: str) -> None:
    assert choose(Clues(url, content_type, body)).name == name


@pytest.mark.parametrize(
    ("content_type", "body", "shape"),
    [
        ("", b" \r\n", "empty"),
        ("text/event-stream; charset=utf-8", b"hello", "sse"),
        ("application/json", b"\n\ndata: x\n\n", "sse"),
        ("", b"\xef\xbb\xbfid\n\n", "sse"),
        ("text/event-stream", b"[1]", "json"),
        ("", b'{"a":1}\n{"b":2}\n', "ndjson"),
        ("", b'{"a":\n{"b":2}}', "json"),
        ("", b'{\n{"b":2}}', "json"),
        ("", b"hello", "text"),
        ("", b"a\0b", "binary"),
        ("application/vnd.amazon.eventstream", b"\0\0", "eventstream"),
        ("application/vnd.amazon.eventstream", b'{"message":"no"}', "json"),
        ("", PRELUDE + zlib.crc32(PRELUDE).to_bytes(4, "big") + b"...", "eventstream"),
    ],
)
def test_shapes(content_type: str, body: bytes, shape: str) -> None:
    assert Clues(URL, content_type, body).shape == shape


def test_a_new_dialect_is_one_new_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = """
from recorder.core.messages import Answer
class Shout:
    name = "shout"
    def claims(self, clues): return 1.0 if clues.body.isupper() else 0.0
    def read_request(self, url, payload): return None
    def reader(self, clues): return self
    def feed(self, data): pass
    def close(self): return Answer(dialect="shout", shape="text")
DIALECT = Shout()
"""
    (tmp_path / "shout.py").write_text(source, encoding="utf-8")
    before = [dialect.name for dialect in dialects()]
    monkeypatch.setattr(recorder.dialects, "__path__", [*recorder.dialects.__path__, str(tmp_path)])
    base.dialects.cache_clear()
    try:
        assert [dialect.name for dialect in dialects()] == sorted([*before, "shout"])
        exchange = fold(ExchangeBuilder().request().response(headers=[]).chunks(b"HELLO").completed().events)
        assert exchange is not None
        assert rebuild(exchange).answer.dialect == "shout"
    finally:
        monkeypatch.undo()
        base.dialects.cache_clear()
    assert [dialect.name for dialect in dialects()] == before


@given(
    body=st.binary(max_size=200) | st.text(max_size=80).map(str.encode),
    url=st.sampled_from([URL, OTHER, ""]),
    encoding=st.sampled_from([None, "gzip", "deflate", "br", "x"]),
    payload=st.binary(max_size=40),
)
def test_rebuilding_never_fails(body: bytes, url: str, encoding: str | None, payload: bytes) -> None:
    headers = [("content-encoding", encoding)] if encoding else []
    builder = ExchangeBuilder().request(payload, url=url).response(headers=headers).chunks(body).completed()
    exchange = fold(builder.events)
    assert exchange is not None
    rebuilt = rebuild(exchange)
    assert rebuilt.verdict in ("complete", "truncated", "unknown", "errored")


def test_opaque_counts_events_and_the_tail() -> None:
    def read(body: bytes) -> Any:
        clues = Clues(OTHER, "", body)
        reader = choose(clues).reader(clues)
        reader.feed(body[:3])
        reader.feed(body[3:])
        return reader.close()

    stream = read(b"data: a\n\ndata: b\n\ndata: c\r\r")
    assert (stream.dialect, stream.shape, stream.events, stream.unparsed_tail_bytes) == ("opaque", "sse", 3, 0)
    assert read(b"data: a\n\ndata").unparsed_tail_bytes == 4
    assert (read(b"[1]").whole, read(b"[1").whole, read(b"text").whole) == (True, None, None)


def _installed(folder: Path, **modules: str) -> None:
    """Put a distribution into *folder* whose modules each register a dialect."""
    info = folder / "shouting-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: shouting\nVersion: 1.0\n")
    lines = "".join(f"{name} = {name}:DIALECT\n" for name in modules)
    (info / "entry_points.txt").write_text(f"[{base.ENTRY_POINTS}]\n{lines}")
    for name, source in modules.items():
        (folder / f"{name}.py").write_text(source, encoding="utf-8")


SHOUT = """
class Shout:
    name = "{name}"
    def claims(self, clues):
        {claims}
    def read_request(self, url, payload):
        raise KeyError("payload")
    def reader(self, clues):
        raise ValueError("never liked it")
DIALECT = Shout()
"""


def test_a_dialect_of_another_package_is_read_and_what_is_wrong_with_it_harms_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _installed(
        tmp_path,
        shouting=SHOUT.format(name="shout", claims="return 1.0 if clues.body.startswith(b'HELLO') else 0.0"),
        raising=SHOUT.format(name="raising", claims="raise LookupError"),
        taken=SHOUT.format(name="opaque", claims="return 1.0"),
        broken="import nothing_of_that_name",
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    base.dialects.cache_clear()
    try:
        with pytest.warns(RuntimeWarning) as told:
            names = {dialect.name for dialect in dialects()}
        assert sorted(str(one.message)[:24] for one in told) == ["the dialect 'broken' can", "the dialect 'taken' has "]
        assert {"shout", "raising"} <= names
        built = ExchangeBuilder().request({"messages": []}).response(headers=[]).chunks(b"HELLO").completed()
        exchange = fold(built.events)
        assert exchange is not None
        rebuilt = rebuild(exchange)
        assert (rebuilt.answer.dialect, rebuilt.verdict) == ("opaque", "complete")
        assert [fact.detail for fact in rebuilt.anomalies] == ["the dialect shout failed: ValueError: never liked it"]
        assert rebuilt.reading is not None
        assert rebuilt.reading.dialect == "openai_chat"
    finally:
        monkeypatch.undo()
        base.dialects.cache_clear()


AWS = "https://bedrock-runtime.us-east-1.amazonaws.com/model/anthropic.claude-3-v1%3A0"
VERTEX = "https://us-east5-aiplatform.googleapis.com/v1/projects/p/locations/l/publishers/anthropic/models/claude@2025"
AZURE = "https://r.openai.azure.com/openai/deployments/my%20gpt"


@pytest.mark.parametrize(
    ("url", "model"),
    [
        (f"{AWS}/invoke", "anthropic.claude-3-v1:0"),
        (f"{AWS}/invoke-with-response-stream", "anthropic.claude-3-v1:0"),
        (f"{AWS}/converse-stream", "anthropic.claude-3-v1:0"),
        (f"{VERTEX}:rawPredict", "claude@2025"),
        (f"{VERTEX}%3AstreamRawPredict?alt=sse", "claude@2025"),
        (f"{AZURE}/chat/completions?api-version=1", "my gpt"),
        (f"{AZURE}/completions", "my gpt"),
        (URL, None),
        ("https://api.example.test/v1/model/list/all", None),
        ("https://api.example.test/v1/models/m-1", None),
    ],
)
def test_a_model_that_only_the_url_names(url: str, model: str | None) -> None:
    chat = {"messages": [{"role": "user", "content": "x"}]}
    claude = chat | {"anthropic_version": "vertex-2023-10-16"}
    for payload in (chat, claude):
        for dialect in (None, *dialects()):
            reading = base.read_request(url, payload, dialect)
            assert reading is not None
            assert reading.model == model
    reading = base.read_request(url, {"messages": [], "model": ""}, None)
    assert reading is not None
    assert reading.model == model
    named = base.read_request(URL, chat | {"model": "m-1"}, None)
    assert named is not None
    assert named.model == "m-1"
