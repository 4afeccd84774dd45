"""Which exchanges led to something outside: the same ones for whoever traces it and for whoever proves it.

What was erased led to it all the same. It is in no conversation any more, since nobody can read what it said; the
records of erasures tell in which one it was, and next to which exchanges.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from recorder.api.erasures import ErasureRecord
from recorder.api.sent import in_sent_order
from recorder.api.store import Store
from recorder.clock import id_bytes, id_text
from recorder.core.conversation import Conversation
from recorder.errors import NotFound
from recorder.store.linked import LinkRow


def links_to(store: Store, kind: str, identity: str) -> list[LinkRow]:
    """Return the links of something outside, the oldest first; also those that were erased.

    :param kind: as it was linked: ``order``; *identity*: its id out there.
    """
    return sorted(
        (*store.reader.links_of_thing(kind, identity), *_erased_links(store, kind, identity)),
        key=lambda row: (row.at_ns, row.stream),
    )


def _erased_links(store: Store, kind: str, identity: str) -> Iterator[LinkRow]:
    for record in store.erasures.links_of(kind, identity):
        head = store.reader.store.head(record.stream)
        exchange = id_bytes(str(record.linked["exchange"]))
        if head is not None:
            yield LinkRow(record.stream, kind, identity, exchange, head.wall_ns)


def led_to(store: Store, row: LinkRow) -> list[str]:
    """Return the ids of the exchanges that led to what a link names, in the order in which they were sent.

    They are those of the conversation of the exchange that it names, up to that one, erased ones among them. What was
    sent after that one led to nothing, and no clock that was set back meanwhile hides what was sent before.

    :raises NotFound: nothing is stored of the exchange.
    """
    exchange = id_text(row.exchange)
    if store.reader.exchange(row.exchange) is None:
        raise NotFound(f"{row.kind}:{row.id} is linked to the exchange {exchange}, of which nothing is here")
    record = store.erasures.of(row.exchange)
    home, _ = store.conversation_of(exchange)
    before = with_erased(store, (home,), () if record is None else (record,))
    return before[: before.index(exchange) + 1]


def with_erased(store: Store, homes: Iterable[str], erased: Iterable[ErasureRecord] = ()) -> list[str]:
    """Return the ids of the exchanges of some conversations and of those erased ones that were in them, as they
    were sent.

    :param homes: ids of the conversations.
    :param erased: records of exchanges that were in them, where that is known already.
    :raises NotFound: there is no such conversation.
    """
    gathering = _Gathering(store)
    for home in homes:
        gathering.add(store.threaded.conversation(home))
        gathering.names.add(home)
    found = list(erased)
    while True:
        for record in found:
            gathering.take(record)
        found = [one for one in store.erasures.beside(gathering.names, gathering.members) if one not in gathering]
        if not found:
            break
    began = {one: _began(store, one) for one in sorted(gathering.members)}
    return in_sent_order(store.reader, began, gathering.follows)


class _Gathering:
    """Exchanges that belong together, and the ids by which their conversation goes or went."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._taken: set[bytes] = set()
        self.members: set[str] = set()
        self.follows: list[tuple[str, str]] = []
        self.names: set[str] = set()

    def __contains__(self, record: ErasureRecord) -> bool:
        return record.stream in self._taken

    def add(self, thread: Conversation) -> None:
        """Add exchanges, with what their conversations are called by them."""
        self.follows += ((parent, one) for one, parent in thread.parents.items())
        for one in thread.exchanges:
            row = self._store.reader.exchange(id_bytes(one))
            if row is not None and row.opening is not None:
                self.names.add(id_text(row.opening))
            self.members.add(one)

    def take(self, record: ErasureRecord) -> None:
        """Take an erased exchange, and what is left of what it belonged to."""
        self._taken.add(record.stream)
        erased = id_text(record.stream)
        self.members.add(erased)
        self.follows += ((before, erased) for before in record.texts("follows"))
        self.follows += ((erased, later) for later in record.texts("followed_by"))
        self.names |= record.texts("conversations")
        for one in record.texts("follows") | record.texts("followed_by"):
            if self._store.reader.exchange(id_bytes(one)) is not None:
                self._home(self._store.conversation_of(one)[0])
        for one in record.texts("conversations"):
            self._home(one)

    def _home(self, conversation: str) -> None:
        try:
            self.add(self._store.threaded.conversation(conversation))
        except NotFound:  # nothing is left of it, or it goes by another id now
            return
        self.names.add(conversation)


def _began(store: Store, exchange: str) -> int:
    found = store.reader.exchange(id_bytes(exchange))
    return 0 if found is None else found.started_ns
