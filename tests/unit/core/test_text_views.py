"""Every form in which a text can be read, and where what is read there stands."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.core.text_views import views

SECRET = "Zoë \U0001f511 Smith"


def places(text: str, secret: str = SECRET, *, literal: bool = False, form: bool = False) -> set[str]:
    """What stands in the text where the secret is read."""
    found = set()
    for view in views(text, literal=literal, form=form):
        at = view.text.find(secret)
        if at >= 0:
            start, end = view.place(at, at + len(secret))
            found.add(text[start:end])
    return found


ESCAPED = json.dumps(SECRET)[1:-1]
CODED = base64.b64encode(f"to {SECRET}!".encode()).decode()


@pytest.mark.parametrize(
    ("written", "literal", "form"),
    [
        (SECRET, False, False),
        (ESCAPED, True, False),
        (json.dumps(ESCAPED)[1:-1], True, False),
        (ESCAPED, False, False),
        (quote(SECRET), False, False),
        (quote_plus(SECRET), False, True),
        (quote(quote(SECRET)), False, False),
        ("Zo&#235; &#x1F511; Smith", False, False),
        ("Zo&euml; \U0001f511 Smith", False, False),
        (CODED, False, False),
        (CODED.rstrip("="), False, False),
        (base64.urlsafe_b64encode(f"to {SECRET}!".encode()).decode(), False, False),
        ("Zo\\u00EB \\ud83d\\uDD11 Smith", True, False),
    ],
)
def test_a_secret_is_read_in_every_form_and_found_where_it_stands(written: str, literal: bool, form: bool) -> None:
    assert places(f"[{written}]", literal=literal, form=form) == {written}


@pytest.mark.parametrize("around", [("", ""), ("Attached:\n\n", "\nRegards"), ("data:text/plain;base64,", "\n\nEnd.")])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\n    "])
@pytest.mark.parametrize("width", [4, 7, 11, 12, 15, 16, 20, 64, 76])
def test_base64_that_is_broken_over_lines_is_read(width: int, end: str, around: tuple[str, str]) -> None:
    coded = base64.b64encode(
        f"What nobody is to know of, and long enough: {SECRET}, and not at the end.".encode()
    ).decode()
    text = end.join(coded[at : at + width] for at in range(0, len(coded), width)).join(around)
    last = coded[(len(coded) - 1) // width * width :]
    for written, literal in ((text, False), (json.dumps(text)[1:-1], True), (json.dumps(json.dumps(text))[1:-1], True)):
        assert any(place.endswith(last) for place in places(written, literal=literal))


def test_lines_of_words_are_no_base64() -> None:
    assert [view.text for view in views("internationalization\nis a word\n", literal=False)] == [
        "internationalization\nis a word\n"
    ]


@pytest.mark.parametrize("before", ["", "abcdefgh\n", "abcdefgh\nijklmnop\n", "words\n"])
@pytest.mark.parametrize("behind", ["", "\nabcdefgh", "\nabc\nabc", "\nabcdef\nabcdef"])
def test_words_of_the_same_width_around_narrow_lines_do_not_hide_them(before: str, behind: str) -> None:
    coded = base64.b64encode(b"nobody knows: Smith-Waterman").decode().rstrip("=")
    for text in (coded, coded[:32]):
        lines = "\n".join(text[at : at + 8] for at in range(0, len(text), 8))
        assert any("Smith-Wat" in view.text for view in views(before + lines + behind, literal=False))


def test_short_lines_of_words_are_no_base64() -> None:
    text = "buy\nsell\nhold\nlots\norder\nlimit\ntomorrow\ntogether\n"
    assert [view.text for view in views(text, literal=False)] == [text]


def test_other_encodings_are_read() -> None:
    misread = SECRET.encode().decode("latin-1")
    assert places(f"to {misread}!") == {misread}
    assert places("Zoë Smith".encode("latin-1").decode("utf-8", "surrogateescape"), "Zoë Smith")
    assert places("Smith".encode("utf-16-le").decode("utf-8", "surrogateescape"), "Smith") == {"S\0m\0i\0t\0h"}


def test_half_of_an_escape_is_text() -> None:
    assert [view.text for view in views("a\\u00", literal=True)] == ["a\\u00"]
    assert [view.text for view in views("\\ud83d", literal=True)] == ["\ud83d"]


@given(st.text(alphabet='ab\\u0041nd83cF5%&#;=+/" ', max_size=40), st.booleans(), st.booleans())
def test_every_character_stands_somewhere(text: str, literal: bool, form: bool) -> None:
    for view in views(text, literal=literal, form=form):
        for at in range(len(view.text)):
            start, end = view.place(at, at + 1)
            assert 0 <= start < end <= len(text)


@given(st.text(max_size=30), st.booleans())
def test_a_literal_is_read_as_json_reads_it(text: str, ascii_only: bool) -> None:
    literal = json.dumps(text, ensure_ascii=ascii_only)[1:-1]
    assert next(views(literal, literal=True)).text == text


def test_a_link_in_a_text_has_its_spaces_back() -> None:
    read = [view.text for view in views("see https://a.test/?who=Zoe+M+S&b=1+1, 2+2", literal=False)]
    assert "see https://a.test/?who=Zoe M S&b=1 1, 2+2" in read
