"""Whoever has the key vouches for what was sealed late: recorded where the key was not, say, and sealed afterwards."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from recorder.api.acts import signing_key, who, write_down
from recorder.api.auditing import audit_store
from recorder.api.store import Store
from recorder.api.vouching import signed
from recorder.clock import Clock, id_bytes
from recorder.errors import ConfigurationError
from recorder.ledger.audit import Asked
from recorder.ledger.audit_journals import ACCESSED, SEALED_LATE
from recorder.store import open_store


def vouch_for_late(url: str, clock: Clock, ground: str) -> tuple[str, ...]:
    """Vouch for all that an audit calls back-dated because it was sealed late; return the ids of the event streams.

    It is said of what is sealed of them now: what is written to one of them later is back-dated as ever.

    :param ground: why they were sealed late; it is recorded, and shown by each audit.
    :raises ConfigurationError: the key is not here.
    """
    with Store(url) as store:
        found = audit_store(store.reader, Asked(now_ns=clock.wall_ns(), jobs=None)).findings
    late = sorted({one.exchange for one in found if (one.kind, one.field) == ("back_dated", "wall_ns")})
    with closing(open_store(url, write=True)) as log:
        key, reason = signing_key(log)
        if key is None:
            raise ConfigurationError(f"nobody can vouch for it here: {reason}")
        acts: list[tuple[str, dict[str, Any]]] = []
        for stream in late:
            leaf = log.ledger.last_leaf(id_bytes(stream))
            if leaf is not None:
                told = {"action": "seal", "by": who(), "of": stream, "result": SEALED_LATE, "ground": ground}
                acts.append((ACCESSED, {**told, "events": leaf.head.length, "head": leaf.head.hash.hex()}))
        if acts:
            write_down(log, clock, "seal", signed(acts, key))
    return tuple(str(told["of"]) for _, told in acts)
