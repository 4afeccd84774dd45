"""Words are found on both engines by what people type: other letters, other forms of them, inside of runs."""

from __future__ import annotations

import pytest

from recorder.core.searching import parse_query, passage
from recorder.projections.runner import project
from recorder.store.filtered import ExchangeFilter
from recorder.store.projected import SqlProjected
from recorder.store.sql import SqlStore
from tests.commands import answered
from tests.contract.projecting import execute, fill

CITIES = ["Aus Łódź, per Bahn", "Tromsø and Ærøskøbing", "Die Straße DİYARBAKıR"]
ASKED_FOR = {"lodz": 0, "LODZ": 0, "łódź": 0, '"lodz per"': 0, "lod*": 0, "tromso": 1, "aeros*": 1, "ær*": 1}
ASKED_FOR |= {"strasse": 2, "STRASSE": 2, "diyarbakir -lodz": 2, "straße": 2}


def test_letters_that_unicode_does_not_take_apart_are_found_by_those_that_people_type(store: SqlStore) -> None:
    """In an index that is new, taken down row by row, or made by a version that did not know it."""
    fill(store, *(answered(at, ("user", text), text="A", call=f"c{at}") for at, text in enumerate(CITIES, 1)))

    def found(query: str) -> list[str | None]:
        return [row.text for row, _ in SqlProjected(store).search(parse_query(query), ExchangeFilter(), limit=9)]

    for query, city in ASKED_FOR.items():
        assert found(query) == [CITIES[city]]
    execute(store, "UPDATE projection_checkpoints SET name = 'rows/6'")
    execute(store, "UPDATE message_rows SET text = 'as it was before'")
    project(store, SqlProjected(store))
    for query, city in ASKED_FOR.items():
        assert found(query) == [CITIES[city]]
    assert found("before") == []


@pytest.mark.parametrize(("query", "city"), ASKED_FOR.items())
def test_what_no_index_has_yet_is_found_by_the_same_letters(query: str, city: int) -> None:
    assert [parse_query(query).selects([text]) for text in CITIES] == [at == city for at in range(3)]


#: Messages in scripts without spaces, or in forms that stand for others; and by what they are found.
UNSPACED = [
    "私は東京タワーに行く。",
    "京都の塔、タワ。ワー",
    "서울타워에서 만나요",
    "我们在北京大学读书",
    "ﬁle Ａ１ 50㎏ﾀﾜｰ",
]
INSIDE = {
    "タワー": {0, 4},
    "ﾀﾜｰ": {0, 4},
    "東京タワー": {0},
    "京": {0, 1, 3},
    "京都": {1},
    "塔": {1},
    "タワ -東京": {1, 4},
}
INSIDE |= {"타워": {2}, "서울": {2}, "만나*": {2}, "타워 만나": {2}, "大学": {3}, "北大": set(), '"北京 大学"': set()}
INSIDE |= {"file": {4}, "ﬁle": {4}, "FILE a1": {4}, '"file a1 50"': {4}, "ａ１": {4}, "は東京*": {0}, "行く": {0}}


def test_words_inside_a_run_without_spaces_and_other_forms_of_letters_are_found(store: SqlStore) -> None:
    fill(store, *(answered(at, ("user", text), text="A", call=f"c{at}") for at, text in enumerate(UNSPACED, 1)))
    for asked, places in INSIDE.items():
        query = parse_query(asked)
        for newest_first in (True, False):
            found = SqlProjected(store).search(query, ExchangeFilter(), limit=9, newest_first=newest_first)
            told = {row.text: passage(query, row.searched) for row, _ in found}
            assert told.keys() == {UNSPACED[at] for at in places}, asked
            assert all(told.values()), asked
        assert {at for at, text in enumerate(UNSPACED) if query.selects([text])} == places, asked


WORDS = {"Ёлка": "ЕЛКА", "ΑΣΣ": "ασς", "σας": "ΣΑΣ", "ᾳ": "α", "Ἀχαΐα": "ΑΧΑΙΑ", "ǖǟ": "UA", "Ꭰᎀ": "ꭰᎀ", "क़लम": "क़लम"}
WORDS |= {"Straße_weiß": '"strasse weiss"', "µm": "ΜM", "ᲐᲑ": "აბ", "Ԩa": "ԩA", "ά": "Α", "한글": "한글", "龍": "龍"}


@pytest.mark.parametrize(("word", "other"), WORDS.items())
def test_any_word_is_found_on_both_engines_and_shown(store: SqlStore, word: str, other: str) -> None:
    fill(store, answered(1, ("user", f"about {word}, yes"), text="A"), answered(2, ("user", "other"), text="B"))
    for asked in (word, other, word.lower(), f'"about {word} yes"'):
        query = parse_query(asked)
        found = [row for row, _ in SqlProjected(store).search(query, ExchangeFilter(), limit=9)]
        assert [row.text for row in found] == [f"about {word}, yes"], asked
        assert passage(query, found[0].searched), asked


#: Words with their vowel signs and the like, and without; and what they are no part of.
MARKED = {
    "किताब": "कतब",
    "हिन्दी": "हनद",
    "كِتَابٌ": "كتاب",
    "مُحَمَّد": "محمد",
    "שָׁלוֹם": "שלום",
    "தமிழ்": "தமழ",
    "ភាសាខ្មែរ": "ភសខមរ",
    "ไม่": "ไม",
    "ශ්‍රී": "ශර",
    "葛\U000e0100城市": "葛城市",
    "1\ufe0f\u20e32": "12",
}


@pytest.mark.parametrize(("word", "bare"), MARKED.items())
def test_a_word_is_found_with_its_marks_and_without_and_never_a_part_of_it(
    store: SqlStore, word: str, bare: str
) -> None:
    texts = (f"one {word}, two", f"one {bare} two")
    fill(store, *(answered(at, ("user", text), text="A", call=f"c{at}") for at, text in enumerate(texts, 1)))
    unspaced = bare == "葛城市"
    for asked in (word, bare, f'"one {word} two"', f'"one {bare} two"', f"{word[:2] if unspaced else bare[:1]}*"):
        query = parse_query(asked)
        for newest_first in (True, False):
            found = SqlProjected(store).search(query, ExchangeFilter(), limit=9, newest_first=newest_first)
            told = {row.text: passage(query, row.searched) for row, _ in found}
            assert told.keys() == set(texts), asked
            assert all(told.values())
        assert [query.selects([text]) for text in texts] == [True, True]
    for part in () if unspaced else (bare[:1], bare[1:], word[-2:]):
        query = parse_query(part) if part[0].isalnum() or len(part) > 1 else parse_query("nothing")
        assert not list(SqlProjected(store).search(query, ExchangeFilter(), limit=9)), part
        assert not any(query.selects([text]) for text in texts)


def test_the_marks_of_kana_tell_syllables_apart(store: SqlStore) -> None:
    fill(store, answered(1, ("user", "ガス"), text="A"), answered(2, ("user", "カス"), text="B"))
    for asked, text in (("ガス", "ガス"), ("カ\u3099ス", "ガス"), ("カス", "カス")):
        found = SqlProjected(store).search(parse_query(asked), ExchangeFilter(), limit=9)
        assert [row.text for row, _ in found] == [text]
