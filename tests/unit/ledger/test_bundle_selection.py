"""What a bundle was made for is shown and checked; what it leaves out of what processes announced is counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from recorder.ledger.standalone.report import lines_of
from recorder.ledger.standalone.selection import made_for
from recorder.ledger.standalone.verify import verify_bundle
from tests.bundles import bundle_of, predicate_of, repacked, small_bundle
from tests.sealed import Key, small, url_of


def conversation(folder: Path) -> tuple[Path, Key]:
    key = Key()
    desk, exchanges, _ = small(url_of(folder), key)
    talk = desk.streams[1]
    selection = {"conversation": {"id": talk.id, "name": "Wirtschaft €"}}
    return bundle_of(desk, folder / "e.zip", exchanges, selection=selection, openings=(talk.opened.stream,)), key


def test_a_conversation_from_which_an_exchange_is_left_out_says_so(tmp_path: Path) -> None:
    """Whoever has the key can leave one out; the journal that goes with the others announces it."""
    path, key = conversation(tmp_path)
    whole = verify_bundle(path, [key.fingerprint])
    assert (whole["findings"], whole["announced_elsewhere"]) == ([], 0)
    assert not any("not in this bundle" in line for line in lines_of(whole))
    left = next(one["id"] for one in predicate_of(path)["streams"] if one["kind"] == "exchange")

    def without(told: dict[str, Any]) -> None:
        told["streams"] = [one for one in told["streams"] if one["id"] != left]
        told["counts"] = counts

    gone = {f"streams/{left}.ev": None, f"proofs/{left}.tlog-proof": None}
    counts: dict[str, int] = {}
    counted = verify_bundle(repacked(path, tmp_path / "c.zip", gone, without, (key.public, key.sign)))
    counts = counted["counts"]
    changed = verify_bundle(
        repacked(path, tmp_path / "d.zip", gone, without, (key.public, key.sign)), [key.fingerprint]
    )
    assert changed["verdicts"]["authentic"] == "yes"
    assert changed["announced_elsewhere"] == 1
    assert "1 exchange that these processes announced is not in this bundle" in list(lines_of(changed))
    for result in (whole, changed):
        assert any("that these are all exchanges of the conversation" in text for text in result["not_proved"])


def test_an_order_does_not_prove_that_it_is_all_that_led_to_it(tmp_path: Path) -> None:
    path, _ = small_bundle(tmp_path, Key())
    result = verify_bundle(path)
    assert any("all exchanges that led to it" in text for text in result["not_proved"])
    assert result["announced_elsewhere"] == 2
    assert "made for order 12345, and the exchanges that led to it" in list(lines_of(result))


@pytest.mark.parametrize(
    "selection",
    [
        None,
        [1],
        {},
        {"exchange": "01a22aec-0000-7000-8000-000000000000"},
        {"exchange": 1},
        {"conversation": {"id": "x"}},
        {"conversation": {"id": "x", "name": "other desk"}},
        {"conversation": {"name": "Wirtschaft €"}},
        {"link": {"kind": "order"}},
        {"period": ["a", "b"]},
        {"period": [1, 2, 3]},
        {"period": [0, 1]},
        {"exchange": "x", "period": [0, 1]},
    ],
)
def test_what_a_bundle_cannot_have_been_made_for_is_found(tmp_path: Path, selection: Any) -> None:
    path, key = conversation(tmp_path)

    def lie(told: dict[str, Any]) -> None:
        told["selection"] = selection

    signer = (key.public, key.sign)
    result = verify_bundle(repacked(path, tmp_path / "c.zip", {}, lie, signer), [key.fingerprint])
    found = {(one["kind"], one["field"]) for one in result["findings"]}
    assert found
    assert found <= {("manifest", "selection"), ("link", "selection"), ("omitted", "exchange_opened")}
    assert list(lines_of(result))


@pytest.mark.parametrize(
    ("period", "told"),
    [
        ((10**18, 2 * 10**18), "everything begun since 2001-09-09T01:46:40.000000000Z and before 2033-05-18T03:33:20"),
        ((10**18, 2**63 - 1), "everything begun since 2001-09-09T01:46:40.000000000Z"),
        ((0, 10**18), "everything begun before 2001-09-09T01:46:40.000000000Z"),
        ((0, 2**63 - 1), "everything"),
    ],
)
def test_a_period_is_told_without_an_end_that_nobody_gave(period: tuple[int, int], told: str) -> None:
    said = made_for({"period": list(period)})
    assert said.startswith(told)
    assert ("before" in said) is (period[1] < 2**63 - 1)
