"""Tables that fit, texts that cannot steer a terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.cli.output import Column, clean, columns_of, counted, cut, duration, home, short, started, table, verdict

COLUMNS = (Column("ID"), Column("MODEL", shrinks=True), Column("SIZE", right=True, spare=1), Column("NOTE", spare=2))
ROWS = [["1", "a-model-of-a-long-name", "12", "x"], ["22", "東京", "1,234", "y"]]


def plain(text: str) -> str:
    import click

    return click.unstyle(text)


def test_a_table_stands_in_columns() -> None:
    assert [plain(line) for line in table(COLUMNS, ROWS, None)] == [
        "ID  MODEL                    SIZE  NOTE",
        "1   a-model-of-a-long-name     12  x",
        "22  東京                    1,234  y",
    ]


@pytest.mark.parametrize(
    ("width", "head"),
    [
        (39, "ID  MODEL                    SIZE  NOTE"),
        (38, "ID  MODEL                   SIZE  NOTE"),
        (25, "ID  MODEL      SIZE  NOTE"),
        (24, "ID  MODEL     NOTE"),
        (17, "ID  MODEL"),
        (5, "ID  MODEL"),
    ],
)
def test_a_narrow_terminal_shortens_first_and_then_leaves_out(width: int, head: str) -> None:
    lines = [plain(line) for line in table(COLUMNS, ROWS, width)]
    assert lines[0].split() == head.split()
    if width > 12:
        assert max(map(columns_of, lines)) <= width
    assert lines[1].startswith("1   a-model")


def test_a_column_without_a_cell_is_left_out() -> None:
    assert plain(table(COLUMNS, [["1", "m", "", ""]], None)[0]) == "ID  MODEL"
    assert [plain(line) for line in table(COLUMNS, [], None)] == [""]


def test_a_cell_has_its_colour_and_keeps_its_place() -> None:
    lines = table((Column("VERDICT", colour=verdict), Column("N")), [["errored", "1"], ["x", "2"]], None)
    assert lines[1] == f"{verdict('errored')}  1"
    assert plain(lines[2]) == "x        2"


@given(st.text(), st.integers(1, 30))
def test_what_is_cut_fits(text: str, width: int) -> None:
    assert columns_of(cut(text, width)) <= width
    if columns_of(text) <= width:
        assert cut(text, width) == text


@given(st.text())
def test_nothing_that_a_terminal_obeys_is_left(text: str) -> None:
    assert clean(text).isprintable() or all(char.isprintable() or ord(char) > 0x9F for char in clean(text))
    assert len(clean(text)) == len(text)


def test_line_ends_are_left_only_where_asked_for() -> None:
    assert clean("a\nb\tc\x1b\x9b\u202e") == "a\ufffdb\ufffdc\ufffd\ufffd\ufffd"
    assert clean("a\nb\tc\x07", lines=True) == "a\nb\tc\ufffd"
    assert clean("a\r\nb\rc", lines=True) == "a\nb\nc"


def test_numbers_for_people() -> None:
    assert [counted(0, "event"), counted(1, "event"), counted(1234, "event")] == ["0 events", "1 event", "1,234 events"]
    assert [duration(None), duration(1.25), duration(1234.5)] == ["", "1.2 ms", "1.23 s"]
    assert short("0190-0123456789") == "23456789"


def test_what_nothing_tells_is_empty() -> None:
    assert started({"started_at": "2026-11-25T16:17:15.000000001Z"}) == "11-25 16:17:15"
    assert (started({}), home({})) == ("", "")
    assert home({"conversation": "0190-12345678"}) == "12345678"
    assert home({"conversation": "0190-12345678", "conversation_name": "desk"}) == "desk"
