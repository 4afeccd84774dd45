"""From a program that records, seals and links, to a file that a stranger verifies: nothing is made up here."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests

from recorder import Recorder, Store
from recorder.clock import id_bytes
from recorder.ledger.standalone.verify import verify_bundle
from recorder.store import open_store
from tests.bundles import members, predicate_of
from tests.commands import run
from tests.loopback import Script, serve
from tests.recorded import ask, python, until

KILLED = """
import os, sys
import requests
from recorder import Recorder
from tests.recorded import ask

recorder = Recorder(sys.argv[1])
session = recorder.mount(requests.Session())
response = ask(session, sys.argv[2], "killed")
pieces = response.iter_content(1)
next(pieces)
recorder.seal(response)
print(recorder.exchange(response), flush=True)
os.kill(os.getpid(), 9)
"""


def founded(url: str) -> str:
    """Found the ledger of a store; return the fingerprint of its key as people are shown it."""
    assert run("--store", url, "keys", "init", "--origin", "example.test/desk").exit_code == 0
    shown = json.loads(run("--store", url, "keys", "show", "--json").stdout)
    return str(shown["key"]["fingerprint"])


def bundled(url: str, out: Path, **selection: Any) -> Path:
    with Store(url) as store:
        store.bundle(out, replace=True, **selection)
    return out


def test_an_order_from_the_first_byte_to_a_verified_bundle(tmp_path: Path, store_url: str) -> None:
    fingerprint = founded(store_url)
    with serve(Script(chunks=5)) as server, Recorder(store_url) as recorder:
        session = recorder.mount(requests.Session())
        assert ask(session, server.url, "before, and not of the order").content
        with recorder.conversation("desk €"):
            response = ask(session, server.url, "buy?")
            assert response.content
            exchange = recorder.exchange(response)
            receipt = recorder.seal(response)
            assert receipt is not None
            recorder.link(kind="order", id="12345", exchange=response, tag=receipt.tag, side="buy")
        assert ask(session, server.url, "after it").content
    path = bundled(store_url, tmp_path / "evidence.zip", order="12345")
    result = verify_bundle(path, [fingerprint])
    assert result["findings"] == []
    assert result["verdicts"]["authentic"] == result["verdicts"]["complete_in_range"] == "yes"
    assert [one["id"] for one in result["exchanges"]] == [exchange]
    kinds = sorted(one["kind"] for one in predicate_of(path)["streams"])
    assert kinds == ["conversation", "exchange", "journal", "link"]
    assert "buy?" in members(path)["transcript.md"].decode()
    period = verify_bundle(bundled(store_url, tmp_path / "all.zip", since_ns=0), [fingerprint])
    assert period["findings"] == []
    assert len(period["exchanges"]) == 3


def test_a_bundle_while_the_program_records_on(tmp_path: Path, store_url: str) -> None:
    fingerprint = founded(store_url)
    with serve(Script(chunks=40, gap=0.05)) as server, Recorder(store_url) as recorder:
        session = recorder.mount(requests.Session())
        response = ask(session, server.url, "long")
        pieces = response.iter_content(1)
        next(pieces)
        exchange = recorder.exchange(response)
        assert exchange is not None
        receipt = recorder.seal(response)
        assert receipt is not None
        path = bundled(store_url, tmp_path / "evidence.zip", exchange=exchange)
        result = verify_bundle(path, [fingerprint])
        assert result["findings"] == []
        far = result["exchanges"][0]["events"]
        for _ in pieces:
            pass
    later = verify_bundle(bundled(store_url, path, exchange=exchange), [fingerprint])
    assert later["findings"] == []
    assert later["exchanges"][0]["events"] > far


def test_what_a_killed_program_left_comes_with_the_journal_of_who_closed_it(tmp_path: Path, store_url: str) -> None:
    fingerprint = founded(store_url)
    with serve(Script(chunks=200, gap=0.05)) as server:
        program = python(KILLED, store_url, server.url)
        out, errors = program.communicate(timeout=60)
        exchange = out.strip()
        assert exchange, errors
        with Recorder(store_url):
            until(lambda: _closed(store_url, exchange))
    path = bundled(store_url, tmp_path / "evidence.zip", exchange=exchange)
    result = verify_bundle(path, [fingerprint])
    assert result["findings"] == []
    kinds = [one["kind"] for one in predicate_of(path)["streams"]]
    assert kinds.count("journal") == 2


def _closed(url: str, exchange: str) -> bool:
    with closing(open_store(url, write=False)) as store:
        last = store.head(id_bytes(exchange))
        return last is not None and last.type == "process_died"


@pytest.mark.parametrize("rotated", [False, True])
def test_a_store_that_gets_its_key_later_has_evidence_from_then_on(
    tmp_path: Path, sqlite_url: str, rotated: bool
) -> None:
    with serve(Script(chunks=3)) as server:
        with Recorder(sqlite_url) as recorder:
            first = ask(recorder.mount(requests.Session()), server.url, "without a key")
            assert first.content
            before = recorder.exchange(first)
        fingerprint = founded(sqlite_url)
        told = run("--store", sqlite_url, "bundle", "--exchange", str(before), "-o", str(tmp_path / "before.zip"))
        assert told.exit_code == 2
        assert "is not sealed yet: look with `recorder verify` whose it is, then run `recorder seal`" in told.stderr
        with Recorder(sqlite_url) as recorder:  # seals it as well: it is less than a minute old
            assert ask(recorder.mount(requests.Session()), server.url, "with a key").content
        if rotated:
            assert run("--store", sqlite_url, "keys", "rotate").exit_code == 0
            with Recorder(sqlite_url) as recorder:
                assert ask(recorder.mount(requests.Session()), server.url, "with another key").content
    with Store(sqlite_url) as store:
        ids = [row["id"] for row in store.exchanges()]
    newest = ids[0]
    result = verify_bundle(bundled(sqlite_url, tmp_path / "e.zip", exchange=newest), [fingerprint])
    if rotated:
        assert [finding["kind"] for finding in result["findings"]] == ["key"]
        shown = json.loads(run("--store", sqlite_url, "keys", "show", "--json").stdout)
        again = verify_bundle(tmp_path / "e.zip", [shown["key"]["fingerprint"]])
        assert (again["findings"], again["verdicts"]["authentic"]) == ([], "yes")
    else:
        assert result["findings"] == []
    later = verify_bundle(bundled(sqlite_url, tmp_path / "before.zip", exchange=str(before)))
    assert (later["findings"], later["verdicts"]["complete_in_range"]) == ([], "yes")
