"""Ledgers that were not gone on with, since their key or their newest entries were lost for good: what is told of them.

A ledger is never forked: where a store was lost and only an older backup is left, going on with the same ledger would
contradict what was signed. So another one begins, in a copy of what is left, and records which one it follows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from recorder.core.notes import NoteKey
from recorder.core.signed_facts import signer_of
from recorder.ledger.key_chain import CREATED
from recorder.ledger.keys import known, verifier


def followed(created: Iterable[Mapping[str, Any]], keys: Sequence[NoteKey]) -> list[Mapping[str, Any]]:
    """Return what is told of the ledgers whose place that of a store has taken, by whoever holds its key.

    :param created: facts of ``key_created`` that name one, whoever wrote them.
    :param keys: of the store's ledger, that count; none: signatures are not checked.
    """
    verify = verifier() if keys else None
    signed = (one for one in created if verify is None or signer_of(CREATED, one, keys, verify) is not None)
    return [one["succeeds"] for one in signed]


def keys_before(created: Iterable[Mapping[str, Any]], keys: Sequence[NoteKey]) -> tuple[NoteKey, ...]:
    """Return the keys that are known here of ledgers that a store had before: they vouch for what was said then.

    The parameters are those of :func:`followed`; where no key counts, nothing vouches for a ledger before.
    """
    former = followed(created, keys) if keys else []
    return tuple(key for facts in former for key in known(str(facts.get("origin"))))


def lost_entries(facts: Mapping[str, Any]) -> int:
    """Return how many entries of a ledger that was succeeded are known to have been signed, and are lost.

    :param facts: see :class:`recorder.core.journal_facts.SucceededLedger`.
    """
    leaves, signed = facts.get("leaves"), facts.get("signed")
    return max(signed - leaves, 0) if type(leaves) is int and type(signed) is int else 0


def before_this_ledger(succeeded: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield what is not proved of ledgers whose place that of a store has taken, a sentence each."""
    for facts in succeeded:
        name, lost = str(facts.get("origin"))[:200], lost_entries(facts)
        if lost:
            first, last = facts["leaves"], facts["signed"] - 1
            entries = f"entry {first:,} is" if lost == 1 else f"entries {first:,} to {last:,} are"
            yield (
                f"what stood in the last entries of the ledger {name}, whose place this one has taken: {entries} known "
                f"to have been sealed, as a checkpoint of {facts['signed']:,} was signed, and lost"
            )
        yield (
            f"when, and by whom, that was sealed which is older than this ledger: the one before it, {name}, and its "
            "checkpoints tell, in the store that was left"
        )
