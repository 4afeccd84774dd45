"""Normalising: what varies is a placeholder, what it says of equality stays, and nothing else is taken for it."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from recorder.core.match_rules import KINDS
from recorder.core.normalising import normalised, shown

BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
A, B = "9b2d1c1e-7f7e-4a5e-9c56-0a4a0a0a0a0a", "c0ffee00-1111-4222-8333-123456789abc"
uuids = st.uuids(version=4).map(str)
calls = st.text(BASE62, min_size=22, max_size=22).map(lambda made: f"toolu_01{made}")
leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
values = st.recursive(leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4))


def same(one: Any, other: Any, *kinds: str) -> bool:
    return bool(normalised(one, kinds) == normalised(other, kinds))


def renamed(value: Any, names: dict[str, str]) -> Any:
    text = json.dumps(value)
    for at, name in enumerate(names):
        text = text.replace(name, f"<<{at}>>")
    for at, name in enumerate(names.values()):
        text = text.replace(f"<<{at}>>", name)
    return json.loads(text)


def conversation(first: str, second: str) -> dict[str, Any]:
    """A conversation with two tool calls of Anthropic."""
    return {
        "model": "m",
        "messages": [
            {"role": "user", "content": "Buy or hold?"},
            {
                "role": "assistant",
                "content": [
                    {"type": "tool_use", "id": first, "name": "price", "input": {"of": "EURUSD"}},
                    {"type": "tool_use", "id": second, "name": "price", "input": {"of": "GBPUSD"}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": first, "content": "1.07"},
                    {"type": "tool_result", "tool_use_id": second, "content": f"1.27 ({second})"},
                ],
            },
        ],
    }


@settings(deadline=None)
@given(st.lists(calls, min_size=4, max_size=4, unique=True))
def test_renaming_all_ids_keeps_equality_and_swapping_two_in_one_place_breaks_it(ids: list[str]) -> None:
    one, other = conversation(*ids[:2]), conversation(*ids[2:])
    assert same(one, other, "tool_call_ids")
    assert same(one, conversation(ids[1], ids[0]), "tool_call_ids")  # which is what renaming each to the other is
    swapped = conversation(*ids[:2])
    results = swapped["messages"][2]["content"]
    results[0]["tool_use_id"], results[1]["tool_use_id"] = ids[1], ids[0]
    assert not same(one, swapped, "tool_call_ids")
    confused = conversation(ids[0], ids[0])
    assert not same(one, confused, "tool_call_ids")
    assert not same(one, other)
    assert not same(one, other, "ids", "dates")


@settings(deadline=None)
@given(values, st.lists(uuids, min_size=4, max_size=4, unique=True), st.data())
def test_renaming_ids_anywhere_keeps_equality(value: Any, ids: list[str], data: st.DataObject) -> None:
    place = {"a": ids[0], "z": [f"of {ids[1]}: {ids[0]}", {"id": ids[1]}], "more": value}
    other = renamed(place, dict(zip(ids[:2], ids[2:], strict=True)))
    assume(renamed(other, dict(zip(ids[2:], ids[:2], strict=True))) == place)
    assert same(place, other, "ids")
    assert not same(place, renamed(place, {ids[0]: ids[1]}), "ids")


@settings(deadline=None)
@given(values, values, st.lists(st.sampled_from(KINDS)))
def test_it_is_an_equivalence_that_never_parts_what_is_equal(one: Any, other: Any, kinds: list[str]) -> None:
    assert normalised(one, kinds) == normalised(json.loads(json.dumps(one)), kinds)
    if json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True):
        assert same(one, other, *kinds)


@settings(deadline=None)
@given(st.text(), st.text(), st.lists(st.sampled_from(KINDS)))
def test_texts_without_anything_to_normalise_are_told_apart(one: str, other: str, kinds: list[str]) -> None:
    if same(one, other, *kinds):
        assert one == other or "<" in shown(normalised(one, kinds))


@settings(deadline=None)
@given(st.text("\0id 1call", max_size=12), st.text("\0id 1call", max_size=12))
def test_a_text_that_looks_like_a_placeholder_is_none(one: str, other: str) -> None:
    assert same([one], [other], *KINDS) == (one == other)
    assert not same([f"{one}{A}"], [f"{one}\0id 1\0"], "ids")
    assert not same({"model": one, "a": A}, {"model": one, "a": "\0id 1\0"}, *KINDS)
    assert normalised({"model": one}, KINDS) == {"model": one.replace("\0", "\0\0")}


@pytest.mark.parametrize(
    "made",
    [
        A,
        A.upper(),
        UUID(A).hex,
        "01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "req_011CSHoEeqs5C35K2UUqR7Fy",
        "req_67ccd2bed1ec8190b14f964abc054267",
        "msg_01XFDUDYJgAACzvnptvVoYEL",
        "msg_67ccd2bf17f0819081ff3bb2cf6508e60bb6a6b452d3795b",
        "resp_67ccd2bed1ec8190b14f964abc0542670bb6a6b452d3795b",
        "chatcmpl-9nYAG9LPNonX8DAyrkwYfemr3C8HC",
        f"chatcmpl-{A}",
        "gen-1764447745-kXq3mZ8sT0vB1nR7yWcA",
        "run_8Ufv0sOXbQWhLOzXTD2aQ3Zt",
    ],
)
@pytest.mark.parametrize("around", ["%s", "request %s.", '{"id":"%s"}', "a\\n%s\\n", "(%s)"])
def test_an_id_is_found_in_a_text(made: str, around: str) -> None:
    assert shown(normalised(around % made, ["ids"])) == around % "<id 1>"
    assert normalised(around % made, ["dates", "tool_call_ids"]) == around % made


@pytest.mark.parametrize(
    "made",
    [
        "call_8Ufv0sOXbQWhLOzXTD2aQ3Zt",
        "toolu_01A09q90qw90lq917835lq9",
        "toolu_bdrk_01A09q90qw90lq917835lq9",
        "tooluse_lAG_zP8QRHmSYOwZzzaCqA",
        f"call_{A}",
        "chatcmpl-tool-0123456789abcdef0123456789abcdef",
        "fc_67ccd2bf17f0819081ff3bb2cf6508e60bb6a6b452d3795b",
    ],
)
def test_an_id_of_a_tool_call_is_found_in_a_text(made: str) -> None:
    assert shown(normalised(f"of {made}: 1", ["tool_call_ids"])) == "of <call 1>: 1"
    assert shown(normalised(f"of {made}: 1", KINDS)) == "of <call 1>: 1"


@pytest.mark.parametrize(
    "text",
    [
        "run_backtest",
        "run_3monthmomentumlong",
        "call_getHistoricalPricesBatch",
        "step_thePriceHasToBeChecked1",
        "msg_internationalization2",
        "thread_poolExecutorShutdown",
        "00000000-0000-0000-0000-000000000000",
        "d41d8cd98f00b204e9800998ecf8427e",  # a digest: its digits are not those of a UUID
        "012345678901234567890123456789",
        "chatcmpl-123",
        "INTERNATIONALIZATION012345",
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk",
    ],
)
def test_words_are_no_ids(text: str) -> None:
    assert normalised(text, KINDS) == text
    assert normalised([f"use {text}()"], KINDS) == [f"use {text}()"]


def test_a_member_that_says_id_may_hold_shorter_ones_but_no_names() -> None:
    assert shown(normalised({"request_id": "req_8f3a2b1c"}, ["ids"])["request_id"]) == "<id 1>"
    assert shown(normalised({"sessionId": "session-8f3a2b1c"}, ["ids"])["sessionId"]) == "<id 1>"
    for name, text in (("request", "req_8f3a2b1c"), ("id", "run_backtest"), ("id", "8f3a2b1c"), ("id", "portfolio-1")):
        assert normalised({name: text}, ["ids"]) == {name: text}


def test_the_ids_of_tool_calls_are_told_by_their_members() -> None:
    openai = {
        "messages": [
            {"role": "assistant", "tool_calls": [{"id": "a", "function": {}}, {"id": "D681PevKs", "function": {}}]},
            {"role": "tool", "tool_call_id": "D681PevKs", "content": "a"},
        ]
    }
    found = normalised(openai, ["tool_call_ids"])["messages"]
    assert [shown(call["id"]) for call in found[0]["tool_calls"]] == ["<call 1>", "<call 2>"]
    assert shown(found[1]["tool_call_id"]) == "<call 2>"
    assert found[1]["content"] == "a"
    responses = {
        "input": [{"type": "function_call", "call_id": "c", "id": "i"}, {"type": "x", "call_id": "c", "id": "j"}]
    }
    assert normalised(responses, ["tool_call_ids"]) == {
        "input": [
            {"type": "function_call", "call_id": "\0call 1\0", "id": "\0call 2\0"},
            {"type": "x", "call_id": "\0call 1\0", "id": "j"},
        ]
    }
    gemini = {"parts": [{"functionCall": {"id": "g", "name": "f"}}, {"functionResponse": {"id": "g"}}, {"id": "h"}]}
    assert [*map(str, normalised(gemini, ["tool_call_ids"])["parts"])] == [
        *map(
            str,
            [
                {"functionCall": {"id": "\0call 1\0", "name": "f"}},
                {"functionResponse": {"id": "\0call 1\0"}},
                {"id": "h"},
            ],
        )
    ]
    bedrock = {"toolUse": {"toolUseId": "t"}, "toolResult": {"toolUseId": "t"}}
    assert normalised(bedrock, ["tool_call_ids"])["toolUse"] == {"toolUseId": "\0call 1\0"}


def test_an_id_is_one_whatever_kind_of_id_it_is_in_a_place() -> None:
    value = {"a": f"see {A}", "tool_call_id": A, "z": B}
    assert [shown(text) for text in normalised(value, KINDS).values()] == ["see <id 1>", "<call 1>", "<id 2>"]


def test_dates_keep_their_order() -> None:
    def asks(one: str, other: str) -> dict[str, str]:
        return {"content": f"Is {one} before {other}?"}

    assert same(asks("2026-11-28", "2026-11-29"), asks("2025-01-01", "2025-03-07"), "dates")
    assert not same(asks("2026-11-28", "2026-11-29"), asks("2026-11-29", "2026-11-28"), "dates")
    assert not same(asks("2026-11-28", "2026-11-29"), asks("2026-11-29", "2026-11-29"), "dates")
    assert not same(asks("2026-11-28", "2026-11-29"), asks("2026-11-28", "2026-11-29T10:00"), "dates")
    assert not same(asks("2026-11-28", "2026-11-29"), asks("2026-11-28", "tomorrow"), "dates")


def test_unix_times_are_found_where_a_name_says_so() -> None:
    value = {"created": 1764447745, "createdAt": 1764447746.5, "sent_at": "1764447744", "timestamp": 1764447745000}
    assert {name: shown(text) for name, text in normalised(value, ["dates"]).items()} == {
        "created": "<unix 2>",
        "createdAt": "<unix 3>",
        "sent_at": "<digits 1>",
        "timestamp": "<unix 2>",
    }
    for other in ({"size": 1764447745}, {"created": True}, {"created": 12}, {"created": "12"}, {"seed": "1764447745"}):
        assert normalised(other, KINDS) == other
    assert normalised(value, ["ids"]) == value


@pytest.mark.parametrize("name", ["model", "modelId", "api_version", "anthropicVersion", "deployment", "engine_name"])
def test_what_says_which_model_is_left_as_it_is(name: str) -> None:
    value = {name: {"a": [A, "2026-11-29", "gpt-2024-08-06"]}}
    assert normalised(value, KINDS) == value


@pytest.mark.parametrize("name", ["file_id", "fileIds", "previous_response_id", "assistant_id", "vector_store_ids"])
def test_what_refers_to_something_that_the_server_keeps_is_left_as_it_is(name: str) -> None:
    value = {name: [A, "resp_67ccd2bed1ec8190b14f964abc0542670bb6a6b452d3795b"]}
    assert normalised(value, KINDS) == value
    assert normalised({"type": "item_reference", "id": A}, KINDS) == {"type": "item_reference", "id": A}
    assert shown(normalised({"type": "message", "id": A}, KINDS)["id"]) == "<id 1>"


def test_what_is_in_a_url_is_left_as_it_is() -> None:
    url = f"https://h/files/{A}/2026-11-29.png?day=2026-11-29&id={A}"
    assert normalised({"image_url": url, "text": f"see {url}, or"}, KINDS) == {
        "image_url": url,
        "text": f"see {url}, or",
    }
    assert shown(normalised(f'{{"url": "{url}", "id": "{A}"}}', KINDS)) == f'{{"url": "{url}", "id": "<id 1>"}}'


def test_names_of_members_are_left_as_they_are() -> None:
    assert normalised({A: 1}, KINDS) == {A: 1}
