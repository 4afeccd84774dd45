"""In which conversations an exchange is, for what is recorded of conversations: holds, redactions, retention periods.

A conversation can get another id when more of it is recorded, so what names one by the id that it had then is about
what is in it now.
"""

from __future__ import annotations

from collections.abc import Iterable

from recorder.api.store import Store
from recorder.clock import id_bytes, id_text
from recorder.errors import NotFound


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
        try:
            return frozenset(self._store.threaded.conversation(conversation).exchanges)
        # It is no id, all that was in it is erased, or it goes by another id now: what is asked tells its own.
        except (NotFound, ValueError):
            return frozenset()
