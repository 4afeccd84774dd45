"""Erasures for which the ledger's key vouches: by a signature among the facts of their record.

A seal says when a record was there. That it was the holder of the key who decided it, the signature says; what was
recorded without the key is vouched for later, where the key is, by a further record of the same.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from recorder.api.acts import signing_key, who
from recorder.clock import id_text
from recorder.core.authority import on_whose_word
from recorder.core.events import Event
from recorder.core.json_text import rfc3339
from recorder.core.signed_facts import SIGNATURE, signed_facts
from recorder.ledger.audit_journals import ACCESSED, CARRIED_OUT, is_carried_out
from recorder.ledger.key_chain import KeyChain
from recorder.ledger.keys import SigningKey
from recorder.ledger.own_keys import chain_here, own_chain
from recorder.store.erased import acts_of_types, erased_streams, sealing_leaf
from recorder.store.sql import SqlStore

ERASED: Final = "payload_erased"
#: Type and facts of an event.
Act = tuple[str, Mapping[str, Any]]


def signed_records(store: SqlStore, events: Iterable[Event]) -> list[Event]:
    """Return those events of journals whose facts a key that counts here has signed."""
    return _signed_by(store, own_chain(store), events)


def _signed_by(store: SqlStore, chain: KeyChain, events: Iterable[Event]) -> list[Event]:
    leaf_of = partial(sealing_leaf, store)
    return [event for event in events if chain.keys and chain.counts(event, leaf_of)]


def unvouched(store: SqlStore, of: Collection[str] | None = None) -> tuple[Event, ...]:
    """Return, of each event stream that nobody vouches for the erasure of, the last record of it.

    That is one that is gone and whose records nobody signed, or of which nothing says that it was carried out: whoever
    did it died before he said so, or it was somebody else. What is still there, nobody has to vouch for. Nothing is
    returned where the key is not here: nobody can vouch for anything then.

    :param of: ids of the event streams that are asked about, with links of theirs; None: all.
    """
    key, _ = signing_key(store)
    origin = store.ledger.origin()
    if key is None or origin is None:
        return ()
    there = sorted(acts_of_types(store, (ERASED,)), key=lambda event: (event.wall_ns, event.stream, event.version))
    chain, gone = chain_here(store, origin), set(map(id_text, erased_streams(store)))
    told = (event for event in acts_of_types(store, (ACCESSED,)) if is_carried_out(event.facts))
    done = {str(event.facts.get("of")).rpartition(" ")[2] for event in _signed_by(store, chain, told)}
    signed = _signed_by(store, chain, there)
    done |= {_of(event) for event in signed if "vouched_by" in event.facts}
    vouched = {_of(event) for event in signed if _of(event) in done or _of(event) not in gone}
    last = {_of(event): event for event in there}
    wanting = (event for stream, event in last.items() if stream in gone and stream not in vouched)
    return tuple(event for event in wanting if of is None or any(one in of for one in _about(event)))


def _of(record: Event) -> str:
    return str(record.facts.get("exchange"))


def _about(record: Event) -> tuple[str, ...]:
    """Return of what a record is: an event stream, and the exchange that a link was of, whose rows are gone."""
    linked = record.facts.get("linked")
    return (_of(record), *([str(linked.get("exchange"))] if isinstance(linked, dict) else ()))


def vouching(events: Sequence[Event]) -> list[tuple[str, dict[str, Any]]]:
    """Return the facts of records that say the same again, in the name of whoever runs this."""
    return [
        (ERASED, {**without_signature(one.facts), "recorded_ns": one.wall_ns, "vouched_by": who()}) for one in events
    ]


def signed(acts: Iterable[Act], key: SigningKey | None) -> list[Act]:
    """Return acts with a signature among the facts of each, where there is a key."""
    return [(kind, told if key is None else signed_facts(kind, told, key.public, key.sign)) for kind, told in acts]


def told(event: Event) -> str:
    """Return a record in words, for whoever is asked whether he vouches for it."""
    facts = event.facts
    at = f"{rfc3339(event.wall_ns)[:19]}Z"
    return f"{facts.get('exchange')}, {facts.get('events')} events, {at} {on_whose_word(facts)}"


def carried_out(plan: Mapping[str, Sequence[str]]) -> list[Act]:
    """Return the acts that say that what was to be erased is gone; a hold that comes later contradicts nothing.

    :param plan: by the kind of event stream, the ids.
    """
    told = {"action": "erase", "by": who(), "result": CARRIED_OUT}
    return [(ACCESSED, {**told, "of": f"{kind} {one}"}) for kind, some in plan.items() for one in some]


def without_signature(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts of a record as they were before anybody signed it or vouched for it."""
    return {name: value for name, value in facts.items() if name not in (SIGNATURE, "recorded_ns", "vouched_by")}
