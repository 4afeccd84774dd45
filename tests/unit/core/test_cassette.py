"""A cassette's lines together: any damage is harmless to the events, or refused with its line."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.core.cassette import read_cassette
from recorder.core.cassette_lines import (
    ChangedError,
    ConflictError,
    DuplicateError,
    LineError,
    NewerVersionError,
    end_line,
    event_line,
    header_line,
    more_line,
    opening_line,
    stream_lines,
)
from recorder.core.events import Event, StreamOpened
from tests.building import ExchangeBuilder

Found = dict[bytes, tuple[StreamOpened, list[Event], bool]]


def built(number: int) -> ExchangeBuilder:
    made = ExchangeBuilder(number).request({"model": "m", "messages": [{"role": "user", "content": f"é {number}"}]})
    return made.response().chunks(b"data: one\n\n", b"data: \xe2\x82", b"\xac\n\n").completed()


FIRST, SECOND = built(2), built(3)
HOME = ExchangeBuilder(1).event("conversation_named", {"name": "order"}).event("tags_set", {"tags": {"a": "b"}})
MADE = (HOME, FIRST, SECOND)


def file_of(*made: ExchangeBuilder, exchanges: int | None = 2, conversations: int = 1) -> bytes:
    lines = [header_line(exchanges, redact=["body:name"], conversations=conversations)]
    for one in made:
        lines += stream_lines(one.opened, one.events)
    return b"".join(lines)


WHOLE = file_of(*MADE)
LINES = WHOLE.splitlines(keepends=True)


def found(data: bytes) -> Found:
    """Return what a file holds.

    :raises LineError: it is refused.
    """
    cassette = read_cassette(data)
    if cassette.problems:
        raise cassette.problems[0]
    return {key: (one.opening[0], one.events(), one.is_exchange) for key, one in cassette.blocks.items()}


def test_what_was_written_is_read() -> None:
    assert found(WHOLE) == {one.opened.stream: (one.opened, one.events, one is not HOME) for one in MADE}
    cassette = read_cassette(WHOLE)
    assert (cassette.exchanges, cassette.conversations, cassette.recording, cassette.is_torn) == (2, 1, False, False)
    assert cassette.redact == ("body:name",)
    assert [(block.number, block.last_number) for block in cassette.blocks.values()] == [(2, 4), (6, 12), (14, 20)]
    assert [block.wall_ns for block in cassette.exchange_blocks()] == [one.events[0].wall_ns for one in (FIRST, SECOND)]


NUMBERS = st.integers(0, len(LINES) - 1)


def _removed(at: int, _: int) -> list[bytes]:
    return [*LINES[:at], *LINES[at + 1 :]]


def _doubled(at: int, to: int) -> list[bytes]:
    return [*LINES[:to], LINES[at], *LINES[to:]]


def _swapped(at: int, to: int) -> list[bytes]:
    lines = list(LINES)
    lines[at], lines[to] = lines[to], lines[at]
    return lines


def _overwritten(at: int, to: int) -> list[bytes]:
    return [*LINES[:at], LINES[to], *LINES[at + 1 :]]


def _only_once_in_block(at: int, to: int) -> list[bytes]:
    """Take out some lines in a row: an exchange may be gone with all that was of it."""
    return [*LINES[: min(at, to)], *LINES[max(at, to) :]]


@given(st.sampled_from([_removed, _doubled, _swapped, _overwritten, _only_once_in_block]), NUMBERS, NUMBERS)
def test_lines_that_are_gone_twice_or_elsewhere(damage: Callable[[int, int], list[bytes]], at: int, to: int) -> None:
    _is_harmless_or_refused(b"".join(damage(at, to)))


def test_every_line_counts() -> None:
    for at in range(len(LINES)):
        with pytest.raises(LineError):
            found(b"".join(_removed(at, 0)))


def test_every_exchange_counts() -> None:
    for missing in (slice(1, 5), slice(5, 13), slice(13, 21)):
        lines = list(LINES)
        del lines[missing]
        with pytest.raises(LineError, match="missing") as caught:
            found(b"".join(lines))
        assert caught.value.number == len(lines)


@given(st.integers(0, len(WHOLE)), st.integers(0, 255), st.sampled_from(["change", "insert", "remove", "cut"]))
def test_one_byte_that_is_another(at: int, byte: int, how: str) -> None:
    tail = {"change": WHOLE[at + 1 :], "insert": WHOLE[at:], "remove": WHOLE[at + 1 :], "cut": b""}[how]
    _is_harmless_or_refused(WHOLE[:at] + (bytes([byte]) if how in ("change", "insert") else b"") + tail)


def _is_harmless_or_refused(data: bytes) -> None:
    assert outcome(data) in (found(WHOLE), "refused")


def outcome(data: bytes) -> Found | str:
    """Return what a file holds; whether it was refused with a line of its own."""
    try:
        return found(data)
    except LineError as error:
        return "refused" if 1 <= error.number <= data.count(b"\n") + 1 and str(error) else "refused badly"


def test_exchanges_in_another_order_are_the_same() -> None:
    assert found(file_of(SECOND, HOME, FIRST)) == found(WHOLE)


@pytest.mark.parametrize(
    "data",
    [
        WHOLE.replace(b"\n", b"\r\n"),  # git's autocrlf
        b"\xef\xbb\xbf" + WHOLE,  # an editor of Windows
        WHOLE.rstrip(b"\n"),
        WHOLE.replace(b"\n", b"\n\n"),
        WHOLE.replace(b'{"', b'{ "'),
    ],
    ids=["crlf", "mark", "no last end", "empty lines", "spaces"],
)
def test_what_editors_do_is_harmless(data: bytes) -> None:
    assert found(data) == found(WHOLE)


def test_a_file_without_its_last_line_end_cannot_be_appended_to() -> None:
    assert read_cassette(WHOLE[:-1]).is_torn


@pytest.mark.parametrize(
    ("first", "says"),
    [
        (b"", "the file is empty"),
        (b"\n\n", "the file is empty"),
        (b"\0\0\0\0", "is no JSON object"),
        (b"PK\x03\x04\n", "is no JSON object"),
        (b"[]\n", "is no JSON object"),
        (b"{}\n", "does not begin a cassette"),
        (b'{"cassette":"1","exchanges":0}\n', "does not begin a cassette"),
        (b'{"cassette":true,"exchanges":0}\n', "does not begin a cassette"),
        (b'{"cassette":0,"exchanges":0}\n', "does not begin a cassette"),
        (b'{"cassette":1}\n', "tells not either"),
        (b'{"cassette":1,"exchanges":0,"recording":true}\n', "tells not either"),
        (b'{"cassette":1,"exchanges":1.5}\n', "'exchanges' what is no number"),
        (b'{"cassette":1,"exchanges":0,"conversations":"1"}\n', "'conversations' what is no number"),
        (b'{"cassette":1,"exchanges":0,"macth":{}}\n', "a member that is not known: 'macth'"),
        (b'{"cassette":1,"exchanges":0,"match":[]}\n', "'match' what is no object"),
        (b'{"cassette":1,"exchanges":0,"redact":"x"}\n', "'redact' what is no list"),
        (b'{"cassette":1,"exchanges":0,"redact":[7]}\n', "'redact' what is no list"),
    ],
)
def test_a_first_line_that_is_none(first: bytes, says: str) -> None:
    with pytest.raises(LineError, match=says) as caught:
        read_cassette(first)
    assert caught.value.number == 1


def test_a_later_version() -> None:
    with pytest.raises(NewerVersionError, match="of version 2, this version of recorder reads 1"):
        read_cassette(b'{"cassette":2,"whatever":1}\n')


@pytest.mark.parametrize("mark", [b"<<<<<<< HEAD\n", b"=======\n", b">>>>>>> theirs\n", b"||||||| base\n"])
def test_a_conflict_is_named_and_never_mixes_two_versions(mark: bytes) -> None:
    for at in (0, 5, 8):
        data = b"".join([*LINES[:at], mark, *LINES[at:]])
        with pytest.raises(ConflictError, match="git leaves") as caught:
            found(data)
        assert caught.value.number == at + 1
    assert len(read_cassette(b"".join([*LINES[:8], mark, *LINES[8:]])).blocks[FIRST.opened.stream].lines) == 2


def test_an_exchange_that_is_there_twice() -> None:
    with pytest.raises(DuplicateError, match="begins on line 6 too") as caught:
        found(file_of(HOME, FIRST, FIRST, SECOND))
    assert caught.value.number == 14


def test_a_chunk_that_was_edited_is_named_with_its_exchange() -> None:
    with pytest.raises(ChangedError, match="and those up to 20 are not what was recorded") as caught:
        found(WHOLE[:-1].replace(b"data: one", b"data: two").replace(b"data: two", b"data: one", 1) + b"\n")
    assert caught.value.number == 14


# While something is recorded


def _running() -> bytes:
    """Return the lines of two exchanges that run at the same time, as they are appended."""
    one, two = FIRST, SECOND
    lines = [header_line(None, redact=["body:name"]), opening_line(one.opened, one.events[0])]
    lines += [event_line(event, one.opened, one.events[0]) for event in one.events[:2]]
    lines += [opening_line(two.opened, two.events[0]), event_line(two.events[0], two.opened, two.events[0])]
    lines += [more_line(one.opened.stream)]
    lines += [event_line(event, one.opened, one.events[0]) for event in one.events[2:]]
    lines += [end_line(one.opened.stream, one.events[-1].hash), more_line(two.opened.stream)]
    return b"".join([*lines, *(event_line(event, two.opened, two.events[0]) for event in two.events[1:3])])


def test_exchanges_among_each_other() -> None:
    there = found(_running())
    assert there[FIRST.opened.stream][1] == FIRST.events
    assert there[SECOND.opened.stream][1] == SECOND.events[:3]
    assert read_cassette(_running()).recording


@given(st.integers(1, len(_running())))
def test_whatever_a_killed_process_leaves_can_be_read(size: int) -> None:
    data = _running()[:size]
    if b"\n" not in data and size < len(_running().partition(b"\n")[0]):
        with pytest.raises(LineError):
            read_cassette(data)
        return
    for stream, (_, events, _) in found(data).items():
        whole = FIRST if stream == FIRST.opened.stream else SECOND
        assert events == whole.events[: len(events)]


def test_zeros_where_a_loss_of_power_took_lines() -> None:
    assert found(_running() + bytes(100)) == found(_running())
    with pytest.raises(LineError, match="no JSON object"):
        found(_running() + bytes(100) + b"\n" + LINES[-1])


def test_lines_out_of_place_while_recording() -> None:
    with pytest.raises(LineError, match="names an exchange that has not begun"):
        found(header_line(None) + more_line(FIRST.opened.stream))
    with pytest.raises(LineError, match="is an event of no exchange"):
        found(header_line(None) + LINES[6])
    with pytest.raises(LineError, match="has ended before"):
        found(_running() + end_line(FIRST.opened.stream, FIRST.events[-1].hash))
