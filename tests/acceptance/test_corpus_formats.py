"""Every stream of the corpus in the formats that third parties read, checked by third parties' own code."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet
import pytest
from google.protobuf import json_format
from openai.types.chat import ChatCompletionFunctionToolParam, ChatCompletionMessageParam
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData
from pydantic import TypeAdapter

from recorder.core.content_coding import undo
from recorder.core.exchange import fold
from recorder.core.rebuilt import Rebuilt
from recorder.dialects.rebuild import rebuild
from recorder.formats.base import render
from tests import corpus
from tests.building import ExchangeBuilder
from tests.unit.formats.test_har import log_of

pytestmark = corpus.needs_corpus

MESSAGES = TypeAdapter(list[ChatCompletionMessageParam])
TOOLS = TypeAdapter(list[ChatCompletionFunctionToolParam])


def exchange(number: int, path: str) -> Rebuilt:
    stream = corpus.stream(path)
    request, response = stream.sidecar["request"], stream.sidecar["response"]
    text = request.get("body") or ""
    payload = base64.b64decode(text) if request.get("body_encoding") == "base64" else text.encode()
    # The streams lie there without their content coding.
    headers = [(name, value) for name, value in response["headers"] if name.lower() != "content-encoding"]
    builder = ExchangeBuilder(number).request(payload, url=request["url"], method=request["method"], call=path)
    builder.response(response["status"], headers=headers).chunks(*stream.transport_chunks).completed()
    folded = fold(builder.events)
    assert folded is not None
    return rebuild(folded)


@pytest.fixture(scope="module")
def exchanges() -> list[Rebuilt]:
    return [exchange(number, path) for number, path in enumerate(corpus.names(""), 1)]


def lines(name: str, exchanges: list[Rebuilt]) -> Iterator[dict[str, Any]]:
    for piece in render(name, exchanges):
        assert isinstance(piece, str)
        yield json.loads(piece.encode(), parse_constant=pytest.fail)


def test_training_examples_are_what_the_sdk_would_send(exchanges: list[Rebuilt]) -> None:
    found = list(lines("openai-jsonl", exchanges))
    for example in found:
        MESSAGES.validate_json(json.dumps(example["messages"]))
        TOOLS.validate_json(json.dumps(example.get("tools", [])))
        assert example["messages"][-1]["role"] == "assistant"
    assert len(found) >= 100


def test_sides_take_turns(exchanges: list[Rebuilt]) -> None:
    found = list(lines("sharegpt", exchanges))
    for example in found:
        sides = [turn["from"] for turn in example["conversations"]]
        assert len(sides) % 2 == 0
        assert {*sides[::2]} <= {"human", "observation"}
        assert {*sides[1::2]} <= {"gpt", "function_call"}
    assert len(found) >= 90


def test_every_exchange_is_a_span(exchanges: list[Rebuilt]) -> None:
    found = [json_format.ParseDict(line, TracesData()) for line in lines("otlp", exchanges)]
    assert len(found) == len(exchanges)


def test_every_exchange_is_an_entry_of_a_har_that_others_open(exchanges: list[Rebuilt]) -> None:
    entries = log_of(*exchanges)["entries"]
    for entry, told in zip(entries, exchanges, strict=True):
        content = entry["response"]["content"]
        coded = content.get("encoding") == "base64"
        body = base64.b64decode(content["text"]) if coded else content["text"].encode()
        assert body == undo(told.exchange.body, None).body


def test_every_message_is_a_row(exchanges: list[Rebuilt], tmp_path: Path) -> None:
    data = b"".join(piece for piece in render("parquet", exchanges) if isinstance(piece, bytes))
    expected = sum(len(one.request_messages) + len(one.answer.choices) for one in exchanges)
    assert pyarrow.parquet.read_table(io.BytesIO(data)).num_rows == expected
    file = tmp_path / "messages.parquet"
    file.write_bytes(data)
    with duckdb.connect() as connection:
        read = connection.execute("SELECT count(*), count(DISTINCT exchange) FROM read_parquet(?)", [str(file)])
        assert read.fetchone() == (expected, sum(bool(one.request_messages or one.answer.choices) for one in exchanges))
