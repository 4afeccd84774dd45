"""Standing redactions: set and lifted as events, and applied to what is shown of a store.

What is recorded stays as it is, so its commitments stay checkable. What a rule finds in one exchange of a conversation
is left out of every other one that the redaction is of, whichever of them are shown: all of these are looked through
first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import cached_property
from typing import Any

from recorder.api.acts import who, write_down
from recorder.api.homes import Homes
from recorder.api.store import ConversationView, Store
from recorder.api.threaded import Found
from recorder.clock import Clock, id_text
from recorder.core.conversation import Conversation
from recorder.core.export_redaction import REDACTED, ExportRedaction
from recorder.core.export_rules import MARKER
from recorder.core.rebuilt import Rebuilt
from recorder.core.standing_redactions import TYPES, StandingRedaction, require_standing, standing_of
from recorder.dialects.rebuild import rebuild
from recorder.errors import ConfigurationError, CorruptRecording, NotFound, UnknownEventType
from recorder.store import open_store
from recorder.store.erased import second_acts_of_types
from recorder.store.urls import parse_url


def in_force(store: Store) -> tuple[StandingRedaction, ...]:
    """Return the redactions that nobody has lifted, in the order in which they were set.

    :raises CorruptRecording: the facts of one cannot be read: then nobody knows what has to be hidden.
    """
    return standing_of(second_acts_of_types(store.reader.store, TYPES))


class Standing:
    """Applies redactions to what is shown of a store.

    :param store: an open store.
    :param redactions: which; :func:`in_force`, or none where what is recorded is wanted.
    :ivar applied: the ids of those that were of something that was shown.
    """

    def __init__(self, store: Store, redactions: Sequence[StandingRedaction]) -> None:
        self._store, self._redactions = store, redactions
        self._home: str | None = None
        self._made: dict[tuple[str, ...], ExportRedaction] = {}  # of the conversation that is being shown
        self.applied: set[str] = set()

    @cached_property
    def _homes(self) -> Homes:
        return Homes(self._store, {one.of for one in self._redactions if one.scope == "conversation"})

    @property
    def hides(self) -> bool:
        """Whether there is any."""
        return bool(self._redactions)

    def of(self, exchange: str) -> tuple[StandingRedaction, ...]:
        """Return those that hide something of an exchange.

        :param exchange: its whole id.
        """
        if not self._redactions:
            return ()
        homes = self._homes.of(exchange)
        return tuple(one for one in self._redactions if one.is_of(exchange, homes))

    def redacted(self, rebuilt: Rebuilt) -> Rebuilt:
        """Return an exchange without what is hidden of it; what was hidden is told in a finding.

        :raises RedactionRefused: it cannot be done.
        """
        found = self.of(rebuilt.id)
        if not found:
            return rebuilt
        self.applied |= {one.id for one in found}
        made = self._redaction(rebuilt.id, found).exchange(rebuilt)
        if made.anomalies == rebuilt.anomalies or made.anomalies[-1].kind != REDACTED:
            return made
        last = made.anomalies[-1]
        by = ", ".join(one.id for one in found)
        return replace(made, anomalies=(*made.anomalies[:-1], replace(last, detail=f"{last.detail}; redaction {by}")))

    def named(self, conversation: Conversation) -> Conversation:
        """Return a conversation whose name is without what is hidden of its exchanges."""
        if conversation.name is None:
            return conversation
        return replace(conversation, name=self._words(conversation.name, conversation.exchanges))

    def view(self, view: ConversationView) -> ConversationView:
        """Return a conversation without what is hidden of it, of its name and of its tags.

        :raises RedactionRefused: it cannot be done.
        """
        if not self._redactions:
            return view
        ids = [one.id for one in view.exchanges]
        name = self.name(view)
        tags = {key: self._words(value, ids) for key, value in view.tags.items()}
        return replace(view, name=name, tags=tags, exchanges=list(map(self.redacted, view.exchanges)))

    def name(self, view: ConversationView) -> str | None:
        """Return the name of a conversation without what is hidden of its exchanges."""
        return None if view.name is None else self._words(view.name, [one.id for one in view.exchanges])

    def hit(self, hit: dict[str, Any]) -> dict[str, Any]:
        """Return what a search has found, without its passage where something is hidden of the exchange.

        A passage is a part of a message, so nobody could tell whether it is a part of what is hidden.
        """
        found = self.of(hit["exchange"])
        if not found:
            return hit
        self.applied |= {one.id for one in found}
        return {**hit, "passage": [{"text": MARKER}]}

    def _words(self, text: str, exchanges: Iterable[str]) -> str:
        """Return a text that belongs to several exchanges without what is hidden of any of them."""
        distinct = {tuple(one.id for one in found): exchange for exchange in exchanges if (found := self.of(exchange))}
        for exchange in distinct.values():
            text = self._redaction(exchange, self.of(exchange)).words(text)
        return text

    def _redaction(self, exchange: str, found: tuple[StandingRedaction, ...]) -> ExportRedaction:
        home = self._store.conversation_of(exchange)[0]
        if home != self._home:
            self._home, self._made = home, {}
        key = tuple(one.id for one in found)
        if key not in self._made:
            redaction = ExportRedaction([rule for one in found for rule in one.rules], rebuild)
            redaction.learn(self._all_under(home, found))
            self._made[key] = redaction
        return self._made[key]

    def _all_under(self, home: str, found: Iterable[StandingRedaction]) -> Iterator[Rebuilt]:
        wanted = set(found)
        for one in self._store.threaded.conversation(home).exchanges:
            if wanted <= set(self.of(one)):
                try:
                    rebuilt = self._store.rebuilt(one)
                except (CorruptRecording, UnknownEventType):  # nobody asked for it, so it stops nothing
                    continue
                yield rebuilt


def set_redaction(
    url: str, clock: Clock, found: Found | None, rules: Sequence[str], ground: str
) -> tuple[StandingRedaction, int]:
    """Hide from now on what rules find; return the redaction, and in how many exchanges it finds something by now.

    It is tried first on all that an exchange or a conversation holds, so that these can be shown afterwards.

    :param found: an exchange or a conversation; None: everything, which is not tried.
    :param rules: as :mod:`recorder.core.export_rules` has them, without ``text``.
    :raises ConfigurationError: a rule is none that can be recorded, the ground is empty, or it is a cassette.
    :raises RedactionRefused: something would still be found in an exchange; nothing is recorded.
    :raises StoreError: it could not be recorded.
    """
    if parse_url(url, cassettes=True).cassette is not None:
        raise ConfigurationError("a cassette has no place for a redaction: record it with redact=, or export it")
    scope, of = ("all", "") if found is None else found
    given, why = require_standing(rules), _ground(ground)
    made = StandingRedaction(id_text(clock.new_id()), scope, of, given, why, who(), clock.wall_ns())
    hidden = 0
    if found is not None:
        with Store(url) as store:
            hidden = _tried(store, found, made)
    facts: dict[str, Any] = {"redaction": made.id, "rules": list(given), "ground": why, "by": made.by}
    facts |= {"all": True} if found is None else {scope: of}
    _act(url, clock, "redaction_set", facts)
    return made, hidden


def _tried(store: Store, found: Found, redaction: StandingRedaction) -> int:
    standing, alone = Standing(store, (*in_force(store), redaction)), Standing(store, (redaction,))
    hidden = 0
    for one in store.exchanges_of(found):
        rebuilt = store.rebuilt(one)
        standing.redacted(rebuilt)
        hidden += alone.redacted(rebuilt).exchange is not rebuilt.exchange
    return hidden


def lift_redaction(url: str, clock: Clock, part: str, ground: str) -> StandingRedaction:
    """Lift a redaction; return it.

    :param part: its id, or a beginning or an end of that.
    :raises NotFound: no redaction goes by it that is in force, or several do.
    :raises StoreError: it could not be recorded.
    """
    why = _ground(ground)
    with Store(url) as store:
        found = [one for one in in_force(store) if part and (one.id.startswith(part) or one.id.endswith(part))]
    if len(found) != 1:
        told = "no redaction goes by" if not found else f"{len(found)} redactions go by"
        raise NotFound(f"{told} {part!r}: see `recorder redact list`")
    _act(url, clock, "redaction_lifted", {"redaction": found[0].id, "by": who(), "ground": why})
    return found[0]


def _ground(text: str) -> str:
    if not text.strip():
        raise ConfigurationError("the ground is empty: say why, in words that may stay for ever")
    return text


def _act(url: str, clock: Clock, kind: str, facts: dict[str, Any]) -> None:
    with closing(open_store(url, write=True)) as store:
        write_down(store, clock, "redact", [(kind, facts)])
