"""CSV of exchanges: by RFC 4180, and harmless in a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.core.conversation import Conversation
from recorder.core.exchange import fold
from recorder.core.messages import NOT_AS_WRITTEN, Anomaly
from recorder.core.rebuilt import Rebuilt, summary
from recorder.dialects.rebuild import rebuild
from recorder.formats.base import render
from recorder.formats.csv_format import COLUMNS
from tests.building import ExchangeBuilder, delta


def exchange(*values: Any, end: str = "response_completed", number: int = 1, **facts: Any) -> Rebuilt:
    builder = ExchangeBuilder(number).request({"model": "m", "messages": []}, **facts).response()
    folded = fold(builder.sse(*values).event(end, {}).events)
    assert folded is not None
    return rebuild(folded)


def text_of(*exchanges: Rebuilt, conversation: Conversation | None = None) -> str:
    text = "".join(str(piece) for piece in render("csv", iter(exchanges), conversation))
    text.encode()
    assert text.endswith("\r\n")
    return text


def rows_of(*exchanges: Rebuilt, conversation: Conversation | None = None) -> list[dict[str, str]]:
    reader = csv.DictReader(io.StringIO(text_of(*exchanges, conversation=conversation), newline=""), strict=True)
    assert tuple(reader.fieldnames or ()) == COLUMNS
    return list(reader)


def row_of(one: Rebuilt) -> dict[str, str]:
    """Return the cells of one exchange that are not empty."""
    (row,) = rows_of(one)
    return {name: cell for name, cell in row.items() if cell}


def named(model: str) -> Rebuilt:
    return exchange(delta(content="x") | {"model": model}, delta(finish="stop") | {"model": model})


def test_a_row_has_what_list_tells_and_tokens_and_finish() -> None:
    usage = {
        "prompt_tokens": 5,
        "completion_tokens": 3,
        "total_tokens": 8,
        "prompt_tokens_details": {"cached_tokens": 2},
    }
    one = exchange(delta(role="assistant", content="x"), delta(finish="tool_calls") | {"usage": usage})
    row = row_of(one)
    listed = {name: str(value) for name, value in summary(one).items() if name not in ("tokens", "finish", "tools")}
    assert {name: row.pop(name) for name in listed} == listed
    assert row == {
        "tokens_input": "5",
        "tokens_output": "3",
        "tokens_total": "8",
        "tokens_cached": "2",
        "finish": "tool_calls",
        "finish_reasons": "tool_calls",
        "call": "call-1",
        "attempt": "1",
    }


def test_several_choices_are_told_apart_and_unfinished_ones_are_absent() -> None:
    row = row_of(exchange(delta(0, content="x"), delta(1, content="y"), delta(2, content="z"), delta(1, finish="max")))
    assert (row["finish"], row["finish_reasons"]) == ("1=other", "1=max")
    assert row["verdict"] == "unknown"
    assert "finish" not in row_of(exchange(delta(0, content="x")))


def test_what_is_not_known_is_an_empty_cell_and_an_error_is_told() -> None:
    failed = fold(ExchangeBuilder().request({}).event("request_failed", {"kind": "dns", "phase": "connect"}).events)
    headless = fold(ExchangeBuilder().chunks(b"x").events)
    assert failed is not None
    assert headless is not None
    row = row_of(rebuild(failed))
    assert row["error"] == "request_failed dns connect"
    assert not {"status", "model", "first_chunk_ms", "finish", "tokens_input"} & set(row)
    assert row["verdict"] == "errored"
    assert {"method", "url", "duration_ms", "error"} & set(row_of(rebuild(headless))) == set()
    assert json.loads(row_of(exchange({"error": {"code": 1, "m": 'a"b,\n\0'}}))["error"]) == {
        "code": 1,
        "m": 'a"b,\n\0',
    }
    assert row_of(exchange(end="response_truncated"))["error"] == "response_truncated"


@pytest.mark.parametrize("first", list("=+-@\t\r\n＝＋－＠"))
def test_no_cell_is_a_formula(first: str) -> None:
    text = first + 'HYPERLINK("http://x";"y"),1'
    one = named(text)
    assert row_of(one)["model"] == "'" + text
    doubled = text.replace('"', '""')
    assert f',"\'{doubled}",' in text_of(one)
    assert row_of(named("'" + text))["model"] == "''" + text


@pytest.mark.parametrize("text", ["plain", "it's", "'quoted'", "a=b", "a\r\nb", "\u202eabc", "x" * 100_000, " =1"])
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert row_of(named(text))["model"] == text


def test_control_characters_and_half_surrogates_are_replaced() -> None:
    assert row_of(named("a\0b\x1b[0m\ud800"))["model"] == "a\ufffdb\ufffd[0m\ufffd"
    assert row_of(named("\0=1"))["model"] == "\ufffd=1"


@given(
    st.text(
        st.characters(exclude_categories=["Cs"], exclude_characters="".join(map(chr, [*range(32), 127]))), min_size=1
    )
)
def test_what_was_recorded_can_be_had_back(text: str) -> None:
    cell = row_of(named(text))["model"]
    assert not re.match("[=+@＝＋－＠-]", cell)
    assert (cell[1:] if re.match("'+[=+@＝＋－＠-]", cell) else cell) == text


def test_a_conversation_and_what_is_not_as_it_was_written() -> None:
    one, two = exchange(delta(content="x"), number=1), exchange(delta(content="y"), number=2)
    touched = replace(two, anomalies=(Anomaly(NOT_AS_WRITTEN, "version 4 is missing"),))
    rows = rows_of(one, touched, conversation=Conversation("o", "=desk", (one.id, two.id), {two.id: one.id}))
    assert [(row["conversation"], row["conversation_name"], row["parent"]) for row in rows] == [
        ("o", "'=desk", ""),
        ("o", "'=desk", one.id),
    ]
    assert [row["not_as_written"] for row in rows] == ["", "version 4 is missing"]


def test_no_exchange_is_the_row_of_names() -> None:
    assert text_of() == ",".join(COLUMNS) + "\r\n"
