"""Whoever can pack a bundle again, every checksum and digest right, and has no key, is found out all the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recorder.core.codec import encode_opened, event_record
from recorder.core.heads import ENTRY_SIZE
from recorder.core.notes import Checkpoint, sign_note
from recorder.ledger.standalone.verify import verify_bundle
from tests.bundles import bundle_of, kinds, members, predicate_of, repacked, small_bundle, stream_file
from tests.sealed import Desk, Key, small, url_of

#: Files whose every byte is vouched for by a signature, whatever the manifest says.
PROVED = ("streams/", "ledger/", "checkpoints/", "proofs/", "log.vkey")


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def test_every_flip_in_what_is_proved_is_found_behind_new_digests(tmp_path: Path) -> None:
    key = Key()
    path, _ = small_bundle(tmp_path, key)
    missed = []
    for name, data in members(path).items():
        if name.startswith(PROVED):
            step = max(1, len(data) // 20)
            for at in range(0, len(data), step):
                changed = repacked(path, tmp_path / "changed.zip", {name: flipped(data, at)})
                result = verify_bundle(changed, [key.fingerprint])
                if not result["findings"]:
                    missed.append((name, at))
    assert missed == []


def test_packed_again_the_transcripts_are_nobodys_word(tmp_path: Path) -> None:
    key = Key()
    path, _ = small_bundle(tmp_path, key)
    changed = repacked(path, tmp_path / "changed.zip", {"transcript.md": b"# Something else\n"})
    result = verify_bundle(changed, [key.fingerprint])
    assert result["verdicts"]["authentic"] == "events only"
    assert any("who wrote the transcripts" in text for text in result["not_proved"])
    other = Key(seed=2)
    forged = repacked(path, changed, {"transcript.md": b"# Something else\n"}, signer=(other.public, other.sign))
    assert kinds(forged, key.fingerprint) == {"signature"}


def test_an_omitted_file_is_found(tmp_path: Path) -> None:
    key = Key()
    path, _ = small_bundle(tmp_path, key)
    for name in members(path):
        if name.startswith(PROVED):
            changed = repacked(path, tmp_path / "changed.zip", {name: None})
            assert verify_bundle(changed, [key.fingerprint])["findings"], name


def test_an_omitted_leaf_is_found_wherever_it_was(tmp_path: Path) -> None:
    key = Key()
    path, _ = small_bundle(tmp_path, key)
    leaves = members(path)["ledger/leaves.bin"]
    for number in range(len(leaves) // ENTRY_SIZE):
        without = leaves[: number * ENTRY_SIZE] + leaves[(number + 1) * ENTRY_SIZE :]
        assert "tree" in kinds(repacked(path, tmp_path / "c.zip", {"ledger/leaves.bin": without}), key.fingerprint)

        def shorter(told: dict[str, Any]) -> None:
            told["ledger"]["to"] -= 1

        changed = repacked(path, tmp_path / "c.zip", {"ledger/leaves.bin": without}, shorter)
        assert "tree" in kinds(changed, key.fingerprint)


def test_a_cut_off_stream_is_found_though_its_chain_holds(tmp_path: Path) -> None:
    key = Key()
    path, desk = small_bundle(tmp_path, key)
    name = stream_file(path, "exchange")
    whole = members(path)[name]
    last = desk.streams[-2].events[-1]
    changed = repacked(path, tmp_path / "c.zip", {name: whole[: -len(event_record(last))]})
    findings = verify_bundle(changed, [key.fingerprint])["findings"]
    assert {finding["kind"] for finding in findings} >= {"omitted"}
    assert findings[0]["version"] == len(desk.streams[-2].events)
    assert findings[0]["stream"] in name


def test_a_stream_that_was_made_anew_is_found(tmp_path: Path) -> None:
    """All hashes of it are right: only the leaf tells."""
    key = Key()
    path, _ = small_bundle(tmp_path, key)
    name = stream_file(path, "exchange")
    forger = Desk(url_of(tmp_path, "forged.db"), key)
    talk = forger.conversation("Wirtschaft €")
    forged = [forger.exchange(f"EURUSD? {number}", ["Sell", " 9", " lots"], talk) for number in range(3)]
    forger.save()
    told = members(bundle_of_unsealed(forger, tmp_path, forged[2:]))[f"streams/{forged[2].id}.ev"]
    assert name == f"streams/{forged[2].id}.ev"
    changed = repacked(path, tmp_path / "c.zip", {name: told})
    assert kinds(changed, key.fingerprint) >= {"leaf", "journal"}


def bundle_of_unsealed(desk: Desk, folder: Path, exchanges: list[Any]) -> Path:
    desk.key = None
    return bundle_of(desk, folder / "unsealed.zip", exchanges)


def test_two_streams_swapped_are_found(tmp_path: Path) -> None:
    key = Key()
    desk, exchanges, _ = small(url_of(tmp_path), key)
    path = bundle_of(desk, tmp_path / "e.zip", exchanges)
    one, other = (f"streams/{exchange.id}.ev" for exchange in exchanges[:2])
    files = members(path)
    changed = repacked(path, tmp_path / "c.zip", {one: files[other], other: files[one]})
    assert kinds(changed, key.fingerprint) == {"opening"}


def test_an_opening_that_names_another_process_is_found(tmp_path: Path) -> None:
    """No hash covers it: whoever makes its checksum anew is told by the events."""
    key = Key()
    path, desk = small_bundle(tmp_path, key)
    for stream in (desk.streams[-2], desk.streams[-1], desk.streams[1]):
        other = encode_opened(replace(stream.opened, instance=bytes(16)))
        name = f"streams/{stream.id}.ev"
        changed = repacked(path, tmp_path / "c.zip", {name: other + members(path)[name][len(other) :]})
        assert "opening" in kinds(changed, key.fingerprint)


def test_a_stream_that_no_leaf_names_is_found(tmp_path: Path) -> None:
    key = Key()
    path, _ = small_bundle(tmp_path, key)
    invented = Desk(url_of(tmp_path, "invented.db"), None, family=9)
    exchange = invented.exchange("never said", ["Sell"])
    invented.save()
    files = members(bundle_of(invented, tmp_path / "i.zip", [exchange]))

    def more(told: dict[str, Any]) -> None:
        told["streams"] += predicate_of(tmp_path / "i.zip")["streams"]

    added = {name: data for name, data in files.items() if name.startswith("streams/")}
    changed = repacked(path, tmp_path / "c.zip", added, more)
    findings = verify_bundle(changed, [key.fingerprint])["findings"]
    assert {"leaf", "omitted"} <= {finding["kind"] for finding in findings}
    assert any("added later" in finding["detail"] and finding["stream"] == exchange.id for finding in findings)


def test_a_foreign_checkpoint_is_found(tmp_path: Path) -> None:
    key = Key()
    path, _ = small_bundle(tmp_path, key)
    size = predicate_of(path)["ledger"]["to"]
    name = f"checkpoints/{size:020}.note"
    for origin, seed in (("example.test/desk", 2), ("example.test/other", 1)):
        foreign = Key(origin, seed)
        note = sign_note(Checkpoint(origin, size, bytes(32)).text, foreign.public, foreign.sign)
        vkeys = f"{key.public.text}\n{foreign.public.text}\n".encode()
        changed = repacked(path, tmp_path / "c.zip", {name: note.encode(), "log.vkey": vkeys})
        assert {"tree", "key"} <= kinds(changed, key.fingerprint)


def test_an_older_bundle_is_told_by_a_checkpoint_that_was_kept(tmp_path: Path) -> None:
    key = Key()
    path, desk = small_bundle(tmp_path, key)
    old = path.read_bytes()
    desk.exchange("later", ["c"])
    desk.seal()
    newer = bundle_of(desk, tmp_path / "new.zip", [desk.streams[-1]])
    files = members(newer)
    kept = files[max(name for name in files if name.startswith("checkpoints/"))]
    path.write_bytes(old)
    assert kinds(path, key.fingerprint) == set()
    assert kinds(path, key.fingerprint, checkpoint=kept) == {"stale"}
    assert verify_bundle(path, [key.fingerprint], kept)["verdicts"]["authentic"] == "yes"
    result = verify_bundle(newer, [key.fingerprint], kept)
    assert result["findings"] == []
    assert result["held_checkpoint"] == "agrees"


def test_a_ledger_that_was_made_anew_contradicts_a_checkpoint_that_was_kept(tmp_path: Path) -> None:
    """The holder of the key can sign another history; whoever kept a checkpoint of the first one sees it."""
    key = Key()
    path, _ = small_bundle(tmp_path, key)
    files = members(path)
    kept = files[max(name for name in files if name.startswith("checkpoints/"))]
    forger = Desk(url_of(tmp_path, "forged.db"), key)
    forged = [forger.exchange(f"EURUSD? {number}", ["Sell", " 9", " lots"]) for number in range(20)]
    forger.seal()
    other = bundle_of(forger, tmp_path / "forged.zip", forged[2:3])
    assert kinds(other, key.fingerprint) == set()
    assert kinds(other, key.fingerprint, checkpoint=kept) == {"tree"}


def test_a_period_from_which_an_exchange_is_left_out_is_found(tmp_path: Path) -> None:
    key = Key()
    desk, exchanges, _ = small(url_of(tmp_path), key)
    period = (0, 2**63 - 1)
    more = {"selection": {"period": list(period)}, "period": period}
    path = bundle_of(desk, tmp_path / "e.zip", exchanges, **more)
    assert kinds(path, key.fingerprint) == set()
    left = exchanges[1]

    def without(told: dict[str, Any]) -> None:
        told["streams"] = [one for one in told["streams"] if one["id"] != left.id]

    gone = {f"streams/{left.id}.ev": None, f"proofs/{left.id}.tlog-proof": None}
    changed = repacked(path, tmp_path / "c.zip", gone, without)
    findings = verify_bundle(changed, [key.fingerprint])["findings"]
    assert [(finding["kind"], finding["field"]) for finding in findings] == [("omitted", "exchange_opened")]
    assert left.id in findings[0]["detail"]


def test_a_period_takes_what_only_the_journal_knows(tmp_path: Path) -> None:
    key = Key()
    desk, exchanges, _ = small(url_of(tmp_path), key)
    period = (0, 2**63 - 1)
    more = {"selection": {"period": list(period)}, "period": period}
    path = bundle_of(desk, tmp_path / "e.zip", exchanges[:1], **more)
    result = verify_bundle(path, [key.fingerprint])
    assert result["findings"] == []
    assert {one["id"] for one in result["exchanges"]} == {exchange.id for exchange in exchanges}


def test_an_order_that_no_link_names_is_found(tmp_path: Path) -> None:
    key = Key()
    path, _ = small_bundle(tmp_path, key)

    def another(told: dict[str, Any]) -> None:
        told["selection"] = {"link": {"kind": "order", "id": "99999"}}

    assert kinds(repacked(path, tmp_path / "c.zip", {}, another), key.fingerprint) == {"link"}


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_bundle(tmp_path_factory.mktemp("packed"), Key())[0]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_whatever_is_changed_ends_in_findings_and_never_in_an_error(packed: Path, data: st.DataObject) -> None:
    files = members(packed)
    name = data.draw(st.sampled_from(sorted(name for name in files if name.startswith(PROVED))))
    old = files[name]
    start = data.draw(st.integers(0, len(old)))
    end = data.draw(st.integers(start, min(len(old), start + 200)))
    new = old[:start] + data.draw(st.binary(max_size=200)) + old[end:]
    out = packed.with_name("mutated.zip")
    result = verify_bundle(repacked(packed, out, {name: new}), [Key().fingerprint])
    assert bool(result["findings"]) == (new != old)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_whatever_a_manifest_says_ends_in_findings_and_never_in_an_error(packed: Path, data: st.DataObject) -> None:
    told = predicate_of(packed)
    values = st.none() | st.booleans() | st.integers() | st.text(max_size=9) | st.lists(st.integers(), max_size=3)
    places = [(told, name) for name in told] + [(told["ledger"], name) for name in told["ledger"]]
    places += [(one, name) for one in told["streams"] for name in one]
    where, name = data.draw(st.sampled_from(places))
    where[name] = data.draw(values)

    def become(other: dict[str, Any]) -> None:
        other.clear()
        other.update(told)

    result = verify_bundle(repacked(packed, packed.with_name("said.zip"), {}, become), [Key().fingerprint])
    assert result["findings"] or result["verdicts"]["authentic"] == "events only"
