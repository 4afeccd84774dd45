"""A loss that the recorder itself noted is told by whoever verifies a bundle, by its cover and its transcripts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from recorder import Store
from recorder.ledger.standalone.report import lines_of
from recorder.ledger.standalone.verify import verify_bundle
from tests.bundles import bundle_of, members
from tests.commands import run
from tests.golden.make_bundles import own_result
from tests.sealed import BEGAN, Desk, Key, Stream, url_of

LOSS = {"events": 12, "bytes": 4096, "from_ns": BEGAN, "to_ns": BEGAN + 1, "reason": "No space left on device"}


def lossy(url: str, key: Key | None, *, dropped: dict[str, object] | None = None) -> tuple[Desk, Stream, Stream]:
    """Record an exchange of which something is lost, and one that is whole."""
    desk = Desk(url, key)
    torn = desk.exchange("EURUSD?", ["Buy"], ends=False)
    desk.put(torn, "gap_recorded", LOSS)
    desk.end(torn)
    if dropped is not None:
        desk.put(desk.journal, "events_dropped", {"exchange": torn.id, **dropped})
    whole = desk.exchange("GBPUSD?", ["Sell"])
    desk.seal() if key is not None else desk.save()
    return desk, torn, whole


@pytest.mark.parametrize("key", [Key(), None], ids=["sealed", "unsealed"])
def test_a_bundle_with_a_gap_is_not_complete(tmp_path: Path, key: Key | None) -> None:
    desk, torn, whole = lossy(url_of(tmp_path), key, dropped={"events": 12, "reason": "full"})
    path = bundle_of(desk, tmp_path / "e.zip", [torn, whole])
    result = verify_bundle(path)
    assert (result["findings"], result["verdicts"]["complete_in_range"]) == ([], "no")
    assert (result["gaps"], result["dropped"]) == (1, 12)
    assert [one.get("gaps") for one in result["exchanges"]] == [1, None]
    shown = "\n".join(lines_of(result))
    assert "1 gap: the recorder itself says that something could not be kept" in shown
    assert "12 events lost, as the journals say" in shown
    assert own_result(path, tmp_path) == result


def test_one_of_what_is_whole_is_complete(tmp_path: Path) -> None:
    key = Key()
    desk, torn, whole = lossy(url_of(tmp_path), key, dropped={"events": 12, "reason": "full"})
    result = verify_bundle(bundle_of(desk, tmp_path / "e.zip", [whole]), [key.fingerprint])
    assert (result["gaps"], result["dropped"]) == (0, 0)
    assert result["verdicts"]["complete_in_range"] == "yes"
    withheld = bundle_of(desk, tmp_path / "w.zip", [torn], withheld=frozenset({torn.opened.stream}))
    assert verify_bundle(withheld)["verdicts"]["complete_in_range"] == "no"


def test_a_loss_that_names_no_exchange_counts(tmp_path: Path) -> None:
    desk = Desk(url_of(tmp_path), Key())
    desk.put(desk.journal, "events_dropped", {"events": 3, "reason": "full"})
    exchange = desk.exchange("EURUSD?", ["Buy"])
    desk.seal()
    result = verify_bundle(bundle_of(desk, tmp_path / "e.zip", [exchange]))
    assert (result["dropped"], result["verdicts"]["complete_in_range"]) == (3, "no")


def test_the_journal_comes_as_far_as_it_tells_of_the_loss(tmp_path: Path) -> None:
    desk = Desk(url_of(tmp_path), Key())
    torn = desk.exchange("EURUSD?", ["Buy"])
    desk.exchange("GBPUSD?", ["Sell"])
    desk.put(desk.journal, "events_dropped", {"events": 2, "reason": "full", "exchange": torn.id})
    desk.seal()
    assert verify_bundle(bundle_of(desk, tmp_path / "e.zip", [torn]))["dropped"] == 2


def test_its_cover_and_transcripts_say_so_as_does_recorder_verify(tmp_path: Path) -> None:
    desk, torn, _ = lossy(url_of(tmp_path), None, dropped={"events": 12, "reason": "full"})
    path = tmp_path / "e.zip"
    with Store(desk.url) as store:
        store.bundle(path, exchange=torn.id)
    pages = {name: data.decode() for name, data in members(path).items() if name.endswith((".html", ".md"))}
    assert "part of 1 of them; the recorder itself noted" in pages["COVER.html"]
    assert "events: 12" in pages["COVER.html"]
    for name in ("transcript.html", "transcript.md"):
        assert "12 events of it could not be kept (No space left on device)" in pages[name], name
    stored = json.loads(run("verify", "--json", "--store", desk.url).stdout)
    bundled = json.loads(run("verify", "--bundle", str(path), "--json").stdout)
    assert stored["verdicts"]["complete_in_range"] == bundled["verdicts"]["complete_in_range"] == "no"
    assert (stored["gaps"], stored["journals"]["dropped"]) == (bundled["gaps"], bundled["dropped"]) == (1, 12)
