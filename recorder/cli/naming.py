"""What an ID on the command line stands for."""

from __future__ import annotations

from recorder.api.store import Store
from recorder.api.threaded import Found
from recorder.clock import id_bytes, id_text
from recorder.core.events import stream_kind


def resolve(store: Store, text: str) -> Found:
    """Return what *text* names; a whole id is found even where other exchanges cannot be read.

    :raises NotFound: nothing goes by that name, or several things do.
    """
    try:
        stream = id_bytes(text)
    except ValueError:
        return store.resolve(text)
    if store.reader.store.opening(stream) is None:
        return store.resolve(text)
    first = next(store.reader.found_events(stream), None)
    if first is None or stream_kind(first.type) != "exchange":
        return store.resolve(text)
    return Found("exchange", id_text(stream))


def exchanges(store: Store, text: str) -> tuple[str, ...]:
    """Return the ids of the exchanges that *text* names: its own, or those of a conversation.

    :raises NotFound: nothing goes by that name, or several things do.
    """
    return store.exchanges_of(resolve(store, text))
