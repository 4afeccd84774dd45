"""The text of a value is cut out of its document as it stands there."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.core.json_sources import Sourced, Sources, Texts, sourced, sources_of

DOCUMENT = ' {"a" : [ {"b": 1.50, "ü": "x\\u0022]}"} , [ ], null ],\n"c": {"d":{"e": -1E5}}, "a\\u0062": "" } '


def test_values_of_a_document() -> None:
    root = json.loads(DOCUMENT)
    sources = Sources(DOCUMENT, root)
    told: list[tuple[Any, Any, str | None]] = [
        (root, "a", '[ {"b": 1.50, "ü": "x\\u0022]}"} , [ ], null ]'),
        (root, "ab", '""'),
        (root["a"], 1, "[ ]"),
        (root["a"], 2, "null"),
        (root["a"][0], "b", "1.50"),
        (root["a"][0], "ü", '"x\\u0022]}"'),
        (root["c"]["d"], "e", "-1E5"),
        (root["c"], "d", '{"e": -1E5}'),
        (root["c"], "x", None),
        (root["a"], 3, None),
        (dict(root["c"]), "d", None),  # a copy
        ({}, "d", None),
    ]
    for holder, name, text in told:
        assert sources.text_of(holder, name) == text


def test_of_equal_names_it_is_the_last_as_for_decoders() -> None:
    text = '{"q": {"n": 1.0}, "q": {"n": 2.0}}'
    root = json.loads(text)
    assert Sources(text, root).text_of(root, "q") == '{"n": 2.0}'
    assert Sources(text, root).text_of(root["q"], "n") == "2.0"


@pytest.mark.parametrize("text", ["5", '"x"', "null", "[]", "{}"])
def test_a_document_without_members(text: str) -> None:
    root = json.loads(text)
    assert Sources(text, root).text_of(root if isinstance(root, dict | list) else {}, "a") is None


def test_bytes_with_a_byte_order_mark() -> None:
    text = b'\xef\xbb\xbf{"a": "\xc3\xa9", "b": 1.0}'
    root = json.loads(text.decode("utf-8-sig"))
    assert [Sources(text, root).text_of(root, name) for name in "ab"] == ['"é"', "1.0"]


def test_an_object_that_brings_its_texts_along() -> None:
    value = {"a": {"b": 1.0}}
    told = sourced(value, Sources('{"a":{"b":1.00}}', value))
    assert isinstance(told, Sourced)
    assert (told, repr(told)) == (value, repr(value))
    sources = sources_of(told)
    assert sources is not None
    assert (sources.text_of(told, "a"), sources.text_of(told["a"], "b")) == ('{"b":1.00}', "1.00")
    assert sources_of(value) is None
    assert sourced("a", sources) == "a"
    items: list[Any] = [{"a": 1}, 7]
    first, second = sourced(items, Sources('[{"a":1.0e0}, 7]', items))
    assert isinstance(first, Sourced)
    assert (first.sources.text_of(first, "a"), second) == ("1.0e0", 7)


def test_nothing_is_looked_for_before_somebody_asks() -> None:
    given: list[str] = []

    def text() -> str:
        given.append(DOCUMENT)
        return DOCUMENT

    root = json.loads(DOCUMENT)
    sources, texts = Sources(text, root), Texts(text)
    deep = Texts(lambda: '{"o": {"a": [1.0 ,2], "b": [ ]}}').inside("o")
    assert (given, sources.asked) == ([], False)
    assert (sources.text_of(root, "ab"), sources.asked) == ('""', True)
    assert (deep.items("a"), deep.items("b")) == (["1.0", "2"], [])
    assert texts.items("a") == ['{"b": 1.50, "ü": "x\\u0022]}"}', "[ ]", "null"]
    assert given == [DOCUMENT] * 2


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(value=VALUES, indent=st.sampled_from([None, 0, 3]), escaped=st.booleans())
def test_the_text_of_every_value_is_read_as_that_value(value: Any, indent: int | None, escaped: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=escaped)
    root = json.loads(text)
    sources = Sources(text, root)
    waiting = [root]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict | list):
            for name, inner in list(one.items() if isinstance(one, dict) else enumerate(one)):
                found = sources.text_of(one, name)
                assert found is not None
                assert found in text
                assert json.loads(found) == inner
                waiting.append(inner)


def test_a_value_of_a_document_has_its_numbers_as_they_were_sent() -> None:
    text = '{"a": [1.50, {"b": 1E+2, "c": 2.5}, [NaN, 3]], "d": {"e": 0.5}}'
    root = json.loads(text)
    sources = Sources(text, root)
    found = sources.exact(root["a"])
    assert list(map(str, found)) == ["1.50", "{'b': 100.0, 'c': 2.5}", "[nan, 3]"]
    assert (str(found[1]["b"]), type(found[1]["c"])) == ("1E+2", float)
    assert found[:2] == [1.5, {"b": 100.0, "c": 2.5}]  # a number as any other
    for value in (root["d"], root["a"][2], "x", 2.5, None, [1.5], {"b": 1.5}):
        assert sources.exact(value) is value
    assert str(sources.exact(Sourced(root, sources))["a"][0]) == str(sources.exact(root)["a"][0]) == "1.50"
    assert str(sources.exact(Sourced(root["a"][1], sources))["b"]) == "1E+2"
    plain = json.loads('{"a": {"b": "1.50"}}')
    unasked = Sources('{"a": {"b": "1.50"}}', plain)
    assert unasked.exact(plain["a"]) is plain["a"]
    assert not unasked.asked
