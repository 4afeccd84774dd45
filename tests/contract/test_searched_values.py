"""What tools answered is found on both engines, however a dialect tells it; so are the tools that providers run."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from recorder.core.searching import _words_of, parse_query
from recorder.projections.audit import audit_rows
from recorder.projections.runner import project
from recorder.projections.values import MOST_CHARACTERS, texts_of, unescaped
from recorder.store.filtered import ExchangeFilter
from recorder.store.projected import SqlProjected
from recorder.store.sql import SqlStore
from tests.building import ExchangeBuilder

BYTES = base64.b64encode(bytes(range(256))).decode()
RANDOM = base64.b64encode(random.Random(1).randbytes(400)).decode()
JSON = (("content-type", "application/json"),)
ANTHROPIC = "https://api.anthropic.com/v1/messages"
BEDROCK = "https://bedrock-runtime.us-east-1.amazonaws.com/model/m/converse"
GEMINI = "https://generativelanguage.googleapis.com/v1beta/models/g:generateContent"
RESPONSES = "https://api.openai.com/v1/responses"
CHAT = "https://api.openai.com/v1/chat/completions"
CALL = {"id": "t", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def gemini(response: dict[str, Any]) -> tuple[str, Any, Any]:
    parts = [{"functionCall": {"name": "f", "args": {}}}], [{"functionResponse": {"name": "f", "response": response}}]
    said = [{"role": "model", "parts": parts[0]}, {"role": "user", "parts": parts[1]}]
    asked = {"contents": [{"role": "user", "parts": [{"text": "q"}]}, *said]}
    answer = {"content": {"role": "model", "parts": [{"text": "done"}]}, "finishReason": "STOP"}
    return GEMINI, asked, {"candidates": [answer]}


def bedrock(*content: dict[str, Any]) -> tuple[str, Any, Any]:
    use = {"toolUse": {"toolUseId": "t", "name": "f", "input": {}}}
    result = {"toolResult": {"toolUseId": "t", "content": list(content)}}
    said = [{"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}]
    asked = {"messages": [{"role": "user", "content": [{"text": "x"}]}, *said]}
    return BEDROCK, asked, {"output": {"message": {"role": "assistant", "content": []}}, "stopReason": "end_turn"}


def anthropic(*content: dict[str, Any], answer: tuple[dict[str, Any], ...] = ()) -> tuple[str, Any, Any]:
    use = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "t", "content": list(content)}
    said = [{"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}]
    asked = {"model": "c", "max_tokens": 5, "messages": [{"role": "user", "content": "b"}, *said]}
    told = {"id": "m", "type": "message", "role": "assistant", "model": "c", "stop_reason": "end_turn"}
    return ANTHROPIC, asked, {**told, "content": list(answer)}


def cohere(data: Any) -> tuple[str, Any, Any]:
    content = [{"type": "document", "document": {"data": data}}]
    said = [{"role": "assistant", "tool_calls": [CALL]}, {"role": "tool", "tool_call_id": "t", "content": content}]
    asked = {"model": "c", "messages": [{"role": "user", "content": "x"}, *said]}
    answer = {"role": "assistant", "content": [{"type": "text", "text": "z"}]}
    return "https://api.cohere.com/v2/chat", asked, {"id": "i", "message": answer, "finish_reason": "COMPLETE"}


def responses(*items: dict[str, Any]) -> tuple[str, Any, Any]:
    output = [{"id": "x1", "status": "completed", **item} for item in items]
    told = {"id": "r", "object": "response", "status": "completed", "model": "m"}
    return RESPONSES, {"model": "m", "input": "x"}, {**told, "output": output}


def chat(result: Any) -> tuple[str, Any, Any]:
    said = [{"role": "assistant", "tool_calls": [CALL]}, {"role": "tool", "tool_call_id": "t", "content": result}]
    asked = {"model": "m", "messages": [{"role": "user", "content": "x"}, *said]}
    choice = {"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}
    return CHAT, asked, {"id": "x", "object": "chat.completion", "model": "m", "choices": [choice]}


def cut(arguments: str, **call: Any) -> tuple[str, Any, Any]:
    told = call or {"type": "function", "function": {"name": "book", "arguments": arguments}}
    message = {"role": "assistant", "content": None, "tool_calls": [{"id": "c1", **told}]}
    choice = {"index": 0, "message": message, "finish_reason": "length"}
    asked = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
    return CHAT, asked, {"id": "x", "object": "chat.completion", "model": "m", "choices": [choice]}


PICTURE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "picture1"}}
SEARCH = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "habitat"}}
PAGE = {
    "type": "web_search_result",
    "title": "Wallaby facts",
    "url": "https://example.org/",
    "encrypted_content": BYTES,
}
FOUND = {"type": "web_search_tool_result", "tool_use_id": "s", "content": [PAGE]}
HAIL = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "hailstorm"}}
SHELL = {"type": "local_shell_call", "call_id": "c5", "action": {"type": "exec", "command": ["hurricane"]}}
WEB = {"type": "web_search_call", "action": {"type": "search", "query": "landslide"}}
CODE = {"type": "code_interpreter_call", "code": "earthquake = 1", "outputs": [{"type": "logs", "logs": "eruption"}]}
SOUND = {"type": "image_generation_call", "result": BYTES}
CUSTOM = {"type": "custom", "custom": {"name": "shell", "input": r'{dir C:\new\bar.txt "K\u00f6ln'}}


def searching(store: SqlStore, exchange: tuple[str, Any, Any]) -> Callable[[str], int]:
    """Store an exchange; return what tells how many hits a query has."""
    url, asked, answer = exchange
    built = ExchangeBuilder().request(asked, url=url).response(headers=JSON, framing="length")
    built.chunks(json.dumps(answer).encode()).completed()
    store.append([built.opened], built.events)
    project(store, SqlProjected(store))
    return lambda query: len(list(SqlProjected(store).search(parse_query(query), ExchangeFilter())))


@pytest.mark.parametrize(
    ("exchange", "found", "not_found"),
    [
        (
            gemini({"city": "Rome", "note": "thunderstorm", "temp": 31.75, "high": 2.5000000000000000001, "wet": True}),
            ["thunderstorm", "rome", "31.75", '"rome thunderstorm"'],
            ["city", "note", "true"],
        ),
        (gemini({"output": "drizzle", "more": {"deep": [["sleet"]]}}), ["drizzle", "sleet"], ["deep"]),
        (bedrock({"json": {"v": "tornado", "type": "squall"}}), ["tornado", "squall"], ["json", "t"]),
        (bedrock({"image": {"format": "png", "source": {"bytes": "picture1"}}}), ["png"], ["picture1"]),
        (
            anthropic({"type": "text", "text": "blizzard"}, HAIL, PICTURE),
            ["blizzard", "hailstorm", '"blizzard hailstorm"'],
            ["picture1", "tool", "document", "t"],
        ),
        (
            anthropic(answer=(SEARCH, FOUND)),
            ["habitat", '"wallaby facts"', "example.org"],
            [BYTES[:8], "result", "s"],
        ),
        (cohere("cyclone"), ["cyclone"], ["data"]),
        (cohere({"wind": "gale"}), ["gale"], ["wind"]),
        (
            responses(SHELL, WEB, CODE, SOUND),
            ["hurricane", "landslide", "earthquake", "eruption"],
            ["exec", "logs", "completed", "x1", "c5", BYTES[:8]],
        ),
        (
            chat(json.dumps({"city": "Köln", "note": "line\nbar"})),
            ["köln", '"line bar"', "u00f6ln"],
            ["ln"],
        ),  # as sent, too
        (chat(r"see C:\new and \u00f6"), ["new", "u00f6"], ["ö"]),  # no JSON: it stands there as it is
        (cut(r'{"city":"K\u00f6ln","smile":"\ud83d\ude00on","note":"line\nbar\u00'), ["köln", "bar", "on"], ["nbar"]),
        (cut("", **CUSTOM), ["new", '"new bar txt"', "u00f6ln"], ["ew", "köln"]),
    ],
)
def test_it_is_found(store: SqlStore, exchange: Any, found: list[str], not_found: list[str]) -> None:
    hits = searching(store, exchange)
    assert {query: hits(query) for query in found} == dict.fromkeys(found, 1)
    assert {query: hits(query) for query in not_found} == dict.fromkeys(not_found, 0)
    assert audit_rows(store).found == 0


ORDERS = {"orders": [{"id": "A-17", "status": "filled", "type": "limit", "format": "fix", "item_id": "Z9"}]}
OUTPUT = {"type": "function_call_output", "call_id": "c9", "output": [ORDERS["orders"][0], ORDERS]}
OWN = {
    "gemini": gemini(ORDERS),
    "gemini, a list": gemini({"output": [ORDERS]}),
    "bedrock": bedrock({"json": ORDERS}),
    "anthropic": anthropic({"type": "text", "text": "so"}, {"type": "odd", "data": ORDERS}),
    "cohere": cohere(ORDERS),
    "responses": (RESPONSES, {"model": "m", "input": [{"role": "user", "content": "x"}, OUTPUT]}, responses()[2]),
    "chat, a value": chat(ORDERS),  # which should have been written as text
    "chat, a text": chat(json.dumps(ORDERS)),
    "mcp": responses({"type": "mcp_call", "name": "f", "arguments": "{}", "output": json.dumps(ORDERS)}),
}


@pytest.mark.parametrize("name", OWN)
def test_a_programs_own_ids_states_and_types_are_found(store: SqlStore, name: str) -> None:
    hits = searching(store, OWN[name])
    for word in ("A-17", "filled", "limit", "fix", "Z9"):
        assert hits(word) == 1, word
    for word in ("completed", "c9", "function_call_output"):
        assert hits(word) == 0, word


LONG = "/usr/share/" + "/".join(f"orders-of-{at}-things" for at in range(12)) + "/last"
LINES = "\n".join(RANDOM[at : at + 64] for at in range(0, len(RANDOM), 64))
RESOURCE = {"type": "resource", "resource": {"uri": "file:///a.pdf", "mimeType": "application/pdf", "blob": "JVBERi0x"}}
MEDIA = [
    (chat(f"see ![x](data:image/png;base64,{RANDOM}) there"), ['"see x there"']),
    (chat(f"see\n{LINES}\nthere"), ['"see there"']),
    (chat(json.dumps({"note": f"see\n{LINES}\nthere"})), ["note", "there"]),
    (chat(json.dumps({"content": [{"type": "image", "data": RANDOM}, {"note": "there"}]})), ["there"]),
    (gemini({"content": [RESOURCE, {"type": "image", "data": "picture1", "mimeType": "image/png"}]}), ["file", "pdf"]),
    (gemini({"text": f"see data:image/png;base64,{RANDOM} there", "more": [RANDOM, "gale"]}), ['"see there gale"']),
    (cohere({"page": LINES, "more": f"gale\n\n{LINES}"}), ["gale"]),
    (anthropic({"type": "text", "text": f"a {RANDOM} b"}, PICTURE), ['"a b"']),
]


@pytest.mark.parametrize(("exchange", "found"), MEDIA)
def test_base64_amid_texts_is_not_found_and_what_is_around_it_is(
    store: SqlStore, exchange: Any, found: list[str]
) -> None:
    hits = searching(store, exchange)
    assert {query: hits(query) for query in found} == dict.fromkeys(found, 1)
    pieces = {word for _, _, word in _words_of(RANDOM)} | {"picture1", "jvberi0x"}
    assert not [piece for piece in pieces if len(piece) > 5 and hits(piece)]


def test_a_long_path_is_found_by_its_words(store: SqlStore) -> None:
    for number, exchange in enumerate((chat(LONG), gemini({"at": LONG}), cohere({"at": LONG})), 1):
        url, asked, answer = exchange
        built = ExchangeBuilder(number).request(asked, url=url).response(headers=JSON, framing="length")
        built.chunks(json.dumps(answer).encode()).completed()
        store.append([built.opened], built.events)
    project(store, SqlProjected(store))
    for query in ("share", '"orders of 7 things"', "last", LONG):
        assert len(list(SqlProjected(store).search(parse_query(query), ExchangeFilter()))) == 3, query


def test_texts_and_numbers_but_no_names_and_nothing_that_is_no_text() -> None:
    lines = "\n".join([BYTES[:76], BYTES[76:152], BYTES[152:160]])
    value = {"a": ["one", 2, {"b": 3.5, "c": None, "d": False}], "e": Decimal("0.10000000000000000001"), "": ""}
    assert list(texts_of(value)) == ["one", "2", "3.5", "0.10000000000000000001"]
    assert list(texts_of([BYTES, lines, f"data:image/png;base64,{BYTES[:40]}", "data: none", "x" * 129])) == [
        "data: none",
        "x" * 129,
    ]
    assert list(texts_of({"mimeType": "image/png", "data": "iVBORw0K"})) == ["image/png"]
    assert list(texts_of({"mimeType": "text/plain", "data": "two words"})) == ["text/plain", "two words"]
    prose = "the storm that came over the hills " * 20
    assert list(texts_of(prose)) == [prose]


def test_long_lists_of_numbers_are_no_words() -> None:
    assert list(texts_of({"vector": [0.5] * 65, "hours": list(range(24))})) == [str(hour) for hour in range(24)]


def test_what_is_taken_of_one_value_is_bounded() -> None:
    words = list(texts_of(["ab cd"] * (MOST_CHARACTERS // 4)))
    assert sum(map(len, words)) == MOST_CHARACTERS
    assert list(map(len, texts_of(["a b" * MOST_CHARACTERS, "more"]))) == [MOST_CHARACTERS]


def test_a_value_may_be_nested_as_deeply_as_it_likes() -> None:
    value: Any = "deep"
    for _ in range(100_000):
        value = [value]
    assert list(texts_of(value)) == ["deep"]
    while isinstance(value, list):  # freed level by level
        value = value[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r'{"a":"K\u00f6ln', '{"a":"Köln'),
        (r'{"a":"\\n\"\/\t', '{"a":"\\n"/\t'),
        (r'{"a":"one\u00', '{"a":"one'),
        ('{"a":"one\\', '{"a":"one'),
        (r'{"a":"one\\', '{"a":"one\\'),
        (r'{"a":"\x', r'{"a":"\x'),
    ],
)
def test_escapes_of_what_does_not_parse(text: str, expected: str) -> None:
    assert unescaped(text) == expected
