"""How a store gets a ledger that is sealed: a name, and a key that signs in that name.

The key is there before the store has the name. Whoever dies in between leaves a key that signed nothing, which the
next attempt by that name takes up.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from recorder.clock import Clock
from recorder.core.heads import log_id
from recorder.core.journal_facts import SucceededLedger
from recorder.core.notes import NoteKey
from recorder.errors import ConfigurationError, LedgerConflict, NotFound
from recorder.ledger.keys import SigningKey, create, default_origin, known, load, private_file
from recorder.ledger.outside import read_signed
from recorder.locations import signed_checkpoints
from recorder.store.base import Ledger

#: What can be done where a key, or what was sealed last, is lost for good.
GO_ON: Final = (
    "where it is lost for good, go on with a new ledger: `recorder db copy --without-ledger`, then `recorder keys init "
    "--after` (docs/howto-auditor.md)"
)


def succeeded(ledger: Ledger, by: str, keys: Iterable[NoteKey]) -> SucceededLedger:
    """Return what is to be recorded of a ledger whose place another one takes.

    What is known of it on this machine counts too: a store that was put back has lost what was signed since.

    :param by: who says so.
    :param keys: of it, that count here: whoever audits the new one need not know them.
    :raises NotFound: the store has no ledger.
    :raises LedgerConflict: what it has is not what was signed.
    :raises CorruptRecording: a checkpoint that is kept here does not verify.
    """
    origin, size = origin_of(ledger), ledger.size()
    signed, note = ledger.last_checkpoint() or (0, "")
    public = known(origin)
    for one in read_signed(origin, public) if public else ():
        checkpoint = one.checkpoint
        if checkpoint.size <= size and ledger.root(checkpoint.size) != checkpoint.root:
            raise LedgerConflict(
                f"the first {checkpoint.size:,} entries of the ledger {origin} are not those that were signed: see "
                "`recorder verify`, and take a copy of the store that is as it was signed"
            )
        if checkpoint.size > signed:
            signed, note = checkpoint.size, one.note
    texts = [key.text for key in keys]
    return SucceededLedger(origin=origin, leaves=size, signed=signed, checkpoint=note, keys=texts, by=by)


def found(ledger: Ledger, origin: str | None, clock: Clock) -> SigningKey:
    """Give a store's ledger its name and its first key.

    :param origin: the name; None makes one that no other log has.
    :raises ConfigurationError: the ledger has a name already, the name cannot be that of a log or has been used, or
        the key cannot be made.
    """
    named = ledger.origin()
    if named is not None:
        there = load(named) is not None
        told = "`recorder keys show` tells its key" if there else f"bring its key to {private_file(named)}; {GO_ON}"
        raise ConfigurationError(f"the store's ledger is founded, as {named}: {told}")
    origin = default_origin(clock) if origin is None else origin
    key = _unused(origin) or create(origin, clock)
    ledger.found(origin)
    return key


def origin_of(ledger: Ledger) -> str:
    """Return the name of a store's ledger.

    :raises NotFound: it has none.
    """
    origin = ledger.origin()
    if origin is None:
        raise NotFound("the store has no ledger, so nothing is sealed: `recorder keys init` founds one")
    return origin


def _unused(origin: str) -> SigningKey | None:
    """Return a key of that name that is here and signed nothing.

    :raises ConfigurationError: it signed something: two logs of one name could be held against each other.
    """
    key = load(origin)
    signed = signed_checkpoints(log_id(origin))
    if signed.exists():
        raise ConfigurationError(
            f"there was a log {origin} on this machine ({signed}): give this one another name with --origin"
        )
    return key
