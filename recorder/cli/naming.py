"""What an ID on the command line stands for."""

from __future__ import annotations

import click

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


def begun_by(store: Store, found: Found) -> Found | None:
    """Return the conversation that is meant by its ID, or that has the ID of an exchange; None where there is none.

    A conversation that no program opened has the ID of its first exchange, and by that the exchange is found.
    """
    if found.kind == "exchange" and store.conversation_of(found.id)[0] != found.id:
        return None
    return Found("conversation", found.id)


def tell_others(store: Store, found: Found, how: str) -> None:
    """Say on standard error that a conversation has the same ID as an exchange, and how to have all of it."""
    begun = begun_by(store, found) if found.kind == "exchange" else None
    count = 0 if begun is None else len(store.exchanges_of(begun))
    if count > 1:
        click.echo(f"the first of {count} exchanges of the conversation with this ID: {how} has all of them", err=True)
