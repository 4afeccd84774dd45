"""What a bundle holds, and that each of its bytes counts."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from recorder.errors import ConfigurationError
from recorder.ledger.bundle import format_text
from recorder.ledger.bundle_verifier import verifier_source
from recorder.ledger.standalone.verification import Verification
from recorder.ledger.standalone.verify import verify_bundle
from tests.bundles import bundle_of, kinds, members, predicate_of, small_bundle, stream_file
from tests.sealed import Desk, Key, small, url_of


def found(data: bytes, key: Key) -> bool:
    verification = Verification(io.BytesIO(data), [key.fingerprint])
    verification.run()
    return bool(verification.findings.found)


def test_a_bundle_of_an_order_holds_what_led_to_it_and_verifies(tmp_path: Path) -> None:
    key = Key()
    path, desk = small_bundle(tmp_path, key)
    result = verify_bundle(path, [key.fingerprint])
    assert result["findings"] == []
    assert result["verdicts"] == {
        "authentic": "yes",
        "unmodified": "yes",
        "complete_in_range": "yes",
        "bounded_in_time": "by its own clock",
    }
    assert [one["kind"] for one in predicate_of(path)["streams"]] == ["journal", "conversation", "exchange", "link"]
    assert result["counts"] == {"events": 20, "streams": 4, "other_streams": 0, "withheld": 0, "erased": 0}
    files = members(path)
    assert files["verify.py"].decode() == verifier_source()
    assert files["FORMAT.md"].decode() == format_text()
    assert files["log.vkey"].decode() == f"{desk.key.public.text}\n" if desk.key else False


def test_the_same_store_makes_the_same_bytes(tmp_path: Path) -> None:
    both = []
    for name in ("one", "other"):
        folder = tmp_path / name
        folder.mkdir()
        both.append(small_bundle(folder, Key())[0].read_bytes())
    assert both[0] == both[1]


@pytest.mark.parametrize("remainder", range(8))
def test_every_single_byte_flip_is_found(tmp_path: Path, remainder: int) -> None:
    key = Key()
    path, _ = small_bundle(tmp_path, key)
    data = bytearray(path.read_bytes())
    assert not found(bytes(data), key)
    missed = []
    for at in range(remainder, len(data), 8):
        data[at] ^= (flip := 1 << at // 8 % 8)
        if not found(bytes(data), key):
            missed.append(at)
        data[at] ^= flip
    assert missed == []


def test_every_single_byte_flip_is_found_without_a_ledger(tmp_path: Path) -> None:
    path, _ = small_bundle(tmp_path)
    data = bytearray(path.read_bytes())
    missed = []
    for at in range(0, len(data), 5):
        data[at] ^= 0x55
        verification = Verification(io.BytesIO(bytes(data)))
        verification.run()
        if not verification.findings.found:
            missed.append(at)
        data[at] ^= 0x55
    assert missed == []


@pytest.mark.parametrize("cut", [1, 22, 100, 1000])
def test_bytes_added_or_cut_off_are_found(tmp_path: Path, cut: int) -> None:
    key = Key()
    data = small_bundle(tmp_path, key)[0].read_bytes()
    assert found(data[:-cut], key)
    assert found(data + bytes(cut), key)
    assert found(bytes(cut) + data, key)
    assert found(data + data, key)


def test_without_a_ledger_nothing_is_called_authentic(tmp_path: Path) -> None:
    path, _ = small_bundle(tmp_path)
    result = verify_bundle(path)
    assert result["findings"] == []
    assert result["verdicts"]["authentic"] == result["verdicts"]["complete_in_range"] == "not proved"
    assert "authenticity: the store has no signed checkpoints" in result["not_proved"]
    assert "ledger" not in result
    assert kinds(path, Key().fingerprint) == {"key"}


def test_without_a_key_nothing_is_called_authentic(tmp_path: Path) -> None:
    path, _ = small_bundle(tmp_path, Key())
    result = verify_bundle(path)
    assert result["findings"] == []
    assert result["verdicts"]["authentic"] == "not proved"
    assert any(text.startswith("authenticity: give --key") for text in result["not_proved"])


def test_a_key_is_named_by_itself_or_by_its_fingerprint(tmp_path: Path) -> None:
    key = Key()
    path, _ = small_bundle(tmp_path, key)
    digits = key.fingerprint
    grouped = " ".join(digits[at : at + 4] for at in range(0, 64, 4)).upper()
    for named in (digits, grouped, key.public.text, f" {key.public.text}\n"):
        assert verify_bundle(path, [named])["verdicts"]["authentic"] == "yes"
    for wrong in (digits[:-1], "no key", key.public.text[:-1], ""):
        with pytest.raises(ValueError, match=r"fingerprint|public key"):
            verify_bundle(path, [wrong])


def test_another_key_is_told(tmp_path: Path) -> None:
    path, _ = small_bundle(tmp_path, Key())
    result = verify_bundle(path, [Key(seed=2).fingerprint])
    assert result["verdicts"]["authentic"] == "no"
    assert [finding["kind"] for finding in result["findings"]] == ["key"]
    assert result["verdicts"]["unmodified"] == result["verdicts"]["complete_in_range"] == "yes"
    assert verify_bundle(path, [Key(seed=2).fingerprint, Key().fingerprint])["verdicts"]["authentic"] == "yes"


def test_withheld_payloads_are_counted_and_their_secret_is_not_given(tmp_path: Path) -> None:
    key = Key()
    desk, exchanges, _ = small(url_of(tmp_path), key)
    hidden = exchanges[1]
    path = bundle_of(desk, tmp_path / "e.zip", exchanges, withheld=frozenset({hidden.opened.stream}))
    result = verify_bundle(path, [key.fingerprint])
    assert result["findings"] == []
    assert result["counts"]["withheld"] == len(hidden.events)
    assert [one.get("withheld") for one in result["exchanges"]] == [None, len(hidden.events), None]
    kept = members(path)[f"streams/{hidden.id}.ev"]
    assert hidden.opened.secret not in kept
    assert b"EURUSD" not in kept


def test_what_is_not_sealed_is_no_evidence_yet(tmp_path: Path) -> None:
    desk = Desk(url_of(tmp_path), Key())
    sealed = desk.exchange("first", ["a"])
    desk.seal()
    later = desk.exchange("second", ["b"])
    desk.save()
    with pytest.raises(ConfigurationError, match="not sealed yet: look with `recorder verify`"):
        bundle_of(desk, tmp_path / "e.zip", [sealed, later])


def test_an_exchange_that_still_runs_comes_as_far_as_it_is_sealed(tmp_path: Path) -> None:
    key = Key()
    desk = Desk(url_of(tmp_path), key)
    running = desk.exchange("go on", ["a", "b"], ends=False)
    desk.seal()
    far = len(running.events)
    desk.end(running)
    desk.save()
    path = bundle_of(desk, tmp_path / "e.zip", [running])
    result = verify_bundle(path, [key.fingerprint])
    assert result["findings"] == []
    assert result["exchanges"][0]["events"] == far
    desk.seal()
    again = verify_bundle(bundle_of(desk, tmp_path / "f.zip", [running]), [key.fingerprint])
    assert again["findings"] == []
    assert again["exchanges"][0]["events"] == far + 1


def test_a_long_journal_comes_from_the_last_look_at_the_clock(tmp_path: Path) -> None:
    key = Key()
    desk = Desk(url_of(tmp_path), key)
    for number in range(600):
        desk.exchange(f"prompt {number}", ["a"])
        if number % 50 == 0:
            desk.sample()
    last = desk.exchange("the one", ["b"])
    desk.seal()
    path = bundle_of(desk, tmp_path / "e.zip", [last])
    result = verify_bundle(path, [key.fingerprint])
    assert result["findings"] == []
    journal = next(one for one in predicate_of(path)["streams"] if one["kind"] == "journal")
    assert journal["from"] > 1000
    assert len(members(path)[stream_file(path, "journal")]) < 60_000


def test_the_opening_of_a_long_conversation_comes_with_its_proof_alone(tmp_path: Path) -> None:
    key = Key()
    desk = Desk(url_of(tmp_path), key)
    talk = desk.conversation("days long")
    desk.seal()
    for number in range(30):
        desk.exchange(f"prompt {number}", ["a"])
        desk.seal()
    last = desk.exchange("the one", ["b"], talk)
    desk.seal()
    path = bundle_of(desk, tmp_path / "e.zip", [last], openings=(talk.opened.stream,))
    result = verify_bundle(path, [key.fingerprint])
    assert result["findings"] == []
    assert result["ledger"]["from"] > 30
    assert b"extra " in members(path)[f"proofs/{talk.id}.tlog-proof"]
