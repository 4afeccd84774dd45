"""A signing key that is rotated while programs record: they go on sealing, with the new one."""

from __future__ import annotations

import pytest
import requests

from recorder import Recorder
from recorder.ledger import keys
from tests.commands import run
from tests.loopback import Script, serve
from tests.recorded import ask
from tests.sealing import ORIGIN, check_receipt, check_sealed, founded


def _rotated(url: str) -> None:
    assert run("--store", url, "keys", "rotate").exit_code == 0


@pytest.mark.parametrize("drainer", ["thread", "process"])
def test_programs_that_record_take_the_new_key(store_url: str, drainer: str) -> None:
    founded(store_url)
    given = []
    with (
        serve(Script(chunks=2)) as server,
        Recorder(store_url, drainer=drainer, close_timeout=60) as recorder,
        Recorder(store_url, drainer=drainer, close_timeout=60) as other,
    ):
        sessions = [(one, one.mount(requests.Session())) for one in (recorder, other)]
        for turn in range(3):
            for one, session in sessions:
                receipt = one.seal(ask(session, server.url, str(turn)))
                assert receipt is not None
                given.append(receipt)
                key = keys.load(ORIGIN)
                assert key is not None
                receipt.check((key.public,), keys.verifier())
            _rotated(store_url)
        assert recorder.health().sealing.error is None
    assert run("--store", store_url, "verify").exit_code == 0
    leaves = check_sealed(store_url)
    for receipt in given:
        check_receipt(receipt.as_json(), leaves)


def test_a_key_that_is_lost_is_used_until_the_end(store_url: str) -> None:
    founded(store_url)
    with serve(Script(chunks=2)) as server, Recorder(store_url) as recorder:
        session = recorder.mount(requests.Session())
        assert recorder.seal(ask(session, server.url, "before"))
        keys.private_file(ORIGIN).unlink()
        assert recorder.seal(ask(session, server.url, "after"))
    check_sealed(store_url)
