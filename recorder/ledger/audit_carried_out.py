"""Whether a recorded erasure was carried out by whoever had recorded it, before something forbade it.

A record is no licence for ever: it may have been made by a process that died or failed before anything was emptied, and
a hold or a retention period may have come since. When the payloads went, nothing in the store says by itself. So
whoever has carried an erasure out says so afterwards, by an ``accessed`` that the ledger's key has signed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from recorder.clock import id_text
from recorder.core.events import Event
from recorder.ledger.audit_erasures import Authority
from recorder.ledger.audit_journals import Erasure
from recorder.ledger.tally import Tally

_VOUCH: Final = "whoever knows that it was carried out before vouches for that with `recorder erase --finish`"


class CarriedOut:
    """What says that erasures were carried out.

    :param told: events ``accessed``, whoever wrote them.
    :param authority: tells which of them count, and what came after a record.
    """

    def __init__(self, told: Iterable[Event], authority: Authority) -> None:
        self._authority = authority
        counting = (one for one in told if authority.chain.counts(one, authority.leaf_of))
        self._streams = {str(one.facts.get("of", "")).rpartition(" ")[2] for one in counting}

    def check(self, records: Sequence[Erasure], tally: Tally) -> None:
        """Find what something forbids that came after the record of it, where nothing says that it was gone by then.

        :param records: signed ones, of what is erased.
        """
        found = {record.stream for record in records if "vouched_by" in record.facts}
        for record in records:
            if id_text(record.stream) in self._streams or record.stream in found:
                continue
            forbidden = self._authority.forbidden_since(record)
            if forbidden is not None:
                found.add(record.stream)
                place, rule = forbidden
                told = f"{record.place} recorded it, and nothing says that it was carried out before this"
                tally.find(record.stream, None, place, "erasure", f"{told}: {rule}; {_VOUCH}")
