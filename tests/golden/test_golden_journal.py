"""A journal that was written stays readable, by recorder and by a reader made from the page alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from recorder.store.schema import upgrade
from tests.golden import reader
from tests.golden.make import expected
from tests.golden.test_golden import as_expected
from tests.journals import journals
from tests.recorded import streams

HERE = Path(__file__).parent
EXPECTED: list[dict[str, Any]] = json.loads((HERE / "journal.json").read_text())


def test_an_independent_reader_verifies_the_database() -> None:
    found = reader.verify(reader.database(HERE / "journal.db"))
    assert {stream.hex(): [as_expected(event) for event in events] for stream, events in found.items()} == {
        stream["stream"]: stream["events"] for stream in EXPECTED
    }


def test_an_independent_reader_verifies_the_spool() -> None:
    ((stream, events),) = reader.verify(reader.spool(HERE / "journal.spool")).items()
    whole = next(one["events"] for one in EXPECTED if one["stream"] == stream.hex())
    assert [as_expected(event) for event in events] == whole[: len(events)]
    assert [event["type"] for event in whole[len(events) :]] == ["exchange_closed", "clock_sampled", "instance_stopped"]


def test_recorder_reads_it_and_finds_it_true(tmp_path: Path) -> None:
    database = tmp_path / "journal.db"
    shutil.copy(HERE / "journal.db", database)
    upgrade(f"sqlite:///{database}")
    assert expected(database) == EXPECTED
    url = f"sqlite:///{database}"
    assert len(streams(url)) == 3  # each of which is as the journal says
    ((_, events),) = journals(url).items()
    assert [event.type for event in events] == [
        *("instance_started", "clock_sampled", "stream_written", "exchange_opened", "exchange_closed"),
        *("exchange_opened", "exchange_closed", "clock_sampled", "instance_stopped"),
    ]
