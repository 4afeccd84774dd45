"""Verifying while programs record, and after they died: what is on its way is not missing."""

from __future__ import annotations

import threading
from contextlib import closing

import pytest
import requests

from recorder import Recorder
from recorder.api.auditing import audit_store
from recorder.api.reader import Reader
from recorder.clock import SystemClock
from recorder.core.events import Event
from recorder.ledger.audit import Asked
from recorder.ledger.report import Report
from tests.attacker import Attacker
from tests.loopback import Script, serve
from tests.recorded import ask, until


def audited(url: str) -> Report:
    with closing(Reader(url)) as reader:
        return audit_store(reader, Asked(now_ns=SystemClock().wall_ns()))


def record(url: str, done: threading.Event, turns: int | None = None) -> None:
    """Record exchanges until told to stop."""
    with serve(Script(chunks=3)) as server, Recorder(url) as recorder:
        session = recorder.mount(requests.Session())
        turn = 0
        while not done.is_set() and turn != turns:
            turn += 1
            with recorder.conversation(f"desk {turn}"):
                assert ask(session, server.url, str(turn)).content


def test_a_store_that_is_being_recorded_to_lacks_nothing(sealed_url: str) -> None:
    done = threading.Event()
    threads = [threading.Thread(target=record, args=(sealed_url, done)) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        until(lambda: audited(sealed_url).exchanges > 0)
        reports = [audited(sealed_url) for _ in range(3)]
    finally:
        done.set()
        for thread in threads:
            thread.join()
    last = audited(sealed_url)
    assert [report.findings for report in (*reports, last)] == [()] * 4
    assert last.exchanges > reports[0].exchanges
    assert last.verdicts["fresh"] == "yes"


def said_otherwise(events: list[Event]) -> list[Event]:
    return [event._replace(body=b"data: no\n\n" if event.version == 4 else event.body) for event in events]


@pytest.mark.parametrize("what", ["edit", "cut", "remove"])
def test_what_was_sealed_on_close_cannot_be_rewritten_with_its_journal(what: str, sealed_url: str) -> None:
    record(sealed_url, threading.Event(), turns=2)
    assert audited(sealed_url).findings == ()
    with Attacker(sealed_url) as attacker:
        exchange = attacker.exchanges()[-1]
        if what == "remove":
            attacker.remove(exchange)
        else:
            attacker.change(exchange, said_otherwise if what == "edit" else lambda events: events[:-2])
        attacker.fix_journals()
    report = audited(sealed_url)
    assert {finding.kind for finding in report.findings} & {"leaf", "omitted"}
    assert all("leaf" in finding.detail for finding in report.findings)


def test_a_journal_that_vanished_is_missed_by_its_exchanges_and_by_the_next_one(sealed_url: str) -> None:
    for _ in range(2):
        record(sealed_url, threading.Event(), turns=1)
    with Attacker(sealed_url) as attacker:
        first = attacker.journals()[0]
        attacker.remove(first)
        attacker.run("DELETE FROM ledger_leaves")  # not to be told by the ledger
        attacker.run("DELETE FROM ledger_nodes")
        attacker.run("DELETE FROM checkpoints")
    details = [finding.detail for finding in audited(sealed_url).findings if finding.kind == "omitted"]
    assert any("it has a number in the journal" in detail for detail in details)
    assert any("of the journal" in detail and "all of it was removed" in detail for detail in details)
