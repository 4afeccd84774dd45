"""Texts of a JSON document that are found without reading all of it in Python are those that reading it finds."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.core import json_texts
from recorder.core.body_credentials import credentials_in, is_credential_member
from recorder.core.json_spans import Span, find_spans
from recorder.core.json_texts import find_texts, in_letters, strings_around

NAMES = st.sampled_from(
    ["api_key", "bid_token", "authorization", "a", 'x"api_key', "ключ_api_key", "api_key\\", "x/~y"]
)
TEXTS = st.sampled_from(
    ["K", "", 'say "api_key": "x"', "\\", '\\"', "é", "\n{[", '"api_key":"K"', "needle", "a needle é"]
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    TEXTS | st.integers() | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=20,
)


def credential(name: str, text: str) -> bool:
    return text != "" and is_credential_member(name)


def slowly(text: str) -> list[Span]:
    def selects(span: Span) -> bool:
        name = span.path[-1] if span.named else "".join(span.path[-2:-1])
        return isinstance(span.value, str) and credential(name, span.value)

    return find_spans(text, selects)


@given(VALUES, st.booleans(), st.sampled_from([None, 1]))
def test_the_texts_under_names_are_those_that_reading_all_finds(value: Any, plain: bool, indent: int | None) -> None:
    text = json.dumps(value, ensure_ascii=not plain, indent=indent)
    payload = text.encode()
    found = find_texts(text, in_letters(payload, text, credentials_in(payload)), credential)
    assert found == slowly(text)
    assert [json.loads(text[span.start : span.end]) for span in found] == [span.value for span in found]


@given(VALUES, st.booleans())
def test_the_texts_that_hold_something_are_those_that_reading_all_finds(value: Any, plain: bool) -> None:
    text = json.dumps(value, ensure_ascii=not plain)
    payload = text.encode()
    found = find_texts(
        text, in_letters(payload, text, strings_around(payload, [b"needle"])), lambda _, one: "needle" in one
    )
    assert found == find_spans(text, lambda span: isinstance(span.value, str) and "needle" in span.value)


@pytest.mark.parametrize(
    "text",
    [
        '{"api_key": "K", "api_key": "L"}',
        '{"a": {"api_key": "K"}, "a": 1}',
        '{"api_\\u006bey": "K", "b": {"api_key": "L"}}',
        '{"api_key": ["K", 1, {"api_key": "L"}], "n": ["api_key"]}',
        '[["K"], {"api_key": [["K"], "L"]}]',
    ],
)
def test_what_no_search_of_bytes_finds_is_found_all_the_same(text: str) -> None:
    assert find_texts(text, in_letters(text.encode(), text, credentials_in(text.encode())), credential) == slowly(text)


def test_a_large_request_with_one_credential_is_not_read_in_python(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(*_: object) -> list[Span]:
        raise AssertionError("all of it was read")

    monkeypatch.setattr(json_texts, "find_spans", read)
    said = [{"role": "user", "content": f'say "api_key": "{turn}" é'} for turn in range(500)]
    text = json.dumps(
        {"messages": said, "tools": [{"authorization": "K"}, {"api_key": ["K", "L"]}]}, ensure_ascii=False
    )
    found = find_texts(text, in_letters(text.encode(), text, credentials_in(text.encode())), credential)
    assert [span.path for span in found] == [
        ("tools", "0", "authorization"),
        ("tools", "1", "api_key", "0"),
        ("tools", "1", "api_key", "1"),
    ]


@pytest.mark.parametrize("text", ['{"api_key": "K"', '{"api_key": "K"} {}', "", '{"api_key": "K'])
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        find_texts(text, credentials_in(text.encode()), credential)
