"""Ways to tamper with a store, and what catches each (docs/audit.md): 23 rows, on both engines.

The attacker edits the tables and makes anew every hash that he can. Letters say by what he is caught: C the chains of
event streams, J the journals, S the signed checkpoints in the store, E what is kept outside of it, T the times and what
authorities stamped. Four rows are caught by nothing, three of them only as long as what they change is not sealed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from recorder.core.events import Event, StreamOpened
from recorder.ledger import keys
from recorder.ledger.keys import SigningKey
from tests.acceptance.attacked import HOUR, NOW, ORIGIN, fill, layers, outside_file, verify
from tests.attacker import Attacker, name, write_outside

Attack = Callable[[Attacker], None]


def edited(events: list[Event]) -> list[Event]:
    """Let the model have said something else."""
    at = next(at for at, event in enumerate(events) if event.body is not None and b'"Buy"' in event.body)
    body = events[at].body
    assert body is not None
    events[at] = events[at]._replace(body=body.replace(b'"Buy"', b'"Sell"'))
    return events


def without(at: int) -> Callable[[list[Event]], list[Event]]:
    return lambda events: events[:at] + events[at + 1 :]


def swapped(events: list[Event]) -> list[Event]:
    events[3], events[4] = events[4], events[3]
    return events


def in_place(events: list[Event]) -> list[Event]:
    """Swap two events and let each have the version of the other."""
    third, fourth = events[3], events[4]
    events[3], events[4] = fourth._replace(version=third.version), third._replace(version=fourth.version)
    return events


def edit(rehash: bool, which: int = -1) -> Attack:
    return lambda one: one.change(one.exchanges()[which], edited, rehash=rehash)


def cut(one: Attacker) -> None:
    one.change(one.exchanges()[-1], lambda events: events[:-3], rehash=False)


def remove(one: Attacker) -> None:
    one.remove(one.exchanges()[-1])


def transplant(one: Attacker) -> None:
    """Let one exchange be there under the id of another."""
    first, second = one.exchanges()[0], one.exchanges()[1]
    events = [event._replace(stream=second) for event in one.events(first)]
    secret = one.streams()[first].secret
    one.run("UPDATE event_streams SET secret = ? WHERE stream = ?", secret, second)
    one.put(second, events)
    one.remove(first)


def take_payload(one: Attacker) -> None:
    one.run("UPDATE events SET meta = NULL, body = NULL WHERE stream = ? AND version = 4", one.exchanges()[0])


def and_journals(attack: Attack) -> Attack:
    def both(one: Attacker) -> None:
        attack(one)
        one.fix_journals()

    return both


def and_ledger(attack: Attack) -> Attack:
    def all_three(one: Attacker) -> None:
        and_journals(attack)(one)
        one.fix_leaves()

    return all_three


@dataclass(frozen=True)
class Row:
    """One way to tamper.

    :ivar by: what catches it; empty: nothing.
    :ivar sealed: whether what it changes had been sealed.
    """

    what: str
    attack: Attack
    by: str
    sealed: bool = True


ROWS = [
    Row("edit payload byte", edit(rehash=False), "C"),
    Row("edit + rehash stream, sealed, no key", edit(rehash=True), "JS"),
    Row("edit + rehash stream + journal, not yet sealed", and_journals(edit(rehash=True)), "", sealed=False),
    Row("delete middle event", lambda one: one.change(one.exchanges()[-1], without(4), rehash=False), "CJS"),
    Row("delete middle + rehash, sealed", lambda one: one.change(one.exchanges()[-1], without(4)), "JS"),
    Row("delete tail, sealed", cut, "JS"),
    Row("delete tail, unsealed", cut, "J", sealed=False),
    Row("delete tail + fix journal, unsealed", and_journals(cut), "", sealed=False),
    Row("delete whole stream, sealed", remove, "JS"),
    Row("delete stream + journal + leaves, no key", and_ledger(remove), "ES"),
    Row("delete whole stream, unsealed", remove, "J", sealed=False),
    Row("delete last stream + journal tail, unsealed", and_journals(remove), "", sealed=False),
    Row("reorder two events", lambda one: one.change(one.exchanges()[-1], in_place, rehash=False), "C"),
    Row("reorder + rehash, sealed", lambda one: one.change(one.exchanges()[-1], swapped), "JS"),
    Row("transplant a stream under another id", transplant, "CJ"),
    Row("silent payload removal (no erasure record)", take_payload, "C"),
]


@pytest.mark.parametrize("row", ROWS, ids=[row.what for row in ROWS])
def test_without_the_key(row: Row, store_url: str) -> None:
    fill(store_url, seals=row.sealed)
    assert verify(store_url).findings == ()
    with Attacker(store_url) as attacker:
        row.attack(attacker)
    report = verify(store_url)
    assert set(layers(report.findings)) >= set(row.by), report.findings
    assert bool(report.findings) == bool(row.by), report.findings
    assert (report.verdicts["unmodified"], report.verdicts["complete_in_range"]) != ("yes", "yes") or not row.by


@pytest.mark.parametrize("attack", [row.attack for row in ROWS if not row.by], ids=["edit", "cut", "remove"])
def test_what_nothing_catches_is_caught_once_it_is_sealed(attack: Attack, store_url: str) -> None:
    fill(store_url, seals=False)
    with Attacker(store_url) as attacker:
        attack(attacker)
    unsealed = verify(store_url)
    assert unsealed.verdicts["fresh"] == "no"
    assert any("not sealed yet" in sentence for sentence in unsealed.not_proved)


@pytest.mark.parametrize("attack", [row.attack for row in ROWS if not row.by], ids=["edit", "cut", "remove"])
def test_seal_on_close_leaves_no_such_window(attack: Attack, store_url: str) -> None:
    fill(store_url)
    with Attacker(store_url) as attacker:
        attack(attacker)
    assert set(layers(verify(store_url).findings)) >= {"S"}


def signing_key() -> SigningKey:
    key = keys.load(ORIGIN)
    assert key is not None
    return key


@pytest.mark.parametrize("attack", [edit(rehash=True, which=0), remove], ids=["rewrite", "drop"])
def test_with_the_key_it_takes_what_is_outside(attack: Attack, store_url: str) -> None:
    fill(store_url)
    with Attacker(store_url) as attacker:
        and_ledger(attack)(attacker)
        notes = attacker.sign(signing_key())
    report = verify(store_url, signing_key().public.text)
    assert set(layers(report.findings)) == {"E"}
    assert "no" in (report.verdicts["authentic"], report.verdicts["complete_in_range"])
    write_outside(outside_file(), notes)  # he has that machine, too
    alone = verify(store_url)
    assert alone.findings == ()
    assert any("a place that he cannot change" in sentence for sentence in alone.not_proved)


def test_a_restored_backup_is_told_from_an_honest_continuation(store_url: str) -> None:
    fill(store_url, processes=2)
    before = Attacker(store_url)
    tables = {table: before.rows(f"SELECT * FROM {table}") for table in ("ledger_leaves", "ledger_nodes")}
    streams = set(before.streams())
    checkpoints = before.rows("SELECT size FROM checkpoints")
    before.__exit__()
    outside = outside_file().read_bytes()
    fill(store_url, processes=3)  # goes on
    assert verify(store_url).findings == ()
    with Attacker(store_url) as attacker:  # what a backup would bring back
        for stream in set(attacker.streams()) - streams:
            attacker.remove(stream)
        attacker.run("DELETE FROM ledger_leaves WHERE number >= ?", len(tables["ledger_leaves"]))
        for level in range(8):
            there = sum(node[0] == level for node in tables["ledger_nodes"])
            attacker.run("DELETE FROM ledger_nodes WHERE level = ? AND number >= ?", level, there)
        attacker.run("DELETE FROM checkpoints WHERE size > ?", max(row[0] for row in checkpoints))
    report = verify(store_url)
    assert {finding.kind for finding in report.findings} == {"rolled_back"}
    assert "put back to an older state" in report.findings[0].detail
    assert report.verdicts["complete_in_range"] == "no"
    outside_file().write_bytes(outside)  # without what is outside, nobody could tell
    assert verify(store_url).findings == ()


def test_a_back_dated_stream_contradicts_its_seal(store_url: str) -> None:
    fill(store_url)
    with Attacker(store_url) as attacker:
        at = NOW - 3 * HOUR
        milliseconds = at // 1_000_000
        journal, exchange = (bytes.fromhex(f"{milliseconds:012x}7000800f00000000000{n}") for n in (1, 2))
        like, journal_like = attacker.exchanges()[0], attacker.journals()[0]
        told = [(event, json.loads(event.meta or "{}")) for event in attacker.events(journal_like)]
        own = [event for event, facts in told if facts.get("exchange") in (None, name(like))]
        dated = [
            event._replace(
                instance=journal, wall_ns=at + number, meta=(event.meta or "").replace(name(like), name(exchange))
            )
            for number, event in enumerate(own)
        ]
        events = [
            event._replace(instance=journal, wall_ns=at + number) for number, event in enumerate(attacker.events(like))
        ]
        attacker.add(StreamOpened(exchange, journal, b"s" * 32), events)
        attacker.add(StreamOpened(journal, journal, b"j" * 32), dated)
        attacker.fix_journals()
        attacker.fix_leaves()
        attacker.seal([exchange, journal], NOW)
        write_outside(outside_file(), attacker.sign(signing_key()))
    report = verify(store_url)
    assert layers(report.findings) == "T"
    assert {finding.kind for finding in report.findings} == {"back_dated"}
    assert name(exchange) in {finding.exchange for finding in report.findings}
    assert report.verdicts["bounded_in_time"] == "no"


def test_a_clock_that_was_stepped_is_told(store_url: str) -> None:
    fill(store_url)
    with Attacker(store_url) as attacker:  # what a recorder would have written on such a host
        exchange = attacker.exchanges()[-1]
        attacker.change(
            exchange,
            lambda events: [one._replace(wall_ns=one.wall_ns - 2_000_000_000 * (one.version > 4)) for one in events],
        )
        attacker.fix_journals()
        attacker.fix_leaves()
        write_outside(outside_file(), attacker.sign(signing_key()))
    report = verify(store_url)
    assert [(finding.kind, finding.exchange) for finding in report.findings] == [("clock", name(exchange))]
    assert "set back by 2" in report.findings[0].detail
    assert (report.verdicts["unmodified"], report.verdicts["bounded_in_time"]) == ("yes", "no")


SECOND = 1_000_000_000
KEPT, ERASED = NOW - HOUR, NOW - 10 * SECOND  # when it was recorded


def told_erased(one: Attacker, exchange: bytes, count: int, number: int = 9, **facts: object) -> bytes:
    """Put a journal beside the others that says that an erasure was decided; return its id."""
    told = {"exchange": name(exchange), "events": count, "bytes": 1, "ground": "Art. 17", "by": "officer"}
    return short_journal(one, number, "payload_erased", told | {"conversations": ["c"]} | facts, ERASED)


def short_journal(one: Attacker, number: int, kind: str, facts: dict[str, object], at_ns: int) -> bytes:
    """Put a journal of one act beside the others; return its id."""
    first = one.events(one.journals()[-1])[0]
    at = bytes.fromhex(f"{at_ns // 1_000_000:012x}7000800f{number:012x}")
    kinds = [("instance_started", json.loads(first.meta or "")), (kind, facts), ("instance_stopped", {})]
    events = [
        first._replace(type=what, meta=json.dumps(meta), instance=at, wall_ns=at_ns + place, mono_ns=place)
        for place, (what, meta) in enumerate(kinds)
    ]
    one.add(StreamOpened(at, at, bytes([number]) * 32), events)
    return at


def kept(one: Attacker, **facts: object) -> bytes:
    """Record that something has to be kept; return the journal."""
    kind = "retention_set" if "days" in facts else "hold_placed"
    return short_journal(one, 8, kind, {"by": "officer", "ground": "the case", **facts}, KEPT)


def sealed(one: Attacker, journal: bytes, at_ns: int) -> None:
    """Let whoever has the key seal a journal."""
    one.seal([journal], at_ns + SECOND)
    write_outside(outside_file(), one.sign(signing_key()))


def erasing(one: Attacker, exchange: bytes, seal: bool = True, **facts: object) -> None:
    journal = told_erased(one, exchange, one.erase(exchange), **facts)
    if seal:
        sealed(one, journal, ERASED)


def leaf_without_signature(one: Attacker, exchange: bytes) -> None:
    journal = told_erased(one, exchange, one.erase(exchange))
    one.seal([journal], ERASED + SECOND)


def held(one: Attacker, exchange: bytes) -> None:
    sealed(one, kept(one, hold="h", exchange=name(exchange)), KEPT)


def released_by_hand(one: Attacker, exchange: bytes) -> None:
    """Release a hold, which nobody seals, and have whoever has the key seal an erasure after it."""
    held(one, exchange)
    short_journal(one, 7, "hold_released", {"hold": "h", "by": "nobody", "ground": "none"}, KEPT + SECOND)
    erasing(one, exchange)


def overridden_by_hand(one: Attacker, exchange: bytes) -> None:
    """Add, unsealed, to a sealed record that was forbidden another one that overrides what forbade it."""
    held(one, exchange)
    count = one.erase(exchange)
    sealed(one, told_erased(one, exchange, count), ERASED)
    told_erased(one, exchange, count, number=10, overrides=["h"])


#: Ways in which an exchange comes to be erased, and the field of the finding: that of nothing, where it may be.
ERASURES: dict[str, tuple[Callable[[Attacker, bytes], object], str | None]] = {
    "as the rules have it": (erasing, None),
    "no record": (lambda one, exchange: one.erase(exchange), "payload"),
    "a record by hand": (lambda one, exchange: erasing(one, exchange, seal=False), "authority"),
    "a record by hand, with a leaf": (leaf_without_signature, "authority"),
    "in spite of a hold": (lambda one, exchange: (held(one, exchange), erasing(one, exchange)), "hold"),
    "in spite of a hold of its conversation": (
        lambda one, exchange: (sealed(one, kept(one, hold="h", conversation="c"), KEPT), erasing(one, exchange)),
        "hold",
    ),
    "in spite of a hold that was released by hand": (released_by_hand, "hold"),
    "before its time": (
        lambda one, exchange: (sealed(one, kept(one, days=30), KEPT), erasing(one, exchange)),
        "retention",
    ),
    "in spite of a hold, overriding it by hand": (overridden_by_hand, "hold"),
    "overriding both": (
        lambda one, exchange: (held(one, exchange), erasing(one, exchange, overrides=["h", "retention"])),
        None,
    ),
    "after a hold of something else": (
        lambda one, exchange: (held(one, one.exchanges()[1]), erasing(one, exchange)),
        None,
    ),
}


@pytest.mark.parametrize("how", ERASURES)
def test_an_erasure_is_counted_where_somebody_answers_for_it(how: str, store_url: str) -> None:
    fill(store_url)
    act, field = ERASURES[how]
    with Attacker(store_url) as attacker:
        exchange = attacker.exchanges()[0]
        act(attacker, exchange)
        count = len(attacker.rows("SELECT 1 FROM erased_payloads"))
    report = verify(store_url)
    assert report.more["erased"]["payloads"] == count
    found = [(finding.kind, finding.exchange, finding.version, finding.field) for finding in report.findings]
    assert found == ([] if field is None else [("erasure", name(exchange), None, field)])
    assert report.verdicts["unmodified"] == ("yes" if field is None else "no")
    if field != "payload":
        assert {(one["by"], one["ground"]) for one in report.more["erased"]["records"]} == {("officer", "Art. 17")}


def test_without_a_ledger_nobody_says_who_erased(store_url: str) -> None:
    fill(store_url, seals=False, processes=1)
    with Attacker(store_url) as attacker:
        attacker.run("DELETE FROM ledger")
        erasing(attacker, attacker.exchanges()[0], seal=False)
    report = verify(store_url)
    assert report.findings == ()
    assert any("who erased what is erased" in sentence for sentence in report.not_proved)


def test_a_call_that_was_never_recorded_is_caught_by_nothing(store_url: str) -> None:
    fill(store_url)
    report = verify(store_url, keys.load(ORIGIN).public.text)  # type: ignore[union-attr]  # fill has made it
    assert report.findings == ()
    assert report.verdicts["authentic"] == report.verdicts["complete_in_range"] == "yes"
    assert any("sent past the recorder" in sentence for sentence in report.not_proved)


def test_every_row_of_the_page_names_its_test() -> None:
    page = (Path(__file__).parents[2] / "docs/audit.md").read_text(encoding="utf-8")
    named = re.findall(r"^\| (\d+) \|.*`(test_\w+)(?:\[(.*)\])?`", page, re.MULTILINE)
    assert [int(number) for number, _, _ in named] == list(range(1, 24))
    assert all(test in globals() for _, test, _ in named)
    assert {row for _, _, row in named if row} == {row.what for row in ROWS}
