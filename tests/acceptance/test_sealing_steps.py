"""A process that dies between any two steps of a sealing: the next one completes what it had begun."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from itertools import cycle

import pytest

from recorder.ledger import keys
from recorder.ledger.outside import read_signed
from recorder.store import open_store
from tests.acceptance.test_kill_sealing import opened, recovered, sealed
from tests.loopback import Script, serve
from tests.recorded import python
from tests.sealing import ORIGIN, check_receipt, check_sealed, founded

# It seals one exchange, and ends in the middle of sealing a second one, as if it had been killed there: what it has
# written the system has, and nothing is tidied up.
CHILD = """
import json, os, sys, requests
from recorder import Recorder
from recorder.ledger import signing
from recorder.ledger.outside import SignedCheckpoints
from recorder.store import ledgered
from tests.recorded import ask

store, server, step = sys.argv[1:]
armed = False

def at(place):
    if armed and step == place:
        os._exit(7)

class Ledger(ledgered.SqlLedger):
    def grow(self, heads, *rest):
        at("nothing is done")
        grown = super().grow(heads, *rest)
        at("the leaves are committed")
        return grown

    def _insert(self, *parts):
        made = super()._insert(*parts)
        at("the leaves are written and not committed")
        return made

    def add_checkpoint(self, *parts):
        super().add_checkpoint(*parts)
        at("the note is copied")

class Outside(SignedCheckpoints):
    def append(self, note):
        at("the note is signed")
        if armed and step == "a part of the note is outside":
            os.write(self._file.fd, note.encode()[:-20])
            os._exit(7)
        super().append(note)
        at("the note is outside")

ledgered.SqlLedger, signing.SignedCheckpoints = Ledger, Outside
recorder = Recorder(store)
session = recorder.mount(requests.Session())
response = ask(session, server, "first")
response.content
print(json.dumps(recorder.seal(response).as_json()))
response = ask(session, server, "second")
lines = response.iter_lines()
next(lines)
recorder.seal(response)
recorder._path._mover._rounds.stop(10)  # nothing is sealed but what is asked for
recorder.seal(response)
print(recorder.health().sealing.size, flush=True)
recorder.link(kind="order", id="1", exchange=response)
armed = True
recorder.seal(response)
recorder.close()
"""

#: Where it dies, and whether what it had begun can be seen in the ledger, and outside.
STEPS = {
    "nothing is done": (False, False),
    "the leaves are written and not committed": (False, False),
    "the leaves are committed": (True, False),
    "the note is signed": (True, False),
    "a part of the note is outside": (True, False),
    "the note is outside": (True, True),
    "the note is copied": (True, True),
}


@pytest.mark.parametrize(("step", "complete"), list(zip(STEPS, cycle((opened, recovered, sealed)), strict=False)))
def test_what_was_begun_is_completed(step: str, complete: Callable[[str], None], store_url: str) -> None:
    founded(store_url)
    with serve(Script(chunks=8, gap=0.03)) as server:
        with python(CHILD, store_url, server.url, step) as child:
            out, err = child.communicate(timeout=60)
            assert child.returncode == 7, err
    receipt, before = map(json.loads, out.splitlines())
    with closing(open_store(store_url, write=False)) as store:
        size = store.ledger.size()
    (*_, last) = read_signed(ORIGIN, keys.known(ORIGIN))
    committed, kept = STEPS[step]
    assert (size > before) == committed
    assert (last.checkpoint.size == size) == (kept or not committed)
    complete(store_url)
    leaves = check_sealed(store_url, whole=complete is not sealed)
    check_receipt(receipt, leaves)
    if complete is sealed:
        opened(store_url)
        leaves = check_sealed(store_url)
