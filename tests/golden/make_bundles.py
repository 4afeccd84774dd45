"""Made the golden bundles of format v1, once: ``python -m tests.golden.make_bundles``.

They are never made again: a bundle that was handed over has to verify for ever, by the verifier in it and by every
later one. This file is kept to show where they come from, and to make those of a v2. It refuses to overwrite.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

from recorder import Store
from recorder.locations import SIGNING_KEY_VARIABLE
from recorder.store import open_store
from recorder.store.base import Anchored
from tests.bundles import members
from tests.sealed import BEGAN, ORIGIN, Desk, Key, Stream, erase, small, url_of

HERE = Path(__file__).parent
NAMES = ("v1-order", "v1-period", "v1-unsealed", "v1-gap")


def own_result(path: Path, folder: Path, *arguments: str) -> dict[str, Any]:
    """Return what the verifier in a bundle says of it, run where nothing is installed."""
    program = folder / f"{path.stem}-verify.py"
    program.write_bytes(members(path)["verify.py"])
    command = [sys.executable, "-I", "-S", str(program), str(path), "--json", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)
    assert not done.stderr, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _key_file(folder: Path, key: Key, seed: int = 1) -> None:
    secret = base64.b64encode(b"\1" + bytes([seed]) * 32).decode()
    path = folder / "signing.key"
    path.write_text(f"PRIVATE+KEY+{ORIGIN}+{key.public.key_id.hex()}+{secret}\n")
    path.chmod(0o600)
    os.environ[SIGNING_KEY_VARIABLE] = str(path)


def _anchor(url: str) -> None:
    with closing(open_store(url, write=True)) as store:
        size, note = store.ledger.last_checkpoint() or (0, "")
        evidence = json.dumps({"note": note}).encode() + note.encode()
        store.ledger.add_anchor(Anchored(bytes(15) + b"\1", size, "file:outside", BEGAN + 10**12, evidence))


def _erased(desk: Desk, stream: Stream) -> None:
    count = erase(desk.url, stream)
    eraser = Desk(desk.url, desk.key, family=7)
    facts = {"exchange": stream.id, "events": count, "bytes": 1000, "ground": "GDPR 17(1)(a)", "by": "dpo"}
    eraser.put(eraser.journal, "payload_erased", facts)
    eraser.put(eraser.journal, "instance_stopped")
    eraser.seal()


def _gap(desk: Desk) -> Stream:
    """Record an exchange of which the recorder could not keep everything, and one that is whole."""
    torn = desk.exchange("EURUSD?", ["Buy"], ends=False)
    loss = {"events": 12, "bytes": 4096, "from_ns": BEGAN, "to_ns": BEGAN + 10**6, "reason": "No space left on device"}
    desk.put(torn, "gap_recorded", loss)
    desk.end(torn)
    told = {"events": 12, "bytes": 4096, "reason": "No space left on device", "exchange": torn.id}
    desk.put(desk.journal, "events_dropped", told)
    desk.exchange("GBPUSD?", ["Sell"])
    desk.seal()
    return torn


def _first_three(folder: Path, key: Key) -> None:
    desk, exchanges, _ = small(url_of(folder), key)
    with Store(desk.url) as store:
        store.bundle(HERE / "v1-order.zip", order="12345")
    _erased(desk, exchanges[0])
    desk.exchange("later", ["x"])
    desk.seal()
    _anchor(desk.url)
    with Store(desk.url) as store:
        store.bundle(HERE / "v1-period.zip", since_ns=BEGAN, until_ns=BEGAN + 10**9, withhold=[exchanges[1].id])
    unsealed, _, _ = small(url_of(folder, "unsealed.db"))
    with Store(unsealed.url) as store:
        store.bundle(HERE / "v1-unsealed.zip", conversation="Wirtschaft €")


def _with_a_gap(folder: Path, key: Key) -> None:
    desk = Desk(url_of(folder, "gap.db"), key)
    torn = _gap(desk)
    with Store(desk.url) as store:
        store.bundle(HERE / "v1-gap.zip", exchange=torn.id)


#: What was made together: the first three with the format, the one with a gap when a loss was first told of.
_MADE = ((NAMES[:3], _first_three), (NAMES[3:], _with_a_gap))


def main() -> None:
    """Make the files that are not there yet.

    :raises FileExistsError: all are there.
    """
    missing = [(names, make) for names, make in _MADE if not any((HERE / f"{name}.zip").exists() for name in names)]
    if not missing:
        raise FileExistsError(f"{', '.join(NAMES)} are golden: they are never made again")
    key = Key()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        os.environ["XDG_DATA_HOME"] = os.environ["XDG_STATE_HOME"] = temporary
        _key_file(folder, key)
        for names, make in missing:
            make(folder, key)
            for name in names:
                keys = [] if name == "v1-unsealed" else ["--key", key.fingerprint]
                told = own_result(HERE / f"{name}.zip", folder, *keys)
                (HERE / f"{name}.json").write_text(json.dumps(told, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
