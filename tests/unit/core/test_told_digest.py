"""What an export tells of an exchange, as it is made and as it is read again."""

from __future__ import annotations

import json

import pytest

from recorder.core.json_text import exactly, parse_json, written
from recorder.core.told_digest import told_digest

ASKED = '{"temperature": 7, "messages": []}'


@pytest.mark.parametrize(
    "number", ["0.69999999999999996", "1.000000000000000001", "1e400", "1E+2", "-0.0", "123456789012345678901"]
)
def test_it_is_the_same_of_what_is_read_again(number: str) -> None:
    text = ASKED.replace("7", number)
    told = {"request": {"json": exactly(text.encode(), parse_json(text))}}
    again = parse_json(written(told))
    assert told_digest(told) == told_digest(again)
    changed = json.loads(json.dumps(again))
    changed["request"]["json"]["temperature"] = 0.25
    assert told_digest(changed) != told_digest(told)


def test_there_is_none_of_what_is_no_json() -> None:
    with pytest.raises(TypeError, match="a set is none of JSON"):
        told_digest({"request": {"json": {1}}})
