"""Numbers: which are looked for everywhere, in which forms, and what stands in their place."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.core.export_numbers import bare_number, number_texts
from recorder.core.export_redaction import ExportRedaction
from recorder.core.export_rules import whole_numbers
from recorder.dialects.rebuild import rebuild
from tests.redacting import texts_of
from tests.unit.core.redacted_exchanges import STOP, asked, call, cut, exchange, redacted, told, user

ACCOUNT = "90210777"


@pytest.mark.parametrize(
    ("raw", "texts"),
    [
        ("90210777", ("90210777",)),
        ("-90210777", ("90210777",)),
        ("90210777.00", ("90210777.00", "90210777")),
        ("9.0210777E+7", ("9.0210777E+7", "90210777")),
        ("9021077.5", ("9021077.5",)),
        ("123456e99999999999999999999999", ("123456e99999999999999999999999",)),
        ("12345", ()),
        ("0.0000001", ()),
        ("1e9", ()),
    ],
)
def test_the_ways_to_write_a_number(raw: str, texts: tuple[str, ...]) -> None:
    assert number_texts(raw) == texts


def test_a_number_is_found_as_a_whole_only() -> None:
    rule = whole_numbers(1, "json", ACCOUNT)
    found = "no.90210777, x90210777y [90210777.00] (90210777.)"
    assert len(list(rule.find(found))) == 4
    for other in ("190210777", "902107770", "1.90210777", "90210777.5", "90210777.05"):
        assert list(rule.find(other)) == []


def nested(value: Any, depth: int) -> Any:
    return {"n": value, "s": json.dumps(nested(value, depth - 1))} if depth else {"n": value, "m": [value, 1]}


@given(st.integers(100_000, 10**20), st.integers(0, 3), st.booleans())
def test_what_stands_in_the_place_of_a_number_keeps_the_json_around_it(
    number: int, depth: int, ascii_only: bool
) -> None:
    text = json.dumps({"é": "ü", **nested(number, depth)}, ensure_ascii=ascii_only)
    while (at := text.find(str(number))) >= 0:
        found = bare_number(text, at, at + 2)  # of the digits a part was found
        assert found is not None
        start, end, shown = found
        text = text[:start] + json.loads(f'"{shown}"') + text[end:]
    assert json.loads(text) == {"é": "ü", **nested("[redacted]", depth)}


@pytest.mark.parametrize("text", ["no 4711", '{"a": "no 4711"}', '{"a": "[4711 is it]"}', '{"a4711": 1}'])
def test_digits_that_are_no_number_of_json(text: str) -> None:
    assert bare_number(text, text.index("4711"), text.index("4711") + 4) is None


def body(account: str, **more: Any) -> bytes:
    return ('{"account": ' + account + ", " + json.dumps({**user("hi"), **more})[1:]).encode()


HEAD = [("content-type", "application/json"), ("x-account", ACCOUNT)]
PLACES = {
    "the answer": asked(body(ACCOUNT), *told(f"Your account {ACCOUNT} is fine")),
    "another form of it": asked(body("-9.0210777e7"), *told(f"Your account {ACCOUNT} is fine")),
    "a text of the request": asked(body(ACCOUNT, x=f"account {ACCOUNT}.")),
    "a number of the request": asked(body(ACCOUNT, x=[int(ACCOUNT), float(ACCOUNT)])),
    "a name in the request": asked(body(ACCOUNT, logit_bias={ACCOUNT: 1})),
    "arguments": asked(body(ACCOUNT), *call(*cut(json.dumps(nested(int(ACCOUNT), 2)), 3))),
    "base64": asked(body(ACCOUNT, x=base64.b64encode(f"no {ACCOUNT}".encode()).decode())),
    "the URL": asked(body(ACCOUNT), url=f"https://a.test/v1/chat/completions?a=%39{ACCOUNT[1:]}"),
    "a header": asked(body(ACCOUNT), headers=HEAD),
    "the usage": asked(body(ACCOUNT), {**STOP, "usage": {"prompt_tokens": int(ACCOUNT), "total_tokens": 1}}),
    "a conversation": asked(body(ACCOUNT), conversation="o", name=f"desk {ACCOUNT}"),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_number_that_a_path_selects_in_a_request_is_left_out_everywhere(place: str) -> None:
    redacted(PLACES[place], "json:$.account", secret=ACCOUNT)


@pytest.mark.parametrize("value", ["12345", "true", "0.5"])
def test_what_is_in_everything_is_left_out_in_its_place_only(value: str) -> None:
    before = exchange(asked(body(value, x=json.loads(value)), *told(f"It is {value}")))
    after = ExportRedaction(["json:$.account"], rebuild).exchange(before)
    assert texts_of(after) == [f"It is {value}"]
    assert after.exchange.request is not None
    assert (after.exchange.request.json["account"], after.exchange.request.json["x"]) == (
        "[redacted]",
        json.loads(value),
    )


def test_longer_numbers_stay() -> None:
    before = exchange(asked(body(ACCOUNT), *told(f"1{ACCOUNT} {ACCOUNT}.5 {ACCOUNT}")))
    after = ExportRedaction(["json:$.account"], rebuild).exchange(before)
    assert texts_of(after) == [f"1{ACCOUNT} {ACCOUNT}.5 [redacted]"]


def test_a_number_in_one_exchange_is_left_out_of_the_others() -> None:
    first, second = exchange(asked(user("x"), *told(f"no {ACCOUNT}"))), exchange(asked(body(ACCOUNT)))
    found = list(ExportRedaction(["json:$.account"], rebuild).exchanges([first, second]))
    assert texts_of(found[0]) == ["no [redacted]"]
