"""Where something belonged that is erased: its record keeps it, since what is left of the payloads does not tell.

Without it nobody could say that a hold of the conversation forbade an erasure, nor which exchange is missing on the way
to an order. Ids are kept, and of what a link named a digest: names, tags and facts go with the payloads.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from recorder.api.holding import is_closed, keeping
from recorder.api.homes import Homes
from recorder.api.store import Store
from recorder.clock import id_text
from recorder.store.erased import thing_digest
from recorder.store.linked import LinkRow


def belonging(
    store: Store, exchanges: Iterable[str], openings: Iterable[str], links: Sequence[LinkRow]
) -> dict[str, dict[str, Any]]:
    """Return, by the ids of event streams, what their ``payload_erased`` says beside who erased them and why.

    :param exchanges, openings, links: what is to be erased, and is there yet.
    """
    homes = Homes(store, keeping(store).conversations)
    told: dict[str, dict[str, Any]] = {one: _of_exchange(store, one, homes) for one in exchanges}
    told |= {one: {"conversations": [one]} for one in openings}
    for row in links:
        exchange = id_text(row.exchange)
        of = told.get(exchange) or _of_exchange(store, exchange, homes)
        linked = {"kind": row.kind, "thing": thing_digest(row.stream, row.kind, row.id), "exchange": exchange}
        told[id_text(row.stream)] = {"linked": linked, **{name: of[name] for name in of if name == "conversations"}}
    return told


def _of_exchange(store: Store, exchange: str, homes: Homes) -> dict[str, Any]:
    if is_closed(store, exchange):  # what it belongs to is sealed as well
        return {}
    home, before = store.conversation_of(exchange)
    told: dict[str, Any] = {"conversations": [home, *sorted(homes.of(exchange) - {home})]}
    if before is not None:
        told["follows"] = before
    thread = store.threaded.conversation(home)
    after = sorted(one for one, parent in thread.parents.items() if parent == exchange)
    told |= {"followed_by": after} if after else {}
    # Its id goes with it, and nothing that goes on from it leads to what began beside it, as another attempt does.
    beside = [one for one in thread.exchanges if one != exchange and one not in thread.parents]
    return told | ({"beside": beside} if beside and home == exchange else {})
