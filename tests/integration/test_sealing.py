"""Sealing while a program records: on close, by the clock, by a barrier; by a thread and by a process."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import closing

import pytest
import requests

from recorder import Recorder
from recorder.clock import SystemClock, id_bytes
from recorder.core.heads import ENDED, OPEN, Head, Leaf
from recorder.core.notes import Checkpoint
from recorder.errors import ConfigurationError, LedgerConflict, NotFound
from recorder.ledger import keys
from recorder.ledger.outside import read_signed
from recorder.locations import signing_keys
from recorder.store import open_store
from tests.loopback import Script, serve
from tests.recorded import ask, journals, python, streams, until
from tests.sealing import ORIGIN, check_sealed

DRAINERS = ("thread", "process")


def leaves(url: str) -> list[Leaf]:
    """Return all leaves of a store's ledger, after comparing its newest checkpoint with the one outside."""
    with closing(open_store(url, write=False)) as store:
        signed = list(read_signed(ORIGIN, keys.known(ORIGIN)))
        assert store.ledger.last_checkpoint() == (signed[-1].checkpoint.size, signed[-1].note)
        for size, root in ((one.checkpoint.size, one.checkpoint.root) for one in signed):
            assert store.ledger.root(size) == root
        return list(store.ledger.leaves(0, store.ledger.size()))


def states(url: str, stream: bytes) -> list[int]:
    """Return the states in which a stream was sealed so far."""
    with closing(open_store(url, write=False)) as store:
        return [leaf.head.state for leaf in store.ledger.leaves_of(stream)]


def heads(url: str) -> dict[bytes, tuple[int, bytes]]:
    """Return length and last hash of every stream of a store."""
    found = streams(url) | journals(url)
    return {events[0].stream: (len(events), events[-1].hash) for events in found.values()}


def newest(found: list[Leaf]) -> dict[bytes, tuple[int, bytes]]:
    """Return length and hash of the newest leaf of each stream."""
    return {leaf.head.stream: (leaf.head.length, leaf.head.hash) for leaf in found}


@pytest.mark.parametrize("drainer", DRAINERS)
def test_whatever_was_recorded_is_sealed_when_the_recorder_is_closed(drainer: str, sealed_url: str) -> None:
    with serve(Script(chunks=5)) as server, Recorder(sealed_url, drainer=drainer) as recorder:
        session = recorder.mount(requests.Session())
        with recorder.conversation("desk", tags={"bot": "elion"}):
            for turn in range(3):
                assert ask(session, server.url, str(turn)).content
    assert newest(leaves(sealed_url)) == heads(sealed_url)


@pytest.mark.parametrize("drainer", DRAINERS)
def test_an_end_is_sealed_at_once_and_an_open_stream_within_a_second(drainer: str, sealed_url: str) -> None:
    script = Script(chunks=20, gap=0.1)
    with serve(script) as server, Recorder(sealed_url, drainer=drainer) as recorder:
        session = recorder.mount(requests.Session())
        response = ask(session, server.url, "x")
        lines = response.iter_lines()
        next(lines)
        identity = id_bytes(recorder.exchange(response) or "")
        until(lambda: states(sealed_url, identity) == [OPEN])
        list(lines)
        until(lambda: states(sealed_url, identity)[-1] == ENDED)


@pytest.mark.parametrize("drainer", DRAINERS)
def test_a_receipt_proves_what_was_recorded_so_far(drainer: str, sealed_url: str) -> None:
    with serve(Script(chunks=20, gap=0.02)) as server, Recorder(sealed_url, drainer=drainer) as recorder:
        session = recorder.mount(requests.Session())
        with ask(session, server.url, "x") as response:
            lines = response.iter_lines()
            next(lines)
            receipt = recorder.seal(response)
            assert receipt is not None
            stored = streams(sealed_url)[recorder.exchange(response) or ""]
            list(lines)
            after = recorder.seal(recorder.exchange(response))
    assert receipt.leaf.head.length >= 3
    assert stored[receipt.leaf.head.length - 1].hash == receipt.leaf.head.hash
    verify = keys.verifier()
    receipt.check(keys.known(ORIGIN), verify)
    assert after is not None
    after.check(keys.known(ORIGIN), verify)
    assert after.leaf.head.state == ENDED
    assert after.leaf.before == receipt.leaf.number + 1 or after.leaf.before > receipt.leaf.number
    assert len(receipt.tag) == 20
    assert len(receipt.proof) <= 2048


def test_a_link_is_recorded_and_sealed(sealed_url: str) -> None:
    with serve(Script(chunks=3)) as server, Recorder(sealed_url) as recorder:
        session = recorder.mount(requests.Session())
        response = ask(session, server.url, "x")
        assert response.content
        receipt = recorder.seal(response)
        assert receipt is not None
        link = recorder.link(kind="order", id="12345", exchange=response, tag=receipt.tag, symbol="EURUSD", size=3)
    (event,) = streams(sealed_url)[link or ""]
    assert event.type == "linked"
    assert event.facts == {
        "kind": "order",
        "id": "12345",
        "exchange": recorder.exchange(response),
        "tag": receipt.tag,
        "facts": {"symbol": "EURUSD", "size": 3},
    }
    assert event.stream in newest(leaves(sealed_url))


def test_without_a_ledger_nothing_is_sealed_and_a_barrier_says_what_to_do(store_url: str) -> None:
    with serve(Script(chunks=3)) as server, Recorder(store_url) as recorder:
        response = ask(recorder.mount(requests.Session()), server.url, "x")
        assert response.content
        with pytest.raises(ConfigurationError, match="recorder keys init"):
            recorder.seal(response)
        assert not recorder.health().sealing.on
        assert recorder.health().ok


def test_a_lost_key_stops_sealing_and_not_recording(sealed_url: str, caplog: pytest.LogCaptureFixture) -> None:
    for file in signing_keys().glob("*.key"):
        file.unlink()
    with serve(Script(chunks=3)) as server, Recorder(sealed_url) as recorder:
        response = ask(recorder.mount(requests.Session()), server.url, "x")
        assert response.content
        with pytest.raises(ConfigurationError, match=r"signing key of example\.com/bot is not here"):
            recorder.seal(response)
        assert recorder.flush()
        health = recorder.health()
    assert "not here" in (health.sealing.error or "")
    assert [record.levelname for record in caplog.records if "nothing is sealed" in record.message] == ["ERROR"]
    with closing(open_store(sealed_url, write=False)) as store:
        assert store.ledger.size() == 0


def test_a_store_that_was_put_back_is_not_signed_again(sealed_url: str, caplog: pytest.LogCaptureFixture) -> None:
    signing = keys.load(ORIGIN)
    assert signing is not None
    from recorder.ledger.outside import SignedCheckpoints

    outside = SignedCheckpoints(ORIGIN, keys.known(ORIGIN))
    with outside:  # what an earlier state of this machine signed, and the store does not have
        outside.append(signing.signed(Checkpoint(ORIGIN, 70, bytes(32)).text))
    outside.close()
    with serve(Script(chunks=3)) as server, Recorder(sealed_url) as recorder:
        response = ask(recorder.mount(requests.Session()), server.url, "x")
        assert response.content
        with pytest.raises(LedgerConflict, match="70 were signed"):
            recorder.seal(response)
        assert recorder.flush()
    assert any(record.levelname == "CRITICAL" for record in caplog.records)
    with closing(open_store(sealed_url, write=False)) as store:
        assert store.ledger.size() == 0
        assert store.ledger.last_checkpoint() is None


@pytest.mark.parametrize("missing", ["signature", "copy"])
def test_what_a_dead_sealer_left_is_completed(missing: str, sealed_url: str) -> None:
    """It died after the leaves were committed, or after the note was kept outside."""
    with closing(open_store(sealed_url, write=True)) as store:
        store.ledger.append([Head(bytes(16), 1, bytes(32))], 1)
        root = store.ledger.root(1)
    if missing == "copy":
        from recorder.ledger.outside import SignedCheckpoints

        signing = keys.load(ORIGIN)
        assert signing is not None
        outside = SignedCheckpoints(ORIGIN, keys.known(ORIGIN))
        with outside:
            outside.append(signing.signed(Checkpoint(ORIGIN, 1, root).text))
        outside.close()
    with Recorder(sealed_url):
        pass
    with closing(open_store(sealed_url, write=False)) as store:
        assert (1, root) in [
            (one.checkpoint.size, one.checkpoint.root) for one in read_signed(ORIGIN, keys.known(ORIGIN))
        ]
        assert next(size for size, _ in store.ledger.checkpoints()) == 1


def test_two_recorders_seal_into_one_ledger(sealed_url: str) -> None:
    with serve(Script(chunks=3)) as server, Recorder(sealed_url) as one, Recorder(sealed_url) as other:
        for recorder in (one, other, one, other):
            response = ask(recorder.mount(requests.Session()), server.url, "x")
            assert response.content
            assert recorder.seal(response) is not None
    assert newest(leaves(sealed_url)) == heads(sealed_url)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"kind": "Order!"}, "kind of a link"),
        ({"id": " "}, "id of a link"),
        ({"exchange": "12ab"}, "not the whole id"),
        ({"price": object()}, "what JSON can say"),
    ],
)
def test_a_link_that_cannot_be_recorded_is_refused(wrong: dict[str, object], told: str, sqlite_url: str) -> None:
    with Recorder(sqlite_url) as recorder:
        facts = {"kind": "order", "id": "1", "exchange": "01931d7e-0000-7000-8000-000000000000"} | wrong
        record: Callable[..., object] = recorder.link
        with pytest.raises((ConfigurationError, NotFound), match=told):
            record(**facts)


def test_cryptography_is_imported_only_where_there_is_a_key(sqlite_url: str) -> None:
    program = (
        "import sys; from recorder import Recorder\n"
        "with Recorder(sys.argv[1]) as recorder: path = recorder._path; path.tell('clock_sampled', {'exchanges': 0})\n"
        "print('cryptography' in sys.modules)"
    )
    for key, expected in ((False, "False\n"), (True, "True\n")):
        if key:
            keys.create(ORIGIN, SystemClock())
            with closing(open_store(sqlite_url, write=True)) as store:
                store.ledger.found(ORIGIN)
        with python(program, sqlite_url) as child:
            out, err = child.communicate(timeout=60)
        assert (out, err) == (expected, "")


def test_what_forked_workers_left_is_sealed_by_who_brings_it_to_the_store(sealed_url: str) -> None:
    """As those of multiprocessing do, they end without closing anything."""
    with serve(Script(chunks=3)) as server, Recorder(sealed_url) as recorder:
        session = recorder.mount(requests.Session())
        ask(session, server.url, "parent")
        for _ in range(2):
            if (child := os.fork()) == 0:
                ask(session, server.url, "child")
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
    check_sealed(sealed_url)


def test_an_answer_is_sealed_while_other_threads_fork(sealed_url: str) -> None:
    over = threading.Event()

    def fork() -> None:
        while not over.is_set():
            if (child := os.fork()) == 0:
                os._exit(0)
            os.waitpid(child, 0)

    with serve(Script(chunks=1)) as server, Recorder(sealed_url) as recorder:
        session = recorder.mount(requests.Session())
        forking = threading.Thread(target=fork)
        forking.start()
        try:
            for turn in range(40):
                assert recorder.seal(ask(session, server.url, str(turn)))
        finally:
            over.set()
            forking.join()


def test_who_acts_after_the_end_does_not_act_unrecorded(sealed_url: str) -> None:
    with serve(Script(chunks=1)) as server, Recorder(sealed_url) as recorder:
        exchange = recorder.exchange(ask(recorder.mount(requests.Session()), server.url, "x"))
        assert exchange is not None
    with pytest.raises(ConfigurationError, match="this recorder is closed"):
        recorder.seal(exchange)
    with pytest.raises(ConfigurationError, match="this recorder is closed"):
        recorder.link(kind="order", id="1", exchange=exchange)


def test_what_a_recorder_recovered_before_it_died_itself_is_sealed(sealed_url: str) -> None:
    """Its own streams do not tell of those that it closed for others."""
    dying = (
        "import os, sys, requests; from recorder import Recorder; from tests.recorded import ask\n"
        "from recorder.ledger.sealer import Sealer\n"
        "Sealer._seal = lambda *rest: os._exit(7)\n"  # before anything that it found is sealed
        "recorder = Recorder(sys.argv[1]); ask(recorder.mount(requests.Session()), sys.argv[2], 'x').content\n"
        "recorder.close()"
    )
    with serve(Script(chunks=3)) as server:
        for _ in range(2):
            with python(dying, sealed_url, server.url) as child:
                assert child.wait(60) == 7
    with Recorder(sealed_url) as recorder:
        assert len(recorder.recovered.instances) == 1
    assert len(journals(sealed_url)) == 3
    assert newest(leaves(sealed_url)) == heads(sealed_url)
