"""Words of the protocol stay, and a rule that finds one is refused; what users named is left out."""

from __future__ import annotations

import json
from typing import Any

import pytest

from recorder.core.export_redaction import ExportRedaction
from recorder.core.export_words import is_known_word, stays
from recorder.core.json_pieces import NAME, STRING, pieces_of
from recorder.dialects.rebuild import rebuild
from tests.building import ExchangeBuilder
from tests.unit.core.redacted_exchanges import STOP, asked, call, cut, exchange, redacted, refused, told, user

TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {"p": {}}}}}
KEY = "hunter22"


def staying(value: Any) -> set[str]:
    text = json.dumps(value, ensure_ascii=False)
    pieces = [(one, text[one.start : one.end]) for one in pieces_of(text, "json") if one.kind in (NAME, STRING)]
    return {raw for piece, raw in pieces if stays(piece, raw)}


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (
            {"usage": {"prompt_tokens": 1}, "self-harm/intent": 1, "a b": 1, "Zoë": 2, "4711": 3, "a@b.example": 4},
            {"usage", "prompt_tokens", "self-harm/intent"},
        ),
        ({"type": "text_delta", "text": "text", "role": "who is it?"}, {"type", "text_delta", "text", "role"}),
        ({"metadata": {"type": "own", "deep": {"own": 1}}}, {"metadata"}),
        ({"metadata": {"usage": {"inputTokens": 1}}}, {"metadata", "usage", "inputTokens"}),
        ({"input": [{"role": "user"}]}, {"input", "role", "user"}),
        ({"content": [{"type": "tool_use", "input": {"own": [{"own": 1}]}}]}, {"content", "type", "tool_use", "input"}),
        ({"tool_calls": [{"parameters": {"own": 1}}]}, {"tool_calls", "parameters"}),
        ({"parameters": {"properties": {"own": {"type": "string"}}}}, {"parameters", "properties", "type", "string"}),
        ({"functionResponse": {"response": {"own": 1}}}, {"functionResponse", "response"}),
        ({"response": {"id": "x"}}, {"response", "id"}),
    ],
)
def test_names_of_a_protocol_stay_and_names_of_users_do_not(value: Any, kept: set[str]) -> None:
    assert staying(value) == kept


def test_a_name_that_is_written_with_escapes_stays_too() -> None:
    text = '{"\\u0069d": 1}'
    (piece,) = [one for one in pieces_of(text, "json") if one.kind == NAME]
    assert stays(piece, text[piece.start : piece.end])


def test_kinds_and_roles_say_nothing_of_anybody() -> None:
    text = '{"type": "object", "role": "Zoe", "metadata": {"type": "object"}, "name": "object"}'
    strings = [one for one in pieces_of(text, "json") if one.kind == STRING]
    assert [is_known_word(one, text[one.start : one.end]) for one in strings] == [True, False, False, False]


@pytest.mark.parametrize(
    "word",
    [
        *("content", "usage", "name", "id", "prompt_tokens", "index", "finish_reason", "delta", "model", "role"),
        *("temperature", "tools", "parameters", "properties", "function", "object", "messages", "user", "stop"),
    ],
)
def test_no_word_of_the_wire_is_dropped_without_a_word(word: str) -> None:
    """Each of these was renamed in the bytes, and what it held was in no export any more."""
    payload = {**user("hi"), "temperature": 0.5, "tools": [TOOL]}
    builder = asked(payload, *told("Hello"), {**STOP, "usage": {"prompt_tokens": 9, "completion_tokens": 2}})
    why = refused(builder, f"text:{word}")
    assert why.startswith("rule 1 (text) finds a name or a word of the wire format in exchange ")
    assert why.endswith(", and these stay: nothing is exported of it; make it more specific")


def test_the_name_of_an_event_stays() -> None:
    body = b'event: ping_pong\ndata: {"type": "x"}\n\n'
    builder = ExchangeBuilder().request({}).response().chunks(body).completed()
    assert "a name or a word of the wire format" in refused(builder, "text:ping_pong")


PLACES = {
    "metadata": asked({**user("x"), "metadata": {"a": {KEY: "v"}}}),
    "arguments": asked(user("x"), *call(*cut(json.dumps({"a": {KEY: 1}}), 3))),
    "a schema": asked({**user("x"), "tools": [{"function": {"parameters": {"properties": {KEY: {}}}}}]}),
    "no name for a protocol": asked({**user("x"), f"{KEY} & co": 1}),
    "a parameter of the URL": asked(user("x"), url=f"https://a.test/v1/chat/completions?{KEY}=1"),
    "a tool's answer": asked(user(json.dumps({KEY: json.dumps({KEY: 1})}))),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_secret_that_is_a_name_is_left_out_where_users_name_things(place: str) -> None:
    redacted(PLACES[place], f"text:{KEY}", secret=KEY)


@pytest.mark.parametrize(
    "builder",
    [
        asked({**user("x"), KEY: 1}),
        asked(user("x"), {**STOP, "x_custom": {KEY: 1}}),
        asked(user("x"), headers=[("content-type", "application/json"), (KEY, "1")]),
    ],
    ids=["a field of the request", "a field of the answer", "a header"],
)
def test_a_secret_that_is_a_name_elsewhere_is_refused(builder: ExchangeBuilder) -> None:
    assert KEY not in refused(builder, f"text:{KEY}")


def test_what_is_around_what_a_path_selects_stays_readable() -> None:
    """Roles, kinds of content and types of a schema are in everything: they go with no value around them."""
    payload = {**user([{"type": "text", "text": "I am Zoe Smith"}]), "tools": [TOOL]}
    before = exchange(asked(payload, *call('{"p": "Zoe Smith"}')))
    request = ExportRedaction(["json:$.messages"], rebuild).exchange(before).exchange.request
    assert request is not None
    assert request.json == {**user([{"type": "text", "text": "[redacted]"}]), "tools": [TOOL]}
    request = ExportRedaction(["json:$.tools"], rebuild).exchange(before).exchange.request
    assert request is not None
    assert request.json["tools"] == [{**TOOL, "function": {**TOOL["function"], "name": "[redacted]"}}]  # type: ignore[dict-item]


def test_a_word_that_only_looks_like_one_of_the_protocol_is_left_out_where_a_path_selects_it() -> None:
    payload = {**user("I am Annabelle"), "customer": {"type": "Annabelle"}}
    redacted(asked(payload, *told("Hello Annabelle")), "json:$.customer", secret="Annabelle")
    assert "these stay" in refused(asked(payload), "text:Annabelle")


def test_a_role_that_a_path_names_is_refused() -> None:
    assert "no longer be read" in refused(asked(user("x")), "json:$.messages[*].role")
