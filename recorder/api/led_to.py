"""Which exchanges led to something outside: the same ones for whoever traces it and for whoever proves it."""

from __future__ import annotations

from recorder.api.store import Store
from recorder.clock import id_bytes, id_text
from recorder.errors import NotFound
from recorder.store.linked import LinkRow


def led_to(store: Store, row: LinkRow) -> list[str]:
    """Return the ids of the exchanges that led to what a link names, in the order in which they were sent.

    They are those of the conversation of the exchange that it names, up to that one. What was begun after the link led
    to nothing.

    :raises NotFound: nothing is stored of the exchange.
    """
    exchange = id_text(row.exchange)
    home, _ = store.conversation_of(exchange)
    try:
        every = store.threaded.conversation(home).exchanges
    except NotFound as error:
        raise NotFound(f"{row.kind}:{row.id} is linked to the exchange {exchange}, of which nothing is here") from error
    before = [one for one in every if one == exchange or _began(store, one) <= row.at_ns]
    return before[: before.index(exchange) + 1]


def _began(store: Store, exchange: str) -> int:
    found = store.reader.exchange(id_bytes(exchange))
    return 0 if found is None else found.started_ns
