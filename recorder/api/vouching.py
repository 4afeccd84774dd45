"""Erasures for which the ledger's key vouches: by a signature among the facts of their record.

A seal says when a record was there. That it was the holder of the key who decided it, the signature says; what was
recorded without the key is vouched for later, where the key is, by a further record of the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from recorder.api.acts import signing_key, who
from recorder.core.events import Event
from recorder.core.json_text import rfc3339
from recorder.core.signed_facts import SIGNATURE, signed_facts, signer_of
from recorder.ledger.keys import SigningKey, verifier
from recorder.ledger.own_keys import keys_here
from recorder.store.erased import acts_of_types
from recorder.store.sql import SqlStore

ERASED: Final = "payload_erased"
#: Type and facts of an event.
Act = tuple[str, Mapping[str, Any]]


def signed_records(store: SqlStore, events: Iterable[Event]) -> list[Event]:
    """Return those records of erasures that a key that counts here has signed."""
    origin = store.ledger.origin()
    keys = () if origin is None else keys_here(store, origin)
    return [event for event in events if signer_of(ERASED, event.facts, keys, verifier()) is not None]


def unvouched(store: SqlStore) -> tuple[Event, ...]:
    """Return, of each event stream that nobody vouches for the erasure of, the last record of it.

    Nothing is returned where the key is not here: then nobody can vouch for anything.
    """
    if signing_key(store)[0] is None:
        return ()
    there = sorted(acts_of_types(store, (ERASED,)), key=lambda event: (event.wall_ns, event.stream, event.version))
    vouched = {event.facts.get("exchange") for event in signed_records(store, there)}
    last = {event.facts.get("exchange"): event for event in there}
    return tuple(event for stream, event in last.items() if stream not in vouched)


def vouching(events: Sequence[Event]) -> list[tuple[str, dict[str, Any]]]:
    """Return the facts of records that say the same again, in the name of whoever runs this."""
    return [
        (ERASED, {**_without_signature(one.facts), "recorded_ns": one.wall_ns, "vouched_by": who()}) for one in events
    ]


def signed(acts: Iterable[Act], key: SigningKey | None) -> list[Act]:
    """Return acts with a signature among the facts of each, where there is a key."""
    return [(kind, told if key is None else signed_facts(kind, told, key.public, key.sign)) for kind, told in acts]


def told(event: Event) -> str:
    """Return a record in words, for whoever is asked whether he vouches for it."""
    facts = event.facts
    approved = f", approved by {facts['approved_by']}" if "approved_by" in facts else ""
    over = facts.get("overrides")
    spite = f", in spite of {', '.join(map(str, over))}" if isinstance(over, list) and over else ""
    by = f"by {facts.get('by', 'unknown')}{approved}{spite}: {facts.get('ground', 'no ground is told')}"
    return f"{facts.get('exchange')}, {facts.get('events')} events, {rfc3339(event.wall_ns)[:19]}Z {by}"


def _without_signature(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if name not in (SIGNATURE, "recorded_ns", "vouched_by")}
