"""Ledgers that were not gone on with, since their key or their newest entries were lost for good: what is told of them.

A ledger is never forked: where a store was lost and only an older backup is left, going on with the same ledger would
contradict what was signed. So another one begins, in a copy of what is left, and records which one it follows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from recorder.core.act_order import LeafOf
from recorder.core.events import Event
from recorder.core.notes import NoteKey, parse_key
from recorder.core.signed_facts import signer_of
from recorder.errors import ConfigurationError
from recorder.ledger.key_chain import CREATED, KeyChain
from recorder.ledger.keys import known, verifier


def followed(created: Iterable[Mapping[str, Any]], keys: Sequence[NoteKey]) -> list[Mapping[str, Any]]:
    """Return what is told of the ledgers whose place that of a store has taken, by whoever holds its key.

    :param created: facts of ``key_created`` that name one, whoever wrote them.
    :param keys: of the store's ledger, that count; none: signatures are not checked.
    """
    verify = verifier() if keys else None
    signed = (one for one in created if verify is None or signer_of(CREATED, one, keys, verify) is not None)
    return [one["succeeds"] for one in signed]


def with_keys_before(created: Iterable[Event], chain: KeyChain, leaf_of: LeafOf) -> KeyChain:
    """Return the keys that count, with those of the ledgers whose place that of a store has taken.

    They are those that the holder of a key that counts has named as he founded the next one, and those known here. What
    came from before is sealed by then: what is sealed later, they did not sign while they were in force.

    :param created: events ``key_created`` that name such a ledger, whoever wrote them.
    :param chain: the keys that count; where none does, nothing vouches for a ledger before.
    """
    left = list(created) if chain.keys else []
    while told := [one for one in left if chain.counts(one, leaf_of)]:
        left = [one for one in left if one not in told]
        former, ends = dict.fromkeys(chain.former), dict(chain.retired)
        for event in told:
            origin, leaf = str(event.facts["succeeds"].get("origin")), leaf_of(event.stream, event.version)
            for key in (*_carried(event.facts["succeeds"], origin), *known(origin)):
                former[key] = None
                if leaf is not None and key not in chain.keys:
                    ends[key] = min(leaf, ends.get(key, leaf))
        chain = replace(chain, former=tuple(former), retired=ends)
    return chain


def _carried(facts: Mapping[str, Any], origin: str) -> Iterator[NoteKey]:
    texts = facts.get("keys")
    for text in texts if isinstance(texts, list) else ():
        with suppress(ConfigurationError):  # it is none: then it vouches for nothing
            key = parse_key(str(text))
            if key.name == origin:
                yield key


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
