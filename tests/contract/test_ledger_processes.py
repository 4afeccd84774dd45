"""Several processes that append to one ledger, and some that are killed while they do."""

from __future__ import annotations

import random
import signal
import time
from contextlib import closing

from recorder.store import open_store
from recorder.store.sql import SqlStore
from tests.building import identity
from tests.contract.sealed import ORIGIN, check_whole
from tests.recorded import python

#: Appends the heads of streams that others seal too, and prints the leaves when they are committed.
APPENDING = """
import random, sys
from recorder.store import open_store
from tests.contract.sealed import NOW, head
url, first, rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
chance, lengths = random.Random(first), {}
store = open_store(url, write=True)
for turn in range(rounds):
    heads = []
    for _ in range(chance.choice((1, 1, 3, 17))):
        stream = chance.choice((first, chance.randrange(20)))
        lengths[stream] = lengths.get(stream, 0) + chance.randint(1, 4)
        heads.append(head(stream, lengths[stream]))
    for leaf in store.ledger.append(heads, NOW + turn):
        print(leaf.number, leaf.head.stream.hex(), leaf.head.length, leaf.before, flush=True)
store.close()
"""


def test_several_processes_append_without_a_gap(store: SqlStore, store_url: str) -> None:
    store.ledger.found(ORIGIN)
    running = [python(APPENDING, store_url, str(1000 + number), "40") for number in range(3)]
    printed = []
    for process in running:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        printed += [line.split() for line in out.splitlines()]
    leaves = check_whole(store)
    told = [[str(one.number), one.head.stream.hex(), str(one.head.length), str(one.before)] for one in leaves]
    assert sorted(printed, key=lambda one: int(one[0])) == told
    assert len(told) > 120
    assert all(store.ledger.last_leaf(identity(1000 + number)) is not None for number in range(3))


def test_a_process_that_is_killed_leaves_whole_appends(store: SqlStore, store_url: str) -> None:
    store.ledger.found(ORIGIN)
    chance, printed = random.Random(7), 0
    for turn in range(8):
        process = python(APPENDING, store_url, str(2000 + turn), "100000")
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(chance.random() / 20)
        process.send_signal(signal.SIGKILL)
        out, _ = process.communicate(timeout=60)
        acknowledged = [parts for line in out.splitlines() if len(parts := line.split()) == 4]  # the last may be torn
        with closing(open_store(store_url, write=False)) as after:
            leaves = check_whole(after)
            for number, stream, length, _ in acknowledged[:-1]:
                assert leaves[int(number)].head.stream.hex() == stream
                assert leaves[int(number)].head.length == int(length)
        assert len(leaves) > printed
        printed = len(leaves)
    store.ledger.append([], 0)
    assert len(check_whole(store)) == printed
