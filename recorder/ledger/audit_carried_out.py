"""Whether a recorded erasure was carried out by whoever had recorded it, before something forbade it.

A record is no licence for ever: it may have been made by a process that died or failed before anything was emptied, and
a hold or a retention period may have come since. When the payloads went, nothing in the store says by itself. So
whoever has carried an erasure out says so afterwards, by an ``accessed`` that the ledger's key has signed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from recorder.clock import id_text
from recorder.core.notes import NoteKey
from recorder.core.signed_facts import signer_of
from recorder.ledger.audit_erasures import Authority
from recorder.ledger.audit_journals import ACCESSED, Erasure
from recorder.ledger.keys import verifier
from recorder.ledger.tally import Tally

_VOUCH: Final = "whoever knows that it was carried out before vouches for that with `recorder erase --finish`"


@dataclass
class CarriedOut:
    """What says that erasures were carried out.

    :param told: facts of ``accessed``.
    :param keys: of the ledger, that count; none: signatures are not checked.
    """

    told: Iterable[Mapping[str, Any]]
    keys: Sequence[NoteKey]
    _streams: set[str] = field(init=False)

    def __post_init__(self) -> None:
        signed = [one for one in self.told if not self.keys or signer_of(ACCESSED, one, self.keys, verifier())]
        self._streams = {str(one.get("of", "")).rpartition(" ")[2] for one in signed}

    def check(self, records: Sequence[Erasure], authority: Authority, tally: Tally) -> None:
        """Find what something forbids that came after the record of it, where nothing says that it was gone by then.

        :param records: signed ones, of what is erased.
        :param authority: tells what came after a record.
        """
        found = {record.stream for record in records if "vouched_by" in record.facts}
        for record in records:
            if id_text(record.stream) in self._streams or record.stream in found:
                continue
            forbidden = authority.forbidden_since(record)
            if forbidden is not None:
                found.add(record.stream)
                place, rule = forbidden
                told = f"{record.place} recorded it, and nothing says that it was carried out before this"
                tally.find(record.stream, None, place, "erasure", f"{told}: {rule}; {_VOUCH}")
