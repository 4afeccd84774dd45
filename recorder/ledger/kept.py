"""What journals say of what has to be kept: whether the ledger's keys vouch for it, and what of it has no effect.

A key vouches for what it signed while it was in force, as the ledger tells it: who stole it later signs no release.
What has no effect since somebody else wrote it contradicts nothing, so it is no finding; but whoever wrote it can write
the store, or has a key that he should not have, and that is told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from recorder.clock import id_text
from recorder.core.act_order import LeafOf
from recorder.core.events import Event
from recorder.core.holds import IsSigned, Keeping, is_signed_here, signed_by
from recorder.core.json_text import rfc3339
from recorder.ledger.key_chain import KeyChain, short_name


def rules_signed_by(chain: KeyChain, leaf_of: LeafOf) -> IsSigned:
    """Return what tells whether keys vouch for what has to be kept, or not any more, where it is said.

    :param chain: the keys; where it has none, it is only asked whether there is a signature.
    :param leaf_of: where in the ledger a rule stands.
    """
    return signed_by(lambda event: _is_vouched_for(event, chain, leaf_of))


def _is_vouched_for(event: Event, chain: KeyChain, leaf_of: LeafOf) -> bool:
    return chain.vouches_for(event.type, event.facts, (event.stream, event.version), leaf_of)


@dataclass(frozen=True, slots=True)
class PassedOver:
    """What would end, change or repeat what is signed, and has no effect.

    :ivar reason: why it has none, in words.
    """

    event: Event
    reason: str

    @property
    def about(self) -> str | None:
        """The hold that it names; None: it is a retention period."""
        return None if self.event.type == "retention_set" else str(self.event.facts["hold"])

    @property
    def told(self) -> str:
        """Itself in words."""
        return passed_over_told(self.as_json())

    def as_json(self) -> dict[str, Any]:
        """Return it as ``--json`` prints it."""
        facts = self.event.facts
        shown: dict[str, Any] = {"type": self.event.type, "at": rfc3339(self.event.wall_ns)}
        shown |= {"journal": id_text(self.event.stream), "version": self.event.version, "reason": self.reason}
        shown |= {"days": facts["days"]} if self.about is None else {"hold": self.about}
        texts = ("of", "ground", "by") if self.about is None else ("ground", "by")
        return shown | {name: facts[name] for name in texts if isinstance(facts.get(name), str)}


def passed_over_told(record: Mapping[str, Any]) -> str:
    """Return in words what :meth:`PassedOver.as_json` returns."""
    of = record.get("of") or "everything"
    named = f"hold {record['hold']}" if "hold" in record else f"{record['days']:,} days of {of}"
    place = f"version {record['version']} of the journal {record['journal']}"
    return f"{record['type']}, {named}, by {record.get('by', 'nobody who is named')} ({place}): {record['reason']}"


def passed_over(kept: Keeping, chain: KeyChain, leaf_of: LeafOf) -> Sequence[PassedOver]:
    """Return what has no effect of what was said.

    :param chain, leaf_of: those by which it was asked what is signed.
    """
    return [PassedOver(one, _reason(one, chain, leaf_of)) for one in kept.without_effect]


def _reason(event: Event, chain: KeyChain, leaf_of: LeafOf) -> str:
    signer, vouched = chain.signer(event.type, event.facts), _is_vouched_for(event, chain, leaf_of)
    if signer is None and not vouched:
        return "no key of the ledger signed it"
    if not is_signed_here(event):
        return "it was signed for another journal than the one in which it stands"
    if signer is not None and not vouched:
        return f"{short_name(signer)}, which signed it, {chain.ended(signer)}"
    return "it was signed before, and says nothing new"
