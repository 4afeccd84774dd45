"""Numbers in the arguments of calls: as they were sent wherever they are shown, exported and searched; both engines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from itertools import product
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from recorder.clock import id_text
from recorder.projections.runner import project
from recorder.store import open_store
from recorder.store.projected import SqlProjected
from recorder.store.sql import SqlStore
from tests.building import ExchangeBuilder, delta, identity
from tests.commands import STREAMED, fill, identity_of, json_lines, run
from tests.conftest import ENGINES, Sharing

#: As a value, as Gemini sends it.
ORDER = '{ "price": 2.50, "amount": 12345678901234567890.123456789, "flag": true, "none": null, "big": 1e5 }'
#: As text, as OpenAI sends it.
TRANSFER = '{"eth": 1.000000000000000001, "note": "it\\u0027s"}'
GEMINI = "https://generativelanguage.googleapis.com/v1beta/models/g:streamGenerateContent?alt=sse"
AMOUNT = "12345678901234567890.123456789"


def gemini(number: int) -> ExchangeBuilder:
    body = (
        '{"candidates":[{"content":{"role":"model","parts":[{"functionCall":{"name":"buy","args":' + ORDER + "}}]},"
        '"finishReason":"STOP","index":0}]}'
    )
    asked = {"contents": [{"role": "user", "parts": [{"text": "go"}]}]}
    return (
        ExchangeBuilder(number).request(asked, url=GEMINI).response(headers=STREAMED).sse(body, done=False).completed()
    )


def chat(number: int, *history: dict[str, Any]) -> ExchangeBuilder:
    messages = [{"role": "user", "content": "send"}, *history]
    desk = {"conversation": id_text(identity(9)), "name": "desk"}
    return ExchangeBuilder(number).request({"model": "m", "messages": messages}, call=f"call-{number}", **desk)


def call(arguments: str) -> dict[str, Any]:
    return {"index": 0, "id": "c1", "type": "function", "function": {"name": "send", "arguments": arguments}}


def calling(number: int) -> ExchangeBuilder:
    built = chat(number).response(headers=STREAMED)
    return built.sse(delta(role="assistant", tool_calls=[call(TRANSFER)]), delta(finish="tool_calls")).completed()


def sent_back(number: int, arguments: str) -> ExchangeBuilder:
    made = {"role": "assistant", "tool_calls": [call(arguments)]}
    built = chat(number, made, {"role": "tool", "tool_call_id": "c1", "content": "done"}).response(headers=STREAMED)
    return built.sse(delta(content="ok"), delta(finish="stop")).completed()


SAME, EDITED = TRANSFER.replace("1.000000000000000001", "1.0000000000000000010"), TRANSFER.replace("0001", "0099")
BUILT = (gemini(1), calling(2), sent_back(3, SAME), sent_back(4, EDITED))
VALUES, TEXTS, KEPT, CHANGED = map(identity_of, BUILT)


@pytest.fixture(scope="module", params=[*product(ENGINES, (True, False))], ids=str)
def url(request: pytest.FixtureRequest, shared_store: Sharing) -> str:
    engine, projected = request.param

    def made(url: str) -> None:
        fill(url, *BUILT)
        if projected:
            with closing(open_store(url, write=True)) as store:
                project(store, SqlProjected(store))

    return shared_store(engine, made)


def exported(url: str, form: str, *exchanges: str) -> str:
    result = run("export", *exchanges, "--format", form, "--store", url)
    assert result.exit_code == 0, result.stderr
    return result.stdout


def calls(messages: Any) -> Iterator[dict[str, Any]]:
    return (part for message in messages for part in message["parts"] if part["type"] == "tool_call")


def test_show_has_the_text_and_every_digit(url: str) -> None:
    result = run("show", VALUES, "--json", "--store", url)
    json_lines(result, "show")
    (shown,) = calls(json.loads(result.stdout, parse_float=Decimal)["messages"])
    assert shown["arguments_text"] == ORDER
    assert shown["arguments"] == json.loads(ORDER, parse_float=Decimal)
    text = run("show", VALUES, "--store", url).stdout
    assert f"buy({ORDER})" in text


def test_the_history_that_was_sent_back_is_compared_to_the_last_digit(url: str) -> None:
    shown = {one["id"]: json.dumps(one) for one in json_lines(run("show", "desk", "--json", "--store", url), "show")}
    assert {one for one, told in shown.items() if "answer_edited" in told} == {CHANGED}
    assert shown.keys() == {TEXTS, KEPT, CHANGED}


@pytest.mark.parametrize("form", ["json", "jsonl", "otlp", "openai-jsonl", "sharegpt", "markdown", "html"])
def test_every_format_has_every_digit(url: str, form: str) -> None:
    for exchange, number in ((VALUES, AMOUNT), (TEXTS, "1.000000000000000001")):
        assert number in exported(url, form, exchange)
        assert "e+19" not in exported(url, form, exchange)


def test_parquet_has_every_digit(url: str, tmp_path: Path) -> None:
    result = run("export", VALUES, "--format", "parquet", "-o", str(tmp_path / "a.parquet"), "--store", url)
    assert result.exit_code == 0, result.stderr
    (told,) = filter(None, pyarrow.parquet.read_table(tmp_path / "a.parquet").column("tool_calls").to_pylist())
    (shown,) = json.loads(told, parse_float=Decimal)
    assert (shown["arguments_text"], shown["arguments"]["amount"]) == (ORDER, Decimal(AMOUNT))


def test_the_view_of_calls_has_what_was_sent(store_url: str) -> None:
    fill(store_url, *BUILT)
    with closing(open_store(store_url, write=True)) as store:
        assert isinstance(store, SqlStore)
        project(store, SqlProjected(store))
        with store.reading() as connection:
            found = connection.exec_driver_sql("SELECT name, arguments FROM tool_calls ORDER BY started_at")
            assert [tuple(row) for row in found] == [("buy", ORDER), ("send", TRANSFER)]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("2.50", {VALUES}),
        (AMOUNT, {VALUES}),
        ("1e5", {VALUES}),
        ("true", {VALUES}),
        ("null", {VALUES}),
        ("1.000000000000000001", {TEXTS}),
        ("it's", {TEXTS, CHANGED}),  # what was sent back as it was is not told again
        ("100000.0", set()),
    ],
)
def test_numbers_and_words_of_calls_are_found_as_they_were_sent(url: str, words: str, found: set[str]) -> None:
    hits = json_lines(run("search", "--json", "--store", url, words), "search")
    assert {hit["exchange"] for hit in hits} == found
