"""What each exchange of a conversation is to the ones before it, and what the program changed in the history.

A program sends the whole history with every request: its own messages, and the model's answers as it chose to
keep them. All of it is laid beside what was sent and answered before, and every difference is a finding: edited,
dropped, moved, put in, sent twice. What clients never send back unchanged does not count: see
:mod:`recorder.core.conversation`.

What is compared with is the request from which it goes on, and the answer to that. So each change is told once,
where it was first sent, and not again by every request that carries it along.

The last turn tells whether a request asks again, whatever was changed before it: a clock in the instructions, an edit.
It is then compared with the request that had asked, and not with the answer to that, which nobody had to send back.
Instructions change the most, so what was said is looked up without them first. But where the answer that is sent back
last is the one that was given there, it goes on from that, whatever it asks.

A request without history, or with nothing but examples in it (:mod:`recorder.core.history_asked`), goes on from
nothing, and asks again only where all of it is the same: its instructions, too, but for times and dates.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from recorder.core.conversation import Relation
from recorder.core.history_alignment import Line, align, said_until, same_beginning
from recorder.core.history_asked import Asked
from recorder.core.history_clocks import same_but_clocks, without_clocks
from recorder.core.history_compared import asked_again, asks_again_at, asks_more, compared, weight
from recorder.core.history_differences import differences, edits
from recorder.core.history_given import Given
from recorder.core.history_kept import beside, changed_since
from recorder.core.history_references import References
from recorder.core.history_states import State, States, with_history
from recorder.core.history_tellings import (
    Chains,
    Known,
    Recent,
    Telling,
    chain_after,
    chains_of,
    keep_whole,
    longest,
    sent_ns,
    tellings_of,
)
from recorder.core.history_threads import Threads
from recorder.core.history_windows import Fit, fit, same_end
from recorder.core.messages import Anomaly, Message
from recorder.core.rebuilt import Rebuilt

#: How many exchanges are looked through for the one that a changed history goes on from, and how many of those are
#: compared message by message.
_LOOKED_AT: Final = 256
_ALIGNED: Final = 4
_ASKS_AGAIN: Final = frozenset({"attempts", "retries", "regenerates"})


class History:
    """The exchanges of one conversation, told one after another, and what each is to those before it.

    No exchange is kept, only the messages of the last ones, each once however often it was sent, and a few bytes for
    each of many more: memory is bounded, however long the conversation is.
    """

    def __init__(self) -> None:
        self._count = 0
        self._tellings: deque[Telling] = deque(maxlen=_LOOKED_AT)
        self._told = 0
        self._calls: Recent[str, Known] = Recent()
        self._requests: Recent[bytes, Known] = Recent()  # by the chain of the whole request
        self._by_keys: Recent[bytes, Known] = Recent()  # the last telling that has exactly these messages
        self._asked_said: Recent[bytes, int] = Recent()  # by the chain of the whole request without instructions
        self._by_said: Recent[bytes, Known] = Recent()  # the last telling that has exactly these messages but those
        self._followed: Recent[tuple[str, bytes], bytes] = Recent()
        self._unclocked: Recent[bytes, int] = Recent()  # as _asked_said, of requests without history
        self._examples: Recent[bytes, None] = Recent()  # what was sent back by requests that begin: nobody's answers
        self._asked = Asked()
        self._gone_on: Recent[str, None] = Recent()  # exchanges from which another one goes on
        self._threads = Threads()
        self._states = States()
        self._given, self._references = Given(), References()

    def take(self, rebuilt: Rebuilt) -> Relation:
        """Return what the next exchange is to those that were taken before.

        :param rebuilt: of the same conversation; they come in the order in which they were sent.
        """
        state = self._states.of(rebuilt)
        kept = self._telling(state.kept.number) if state is not None and state.kept is not None else None
        asked = rebuilt.request_messages
        sent = self._references.resolved(asked if kept is None else self._references.not_kept(asked, kept))
        messages, size = (sent, None) if kept is None else with_history(kept, sent, rebuilt)
        lines = self._given.lines(messages, self._tellings, size or 0)
        chains = chains_of(lines)
        until = said_until(lines)
        history = chains.said[chains.said_in(until) - 1] if until else b""
        # What is named by its id is of the conversation.
        bare = not history or (sent is asked and not self._sends_back(lines, chains, until, history))
        slides = self._threads.is_sliding and state is None
        relation = None if state is None else self._in_state(rebuilt, state, lines, chains)
        if relation is not None and kept is not None and relation.kind in ("continues", "forks"):
            whole = state is not None and state.kept is not None and state.kept.complete
            if size is None:
                found = self._resumed(kept, lines, sent)
            else:
                found = beside(lines, size, self._given.said, whole=whole)
            relation = replace(relation, findings=tuple(found))
        relation = relation or (self._slid_on(rebuilt, lines, chains, until) if slides else None)
        relation = relation or self._same_request(rebuilt, chains)
        if relation is None:
            relation = self._alone(lines, chains, sent_ns(rebuilt)) if bare else self._going_on(lines, chains, until)
        relation = relation or Relation("begins")
        if history and relation.kind == "begins":
            self._examples[history] = None
        self._threads.remember(rebuilt.id, relation)
        if relation.of is not None and relation.kind in ("continues", "forks"):
            self._gone_on[relation.of] = None
        bare = bare or relation.kind == "begins"
        if self._given.takes(lines[: until if bare else self._asked.first_known(lines, until)]):
            lines = self._given.lines(messages, self._tellings, size or 0)
        self._asked.remember(lines, until, begins=bare)
        known = state is None or state.begins or (kept is not None and not state.waits)  # else unknown, or nothing new
        self._remember(rebuilt, lines if known else (), chains, bare=bare)
        self._states.remember(rebuilt, state, chains, self._told if known else 0)
        self._references.remember(rebuilt)
        return relation

    def _in_state(self, rebuilt: Rebuilt, state: State, lines: tuple[Line, ...], chains: Chains) -> Relation:
        """The relation of a request of which the provider keeps the history, by the ids that it names."""
        attempt = self._calls.get(rebuilt.exchange.call or "")
        if attempt is not None:
            return Relation("attempts", attempt.id)
        again = self._states.asked(state, chains)
        if again is not None:
            asked = self._telling(again.number)
            if asked is not None:
                return asked_again(asked, lines, self._given.said)
            return Relation("regenerates" if again.complete else "retries", again.id)
        if state.kept is None or state.fetches or not chains.said:
            return state.relation
        kept = self._telling(state.kept.number)
        size = sum(line.kind != "system" for line in kept.lines) if kept is not None else 0
        return self._on_or_fork(state.kept.id, chains, min(size, len(chains.said)))

    def _resumed(self, telling: Telling, lines: tuple[Line, ...], sent: Sequence[Message]) -> list[Anomaly]:
        """What was changed in the history that is sent again where the answer paused."""
        old, new = changed_since(telling, lines, self._given.lines(sent, self._tellings))
        return differences(old, new, align(old, new), self._given.said)

    def _sends_back(self, lines: tuple[Line, ...], chains: Chains, until: int, history: bytes) -> bool:
        """Whether what it sends back is of the conversation, and no examples that its program wrote."""
        told = longest(self._asked_said, chains.said) or self._asked.sends_back(lines, until)
        return bool(told) and history not in self._examples

    def _remember(self, rebuilt: Rebuilt, lines: tuple[Line, ...], chains: Chains, *, bare: bool) -> None:
        self._count += 1
        known = Known(self._count, rebuilt.id, rebuilt.verdict == "complete")
        if (call := rebuilt.exchange.call) is not None:
            self._calls[call] = known
        if not lines:
            return
        same = self._requests.get(chains.all[-1])
        self._requests[chains.all[-1]] = known if rebuilt.reading else known.fetched_for(same)
        for telling in tellings_of(rebuilt, lines):
            self._tellings.append(telling)
            self._told += 1
            told = Known(self._told, telling.id, telling.answered, cut=not telling.complete)
            last = telling.lines[-1].key
            self._given.remember(rebuilt, telling)
            if telling.begun or len(telling.lines) > len(lines):
                keep_whole(self._by_keys, chain_after(chains.all, last, begun=telling.begun), told)
            if chains.said:
                self._asked_said[chains.said[-1]] = self._told
                if bare:
                    self._unclocked[without_clocks(lines, telling.sent_ns)] = self._told
            if not telling.answered:
                self._by_keys[chains.all[-1]] = told
                continue
            keep_whole(self._by_said, chain_after(chains.said, last, begun=telling.begun), told)

    def _same_request(self, rebuilt: Rebuilt, chains: Chains) -> Relation | None:
        call = rebuilt.exchange.call
        attempt = self._calls.get(call) if call is not None else None
        same = self._requests.get(chains.all[-1]) if chains.all else None
        if attempt is not None and (same is None or attempt.number >= same.number):
            return Relation("attempts", attempt.id)
        return None if same is None else Relation("regenerates" if same.answered else "retries", same.id)

    def _alone(self, lines: tuple[Line, ...], chains: Chains, sent: int | None) -> Relation | None:
        """The relation of a request that sends no answer back: what asked all of it, or its beginning, or nothing."""
        again = self._telling(self._unclocked.get(without_clocks(lines, sent), 0)) if chains.said else None
        if again is not None and not same_but_clocks(again.request, again.sent_ns, lines, sent):
            again = None
        exact, relation = self._exact(lines, chains, again)
        if again is not None and (relation is None or relation.kind in _ASKS_AGAIN):
            return asks_again_at(again, edits(again.request, lines, self._given.said))
        if relation is not None:
            return relation
        size = longest(self._asked_said, chains.said)
        before = self._telling(self._asked_said[chains.said[size - 1]]) if size else None
        begun = lines[: chains.places[size - 1]] if size else ()
        if before is not None and same_but_clocks(before.request, before.sent_ns, begun, sent):
            found = differences(before.lines, lines, align(before.lines, lines), self._given.said)
            return Relation("continues", before.id, tuple(found))
        changed = self._changed(lines, exact)  # examples of which nothing was gone on from are no place to go back to
        return changed if changed is not None and changed.kind == "forks" and changed.of in self._gone_on else None

    def _going_on(self, lines: tuple[Line, ...], chains: Chains, until: int) -> Relation | None:
        """The relation to the exchange whose request and answer it sends back, or sends back changed."""
        again = self._asking_again(chains)
        exact, relation = self._exact(lines, chains, again)
        if relation is not None:
            # Of one that was cut: where the end of a complete one says the same, a window has left that.
            whole = exact is not None and exact.cut and exact.answered and relation.of == exact.id
            return (self._from_the_end(lines, chains, until, whole=True) if whole else None) or relation
        if again is not None:
            of = self._threads.more_like(self._tellings, lines, until, len(chains.said), again)
            return (
                asked_again(again, lines, self._given.said) if of is None else self._from_end(of, lines, chains, until)
            )
        return (
            self._going_on_instructed_otherwise(lines, chains)
            or self._more_asked(lines, chains, until)
            or self._from_the_end(lines, chains, until)
            or self._changed(lines, exact)
        )

    def _exact(
        self, lines: tuple[Line, ...], chains: Chains, again: Telling | None
    ) -> tuple[Known | None, Relation | None]:
        """The longest telling that it begins with, and the relation to that where nothing else is sent back."""
        size = longest(self._by_keys, chains.all)
        asked = longest(self._requests, chains.all)
        exact = self._by_keys[chains.all[size - 1]] if size else None
        if exact is not None and size >= asked and not any(line.answered for line in lines[size:]):
            # Only instructions that came after what it goes on from can make another question of the same one.
            if again is not None and same_beginning(again.request, lines) >= size:
                return exact, asked_again(again, lines, self._given.said)
            if not exact.answered:
                return exact, Relation("continues", exact.id)
            return exact, self._on_or_fork(exact.id, chains, chains.said_in(size))
        return exact, None

    def _slid_on(self, rebuilt: Rebuilt, lines: tuple[Line, ...], chains: Chains, until: int) -> Relation | None:
        """The relation to the last exchange of its thread, of a history whose window had slid there: it slides on.

        In a window that says the same again and again, such a request may be one that was sent before.
        """
        call = rebuilt.exchange.call
        if not until or (call is not None and call in self._calls):
            return None
        telling = self._threads.fitting(self._tellings, lines, until, len(chains.said))
        slides = telling is not None and self._threads.has_slid(telling)
        return self._from_end(telling, lines, chains, until) if telling is not None and slides else None

    def _from_the_end(
        self, lines: tuple[Line, ...], chains: Chains, until: int, *, whole: bool = False
    ) -> Relation | None:
        """The relation to the exchange that fits best to the end of what is sent; None where that tells nothing.

        Of two that fit as well, the answer that was complete is the one that was sent back.

        :param whole: nothing but an answer that was complete, and to which all fits, is looked for.
        """
        fits: list[tuple[Fit, Telling]] = []
        for telling in reversed(self._tellings):
            found = fit(telling.lines, telling.request, lines, until)
            if found is None or (fits and found.size < fits[0][0].size):
                continue
            if found.size == len(chains.said) and found.on and telling.complete:
                of = self._threads.fitting(self._tellings, lines, until, found.size)
                return self._from_end(of or telling, lines, chains, until)
            if found.size == len(chains.said) and not found.on and not whole:
                return self._from_end(telling, lines, chains, until, on=False)
            if fits and found.size > fits[0][0].size:
                fits = []
            fits.append((found, telling))
        if whole:
            return None
        if not fits or not fits[0][0].on:
            return None
        best: tuple[tuple[bool, int, int], Relation] | None = None
        for found, telling in fits[:_ALIGNED]:
            if found.on:
                relation = self._from_end(telling, lines, chains, until)
                rank = telling.complete, same_beginning(telling.lines, lines), -len(relation.findings)
                if best is None or rank > best[0]:
                    best = rank, relation
        return best[1] if best else None

    def _from_end(
        self, telling: Telling, lines: tuple[Line, ...], chains: Chains, until: int, *, on: bool = True
    ) -> Relation:
        """The relation to an exchange to which the end of what is sent fits, up to its answer, or its question."""
        old, new = (telling.lines, lines[:until]) if on else (telling.request, lines)
        end = same_end(old, new)
        pairs = [*align(old[: end[0][0]], lines[: end[0][1]]), *end]
        found = differences(old, lines, pairs, self._given.said)
        if any(line.kind != "system" for line in lines[: end[0][1]]):  # what stands before may fit otherwise, too
            found = min(differences(old, lines, align(old, lines), self._given.said), found, key=weight)
        if not on:
            return asks_again_at(telling, found)
        return self._on_or_fork(telling.id, chains, chains.said_in(until), found)

    def _asking_again(self, chains: Chains) -> Telling | None:
        """What was asked last with the same messages, but for instructions."""
        return self._telling(self._asked_said.get(chains.said[-1], 0)) if chains.said else None

    def _going_on_instructed_otherwise(self, lines: tuple[Line, ...], chains: Chains) -> Relation | None:
        size = longest(self._by_said, chains.said)
        if not size or size < longest(self._asked_said, chains.said):
            return None
        telling = self._telling(self._by_said[chains.said[size - 1]].number)
        if telling is None or any(line.answered for line in lines[chains.places[size - 1] :]):
            return None
        found = differences(telling.lines, lines, align(telling.lines, lines), self._given.said)
        return self._on_or_fork(telling.id, chains, size, found)

    def _more_asked(self, lines: tuple[Line, ...], chains: Chains, until: int) -> Relation | None:
        """The relation to an exchange whose whole request is sent, and more, but not its answer."""
        size = longest(self._asked_said, chains.said)
        telling = self._telling(self._asked_said[chains.said[size - 1]]) if size else None
        if telling is None or any(line.answered for line in lines[chains.places[size - 1] :]):
            left = (one for one in reversed(self._tellings) if one.id not in self._gone_on)
            telling = next((one for one in left if asks_more(one, lines, until)), None)
        if telling is None:
            return None
        found = differences(telling.lines, lines, align(telling.lines, lines), self._given.said)
        return Relation("continues", telling.id, tuple(found))

    def _on_or_fork(self, of: str, chains: Chains, size: int, found: Sequence[Anomaly] = ()) -> Relation:
        """The relation to an exchange that is gone on from after the first so many messages but instructions."""
        place = of, chains.said[size - 1] if size else b""
        if place not in self._followed:
            self._followed[place] = chains.said[-1]
        return Relation("continues" if self._followed[place] == chains.said[-1] else "forks", of, tuple(found))

    def _telling(self, number: int) -> Telling | None:
        """One of the last tellings; None where it is not kept any more."""
        at = number - (self._told - len(self._tellings) + 1)
        return self._tellings[at] if number and at >= 0 else None

    def _changed(self, lines: tuple[Line, ...], exact: Known | None) -> Relation | None:
        """The relation to the exchange with which it shares the most messages, where nothing fits exactly."""
        own = Counter(line.key for line in lines)
        first = self._told - len(self._tellings) + 1
        shared: list[tuple[int, int, int]] = []
        for number, telling in enumerate(self._tellings, first):
            count = (own & Counter(line.key for line in telling.lines)).total()
            if count:
                shared.append((count, -len(telling.lines), number))
        numbers = [number for *_, number in sorted(shared, reverse=True)[:_ALIGNED]]
        if exact is not None and exact.number >= first and exact.number not in numbers:
            numbers.append(exact.number)
        best: tuple[tuple[int, ...], Relation | None] | None = None
        for number in numbers:
            telling = self._tellings[number - first]
            pairs = align(telling.lines, lines)
            relation = compared(telling, lines, pairs, self._given.said)
            count, answers = weight(relation.findings if relation else ())
            rank = (len(pairs), same_beginning(telling.lines, lines), -answers, -count)
            if best is None or rank > best[0]:
                best = (rank, relation)
        return best[1] if best else None


def relate(exchanges: Iterable[Rebuilt]) -> dict[str, Relation]:
    """Return what each exchange is to those before it, by id.

    :param exchanges: of one conversation, in the order in which they were sent.
    """
    history = History()
    return {rebuilt.id: history.take(rebuilt) for rebuilt in exchanges}
