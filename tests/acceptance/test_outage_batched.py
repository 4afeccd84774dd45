"""Durability ``batched`` on a disk that is full for longer than memory lasts: every loss is told."""

from __future__ import annotations

import json

import pytest

from tests.acceptance.test_outage import FULL_DISK, _mounting
from tests.commands import run
from tests.loopback import Script, serve
from tests.recorded import end, python, streams

PROGRAM = (
    FULL_DISK.split("told = {}\n")[0].replace("sys.argv[1:]", "sys.argv[1:5]")
    + """
told = {"got": {}, "took": []}
recorder = Recorder(store, spool_wait=0.1, durability=durability)
session = recorder.mount(requests.Session())
ask(session, server, "before").content
recorder.flush()
fill()
for number in range(50):
    started = time.monotonic()
    response = ask(session, server, f"during {number}")
    told["got"][recorder.exchange(response)] = len(response.content)
    told["took"].append(time.monotonic() - started)
    if recorder.health().spool_error is None:
        fill()
if sys.argv[5] == "emptied":
    free()
    while recorder.health().unreported_gaps:
        time.sleep(0.01)
recorder.close()
told["lost"] = recorder.health().lost_events
told["left"] = sorted(path.name for path in place.glob("*") if path.name != "filler")
told["log"] = log
print(json.dumps(told))
"""
)


@pytest.mark.parametrize("at_the_end", ["emptied", "full"])
def test_a_disk_that_is_full_for_long_costs_nothing_and_every_loss_has_its_gap(at_the_end: str, store_url: str) -> None:
    script = Script(chunks=100, padding=2500)
    how = ("batched", "mounted", at_the_end)
    with serve(script) as server, python(PROGRAM, store_url, server.url, *how, under=_mounting()) as child:
        out, err = child.communicate(timeout=60)
    assert (child.returncode, err) == (0, "")
    told = json.loads(out)
    took = sorted(told["took"])
    assert took[-1] < 1.0
    assert sum(told["took"][-10:]) < 2.0 + 5 * sum(told["took"][:10])  # no dearer with all that is held

    found, lost = streams(store_url), 0
    for exchange, size in told["got"].items():
        events = found[exchange]
        gaps = [event.facts for event in events if event.type == "gap_recorded"]
        there = sum(len(event.body or b"") for event in events if event.type == "chunk_received")
        assert sum(gap["bytes"] for gap in gaps) >= size - there
        assert bool(gaps) == (there < size)
        assert end(events).type == "response_completed"
        lost += sum(gap["events"] for gap in gaps)
    assert lost == told["lost"] > 100
    verified = run("verify", "--store", store_url, "--json")
    assert json.loads(verified.stdout)["findings"] == []

    said = [f"{level} {message}" for level, message in told["log"]]
    assert len([line for line in said if "events are being lost until it can be written" in line]) == 1
    lost_told = [line for line in said if f"{lost} events were lost; the exchanges say so" in line]
    assert len(lost_told) == (at_the_end == "full")
    for false in ("written nowhere", "bytes stay in", "no room", "damaged"):
        assert not any(false in line for line in said)
