"""What an ID on the command line stands for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import click

from recorder.api.homes import rest_of, told_rest
from recorder.api.homes import whole as whole_of
from recorder.api.store import Store
from recorder.api.threaded import Found
from recorder.clock import id_bytes, id_text
from recorder.core.events import stream_kind
from recorder.errors import CorruptRecording, StoreError

#: Option ``--conversation`` of the commands that take the ID of an exchange for that, and not for what it is in.
conversation_option: Callable[..., Any] = click.option(
    "--conversation", "whole", is_flag=True, help="All of the conversation that the exchange ID is in."
)

#: What :func:`tell_others` says for commands with the filter of this name.
IN_PLACE: Final = "--conversation ID, in the place of ID,"


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


def named(store: Store, text: str, *, whole: bool) -> Found:
    """Return what *text* names; where *whole* is set, the conversation that it is or is in.

    :raises NotFound: nothing goes by that name, or several things do; or the exchange was erased, and what is left of
        its conversation goes by another id.
    """
    found = resolve(store, text)
    return whole_of(store, found) if whole else found


def begun_by(store: Store, found: Found) -> Found | None:
    """Return the conversation that is meant by its ID, or that has the ID of an exchange; None where there is none.

    A conversation that no program opened has the ID of its first exchange, and by that the exchange is found.

    :raises NotFound: that exchange was erased, and what is left of its conversation goes by another id.
    """
    if found.kind == "exchange" and store.conversation_of(found.id)[0] != found.id:
        return None
    return whole_of(store, found)


def tell_others(store: Store, found: Found, how: str) -> None:
    """Say on standard error that a conversation has the same ID as an exchange, and how to have all of it.

    Where the exchange is erased, the conversation has another one, which is said. It is no reason not to show what was
    asked for that nobody can tell, in a store that is damaged elsewhere.
    """
    try:
        _tell_others(store, found, how)
    except (StoreError, CorruptRecording) as error:
        click.echo(f"warning: whether it is one of several of a conversation cannot be told: {error}", err=True)


def _tell_others(store: Store, found: Found, how: str) -> None:
    left = rest_of(store, found.id) if found.kind == "exchange" else frozenset()
    if left:
        record = store.erasures.of(id_bytes(found.id))
        if record is not None and found.id in record.texts("conversations"):
            click.echo(told_rest(store, found.id, left), err=True)
        return
    begun = begun_by(store, found) if found.kind == "exchange" else None
    count = 0 if begun is None else len(store.exchanges_of(begun))
    if count > 1:
        click.echo(f"the first of {count} exchanges of the conversation with this ID: {how} has all of them", err=True)
