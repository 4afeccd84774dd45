"""In which conversations an exchange is, for what is recorded of conversations: holds, redactions, retention periods.

A conversation can get another id: when more of it is recorded, or when the exchange is erased that it began with. So
what names one by the id that it had then is about what is in it now.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from recorder.api.threaded import Found
from recorder.clock import id_bytes, id_text
from recorder.errors import NotFound
from recorder.store.erased import erased_of

if TYPE_CHECKING:
    from recorder.api.store import Store


class Homes:
    """Tells the conversations of an exchange.

    :param store: an open store.
    :param named: ids of the conversations that are asked about.
    """

    def __init__(self, store: Store, named: Iterable[str]) -> None:
        self._store = store
        self._members = {one: self._members_of(one) for one in named}

    def of(self, exchange: str) -> set[str]:
        """Return the ids of the conversations that an exchange is in: its own, its opening, those that were named."""
        homes = {one for one, members in self._members.items() if exchange in members}
        homes.add(self._store.conversation_of(exchange)[0])
        row = self._store.reader.exchange(id_bytes(exchange))
        if row is not None and row.opening is not None:
            homes.add(id_text(row.opening))
        return homes

    def _members_of(self, conversation: str) -> frozenset[str]:
        homes = conversations_of(self._store, conversation)
        return frozenset(one for home in homes for one in _members(self._store, home))


def conversations_of(store: Store, identity: str) -> frozenset[str]:
    """Return the ids of the conversations in which the exchanges of one are now.

    They are several where an erasure has parted it: what goes on from nothing any more begins by itself.

    :param identity: a whole id that it has or had; nothing goes by any other text.
    """
    try:
        id_bytes(identity)
    except ValueError:
        return frozenset()
    names, near = _recorded(store, identity)
    rows = ((one, store.reader.exchange(id_bytes(one))) for one in near)
    homes = {store.conversation_of(one)[0] for one, row in rows if row is not None}
    return frozenset(one for one in names | homes if _members(store, one))


def whole(store: Store, found: Found) -> Found:
    """Return the conversation that is meant where an exchange of it may be named: itself, or the one that it is in.

    :raises NotFound: the exchange was erased, and what is left of its conversation goes by another id.
    """
    if found.kind == "conversation":
        return found
    left = rest_of(store, found.id)
    record = store.erasures.of(id_bytes(found.id)) if len(left) == 1 else None
    if record is not None and left <= record.texts("conversations"):
        return Found("conversation", next(iter(left)))
    if left:
        given = "that ID" if len(left) == 1 else "one of these IDs"
        raise NotFound(f"{told_rest(store, found.id, left)}: give {given}")
    return Found("conversation", store.conversation_of(found.id)[0])


def rest_of(store: Store, exchange: str) -> frozenset[str]:
    """Return the ids of the conversations in which what is left of that of an erased exchange is.

    :param exchange: its whole id; of one that is not erased, there is none.
    """
    if not erased_of(store.reader.store, id_bytes(exchange)):
        return frozenset()
    homes = conversations_of(store, exchange)
    return frozenset(
        home for home in homes if any(store.erasures.of(id_bytes(one)) is None for one in _members(store, home))
    )


def told_rest(store: Store, exchange: str, left: Collection[str]) -> str:
    """Return in words by which ids what is left of the conversation of an erased exchange goes.

    :param left: of :func:`rest_of`.
    """
    own = set[str]().union(*_recorded(store, exchange))
    ids = ", ".join(f"{one} (with others)" if one not in own else one for one in sorted(left))
    goes = f"goes by the ID{'' if len(left) == 1 else 's'} {ids} now"
    return f"{exchange} was erased, and what is left of its conversation {goes}"


def _recorded(store: Store, identity: str) -> tuple[set[str], set[str]]:
    """Return by which ids a conversation goes or went, and the exchanges that records of erasures tell to be of it."""
    found = store.find(identity)
    names = {identity}
    if found is not None:
        names.add(found.id if found.kind == "conversation" else store.conversation_of(found.id)[0])
    own = store.erasures.of(id_bytes(identity))
    records, near, taken = [] if own is None else [own], set[str](), set[bytes]()
    while True:
        for record in records:
            taken.add(record.stream)
            names |= record.texts("conversations")
            near |= {id_text(record.stream)} | record.near
        records = [one for one in store.erasures.beside(names, near) if one.stream not in taken]
        if not records:
            return names, near


def _members(store: Store, conversation: str) -> tuple[str, ...]:
    try:
        return store.threaded.conversation(conversation).exchanges
    except (NotFound, ValueError):  # what a record tells is no id, or nothing goes by it any more
        return ()
