"""The last looks: that nothing is left, in what an exchange holds and in what is written of it."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import pytest

from recorder.core.export_matches import Matcher
from recorder.core.export_redaction import ExportRedaction
from recorder.core.export_residue import left_over, residue
from recorder.core.export_rules import known_texts, parse_rules
from recorder.dialects.rebuild import rebuild
from recorder.errors import RedactionRefused
from tests.unit.core.redacted_exchanges import SECRET, asked, exchange, told, user
from tests.unit.core.test_export_redaction import PLACES


def matcher(*rules: str) -> Matcher:
    parsed = parse_rules(rules)
    return Matcher(parsed, known_texts(parsed))


@pytest.mark.parametrize("name", PLACES)
def test_nothing_that_is_left_is_overlooked_wherever_it_stands(name: str) -> None:
    found = residue(exchange(PLACES[name]), matcher("detect:iban", f"text:{SECRET}"), changed=True)
    assert found is not None
    assert found[1].label == "rule 2 (text)"


def test_where_it_is_left_is_told() -> None:
    body = exchange(asked(user("hi"), *told(f"I am {SECRET}!")))
    request = exchange(asked(user(SECRET)))
    url = exchange(asked(user("hi"), url=f"https://a.test/v1/{SECRET}"))
    places = [residue(one, matcher(f"re:{SECRET[4:]}"), changed=True) for one in (body, request, url)]
    assert [found[0] for found in places if found] == ["the body", "the request", "the URL"]
    answer = residue(body, matcher(f"re:{SECRET[4:]}"), changed=False)
    assert answer is not None
    assert answer[0] == "the answer"
    assert residue(body, matcher("text:nobody"), changed=True) is None


@pytest.mark.parametrize(("now", "left"), [("[redacted] is", False), (" is", False), ("[redacted]son is", True)])
def test_a_part_of_a_secret_that_stays_is_noticed(now: str, left: bool) -> None:
    before, after = (exchange(asked(user("hi"), *told(text))) for text in ("Smithson is", now))
    matcher = Matcher(parse_rules(["text:Smithson"]))
    assert left_over(before, after, matcher) == left
    asking, asked_now = (exchange(asked(user(text))) for text in ("Smithson is", now))
    assert left_over(asking, asked_now, matcher) == left


def checked(pieces: Sequence[str | bytes], *rules: str) -> list[str | bytes]:
    return list(ExportRedaction(rules, rebuild).guard(pieces))


def test_the_last_look_stops_before_a_piece_that_holds_a_secret() -> None:
    assert checked(["a", b"b", "Smith"], "text:Smithson") == ["a", b"b", "Smith"]
    for written in (["Smith", "son"], [b"Smith", "son"], [base64.b64encode(b"xxSmithsonxx")], ["&amp; Smithson"]):
        with pytest.raises(RedactionRefused, match="in what this format writes"):
            checked(["a", *written], "text:Smithson")


def test_numbers_of_recorder_itself_are_no_secrets() -> None:
    assert checked(['"at": "2026-11-25T12:34:56.123456789Z", "id": "0190-123456-7"'], "text:123456")
    with pytest.raises(RedactionRefused):
        checked(['"pin": "123456"'], "text:123456")
