"""Parquet of messages, read by pyarrow and by DuckDB."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet
import pytest

from recorder.core.conversation import Conversation
from recorder.core.exchange import fold
from recorder.core.messages import (
    NOT_AS_WRITTEN,
    Anomaly,
    CitationPart,
    MediaPart,
    ReasoningPart,
    RefusalPart,
    TokenCounts,
    ToolResultPart,
)
from recorder.core.rebuilt import Rebuilt
from recorder.dialects.rebuild import rebuild
from recorder.errors import ConfigurationError
from recorder.formats.base import render
from recorder.formats.parquet import COLUMNS
from tests.building import URL, ExchangeBuilder, delta
from tests.unit.formats.made import HOSTILE, called, said, told


def written(exchanges: Iterable[Rebuilt], conversation: Conversation | None = None) -> bytes:
    pieces = list(render("parquet", exchanges, conversation))
    assert all(isinstance(piece, bytes) for piece in pieces)
    return b"".join(piece for piece in pieces if isinstance(piece, bytes))


def rows(exchanges: Iterable[Rebuilt], conversation: Conversation | None = None) -> list[dict[str, Any]]:
    table = pyarrow.parquet.read_table(io.BytesIO(written(exchanges, conversation)))
    assert table.column_names == list(COLUMNS)
    found: list[dict[str, Any]] = table.to_pylist()
    return found


FIRST = told([said("system", "s"), said("user", "q")], said("assistant", "a"), number=1)
SECOND = told(
    [said("system", "s"), said("user", "q"), said("assistant", "a"), said("user", "r")], said(None, "b"), number=2
)
TREE = Conversation(FIRST.id, "desk", (FIRST.id, SECOND.id), {SECOND.id: FIRST.id})


def test_a_row_for_each_message_in_order() -> None:
    found = rows([FIRST, SECOND], TREE)
    assert [(row["position"], row["source"], row["role"], row["text"], row["repeated"]) for row in found] == [
        (0, "request", "system", "s", False),
        (1, "request", "user", "q", False),
        (2, "answer", "assistant", "a", False),
        (0, "request", "system", "s", True),
        (1, "request", "user", "q", True),
        (2, "request", "assistant", "a", True),
        (3, "request", "user", "r", False),
        (4, "answer", None, "b", False),
    ]
    assert {row["exchange"] for row in found} == {FIRST.id, SECOND.id}
    assert {(row["conversation"], row["conversation_name"]) for row in found} == {(FIRST.id, "desk")}
    assert [row["parent"] for row in found] == [None] * 3 + [FIRST.id] * 5


def test_what_is_told_of_an_answer() -> None:
    one = replace(FIRST, answer=replace(FIRST.answer, tokens=TokenCounts(12, 3, 15, 4, None, 1)))
    asked, answer = rows([one])[1:]
    assert answer["started_at"] == datetime.fromtimestamp(one.exchange.started_ns / 1e9, UTC)
    expected = {
        "choice": 0,
        "finish_reason": "stop",
        "finish": "stop",
        "verdict": "complete",
        "model": "m-1",
        "model_requested": "m",
        "dialect": "elsewhere",
        "url": URL,
        "status": 200,
        "input_tokens": 12,
        "output_tokens": 3,
        "cached_tokens": 4,
        "reasoning_tokens": 1,
        "first_chunk_ms": 2.0,
        "duration_ms": 4.0,
        "call": "call-1",
        "not_as_written": None,
    }
    assert {key: answer[key] for key in expected} == expected
    for unknown in ("choice", "finish_reason", "finish", "input_tokens"):
        assert asked[unknown] is None


def test_parts_have_their_columns() -> None:
    (row,) = rows(
        [
            told(
                [],
                said(
                    "assistant",
                    ReasoningPart("hm", signature="s"),
                    "It is ",
                    CitationPart({"x": 1}, title="t"),
                    "so",
                    RefusalPart("no"),
                    called("f", '{"quantity": 10', "c", complete=False),
                    ToolResultPart("c", text="4"),
                    MediaPart("image", size=3, sha256="00"),
                ),
            )
        ]
    )
    assert (row["text"], row["reasoning"], row["refusal"]) == ("It is so", "hm", "no")
    (call,) = json.loads(row["tool_calls"])
    assert call == {
        "type": "tool_call",
        "id": "c",
        "name": "f",
        "arguments_text": '{"quantity": 10',
        "complete": False,
    }
    assert [part["type"] for part in json.loads(row["other_parts"])] == ["citation", "tool_result", "media"]


def test_what_was_not_sent_is_null_and_what_was_empty_is_empty() -> None:
    asked, answer = rows([told([said("user", "")], said("assistant", called("f", "{}", "c")))])
    assert asked["text"] == ""
    assert answer["text"] is None
    assert asked["tool_calls"] is None
    assert asked["other_parts"] is None


def test_an_answer_that_is_not_whole_says_so_in_every_row() -> None:
    builder = ExchangeBuilder().request({"messages": [{"role": "user", "content": "q"}]}).response()
    folded = fold(builder.sse(delta(content="cut he"), done=False).event("response_truncated", {}).events)
    assert folded is not None
    found = rows([rebuild(folded)])
    assert [(row["verdict"], row["finish_reason"]) for row in found] == [("truncated", None)] * 2
    touched = replace(FIRST, anomalies=(Anomaly(NOT_AS_WRITTEN, "version 4 is missing"),))
    assert {row["not_as_written"] for row in rows([touched])} == {"version 4 is missing"}


def test_exchanges_without_messages_make_no_rows() -> None:
    failed = fold(ExchangeBuilder().request(b"\0\xff").event("request_failed", {"kind": "dns"}).events)
    assert failed is not None
    assert rows([rebuild(failed)]) == []
    assert rows([]) == []


def test_whether_a_message_is_repeated_is_unknown_without_what_is_extended() -> None:
    alone = Conversation(FIRST.id, None, (SECOND.id,), {SECOND.id: FIRST.id})
    for conversation in (alone, None):
        assert [row["repeated"] for row in rows([SECOND], conversation)] == [None] * 4 + [False]


def test_choices_are_rows_and_tokens_are_counted_once() -> None:
    one = told([said("user", "q")], said("assistant", "a"), said("assistant", "b"))
    one = replace(one, answer=replace(one.answer, tokens=TokenCounts(output=3)))
    assert [(row["position"], row["choice"], row["output_tokens"]) for row in rows([one])] == [
        (0, None, None),
        (1, 0, 3),
        (1, 1, None),
    ]


def test_hostile_text_and_numbers() -> None:
    one = told([said(HOSTILE, HOSTILE, name=HOSTILE)], said("assistant", HOSTILE, called(HOSTILE, HOSTILE, HOSTILE)))
    one = replace(one, answer=replace(one.answer, tokens=TokenCounts(input=10**30)))
    asked, answer = rows([one], Conversation("c", HOSTILE))
    mended = HOSTILE.replace("\ud800", "\ufffd")
    assert asked["role"] == asked["text"] == asked["name"] == asked["conversation_name"] == mended
    assert json.loads(answer["tool_calls"])[0]["arguments_text"] == mended
    assert answer["input_tokens"] is None


def test_duckdb_reads_it(tmp_path: Path) -> None:
    file = tmp_path / "messages.parquet"
    file.write_bytes(written([FIRST, SECOND, told([said("user", HOSTILE)], said("assistant", "x"), number=3)], TREE))
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        found = connection.execute(
            "SELECT role, text, CAST(started_at AS TIMESTAMP), epoch_ns(started_at)"
            " FROM read_parquet(?) WHERE NOT repeated ORDER BY exchange, position",
            [str(file)],
        ).fetchall()
        calls = connection.execute("SELECT count(DISTINCT exchange) FROM read_parquet(?)", [str(file)]).fetchone()
    assert [text for _, text, *_ in found[:5]] == ["s", "q", "a", "r", "b"]
    assert found[5][1] == HOSTILE.replace("\ud800", "\ufffd")
    assert found[0][3] == FIRST.exchange.started_ns
    assert found[0][2] == datetime.fromtimestamp(FIRST.exchange.started_ns / 1e9, UTC).replace(tzinfo=None)
    assert calls == (3,)


def test_the_same_exchanges_make_the_same_file() -> None:
    assert written([FIRST, SECOND], TREE) == written([FIRST, SECOND], TREE)


def test_row_groups_are_written_as_they_fill() -> None:
    taken: list[int] = []

    def many() -> Iterator[Rebuilt]:
        for number in range(6_000):
            taken.append(number)
            yield FIRST

    pieces = render("parquet", many())
    first = next(pieces)
    assert len(first) > 1_000
    assert len(taken) < 1_700
    data = b"".join(piece for piece in (first, *pieces) if isinstance(piece, bytes))
    file = pyarrow.parquet.ParquetFile(io.BytesIO(data))
    assert (file.num_row_groups, file.metadata.num_rows) == (4, 18_000)
    long = told([said("user", "x" * (9 << 20))], said("assistant", "a"))
    file = pyarrow.parquet.ParquetFile(io.BytesIO(written([long] * 4)))
    assert file.num_row_groups == 3


def test_without_pyarrow_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigurationError, match=r"needs pyarrow: run pip install 'conversation-recorder\[parquet\]'$"):
        next(render("parquet", [FIRST]))
