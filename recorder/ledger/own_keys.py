"""The keys of a store's ledger that count here, and the refusal of a store that somebody else has signed."""

from __future__ import annotations

from recorder.core.events import Event
from recorder.core.notes import NoteKey, parse_key
from recorder.errors import ConfigurationError, LedgerConflict
from recorder.ledger.key_chain import CREATED, ROTATED, counting, foreign_signer, foreign_told
from recorder.ledger.keys import public_here, verifier
from recorder.ledger.outside import require_newest
from recorder.ledger.succession import keys_before
from recorder.store.erased import acts_of_types
from recorder.store.sql import SqlStore


def keys_here(store: SqlStore, origin: str) -> tuple[NoteKey, ...]:
    """Return the keys of a store's ledger that count on this machine; none where no key of it is known here.

    :raises ConfigurationError: the keys that are here are damaged.
    """
    start = public_here(origin)
    if not start:
        return ()
    return counting(start, [event.facts for event in acts_of_types(store, (ROTATED,))], verifier())


def vouching_keys(store: SqlStore) -> tuple[NoteKey, ...]:
    """Return the keys whose signature under facts counts here: those of the ledger, and of those before it.

    None where no key of it is known here.

    :raises ConfigurationError: the keys that are here are damaged.
    """
    origin = store.ledger.origin()
    keys = () if origin is None else keys_here(store, origin)
    if not keys:
        return ()
    created = (event.facts for event in acts_of_types(store, (CREATED,)))
    return (*keys, *keys_before((facts for facts in created if isinstance(facts.get("succeeds"), dict)), keys))


def told_keys(store: SqlStore, origin: str) -> tuple[NoteKey, ...]:
    """Return the keys that count where none is known: the first that a journal tells of, and what follows from it."""
    events = list(acts_of_types(store, (CREATED, ROTATED)))
    founding = next((key for event in events if event.type == CREATED for key in _created(event, origin)), None)
    rotations = [event.facts for event in events if event.type == ROTATED]
    return () if founding is None else counting([founding], rotations, verifier())


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
    keys = keys_here(store, origin)
    signer = foreign_signer(last[1], keys) if keys else None
    if signer is not None:
        raise LedgerConflict(foreign_told(last[0], signer))
