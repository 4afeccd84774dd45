"""Exchanges with all that decides which conversation they are in, and no others, by a few questions to the index.

:func:`recorder.core.conversation.group` says of any set of exchanges which conversations they make. What it says of
one exchange depends on few: those of the same call, those of which an answer is a prefix of its request, those that
gave the answer that it names, or name the same where nobody did, the openings of one name, and on what these depend. A
set that holds these for each of its exchanges says of each what the whole store says of it; it is called closed here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from recorder.api.reader import Reader
from recorder.clock import id_bytes, id_text
from recorder.core.conversation import Conversation, Names, Turn, group
from recorder.projections.messages import storable
from recorder.projections.rows import tags_of_row, turn_of_row
from recorder.store.projected import ExchangeRow, OpeningRow
from recorder.store.related import TurnRow


class Gathered:
    """A closed set of exchanges, which grows by what is asked for.

    What no projection has stored yet is in it from the beginning.

    :param reader: an open store.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.turns: dict[str, Turn] = {}
        self._openings: dict[str, OpeningRow] = {}
        self._new: list[Turn] = []
        self._asked: dict[str, set[Any]] = {}
        self._expanded: set[str] = set()
        self._kept: set[bytes] = set()  # keys of the answers of all that are here, as requests name them
        self._named: Names | None = None
        self._tags: dict[str, dict[str, str]] | None = None
        self._threads: dict[str, Conversation] | None = None
        self._homes: dict[str, str] = {}
        self._take(reader.fresh.exchanges.values())
        self._know(reader.fresh.openings.values())

    def threads(self) -> Mapping[str, Conversation]:
        """Return the conversations by their ids; of one that was not followed, exchanges may be missing."""
        self._close()
        if self._threads is None:
            self._threads = {thread.id: thread for thread in group(self.turns.values(), self.names())}
            self._homes = {one: thread.id for thread in self._threads.values() for one in thread.exchanges}
        return self._threads

    def home(self, exchange: str) -> str | None:
        """Return the id of the conversation of an exchange; None where there is no such exchange."""
        if exchange not in self.turns:
            self.add((exchange,))
        self.threads()
        return self._homes.get(exchange)

    def add(self, exchanges: Iterable[str]) -> None:
        """Add some exchanges by their ids."""
        self._ask("id", (id_bytes(one) for one in exchanges if one not in self.turns))

    def add_openings(self, openings: Iterable[str]) -> None:
        """Learn what some openings are called, and which ones are called the same."""
        asked = self._unasked("openings", map(id_bytes, openings))
        if not asked:
            return
        self._know(self._reader.openings_by("id", asked).values())
        unknown = [one for one in asked if id_text(one) not in self._openings]
        self._ask("first", unknown)
        if unknown:
            told = set(map(id_text, unknown))
            self.add_names(turn.name for turn in self.turns.values() if turn.opening in told)

    def add_names(self, names: Iterable[str | None]) -> None:
        """Learn which openings have some names."""
        asked = self._unasked("names", (name for name in names if name is not None))
        if not asked:
            return
        as_stored = {name: storable(name) for name in asked}
        called = (name for name in asked if as_stored[name] == name)
        self._know(self._reader.openings_by("name", called).values())
        said = self._reader.projected.openings_called(as_stored.values())
        self.add_openings(map(id_text, said))

    def named(self, name: str) -> str | None:
        """Return the id of the conversation that is called so."""
        self.add_names((name,))
        names = self._names()
        return next((names.of(one) for one, called in names.openings.items() if called == name), None)

    def home_of_opening(self, opening: str) -> str | None:
        """Return the id of the conversation that an opening is of; None where there is no such opening."""
        self.add_openings((opening,))
        names = self._names()
        return names.of(opening) if opening in names.openings else None

    def names(self) -> dict[str, str | None]:
        """Return what the openings are called of which something is stored, by their ids."""
        return {identity: row.name for identity, row in self._openings.items()}

    def tags(self, home: str) -> Mapping[str, str]:
        """Return the tags of all openings of a conversation; of the same tag, the last opening's value."""
        self.add_openings((home,))
        names = self._names()
        if self._tags is None:
            self._tags = {}
            for identity, row in sorted(self._openings.items()):
                self._tags.setdefault(names.of(identity), {}).update(tags_of_row(row))
        return self._tags.get(home, {})

    def follow(self, homes: Iterable[str]) -> None:
        """Add all exchanges of some conversations, and what they depend on."""
        wanted = set(homes)
        self.add_openings(wanted)
        self.add(wanted)
        names = self._names()
        self._ask("opening", (id_bytes(one) for one in names.openings if names.of(one) in wanted))
        while True:
            threads = self.threads()
            found = {one for home in wanted if home in threads for one in threads[home].exchanges} - self._expanded
            if not found:
                return
            self._expanded |= found
            self._ask("begins", (key for one in found for key in self.turns[one].answers))
            turns = [self.turns[one] for one in found]
            self._ask("going_on", (key for turn in turns for key in (*turn.kept.gives, *turn.answers)))

    def _names(self) -> Names:
        self._close()
        if self._named is None:
            ordered = sorted(self.turns.values(), key=lambda turn: (turn.started_ns, turn.id))
            self._named, self._tags = Names(ordered, self.names()), None
        return self._named

    def _close(self) -> None:
        while self._new:
            new, self._new = self._new, []
            self._ask("call", (turn.call for turn in new if turn.call is not None))
            self._ask("answer", (key for turn in new for key in (*turn.keys, turn.kept.apart) if key is not None))
            self.add_openings(turn.opening for turn in new if turn.opening is not None)
            kept = [turn.kept for turn in new]
            self._ask("kept", (one.sought for one in kept if one.sought is not None))
            unknown = (one.sought for one in kept if one.sought is not None and one.sought not in self._kept)
            self._ask("names", [*unknown, *(one.joins for one in kept if one.joins is not None)])

    def _unasked(self, what: str, values: Iterable[Any]) -> list[Any]:
        known = self._asked.setdefault(what, set())
        asked = [value for value in dict.fromkeys(values) if value not in known]
        known.update(asked)
        return asked

    def _ask(self, what: str, values: Iterable[Any]) -> None:
        asked = self._unasked(what, values)
        if asked:
            fresh = self._reader.fresh.exchanges
            self._take(row for row in self._reader.projected.turns(what, asked) if row.id not in fresh)

    def _take(self, rows: Iterable[ExchangeRow | TurnRow]) -> None:
        for row in rows:
            identity = id_text(row.id)
            if identity not in self.turns:
                turn = turn_of_row(row, identity)
                self.turns[identity] = turn
                self._kept.update(turn.kept.gives)
                self._new.append(turn)
                self._threads = self._named = None

    def _know(self, rows: Iterable[OpeningRow]) -> None:
        names = []
        for row in rows:
            identity = id_text(row.id)
            if identity not in self._openings:
                self._openings[identity] = row
                names.append(row.name)
                self._threads = self._named = None
        self.add_names(names)
