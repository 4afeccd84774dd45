"""Of times, the verifier in a bundle tells what ``recorder verify`` does, on a Python where nothing is installed."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from recorder.clock import SystemClock
from recorder.core.events import Event, StreamOpened
from recorder.core.heads import decode_entry, log_id
from recorder.core.signed_facts import signed_facts
from recorder.ledger import keys
from recorder.ledger.standalone.verify import verify_bundle
from recorder.store import open_store
from tests.acceptance.attacked import HOUR, NOW, ORIGIN, Clocked, fill, outside_file
from tests.acceptance.attacks import signing_key
from tests.attacker import Attacker, write_outside
from tests.bundles import members, predicate_of, repacked
from tests.commands import run
from tests.golden.make_bundles import own_result
from tests.sealed import STEP, Key, Stream

SECOND = 1_000_000_000
#: What a finding on a time names: kind, id of the event stream, version, field.
Found = tuple[str, str, int, str]


def found_in(report: Mapping[str, Any], stream: str) -> set[Found]:
    """Return all findings of a report.

    :param stream: how it calls the id of an event stream.
    """
    return {(one["kind"], one.get(stream, ""), one.get("version", 0), one["field"]) for one in report["findings"]}


def both(url: str, tmp_path: Path, *selected: str) -> tuple[set[Found], set[Found], dict[str, Any]]:
    """Return what an audit of a store finds, what the verifier in a bundle of all of it finds, and all it says."""
    out = tmp_path / "e.zip"
    made = run("bundle", *(selected or ("--since", "2020-01-01")), "-o", str(out), "--force", "--store", url)
    assert out.exists(), made.stderr
    told = own_result(out, tmp_path, "--key", "".join(keys.fingerprint(signing_key().public).split()))
    assert made.exit_code == bool(told["findings"])
    audited = json.loads(run("verify", "--json", "--store", url).stdout)
    return found_in(audited, "exchange"), found_in(told, "stream"), told


def desk(url: str, hour: int = 1, family: int = 1) -> Clocked:
    """Return a recorder process that seals with the key that is here."""
    return Clocked(url, Key.of(keys.load(ORIGIN) or keys.create(ORIGIN, SystemClock())), family, hour)


def later(one: Clocked, seconds: float) -> None:
    """Let time go by."""
    one._ticks += round(seconds * SECOND) // STEP


def signed(attacker: Attacker) -> None:
    """Sign what somebody who has the key has made of a store, and put it in the place of what is outside."""
    write_outside(outside_file(), attacker.sign(signing_key()))


# Faults: each makes a store, and returns of which kind the findings are.


def moved(by: float, *, also_journals: bool = False, since: int = 5) -> Callable[[str], set[str]]:
    """Set the clock while the last exchange is recorded."""

    def make(url: str) -> set[str]:
        fill(url)
        with Attacker(url) as one:
            last = one.exchanges()[-1]
            at = one.events(last)[since - 1]
            journals = one.journals()[-1:] if also_journals else []

            def set_clock(events: list[Event]) -> list[Event]:
                off = round(by * SECOND)
                return [each._replace(wall_ns=each.wall_ns + off * (each.mono_ns >= at.mono_ns)) for each in events]

            for stream in (last, *journals):
                one.change(stream, set_clock)
            one.fix_journals()
            one.fix_leaves()
            signed(one)
        return {"clock"} if abs(by) > 0.25 else set()

    return make


def leaves_back(by: float) -> Callable[[str], set[str]]:
    """Have the last leaves say that they were sealed earlier."""

    def make(url: str) -> set[str]:
        fill(url, processes=1)
        with Attacker(url) as one:
            rows = one.rows("SELECT number, entry FROM ledger_leaves ORDER BY number")
            leaves = [decode_entry(log_id(ORIGIN), number, bytes(entry)) for number, entry in rows]
            latest = max(leaf.sealed_ns for leaf in leaves)
            early = [
                leaf if leaf.sealed_ns < latest else dataclasses.replace(leaf, sealed_ns=latest - round(by * SECOND))
                for leaf in leaves
            ]
            one.put_leaves(log_id(ORIGIN), early)
            signed(one)
        return {"back_dated", "clock"} if by > 2 else set()

    return make


def back_dated_stream(url: str) -> set[str]:
    """Put in an exchange, with a journal, that says to be hours older than its seal."""
    fill(url)
    with Attacker(url) as one:
        at, like, journal_like = NOW - 3 * HOUR, one.exchanges()[0], one.journals()[0]
        journal, exchange = (bytes.fromhex(f"{at // 1_000_000:012x}7000800f00000000000{n}") for n in (1, 2))
        named = {one_id: json.dumps(str(_text(one_id))) for one_id in (like, exchange)}
        own = [
            each
            for each in one.events(journal_like)
            if json.loads(each.meta or "{}").get("exchange") in (None, _text(like))
        ]
        own = [each._replace(meta=(each.meta or "").replace(named[like], named[exchange])) for each in own]
        dated = [each._replace(instance=journal, wall_ns=at + n, mono_ns=n) for n, each in enumerate(own)]
        events = [each._replace(instance=journal, wall_ns=at + n, mono_ns=n) for n, each in enumerate(one.events(like))]
        one.add(StreamOpened(exchange, journal, b"s" * 32), events)
        one.add(StreamOpened(journal, journal, b"j" * 32), dated)
        one.fix_journals()
        one.fix_leaves()
        one.seal([exchange, journal], NOW)
        signed(one)
    return {"back_dated"}


def _text(stream: bytes) -> str:
    return Stream(StreamOpened(stream, stream, b"")).id


def sealed_before_it_was(url: str) -> set[str]:
    """Record events whose clock is ahead of that of whoever seals."""
    one = desk(url)
    one.exchange("EURUSD?", ["Buy"])
    one.stop()
    one._ticks -= 10 * SECOND // STEP
    one.sealed()
    return {"clock"}


def unsealed_for_long(url: str) -> set[str]:
    """Seal an exchange two minutes after it was recorded; nothing says why."""
    one = desk(url)
    one.sealed()
    one.exchange("EURUSD?", ["Buy"])
    later(one, 120)
    one.stop()
    one.sealed()
    return {"back_dated"}


def died(url: str) -> set[str]:
    """Seal late what a process left that died, and that another one ended."""
    one = desk(url)
    one.sealed()
    torn = one.exchange("EURUSD?", ["Buy"], ends=False)
    talk = one.conversation("desk")
    link = one.link("order", "1", torn)
    one.save()
    other = desk(url, hour=2, family=2)
    dead = [Stream(stream.opened, list(stream.events)) for stream in (torn, one.journal)]
    for stream in dead:
        other.put(stream, "process_died", {"found_by": other.journal.id})
    told = {"exchange": torn.id, "length": len(dead[0].events), "head": dead[0].events[-1].hash.hex()}
    other.put(other.journal, "exchange_closed", told)
    other.stop()
    other.streams += [*dead, talk, link]
    other.sealed()
    return set()


def brought(how: str, by: str) -> Callable[[str], set[str]]:
    """Seal an exchange that was recorded long before elsewhere, and of which a journal says how it came here."""

    def make(url: str) -> set[str]:
        first = desk(url)
        first.stop()
        first.sealed()
        bringing = desk(url, hour=3, family=3)
        came = bringing.opened(bringing.new_id())
        bringing._ticks -= HOUR // STEP
        if how == "copy":
            came.opened = StreamOpened(came.opened.stream, b"e" * 16, came.opened.secret)
        for event in ("request_sent", "response_started", "response_completed"):
            facts = {"method": "POST", "url": "https://a.test/", "head": 4, "call": "c", "attempt": 1, "client": "t"}
            meta = {"request_sent": facts, "response_started": {"status": 200}}.get(event)
            own, bringing.instance = bringing.instance, came.opened.instance
            bringing.put(came, event, meta, b"head" if event == "request_sent" else b"")
            bringing.instance = own
        bringing._ticks += HOUR // STEP
        told: dict[str, object] = {"stream": came.id, "length": 3, "head": came.events[-1].hash.hex(), "kind": how}
        key = signing_key() if by == "key" else None
        told = told if key is None else dict(signed_facts("stream_written", told, key.public, key.sign))
        bringing.put(bringing.journal, "stream_written", told)
        bringing.stop()
        bringing.sealed()
        return set() if by == "key" else {"back_dated"}

    return make


def older_than_the_ledger(url: str) -> set[str]:
    """Seal late what was recorded before there was a ledger; then much more."""
    one = desk(url)
    one.exchange("EURUSD?", ["Buy"])
    one.stop()
    one.save()
    two = desk(url, hour=2, family=2)
    two.sealed()
    later(two, 1)
    two.streams += one.streams
    two.exchange("GBPUSD?", ["Sell"])
    two.stop()
    two.sealed()
    return set()


def vouched_for(by: str) -> Callable[[str], set[str]]:
    """Seal an exchange late, and have somebody say why."""

    def make(url: str) -> set[str]:
        unsealed_for_long(url)
        if by == "key":
            assert run("seal", "--late", "it rained", "--store", url).exit_code == 0
            return set()
        with closing(open_store(url, write=False)) as store:
            late = {leaf.head.stream: leaf.head.length for leaf in store.ledger.leaves(0, store.ledger.size())}
        other = desk(url, hour=2, family=2)
        for stream, length in late.items():
            facts = {"action": "seal", "by": "a", "of": _text(stream), "result": "sealed late", "ground": "it rained"}
            other.put(other.journal, "accessed", {**facts, "events": length})
        other.stop()
        other.sealed()
        return {"back_dated"}

    return make


def a_long_day(url: str) -> set[str]:
    """Record all day, sealing at once."""
    one = desk(url)
    talk = one.conversation("desk")
    for number in range(4):
        one.exchange(f"EURUSD? {number}", ["Buy"], talk)
        one.sealed()
        later(one, 3600)
    one.stop()
    one.sealed()
    return set()


FAULTS: dict[str, Callable[[str], set[str]]] = {
    "set back by 1 s": moved(-1),
    "set back by 1 s, in the journal too": moved(-1, also_journals=True),
    "set forward by 1.5 s": moved(1.5),
    "set back by 3 s": moved(-3),
    "set back by 0.2 s": moved(-0.2),
    "leaves go back by 10 s": leaves_back(10),
    "leaves go back by 1 s": leaves_back(1),
    "a back-dated exchange": back_dated_stream,
    "sealed before it was recorded": sealed_before_it_was,
    "sealed two minutes late": unsealed_for_long,
    "left by a process that died": died,
    "imported, with the key": brought("import", "key"),
    "imported, without the key": brought("import", "nobody"),
    "copied, with the key": brought("copy", "key"),
    "copied, without the key": brought("copy", "nobody"),
    "older than the ledger": older_than_the_ledger,
    "sealed late, with the key's word": vouched_for("key"),
    "sealed late, with nobody's word": vouched_for("nobody"),
    "a long day": a_long_day,
}


def without_versions(found: set[Found]) -> set[tuple[str, str, str]]:
    return {(kind, stream, field) for kind, stream, _, field in found}


def of_exchanges(found: set[Found], result: Mapping[str, Any]) -> set[Found]:
    ids = {one["id"] for one in result["exchanges"]}
    return {one for one in found if one[1] in ids}


@pytest.mark.parametrize("fault", FAULTS)
def test_both_find_the_same(fault: str, store_url: str, tmp_path: Path) -> None:
    """But for the version within a journal of which earlier leaves are not in the bundle."""
    of = FAULTS[fault](store_url)
    audited, told, result = both(store_url, tmp_path)
    assert {kind for kind, *_ in audited} == of
    assert without_versions(told) == without_versions(audited)
    assert of_exchanges(told, result) == of_exchanges(audited, result)
    assert result["verdicts"]["bounded_in_time"] == ("no" if of else "by its own clock")
    assert (result["verdicts"]["authentic"], result["verdicts"]["unmodified"]) == ("yes", "yes")
    assert result["verdicts"]["complete_in_range"] == "yes"
    assert bool(result["clocks"]) == bool(of)


@pytest.mark.parametrize("fault", FAULTS)
def test_of_one_exchange_the_verifier_finds_what_is_found_of_that(fault: str, sqlite_url: str, tmp_path: Path) -> None:
    """But that its first leaf goes back behind one that is not in the bundle."""
    FAULTS[fault](sqlite_url)
    for exchange in (
        json.loads(line)["id"] for line in run("list", "--json", "--store", sqlite_url).stdout.splitlines()
    ):
        audited, told, result = both(sqlite_url, tmp_path, "--exchange", exchange)
        assert without_versions(told) <= without_versions(audited)
        missed = of_exchanges(audited, result) - of_exchanges(told, result)
        assert {field for *_, field in missed} <= {"sealed_ns"}


@pytest.mark.parametrize("fault", ["copied, with the key", "sealed late, with the key's word", "older than the ledger"])
def test_what_was_sealed_late_and_explained_is_told_as_not_proved(fault: str, sqlite_url: str, tmp_path: Path) -> None:
    FAULTS[fault](sqlite_url)
    _, _, result = both(sqlite_url, tmp_path)
    assert any("are as old as they say: they were sealed late; " in one for one in result["not_proved"])


def test_a_bundle_from_before_it_had_to_be_explained_is_believed_of_the_key_alone(
    sqlite_url: str, tmp_path: Path
) -> None:
    """It is no finding, and its times are not bounded; without the key nobody gets rid of a finding in this way."""
    unsealed_for_long(sqlite_url)
    both(sqlite_url, tmp_path)
    key = signing_key()

    def older(told: dict[str, Any]) -> None:
        del told["times"]

    fingerprint = "".join(keys.fingerprint(key.public).split())
    for signer, found in (((key.public, key.sign), set()), (None, {"back_dated"})):
        path = repacked(tmp_path / "e.zip", tmp_path / "c.zip", {}, older, signer)
        result = verify_bundle(path, [fingerprint])
        assert {one["kind"] for one in result["findings"]} == found
        assert result["verdicts"]["bounded_in_time"] == "no"
        assert result["clocks"]
        assert any(one.startswith("why some of it was sealed late") for one in result["not_proved"]) != bool(found)


@pytest.mark.parametrize("began", ["c2sp.org/tlog-proof@v1\nindex 0\n\n", "another leaf", "nothing"])
def test_a_beginning_of_the_ledger_that_is_not_proved_explains_nothing(
    sqlite_url: str, tmp_path: Path, began: str
) -> None:
    older_than_the_ledger(sqlite_url)
    _, found, _ = both(sqlite_url, tmp_path)
    assert found == set()
    last = json.loads(run("list", "--json", "--store", sqlite_url).stdout.splitlines()[-1])["id"]
    both(sqlite_url, tmp_path, "--exchange", last)
    path, key = tmp_path / "e.zip", signing_key()
    proofs = [data.decode() for name, data in members(path).items() if name.startswith("proofs/")]
    honest = predicate_of(path)["ledger"]["began"]
    assert honest not in proofs

    def other(told: dict[str, Any]) -> None:
        told["ledger"]["began"] = {"another leaf": proofs[0], "nothing": ""}.get(began, began)

    result = verify_bundle(repacked(path, tmp_path / "c.zip", {}, other, (key.public, key.sign)))
    kinds = {(one["kind"], one["field"]) for one in result["findings"]}
    assert kinds == {("back_dated", "wall_ns"), *([] if began == "nothing" else [("proof", "began")])}
