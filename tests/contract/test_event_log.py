"""What whoever records needs of a place for events: of a store on each engine, and of a cassette."""

from __future__ import annotations

import os

import pytest

from recorder.core.events import StreamOpened
from recorder.errors import UnknownEventType, VersionConflict
from recorder.store import open_events
from recorder.store.base import EventLog, SpoolMark
from tests.building import ExchangeBuilder, identity
from tests.contract.stored import OTHER, exchange, unplaced

SPOOL = b"s" * 16


def test_it_is_an_event_log(log: EventLog, log_url: str) -> None:
    assert log.counts() == (0, 0)
    assert log_url.endswith(log.name.rpartition("/")[2].partition("?")[0])
    log.check_present()


def test_events_come_back_bit_for_bit(log: EventLog) -> None:
    built = ExchangeBuilder(1)
    built.event("request_sent", {"a": 1}, b"").event("chunk_received", None, bytes(range(256)), flags=15)
    built.event("response_completed", {}, None, instance=OTHER).event("gap_recorded", None, None)
    log.append([built.opened], built.events)
    assert unplaced(list(log.events(built.opened.stream))) == built.events
    assert log.opening(built.opened.stream) == built.opened
    assert log.opening(identity(2)) is None
    assert list(log.events(identity(2))) == []


def test_an_absent_body_is_not_an_empty_one(log: EventLog) -> None:
    built = ExchangeBuilder(1).event("chunk_received", None, b"").event("chunk_received", None, None)
    log.append([built.opened], built.events)
    assert [event.body for event in log.events(built.opened.stream)] == [b"", None]


def test_the_largest_numbers_fit(log: EventLog) -> None:
    built = ExchangeBuilder(1)
    built.wall_ns = built.mono_ns = 2**63 - 10**9
    built.event("chunk_received", None, os.urandom(3_000_000), flags=32767)
    log.append([built.opened], built.events)
    assert unplaced(list(log.events(built.opened.stream))) == built.events


def test_events_after_a_version(log: EventLog) -> None:
    built = exchange(1, 5)
    log.append([built.opened], built.events)
    assert [event.version for event in log.events(built.opened.stream, after=6)] == [7, 8]


def test_repeating_an_append_is_no_error(log: EventLog) -> None:
    first, second = exchange(1), exchange(2)
    log.append([first.opened], first.events[:4])
    log.append([first.opened, second.opened], first.events + second.events)
    log.append([first.opened, second.opened], first.events + second.events)
    assert unplaced(list(log.events(first.opened.stream))) == first.events
    assert unplaced(list(log.events(second.opened.stream))) == second.events


def test_an_event_given_twice_is_stored_once(log: EventLog) -> None:
    built = exchange(1)
    log.append([built.opened, built.opened], built.events + built.events)
    assert log.counts() == (6, 1)


def test_a_conflicting_event_commits_nothing(log: EventLog) -> None:
    built, other = exchange(1), exchange(2)
    log.append([built.opened], built.events)
    forged = built.events[2]._replace(hash=b"x" * 32, version=3)
    with pytest.raises(VersionConflict, match="version 3"):
        log.append([other.opened], [*other.events, forged], SpoolMark(SPOOL, 0, 10))
    assert log.counts() == (6, 1)
    assert log.drained(SPOOL) == 0
    assert unplaced(list(log.events(built.opened.stream))) == built.events


def test_two_different_events_for_one_place_in_one_append(log: EventLog) -> None:
    built = exchange(1)
    with pytest.raises(VersionConflict):
        log.append([built.opened], [*built.events, built.events[-1]._replace(hash=b"x" * 32)])
    assert log.counts() == (0, 0)


def test_a_type_without_a_code_is_refused(log: EventLog) -> None:
    built = exchange(1).event("teleported")
    with pytest.raises(UnknownEventType, match="teleported"):
        log.append([built.opened], built.events)
    assert log.counts() == (0, 0)


def test_a_spool_advances_with_its_events(log: EventLog) -> None:
    built = exchange(1)
    assert log.drained(SPOOL) == 0
    log.append([built.opened], built.events[:2], SpoolMark(SPOOL, 32, 100))
    assert log.drained(SPOOL) == 100
    log.append([], built.events[2:], SpoolMark(SPOOL, 100, 250))
    assert log.drained(SPOOL) == 250
    assert log.drained(OTHER) == 0
    log.forget_spool(SPOOL)
    assert log.drained(SPOOL) == 0
    log.forget_spool(SPOOL)


def test_a_spool_batch_must_follow_on(log: EventLog) -> None:
    built = exchange(1)
    log.append([built.opened], built.events[:2], SpoolMark(SPOOL, 32, 100))
    for start in (32, 99, 101):
        with pytest.raises(VersionConflict, match=f"byte {start}"):
            log.append([], built.events[2:], SpoolMark(SPOOL, start, 250))
    assert log.counts() == (2, 1)
    assert log.drained(SPOOL) == 100


def test_of_several_spools_each_must_follow_on(log: EventLog) -> None:
    built = exchange(1)
    log.append([built.opened], built.events[:1], SpoolMark(SPOOL, 32, 100), SpoolMark(OTHER, 32, 50))
    with pytest.raises(VersionConflict, match="byte 49"):
        log.append([], built.events[1:], SpoolMark(SPOOL, 100, 150), SpoolMark(OTHER, 49, 80))
    assert (log.drained(SPOOL), log.drained(OTHER)) == (100, 50)
    log.append([], built.events[1:], SpoolMark(SPOOL, 100, 150), SpoolMark(OTHER, 50, 80))
    assert (log.drained(SPOOL), log.drained(OTHER)) == (150, 80)


def test_many_streams_are_opened_at_once(log: EventLog) -> None:
    made = [exchange(number) for number in range(1, 150)]
    log.append([built.opened for built in made], [event for built in made for event in built.events])
    assert list(log.openings()) == [built.opened for built in made]


def test_a_batch_whose_acknowledgement_was_lost_may_be_repeated(log: EventLog) -> None:
    built = exchange(1)
    for _ in range(2):
        log.append([built.opened], built.events, SpoolMark(SPOOL, 32, 100))
    assert log.drained(SPOOL) == 100
    assert log.counts() == (6, 1)


def test_a_batch_that_is_stored_already_still_moves_the_spool(log: EventLog) -> None:
    built = exchange(1)
    log.append([built.opened], built.events)
    log.append([built.opened], built.events, SpoolMark(SPOOL, 32, 100))
    assert log.drained(SPOOL) == 100


def test_openings_come_in_the_order_of_their_ids(log: EventLog) -> None:
    made = [exchange(number) for number in (3, 1, 2)]
    for built in made:
        log.append([built.opened], built.events)
    assert [opening.stream for opening in log.openings()] == [identity(1), identity(2), identity(3)]


def test_closing_twice_is_fine(log: EventLog) -> None:
    log.append([exchange(1).opened], [])
    log.close()
    log.close()


def test_a_store_that_was_let_go_has_everything_and_can_be_used_again(log: EventLog) -> None:
    built = exchange(1)
    log.append([built.opened], built.events)
    log.let_go()
    assert log.counts() == (6, 1)
    log.let_go()
    log.append([], built.event("gap_recorded").events[-1:])
    assert log.counts() == (7, 1)
    log.let_go()


def test_a_forked_child_uses_connections_of_its_own(log: EventLog) -> None:
    built, by_child = exchange(1), exchange(2)
    log.append([built.opened], built.events)
    assert log.counts() == (6, 1)
    child = os.fork()
    if child == 0:
        try:
            log.append([by_child.opened], by_child.events)
            fine = log.counts() == (12, 2)
            log.close()
        except BaseException:  # a forked child must not go on as a second pytest, whatever was raised
            fine = False
        os._exit(0 if fine else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert unplaced(list(log.events(by_child.opened.stream))) == by_child.events
    log.append([], exchange(1).event("gap_recorded").events[-1:])
    assert log.counts() == (13, 2)


def test_an_instance_other_than_the_opening_is_kept(log: EventLog, log_url: str) -> None:
    built = exchange(1, 0, ended=False)
    log.append([built.opened], built.events)
    built.event("process_died", instance=OTHER).event("gap_recorded")
    with_nothing_in_memory = open_events(log_url)
    with_nothing_in_memory.append([], built.events[2:])
    with_nothing_in_memory.close()
    assert [event.instance for event in log.events(built.opened.stream)] == [b"i" * 16] * 2 + [OTHER, b"i" * 16]


def test_another_opening_is_refused(log: EventLog) -> None:
    built = exchange(1)
    log.append([built.opened], [])
    with pytest.raises(VersionConflict, match="opened"):
        log.append([StreamOpened(built.opened.stream, OTHER, b"t" * 32)], built.events)
    assert log.opening(built.opened.stream) == built.opened
    assert log.counts() == (0, 1)


def test_the_last_event_of_each(log: EventLog) -> None:
    one, two = exchange(1), exchange(2, ended=False)
    log.append([one.opened, two.opened], [*one.events, *two.events])
    log.append([exchange(3).opened], [])
    assert log.head(identity(9)) is None
    (head,) = unplaced([log.head(identity(1)) or two.events[0]])
    assert head == one.events[-1]
    heads = log.heads([identity(number) for number in (1, 2, 3, 9)])
    assert {stream: unplaced([event])[0] for stream, event in heads.items()} == {
        identity(1): one.events[-1],
        identity(2): two.events[-1],
    }


def test_what_has_no_end_yet(log: EventLog) -> None:
    ended, running, others = exchange(1), exchange(2, ended=False), exchange(3, ended=False, instance=OTHER)
    late = exchange(4).event("gap_recorded")
    home = ExchangeBuilder(5).event("conversation_named", {"name": "a"})
    made = (ended, running, others, late, home)
    log.append([one.opened for one in made], [event for one in made for event in one.events], SpoolMark(SPOOL, 48, 99))
    log.append([exchange(6).opened], [])
    found = {opened.stream: last and last.version for opened, last in log.unfinished()}
    assert found == {identity(2): 5, identity(3): 5, identity(6): None}
    assert [opened.stream for opened, _ in log.unfinished(OTHER)] == [identity(3)]


def test_what_another_wrote_meanwhile_is_seen_and_gone_on_with(log: EventLog, log_url: str) -> None:
    built, theirs = exchange(1), exchange(2)
    log.append([built.opened], built.events[:3], SpoolMark(SPOOL, 48, 99))
    other = open_events(log_url)
    other.append([theirs.opened], theirs.events)
    assert log.counts() == (9, 2)
    other.append([], built.events[3:4])
    log.append([], built.events[3:], SpoolMark(SPOOL, 99, 120))
    other.append([], [*built.events])
    other.close()
    for one in (built, theirs):
        assert unplaced(list(log.events(one.opened.stream))) == one.events


def test_what_was_closed_has_everything(log: EventLog, log_url: str) -> None:
    made = [exchange(1), exchange(2, ended=False), exchange(3).event("gap_recorded", {"events": 1})]
    for one in made:
        log.append([one.opened], one.events)
    log.close()
    again = open_events(log_url)
    assert [unplaced(list(again.events(one.opened.stream))) for one in made] == [one.events for one in made]
    again.close()


def test_streams_that_run_at_the_same_time_can_be_read_at_any_moment(log: EventLog, log_url: str) -> None:
    made = [exchange(number, number) for number in (1, 2, 3)]
    turns = [[event for one in made for event in one.events[at : at + 1]] for at in range(8)]
    log.append([one.opened for one in made], turns[0], SpoolMark(SPOOL, 0, 1))
    for at, turn in enumerate(turns[1:], 1):
        log.append([], turn[::-1] if at % 2 else turn, SpoolMark(SPOOL, at, at + 1))
        reader = open_events(log_url)
        for one in made:
            assert unplaced(list(reader.events(one.opened.stream))) == one.events[: at + 1]
        reader.let_go()


def test_two_add_to_it_in_turns(log: EventLog, log_url: str) -> None:
    other = open_events(log_url)
    mine, theirs = exchange(1, 6), exchange(2, 6)
    log.append([mine.opened], mine.events[:1], SpoolMark(SPOOL, 0, 1))
    other.append([theirs.opened], theirs.events[:1], SpoolMark(OTHER, 0, 1))
    for at in range(1, 9):
        log.append([], mine.events[at : at + 1], SpoolMark(SPOOL, at, at + 1))
        other.append([], theirs.events[at : at + 1], SpoolMark(OTHER, at, at + 1))
    other.close()
    assert unplaced(list(log.events(identity(1)))) == mine.events
    assert unplaced(list(log.events(identity(2)))) == theirs.events
