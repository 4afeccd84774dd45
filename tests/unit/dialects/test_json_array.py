"""Arrays that arrive value by value."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.core.messages import Answer
from recorder.dialects.folding import AnswerFold, Place
from recorder.dialects.json_array import ArrayReader

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)


class Taken(AnswerFold):
    def __init__(self) -> None:
        super().__init__("taken")
        self.values: list[tuple[Any, Place]] = []

    def take(self, value: Any, place: Place, name: str = "") -> None:
        self.values.append((value, place))

    def answer(self, shape: str, *, whole: bool | None, tail: int) -> Answer:
        return self.result(shape, (), whole=whole, tail=tail)


def read(body: bytes, cuts: list[int] | None = None) -> tuple[list[Any], Answer, list[Place]]:
    fold = Taken()
    reader = ArrayReader("json", fold)
    at = 0
    for cut in [*sorted(cuts or []), len(body)]:
        reader.feed(body[at:cut])
        at = cut
    answer = reader.close()
    return [value for value, _ in fold.values], answer, [place for _, place in fold.values]


@given(values=st.lists(VALUES, max_size=4), indent=st.sampled_from([None, 2]), escaped=st.booleans(), data=st.data())
def test_the_values_of_an_array_are_those_of_json(
    values: list[Any], indent: int | None, escaped: bool, data: st.DataObject
) -> None:
    body = json.dumps(values, indent=indent, ensure_ascii=escaped).encode("utf-8", "surrogatepass")
    cuts = data.draw(st.lists(st.integers(0, len(body)), max_size=6))
    found, answer, places = read(body, cuts)
    assert found == values
    assert (answer.whole, answer.unparsed_tail_bytes, answer.anomalies) == (None, 0, ())
    assert [json.loads(body[start:end]) for start, end in places] == values


@given(value=VALUES.filter(lambda value: isinstance(value, dict)), data=st.data())
def test_a_document_is_one_value(value: Any, data: st.DataObject) -> None:
    body = b"\xef\xbb\xbf\r\n" + json.dumps(value, indent=1).encode() + b"\n"
    found, answer, _ = read(body, data.draw(st.lists(st.integers(0, len(body)), max_size=6)))
    assert (found, answer.whole) == ([value], True)


def test_a_value_is_taken_when_its_last_byte_has_come() -> None:
    fold = Taken()
    reader = ArrayReader("json", fold)
    reader.feed(b'[{"a": "}]"}')
    assert [value for value, _ in fold.values] == [{"a": "}]"}]
    reader.feed(b' , {"b": [1, {"c": 2}')
    reader.feed(b"]}")
    assert [value for value, _ in fold.values] == [{"a": "}]"}, {"b": [1, {"c": 2}]}]


@given(values=st.lists(VALUES, min_size=1, max_size=4), data=st.data())
def test_a_cut_array_keeps_the_values_before_the_cut(values: list[Any], data: st.DataObject) -> None:
    body = json.dumps(values).encode()
    found, answer, _ = read(body[: data.draw(st.integers(1, len(body) - 1))])
    assert found == values[: len(found)]
    assert answer.whole is False


@pytest.mark.parametrize(
    ("body", "values", "whole", "tail", "kind"),
    [
        (b"", [], False, 0, None),
        (b"[]", [], None, 0, None),
        (b"[ ]\r\n", [], None, 0, None),
        (b"[1, 2,", [1, 2], False, 0, None),
        (b'[1, {"a', [1], False, 3, "document_unparsed"),
        (b'[1] {"a": 1}', [1], False, 8, "after_document"),
        (b'{"a": 1} x', [{"a": 1}], False, 1, "after_document"),
        (b'{"a": 1}\n{"b": 2}', [{"a": 1}, {"b": 2}], None, 0, None),
        (b'{"a" 1}', [], False, 0, "value_unparsed"),
        (b'[{"a" 1}, 2]', [2], False, 0, "value_unparsed"),
        (b"[}, 1]", [], False, 4, "after_document"),
        (b'{"a": "\\', [], False, 8, "document_unparsed"),
        (b"[" * 500 + b"]" * 500, [], False, 0, "value_unparsed"),
    ],
)
def test_what_is_not_whole(body: bytes, values: list[Any], whole: bool | None, tail: int, kind: str | None) -> None:
    found, answer, _ = read(body)
    assert (found, answer.whole, answer.unparsed_tail_bytes) == (values, whole, tail)
    assert [fact.kind for fact in answer.anomalies] == ([kind] if kind else [])
    assert read(body, list(range(len(body))))[:2] == (found, answer)
