"""Answers in which anything may be of another kind: nothing raises, and the cut of the bytes changes nothing.

Made from the whole answers that each dialect's tests give (see :mod:`tests.contract.test_dialects`): a few of their
values are replaced, left out or repeated.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.core.messages import FINISHES
from recorder.core.rebuilt import as_json
from recorder.core.sse import SSEParser
from tests.contract.test_dialects import ALL, STREAMS, clues_for, read, rebuilt

ODD = st.sampled_from([None, True, 0, -1, 1.5, "", "x", "{", [], {}, [1], {"x": 1}, [None], {"text": 5}, float("nan")])


def values_of(body: bytes) -> tuple[str, list[Any]]:
    """Return how the values came, and the values."""
    head = body.lstrip()[:1]
    if head in (b"{", b"["):
        try:
            value = json.loads(body)
        except ValueError:
            return "lines", [json.loads(line) for line in body.splitlines() if line.strip()]
        return ("array", value) if isinstance(value, list) else ("document", [value])
    return "events", [_parsed(event.data) for event in SSEParser().feed(body)]


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def body_of(form: str, values: list[Any]) -> bytes:
    """Return the values as they came."""
    if form == "events":
        return b"".join(
            b"data: %s\n\n" % (value if value == "[DONE]" else json.dumps(value)).encode() for value in values
        )
    if form == "lines":
        return b"".join(json.dumps(value).encode() + b"\n" for value in values)
    return json.dumps(values if form == "array" else values[0] if values else None, indent=1).encode()


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every ``(container, key)`` in a value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield value, key
        yield from places(inner)


@st.composite
def mutated(draw: st.DrawFn, body: bytes) -> bytes:
    """Draw an answer with a few changes."""
    form, values = values_of(body)
    values = copy.deepcopy(values)
    for _ in range(draw(st.integers(1, 3))):
        found = list(places(values))
        if not found:
            break
        held, key = found[draw(st.integers(0, len(found) - 1))]
        change = draw(st.sampled_from(["replace", "remove", "repeat"]))
        if change == "replace":
            held[key] = copy.deepcopy(draw(ODD))
        elif change == "remove":
            del held[key]
        elif isinstance(held, list):
            held.insert(key, copy.deepcopy(held[key]))
        else:
            held[f"{key}_"] = held[key]
    return body_of(form, values)


TEXTUAL = [(name, kind, body) for name, kind, body in STREAMS if clues_for(name, kind, body).shape != "eventstream"]


@pytest.mark.parametrize(("name", "kind", "body"), TEXTUAL)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_nothing_raises_whatever_is_of_another_kind(name: str, kind: str, body: bytes, data: st.DataObject) -> None:
    changed = data.draw(mutated(body))
    clues = clues_for(name, kind, changed)
    for dialect in ALL.values():
        assert 0.0 <= dialect.claims(clues) <= 1.0
    whole = read(ALL[name], clues)
    cuts = data.draw(st.lists(st.integers(0, len(changed)), max_size=4))
    # As text: two answers with a NaN are not equal.
    assert repr(read(ALL[name], clues, cuts)) == repr(whole)
    for choice in whole.choices:
        assert choice.finish is None or choice.finish in FINISHES
        for part in choice.message.parts:
            assert part.ranges
            assert all(0 <= start < end <= len(changed) for start, end in part.ranges)
    json.dumps(as_json(rebuilt(name, kind, changed)), allow_nan=False).encode()
