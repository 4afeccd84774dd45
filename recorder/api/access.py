"""The access trail: who took data out of a store, and when.

The ledger is the switch. A store without one is never changed by whoever reads it; one that has a ledger is kept to be
shown to others, who will ask who has had it (docs/design.md).
"""

from __future__ import annotations

from contextlib import closing

from recorder.api.acts import who, write_down
from recorder.clock import Clock
from recorder.errors import RecorderError
from recorder.store import open_store


def note_access(url: str, clock: Clock, action: str, of: str, result: str, *, seal: bool = True) -> str | None:
    """Record an access where the store has a ledger; return why it could not be recorded, or None.

    What was asked for is not refused for it: who may only read cannot write.

    :param action: ``export``, ``bundle``, ``verify``.
    :param of: what was asked for, by ids: it stays for ever, so it is no name of a conversation.
    :param result: what came of it, in a few words.
    :param seal: False leaves the sealing to whoever seals next.
    """
    try:
        with closing(open_store(url, write=False)) as store:
            if store.ledger.origin() is None:
                return None
        with closing(open_store(url, write=True)) as store:
            facts = {"action": action, "by": who(), "of": of, "result": result}
            write_down(store, clock, action, [("accessed", facts)], seal=seal)
    except (RecorderError, OSError) as error:
        return str(error)
    return None
