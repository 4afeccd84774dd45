"""Streams that say to be older than their seal: what explains that is the word of whoever holds the ledger's key."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest

from recorder import Recorder
from recorder.clock import SystemClock, id_bytes
from recorder.core.events import StreamOpened, meta_text
from tests.attacker import Attacker, name
from tests.commands import run
from tests.erasing import conversed, recorded, verified
from tests.integration.test_foreign_key import written

HOUR = 3_600 * 10**9


def forged(url: str, kind: str, *, older: bool) -> bytes:
    """Put an exchange there that says to be old, and a journal that says that it was brought from elsewhere.

    :param older: its id says to be older than the ledger too.
    """
    recorded(url)
    with Attacker(url) as one:
        at, like = time.time_ns() - 3 * HOUR, one.exchanges()[0]
        stream = SystemClock().new_id()
        if older:
            stream = (at // 1_000_000).to_bytes(6) + stream[6:]
        dated = [
            event._replace(instance=stream[:-1] + b"\2", wall_ns=at + number)
            for number, event in enumerate(one.events(like))
        ]
        dated[0] = dated[0]._replace(meta=_without_number(dated[0].meta))
        one.add(StreamOpened(stream, stream[:-1] + b"\2", b"s" * 32), dated)
        last = one.events(stream)[-1]
        facts = {"stream": name(stream), "length": last.version, "head": last.hash.hex(), "kind": kind}
        written(one, ("stream_written", facts))
    assert run("seal", "--store", url).exit_code == 0
    return stream


def _without_number(meta: str | None) -> str:
    return meta_text({key: value for key, value in json.loads(meta or "{}").items() if key != "number"})


@pytest.mark.parametrize("kind", ["import", "copy"])
def test_what_nobody_signed_explains_nothing(store_url: str, kind: str) -> None:
    stream = forged(store_url, kind, older=False)
    found = verified(store_url)["findings"]
    assert [(one["kind"], one["exchange"], one["field"]) for one in found] == [("back_dated", name(stream), "wall_ns")]
    assert "a journal says that it was imported or copied, and no key of the ledger signed that" in found[0]["detail"]
    assert any("1 event streams were imported, or copied" in one for one in verified(store_url)["not_proved"])


def test_what_says_to_be_older_than_the_ledger_is_told_as_that(store_url: str) -> None:
    forged(store_url, "copy", older=True)
    shown = verified(store_url)
    assert shown["findings"] == []
    said = " ".join(shown["bounds"])
    assert "events say to be older than the ledger: nothing but themselves tells so" in said
    assert "tells why" not in said


def test_what_is_imported_or_copied_where_the_key_is_is_explained(store_url: str, tmp_path: Path) -> None:
    recorded(store_url)
    other = f"sqlite:///{tmp_path / 'other.db'}"
    with Recorder(other) as recorder:
        made = conversed(recorder)
    file = tmp_path / "e.har"
    exported = run("export", made.other, "--format", "har", "--store", other)
    assert exported.exit_code == 0
    file.write_text(re.sub('"20[0-9]{2}-[0-9]{2}-[0-9]{2}T', '"2020-02-20T', exported.stdout))
    assert run("import", str(file), "--store", store_url).exit_code == 0
    assert run("db", "copy", "--from", other, "--to", store_url, "--conversation", "annakarenina").exit_code == 0
    shown = verified(store_url)
    assert shown["findings"] == []
    assert any("a journal tells why" in one for one in shown["bounds"])
    with Attacker(store_url) as one:
        told = [json.loads(event.meta or "{}") for journal in one.journals() for event in one.events(journal)]
    brought = [facts for facts in told if facts.get("kind") in ("import", "copy")]
    assert {facts["kind"] for facts in brought} == {"import", "copy"}
    assert all("signature" in facts for facts in brought)
    assert id_bytes(made.hers[0]) in {id_bytes(facts["stream"]) for facts in brought}
