"""Ways to tamper with a store, and what catches each (docs/audit.md): 23 rows, on both engines.

The attacker edits the tables and makes anew every hash that he can. Letters say by what he is caught: C the chains of
event streams, J the journals, S the signed checkpoints in the store, E what is kept outside of it, T the times and what
authorities stamped. Four rows are caught by nothing, three of them only as long as what they change is not sealed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from recorder.core.chain import Finding
from recorder.core.events import Event, StreamOpened
from recorder.ledger import keys
from tests.acceptance.attacked import HOUR, NOW, ORIGIN, fill, layers, outside_file, verify
from tests.acceptance.attacks import (
    ERASURES,
    Attack,
    and_journals,
    and_ledger,
    cut,
    edit,
    erasing,
    in_place,
    remove,
    signing_key,
    swapped,
    take_payload,
    transplant,
    without,
)
from tests.attacker import Attacker, name, write_outside

#: What a finding names: kind, the stream, version and field. Streams are numbers of exchanges; None: the whole ledger.
Place = tuple[str, int | None, int | None, str]
LAST, LONG = 5, 8  # the last exchange; events of each


@dataclass(frozen=True)
class Row:
    """One way to tamper.

    :ivar by: what catches it; empty: nothing.
    :ivar found: what the findings name.
    :ivar sealed: whether what it changes had been sealed.
    """

    what: str
    attack: Attack
    by: str
    found: tuple[Place, ...] = ()
    sealed: bool = True


ANEW: tuple[Place, ...] = (("leaf", LAST, LONG, "hash"), ("journal", LAST, LONG, "hash"))
REMOVED: tuple[Place, ...] = (("omitted", LAST, None, "stream"),)
TRANSPLANTED: tuple[Place, ...] = (
    ("omitted", 0, None, "stream"),
    *(("hash", 1, version, "hash") for version in range(1, LONG)),
    ("hash", 1, LONG, "payload"),  # it has none, whoever changed it
    ("leaf", 1, LONG, "hash"),
    ("journal", 1, LONG, "hash"),
    ("journal", 1, None, "number"),
)


def ended(version: int) -> tuple[Place, ...]:
    return (("omitted", LAST, version, "version"),)


ROWS = [
    Row("edit payload byte", edit(rehash=False), "C", (("hash", LAST, 3, "hash"),)),
    Row("edit + rehash stream, sealed, no key", edit(rehash=True), "JS", ANEW),
    Row("edit + rehash stream + journal, not yet sealed", and_journals(edit(rehash=True)), "", sealed=False),
    Row(
        "delete middle event",
        lambda one: one.change(one.exchanges()[-1], without(4), rehash=False),
        "CJS",
        (("version", LAST, 6, "version"), ("hash", LAST, 6, "hash"), ("omitted", LAST, LONG, "version")),
    ),
    Row(
        "delete middle + rehash, sealed",
        lambda one: one.change(one.exchanges()[-1], without(4)),
        "JS",
        ended(LONG - 1),
    ),
    Row("delete tail, sealed", cut, "JS", ended(LONG - 3)),
    Row("delete tail, unsealed", cut, "J", ended(LONG - 3), sealed=False),
    Row("delete tail + fix journal, unsealed", and_journals(cut), "", sealed=False),
    Row("delete whole stream, sealed", remove, "JS", REMOVED),
    Row(
        "delete stream + journal + leaves, no key",
        and_ledger(remove),
        "ES",
        (("tree", None, None, "size"), ("rolled_back", None, None, "size")),
    ),
    Row("delete whole stream, unsealed", remove, "J", REMOVED, sealed=False),
    Row("delete last stream + journal tail, unsealed", and_journals(remove), "", sealed=False),
    Row(
        "reorder two events",
        lambda one: one.change(one.exchanges()[-1], in_place, rehash=False),
        "C",
        tuple(("hash", LAST, version, "hash") for version in (4, 5, 6)),  # the two, and the one that follows them
    ),
    Row("reorder + rehash, sealed", lambda one: one.change(one.exchanges()[-1], swapped), "JS", ANEW),
    Row("transplant a stream under another id", transplant, "CJS", TRANSPLANTED),
    Row("silent payload removal (no erasure record)", take_payload, "C", (("hash", 0, 4, "payload"),)),
]
UNCAUGHT = [row.attack for row in ROWS if not row.by]


def places(findings: Iterable[Finding], exchanges: Sequence[bytes]) -> set[Place]:
    """Return what findings name.

    :param exchanges: those that were there before the attack.
    """
    numbers = {name(one): number for number, one in enumerate(exchanges)}
    return {(one.kind, numbers[one.exchange] if one.exchange else None, one.version, one.field) for one in findings}


def attacked(url: str, attack: Attack) -> tuple[list[bytes], list[Event], list[Event]]:
    """Attack; return the exchanges of before, and the events of the last one before and after."""
    with Attacker(url) as attacker:
        exchanges = attacker.exchanges()
        before = attacker.events(exchanges[-1])
        attack(attacker)
        after = attacker.events(exchanges[-1]) if exchanges[-1] in attacker.streams() else []
    return exchanges, before, after


@pytest.mark.parametrize("row", ROWS, ids=[row.what for row in ROWS])
def test_without_the_key(row: Row, store_url: str) -> None:
    fill(store_url, seals=row.sealed)
    assert verify(store_url).findings == ()
    exchanges, _, _ = attacked(store_url, row.attack)
    report = verify(store_url)
    assert places(report.findings, exchanges) == set(row.found)
    assert set(layers(report.findings)) == set(row.by), report.findings
    assert (report.verdicts["unmodified"], report.verdicts["complete_in_range"]) != ("yes", "yes") or not row.by


@pytest.mark.parametrize("attack", UNCAUGHT, ids=["edit", "cut", "remove"])
def test_what_nothing_catches_is_told_to_be_unsealed(attack: Attack, store_url: str) -> None:
    fill(store_url, seals=False)
    _, before, after = attacked(store_url, attack)
    assert [one.body for one in before] != [one.body for one in after]  # it says something else by now
    with Attacker(store_url) as attacker:
        sealed = {row[0] for row in attacker.rows("SELECT stream FROM ledger_leaves")}
        unsealed = sum(len(attacker.events(stream)) for stream in attacker.streams() if stream not in sealed)
    report = verify(store_url)
    assert (report.findings, report.verdicts["fresh"]) == ((), "no")
    assert report.more["freshness"]["unsealed_events"] == unsealed > 0
    assert any(f"anything of {unsealed:,} events that are not sealed yet" in one for one in report.not_proved)


@pytest.mark.parametrize(
    ("attack", "found"),
    list(zip(UNCAUGHT, ({("leaf", LAST, LONG, "hash")}, set(ended(LONG - 3)), set(REMOVED)), strict=True)),
    ids=["edit", "cut", "remove"],
)
def test_what_nothing_catches_is_caught_once_it_is_sealed(attack: Attack, found: set[Place], store_url: str) -> None:
    """With a seal on close there is no window in which it would not be."""
    fill(store_url)
    exchanges, before, after = attacked(store_url, attack)
    assert [one.body for one in before] != [one.body for one in after]
    report = verify(store_url)
    named = places((one for one in report.findings if one.exchange in map(name, exchanges)), exchanges)
    assert named == found
    assert "S" in layers(tuple(one for one in report.findings if one.exchange == name(exchanges[LAST])))


@pytest.mark.parametrize(
    ("attack", "fields"),
    [
        (edit(rehash=True, which=0), {("", None, "root")}),
        (remove, {("", None, "size")}),
    ],
    ids=["rewrite", "drop"],
)
def test_with_the_key_it_takes_what_is_outside(
    attack: Attack, fields: set[tuple[str, int | None, str]], store_url: str
) -> None:
    fill(store_url)
    with Attacker(store_url) as attacker:
        and_ledger(attack)(attacker)
        notes = attacker.sign(signing_key())
    report = verify(store_url, signing_key().public.text)
    assert set(layers(report.findings)) == {"E"}
    assert {(one.exchange, one.version, one.field) for one in report.findings} == fields
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
    assert {(one.kind, one.exchange, one.version, one.field) for one in report.findings} == {
        ("rolled_back", "", None, "size")
    }
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
    assert {(one.kind, one.exchange, one.version, one.field) for one in report.findings} == {
        ("back_dated", name(exchange), 1, "wall_ns"),
        ("back_dated", name(journal), 1, "wall_ns"),
    }
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
    assert [(finding.kind, finding.exchange, finding.version, finding.field) for finding in report.findings] == [
        ("clock", name(exchange), 5, "wall_ns")
    ]
    assert "set back by 2" in report.findings[0].detail
    assert (report.verdicts["unmodified"], report.verdicts["bounded_in_time"]) == ("yes", "no")


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
