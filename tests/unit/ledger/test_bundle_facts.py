"""Bundles of what happens to a store: both engines, erasure, anchors, clocks, another key."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from recorder.core.chain import link
from recorder.core.signed_facts import signed_facts
from recorder.ledger.bundle import LedgerKeys, write_bundle
from recorder.ledger.bundle_plan import Wanted, planned
from recorder.ledger.standalone.verify import verify_bundle
from recorder.store import open_store
from recorder.store.base import Anchored
from tests.bundles import bundle_of, kinds, members, predicate_of, repacked, small_bundle
from tests.sealed import BEGAN, Desk, Key, Stream, checkpointed, erase, small, url_of


def test_both_engines_make_the_same_bytes(tmp_path: Path, postgres_url: str) -> None:
    key = Key()
    made = []
    for url, name in ((url_of(tmp_path), "sqlite.zip"), (postgres_url, "postgres.zip")):
        desk, exchanges, _ = small(url, key)
        made.append(bundle_of(desk, tmp_path / name, exchanges).read_bytes())
    assert made[0] == made[1]
    assert kinds(tmp_path / "postgres.zip", key.fingerprint) == set()


def test_what_was_erased_is_counted_and_comes_with_who_did_it(tmp_path: Path, store_url: str) -> None:
    key = Key()
    desk, exchanges, _ = small(store_url, key)
    gone = exchanges[1]
    count = erase(store_url, gone)
    eraser = Desk(store_url, key, family=7)
    facts = {"exchange": gone.id, "events": count, "bytes": 1000, "ground": "GDPR 17(1)(a)", "by": "dpo"}
    eraser.put(eraser.journal, "payload_erased", signed_facts("payload_erased", facts, key.public, key.sign))
    eraser.put(eraser.journal, "instance_stopped")
    eraser.seal()
    path = bundle_of(desk, tmp_path / "e.zip", exchanges)
    result = verify_bundle(path, [key.fingerprint])
    assert result["findings"] == []
    assert result["counts"]["erased"] == count
    assert any("nothing forbade what is erased" in sentence for sentence in result["not_proved"])
    assert b"EURUSD? 1" not in members(path)[f"streams/{gone.id}.ev"]
    assert f"streams/{eraser.journal.id}.ev" in members(path)

    def without(told: dict[str, Any]) -> None:
        told["streams"] = [one for one in told["streams"] if one["id"] != eraser.journal.id]

    changed = repacked(path, tmp_path / "c.zip", {f"streams/{eraser.journal.id}.ev": None}, without)
    assert kinds(changed, key.fingerprint) == {"erasure"}


@pytest.mark.parametrize("signer", ["nobody", "somebody", "another exchange"])
def test_a_sealed_record_that_the_key_did_not_sign_authorises_nothing(tmp_path: Path, signer: str) -> None:
    key = Key()
    desk, exchanges, _ = small(url_of(tmp_path), key)
    gone = exchanges[1]
    facts = {"exchange": gone.id, "events": erase(desk.url, gone), "bytes": 1, "ground": "none", "by": "nobody"}
    told = signed_facts("payload_erased", facts, Key(seed=2).public, Key(seed=2).sign)
    if signer == "another exchange":
        other = signed_facts("payload_erased", facts | {"exchange": exchanges[0].id}, key.public, key.sign)
        told = facts | {"signature": other["signature"]}
    eraser = Desk(desk.url, key, family=7)
    eraser.put(eraser.journal, "payload_erased", facts if signer == "nobody" else told)
    eraser.put(eraser.journal, "instance_stopped")
    eraser.seal()
    path = bundle_of(desk, tmp_path / "e.zip", exchanges)
    for keys in ([key.fingerprint], []):
        found = [(one["kind"], one["field"], one["stream"]) for one in verify_bundle(path, keys)["findings"]]
        assert found == [("erasure", "authority", gone.id)]

    def older(told: dict[str, Any]) -> None:  # pretend that it was made when records were not signed
        del told["erasures"]

    changed = repacked(path, tmp_path / "c.zip", {}, older)
    assert "erasure" in kinds(changed, key.fingerprint)


def test_an_erasure_that_no_journal_tells_of_is_tampering(tmp_path: Path) -> None:
    key = Key()
    desk, exchanges, _ = small(url_of(tmp_path), key)
    erase(desk.url, exchanges[0], upto=3)
    path = bundle_of(desk, tmp_path / "e.zip", exchanges)
    assert kinds(path, key.fingerprint) == {"erasure"}


def test_a_record_of_an_erasure_that_nobody_sealed_authorises_nothing(tmp_path: Path) -> None:
    key = Key()
    desk, exchanges, _ = small(url_of(tmp_path), key)
    gone = exchanges[0]
    facts = {"exchange": gone.id, "events": erase(desk.url, gone), "bytes": 1, "ground": "none", "by": "nobody"}
    desk.put(desk.journal, "payload_erased", facts)  # behind what was sealed of the journal
    desk.save()
    path = bundle_of(desk, tmp_path / "e.zip", exchanges)
    found = [(one["kind"], one["field"], one["stream"]) for one in verify_bundle(path, [key.fingerprint])["findings"]]
    assert found == [("erasure", "payload", gone.id)]


def test_without_a_ledger_a_bundle_proves_no_authority(tmp_path: Path) -> None:
    desk, exchanges, _ = small(url_of(tmp_path))
    facts = {"exchange": exchanges[0].id, "events": erase(desk.url, exchanges[0]), "bytes": 1, "by": "nobody"}
    desk.put(desk.journal, "payload_erased", facts)
    desk.save()
    result = verify_bundle(bundle_of(desk, tmp_path / "e.zip", exchanges))
    assert any("who erased what is erased" in sentence for sentence in result["not_proved"]), result


def anchored(url: str, key: Key, made: str = "file:outside") -> Anchored:
    with closing(open_store(url, write=True)) as store:
        size, note = store.ledger.last_checkpoint() or (0, "")
        one = Anchored(bytes([size]) * 16, size, made, BEGAN + 10**12, b"at 12:00 I saw\n" + note.encode())
        store.ledger.add_anchor(one)
    return one


def test_an_anchor_is_told_where_it_names_the_checkpoint(tmp_path: Path) -> None:
    key = Key()
    desk, exchanges, _ = small(url_of(tmp_path), key)
    desk.exchange("later", ["x"])
    desk.seal()
    one = anchored(desk.url, key)
    desk.exchange("later still", ["x"])
    desk.seal()
    path = bundle_of(desk, tmp_path / "e.zip", exchanges)
    result = verify_bundle(path, [key.fingerprint])
    assert result["findings"] == []
    assert result["verdicts"]["bounded_in_time"] == "anchors not checked"
    assert [(anchor["anchor"], anchor["size"]) for anchor in result["anchors"]] == [(one.anchor, one.size)]
    assert len([name for name in members(path) if name.endswith(".consistency")]) == 2
    name = next(name for name in members(path) if name.startswith("anchors/"))
    other = members(path)[name].replace(b'"size":', b'"size":1')
    assert kinds(repacked(path, tmp_path / "c.zip", {name: other}), key.fingerprint) == {"anchor"}
    text = b'{"anchor":"command:notary","evidence":"","made_ns":1,"size":%d}\n' % one.size
    silent = verify_bundle(repacked(path, tmp_path / "c.zip", {name: text}), [key.fingerprint])
    assert silent["findings"] == []
    assert [anchor["names_checkpoint"] for anchor in silent["anchors"]] == [False]
    assert silent["verdicts"]["bounded_in_time"] == "by its own clock"


def test_a_clock_that_was_set_is_told(tmp_path: Path) -> None:
    key = Key()
    desk = Desk(url_of(tmp_path), key)
    exchange = desk.exchange("now", ["a"], ends=False)
    desk._ticks += 10_000  # both clocks go on
    desk.end(exchange)
    desk.seal()
    steady = verify_bundle(bundle_of(desk, tmp_path / "steady.zip", [exchange]), [key.fingerprint])
    assert steady["verdicts"]["bounded_in_time"] == "by its own clock"
    stepped = Desk(url_of(tmp_path, "stepped.db"), key)
    put = stepped.put

    def later(stream: Stream, *what: Any, **more: Any) -> Any:
        event = put(stream, *what, **more)
        if event.type != "exchange_closed":
            return event
        moved = event._replace(wall_ns=event.wall_ns + 3_600 * 10**9)
        stream.events[-1] = moved._replace(hash=rehashed(stream, moved))
        return stream.events[-1]

    stepped.put = later  # type: ignore[method-assign] # the clock of the test is set while the process runs
    exchange = stepped.exchange("now", ["a"])
    stepped.seal()
    result = verify_bundle(bundle_of(stepped, tmp_path / "stepped.zip", [exchange]), [key.fingerprint])
    assert {one["kind"] for one in result["findings"]} == {"clock"}
    assert result["verdicts"]["bounded_in_time"] == "no"
    assert (result["verdicts"]["authentic"], result["verdicts"]["unmodified"]) == ("yes", "yes")
    assert any("set forward by 3,600.000 s" in told for told in result["clocks"])


def rehashed(stream: Stream, event: Any) -> bytes:
    return link(stream.events[-2].hash, stream.opened.secret, event)


def test_a_key_that_was_changed_is_one_of_those_that_are_named(tmp_path: Path) -> None:
    first, second = Key(seed=1), Key(seed=2)
    desk, exchanges, _ = small(url_of(tmp_path), first)
    desk.exchange("after it", ["a"])
    desk.key = second
    desk.seal()
    path = tmp_path / "e.zip"
    with closing(open_store(desk.url, write=False)) as store:
        ids = tuple(stream.opened.stream for stream in exchanges)
        plan = planned(store, Wanted({"exchange": exchanges[0].id}, ids))
        keys = LedgerKeys((first.public, second.public), (second.public, second.sign))
        write_bundle(path, store, plan, keys, {})
    both = [first.fingerprint, second.fingerprint]
    assert verify_bundle(path, both)["verdicts"]["authentic"] == "yes"
    assert verify_bundle(path, [first.fingerprint])["verdicts"]["authentic"] == "events only"
    assert verify_bundle(path, [second.fingerprint])["verdicts"]["authentic"] == "yes"


def test_the_number_of_an_exchange_is_that_of_its_journal(tmp_path: Path) -> None:
    """A journal that was made anew without an exchange leaves a gap in its numbers, or exchanges that contradict it."""
    key = Key()
    for name, before in (("first", 0), ("later", 1)):
        desk = Desk(url_of(tmp_path, f"{name}.db"), key)
        for number in range(before):
            desk.exchange(f"{number}", ["a"])
        desk._number += 1
        last = desk.exchange("the next but one", ["b"])
        desk.seal()
        path = bundle_of(desk, tmp_path / f"{name}.zip", [last])
        assert kinds(path, key.fingerprint) == {"journal"}


def test_another_checkpoint_at_the_end_does_not_change_a_bundle_but_for_it(tmp_path: Path) -> None:
    key = Key()
    path, desk = small_bundle(tmp_path, key)
    before = members(path)
    desk.exchange("later", ["a"])
    desk.seal()
    with closing(open_store(desk.url, write=True)) as store:
        assert checkpointed(store, key) > predicate_of(path)["ledger"]["to"]
    link = next(one for one in desk.streams if one.events[0].type == "linked")
    exchange = next(one for one in desk.streams if one.id in (link.events[0].meta or ""))
    more = {
        "selection": {"link": {"kind": "order", "id": "12345"}},
        "openings": (desk.streams[1].opened.stream,),
        "links": (link.opened.stream,),
    }
    again = members(bundle_of(desk, tmp_path / "again.zip", [exchange], **more))
    added = {name for name in again if name not in before}
    assert {name.partition("/")[0] for name in added} == {"checkpoints", "ledger"}
    changed = {name for name in before if again[name] != before[name]}
    assert changed == {"manifest.json", "bundle.sha256"}
