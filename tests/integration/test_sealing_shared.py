"""Several processes that seal one store, on one machine and on several."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NoReturn

import pytest
import requests

from recorder import Recorder
from recorder.core.heads import log_id
from recorder.ledger import keys
from recorder.ledger.outside import read_signed
from recorder.locations import signed_checkpoints
from recorder.store.ledgered import SqlLedger
from tests.loopback import Script, serve
from tests.recorded import ask, python
from tests.sealing import ORIGIN, check_receipt, check_sealed, founded

# Records streams in two threads, seals in the middle of each and at its end, and prints the receipts.
CHILD = """
import json, sys, threading, requests
from recorder import Recorder
from tests.recorded import ask

store, server, drainer, turns = sys.argv[1:]
printing = threading.Lock()

def tell(receipt):
    with printing:
        print(json.dumps(receipt.as_json()), flush=True)

with Recorder(store, drainer=drainer, close_timeout=60) as recorder:
    session = recorder.mount(requests.Session())
    def consume():
        for turn in range(int(turns)):
            with ask(session, server, str(turn)) as response:
                chunks = response.iter_content(None)
                next(chunks)
                tell(recorder.seal(response))
                list(chunks)
                tell(recorder.seal(response))
    threads = [threading.Thread(target=consume) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sealing = recorder.health().sealing
assert sealing.error is None, sealing
"""
TURNS = 4


def check(url: str, environments: list[dict[str, str]], drainer: str) -> None:
    """Have as many processes as there are environments seal a store at once; look at what comes of it."""
    with serve(Script(chunks=5, gap=0.002)) as server:
        running = [python(CHILD, url, server.url, drainer, str(TURNS), env=env) for env in environments]
        printed = []
        for process in running:
            out, err = process.communicate(timeout=120)
            assert process.returncode == 0, err
            assert "Traceback" not in err
            told = [json.loads(line) for line in out.splitlines()]
            assert len(told) == 2 * 2 * TURNS
            printed += told
    leaves = check_sealed(url, whole=len({env.get("XDG_STATE_HOME") for env in environments}) == 1)
    for receipt in printed:
        check_receipt(receipt, leaves)


@pytest.mark.parametrize("drainer", ["thread", "process"])
def test_two_processes_on_one_machine(store_url: str, drainer: str) -> None:
    check(founded(store_url), [{}, {}], drainer)


def test_machines_with_one_server_have_each_a_file_of_its_own(postgres_url: str, tmp_path: Path) -> None:
    """They have one key, and what one signed the others take over; nobody contradicts anybody."""
    homes = [tmp_path / name for name in ("one", "two", "three")]
    check(founded(postgres_url), [{"XDG_STATE_HOME": str(home)} for home in homes], "thread")
    signed = {}
    for home in homes:
        path = home / "recorder" / "ledgers" / signed_checkpoints(log_id(ORIGIN)).name
        for one in read_signed(ORIGIN, keys.known(ORIGIN), path):
            assert signed.setdefault(one.checkpoint.size, one.checkpoint.root) == one.checkpoint.root
    check(postgres_url, [{"XDG_STATE_HOME": str(home)} for home in homes[:2]], "thread")


def test_leaves_that_another_one_has_signed_with_the_same_key_are_not_looked_through_again(
    store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each barrier would read the leaf of the one before."""
    founded(store_url)
    with (
        serve(Script(chunks=2)) as server,
        Recorder(store_url) as one,
        Recorder(store_url) as other,
    ):
        sessions = [(each, each.mount(requests.Session())) for each in (one, other)]
        for each, session in sessions:
            assert each.seal(ask(session, server.url, "first")) is not None
        with monkeypatch.context() as patched:
            patched.setattr(SqlLedger, "leaves", _fails)
            for turn in range(3):
                for each, session in sessions:
                    assert each.seal(ask(session, server.url, str(turn))) is not None
    check_sealed(store_url)


def _fails(*args: object) -> NoReturn:
    raise AssertionError("leaves are read")
