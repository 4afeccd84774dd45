"""Which exchanges led to something outside: the same ones for whoever traces it and for whoever proves it.

What was erased led to it all the same. It is in no conversation any more, since nobody can read what it said; the
records of erasures tell in which one it was, and next to which exchanges.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

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


class Led(NamedTuple):
    """What led to something outside.

    :ivar exchanges: those of the conversation up to the one that it rests on, as they were sent, with erased ones.
    :ivar aside: which of them are on another branch: they go on from one of the others, and led to something else.
    """

    exchanges: list[str]
    aside: frozenset[str]


def led_to(store: Store, row: LinkRow) -> Led:
    """Return the exchanges that led to what a link names, and those beside them; see :meth:`Histories.led_to`."""
    return Histories(store).led_to(row)


class Histories:
    """What led to what, of many links; each conversation is gathered once.

    :param store: an open store.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[str, tuple[list[str], Mapping[str, frozenset[str]]]] = {}

    def led_to(self, row: LinkRow) -> Led:
        """Return the exchanges that led to what a link names, in the order in which they were sent.

        They are those of the conversation of the exchange that it names, up to that one, erased ones among them. What
        was sent after that one led to nothing, and no clock that was set back meanwhile hides what was sent before.

        :raises NotFound: nothing is stored of the exchange.
        """
        exchange = id_text(row.exchange)
        if self._store.reader.exchange(row.exchange) is None:
            raise NotFound(f"{row.kind}:{row.id} is linked to the exchange {exchange}, of which nothing is here")
        record = self._store.erasures.of(row.exchange)
        home, _ = self._store.conversation_of(exchange)
        key = home if record is None else exchange
        if key not in self._known:
            self._known[key] = _history(self._store, (home,), () if record is None else (record,))
        ordered, before = self._known[key]
        upto = ordered[: ordered.index(exchange) + 1]
        return Led(upto, self._aside(exchange, upto, before))

    def _aside(self, exchange: str, upto: Sequence[str], before: Mapping[str, frozenset[str]]) -> frozenset[str]:
        """Return which exchanges go on from what led to one, and did not lead to it themselves.

        What goes on from nothing of it is no branch of it: a program that sends no history says nothing of that. Nor
        is another attempt of a call.
        """
        branch = _ancestry(exchange, before)
        apart = [one for one in upto if one not in branch and not branch.isdisjoint(_ancestry(one, before))]
        calls = {self._call(one) for one in branch} - {None} if apart else set()
        return frozenset(one for one in apart if self._call(one) not in calls)

    def _call(self, exchange: str) -> str | None:
        row = self._store.reader.exchange(id_bytes(exchange))
        return None if row is None else row.call


def _ancestry(exchange: str, before: Mapping[str, frozenset[str]]) -> set[str]:
    """Return an exchange, and all that it goes on from."""
    found, new = {exchange}, [exchange]
    while new:
        more = before.get(new.pop(), frozenset()) - found
        found |= more
        new += more
    return found


def with_erased(store: Store, homes: Iterable[str]) -> list[str]:
    """Return the ids of the exchanges of some conversations and of those erased ones that were in them, as they
    were sent.

    :param homes: ids of the conversations.
    :raises NotFound: there is no such conversation.
    """
    return _history(store, homes)[0]


def _history(
    store: Store, homes: Iterable[str], erased: Iterable[ErasureRecord] = ()
) -> tuple[list[str], dict[str, frozenset[str]]]:
    """Return the exchanges of :func:`with_erased`, and of each the ones that it goes on from.

    :param erased: records of exchanges that were in them, where that is known already.
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
    before: dict[str, set[str]] = {}
    for earlier, later in gathering.follows:
        before.setdefault(later, set()).add(earlier)
    ordered = in_sent_order(store.reader, began, gathering.follows)
    return ordered, {later: frozenset(earlier) for later, earlier in before.items()}


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
        for one in record.near:
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
