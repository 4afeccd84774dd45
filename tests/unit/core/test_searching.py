"""Queries, words and passages."""

from __future__ import annotations

import sqlite3
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.core.searching import Query, Term, parse_query, passage, text_of_words, words_of
from recorder.store.searched import postgres_words, sqlite_words, word_places


def term(*words: str, prefix: bool = False) -> Term:
    return Term(words, prefix)


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("sell now", Query((term("sell"), term("now")))),
        ("sell sell SELL", Query((term("sell"),))),
        ('"take profit" -loss', Query((term("take", "profit"),), (term("loss"),))),
        ('-"take profit" x -y*', Query((term("x"),), (term("take", "profit"), term("y", prefix=True)))),
        ("pro* -x", Query((term("pro", prefix=True),), (term("x"),))),
        ('"take pro"*', Query((term("take", "pro", prefix=True),))),
        ("1.0850", Query((term("1", "0850"),))),
        ("take-profit", Query((term("take", "profit"),))),
        ("snake_case", Query((term("snake", "case"),))),
        ('"not closed', Query((term("not", "closed"),))),
        ("a - b", Query((term("a"), term("b")))),
        ("a --b", Query((term("a"), term("b")))),
        ("Café cafe\u0301", Query((term("cafe"),))),
        ("STRASSE straße", Query((term("strasse"),))),
        ("Łódź lodz ŁÓDŹ Ł\u00f3dz\u0301", Query((term("lodz"),))),
        ("Ærø Ǽrǿ aero", Query((term("aero"),))),
        ("AND or NOT near(x)", Query((term("and"), term("or"), term("not"), term("near", "x")))),
        ('"" * ? x', Query((term("x"),))),
        ("한국어 日本", Query((term("한국", "국어"), term("日本")))),
        ("東京タワー", Query((term("東京", "京タ", "タワ", "ワー"),))),
        ("ﾀﾜｰ タワー", Query((term("タワ", "ワー"),))),
        ("京 -都*", Query((term("京", prefix=True),), (term("都", prefix=True),))),
        ('"GPT4の 回答です"*', Query((term("gpt4", "の", "回答", "答で", "です", prefix=True),))),
        ("ガス カ\u3099ス ｶﾞｽ", Query((term("ガス"),))),
        ("한국 \u1112\u1161\u11ab\u1100\u116e\u11a8", Query((term("한국"),))),
        ("ﬁle ＦＩＬＥ file", Query((term("file"),))),
        ("Ａ１ a¹ ᴬ①", Query((term("a1"),))),
        ("½ ﷺ", Query((term("1", "2"), term("صلى", "الله", "عليه", "وسلم")))),
    ],
)
def test_what_a_query_asks_for(text: str, query: Query) -> None:
    assert parse_query(text) == query


@pytest.mark.parametrize("text", ["", " ", "-", "*", '""', "-x", '-"x y"', "?! …"])
def test_a_query_that_wants_no_word(text: str) -> None:
    with pytest.raises(ValueError, match="no word is wanted"):
        parse_query(text)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("sell", True),
        ("now sell", True),
        ('"now sell"', False),
        ('"sell it now"', True),
        ("sel", False),
        ("sel*", True),
        ('"it no"*', True),
        ("sell -later", False),
        ("sell -lat*", False),
        ("sell -never", True),
        ('"now later"', False),  # of two texts
        ("later sell", True),
        ("ｓｅｌｌ", True),
        ("東", False),
    ],
)
def test_what_a_query_selects(text: str, found: bool) -> None:
    assert parse_query(text).selects(["Sell it now!", None, "", "later"]) is found


def shown(query: str, *fields: str | None) -> str:
    return "".join(f"[{text}]" if hit else text for text, hit in passage(parse_query(query), fields))


def test_a_passage_marks_what_was_found() -> None:
    assert shown("sell now", "Sell it  NOW, or never") == "[Sell] it  [NOW], or never"
    assert shown('"it now" x', "Sell it\nnow, x") == "Sell [it]\n[now], [x]"
    assert shown("s*", "Sell it so") == "[Sell] it [so]"
    assert shown("late", None, "Sell", "too late") == "too [late]"
    assert shown("nowhere", "Sell") == ""
    assert shown("cafe", "the Cafe\u0301.") == "the [Cafe\u0301]."
    assert shown("タワー", "東京タワーに行く") == "東京[タワー]に行く"
    assert shown("タワー", "東京ﾀﾜｰに行く") == "東京[ﾀﾜｰ]に行く"
    assert shown('"gpt4 の 回答"', "GPT4の回答") == ""
    assert shown("GPT4の回答", "あのGPT4の回答。") == "あの[GPT4の回答]。"
    assert shown("file", "a ﬁle") == "a [ﬁle]"


def test_a_passage_is_cut_out_of_a_long_text() -> None:
    text = "before " * 100 + "target one " + "after " * 100 + "target"
    found = shown("target", text)
    assert found.startswith("… before before ")
    assert "before [target] one after " in found
    assert found.endswith("after after …")
    assert len(found) < 230
    assert shown("target", "x" * 500 + " target " + "y" * 500).startswith("… ")
    assert "[target]" in shown("target", "x" * 500 + "-target-" + "y" * 500)


@given(st.text(max_size=60), st.text(max_size=300))
def test_any_query_over_any_text(query: str, text: str) -> None:
    try:
        parsed = parse_query(query)
    except ValueError:
        return
    pieces = passage(parsed, [text])
    marked = [piece for piece, hit in pieces if hit]
    assert all(piece in text for piece in marked)
    if parsed.selects([text]):
        assert marked
    assert postgres_words(parsed.wanted).count("'") % 2 == 0
    assert postgres_words(parsed.unwanted, any_of=True).count("'") % 2 == 0


@given(st.text(max_size=40), st.text(max_size=200))
def test_any_query_is_one_that_sqlite_understands(query: str, text: str) -> None:
    """And it finds what we find, of letters that both know: SQLite's Unicode is older than Python's."""
    try:
        parsed = parse_query(query)
    except ValueError:
        return
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE VIRTUAL TABLE found USING fts5(text, tokenize='unicode61 remove_diacritics 2')")
    connection.execute("INSERT INTO found VALUES (?)", (text.encode("utf-8", "replace").decode(),))
    rows = connection.execute("SELECT 1 FROM found WHERE found MATCH ?", (sqlite_words(parsed),)).fetchall()
    if query.isascii() and text.isascii() and "\0" not in text:
        assert bool(rows) is parsed.selects([text])
    connection.close()


@given(
    st.lists(
        st.sampled_from(
            ["sell", "Sells", "a", "b", "-a", '"a b"', "s*", "-b*", '"sell a"', "c.d", "タワー", "京", "-ﾀﾜ", "東京の"]
        ),
        max_size=5,
    )
)
def test_the_index_and_the_fold_select_the_same(words: list[str]) -> None:
    texts = [
        "sell a b",
        "Sells b a",
        "a. B!",
        "c d",
        "d c sell",
        "東京タワー a",
        "ｔｏ京、タワ。ワー sell",
        "東京の塔 b",
    ]
    try:
        parsed = parse_query(" ".join(words))
    except ValueError:
        return
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE VIRTUAL TABLE found USING fts5(text, tokenize='unicode61 remove_diacritics 2')")
    connection.executemany("INSERT INTO found VALUES (?)", [(text_of_words(text),) for text in texts])
    rows = connection.execute("SELECT rowid FROM found WHERE found MATCH ? ORDER BY rowid", (sqlite_words(parsed),))
    assert [texts[row[0] - 1] for row in rows] == [text for text in texts if parsed.selects([text])]
    connection.close()


def test_characters_that_are_not_compared_stand_for_themselves() -> None:
    """What is faster gives the same: the pairs of every character as they are, and as they are where one is folded."""
    plain = [*map(chr, (0x3005, 0x30FC)), *map(chr, range(0x3041, 0x3097)), *map(chr, range(0x30A1, 0x30FB))]
    plain += [chr(code) for some in ((0x3400, 0x4DC0), (0x4E00, 0xA000), (0xAC00, 0xD7A4)) for code in range(*some)]
    run = "".join(one for one in plain if one.isalnum())
    pairs = [word for _, _, word in words_of(run)]
    assert pairs == [one + other for one, other in pairwise(run)] + [run[-1]]
    assert [word for _, _, word in words_of(run + "ﾀ")][:-2] == pairs[:-1]


def test_the_places_of_words_for_postgres() -> None:
    assert word_places(["Sell it, sell", None, "it"]) == "'sell':3,5 'it':4,10"
    assert word_places(["", None]) == ""
    assert [word for _, _, word in words_of("O'Reilly's \\'")] == ["o", "reilly", "s"]
