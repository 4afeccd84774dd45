"""Numbers in what tools answered, and in calls that a request tells as values: as they were sent, wherever they are."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from itertools import product
from pathlib import Path

import pyarrow.parquet
import pytest

from recorder.clock import id_text
from recorder.formats.base import event_formats, formats
from recorder.projections.runner import project
from recorder.store import open_store
from recorder.store.projected import SqlProjected
from tests.building import ExchangeBuilder, identity
from tests.commands import fill, identity_of, json_lines, run
from tests.conftest import ENGINES, Sharing

#: Each is another number, or another text of a number, to whoever reads it as a float.
NUMBERS = ("231.50", "1E+2", "0.123456789012345678901234567890")
VALUE = '{"price": 231.50, "lots": [1E+2, {"fee": 0.123456789012345678901234567890}], "n": 7, "id": "q-1"}'
JSON = (("content-type", "application/json"), ("transfer-encoding", "chunked"))
#: The URL, what is asked, what is answered.
Sent = tuple[str, str, str]


def gemini(value: str) -> Sent:
    url = "https://generativelanguage.googleapis.com/v1beta/models/g:generateContent"
    asked = (
        '{"contents":[{"role":"user","parts":[{"text":"q"}]},{"role":"model","parts":[{"functionCall":{"name":"f",'
        f'"args":{value}}}}}]}},{{"role":"user","parts":[{{"functionResponse":{{"name":"f","response":{value}}}}}]}}]}}'
    )
    said = '{"candidates":[{"content":{"role":"model","parts":[{"text":"done"}]},"finishReason":"STOP"}]}'
    return url, asked, said


def anthropic(value: str) -> Sent:
    asked = (
        '{"model":"c","max_tokens":5,"messages":[{"role":"user","content":"q"},{"role":"assistant","content":['
        f'{{"type":"tool_use","id":"t","name":"f","input":{value}}}]}},{{"role":"user","content":['
        f'{{"type":"tool_result","tool_use_id":"t","content":[{{"type":"odd","data":{value}}}]}}]}}]}}'
    )
    said = (
        '{"id":"m","type":"message","role":"assistant","model":"c","stop_reason":"end_turn","usage":{"input_tokens":1},'
        '"content":[{"type":"text","text":"done"}]}'
    )
    return "https://api.anthropic.com/v1/messages", asked, said


def bedrock(value: str) -> Sent:
    url = "https://bedrock-runtime.us-east-1.amazonaws.com/model/m/converse"
    asked = (
        '{"messages":[{"role":"user","content":[{"text":"q"}]},{"role":"assistant","content":[{"toolUse":{"toolUseId":'
        f'"t","name":"f","input":{value}}}}}]}},{{"role":"user","content":[{{"toolResult":{{"toolUseId":"t",'
        f'"content":[{{"json":{value}}}]}}}}]}}]}}'
    )
    said = '{"output":{"message":{"role":"assistant","content":[{"text":"done"}]}},"stopReason":"end_turn"}'
    return url, asked, said


def cohere_v2(value: str) -> Sent:
    asked = (
        '{"model":"c","messages":[{"role":"user","content":"q"},{"role":"assistant","tool_calls":[{"id":"t","type":'
        f'"function","function":{{"name":"f","arguments":{json.dumps(value)}}}}}]}},{{"role":"tool","tool_call_id":"t",'
        f'"content":[{{"type":"document","document":{{"data":{value}}}}}]}}]}}'
    )
    said = (
        '{"id":"i","message":{"role":"assistant","content":[{"type":"text","text":"done"}]},"finish_reason":"COMPLETE"}'
    )
    return "https://api.cohere.com/v2/chat", asked, said


def cohere_v1(value: str) -> Sent:
    asked = (
        '{"model":"c","message":"q","chat_history":[{"role":"USER","message":"x"}],"tool_results":[{"call":{"name":"f",'
        f'"parameters":{value}}},"outputs":[{value}]}}]}}'
    )
    return "https://api.cohere.com/v1/chat", asked, '{"generation_id":"g","text":"done","finish_reason":"COMPLETE"}'


def responses(value: str) -> Sent:
    asked = (
        '{"model":"m","input":[{"role":"user","content":"q"},{"type":"function_call","call_id":"t","name":"f",'
        f'"arguments":{json.dumps(value)}}},{{"type":"function_call_output","call_id":"t","output":{value}}},'
        f'{{"type":"shell_call_output","call_id":"s","output":[{value}],"score":231.50}}]}}'
    )
    said = '{"id":"r","object":"response","status":"completed","model":"m","output":[]}'
    return "https://api.openai.com/v1/responses", asked, said


def chat(value: str) -> Sent:
    """As programs send it that forgot to write the result as text, and arguments that a gateway gives as a value."""
    asked = (
        '{"model":"m","messages":[{"role":"user","content":"q"},{"role":"assistant","tool_calls":[{"id":"t","type":'
        f'"function","function":{{"name":"f","arguments":{value}}}}}]}},{{"role":"tool","tool_call_id":"t",'
        f'"content":{value}}}]}}'
    )
    said = (
        '{"id":"x","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant",'
        '"content":"done"},"finish_reason":"stop"}]}'
    )
    return "https://api.openai.com/v1/chat/completions", asked, said


def ollama(value: str) -> Sent:
    asked = (
        '{"model":"m","stream":false,"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"",'
        f'"tool_calls":[{{"function":{{"name":"f","arguments":{value}}}}}]}},{{"role":"tool","tool_name":"f",'
        f'"content":{json.dumps(value)}}}]}}'
    )
    said = (
        '{"model":"m","created_at":"2026-01-01T00:00:00Z","message":{"role":"assistant","content":"done"},'
        '"done":true,"done_reason":"stop"}'
    )
    return "http://127.0.0.1:11434/api/chat", asked, said


MADE: dict[str, Callable[[str], Sent]] = {
    one.__name__: one for one in (gemini, anthropic, bedrock, cohere_v2, cohere_v1, responses, chat, ollama)
}


def built(name: str, value: str = VALUE) -> ExchangeBuilder:
    url, asked, said = MADE[name](value)
    number = list(MADE).index(name) + 1
    return (
        ExchangeBuilder(number)
        .request(asked.encode(), url=url)
        .response(headers=JSON)
        .chunks(said.encode())
        .completed()
    )


IDS = {name: identity_of(built(name)) for name in MADE}
#: The dialects of which a result is told in a value.
VALUES = [name for name in MADE if name != "ollama"]


@pytest.fixture(scope="module", params=[*product(ENGINES, (True, False))], ids=str)
def url(request: pytest.FixtureRequest, shared_store: Sharing) -> str:
    engine, projected = request.param

    def made(url: str) -> None:
        fill(url, *map(built, MADE))
        if projected:
            with closing(open_store(url, write=True)) as store:
                project(store, SqlProjected(store))

    return shared_store(engine, made)


def output(*args: str) -> str:
    result = run(*args)
    assert result.exit_code == 0, result.stderr
    return result.stdout


@pytest.mark.parametrize("name", VALUES)
def test_show_tells_a_result_with_each_number_as_it_was_sent(url: str, name: str) -> None:
    shown = output("show", IDS[name], "--json", "--store", url)
    json_lines(run("show", IDS[name], "--json", "--store", url), "show")
    told = json.loads(shown, parse_float=lambda text: f"number {text}")
    parts = [part for message in told["messages"] for part in message["parts"] if part["type"] != "tool_call"]
    for place in (json.dumps(parts), json.dumps(told["request"]["json"])):
        assert all(f'"number {number}"' in place for number in NUMBERS), place
        assert '"number 231.5"' not in place
    text = output("show", IDS[name], "--store", url)
    assert all(number in text for number in NUMBERS)


@pytest.mark.parametrize("form", ["json", "jsonl", "otlp", "markdown", "html"])
@pytest.mark.parametrize("name", VALUES)
def test_every_format_tells_it_so(url: str, name: str, form: str) -> None:
    text = output("export", IDS[name], "--format", form, "--store", url)
    assert all(number in text for number in NUMBERS)
    assert not any(f"231.5{end}" in text for end in (",", "}", " ", "\\n", "<"))


@pytest.mark.parametrize("name", MADE)
def test_examples_for_training_have_the_numbers_of_calls_and_of_results(url: str, name: str) -> None:
    for form in ("openai-jsonl", "sharegpt"):
        text = output("export", IDS[name], "--format", form, "--store", url)
        if text:  # else it has no place there
            assert all(number in text for number in NUMBERS), text
            assert not any(f"231.5{end}" in text for end in (",", "}", " ")), text
    assert name not in ("gemini", "ollama", "chat") or output(
        "export", IDS[name], "--format", "openai-jsonl", "--store", url
    )


def test_parquet_has_them(url: str, tmp_path: Path) -> None:
    out = tmp_path / "a.parquet"
    output("export", IDS["gemini"], "--format", "parquet", "-o", str(out), "--store", url)
    told = json.dumps(pyarrow.parquet.read_table(out).to_pylist(), default=str)
    assert all(told.count(number) >= 2 for number in NUMBERS)


@pytest.mark.parametrize("form", ["json", "jsonl"])
def test_an_export_with_such_numbers_is_there_already(sqlite_url: str, form: str, tmp_path: Path) -> None:
    fill(sqlite_url, *map(built, MADE))
    out = str(tmp_path / "out")
    output("export", "--all", "--format", form, "-o", out, "--store", sqlite_url)
    assert f"{len(MADE)} exchanges there already" in output("import", out, "--store", sqlite_url)


@pytest.mark.parametrize("form", sorted({*formats(), *event_formats()} - {"sse", "parquet", "events-parquet"}))
def test_all_can_be_exported(url: str, form: str, tmp_path: Path) -> None:
    output("export", "--all", "--format", form, "-o", str(tmp_path / "out"), "--store", url)


@pytest.mark.parametrize("words", ["231.50", *NUMBERS])
def test_a_number_is_found_as_it_was_sent(url: str, words: str) -> None:
    hits = json_lines(run("search", "--json", "--store", url, words), "search")
    assert {hit["exchange"] for hit in hits} == set(IDS.values())


def test_how_a_number_is_written_makes_no_other_message(sqlite_url: str) -> None:
    """A program that reads its own history and writes it again has not changed it, but one that rounds it has."""
    fill(sqlite_url, built("gemini"))
    for number, value in enumerate((VALUE.replace("231.50", "231.5"), VALUE.replace("67890}", "67891}")), 20):
        address, asked, said = gemini(value)
        again = ExchangeBuilder(number).request(asked.encode(), url=address).response(headers=JSON)
        fill(sqlite_url, again.chunks(said.encode()).completed())
    for words, found in (("231.50", {IDS["gemini"], id_text(identity(21))}), ("231.5", set())):
        hits = json_lines(run("search", "--json", "--store", sqlite_url, words), "search")
        assert {hit["exchange"] for hit in hits} == found
