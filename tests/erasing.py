"""A store in which somebody's conversation is to be erased, and what has to be true of it whatever happened."""

from __future__ import annotations

import json
from contextlib import closing
from typing import Any, NamedTuple

import requests

from recorder import Recorder
from recorder.core.chain import ChainVerifier
from recorder.projections.audit import audit_rows
from recorder.projections.runner import project, rebuild_all
from recorder.store import open_store
from recorder.store.erased import erased_of
from recorder.store.projected import SqlProjected
from tests.commands import run
from tests.contract.sealed import ORIGIN, check_whole
from tests.journals import journals
from tests.loopback import Script, serve
from tests.recorded import ask, traces

#: What is to be gone: words of a prompt, of a conversation's name, its tags and a link.
WORDS = ("Zwetschgenknoedel", "annakarenina", "tagofhers", "symbolofhers")
SAID = [trace for word in WORDS for trace in traces(word)]
GROUND = "request of the person, art. 17"


class Recorded(NamedTuple):
    """Ids of the exchanges of the conversation ``annakarenina``, and of somebody else's."""

    hers: list[str]
    other: str


def recorded(url: str) -> Recorded:
    """Record a conversation of two exchanges with a link, and an exchange of somebody else."""
    assert run("keys", "init", "--origin", ORIGIN, "--store", url).exit_code == 0
    with Recorder(url) as recorder:
        return conversed(recorder, symbol="symbolofhers")


def conversed(recorder: Recorder, **facts: str) -> Recorded:
    """Record them, with a link to the second where *facts* are given."""
    with serve(Script(chunks=3)) as server:
        session = recorder.mount(requests.Session())
        hers = []
        with recorder.conversation("annakarenina", tags={"who": "tagofhers"}):
            for prompt in ("Zwetschgenknoedel?", "More Zwetschgenknoedel!"):
                response = ask(session, server.url, prompt)
                assert response.content
                hers.append(recorder.exchange(response) or "")
            if facts:
                recorder.link(kind="order", id="1", exchange=response, **facts)
        response = ask(session, server.url, "What of the others?")
        assert response.content
        return Recorded(hers, recorder.exchange(response) or "")


def erase(url: str, *arguments: str) -> None:
    """Erase, which must leave nothing."""
    result = run("erase", *arguments, "--ground", GROUND, "--yes", "--store", url)
    assert result.exit_code == 0, result.output + result.stderr


def told_erasures(url: str) -> list[dict[str, object]]:
    """Return the facts of every ``payload_erased``."""
    return [e.facts for events in journals(url).values() for e in events if e.type == "payload_erased"]


def verified(url: str) -> dict[str, Any]:
    """Return what ``recorder verify`` says."""
    shown: dict[str, Any] = json.loads(run("verify", "--views", "--json", "--store", url).stdout)
    return shown


def check_proofs(url: str) -> None:
    """Check every chain with what is left of payloads, the authority of what is not, the ledger, and the rows."""
    assert verified(url)["findings"] == []
    told = {str(facts["exchange"]).replace("-", ""): facts["events"] for facts in told_erasures(url)}
    with closing(open_store(url, write=True)) as store:
        for opened, events in store.walk():
            assert opened is not None
            verifier, left = ChainVerifier(opened), erased_of(store, opened.stream)
            for event in events:
                verifier.feed(event, left.get(event.version))
            assert not left or told[opened.stream.hex()] == len(left)
        check_whole(store)
        project(store, SqlProjected(store))
        assert audit_rows(store).findings == []
        before = _rows(url)
        rebuild_all(store, SqlProjected(store))
    assert _rows(url) == before


def _rows(url: str) -> dict[str, list[tuple[object, ...]]]:
    tables = {"exchange_rows": "*", "openings": "*", "link_rows": "*", "call_rows": "*"}
    tables["message_rows"] = "key, exchange, started_ns, answered, place, follows, thread_key, role, text, rest, finish"
    with closing(open_store(url, write=False)) as store, store.reading() as connection:
        return {
            name: sorted(map(tuple, connection.exec_driver_sql(f"SELECT {columns} FROM {name}")), key=repr)
            for name, columns in tables.items()
        }
