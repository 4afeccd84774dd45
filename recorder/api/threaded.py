"""The conversations of a store: what a name or an id stands for, who is in a conversation, what it is tagged with."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Final, NamedTuple

from recorder.api.gathering import Gathered
from recorder.api.reader import Reader
from recorder.api.sent import in_sent_order
from recorder.clock import ID_SIZE, id_bytes, id_text
from recorder.core.conversation import Conversation, Turn, group
from recorder.errors import NotFound, PayloadsSealed
from recorder.projections.rows import tags_of_row, turn_of_row

_FEW: Final = 2000  # exchanges: of more it takes less time to read what threading needs of all


class Found(NamedTuple):
    """What a name or a part of an id stands for: kind ``exchange`` or ``conversation``, and the id."""

    kind: str
    id: str


class Threaded:
    """The conversations of a store, as they were when it was opened or looked at again.

    What is asked about few exchanges or conversations is told from these and what they depend on; the rest of the store
    is not read for it.

    :param reader: an open store.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._told = 0

    def refresh(self) -> None:
        """Forget everything: the store was looked at again."""
        self._told = 0
        for made in ("every", "_homes", "_tagged", "_gathered"):
            self.__dict__.pop(made, None)

    @cached_property
    def every(self) -> Mapping[str, Conversation]:
        """All conversations by their ids, as they began."""
        turns = [turn_of_row(row, id_text(row.id)) for row in self._reader.exchanges()]
        openings = {id_text(row.id): row.name for row in self._reader.openings().values()}
        return {thread.id: thread for thread in group(turns, openings)}

    @cached_property
    def _homes(self) -> Mapping[str, str]:
        return {exchange: thread.id for thread in self.every.values() for exchange in thread.exchanges}

    @cached_property
    def _gathered(self) -> Gathered:
        return Gathered(self._reader)

    def conversation(self, identity: str) -> Conversation:
        """Return a conversation, its exchanges by their start.

        :param identity: its whole id.
        :raises NotFound: there is none.
        """
        return self._followed((identity,))[identity]

    def sent(self, identity: str) -> Conversation:
        """Return a conversation, its exchanges in the order in which they were sent, whatever clocks said meanwhile.

        :param identity: its whole id.
        :raises NotFound: there is none.
        """
        thread = self.conversation(identity)
        turns = self._gathered.turns
        began = {one: turns[one].started_ns for one in thread.exchanges}
        follows = ((parent, one) for one, parent in thread.parents.items())
        return replace(thread, exchanges=tuple(in_sent_order(self._reader, began, follows)))

    def _followed(self, homes: Collection[str]) -> dict[str, Conversation]:
        self._gathered.follow(homes)
        threads = self._gathered.threads()
        for home in homes:
            if home not in threads:
                raise NotFound(f"no conversation has the id {home}: see `recorder list`")
        return {home: threads[home] for home in homes}

    def members(self, homes: Collection[str]) -> list[str]:
        """Return the ids of the exchanges of some conversations, the newest first.

        :raises NotFound: one of them is none.
        """
        exchanges = (one for thread in self._followed(homes).values() for one in thread.exchanges)
        turns = self._gathered.turns
        return sorted(exchanges, key=lambda one: (turns[one].started_ns, one), reverse=True)

    def turns(self, homes: Collection[str]) -> tuple[list[Turn], Mapping[str, str | None]]:
        """Return all turns of some conversations, by their start and then their ids, among others on which they depend;
        and the names of openings. Together they say of these conversations what the whole store says.
        """
        self._gathered.follow(homes)
        ordered = sorted(self._gathered.turns.values(), key=lambda turn: (turn.started_ns, turn.id))
        return ordered, self._gathered.names()

    def places(self, exchanges: Collection[str]) -> Iterator[tuple[str, Conversation | None]]:
        """Yield for each exchange the id of its conversation and, where it is stored, the conversation: its name, and
        which exchange it goes on from; others that are in it may be missing.
        """
        self._told += sum(one not in self._gathered.turns for one in exchanges)
        if "every" in self.__dict__ or self._told > _FEW:
            threads, homes = self.every, self._homes
            for one in exchanges:
                home = homes.get(one, one)
                yield home, threads.get(home)
            return
        self._gathered.add(exchanges)
        threads = self._gathered.threads()
        for one in exchanges:
            home = self._gathered.home(one) or one
            yield home, threads.get(home)

    def place(self, exchange: str) -> tuple[str, str | None]:
        """Return the id of the conversation that an exchange belongs to, and of the exchange it goes on from."""
        ((home, thread),) = self.places((exchange,))
        return home, thread.parents.get(exchange) if thread is not None else None

    def resolve(self, text: str) -> Found:
        """Return what *text* names.

        :raises NotFound: nothing goes by it, or several things do.
        :raises PayloadsSealed: nothing that can be read goes by it, and names cannot be read.
        """
        found = self.find(text)
        if found is not None:
            return found
        digits = digits_of(text)
        told = f"no exchange or conversation has the id {text}" if digits else f"nothing is called {text!r}"
        fault = self._reader.fault
        if fault is not None and len(digits) < 2 * ID_SIZE:
            raise PayloadsSealed(f"{told}, as far as can be told: names are sealed, and cannot be read here: {fault}")
        raise NotFound(f"{told}: see `recorder list`")

    def find(self, text: str) -> Found | None:
        """Return what *text* names: a whole id, else a conversation's name, else a part of an id, from either end.

        :raises NotFound: several things go by it.
        """
        digits = digits_of(text)
        found = self._with_id(id_text(bytes.fromhex(digits))) if len(digits) == 2 * ID_SIZE else None
        if found is not None:
            return found
        named = self._gathered.named(text)
        if named is not None:
            return Found("conversation", named)
        return self._with_part(text, digits) if digits else None

    def _with_id(self, identity: str) -> Found | None:
        if self._reader.exchange(id_bytes(identity)) is not None:
            return Found("exchange", identity)
        home = self._gathered.home_of_opening(identity)
        # An opening of which nothing is stored but what its exchanges say is known by its conversation's id alone.
        known = home == identity or id_bytes(identity) in self._reader.openings_by("id", (id_bytes(identity),))
        return Found("conversation", home) if home is not None and known else None

    def _with_part(self, text: str, digits: str) -> Found | None:
        fresh = self._reader.fresh
        ids = self._reader.projected.ids_with(digits)
        ids |= {one for one in (*fresh.exchanges, *fresh.openings) if _is_part(digits, one.hex())}
        ids |= {row.opening for row in fresh.exchanges.values() if row.opening and _is_part(digits, row.opening.hex())}
        if len(ids) > 1:  # the conversations of all exchanges tell which of them are known
            every = dict.fromkeys((*self.every, *map(id_text, sorted(self._reader.openings())), *self._homes))
            several = [one for one in every if _is_part(digits, one.replace("-", ""))]
            if len(several) > 1:
                some = ", ".join(several[:4]) + (", …" if len(several) > 4 else "")
                raise NotFound(f"{text} stands for {len(several)} ids ({some}): give more digits")
            ids = set(map(id_bytes, several))
        return next((self._with_id(id_text(one)) for one in ids), None)

    def tagged(self, tags: Mapping[str, str]) -> list[str]:
        """Return the ids of the conversations that have all these tags."""
        tag, value = next(iter(tags.items()))
        piece = json.dumps({tag: value})[1:-1]
        openings = list(map(id_text, self._reader.openings_by("tags", (piece,))))
        self._gathered.add_openings(openings)
        homes = set(map(self._gathered.home_of_opening, openings))
        return sorted(home for home in homes if home is not None and tags.items() <= self._gathered.tags(home).items())

    def tags(self, home: str) -> dict[str, str]:
        """Return the tags of all openings of a conversation; of the same tag, the last opening's value."""
        return dict(self._tagged.get(home, {}) if "every" in self.__dict__ else self._gathered.tags(home))

    @cached_property
    def _tagged(self) -> Mapping[str, dict[str, str]]:
        named = {thread.name: thread.id for thread in self.every.values() if thread.name is not None}
        tagged: dict[str, dict[str, str]] = {}
        for identity, row in sorted(self._reader.openings().items()):
            home = named.get(row.name or "", id_text(identity))
            tagged.setdefault(home, {}).update(tags_of_row(row))
        return tagged


def digits_of(text: str) -> str:
    """Return the digits of an id or of a part of one; empty where *text* is none."""
    digits = text.replace("-", "").lower()
    return digits if not set(digits) - set("0123456789abcdef") else ""


def _is_part(digits: str, whole: str) -> bool:
    return whole.startswith(digits) or whole.endswith(digits)
