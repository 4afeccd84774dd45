"""Looking through a long text takes no memory for each of its characters: expressions do not remember the way back."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable

import pytest

from recorder.core.export_numbers import bare_number
from recorder.core.messages import Message, ToolCallPart
from recorder.core.searching import words_of
from recorder.projections.messages import _rest

SIZE = 300_000


def words_of_a_call(text: str) -> None:
    arguments = json.dumps({"code": text})
    assert list(_rest(Message("assistant", (ToolCallPart(arguments, name="write", complete=True),)).parts[0])) == [
        "write",
        "code",
        text,
    ]


def words_to_search(text: str) -> None:
    assert sum(1 for _ in words_of(text))


def number_beside(text: str) -> None:
    document = json.dumps({"a": text, "b": 12345678})
    at = document.index("12345678")
    assert bare_number(document, at, at + 8) is not None


@pytest.mark.parametrize("looked", [words_of_a_call, words_to_search, number_beside])
@pytest.mark.parametrize("text", ["0a" * (SIZE // 2), '\\n"' * (SIZE // 3), "a\\" * (SIZE // 2)], ids=["a", "b", "c"])
def test_it_takes_a_few_bytes_a_character(looked: Callable[[str], None], text: str) -> None:
    looked(text[:100])
    tracemalloc.start()
    try:
        looked(text)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 20 * SIZE
