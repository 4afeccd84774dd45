"""The access trail: who took data out of a store, and when.

The ledger is the switch. A store without one is never changed by whoever reads it; one that has a ledger is kept to be
shown to others, who will ask who has had it (docs/design.md).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

from recorder.api.acts import who, write_down
from recorder.clock import Clock
from recorder.errors import RecorderError
from recorder.store import open_store


def note_access(url: str, clock: Clock, action: str, of: str, result: str) -> str | None:
    """Record an access where the store has a ledger; return why it could not be recorded, or None.

    What was asked for is not refused for it: who may only read cannot write.

    :param action: ``export``, ``bundle``, ``verify``.
    :param of: what was asked for, by ids: it stays for ever, so it is no name of a conversation.
    :param result: what came of it, in a few words.
    """
    try:
        record_access(url, clock, action, of, result)
    except (RecorderError, OSError) as error:
        return str(error)
    return None


def record_access(
    url: str,
    clock: Clock,
    action: str,
    of: str,
    result: str,
    seals: Callable[[str], bool] = lambda origin: True,
    unsealed: Callable[[str], None] = lambda reason: None,
) -> None:
    """Record an access as :func:`note_access` does, where it was asked to be recorded.

    :param seals: tells of the ledger of a name whether it may be sealed now.
    :param unsealed: is told why it is recorded and not sealed, where that is so.
    :raises RecorderError: it could not be recorded; so does what the system raises.
    """
    with closing(open_store(url, write=False)) as store:
        origin = store.ledger.origin()
    if origin is None:
        return
    with closing(open_store(url, write=True)) as store:
        facts = {"action": action, "by": who(), "of": of, "result": result}
        write_down(store, clock, action, [("accessed", facts)], seal=seals(origin), unsealed=unsealed)
