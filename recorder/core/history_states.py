"""Histories that the provider keeps, so that the program sends nothing but what is new.

OpenAI's Responses name the answer that a request goes on from (``previous_response_id``), or the provider's
conversation that it is added to (``conversation``). What was sent and answered before belongs to such a request as if
it had sent it; the instructions of earlier requests do not, as the provider takes them from the last one alone.
A request that goes on with an answer that paused names that (:mod:`recorder.core.history_resumed`). One that fetches an
answer that is made in the background names it, too: it has that answer to what was asked before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from recorder.core.conversation import Relation
from recorder.core.history_names import fetched_answer, kept_by_provider, waits
from recorder.core.history_resumed import token_sent, tokens_given, with_beginning
from recorder.core.history_tellings import Chains, Recent, Telling
from recorder.core.kept_histories import host_of
from recorder.core.messages import Message
from recorder.core.rebuilt import Rebuilt

#: Roles of messages that count for the request alone in which they are sent.
INSTRUCTIONS: Final = frozenset({"system", "developer"})


class Kept(NamedTuple):
    """An exchange whose answer the provider keeps.

    :ivar number: of its last telling; 0 where what came before it is not known.
    :ivar complete: its answer was.
    """

    id: str
    number: int
    complete: bool


class State(NamedTuple):
    """What a request says that it goes on from.

    :ivar key: the same for what goes on from the same place.
    :ivar kept: the exchange that it goes on from; None where that was not recorded.
    :ivar begins: it is the first one that is known of the provider's conversation.
    :ivar fetches: it asks for the answer to that one, or has it stopped.
    :ivar waits: that answer is not there yet.
    """

    key: str
    kept: Kept | None
    begins: bool
    fetches: bool = False
    waits: bool = False

    @property
    def relation(self) -> Relation:
        """What a request is of which nothing else tells it."""
        if self.kept is None:
            return Relation("begins")
        return Relation("fetches" if self.fetches else "continues", self.kept.id)


class States:
    """Which answers a provider keeps; memory is bounded."""

    def __init__(self) -> None:
        self._answers: Recent[tuple[str, str], Kept] = Recent()  # by host, and the provider's id of the answer
        self._ends: Recent[tuple[str, str], Kept] = Recent()  # the last of each of the provider's conversations
        self._paused: Recent[str, Kept] = Recent()  # by the token by which requests go on with the answer
        self._asked: Recent[tuple[str, bytes], Kept] = Recent()  # by what it goes on from, and what it asks

    def of(self, rebuilt: Rebuilt) -> State | None:
        """Return what a request goes on from; None where it sends all of its history itself."""
        token = token_sent(rebuilt)
        paused = self._paused.get(token) if token is not None else None
        if paused is not None:
            return State(f"token {token}", paused, begins=False)
        host, fetched = _host(rebuilt), fetched_answer(rebuilt)
        if fetched is not None:
            return State(fetched, self._answers.get((host, fetched)), begins=False, fetches=True, waits=waits(rebuilt))
        previous, conversation = kept_by_provider(rebuilt)
        if previous is None and conversation is None:
            return None
        if previous is not None:
            return State(f"answer {host} {previous}", self._answers.get((host, previous)), begins=False)
        kept = self._ends.get((host, conversation or ""))
        return State(f"conversation {host} {conversation} {kept.id if kept else ''}", kept, begins=kept is None)

    def asked(self, state: State, chains: Chains) -> Kept | None:
        """Return the exchange that went on from the same place and asked the same, be it with other instructions.

        :param chains: of the request.
        """
        found = (self._asked.get((state.key, asks)) for asks in _asks(chains))
        return next((kept for kept in found if kept is not None), None)

    def remember(self, rebuilt: Rebuilt, state: State | None, chains: Chains, number: int) -> None:
        """Remember an exchange.

        :param state: as of :meth:`of`; *chains* as of :meth:`asked`.
        :param number: as of :class:`Kept`.
        """
        kept = Kept(rebuilt.id, number, rebuilt.verdict == "complete")
        host = _host(rebuilt)
        if state is not None and state.fetches:
            if not state.waits:
                self._answers[host, state.key] = kept
            return
        if state is not None:
            for asks in _asks(chains):
                self._asked[state.key, asks] = kept
        if rebuilt.reading is None:
            return
        for identity in rebuilt.answer.ids:
            self._answers[host, identity] = kept
        if not rebuilt.answer.choices:
            return
        for token in tokens_given(rebuilt):
            self._paused[token] = kept
        _, conversation = kept_by_provider(rebuilt)
        if conversation is not None:
            self._ends[host, conversation] = kept


def _asks(chains: Chains) -> tuple[bytes, ...]:
    """What is the same for the same messages, and then for the same but instructions."""
    return chains.asks, chains.said[-1] if chains.said else b""


def _host(rebuilt: Rebuilt) -> str:
    request = rebuilt.exchange.request
    return host_of(request.url) if request is not None else ""


def with_history(telling: Telling, messages: Sequence[Message], rebuilt: Rebuilt) -> tuple[list[Message], int | None]:
    """Return the messages of a request with the history that the provider kept before them.

    With it, how many of them are its instructions and what was kept, beside which it sends the rest; None where it
    sends its history itself.

    :param telling: of what it goes on from.
    :param rebuilt: the exchange of the request.
    """
    if fetched_answer(rebuilt) is not None:
        return [line.message for line in telling.request], None
    if token_sent(rebuilt) is not None:
        return with_beginning(telling, messages), None
    first = next((at for at, one in enumerate(messages) if one.role not in INSTRUCTIONS), len(messages))
    kept = [line.message for line in telling.lines]
    begun = next((at for at, one in enumerate(kept) if one.role not in INSTRUCTIONS), len(kept))
    told = (one if one.role is not None else replace(one, role="assistant") for one in kept[begun:])
    before = [*messages[:first], *told]
    return [*before, *messages[first:]], len(before)
