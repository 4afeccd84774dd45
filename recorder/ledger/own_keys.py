"""The keys of a store's ledger that count here, and the refusal of a store that somebody else has signed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

from recorder.core.events import Event
from recorder.core.notes import NoteKey, parse_key
from recorder.errors import ConfigurationError, LedgerConflict
from recorder.ledger.key_chain import (
    CREATED,
    ROTATED,
    KeyChain,
    chain_of,
    foreign_signer,
    foreign_told,
    retired_by,
    short_name,
    successor,
)
from recorder.ledger.keys import pending, private_file, public_here
from recorder.ledger.outside import require_newest
from recorder.ledger.succession import with_keys_before
from recorder.store.base import EventLog
from recorder.store.erased import acts_of_types, sealing_leaf, second_acts_of_types
from recorder.store.sql import SqlStore


def chain_here(store: SqlStore, origin: str) -> KeyChain:
    """Return the keys of a store's ledger that count on this machine; none where no key of it is known here.

    :raises ConfigurationError: the keys that are here are damaged.
    """
    start = public_here(origin)
    return _ended(store, start, list(acts_of_types(store, (CREATED, ROTATED)))) if start else KeyChain()


def own_chain(store: SqlStore) -> KeyChain:
    """Return :func:`chain_here` of the ledger that a store has; no keys where it has none.

    :raises ConfigurationError: the keys that are here are damaged.
    """
    origin = store.ledger.origin()
    return KeyChain() if origin is None else chain_here(store, origin)


def told_chain(store: SqlStore, origin: str) -> KeyChain:
    """Return the keys that count where none is known: the first that a journal tells of, and what follows from it."""
    events = list(acts_of_types(store, (CREATED, ROTATED)))
    founding = next((key for event in events if event.type == CREATED for key in _created(event, origin)), None)
    return KeyChain() if founding is None else _ended(store, [founding], events)


def _chain(store: SqlStore, start: Iterable[NoteKey], events: Iterable[Event]) -> KeyChain:
    return chain_of(start, (event for event in events if event.type == ROTATED), partial(sealing_leaf, store))


def _ended(store: SqlStore, start: Iterable[NoteKey], told: Sequence[Event]) -> KeyChain:
    chain, leaf_of = retired_by(_chain(store, start, told), store.ledger.checkpoints()), partial(sealing_leaf, store)
    succeeding = [event for event in told if isinstance(event.facts.get("succeeds"), dict)]
    return with_keys_before(succeeding, chain, leaf_of)


def rotated_away(store: EventLog, key: NoteKey) -> NoteKey | None:
    """Return the key that takes the place of one that signs here, as a journal of the store tells; None: none does.

    It takes as long as there are journals: what ``recorder keys rotate`` writes is the second event of one.
    """
    return successor(second_acts_of_types(store, (ROTATED,)), key) if isinstance(store, SqlStore) else None


def told_before(store: EventLog, key: NoteKey) -> tuple[NoteKey, ...]:
    """Return the keys in whose place one has come, one after the other, as journals of the store tell."""
    if not isinstance(store, SqlStore):
        return ()
    keys = _chain(store, [key], second_acts_of_types(store, (ROTATED,))).keys
    return keys[: keys.index(key)]


def require_in_force(store: EventLog, key: NoteKey) -> None:
    """Refuse to sign with a key that was rotated away: what it signs from then on is a finding of every audit.

    :raises ConfigurationError: it was.
    """
    after = rotated_away(store, key)
    if after is not None:
        raise ConfigurationError(rotated_told(after))


def rotated_told(after: NoteKey) -> str:
    """Return what is said where a key cannot sign any more, since another one has taken its place."""
    if after == pending(after.name):
        return (
            f"the key of {after.name} is being rotated here, to {short_name(after)}, and that was not completed: "
            "run `recorder keys rotate`"
        )
    return (
        f"the key of {after.name} was rotated on another machine, to {short_name(after)}: nothing is signed here until "
        f"the new private key is at {private_file(after.name)}"
    )


def _created(event: Event, origin: str) -> tuple[NoteKey, ...]:
    """Return the key that was created, if it is one of that ledger: a store may have had another before."""
    try:
        key = parse_key(str(event.facts.get("key")))
    except ConfigurationError:
        return ()
    return (key,) if key.name == origin else ()


def require_own(store: SqlStore) -> None:
    """Refuse a store whose last checkpoint somebody else signed, or that is older than what was signed of it.

    For whatever builds on a store: as :func:`recorder.ledger.outside.require_newest`. Where no key of the ledger is
    known here, nothing is known of either.

    :raises LedgerConflict: it is.
    :raises RecorderError: as ``require_newest`` does.
    """
    require_newest(store.ledger)
    origin = store.ledger.origin()
    last = None if origin is None else store.ledger.last_checkpoint()
    if origin is None or last is None:
        return
    keys = chain_here(store, origin).keys
    signer = foreign_signer(last[1], keys) if keys else None
    if signer is not None:
        raise LedgerConflict(foreign_told(last[0], signer))
