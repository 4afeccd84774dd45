"""What commands that hand data out leave in the access trail."""

from __future__ import annotations

from recorder.api.access import note_access
from recorder.api.store import Store
from recorder.api.threaded import Found
from recorder.cli.failures import warn
from recorder.cli.naming import resolve
from recorder.clock import SystemClock


def note(
    url: str,
    action: str,
    result: str,
    identity: str | None = None,
    otherwise: str = "everything",
    *,
    whole: bool = False,
) -> None:
    """Record an access where the store has a ledger; warn where that cannot be done.

    :param action: ``export``, ``bundle``.
    :param result: what came of it, in a few words.
    :param identity: what was asked for, as it was given; recorded is the id that it stands for.
    :param otherwise: what was asked for where that has no id.
    :param whole: it was the conversation that the exchange of this id is in.
    """
    of = otherwise
    if identity is not None:
        with Store(url) as store:
            found = resolve(store, identity)
            if whole and found.kind == "exchange":
                found = Found("conversation", store.conversation_of(found.id)[0])
        of = f"{found.kind} {found.id}"
    why = note_access(url, SystemClock(), action, of, result)
    if why is not None:
        warn(f"this access is not recorded in the store: {why}")
